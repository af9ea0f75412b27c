package dockerdiscovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/coredns/coredns/plugin/pkg/rcode"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

const (
	// notifyInterval is the least time between two NOTIFYs about changes of a zone.
	notifyInterval = time.Second

	// retellAfter is how long the old instance has to end after a reload.
	retellAfter = 2 * time.Second

	// surroundingsInterval is how often it is looked whether this machine's addresses have changed: of that nobody tells.
	surroundingsInterval = 10 * time.Second

	// A NOTIFY that is not acknowledged is repeated: soon, since a packet may be lost, then less and
	// less often. A secondary that was away hears of us within the longest interval.
	minRepeat = time.Second
	maxRepeat = 10 * time.Second

	// So many failures in a row are not logged: a name server may drop packets while it loads a zone.
	quietFailures = 2
)

// notifier sends secondaries a NOTIFY for each change, RFC 1996, and repeats it until the secondary acknowledges the
// newest serial. Each secondary and zone has a goroutine, so that one without an answer delays nobody.
type notifier struct {
	ctx    context.Context // nil if no zone is transferred
	cancel context.CancelFunc
}

// start has the notifications sent until stop. What the catalog has when it is complete is published.
func (n *notifier) start(cat *catalog.Catalog, publish func() *zone.Version, all []*notification) {
	ctx := n.context()
	for _, one := range all {
		go one.run(ctx)
	}
	go watchSerials(ctx, cat, publish, all)
}

// tell has the notifications of one serial sent. It is told once more after a while: where a reload has brought it, a secondary may have
// asked the server before it for the serial.
func (n *notifier) tell(serial uint32, all []*notification) {
	ctx := n.context()
	for _, one := range all {
		go one.run(ctx)
		one.mark(serial)
		time.AfterFunc(retellAfter, func() { one.repeat() })
	}
}

// context returns that of all notifications, which stop ends.
func (n *notifier) context() context.Context {
	if n.ctx == nil {
		n.ctx, n.cancel = context.WithCancel(context.Background())
	}
	return n.ctx
}

func (n *notifier) stop() {
	if n.cancel != nil {
		n.cancel()
	}
}

// watchSerials publishes what has changed and marks zones' new serials as due, at most once in notifyInterval.
func watchSerials(ctx context.Context, cat *catalog.Catalog, publish func() *zone.Version, all []*notification) {
	around := time.NewTicker(surroundingsInterval)
	defer around.Stop()
	for {
		select {
		case <-cat.Changed():
		case <-around.C:
		case <-ctx.Done():
			return
		}
		if cat.Complete() {
			v := publish()
			for _, one := range all {
				one.mark(v.Serial(one.zone))
			}
		}
		select { // the changes of this time are told together
		case <-time.After(notifyInterval):
		case <-ctx.Done():
			return
		}
	}
}

// notification sends one secondary the NOTIFYs of one zone.
type notification struct {
	zone      string
	secondary *secondary
	serial    uint32        // the last one that was marked as due
	due       chan struct{} // holds an item while a serial waits to be told
}

func newNotification(zone string, s *secondary) *notification {
	return &notification{zone: zone, secondary: s, due: make(chan struct{}, 1)}
}

// mark makes the serial due, unless it was the last to be so.
func (n *notification) mark(serial uint32) {
	if n.serial == serial {
		return
	}
	n.serial = serial
	n.repeat()
}

// repeat makes the serial due once more.
func (n *notification) repeat() {
	select {
	case n.due <- struct{}{}:
	default: // the serial before waits still: one NOTIFY will do for both
	}
}

// run sends a NOTIFY when a serial is due, and repeats it until the secondary acknowledges. The secondary asks for the
// serial then, so that a newer one needs no NOTIFY of its own beside the repeated ones.
func (n *notification) run(ctx context.Context) {
	wait := backoff.ExponentialBackOff{InitialInterval: minRepeat, Multiplier: 2, MaxInterval: maxRepeat}
	var repeat <-chan time.Time
	failures := 0
	var sent time.Time // the last one
	for {
		select {
		case <-n.due:
			wait.Reset()
			select { // where the last one was acknowledged late, the next is due already
			case <-time.After(time.Until(sent.Add(notifyInterval))):
			case <-ctx.Done():
				return
			}
		case <-repeat:
		case <-ctx.Done():
			return
		}
		repeat, sent = nil, time.Now()
		err := n.secondary.send(ctx, new(dns.Msg).SetNotify(n.zone))
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			failures = 0
			n.secondary.acknowledged(n.zone)
			continue
		}
		if failures++; failures > quietFailures {
			n.secondary.failed(n.zone, err)
		}
		repeat = time.After(wait.NextBackOff())
	}
}

// secondary is another name server that takes zones over from us.
type secondary struct {
	addr string
	send func(context.Context, *dns.Msg) error // returns nil when the secondary acknowledges

	mu      sync.Mutex      // guards the following
	failing map[string]bool // zones whose last NOTIFY failed
	logged  map[string]bool // reasons of failures that the log has
}

// newSecondary returns the secondary at addr. NOTIFYs come from the source address, or from any if that is nil.
func newSecondary(addr string, source net.IP) *secondary {
	client := &dns.Client{}
	if source != nil {
		client.Dialer = &net.Dialer{LocalAddr: &net.UDPAddr{IP: source}}
	}
	return &secondary{addr: addr, failing: map[string]bool{}, logged: map[string]bool{}, send: func(ctx context.Context, m *dns.Msg) error {
		r, _, err := client.ExchangeContext(ctx, m, addr)
		var op *net.OpError
		switch {
		case errors.As(err, &op):
			return op.Err // without our port, which is another each time
		case err != nil:
			return err
		case r.Rcode != dns.RcodeSuccess:
			return fmt.Errorf("it answers %s", rcode.ToString(r.Rcode))
		}
		return nil
	}}
}

// failed logs why a NOTIFY failed: each reason once, until the secondary has acknowledged all zones.
func (s *secondary) failed(zone string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing[zone] = true
	if reason := err.Error(); !s.logged[reason] {
		s.logged[reason] = true
		log.Warningf("Telling the secondary %s of a change in %s: %s; repeating until it acknowledges", s.addr, zone, reason)
	}
}

// acknowledged notes that the secondary has answered the NOTIFY of the zone's newest serial.
func (s *secondary) acknowledged(zone string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.failing[zone] {
		return
	}
	delete(s.failing, zone)
	if len(s.failing) == 0 {
		clear(s.logged)
		log.Infof("The secondary %s acknowledges changes again", s.addr)
	}
}
