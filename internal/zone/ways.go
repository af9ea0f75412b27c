package zone

import (
	"net/netip"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// way is one by which an asker may reach a container's own address.
type way uint8

const (
	own          way = iota // the container that asks is on the network too
	bridged                 // the host is, as on all bridges
	neighbouring            // the network is one of the LAN's, to which the host may have a way
	routed                  // the host leads there from its other networks
	outside                 // it is reached from elsewhere
)

// leads reports whether the asker reaches the address that way.
func (v *View) leads(w way, a Address) bool { return v.hindrance(w, a) == Given }

// hindrance says what keeps the asker from the address that way, Given if nothing does.
func (v *View) hindrance(w way, a Address) Hindrance {
	has := func(r container.Reach) bool { return a.Reach&r != 0 }
	switch w {
	case own:
		switch {
		case has(container.Unshared) && !has(container.OffHost) && v.has(a): // it reaches itself
			return Given
		case has(container.Unshared):
			return NotShared
		case !slices.Contains(v.Networks, a.Network):
			return NotOnNetwork
		}
		return Given
	case bridged:
		switch {
		case has(container.OffHost):
			return NoWayThere
		case has(container.OnLAN):
			return OnLANOnly
		}
		return Given
	case neighbouring:
		switch {
		case has(container.OffHost):
			return NoWayThere
		case !has(container.OnLAN):
			return WithinHost
		}
		return Given
	case routed:
		switch {
		case v.confined():
			return Confined
		case !has(container.Forwarded), has(container.Apart) && v.Outbound == container.ApartOut:
			return NotForwarded
		}
	default:
		switch {
		case v.confined():
			return Confined
		case !a.outside():
			return WithinHost
		case !v.Outside.has(a.IP):
			return OtherFamily
		}
	}
	if !v.speaks(a.IP) {
		return OtherFamily
	}
	return Given
}

// outside reports whether the address is reached from elsewhere.
func (a Address) outside() bool { return a.Reach&(container.OnLAN|container.Routed) != 0 }

// confined reports whether it is a container that asks from which nothing leads to other networks.
func (v *View) confined() bool { return v.Asker == Container && v.Outbound == container.NoWayOut }

// speaks reports whether the asker can reach addresses of the family outside its networks.
func (v *View) speaks(ip netip.Addr) bool { return v.Families.has(ip) }

// has reports whether the address may be of one of the families.
func (f Families) has(ip netip.Addr) bool { return f == 0 || f&FamilyOf(ip) != 0 }
