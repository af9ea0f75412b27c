package asker

import (
	"net/netip"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Network returns the network on this machine in which the address lies, nil if there is none: a near host's. If all hosts
// are elsewhere it may be a network of any of them.
func (x *Index) Network(ip netip.Addr) *container.Network {
	s := x.surroundings()
	hosts := s.near
	if len(hosts) == 0 {
		hosts = s.far
	}
	for _, f := range hosts {
		if n := f.network(ip); n != nil {
			return n
		}
	}
	return nil
}

// OnBridge reports whether the address lies in a network of the host's containers that ends on the host.
func (x *Index) OnBridge(host container.HostID, ip netip.Addr) bool {
	f := x.feed(host)
	return f != nil && f.network(ip) != nil
}

// All returns all hosts, in the order in which they began.
func (x *Index) All() (hosts []container.HostID) {
	for _, f := range *x.feeds.Load() {
		hosts = append(hosts, f.host)
	}
	return hosts
}

// Bridges returns the subnets of the host's networks that end on the host: OnBridge's.
func (x *Index) Bridges(host container.HostID) (subnets []netip.Prefix) {
	f := x.feed(host)
	if f == nil {
		return nil
	}
	networks := f.known.Load().host.Networks
	for i := range networks {
		if !networks[i].Direct() {
			subnets = append(subnets, networks[i].Subnets...)
		}
	}
	return subnets
}

// Gateways returns the addresses at which the container reaches the host, one of each family at most: those on the network from
// which it asks, or else on another one of its. None of them leads to a host on another machine.
func (x *Index) Gateways(c *Client, host container.HostID) []netip.Addr {
	if c.feed == nil || !x.oneMachine(c.feed, x.feed(host)) {
		return nil
	}
	return c.gateways
}

// oneMachine reports whether the hosts are on one machine.
func (x *Index) oneMachine(a, b *Feed) bool {
	if a == b {
		return true
	}
	s := x.surroundings()
	return s.isNear(a) && s.isNear(b)
}

// BridgeAddrs returns this machine's own addresses on a bridge, one of each family, at which the host is reached by who counts
// as the Docker host: that may be a container, which comes masqueraded or through the machine's resolver, and to which
// loopback addresses are its own. An IPv6 address counts while containers run on its bridge, or who asks has it. The bridge
// from which who asks comes is preferred, then those of the host itself, then Docker's default one. Without any, the loopback
// addresses serve who comes from one. None leads to a host on another machine.
func (x *Index) BridgeAddrs(from netip.Addr, host container.HostID) []netip.Addr {
	s, f := x.surroundings(), x.feed(host)
	here := s.near
	if !s.isNear(f) {
		if f == nil || len(s.vantages) > 1 {
			return nil
		}
		here = s.far
	}
	var v4, v6 graded
	for _, near := range here {
		known := near.known.Load()
		for i := range known.host.Networks {
			n := &known.host.Networks[i]
			if n.Direct() {
				continue
			}
			grade := bridgeGrade(n, near == f, from)
			// To us in a container the host's addresses are not our own.
			asks := slices.Contains(n.Gateways, from) && !s.isOwn(from)
			for _, ip := range n.Gateways {
				switch {
				case !asks && !s.isOwn(ip):
				case ip.Is4():
					v4.better(ip, grade)
				case ip == from || near.usesGateway(ip): // else it may be tentative, RFC 4862 §5.4: a bridge has no carrier before there is a container on it
					v6.better(ip, grade)
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

// bridgeGrade says how much a bridge is preferred, the most if who asks comes from it.
func bridgeGrade(n *container.Network, ofHost bool, from netip.Addr) int {
	grade := 1
	if n.Name == "bridge" {
		grade = 2
	}
	switch {
	case has(n, from):
		return 5
	case ofHost:
		return grade + 2
	default:
		return grade
	}
}

// graded is an address with its grade; 0 is that of none.
type graded struct {
	ip    netip.Addr
	grade int
}

// better takes the address in place of one with a lower grade.
func (g *graded) better(ip netip.Addr, grade int) {
	if grade > g.grade {
		g.ip, g.grade = ip, grade
	}
}
