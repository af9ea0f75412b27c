package dockerdiscovery

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/asker"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

const (
	// lookUpEvery is how often the address of an engine's host is looked up.
	lookUpEvery = 30 * time.Second
	// lookUpSoon is how soon a look-up is repeated that fails. The resolver may be this server, which has not started yet.
	lookUpSoon = time.Second
	// lookUpTimeout bounds one look-up.
	lookUpTimeout = 5 * time.Second
)

// whereabouts keeps the addresses of a host up to date of which the endpoint's URL has the name.
type whereabouts struct {
	name string
	find func(ctx context.Context, network, name string) ([]netip.Addr, error)
	take func([]netip.Addr) // takes the addresses when they have changed
	due  chan struct{}      // has an item when the name may have come to be another machine's
}

// findAddrs looks a name up, as net.DefaultResolver does.
var findAddrs = net.DefaultResolver.LookupNetIP

// watchAddrs has take called with the addresses of the endpoint's host: at once if the URL has an address, not at all for a
// socket of this machine, else in the background. The returned function has them looked up anew.
func (e *endpoint) watchAddrs(ctx context.Context, take func([]netip.Addr)) (again func()) {
	u, err := url.Parse(e.Host)
	if err != nil || u.Scheme == "unix" {
		return func() {}
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		take(usableOf([]netip.Addr{ip}))
		return func() {}
	}
	w := &whereabouts{name: u.Hostname(), find: findAddrs, take: take, due: make(chan struct{}, 1)}
	take([]netip.Addr{}) // it is elsewhere
	go w.run(ctx)
	return w.again
}

func (w *whereabouts) again() {
	select {
	case w.due <- struct{}{}:
	default: // is noted already
	}
}

// run looks the name up for ever. What it was last stays while that fails.
func (w *whereabouts) run(ctx context.Context) {
	var known []netip.Addr
	retry, warned := lookUpSoon, false
	for {
		addrs, err := w.lookUp(ctx)
		wait := lookUpEvery
		switch {
		case err == nil:
			retry, warned = lookUpSoon, false
			if !slices.Equal(addrs, known) {
				known = addrs
				w.take(addrs)
			}
		case ctx.Err() == nil:
			wait, retry = retry, min(2*retry, lookUpEvery)
			if wait == lookUpEvery && !warned {
				warned = true
				log.Warningf("The address of an engine's host can't be looked up, trying again: %v; for published ports write it after the endpoint's NAME, as in 'endpoint URL nas 192.0.2.1'", err)
			}
		}
		select {
		case <-time.After(wait):
		case <-w.due:
		case <-ctx.Done():
			return
		}
	}
}

func (w *whereabouts) lookUp(ctx context.Context) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	addrs, err := w.find(ctx, "ip", w.name)
	return usableOf(addrs), err
}

// usableOf returns the addresses at which others may reach a host, each once, in an order that does not change from one answer
// of a resolver to the next.
func usableOf(addrs []netip.Addr) []netip.Addr {
	ips := make([]netip.Addr, 0, len(addrs))
	for _, ip := range addrs {
		if ip = ip.Unmap().WithZone(""); usable(ip) {
			ips = append(ips, ip)
		}
	}
	slices.SortFunc(ips, netip.Addr.Compare)
	return slices.Compact(ips)
}

// outside returns the families by which this machine reaches other hosts: those of their addresses but for one to none of which it
// has a route. Without a route to any of them nothing is known.
func (d *Docker) outside() zone.Families {
	a := d.own.load()
	a.outside.Do(func() {
		var led, not zone.Families
		look := func(v *asker.Vantage, written []netip.Addr) {
			if !v.Elsewhere {
				return
			}
			for _, ip := range append(slices.Clone(written), v.Remote...) {
				if d.own.towards(ip).IsValid() {
					led |= zone.FamilyOf(ip)
				} else {
					not |= zone.FamilyOf(ip)
				}
			}
		}
		for _, h := range d.hosts {
			look(d.askers.Vantage(h.id), h.addrs)
		}
		for _, id := range d.fleet.list() {
			look(d.askers.Vantage(id), nil)
		}
		if led != 0 {
			a.leads = (zone.IPv4 | zone.IPv6) &^ (not &^ led)
		}
	})
	return a.leads
}
