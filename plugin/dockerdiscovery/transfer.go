package dockerdiscovery

import (
	"errors"
	"net/netip"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/transfer"
	"github.com/miekg/dns"
)

// errNotSynced keeps a secondary from taking an incomplete zone.
var errNotSynced = errors.New("not all containers are known yet")

// Transfer implements transfer.Transferer: the zone as the Docker host sees it, from one
// snapshot. An IXFR that is behind gets the whole zone (RFC 1995 §4).
func (d *Docker) Transfer(apex string, serial uint32) (<-chan []dns.RR, error) {
	apex = plugin.Name(apex).Normalize()
	snapshot := d.store.Snapshot()
	soa, _ := snapshot.SOA(apex).(*dns.SOA)
	if soa == nil || apex == "." {
		return nil, transfer.ErrNotAuthoritative
	}
	if !d.synced.Load() {
		return nil, errNotSynced
	}
	ch := make(chan []dns.RR)
	go func() {
		defer close(ch)
		if serial != 0 && !newer(soa.Serial, serial) {
			ch <- []dns.RR{soa}
			return
		}
		snapshot.Walk(apex, d.serverAddrs(), func(rrs []dns.RR) { ch <- rrs })
		ch <- []dns.RR{snapshot.SOA(apex)}
	}()
	return ch, nil
}

// newer compares serials, RFC 1982 §3.2.
func newer(a, b uint32) bool { return int32(a-b) > 0 }

// serverAddrs returns the addresses at which secondaries and their clients may reach us:
// this machine's, apart from those on containers' networks and loopback unless it has no
// others.
func (d *Docker) serverAddrs() []netip.Addr {
	var addrs []netip.Addr
	for _, ip := range d.own.list() {
		if ip.IsGlobalUnicast() && d.network(ip) == nil {
			addrs = append(addrs, ip)
		}
	}
	if len(addrs) == 0 {
		addrs = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	return addrs
}

// notifyInterval is the least time between two NOTIFYs for a zone.
const notifyInterval = time.Second

// notifier tells secondaries of changes, RFC 1996.
type notifier struct {
	transfer *transfer.Transfer // nil if there is nobody to tell
	done     chan struct{}
}

// start follows the changes until stop.
func (n *notifier) start(r *records) {
	if n.transfer == nil {
		return
	}
	n.done = make(chan struct{})
	go func(done <-chan struct{}) {
		told := map[string]uint32{}
		for {
			select {
			case <-r.changed:
			case <-done:
				return
			}
			if r.synced.Load() {
				n.notify(r, told)
			}
			select { // what comes meanwhile is told at once
			case <-time.After(notifyInterval):
			case <-done:
				return
			}
		}
	}(n.done)
}

func (n *notifier) stop() {
	if n.done != nil {
		close(n.done)
	}
}

// notify tells of the zones whose serials differ from those told last.
func (n *notifier) notify(r *records, told map[string]uint32) {
	for apex, serial := range r.store.Snapshot().Serials() {
		if told[apex] == serial || apex == "." {
			continue
		}
		told[apex] = serial
		if err := n.transfer.Notify(apex); err != nil {
			log.Warningf("Telling the secondaries of %s: %v", apex, err)
		}
	}
}
