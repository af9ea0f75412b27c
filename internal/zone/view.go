package zone

import (
	"net/netip"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// View is who asks, as far as the answer depends on it. The zero View is the Docker
// host, which reaches all containers.
type View struct {
	Asker Asker
	// Hosts are those that count as the asker's own: the host of the container that asks, or all that the Docker host that
	// asks is. Nil are all.
	Hosts []container.HostID
	// Networks are those of the container that asks, Project and Service Compose's for it.
	Networks         []container.NetworkID
	Project, Service string
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
	// Gateways returns the addresses at which the container that asks, or the host itself,
	// reaches what uses the network of the host.
	Gateways(container.HostID) []netip.Addr
	// HostAddrs returns the addresses at which the host is reached from elsewhere.
	HostAddrs(container.HostID) []netip.Addr
	// Publish reports whether published ports are to be answered for.
	Publish() bool
	// Direct reports whether containers on the network are reached from elsewhere by
	// their own addresses.
	Direct(network container.NetworkID) bool
	// OnBridge reports whether the address lies in a network of the host's containers, which from elsewhere is not reached.
	OnBridge(host container.HostID, ip netip.Addr) bool
}

// Loopback is where the host reaches itself, and so what uses its network if no Server knows better. It must not
// be changed.
var Loopback = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}

// noNetwork is no network's ID.
var noNetwork container.NetworkID

// reached is an address at which the asker reaches a container.
type reached struct {
	ip    netip.Addr
	entry *Entry
}

