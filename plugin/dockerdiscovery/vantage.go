package dockerdiscovery

import (
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// vantage is where we stand, seen from the engine's containers.
type vantage struct {
	basis basis

	// elsewhere is set where the engine's host is not the machine that we know as the host, or does not reach
	// containers by their addresses: then it asks, and is answered, as other hosts are.
	elsewhere bool
	remote    []netip.Addr // of an engine on another machine; nil on this one, empty if they are not known
	inside    *client      // the container that we run in, nil if in none
}

// basis is what a vantage was found from.
type basis struct {
	host    *container.Host
	own     *addrsAt
	clients uint64
	bridges *[]gateway
}

// gateway is a network's, on which containers run.
type gateway struct {
	network string
	ip      netip.Addr
}

// vantage returns where we stand by what is known now. It takes no lock.
func (d *Docker) vantage() *vantage {
	b := basis{host: d.clients.host.Load(), clients: d.clients.version.Load(), bridges: d.clients.gateways.Load()}
	before := d.stand.Load()
	if before != nil && before.basis.bridges != b.bridges {
		// A bridge is made just before the first container on it starts: what we have read may be older.
		d.own.forget()
	}
	b.own = d.own.load()
	if before != nil && before.basis == b {
		return before
	}
	v := &vantage{basis: b, remote: d.remoteNow(b.host)}
	for _, ip := range b.own.addrs {
		if c := d.clients.get(ip); c != nil && ip.IsGlobalUnicast() {
			v.inside = c
		}
	}
	v.elsewhere = v.remote != nil || b.host != nil && (!b.host.Routed || v.inside == nil && d.inVM(&b))
	d.stand.Store(v)
	if v.inside != nil {
		d.warnOfPublished(v.inside.Container)
	}
	return v
}

// remoteNow returns the addresses of an engine on another machine, nil if it is on this one: so is one that is reached at
// an own address, or through one of its own containers, such as a socket proxy.
func (d *Docker) remoteNow(host *container.Host) []netip.Addr {
	here := func(ip netip.Addr) bool { return d.own.has(ip) || d.clients.get(ip) != nil }
	if host != nil && host.Peer.IsValid() {
		switch {
		case here(host.Peer):
			return nil
		case len(d.remote) == 0: // its name could not be looked up
			return []netip.Addr{host.Peer}
		}
	}
	if slices.ContainsFunc(d.remote, here) {
		return nil
	}
	return d.remote
}

// inVM reports whether the engine's bridges are another machine's, as those of engines in virtual machines: none of those
// that are in use has an address of ours. Podman's bridges are there only while they are in use.
func (d *Docker) inVM(b *basis) bool {
	if b.bridges == nil {
		return false
	}
	bridges := 0
	for _, g := range *b.bridges {
		if !slices.ContainsFunc(b.host.Networks, func(n container.Network) bool { return n.Name == g.network && n.Driver == "bridge" }) {
			continue
		}
		if bridges++; slices.Contains(b.own.addrs, g.ip) {
			return false
		}
	}
	return bridges > 0
}

// warnOfPublished warns if the container, which we run in, publishes our port: then the engine hides who asks.
func (d *Docker) warnOfPublished(c *container.Container) {
	if !slices.ContainsFunc(c.Ports, func(p container.Port) bool {
		return strconv.Itoa(int(p.Number)) == d.port && len(p.Published) > 0
	}) {
		return
	}
	d.hidden.Do(func() {
		isolate := ""
		if d.config.zone.Isolate {
			isolate = ", so that isolate does not hold"
		}
		log.Warningf("The server runs in container %s, which publishes its port %s: who asks there comes from the network's gateway, other hosts' and containers' queries too, and counts as the Docker host%s. Run it with the host's network, as in the manual's section In a Container", c.Name, d.port, isolate)
	})
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
