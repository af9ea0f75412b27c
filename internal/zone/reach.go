package zone

import (
	"net/netip"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// reached is an address at which the asker reaches a container.
type reached struct {
	ip    netip.Addr
	entry *Entry
}

func (r reached) owner() *Entry  { return r.entry }
func (c claimant) owner() *Entry { return c.entry }

// addresses returns the addresses at which the view reaches the name's containers, each
// once.
func (n *node) addresses(s *Snapshot, v *View) []netip.Addr {
	var buf [8]reached // enough for most names, without an allocation
	all := n.reach(s, buf[:0], v)
	if sameAddrs(all, n.addrs) { // the usual case: the asker reaches all that the host does
		return n.addrs
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

// reach adds the addresses at which the view reaches the name's containers. The first of these lines that gives one is the
// whole answer, and of that are selected whom the asker should prefer:
//
//   - to a container: the addresses on its own networks
//   - to a container, unless it is isolated, and to the Docker host: those on networks of the host that they are on
//   - of other hosts' containers, and to who is elsewhere: what is reached from there
func (n *node) reach(s *Snapshot, all []reached, v *View) []reached {
	g := n.guard(v)
	if v.Asker == Container {
		all = n.each(all, v, g, true)
	}
	if len(all) == 0 && (v.Asker != Container || !v.Isolate) {
		all = n.each(all, v, g, false)
	}
	if v.why != nil {
		n.unreached(all, v, g)
	}
	return selected(s, all, v)
}

// each adds what each of those gives who answer and run: what is shared with the container that asks, or what is not.
func (n *node) each(all []reached, v *View, g guard, shared bool) []reached {
	winners := n.claims[:n.winners]
	for i, end := 0, 0; i < len(winners); i = end { // one's claims stand together
		entry := winners[i].entry
		for end = i; end < len(winners) && winners[end].entry == entry; end++ {
		}
		claims := winners[i:end]
		switch {
		case entry.Held:
		case shared:
			all = v.shared(all, g, claims)
		case v.Asker != Elsewhere && v.local(entry):
			all = v.near(all, g, claims)
		default:
			all = v.far(all, g, claims)
		}
	}
	return all
}

// usable reports whether the claim may answer the view with addresses.
func (g guard) usable(c *claimant, v *View) bool { return c.claim.addresses() && !g.keeps(c, v) }

// whole reports whether one of the claims may answer for all that the container has.
func (g guard) whole(claims []claimant, v *View) bool {
	for i := range claims {
		if g.usable(&claims[i], v) {
			return true
		}
	}
	return false
}

// on adds the addresses on networks of the kind that one's claims give.
func (v *View) on(all []reached, g guard, claims []claimant, k kind) []reached {
	for i := range claims {
		if c := &claims[i]; g.usable(c, v) {
			for _, a := range c.entry.Addresses {
				if c.claim.gives(a) && v.is(a, k) {
					all = append(all, reached{a.IP, c.entry})
				}
			}
		}
	}
	return all
}

// at adds the addresses as those of the container.
func (entry *Entry) at(all []reached, ips []netip.Addr) []reached {
	for _, ip := range ips {
		all = append(all, reached{ip, entry})
	}
	return all
}

// shared adds the addresses on the networks of the container that asks. What uses its host's network shares all that reach
// the host, unless it is to be hidden.
func (v *View) shared(all []reached, g guard, claims []claimant) []reached {
	entry := claims[0].entry
	all = v.on(all, g, claims, own)
	if entry.HostNetwork && !v.Isolate && v.local(entry) && g.whole(claims, v) {
		all = entry.at(all, v.gateways(entry.Host))
	}
	return all
}

// near adds the addresses of the asker's host's container, and the host's for one that uses its network.
// A neighbour on the LAN may be out of reach from the host and its bridges, so a container's
// address on a direct network counts only if it has no other.
func (v *View) near(all []reached, g guard, claims []claimant) []reached {
	entry, before := claims[0].entry, len(all)
	if all = v.on(all, g, claims, bridge); len(all) == before {
		all = v.on(all, g, claims, direct)
	}
	if entry.HostNetwork && g.whole(claims, v) {
		all = entry.at(all, v.gateways(entry.Host))
	}
	return all
}

// far adds what is reached from elsewhere: neighbours on the LAN, and the host for what
// others publish and for what uses its network. A neighbour is not at the host too, where its
// ports may have other numbers.
func (v *View) far(all []reached, g guard, claims []claimant) []reached {
	if v.Server == nil || !g.whole(claims, v) {
		return all
	}
	entry, before := claims[0].entry, len(all)
	all = v.on(all, g, claims, direct)
	switch {
	case entry.HostNetwork:
		all = entry.at(all, v.Server.HostAddrs(entry.Host))
	case len(all) == before && len(entry.Published) > 0 && v.Server.Publish():
		all = entry.at(all, entry.published(v.Server))
	}
	return all
}

// kind is one of networks, seen from the asker.
type kind uint8

const (
	own    kind = iota // the container that asks is on it
	direct             // its containers are neighbours on the LAN
	bridge             // any other
)

func (v *View) is(a Address, k kind) bool {
	if k == own {
		return slices.Contains(v.Networks, a.Network)
	}
	return (k == direct) == (a.Reach&container.OnLAN != 0)
}

// neighbour reports whether who is elsewhere reaches the container by an address of its own, on the LAN.
func (entry *Entry) neighbour(v *View) bool {
	return slices.ContainsFunc(entry.Addresses, func(a Address) bool { return v.is(a, direct) })
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

// selected returns those of whom could answer that the asker should prefer, each of these if there are any: those of its own
// host; of hosts that are current; who is well. Who answers only when it is well does not count else.
func selected[T interface{ owner() *Entry }](s *Snapshot, all []T, v *View) []T {
	all = prefer(all, v, Unwell, true, func(e *Entry) bool { return !e.RequireWell || v.well(e) })
	if v.Hosts != nil {
		all = prefer(all, v, OtherHost, false, v.local)
	}
	if s.away > 0 {
		all = prefer(all, v, HostAway, false, func(e *Entry) bool { return s.hosts[e.Host] != Away })
	}
	return prefer(all, v, Unwell, false, v.well)
}

// prefer keeps those who are better; of none is, all, unless they must be.
func prefer[T interface{ owner() *Entry }](all []T, v *View, reason Reason, must bool, better func(*Entry) bool) []T {
	n := countFunc(all, func(t T) bool { return better(t.owner()) })
	if n == len(all) || n == 0 && !must {
		return all
	}
	return slices.DeleteFunc(all, func(t T) bool {
		out := !better(t.owner())
		if out && v.why != nil {
			v.why.out(t.owner(), reason)
		}
		return out
	})
}

// addresses reports whether the claim is answered with addresses.
func (c *Claim) addresses() bool { return c.Data == nil }

// gives reports whether the claim lets the address answer.
func (c *Claim) gives(a Address) bool { return c.Network == noNetwork || c.Network == a.Network }
