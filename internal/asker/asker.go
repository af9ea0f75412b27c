// Package asker tells from a source address who asks: a container, the host on which the containers run, or somebody elsewhere.
//
// It knows neither an engine nor a name server. Facts come in by [Index.Host] and [Index.Apply]; what only the machine
// knows, its own addresses, comes from outside.
package asker

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Client is a container as one who asks.
type Client struct {
	*container.Container
	Networks []container.NetworkID // of its endpoints
	Project  string                // Compose's, and its service
	Service  string
	own      int // the index of the endpoint to which the address belongs from which it asks
}

func newClient(on *container.Networks, facts *container.Container) Client {
	c := Client{
		Container: facts, Networks: make([]container.NetworkID, len(facts.Endpoints)),
		Project: naming.Project(facts), Service: naming.Service(facts),
	}
	for i := range facts.Endpoints {
		c.Networks[i] = on.ID(facts.Endpoints[i].Network)
	}
	return c
}

// Own are the own addresses of the machine, or the network namespace, that we run in.
type Own interface {
	// Has reports whether the address is one of them, as all of loopback are.
	Has(ip netip.Addr) bool
	// Addrs returns the addresses and the number of the reading that found them. The slice must not be changed.
	Addrs() (addrs []netip.Addr, reading uint64)
	// Forget has them read again.
	Forget()
}

// Index finds by an address who asks from it. Readers take no lock.
type Index struct {
	own        Own
	forwarders []netip.Prefix
	engineAt   []netip.Addr   // on another machine; nil if the engine has no address, or an own one
	found      func(*Vantage) // nil if nobody is to be told
	vantage    atomic.Pointer[Vantage]

	host     atomic.Pointer[container.Host]
	networks atomic.Pointer[container.Networks]    // host's
	directs  atomic.Pointer[[]container.NetworkID] // of host's direct networks: it is asked for each address
	byAddr   sync.Map                              // netip.Addr to *Client
	version  atomic.Uint64                         // changes with each change
	bridges
	facts map[string]*container.Container // by ID, of those that run: for Apply alone
}

// New returns an index that knows no container. Who asks from the forwarders passes queries on for others. Each vantage
// that is found anew is given to found, unless that is nil.
func New(own Own, forwarders []netip.Prefix, found func(*Vantage)) *Index {
	x := &Index{own: own, forwarders: forwarders, found: found, facts: map[string]*container.Container{}}
	x.networks.Store(container.NewNetworks(&container.Host{}))
	return x
}

// EngineAt takes the addresses of an engine that is asked over the network, nil if it is on this machine, empty if they are
// not known. It is called before there are queries.
func (x *Index) EngineAt(addrs []netip.Addr) { x.engineAt = addrs }

// Host takes what is known of the engine's host.
func (x *Index) Host(h container.Host) {
	var directs []container.NetworkID
	networks := container.NewNetworks(&h)
	for i := range h.Networks {
		if n := &h.Networks[i]; n.Direct() {
			directs = append(directs, networks.ID(n.Name))
		}
	}
	x.directs.Store(&directs)
	x.networks.Store(networks)
	x.host.Store(&h)
}

// Apply takes changes in their order. Calls are made one at a time.
func (x *Index) Apply(changes []container.Change) {
	for _, c := range changes {
		before := x.facts[c.ID]
		if !c.Ran() || before == nil && c.Container == nil {
			continue
		}
		if c.Container == nil {
			delete(x.facts, c.ID)
		} else {
			x.facts[c.ID] = c.Container
		}
		x.replace(before, c.Container)
	}
}

func (x *Index) get(ip netip.Addr) *Client {
	if c, ok := x.byAddr.Load(ip); ok {
		return c.(*Client)
	}
	return nil
}

