package asker

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Feed takes the facts of one host. Calls that change it are made one at a time.
type Feed struct {
	index *Index
	host  container.HostID
	hosts []container.HostID // the host alone

	known    atomic.Pointer[known]
	engineAt atomic.Pointer[[]netip.Addr] // EngineAt's
	byAddr   sync.Map                     // netip.Addr to *Client
	aside    atomic.Bool                  // SetAside's
	bridges

	// For who changes them alone:
	facts  map[string]*container.Container // by ID, of those that run
	strays strays                          // addresses of these in none of the host's networks
}

// known is what is known of a host. It must not be changed.
type known struct {
	told     bool // the host has been told
	host     container.Host
	networks *container.Networks // host's
}

func newFeed(x *Index, host container.HostID) *Feed {
	f := &Feed{index: x, host: host, hosts: []container.HostID{host}, facts: map[string]*container.Container{}, strays: strays{}}
	f.known.Store(&known{networks: container.NewNetworks(&container.Host{ID: host})})
	f.engineAt.Store(new([]netip.Addr))
	return f
}

// EngineAt takes the addresses of an engine that is asked over the network, nil if it is on this machine, empty if they are
// not known.
func (f *Feed) EngineAt(addrs []netip.Addr) {
	f.engineAt.Store(&addrs)
	f.index.version.Add(1)
}

// SetAside has the index do without the host, or with it again: its engine is another host's too. Meanwhile the feed takes facts
// all the same.
func (f *Feed) SetAside(aside bool) {
	f.aside.Store(aside)
	f.index.version.Add(1)
}

// Host takes what is known of the engine's host.
func (f *Feed) Host(h container.Host) {
	h.ID = f.host
	before, now := f.known.Load(), &known{told: true, host: h, networks: container.NewNetworks(&h)}
	f.byAddr.Range(func(ip, _ any) bool {
		if ip := ip.(netip.Addr); !now.has(ip) {
			f.strays.add(f.index, ip) // before its network goes
		}
		return true
	})
	f.known.Store(now)
	f.index.sortNetworks()
	for ip := range f.strays {
		f.stray(ip)
	}
	for _, c := range f.facts { // a network may be known as another one now, or be reached otherwise
		if slices.ContainsFunc(c.Connections(), func(e container.Endpoint) bool { return !before.networks.Same(now.networks, e.Network) }) {
			f.replace(c, c)
		}
	}
	f.index.version.Add(1)
}

// Apply takes changes in their order.
func (f *Feed) Apply(changes []container.Change) {
	for _, c := range changes {
		before := f.facts[c.ID]
		if !c.Ran() || before == nil && c.Container == nil {
			continue
		}
		if c.Container == nil {
			delete(f.facts, c.ID)
		} else {
			f.facts[c.ID] = c.Container
		}
		f.replace(before, c.Container)
	}
}

// replace takes a container's new facts in place of the old ones; either may be nil.
func (f *Feed) replace(old, facts *container.Container) {
	f.bridges.add(facts, 1)
	f.bridges.add(old, -1)
	if f.bridges.publish() || f.placed(old) || f.placed(facts) {
		defer f.index.version.Add(1)
	}
	kept := map[netip.Addr]bool{}
	if facts != nil {
		base := newClient(f, facts)
		for _, e := range facts.Connections() {
			for _, ip := range e.Addrs {
				f.byAddr.Store(ip, base.from(&e))
				f.stray(ip)
				kept[ip] = true
			}
		}
	}
	if old == nil {
		return
	}
	for _, e := range old.Connections() {
		for _, ip := range e.Addrs {
			// The address may be another container's by now.
			if c := f.client(ip); !kept[ip] && c != nil && c.ID == old.ID {
				f.byAddr.Delete(ip)
				f.stray(ip)
			}
		}
	}
}

// placed reports whether the container may tell where the host stands: it has an address of the machine's own, or one at which the
// engine is reached.
func (f *Feed) placed(c *container.Container) bool {
	if c == nil {
		return false
	}
	peer, engineAt := f.known.Load().host.Peer, *f.engineAt.Load()
	return slices.ContainsFunc(c.Connections(), func(e container.Endpoint) bool {
		return slices.ContainsFunc(e.Addrs, func(ip netip.Addr) bool {
			return ip == peer || slices.Contains(engineAt, ip) || f.index.machine.Has(ip)
		})
	})
}

func (f *Feed) networks() *container.Networks { return f.known.Load().networks }

// client returns the host's container that has the address, nil if none is known to have it.
func (f *Feed) client(ip netip.Addr) *Client {
	if c, ok := f.byAddr.Load(ip); ok {
		return c.(*Client)
	}
	return nil
}

// network returns the host's network in which the address lies, nil if there is none. On a direct network the LAN's hosts
// live too, so it does not count.
func (f *Feed) network(ip netip.Addr) *container.Network {
	host := &f.known.Load().host
	for i := range host.Networks {
		if n := &host.Networks[i]; !n.Direct() && has(n, ip) {
			return n
		}
	}
	return nil
}

// has reports whether the address lies in the network.
func has(n *container.Network, ip netip.Addr) bool {
	return slices.ContainsFunc(n.Subnets, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// bridges counts the running containers on each gateway.
type bridges struct {
	count    map[gateway]int // guarded by the caller
	gateways atomic.Pointer[[]gateway]
}

// gateway is a network's, on which containers run.
type gateway struct {
	network string
	ip      netip.Addr
}

// add adds n to the number of containers that each of the container's gateways has.
func (b *bridges) add(c *container.Container, n int) {
	if c == nil {
		return
	}
	for _, e := range c.Connections() {
		for _, ip := range e.Gateways {
			if b.count == nil {
				b.count = map[gateway]int{}
			}
			g := gateway{e.Network, ip}
			if b.count[g] += n; b.count[g] == 0 {
				delete(b.count, g)
			}
		}
	}
}

// usesGateway reports whether containers run on the network that has the gateway's address.
func (b *bridges) usesGateway(ip netip.Addr) bool {
	all := b.gateways.Load()
	return all != nil && slices.ContainsFunc(*all, func(g gateway) bool { return g.ip == ip })
}

// publish has readers see what has changed, and reports whether something has.
func (b *bridges) publish() bool {
	before := b.gateways.Load()
	if before != nil && len(*before) == len(b.count) && !slices.ContainsFunc(*before, func(g gateway) bool { return b.count[g] == 0 }) {
		return false
	}
	now := make([]gateway, 0, len(b.count))
	for g := range b.count {
		now = append(now, g)
	}
	b.gateways.Store(&now)
	return true
}
