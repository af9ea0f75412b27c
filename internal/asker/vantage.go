package asker

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Vantage is where we stand, seen from the engine's containers.
type Vantage struct {
	basis basis

	// Elsewhere is set where the engine's host is not the machine that we know as the host, or does not reach
	// containers by their addresses: then it asks, and is answered, as other hosts are.
	Elsewhere bool
	Remote    []netip.Addr         // of an engine on another machine; nil on this one, empty if they are not known
	Inside    *container.Container // the container that we run in, nil if in none
}

// basis is what a vantage was found from.
type basis struct {
	host    *container.Host
	own     uint64 // the reading of the own addresses
	clients uint64
	bridges *[]gateway
}

// gateway is a network's, on which containers run.
type gateway struct {
	network string
	ip      netip.Addr
}

// Vantage returns where we stand by what is known now. It takes no lock.
func (x *Index) Vantage() *Vantage {
	b := basis{host: x.host.Load(), clients: x.version.Load(), bridges: x.gateways.Load()}
	before := x.vantage.Load()
	if before != nil && before.basis.bridges != b.bridges {
		// A bridge is made just before the first container on it starts: what we have read may be older.
		x.own.Forget()
	}
	var own []netip.Addr
	own, b.own = x.own.Addrs()
	if before != nil && before.basis == b {
		return before
	}
	v := &Vantage{basis: b}
	for _, ip := range own {
		if c := x.get(ip); c != nil && ip.IsGlobalUnicast() {
			v.Inside = c.Container
		}
	}
	v.Remote = x.remote(b.host, v.Inside != nil)
	v.Elsewhere = v.Remote != nil || b.host != nil && (!b.host.Routed || v.Inside == nil && inVM(&b, own))
	x.vantage.Store(v)
	if x.found != nil {
		x.found(v)
	}
	return v
}

// remote returns the addresses of an engine on another machine, nil if it is on this one: so is one that is reached at
// an own address, through one of its own containers, such as a socket proxy, or from inside one at the host's address on
// a bridge.
func (x *Index) remote(host *container.Host, inside bool) []netip.Addr {
	here := func(ip netip.Addr) bool {
		if x.own.Has(ip) || x.get(ip) != nil {
			return true
		}
		n := x.Network(ip)
		return inside && n != nil && slices.Contains(n.Gateways, ip)
	}
	if host != nil && host.Peer.IsValid() {
		switch {
		case here(host.Peer):
			return nil
		case len(x.engineAt) == 0: // its name could not be looked up
			return []netip.Addr{host.Peer}
		}
	}
	if slices.ContainsFunc(x.engineAt, here) {
		return nil
	}
	return x.engineAt
}

// inVM reports whether the engine's bridges are another machine's, as those of engines in virtual machines: none of those
// that are in use has an address of ours. Podman's bridges are there only while they are in use.
func inVM(b *basis, own []netip.Addr) bool {
	if b.bridges == nil {
		return false
	}
	bridges := 0
	for _, g := range *b.bridges {
		if !slices.ContainsFunc(b.host.Networks, func(n container.Network) bool { return n.Name == g.network && n.Driver == "bridge" }) {
			continue
		}
		if bridges++; slices.Contains(own, g.ip) {
			return false
		}
	}
	return bridges > 0
}

// bridges counts the running containers on each gateway.
type bridges struct {
	count    map[gateway]int // guarded by the caller
	gateways atomic.Pointer[[]gateway]
}

// add adds n to the number of containers that each of the container's gateways has.
func (b *bridges) add(c *container.Container, n int) {
	if c == nil {
		return
	}
	for i := range c.Endpoints {
		for _, ip := range c.Endpoints[i].Gateways {
			if b.count == nil {
				b.count = map[gateway]int{}
			}
			g := gateway{c.Endpoints[i].Network, ip}
			if b.count[g] += n; b.count[g] == 0 {
				delete(b.count, g)
			}
		}
	}
}

// publish has readers see what has changed.
func (b *bridges) publish() {
	before := b.gateways.Load()
	if before != nil && len(*before) == len(b.count) && !slices.ContainsFunc(*before, func(g gateway) bool { return b.count[g] == 0 }) {
		return
	}
	now := make([]gateway, 0, len(b.count))
	for g := range b.count {
		now = append(now, g)
	}
	b.gateways.Store(&now)
}
