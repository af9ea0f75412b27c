package asker

import (
	"net/netip"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Vantage is where we stand, seen from a host's containers.
type Vantage struct {
	Host container.HostID
	// Elsewhere is set where the host is not the machine that we know as the Docker host, or does not reach its containers by
	// their addresses: then it asks, and is answered, as other hosts are. Other hosts are near.
	Elsewhere bool
	Remote    []netip.Addr         // of an engine on another machine; nil on this one, empty if they are not known
	Inside    *container.Container // the container that we run in, nil if in none
	// Gateways are the host's addresses on the networks of Inside. Who comes from elsewhere by way of the host comes from one of
	// them, as the host itself does.
	Gateways []netip.Addr

	feed    *Feed
	bridges *[]gateway // from which it was found
	proven  bool       // a bridge of the host is on this machine, or we are in a container of its
}

// surroundings are the hosts as they stand to us, by what is known at one moment. They must not be changed.
type surroundings struct {
	*Index
	version, reading uint64 // of the Index, and of the own addresses, from which they were found
	own              []netip.Addr

	vantages  []*Vantage // of all hosts
	proven    []*Feed    // those that are known to be on this machine
	near, far []*Feed
	certain   int                // of the near hosts the first certain ones are proven
	hosts     []container.HostID // the near ones; nil if all are
	masks     bool               // containers of a host on this machine may come from its addresses: a virtual machine's, or a user's
}

// surroundings returns the hosts as they stand to us by what is known now. It takes no lock.
func (x *Index) surroundings() *surroundings {
	version, before := x.version.Load(), x.last.Load()
	if before != nil && before.version != version && before.rebridged() {
		// A bridge is made just before the first container on it starts: what we have read may be older.
		x.machine.Forget()
	}
	own, reading := x.machine.Addrs()
	if before != nil && before.version == version && before.reading == reading {
		return before
	}
	s := &surroundings{Index: x, version: version, reading: reading, own: own}
	s.survey(x.counted())
	x.last.Store(s)
	if x.found != nil {
		for _, v := range s.vantages {
			x.found(v)
		}
	}
	return s
}

// counted returns the feeds of the hosts that are not set aside.
func (x *Index) counted() []*Feed {
	return slices.DeleteFunc(slices.Clone(*x.feeds.Load()), func(f *Feed) bool { return f.aside.Load() })
}

// rebridged reports whether containers run on other bridges now.
func (s *surroundings) rebridged() bool {
	return slices.ContainsFunc(s.counted(), func(f *Feed) bool {
		bridges := (*[]gateway)(nil)
		if v := s.vantage(f); v != nil {
			bridges = v.bridges
		}
		return bridges != f.gateways.Load()
	})
}

// survey finds how the hosts stand to us, and sorts them. What one host has on this machine, as its bridges show, no other one has. So the
// engine that is likelier to be here is looked at first.
func (s *surroundings) survey(feeds []*Feed) {
	slices.SortStableFunc(feeds, func(a, b *Feed) int { return a.distance() - b.distance() })
	s.hosts = make([]container.HostID, 0, len(feeds))
	free := slices.Clone(s.own) // those that lie in no proven host's networks
	var unproven []*Feed
	for _, f := range feeds {
		v := s.stand(f, free)
		s.vantages = append(s.vantages, v)
		if v.proven {
			s.proven = append(s.proven, f)
			free = slices.DeleteFunc(free, func(ip netip.Addr) bool { return f.network(ip) != nil })
		}
		switch {
		case v.Elsewhere:
			s.far = append(s.far, f)
			s.masks = s.masks || v.Remote == nil
			continue
		case v.proven:
			s.near = append(s.near, f)
		default:
			unproven = append(unproven, f)
		}
		s.hosts = append(s.hosts, f.host)
	}
	s.certain = len(s.near)
	s.near = append(s.near, unproven...)
	if len(s.far) == 0 {
		s.hosts = nil
	}
}

// distance grades how likely the engine is to be on another machine, by how it is reached and what it says.
func (f *Feed) distance() int {
	known := f.known.Load()
	switch {
	case known.host.Addrs != nil || *f.engineAt.Load() != nil || known.host.Peer.IsValid(): // over the network
		return 2
	case known.told && !known.host.Routed:
		return 1
	default:
		return 0
	}
}

// stand finds how the host stands to us. Hosts that are proven to be here have the addresses in their networks for themselves,
// and leave the own ones that are free.
func (s *surroundings) stand(f *Feed, free []netip.Addr) *Vantage {
	known := f.known.Load()
	v := &Vantage{Host: f.host, feed: f, bridges: f.gateways.Load()}
	if at := known.host.Addrs; at != nil { // it tells of itself, and whatever it says it is not this machine
		v.Remote, v.Elsewhere = at, true
		return v
	}
	for _, ip := range free {
		if c := f.client(ip); c != nil && ip.IsGlobalUnicast() {
			v.Inside = c.Container
		}
	}
	if v.Inside != nil {
		for _, e := range v.Inside.Connections() {
			v.Gateways = append(v.Gateways, hostGateways(f.networks(), &e)...)
		}
	}
	v.Remote = s.remote(f, func(ip netip.Addr) bool {
		if s.isOwn(ip) {
			return true
		}
		if slices.ContainsFunc(s.proven, func(p *Feed) bool { return p.network(ip) != nil }) {
			return false
		}
		n := f.network(ip)
		return f.client(ip) != nil || v.Inside != nil && n != nil && slices.Contains(n.Gateways, ip)
	})
	bridges, here := v.inUse(known, free)
	v.proven = v.Remote == nil && (v.Inside != nil || here && known.host.Routed)
	v.Elsewhere = v.Remote != nil || known.told && !known.host.Routed || bridges && !v.proven
	return v
}

// remote returns the addresses of an engine on another machine, nil if it is on this one: so is one that is reached at
// an own address, through one of its own containers, such as a socket proxy, or from inside one at the host's address on
// a bridge. These are here.
func (s *surroundings) remote(f *Feed, here func(netip.Addr) bool) []netip.Addr {
	peer, engineAt := f.known.Load().host.Peer, *f.engineAt.Load()
	if peer.IsValid() {
		switch {
		case here(peer):
			return nil
		case len(engineAt) == 0: // its name could not be looked up
			return []netip.Addr{peer}
		}
	}
	if slices.ContainsFunc(engineAt, here) {
		return nil
	}
	return engineAt
}

// inUse reports whether containers run on bridges of the engine, and whether one of these has an own address. If none has,
// they are another machine's, as those of engines in virtual machines. Podman's bridges are there only while they are in use.
func (v *Vantage) inUse(known *known, own []netip.Addr) (bridges, here bool) {
	if v.bridges == nil {
		return false, false
	}
	for _, g := range *v.bridges {
		if slices.ContainsFunc(known.host.Networks, func(n container.Network) bool { return n.Name == g.network && n.Driver == "bridge" }) {
			bridges = true
			here = here || slices.Contains(own, g.ip)
		}
	}
	return bridges, here
}

// Vantage returns where we stand, seen from the host's containers, by what is known now. It takes no lock.
func (x *Index) Vantage(host container.HostID) *Vantage {
	for _, v := range x.surroundings().vantages {
		if v.Host == host {
			return v
		}
	}
	return &Vantage{Host: host, Elsewhere: true, Remote: []netip.Addr{}} // nothing is known of it
}

// vantage is the host's, nil if the host was not known.
func (s *surroundings) vantage(f *Feed) *Vantage {
	for _, v := range s.vantages {
		if v.feed == f {
			return v
		}
	}
	return nil
}

// isOwn reports whether the address is one of the machine's own.
func (s *surroundings) isOwn(ip netip.Addr) bool {
	return ip.IsLoopback() || slices.Contains(s.own, ip)
}
