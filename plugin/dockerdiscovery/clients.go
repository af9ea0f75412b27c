package dockerdiscovery

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// client is a container as one who asks.
type client struct {
	*container.Container
	networks []string // of its endpoints
	project  string   // Compose's, and its service
	service  string
	own      int // the index of the endpoint to which the address belongs from which it asks
}

func newClient(facts *container.Container) client {
	c := client{
		Container: facts, networks: make([]string, len(facts.Endpoints)),
		project: naming.Project(facts), service: naming.Service(facts),
	}
	for i := range facts.Endpoints {
		c.networks[i] = facts.Endpoints[i].Network
	}
	return c
}

// clients finds a container by an address of its own. Readers take no lock.
type clients struct {
	host    atomic.Pointer[container.Host]
	directs atomic.Pointer[[]string] // names of host's direct networks: it is asked for each address
	byAddr  sync.Map                 // netip.Addr to *client
	version atomic.Uint64            // changes with each change
	bridges
	facts map[string]*container.Container // by ID, of those that run: for Apply alone
}

func newClients() *clients { return &clients{facts: map[string]*container.Container{}} }

// Host takes what is known of the engine's host.
func (cs *clients) Host(h container.Host) {
	var directs []string
	for i := range h.Networks {
		if n := &h.Networks[i]; n.Direct() {
			directs = append(directs, n.Name)
		}
	}
	cs.directs.Store(&directs)
	cs.host.Store(&h)
}

// Apply takes changes in their order. Calls are made one at a time.
func (cs *clients) Apply(changes []container.Change) {
	for _, c := range changes {
		before := cs.facts[c.ID]
		if c.Created != nil || before == nil && c.Container == nil {
			continue
		}
		if c.Container == nil {
			delete(cs.facts, c.ID)
		} else {
			cs.facts[c.ID] = c.Container
		}
		cs.replace(before, c.Container)
	}
}

func (cs *clients) get(ip netip.Addr) *client {
	if c, ok := cs.byAddr.Load(ip); ok {
		return c.(*client)
	}
	return nil
}

// replace takes a container's new facts in place of the old ones; either may be nil.
func (cs *clients) replace(old, facts *container.Container) {
	cs.bridges.add(facts, 1)
	cs.bridges.add(old, -1)
	cs.bridges.publish()
	defer cs.version.Add(1)
	kept := map[netip.Addr]bool{}
	if facts != nil {
		base := newClient(facts)
		for i := range facts.Endpoints {
			for _, ip := range facts.Endpoints[i].Addrs {
				c := base
				c.own = i
				cs.byAddr.Store(ip, &c)
				kept[ip] = true
			}
		}
	}
	if old == nil {
		return
	}
	for i := range old.Endpoints {
		for _, ip := range old.Endpoints[i].Addrs {
			// The address may be another container's by now.
			if c := cs.get(ip); !kept[ip] && c != nil && c.ID == old.ID {
				cs.byAddr.Delete(ip)
			}
		}
	}
}

// classify tells who asks from the address: a container, of which the client is
// returned, the Docker host itself, or somebody elsewhere.
func (d *Docker) classify(ip netip.Addr) (zone.Asker, *client) {
	if d.forwards(ip) {
		return zone.Elsewhere, nil
	}
	if !ip.IsLoopback() { // which no container has for others
		if c := d.clients.get(ip); c != nil {
			return zone.Container, c
		}
	}
	if d.own.has(ip) {
		if d.vantage().elsewhere {
			return zone.Elsewhere, nil
		}
		return zone.Host, nil
	}
	n := d.clients.network(ip)
	switch {
	case n == nil:
		return zone.Elsewhere, nil
	case !slices.Contains(n.Gateways, ip): // a container that is not known yet
		c := newClient(&container.Container{Endpoints: []container.Endpoint{{Network: n.Name, Gateways: n.Gateways}}})
		return zone.Container, &c
	case d.vantage().elsewhere:
		return zone.Elsewhere, nil
	default: // the host, for us who run in a container
		return zone.Host, nil
	}
}

// forwards reports whether queries from the address are passed on for others, who are not known.
func (d *Docker) forwards(ip netip.Addr) bool {
	return slices.ContainsFunc(d.config.forwarders, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// network returns the network in which the address lies, nil if there is none. On a
// direct network the LAN's hosts live too, so it does not count.
func (cs *clients) network(ip netip.Addr) *container.Network {
	host := cs.host.Load()
	if host == nil {
		return nil
	}
	for i := range host.Networks {
		n := &host.Networks[i]
		if !n.Direct() && slices.ContainsFunc(n.Subnets, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			return n
		}
	}
	return nil
}

// direct reports whether the network's containers are neighbours on the LAN.
func (cs *clients) direct(network string) bool {
	networks := cs.directs.Load()
	return networks != nil && slices.Contains(*networks, network)
}

// bridgeAddrs returns the host's own addresses on a bridge, one of each family, for who counts
// as the host: that may be a container, which comes masqueraded or through the host's resolver,
// and to which loopback addresses are its own. The bridge from which it comes is preferred,
// then Docker's default one. Without any, the host's loopback addresses serve who comes from one.
func (d *Docker) bridgeAddrs(from netip.Addr) []netip.Addr {
	var v4, v6 struct {
		ip    netip.Addr
		grade int
	}
	if host := d.clients.host.Load(); host != nil {
		for i := range host.Networks {
			n := &host.Networks[i]
			grade := 1
			switch {
			case n.Direct():
				continue
			case slices.ContainsFunc(n.Subnets, func(p netip.Prefix) bool { return p.Contains(from) }):
				grade = 3
			case n.Name == "bridge":
				grade = 2
			}
			// To us in a container the host's addresses are not our own.
			asks := slices.Contains(n.Gateways, from) && !d.own.has(from)
			for _, ip := range n.Gateways {
				best := &v6
				if ip.Is4() {
					best = &v4
				}
				if grade > best.grade && (asks || d.own.has(ip)) {
					best.ip, best.grade = ip, grade
				}
			}
		}
	}
	addrs := slices.DeleteFunc([]netip.Addr{v4.ip, v6.ip}, func(ip netip.Addr) bool { return !ip.IsValid() })
	if len(addrs) == 0 && from.IsLoopback() {
		return loopback
	}
	return addrs
}
