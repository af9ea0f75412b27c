package zone

import (
	"net/netip"
	"slices"
)

// View is who asks, as far as the answer depends on it. The zero View is the Docker
// host, which reaches all containers.
type View struct {
	Asker Asker
	// Networks are those of the container that asks.
	Networks []string
	// Isolate hides from a container that asks what shares no network with it.
	Isolate bool
	// Server may be nil: then what only it knows is not answered.
	Server Server
}

// Asker is a kind of who asks.
type Asker uint8

// The kinds of askers.
const (
	Host      Asker = iota // the Docker host itself
	Container              // a container of its engine
	Elsewhere              // the LAN and all others
)

// Server is what a name server knows of itself and its surroundings. Few answers need
// it, so it is asked only for these.
type Server interface {
	// Addrs returns the addresses at which the asker reaches the server: those of our
	// name server's name.
	Addrs() []netip.Addr
	// Gateways returns the addresses at which the container that asks reaches the host.
	Gateways() []netip.Addr
	// HostAddrs returns the addresses at which the host is reached from elsewhere.
	HostAddrs() []netip.Addr
	// Publish reports whether published ports are to be answered for.
	Publish() bool
	// Direct reports whether containers on the network are reached from elsewhere by
	// their own addresses.
	Direct(network string) bool
}

// loopback is where the host reaches what uses its network.
var loopback = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}

// reached is an address at which the asker reaches a container.
type reached struct {
	ip    netip.Addr
	entry *Entry
}

// addresses returns the addresses at which the view reaches the name's containers, each
// once.
func (n *node) addresses(v *View, requireWell bool) []netip.Addr {
	var buf [8]reached // enough for most names, without an allocation
	all := n.reach(buf[:0], v, requireWell)
	if addrs := n.addrs(); sameAddrs(all, addrs) { // the usual case: the asker reaches all that the host does
		return addrs
	}
	ips := make([]netip.Addr, 0, len(all))
	var seen map[netip.Addr]bool
	if len(all) > len(buf) {
		seen = make(map[netip.Addr]bool, len(all))
	}
	for _, r := range all {
		if seen == nil && slices.Contains(ips, r.ip) || seen[r.ip] {
			continue
		}
		if seen != nil {
			seen[r.ip] = true
		}
		ips = append(ips, r.ip)
	}
	return ips
}

// reach adds the addresses at which the view reaches the name's containers: the well
// ones, or all if none is well.
func (n *node) reach(all []reached, v *View, requireWell bool) []reached {
	switch v.Asker {
	case Host:
		all = n.near(all, v, loopback)
	case Container:
		if all = n.shared(all, v); len(all) == 0 && !v.Isolate {
			all = n.near(all, v, v.gateways())
		}
	case Elsewhere:
		all = n.far(all, v)
	}
	well := 0
	for _, r := range all {
		if r.entry.Well {
			well++
		}
	}
	switch {
	case well == len(all), well == 0 && !requireWell:
		return all
	default:
		return slices.DeleteFunc(all, func(r reached) bool { return !r.entry.Well })
	}
}

// sameAddrs reports whether the addresses are just these.
func sameAddrs(all []reached, ips []netip.Addr) bool {
	if len(all) != len(ips) {
		return false
	}
	for i, r := range all {
		if r.ip != ips[i] {
			return false
		}
	}
	return true
}

// near adds all addresses of the containers, and the host's for those that use its
// network.
func (n *node) near(all []reached, v *View, host []netip.Addr) []reached {
	bare := n.unambiguous()
	for _, h := range n.claims[:n.winners] {
		if !h.claim.addresses() || h.claim.Bare && !bare {
			continue
		}
		for _, a := range h.entry.Addresses {
			if h.claim.gives(a) {
				all = append(all, reached{a.IP, h.entry})
			}
		}
		if h.entry.HostNetwork {
			all = h.entry.at(all, host)
		}
	}
	return all
}

