package asker

import (
	"net/netip"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// claim is what an address may be on a host.
type claim struct {
	feed    *Feed
	client  *Client            // the container that has the address, nil if none is known to
	network *container.Network // in which the address lies, if no client is set
}

// claim returns what the address is on the host's networks. Its network and client are nil if it is nothing there.
func (f *Feed) claim(ip netip.Addr) claim {
	if c := f.client(ip); c != nil {
		return claim{feed: f, client: c}
	}
	return claim{feed: f, network: f.network(ip)}
}

// on returns the network for which the claim is made.
func (c *claim) on() container.NetworkID {
	if c.client != nil {
		return c.client.network
	}
	return c.feed.networks().ID(c.network.Name)
}

// claims are those to one address, which are worth the same.
type claims struct {
	claim
	count int
}

func (all *claims) add(c claim) {
	switch {
	case all.count == 0:
		all.claim = c
	case c.client == all.client && c.on() == all.on():
		return // by way of another host, on a network that spans both
	}
	all.count++
}

// claimant returns what has the address, and how many do, of which one is returned.
//
// The networks of near hosts end on this machine, so what comes from an address in them is from these hosts alone: from one
// that is proven to be here before others, of which little is known yet. Who is on the LAN comes from there, whatever its host
// is. The networks of hosts further away may lead here, by routes that we do not know. Hosts give addresses without knowing of
// each other: none is anybody's that may be two hosts'.
//
// An address of the machine's own is a container's only if we run in that.
func (s *surroundings) claimant(ip netip.Addr, own bool) (claim, int) {
	var bridged, lan, routed claims
	for i, f := range s.near {
		if i == s.certain && bridged.count > 0 {
			break
		}
		s.collect(f.claim(ip), ip, own, &bridged, &lan)
	}
	if bridged.count == 0 && (!own || len(s.near) == 0) {
		for _, f := range s.far {
			s.collect(f.claim(ip), ip, own, &routed, &lan)
		}
	}
	for _, all := range []*claims{&bridged, &lan, &routed} {
		if all.count > 0 {
			return all.claim, all.count
		}
	}
	return claim{}, 0
}

// collect adds the claim to those on the LAN or to the others. On a network that spans hosts it is the container's that has
// the address there, whatever its host is.
func (s *surroundings) collect(c claim, ip netip.Addr, own bool, others, lan *claims) {
	if c.client == nil && (own || c.network == nil) {
		return
	}
	network := c.on()
	if c.client != nil && s.Direct(network) {
		lan.add(c)
		return
	}
	if !s.spans(network) {
		others.add(c)
		return
	}
	known := false
	for _, v := range s.vantages {
		if there := v.feed.client(ip); there != nil && there.network == network {
			others.add(claim{feed: v.feed, client: there})
			known = true
		}
	}
	if !known {
		others.add(c)
	}
}

// asker returns who asks from the address, by what it is.
func (s *surroundings) asker(c claim, ip netip.Addr) Asker {
	switch {
	case c.client != nil:
		return s.container(c.client)
	case !slices.Contains(c.network.Gateways, ip): // a container that is not known yet
		facts := &container.Container{Endpoints: []container.Endpoint{{Network: c.network.Name, Gateways: c.network.Gateways}}}
		base := newClient(c.feed, facts)
		client := base.from(&facts.Endpoints[0])
		if c.network.Spans && len(s.vantages) > 1 { // it may be any host's
			client.feed = nil
		}
		return s.container(client)
	case s.isNear(c.feed): // the host, for us who run in a container, and who asks at a port that we publish
		a := s.dockerHost()
		a.Masked = true
		return a
	default:
		return Asker{Kind: zone.Elsewhere}
	}
}

// container is a container that asks. It sends to others through its host, unless it is a neighbour of theirs itself.
func (s *surroundings) container(c *Client) Asker {
	return Asker{Kind: zone.Container, Hosts: s.hostsOf(c.feed), Client: c, Here: s.isNear(c.feed) && !s.Direct(c.network)}
}

// hostsOf returns the host of a container that asks, none if that is not known.
func (s *surroundings) hostsOf(f *Feed) []container.HostID {
	switch {
	case len(s.vantages) == 1:
		return nil
	case f == nil:
		return []container.HostID{}
	default:
		return f.hosts
	}
}

// dockerHost is who asks from this machine: the near hosts, as far as there are any.
func (s *surroundings) dockerHost() Asker {
	if len(s.near) == 0 && len(s.far) > 0 {
		return Asker{Kind: zone.Elsewhere}
	}
	return Asker{Kind: zone.Host, Hosts: s.hosts, Here: true, Masked: s.masks}
}

func (s *surroundings) isNear(f *Feed) bool { return slices.Contains(s.near, f) }
