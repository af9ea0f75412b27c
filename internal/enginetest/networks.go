package enginetest

import (
	"cmp"
	"net/netip"
	"slices"
)

// networksAnswer is every network, in the order of making, without its containers, which only Podman lists here.
func (e *Engine) networksAnswer() []networkJSON {
	e.mu.RLock()
	all := make([]*network, 0, len(e.networks))
	for _, n := range e.networks {
		if e.shows(n) {
			all = append(all, n)
		}
	}
	e.mu.RUnlock()
	slices.SortFunc(all, func(a, b *network) int { return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.name, b.name)) })
	list := make([]networkJSON, len(all))
	for i, n := range all {
		list[i] = e.networkAnswer(n, e.flavour == Podman)
	}
	return list
}

// shows is false for Podman's host and none, which are no networks there.
func (e *Engine) shows(n *network) bool { return e.flavour != Podman || n.driver == "bridge" }

func (e *Engine) networkAnswer(n *network, members bool) networkJSON {
	a := networkJSON{
		Name: n.name, ID: n.id, Created: n.created.UTC(), Scope: "local", Driver: n.driver, EnableIPv6: n.v6 != nil,
		IPAM:       ipamJSON{Driver: "default"},
		Containers: map[string]memberJSON{}, Options: map[string]string{}, Labels: map[string]string{},
	}
	switch e.flavour {
	case Docker2010:
		a.IPAM.Config = []subnetJSON{}
	case Podman:
		a.IPAM.Options = map[string]string{"driver": "host-local"}
	case Docker28:
		a.EnableIPv4 = new(bool)
		*a.EnableIPv4 = n.v4 != nil || n.driver != "bridge"
	}
	if e.flavour == Podman && n.name == e.flavour.bridge() {
		a.Name = "bridge" // here it goes by Docker's name, among a container's networks by its own
	}
	for _, p := range []*pool{n.v4, n.v6} {
		if p == nil {
			continue
		}
		s := subnetJSON{Subnet: p.subnet.String()}
		if n.auto || e.flavour == Podman || e.flavour == Docker28 && n.name == "bridge" {
			s.Gateway = p.gateway.String()
		}
		a.IPAM.Config = append(a.IPAM.Config, s)
	}
	if !members {
		return a
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	for id := range n.members {
		c := e.containers[id].now
		p := c.endpoint(n)
		a.Containers[id] = memberJSON{
			Name: c.Name, EndpointID: p.id,
			IPv4Address: withBits(p.ip4, n.v4), IPv6Address: withBits(p.ip6, n.v6),
		}
	}
	return a
}

func withBits(ip netip.Addr, p *pool) string {
	if !ip.IsValid() {
		return ""
	}
	return netip.PrefixFrom(ip, p.subnet.Bits()).String()
}