// addresses returns the addresses at which the view reaches the name's containers, each
// once.
func (n *node) addresses(v *View) []netip.Addr {
	var buf [8]reached // enough for most names, without an allocation
	all := n.reach(buf[:0], v)
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
func (n *node) reach(all []reached, v *View) []reached {
	switch v.Asker {
	case Host:
		all = n.near(all, v)
	case Container:
		if all = n.shared(all, v); len(all) == 0 && !v.Isolate {
			all = n.near(all, v)
		}
	case Elsewhere:
		all = n.far(all, v)
	}
	return fit(all, v)
}

func (r reached) claimant() *Entry { return r.entry }
func (h held) claimant() *Entry    { return h.entry }

// fit keeps the well ones of those who could answer, or all if none is, apart from those who
// may answer only when they are well.
func fit[T interface{ claimant() *Entry }](all []T, v *View) []T {
	all = slices.DeleteFunc(all, func(t T) bool { return t.claimant().RequireWell && !v.well(t.claimant()) })
	well := 0
	for _, t := range all {
		if v.well(t.claimant()) {
			well++
		}
	}
	if well == 0 || well == len(all) {
		return all
	}
	return slices.DeleteFunc(all, func(t T) bool { return !v.well(t.claimant()) })
}

// well reports whether the container is well, as the view has it: members of a Compose
// service need to find each other before they can be healthy.
func (v *View) well(entry *Entry) bool {
	peers := v.Project != "" && v.Service != "" && v.Project == entry.Project && v.Service == entry.Service
	return !entry.Draining && (!entry.Sick || peers)
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

// near adds the addresses of the containers, and the host's for those that use its network.
// A neighbour on the LAN may be out of reach from the host and its bridges, so a container's
// address on a direct network counts only if it has no other.
func (n *node) near(all []reached, v *View) []reached {
	guard := n.guard()
	var entry *Entry
	var first int   // of the entry's in all
	var bridge bool // they are not on direct networks
	for i := range n.claims[:n.winners] {
		h := &n.claims[i]
		if h.entry != entry { // one's claims stand together
			entry, first, bridge = h.entry, len(all), false
		}
		if !h.gives() || guard.keeps(h, v) {
			continue
		}
		for _, a := range h.entry.Addresses {
			direct := v.Server != nil && v.Server.Direct(a.Network)
			if !h.claim.gives(a) || direct && bridge {
				continue
			}
			if !direct && !bridge {
				all, bridge = all[:first], true
			}
			all = append(all, reached{a.IP, h.entry})
		}
		if h.entry.HostNetwork {
			all = h.entry.at(all, v.gateways(h.entry.Host))
		}
	}
	return all
}

// shared adds the addresses on the networks of the container that asks. What uses the
// host's network shares all that reach the host, unless it is to be hidden.
func (n *node) shared(all []reached, v *View) []reached {
	guard := n.guard()
	for i := range n.claims[:n.winners] {
		h := &n.claims[i]
		if !h.gives() || guard.keeps(h, v) {
			continue
		}
		for _, a := range h.entry.Addresses {
			if h.claim.gives(a) && slices.Contains(v.Networks, a.Network) {
				all = append(all, reached{a.IP, h.entry})
			}
		}
		if h.entry.HostNetwork && !v.Isolate {
			all = h.entry.at(all, v.gateways(h.entry.Host))
		}
	}
	return all
}

// far adds what is reached from elsewhere: neighbours on the LAN, and the host for what
// others publish and for what uses its network. A neighbour is not at the host too, where its
// ports may have other numbers.
func (n *node) far(all []reached, v *View) []reached {
	if v.Server == nil {
		return all
	}
	guard := n.guard()
	var entry *Entry
	var first int      // of the entry's in all
	var neighbour bool // they are its own
	for i := range n.claims[:n.winners] {
		h := &n.claims[i]
		if h.entry != entry { // one's claims stand together
			entry, first, neighbour = h.entry, len(all), false
		}
		if !h.gives() || guard.keeps(h, v) {
			continue
		}
		for _, a := range h.entry.Addresses {
			if !h.claim.gives(a) || !v.Server.Direct(a.Network) {
				continue
			}
			if !neighbour {
				all, neighbour = all[:first], true
			}
			all = append(all, reached{a.IP, h.entry})
		}
		switch {
		case h.entry.HostNetwork:
			all = h.entry.at(all, v.Server.HostAddrs(h.entry.Host))
		case !neighbour && len(h.entry.Published) > 0 && v.Server.Publish():
			all = h.entry.at(all, h.entry.published(v.Server))
		}
	}
	return all
}

// neighbour reports whether who is elsewhere reaches the container by an address of its own, on the LAN.
func (entry *Entry) neighbour(v *View) bool {
	return v.Server != nil && slices.ContainsFunc(entry.Addresses, func(a Address) bool { return v.Server.Direct(a.Network) })
}

func (entry *Entry) at(all []reached, ips []netip.Addr) []reached {
	for _, ip := range ips {
		all = append(all, reached{ip, entry})
	}
	return all
}

// published returns where the container's ports are published for those elsewhere: on the addresses
// that it names, or on those of the host's that are of a family.
func (entry *Entry) published(server Server) []netip.Addr {
	var ips []netip.Addr
	for _, p := range entry.Published {
		if !p.IsUnspecified() {
			if !server.OnBridge(entry.Host, p) {
				ips = append(ips, p)
			}
			continue
		}
		for _, ip := range server.HostAddrs(entry.Host) {
			if ip.Is4() == p.Is4() {
				ips = append(ips, ip)
			}
		}
	}
	return ips
}

func (v *View) gateways(host container.HostID) []netip.Addr {
	switch {
	case v.Server != nil:
		return v.Server.Gateways(host)
	case v.Asker == Host:
		return Loopback
	default:
		return nil
	}
}

// gives reports whether the claim is answered with addresses, and its claimant runs.
func (h *held) gives() bool { return h.claim.addresses() && !h.entry.Held }

// addresses reports whether the claim is answered with addresses.
func (c *Claim) addresses() bool { return c.Data == nil }

// gives reports whether the claim lets the address answer.
func (c *Claim) gives(a Address) bool { return c.Network == noNetwork || c.Network == a.Network }
