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
	ports ports
}

// ports says which of a container's ports are reached at an address.
type ports uint8

const (
	allPorts  ports = iota // all that it serves
	openPorts              // those that are published, at their own numbers
	hostPorts              // those that are published, at the numbers that they have at the host
)

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
//   - to a container, unless it is isolated, of its host's containers: where their host leads, which is to their own
//     addresses or to the ports that it publishes
//   - to the Docker host, of its own containers: their addresses, as far as it has a way there
//   - to who is elsewhere, and of other hosts' containers: what is reached from there
//   - of a Swarm's services: the nodes that take their ports
func (n *node) reach(s *Snapshot, all []reached, v *View) []reached {
	g := n.guard(v)
	if v.Asker == Container {
		all = n.each(all, v, g, true)
	}
	if len(all) == 0 && (v.Asker != Container || !v.Isolate) {
		if all = n.each(all, v, g, false); len(all) == 0 {
			all = n.mesh(all, v, g)
		}
	}
	if v.why != nil {
		n.unreached(all, v, g)
	}
	return selected(s, all, n, v)
}

// expected reports whether a container of the asker's own host restarts, which is to answer again: others do not meanwhile.
func (n *node) expected(v *View) bool {
	if v.Hosts == nil {
		return false
	}
	restarts := func(c claimant) bool { return c.entry.Held && !c.entry.Gone && v.local(c.entry) }
	return slices.ContainsFunc(n.claims[:n.winners], restarts) || n.front.has(restarts)
}

// each adds what each of those gives who answer and run, or of the proxies that do so for them: what is shared with the container
// that asks, or what is not.
func (n *node) each(all []reached, v *View, g guard, shared bool) []reached {
	winners := n.claims[:n.winners]
	for i, end := 0, 0; i < len(winners); i = end { // one's claims stand together
		entry := winners[i].entry
		for end = i; end < len(winners) && winners[end].entry == entry; end++ {
		}
		all = v.one(all, g, winners[i:end], shared)
	}
	proxies := n.front.list()
	for i := range proxies {
		all = v.one(all, guard{}, proxies[i:i+1], shared)
	}
	return all
}

// one adds what one gives by its claims, if it runs.
func (v *View) one(all []reached, g guard, claims []claimant, shared bool) []reached {
	switch {
	case claims[0].entry.Held:
		return all
	case shared:
		return v.shared(all, g, claims)
	default:
		return v.apart(all, g, claims)
	}
}

