// Package asker tells from a source address who asks: a container, the host on which the containers run, or somebody elsewhere.
//
// It knows neither an engine nor a name server. The facts of each host come in by a [Feed] of its own; what only the
// machine knows on which we run, its addresses, comes from outside. An address means something on its host alone: that of
// a container on one host is likely to be another container's on the next.
package asker

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Asker is who asks.
type Asker struct {
	Kind zone.Asker
	// Hosts are the asker's own, as zone.View has them: that of the container, none if it is not known, or those that are the
	// machine which asks as the Docker host. Nil stands for all.
	Hosts  []container.HostID
	Client *Client // nil unless a container asks
	Here   bool    // what the asker sends to other hosts leaves through this machine
	// Masked is set for the Docker host if its address may hide others, who come by NAT.
	Masked bool
}

// Machine is the machine, or the network namespace, that we run in.
type Machine interface {
	// Has reports whether the address is one of the machine's own, as all of loopback are.
	Has(ip netip.Addr) bool
	// Addrs returns the own addresses and the number of the reading that found them. The slice must not be changed.
	Addrs() (addrs []netip.Addr, reading uint64)
	// Forget has them read again.
	Forget()
}

// Index finds by an address who asks from it. Readers take no lock.
type Index struct {
	machine    Machine
	forwarders []netip.Prefix
	found      func(*Vantage) // nil if nobody is to be told

	feeds    atomic.Pointer[[]*Feed]  // in the order in which they began
	networks atomic.Pointer[networks] // of all hosts
	version  atomic.Uint64            // changes with each change of what is known of any host
	last     atomic.Pointer[surroundings]
	strays   atomic.Int64 // how many containers' addresses lie in no network of theirs

	mu sync.Mutex // held by who changes feeds or networks
}

// networks are those of all hosts that differ from bridges of one host, and the subnets of all. It must not be changed.
type networks struct {
	direct   []container.NetworkID
	spanning []container.NetworkID
	subnets  subnets
}

// New returns an index that knows no host. Who asks from the forwarders passes queries on for others. Each vantage that is
// found anew is given to found, unless that is nil.
func New(m Machine, forwarders []netip.Prefix, found func(*Vantage)) *Index {
	x := &Index{machine: m, forwarders: forwarders, found: found}
	x.feeds.Store(&[]*Feed{})
	x.networks.Store(&networks{})
	return x
}

// Feed returns the feed that takes the facts of the host.
func (x *Index) Feed(host container.HostID) *Feed {
	x.mu.Lock()
	defer x.mu.Unlock()
	if f := x.feed(host); f != nil {
		return f
	}
	f := newFeed(x, host)
	feeds := append(slices.Clone(*x.feeds.Load()), f)
	x.feeds.Store(&feeds)
	x.version.Add(1)
	return f
}

// Remove forgets the host. Its feed takes no more facts.
func (x *Index) Remove(host container.HostID) {
	x.mu.Lock()
	f := x.feed(host)
	if f != nil {
		feeds := slices.DeleteFunc(slices.Clone(*x.feeds.Load()), func(o *Feed) bool { return o == f })
		x.feeds.Store(&feeds)
		x.strays.Add(-int64(len(f.strays)))
		x.version.Add(1)
	}
	x.mu.Unlock()
	x.sortNetworks()
}

// feed returns the host's feed, nil if there is none.
func (x *Index) feed(host container.HostID) *Feed {
	for _, f := range *x.feeds.Load() {
		if f.host == host {
			return f
		}
	}
	return nil
}

// sortNetworks notes which networks are direct, and which span hosts, by what the hosts say now.
func (x *Index) sortNetworks() {
	x.mu.Lock()
	defer x.mu.Unlock()
	var all networks
	for _, f := range *x.feeds.Load() {
		known := f.known.Load()
		for i := range known.host.Networks {
			n := &known.host.Networks[i]
			id := known.networks.ID(n.Name)
			all.subnets.add(n)
			if n.Direct() {
				all.direct = append(all.direct, id)
			}
			if n.Spans {
				all.spanning = append(all.spanning, id)
			}
		}
	}
	x.networks.Store(&all)
}

// Direct reports whether the network's containers are neighbours on the LAN.
func (x *Index) Direct(network container.NetworkID) bool {
	return slices.Contains(x.networks.Load().direct, network)
}

func (x *Index) spans(network container.NetworkID) bool {
	return slices.Contains(x.networks.Load().spanning, network)
}

// Forwards reports whether queries from the address are passed on for others, who are not known.
func (x *Index) Forwards(ip netip.Addr) bool {
	return slices.ContainsFunc(x.forwarders, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// Who tells who asks from the address: a container, the Docker host itself, or somebody elsewhere.
func (x *Index) Who(ip netip.Addr) Asker {
	if x.Forwards(ip) {
		return Asker{Kind: zone.Elsewhere}
	}
	s := x.surroundings()
	own := s.isOwn(ip)
	if !ip.IsLoopback() && x.somewhere(ip) { // which no container has for others
		switch c, claims := s.claimant(ip, own); {
		case claims == 1:
			return s.asker(c, ip)
		case claims > 1: // it can't be told which of them asks
			return Asker{Kind: zone.Elsewhere}
		}
	}
	if own {
		return s.dockerHost()
	}
	return Asker{Kind: zone.Elsewhere}
}
