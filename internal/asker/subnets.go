package asker

import (
	"net/netip"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// subnets are those of all hosts' networks. What lies in none is found to do so at a cost that does not grow with the number of
// hosts: most who ask from elsewhere ask from there.
type subnets struct {
	all  map[netip.Prefix]bool
	bits [2][]int // the lengths of the IPv4 and of the IPv6 prefixes
}

func (s *subnets) add(n *container.Network) {
	for _, p := range n.Subnets {
		p = p.Masked()
		if s.all == nil {
			s.all = map[netip.Prefix]bool{}
		}
		if s.all[p] = true; !slices.Contains(s.bits[family(p.Addr())], p.Bits()) {
			s.bits[family(p.Addr())] = append(s.bits[family(p.Addr())], p.Bits())
		}
	}
}

// has reports whether the address lies in one of them.
func (s *subnets) has(ip netip.Addr) bool {
	for _, bits := range s.bits[family(ip)] {
		if p, err := ip.Prefix(bits); err == nil && s.all[p] {
			return true
		}
	}
	return false
}

func family(ip netip.Addr) int {
	if ip.Is4() {
		return 0
	}
	return 1
}

// stray notes whether the address is a container's of the host and lies in none of its networks: a container may be told before its
// network is.
func (f *Feed) stray(ip netip.Addr) {
	if f.client(ip) != nil && !f.known.Load().has(ip) {
		f.strays.add(f.index, ip)
	} else if f.strays[ip] {
		delete(f.strays, ip)
		f.index.strays.Add(-1)
	}
}

// strays are addresses of a host's containers.
type strays map[netip.Addr]bool

func (s strays) add(x *Index, ip netip.Addr) {
	if !s[ip] {
		s[ip] = true
		x.strays.Add(1)
	}
}

// has reports whether the address lies in one of the host's networks.
func (k *known) has(ip netip.Addr) bool {
	return slices.ContainsFunc(k.host.Networks, func(n container.Network) bool { return has(&n, ip) })
}

// somewhere reports whether the address may be one on a host's network.
func (x *Index) somewhere(ip netip.Addr) bool {
	return x.strays.Load() > 0 || x.networks.Load().subnets.has(ip)
}
