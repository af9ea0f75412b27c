package enginetest

import (
	"cmp"
	"maps"
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
	slices.SortFunc(all, func(a, b *network) int { return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.Name, b.Name)) })
	list := make([]networkJSON, len(all))
	for i, n := range all {
		list[i] = e.networkAnswer(n, e.flavour == Podman)
	}
	return list
}

// shows is false for Podman's host and none, which are no networks there.
func (e *Engine) shows(n *network) bool { return e.flavour != Podman || n.Driver == "bridge" }

func (e *Engine) networkAnswer(n *network, members bool) networkJSON {
	a := networkJSON{
		Name: n.Name, ID: n.id, Created: n.created.UTC(), Scope: "local", Driver: n.Driver, EnableIPv6: n.v6 != nil,
		Internal: n.Internal, Ingress: n.Ingress,
		IPAM:       ipamJSON{Driver: "default"},
		Containers: map[string]memberJSON{}, Options: map[string]string{}, Labels: map[string]string{},
	}
	if e.flavour != Podman {
		maps.Copy(a.Options, n.Options)
	}
	if n.spans() {
		a.Scope, a.Containers, a.Labels = "swarm", nil, nil
	}
	switch e.flavour {
	case Docker2010:
		a.IPAM.Config = []subnetJSON{}
	case Podman:
		a.IPAM.Options = map[string]string{"driver": "host-local"}
	case Docker28:
		a.EnableIPv4 = new(bool)
		*a.EnableIPv4 = n.v4 != nil || n.Driver != "bridge"
	}
	if e.flavour == Podman && n.Name == e.flavour.bridge() {
		a.Name = "bridge" // here it goes by Docker's name, among a container's networks by its own
	}
	for _, p := range []*pool{n.v4, n.v6} {
		if p == nil {
			continue
		}
		s := subnetJSON{Subnet: p.subnet.String()}
		if p.gateway.IsValid() && (n.auto || e.flavour == Podman || e.flavour == Docker28 && n.Name == "bridge") {
			s.Gateway = p.gateway.String()
		}
		a.IPAM.Config = append(a.IPAM.Config, s)
	}
	if !members {
		return a
	}
	a.Containers = map[string]memberJSON{}
	if n.ingress.IsValid() {
		a.Containers["ingress-sbox"] = memberJSON{Name: "gateway_ingress-sbox", EndpointID: e.hexID(n.id, 0), IPv4Address: withBits(n.ingress, n.v4)}
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	for id := range n.members {
		c := e.containers[id].now
		p, name := c.endpoint(n), c.Name
		if p == c.exit {
			name = "gateway_" + p.id[:12]
			if e.unnamed {
				id = "ep-" + p.id
			}
		}
		a.Containers[id] = memberJSON{
			Name: name, EndpointID: p.id,
			IPv4Address: withBits(p.ip4, n.v4), IPv6Address: withBits(p.ip6, n.v6),
		}
	}
	return a
}

// UnnamedGateways has containers stand on docker_gwbridge under their endpoints' ids in place of their own while on is set, as
// they do for some 20 ms around a start.
func (e *Engine) UnnamedGateways(on bool) { e.locked(func() { e.unnamed = on }) }

// libpodAnswer is the networks as Podman's own API lists them: with their options.
func (e *Engine) libpodAnswer() []libpodNetworkJSON {
	e.mu.RLock()
	defer e.mu.RUnlock()
	list := []libpodNetworkJSON{}
	for _, n := range e.networks {
		if e.shows(n) {
			list = append(list, libpodNetworkJSON{Name: n.Name, ID: n.id, Driver: n.Driver, Internal: n.Internal, Options: n.Options})
		}
	}
	return list
}

func withBits(ip netip.Addr, p *pool) string {
	if !ip.IsValid() {
		return ""
	}
	return netip.PrefixFrom(ip, p.subnet.Bits()).String()
}