// reach adds the addresses at which the view reaches the container by a name that stands for the part of it.
func (entry *Entry) reach(all []reached, v *View, p Part) []reached {
	whole := [...]claimant{{entry, &partClaims[p]}}
	if v.Asker == Container {
		all = v.shared(all, guard{}, whole[:])
	}
	if len(all) == 0 && (v.Asker != Container || !v.Isolate) {
		if all = v.apart(all, guard{}, whole[:]); len(all) == 0 {
			all = v.mesh(all, entry)
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

// on adds the addresses that one's claims give and that the asker reaches that way.
func (v *View) on(all []reached, g guard, claims []claimant, w way) []reached {
	for i := range claims {
		if c := &claims[i]; g.usable(c, v) {
			for _, a := range c.entry.Addresses {
				if !c.claim.gives(a) || !v.leads(w, a) {
					continue
				}
				at := reached{ip: a.IP, entry: c.entry}
				if w >= routed && a.Reach&container.RoutedPorts != 0 {
					at.ports = openPorts
				}
				all = append(all, at)
			}
		}
	}
	return all
}

// at adds the host's addresses as those of the container, of the families that the asker has.
func (v *View) at(all []reached, entry *Entry, ips []netip.Addr, p ports) []reached {
	for _, ip := range ips {
		if v.speaks(ip) && (!v.beyond(entry) || v.Outside.has(ip)) {
			all = append(all, reached{ip, entry, p})
		}
	}
	return all
}

// shared adds the addresses on the networks of the container that asks. What uses its host's network shares all that reach
// the host, unless it is to be hidden.
func (v *View) shared(all []reached, g guard, claims []claimant) []reached {
	entry := claims[0].entry
	all = v.on(all, g, claims, own)
	if entry.HostNetwork && !v.Isolate && v.local(entry) && g.whole(claims, v) {
		all = v.at(all, entry, v.gateways(entry.Host), allPorts)
	}
	return all
}

// apart adds what one's claims give to who shares no network with the container: its own addresses, as far as they are reached,
// else its host's, for the ports that are published there. A container that has not the host's network is not at the host too
// where it is reached by itself, since its ports may have other numbers there.
func (v *View) apart(all []reached, g guard, claims []claimant) []reached {
	entry, before := claims[0].entry, len(all)
	if !g.whole(claims, v) {
		return all
	}
	switch {
	case v.beyond(entry):
		all = v.on(all, g, claims, outside)
	case v.Asker == Container:
		all = v.on(all, g, claims, routed)
	default:
		if all = v.on(all, g, claims, bridged); len(all) == before {
			all = v.on(all, g, claims, neighbouring)
		}
	}
	switch {
	case entry.HostNetwork:
		all = v.at(all, entry, v.hostAddrs(entry), allPorts)
	case len(all) == before && len(entry.Published) > 0 && g.reaches(claims, v):
		all = v.published(all, entry)
	}
	return all
}

// reaches reports whether one of the claims may answer with an address that the container has, whoever reaches that. A claim to
// an alias on a network that the container has left is only there until its facts are known.
func (g guard) reaches(claims []claimant, v *View) bool {
	for i := range claims {
		if c := &claims[i]; g.usable(c, v) && (c.claim.Network == noNetwork || c.entry.Swarm != nil || slices.ContainsFunc(c.entry.Addresses, c.claim.gives)) {
			return true
		}
	}
	return false
}

// published adds where the container's ports are published: on the addresses that they name, or on those of the host's that are
// of a family. Of a loopback address only the host itself could make use, and who counts as the host may be a container.
func (v *View) published(all []reached, entry *Entry) []reached {
	beyond := v.beyond(entry)
	switch {
	case v.unpublished(entry) != Given:
		return all
	case v.Server == nil:
		return v.at(all, entry, v.hostAddrs(entry), hostPorts)
	}
	for _, p := range entry.Published {
		switch {
		case p.IsUnspecified():
			for _, ip := range v.hostAddrs(entry) {
				if ip.Is4() == p.Is4() {
					all = v.at(all, entry, []netip.Addr{ip}, hostPorts)
				}
			}
		case p.IsLoopback(), beyond && v.Server.OnBridge(entry.Host, p):
		default:
			all = v.at(all, entry, []netip.Addr{p}, hostPorts)
		}
	}
	return all
}

// unpublished says what keeps the ports that the container publishes from the asker, Given if nothing is known to.
func (v *View) unpublished(entry *Entry) Hindrance {
	beyond := v.beyond(entry)
	switch {
	case len(entry.Published) == 0:
		return NoPorts
	case v.Server == nil:
		return Given
	case beyond && !v.Server.Publish():
		return NotToPublish
	case !beyond && v.Asker == Container:
		return v.excluded(entry)
	default:
		return Given
	}
}

// excluded says what keeps a container that asks from the ports that one of its host's publishes there: from internal networks
// nobody reaches them, and Podman keeps its isolated networks apart there too.
func (v *View) excluded(entry *Entry) Hindrance {
	apart := func(a Address) bool { return v.Outbound == container.ApartOut && a.Reach&container.Apart != 0 }
	switch {
	case v.confined():
		return Confined
	case len(v.gateways(entry.Host)) == 0:
		return NoHostAddr
	case slices.ContainsFunc(entry.Addresses, apart):
		return NotForwarded
	default:
		return Given
	}
}

// beyond reports whether the asker reaches the container's host as one from elsewhere does.
func (v *View) beyond(entry *Entry) bool { return v.Asker == Elsewhere || !v.local(entry) }

// hostAddrs returns the addresses at which the asker reaches the container's host.
func (v *View) hostAddrs(entry *Entry) []netip.Addr {
	switch {
	case !v.beyond(entry):
		return v.gateways(entry.Host)
	case entry.Swarm != nil && len(entry.Swarm.Node) > 0:
		if v.confined() {
			return nil
		}
		return entry.Swarm.Node
	case v.Server != nil && !v.confined():
		return v.Server.HostAddrs(entry.Host)
	default:
		return nil
	}
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

// selected returns those of whom could answer for the name that the asker should prefer, each of these if there are any: those
// of its own host; of hosts that are current; who is well. Who answers only when it is well does not count else, but for itself.
func selected[T interface{ owner() *Entry }](s *Snapshot, all []T, n *node, v *View) []T {
	all = prefer(all, v, Unwell, true, func(e *Entry) bool { return !e.RequireWell || v.well(e) || v.itself(e) })
	if v.Hosts != nil {
		all = prefer(all, v, OtherHost, n.expected(v), v.near)
	}
	if s.away > 0 {
		all = prefer(all, v, HostAway, false, func(e *Entry) bool { return s.hosts[e.ToldBy()] != Away })
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
func (c *Claim) addresses() bool { return c.Data == nil && c.Part != NoPart }

// gives reports whether the claim lets the address answer.
func (c *Claim) gives(a Address) bool {
	return (c.Network == noNetwork || c.Network == a.Network) && (c.Part == Whole || c.Part.has(a))
}