// shared adds the addresses on the networks of the container that asks. What uses the
// host's network shares all that reach the host, unless it is to be hidden.
func (n *node) shared(all []reached, v *View) []reached {
	for _, h := range n.claims[:n.winners] {
		if !h.claim.addresses() {
			continue
		}
		for _, a := range h.entry.Addresses {
			if h.claim.gives(a) && slices.Contains(v.Networks, a.Network) {
				all = append(all, reached{a.IP, h.entry})
			}
		}
		if h.entry.HostNetwork && !v.Isolate {
			all = h.entry.at(all, v.gateways())
		}
	}
	return all
}

// far adds what is reached from elsewhere: neighbours on the LAN, and the host for what
// it publishes and for what uses its network.
func (n *node) far(all []reached, v *View) []reached {
	if v.Server == nil {
		return all
	}
	bare := n.unambiguous()
	for _, h := range n.claims[:n.winners] {
		if !h.claim.addresses() || h.claim.Bare && !bare {
			continue
		}
		for _, a := range h.entry.Addresses {
			if h.claim.gives(a) && v.Server.Direct(a.Network) {
				all = append(all, reached{a.IP, h.entry})
			}
		}
		switch {
		case h.entry.HostNetwork:
			all = h.entry.at(all, v.Server.HostAddrs())
		case len(h.entry.Published) > 0 && v.Server.Publish():
			all = h.entry.at(all, h.entry.published(v.Server.HostAddrs()))
		}
	}
	return all
}

func (entry *Entry) at(all []reached, ips []netip.Addr) []reached {
	for _, ip := range ips {
		all = append(all, reached{ip, entry})
	}
	return all
}

// published returns where the container's ports are published: on the addresses that it
// names, or on those of the host's that are of a family.
func (entry *Entry) published(host []netip.Addr) []netip.Addr {
	var ips []netip.Addr
	for _, p := range entry.Published {
		if !p.IsUnspecified() {
			ips = append(ips, p)
			continue
		}
		for _, ip := range host {
			if ip.Is4() == p.Is4() {
				ips = append(ips, ip)
			}
		}
	}
	return ips
}

func (v *View) gateways() []netip.Addr {
	if v.Server == nil {
		return nil
	}
	return v.Server.Gateways()
}

// addresses reports whether the claim is answered with addresses.
func (c *Claim) addresses() bool { return c.Data == nil }

// gives reports whether the claim lets the address answer.
func (c *Claim) gives(a Address) bool { return c.Network == "" || c.Network == a.Network }

// unambiguous reports whether the bare claims to the name belong together: they all
// come from one project, or from one network.
func (n *node) unambiguous() bool {
	var first *held
	project, network := true, true
	for i := range n.claims[:n.winners] {
		h := &n.claims[i]
		switch {
		case !h.claim.Bare || h.entry.Held:
		case first == nil:
			first = h
			project = h.entry.Project != ""
		default:
			project = project && h.entry.Project == first.entry.Project
			network = network && h.claim.Network == first.claim.Network
		}
	}
	return project || network
}

// inScope reports whether the name exists for who asks. Only in zone . it may not.
func (n *node) inScope(v *View) bool {
	if v.Asker == Host || n.winners == 0 || n.origin == nil || !n.origin.root {
		return true
	}
	return slices.ContainsFunc(n.claims[:n.winners], func(h held) bool {
		networks := h.entry.Networks
		if h.claim.Network != "" {
			networks = []string{h.claim.Network}
		}
		return !h.claim.Scoped || slices.ContainsFunc(networks, func(name string) bool { return slices.Contains(v.Networks, name) })
	})
}

// hidden reports whether the name is hidden from who asks, since it is not for all, or by isolation: none of
// those who answer for it is on a network of the container that asks.
func (n *node) hidden(v *View) bool {
	if !n.inScope(v) {
		return true
	}
	if !v.Isolate || v.Asker != Container || n.winners == 0 {
		return false
	}
	return !slices.ContainsFunc(n.claims[:n.winners], func(h held) bool {
		return h.entry.Held || slices.ContainsFunc(h.entry.Addresses, func(a Address) bool { return slices.Contains(v.Networks, a.Network) })
	})
}