// replace takes a container's new facts in place of the old ones; either may be nil.
func (x *Index) replace(old, facts *container.Container) {
	x.bridges.add(facts, 1)
	x.bridges.add(old, -1)
	x.bridges.publish()
	defer x.version.Add(1)
	kept := map[netip.Addr]bool{}
	if facts != nil {
		base := newClient(x.networks.Load(), facts)
		for i := range facts.Endpoints {
			for _, ip := range facts.Endpoints[i].Addrs {
				c := base
				c.own = i
				x.byAddr.Store(ip, &c)
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
			if c := x.get(ip); !kept[ip] && c != nil && c.ID == old.ID {
				x.byAddr.Delete(ip)
			}
		}
	}
}

// Who tells who asks from the address: a container, of which the client is
// returned, the Docker host itself, or somebody elsewhere.
func (x *Index) Who(ip netip.Addr) (zone.Asker, *Client) {
	if x.Forwards(ip) {
		return zone.Elsewhere, nil
	}
	if !ip.IsLoopback() { // which no container has for others
		if c := x.get(ip); c != nil {
			return zone.Container, c
		}
	}
	if x.own.Has(ip) {
		if x.Vantage().Elsewhere {
			return zone.Elsewhere, nil
		}
		return zone.Host, nil
	}
	n := x.Network(ip)
	switch {
	case n == nil:
		return zone.Elsewhere, nil
	case !slices.Contains(n.Gateways, ip): // a container that is not known yet
		c := newClient(x.networks.Load(), &container.Container{Endpoints: []container.Endpoint{{Network: n.Name, Gateways: n.Gateways}}})
		return zone.Container, &c
	case x.Vantage().Elsewhere:
		return zone.Elsewhere, nil
	default: // the host, for us who run in a container
		return zone.Host, nil
	}
}

// Forwards reports whether queries from the address are passed on for others, who are not known.
func (x *Index) Forwards(ip netip.Addr) bool {
	return slices.ContainsFunc(x.forwarders, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// Network returns the network in which the address lies, nil if there is none. On a
// direct network the LAN's hosts live too, so it does not count.
func (x *Index) Network(ip netip.Addr) *container.Network {
	host := x.host.Load()
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

// Direct reports whether the network's containers are neighbours on the LAN.
func (x *Index) Direct(network container.NetworkID) bool {
	networks := x.directs.Load()
	return networks != nil && slices.Contains(*networks, network)
}

// Gateways returns the addresses of the host on the network from which the client asks, or on another one of its. On a
// direct network the gateway is the LAN's and not the host.
func (x *Index) Gateways(c *Client) []netip.Addr {
	for i := range c.Endpoints {
		e := &c.Endpoints[(c.own+i)%len(c.Endpoints)]
		if len(e.Gateways) > 0 && !x.Direct(c.Networks[(c.own+i)%len(c.Endpoints)]) {
			return e.Gateways
		}
	}
	return nil
}

// BridgeAddrs returns the host's own addresses on a bridge, one of each family, for who counts
// as the host: that may be a container, which comes masqueraded or through the host's resolver,
// and to which loopback addresses are its own. The bridge from which it comes is preferred,
// then Docker's default one. Without any, the host's loopback addresses serve who comes from one.
func (x *Index) BridgeAddrs(from netip.Addr) []netip.Addr {
	var v4, v6 struct {
		ip    netip.Addr
		grade int
	}
	if host := x.host.Load(); host != nil {
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
			asks := slices.Contains(n.Gateways, from) && !x.own.Has(from)
			for _, ip := range n.Gateways {
				best := &v6
				if ip.Is4() {
					best = &v4
				}
				if grade > best.grade && (asks || x.own.Has(ip)) {
					best.ip, best.grade = ip, grade
				}
			}
		}
	}
	addrs := slices.DeleteFunc([]netip.Addr{v4.ip, v6.ip}, func(ip netip.Addr) bool { return !ip.IsValid() })
	if len(addrs) == 0 && from.IsLoopback() {
		return zone.Loopback
	}
	return addrs
}
