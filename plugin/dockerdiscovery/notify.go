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
	// notifyInterval is the least time between two changes of a zone that are told.
	notifyInterval = time.Second

	// A NOTIFY that is not acknowledged is repeated: soon, since a packet may be lost, then less and
	// less often. A secondary that was away hears of us within the longest interval.
	minRepeat = time.Second
	maxRepeat = 10 * time.Second

	// patientFailures are not worth a word: a name server may drop packets while it loads a zone.
	patientFailures = 2
)

// notifier tells secondaries of changes, RFC 1996: each of each zone by itself, so that one
// which does not answer delays nobody, and until it acknowledges the newest serial.
type notifier struct {
	cancel context.CancelFunc // nil if there is nobody to tell
}

// start follows the changes until stop.
func (n *notifier) start(cat *catalog.Catalog, store *zone.Store, all []*notification) {
	if len(all) == 0 {
		return
	}
	var ctx context.Context
	ctx, n.cancel = context.WithCancel(context.Background())
	for _, one := range all {
		go one.run(ctx)
	}
	go follow(ctx, cat, store, all)
}

func (n *notifier) stop() {
	if n.cancel != nil {
		n.cancel()
	}
}

// follow marks what is to be told.
func follow(ctx context.Context, cat *catalog.Catalog, store *zone.Store, all []*notification) {
	for {
		select {
		case <-cat.Changed():
		case <-ctx.Done():
			return
		}
		if cat.Complete() {
			serials := store.Snapshot().Serials()
			for _, one := range all {
				one.mark(serials[one.zone])
			}
		}
		select { // what comes meanwhile is told at once
		case <-time.After(notifyInterval):
		case <-ctx.Done():
			return
		}
	}
}

// notification is one secondary that is to be told of one zone.
type notification struct {
	zone      string
	secondary *secondary
	serial    uint32        // marked last
	due       chan struct{} // has an item when a serial is to be told
}

func newNotification(zone string, s *secondary) *notification {
	return &notification{zone: zone, secondary: s, due: make(chan struct{}, 1)}
}

// mark has the serial told unless it is the one that was marked last.
func (n *notification) mark(serial uint32) {
	if n.serial == serial {
		return
	}
	n.serial = serial
	select {
	case n.due <- struct{}{}:
	default: // the one before is about to be told
	}
}

// run tells whatever is due, again and again until it is acknowledged. The secondary asks for
// the serial, so a newer one needs no NOTIFY of its own beside those for the one before.
func (n *notification) run(ctx context.Context) {
	wait := backoff.ExponentialBackOff{InitialInterval: minRepeat, Multiplier: 2, MaxInterval: maxRepeat}
	var repeat <-chan time.Time
	failures := 0
	for {
		select {
		case <-n.due:
			wait.Reset()
		case <-repeat:
		case <-ctx.Done():
			return
		}
		repeat = nil
		err := n.secondary.send(ctx, new(dns.Msg).SetNotify(n.zone))
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			failures = 0
			n.secondary.acknowledged(n.zone)
			continue
		}
		if failures++; failures > patientFailures {
			n.secondary.failed(n.zone, err)
		}
		repeat = time.After(wait.NextBackOff())
	}
}

// secondary is another name server, and what was logged of it.
type secondary struct {
	addr string
	send func(context.Context, *dns.Msg) error // nil if it acknowledges

	mu      sync.Mutex      // guards the following
	failing map[string]bool // zones of which it can't be told
	logged  map[string]bool // why not
}

// newSecondary is a secondary at addr, of which it is told from the address source, if not nil.
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

// failed logs why the secondary can't be told of the zone: each reason once until it can be
// told of all.
func (s *secondary) failed(zone string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing[zone] = true
	if reason := err.Error(); !s.logged[reason] {
		s.logged[reason] = true
		log.Warningf("Telling the secondary %s of a change in %s: %s; repeating until it acknowledges", s.addr, zone, reason)
	}
}

// acknowledged takes note that the secondary knows of the zone's newest serial.
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
