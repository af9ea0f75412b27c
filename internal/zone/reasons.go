package zone

import (
	"net/netip"
	"slices"
)

// Reason says why a claimant of a name does, or does not, answer for it.
type Reason uint8

// The reasons.
const (
	Answers      Reason = iota // it does
	LostTo                     // another container's right to the name is better
	Nearer                     // the container that asks has others so named on its own networks, or in its project
	Ambiguous                  // several projects, networks or hosts use the bare name for different things
	HasEnded                   // it does not run any more; its names are held
	NoAddress                  // it has none: it is on no network, or its provider does not run
	OtherNetwork               // it shares no network with the container that asks, which is isolated
	NotReachable               // the asker reaches none of its addresses
	OtherHost                  // the asker's own host has containers of the name
	HostAway                   // its host's engine can't be asked, and hosts that can have containers of the name
	Unwell                     // it is not well, and others are, or it has to be
	NotCertain                 // its host has not been reconciled: others may have a better right
	Hidden                     // the name does not exist for who asks: it is isolated, or a name of others' in zone .
	CNAMEBeside                // a CNAME gives way to anything else at its name
	Nameless                   // its service has no target: each of its names is another container's
	NoTask                     // it is a Swarm's service, of which no task serves
	ByProxy                    // its front proxies answer in its place
	NoProxy                    // they are to, and there is none
	ByOthers                   // others of its service answer in its place: the tasks for the service, or its virtual address for these
)

// Hindrance says what keeps an address of a container's from who asks.
type Hindrance uint8

// The hindrances.
const (
	Given        Hindrance = iota // nothing: it is answered
	NotNeeded                     // it is reached, and another of the name's is nearer, or preferred
	NotMeant                      // the name is for another network of the container's
	NotOnNetwork                  // the container that asks is not on its network
	NotShared                     // not even the network's containers reach each other there
	NoWayThere                    // the host that asks has no address in the network, and no way there
	OnLANOnly                     // it is reached from the LAN
	WithinHost                    // it is reached from its host, and from containers on its network
	NotForwarded                  // the host leads from the asker's networks to no other, or not to this one
	Confined                      // the networks of the container that asks are internal: nothing leads out of them
	OtherFamily                   // the asker has no address of the family to reach it from

	// Of published ports:

	NoPorts      // the container publishes none
	NotToPublish // those of a host are not to be answered for
	NoHostAddr   // no address is known at which the asker reaches the host
)

// Verdict is what became of one container's claims to a name.
type Verdict struct {
	Entry  *Entry
	Reason Reason
	Proxy  bool         // it claims nothing, and answers as a front proxy for who does, or could
	Rank   Rank         // the strongest by which it claims the name
	Winner *Entry       // of LostTo; Right is by what it has the name, or the name above it
	Right  Rank         //
	Addrs  []netip.Addr // with which it answers; none for records and services
	Kept   []Kept       // those with which it does not, of who answers or is not reached
	// Ports is what keeps its published ports from the asker, Given if they answer, or if its own addresses do.
	Ports Hindrance
}

// Kept is an address of a container's that is kept from who asks.
type Kept struct {
	Address
	By Hindrance
}

// verdicts collects the reasons while a query is looked up. Of each container the first reason counts that keeps it out.
type verdicts struct{ list []Verdict }

func (w *verdicts) out(entry *Entry, reason Reason) { w.add(Verdict{Entry: entry, Reason: reason}) }

func (w *verdicts) add(v Verdict) {
	if !slices.ContainsFunc(w.list, func(o Verdict) bool { return o.Entry == v.Entry }) {
		w.list = append(w.list, v)
	}
}

// rank notes by what right those claim the nodes' names who are noted. A nil node is none.
func (w *verdicts) rank(nodes ...*node) {
	for i := range w.list {
		v := &w.list[i]
		v.Rank, v.Proxy = Shared, v.Entry.Front != nil
		for _, n := range nodes {
			if n == nil {
				continue
			}
			for _, c := range n.claims {
				if c.entry == v.Entry {
					v.Rank, v.Proxy = min(v.Rank, c.rank()), false
				}
			}
		}
	}
}

// hidden notes that the node's name does not exist for who asks. Nil notes nothing.
func (w *verdicts) hidden(n *node) {
	if w == nil {
		return
	}
	for _, c := range n.claims {
		w.out(c.entry, Hidden)
	}
}

// weighed notes who has not the right to the node's name as the view has it, which is seen. Nil notes nothing.
func (w *verdicts) weighed(s *Snapshot, n, seen *node, v *View) {
	if w == nil {
		return
	}
	winners := seen.claims[:seen.winners]
	for i := range n.claims {
		c := &n.claims[i]
		switch {
		case slices.ContainsFunc(winners, func(o claimant) bool { return o.entry == c.entry }):
			continue
		case !s.certain(n, c.entry, v):
			w.out(c.entry, NotCertain)
		case slices.ContainsFunc(seen.claims, func(o claimant) bool { return o.entry == c.entry }):
			w.lost(s, n, seen, c, v)
		default:
			w.out(c.entry, Nearer)
		}
	}
}

// lost notes that the claim has lost to those that answer, or to whose container's name the name lies below.
func (w *verdicts) lost(s *Snapshot, n, seen *node, c *claimant, v *View) {
	switch {
	case seen.winners == 0:
		if lords := s.lords(n, v, stranger); len(lords) > 0 {
			w.lostTo(c.entry, s.lord(n, lords[0]))
		}
	case c.rank() == seen.rank && c.claim.cname():
		w.out(c.entry, CNAMEBeside)
	default:
		w.lostTo(c.entry, &seen.claims[0])
	}
}

func (w *verdicts) lostTo(entry *Entry, winner *claimant) {
	w.add(Verdict{Entry: entry, Reason: LostTo, Winner: winner.entry, Right: winner.rank()})
}

// lord returns the claim of the key's container to the name above the node's. It is one of those who have that.
func (s *Snapshot) lord(n *node, key Key) *claimant {
	claims := s.names.get(n.origin.child(n.name)).claims
	return &claims[slices.IndexFunc(claims, func(c claimant) bool { return c.entry.Key == key })]
}

// unreached notes who has the right to the name, and gives the view no address.
func (n *node) unreached(all []reached, v *View, g guard) {
	winners := n.claims[:n.winners]
	for i, end := 0, 0; i < len(winners); i = end {
		entry := winners[i].entry
		for end = i; end < len(winners) && winners[end].entry == entry; end++ {
		}
		if by := n.unreachedBy(winners[i:end], all, v, g); by != Answers {
			v.why.out(entry, by)
		}
	}
	for i, proxy := range n.front.list() {
		if by := n.unreachedBy(n.front.proxies[i:i+1], all, v, guard{}); by != Answers {
			v.why.out(proxy.entry, by)
		}
	}
}

// keepsRecords reports whether the guard keeps the records of all of the claims from the view, of which there are some.
func (g guard) keepsRecords(claims []claimant, v *View) bool {
	has, kept := false, true
	for i := range claims {
		if c := &claims[i]; c.claim.Records() != nil {
			has, kept = true, kept && g.keeps(c, v)
		}
	}
	return has && kept
}

// unreachedBy says why the view gets no address of one by its claims, Answers if it does, or is to get none by them.
func (n *node) unreachedBy(claims []claimant, all []reached, v *View, g guard) Reason {
	entry := claims[0].entry
	if by := n.byProxy(claims); by != Answers {
		return by
	}
	if by := entry.inPlace(claims, all); by != Answers {
		return by
	}
	addresses := slices.ContainsFunc(claims, func(c claimant) bool { return c.claim.addresses() })
	switch {
	case entry.Held:
		return HasEnded
	case !addresses && g.keepsRecords(claims, v):
		return Ambiguous
	case !addresses, slices.ContainsFunc(all, func(o reached) bool { return o.entry == entry }):
		return Answers
	case !g.whole(claims, v):
		return Ambiguous
	case len(entry.Addresses) == 0 && !entry.HostNetwork && entry.Swarm == nil:
		return NoAddress
	case v.Asker == Container && v.Isolate:
		return OtherNetwork
	default:
		return NotReachable
	}
}

// byProxy says whether front proxies answer in place of who claims the name, or would, Answers if they don't.
func (n *node) byProxy(claims []claimant) Reason {
	entry := claims[0].entry
	switch {
	case !slices.ContainsFunc(claims, func(c claimant) bool { return c.claim.fronted() }), slices.ContainsFunc(claims, func(c claimant) bool { return c.claim.Data != nil }):
		return Answers
	case entry.Held:
		return HasEnded
	case entry.idle():
		return NoTask
	case !entry.served():
		return Unwell
	case n.front == nil:
		return NoProxy
	default:
		return ByProxy
	}
}

// Explain answers the query as [Snapshot.Lookup] does, and says what became of each container's claims to the name that is
// asked for. It comes from the same decisions.
func (s *Snapshot) Explain(q *Query, r *Result) []Verdict {
	var w verdicts
	q.View.why = &w
	s.lookup(q, r)
	n, _ := s.find(q.Name, &q.View)
	if n != nil {
		w.answering(s, n, &q.View)
	}
	w.rank(n, s.names.get(q.Name))
	q.View.why = nil
	s.follow(q, r)
	return w.list
}

// answering notes who answers: all others are out. Where the addresses decide it notes what becomes of each.
func (w *verdicts) answering(s *Snapshot, n *node, v *View) {
	all, g := n.reach(s, nil, v), n.guard(v)
	winners := n.claims[:n.winners]
	for i, end := 0, 0; i < len(winners); i = end {
		entry := winners[i].entry
		for end = i; end < len(winners) && winners[end].entry == entry; end++ {
		}
		w.answers(winners[i:end], all, v, g)
	}
	for i := range n.front.list() {
		w.answers(n.front.proxies[i:i+1], all, v, guard{})
	}
}

// answers notes that one answers by its claims, unless something is noted, and what becomes of its addresses.
func (w *verdicts) answers(claims []claimant, all []reached, v *View, g guard) {
	entry := claims[0].entry
	w.out(entry, Answers)
	at := slices.IndexFunc(w.list, func(v Verdict) bool { return v.Entry == entry })
	switch w.list[at].Reason {
	case Answers, NotReachable, OtherNetwork: // else the addresses decide nothing
		w.list[at].address(all, v, g, claims)
	}
}

// address notes which addresses the view is given of the container, and what keeps the others from it. The claims are those
// by which it has the name.
func (w *Verdict) address(all []reached, v *View, g guard, claims []claimant) {
	for _, r := range all {
		if r.entry == w.Entry && !slices.Contains(w.Addrs, r.ip) {
			w.Addrs = append(w.Addrs, r.ip)
		}
	}
	if !slices.ContainsFunc(claims, func(c claimant) bool { return c.claim.addresses() }) {
		return
	}
	for _, a := range w.Entry.Addresses {
		if !slices.Contains(w.Addrs, a.IP) {
			w.Kept = append(w.Kept, Kept{a, v.keptBy(a, w.Entry, claims)})
		}
	}
	if len(w.Addrs) == 0 && !w.Entry.HostNetwork {
		w.Ports = v.portsKeptBy(w.Entry)
	}
}

// keptBy says what keeps an address of the container's from the view: what does so by the ways of reach.
func (v *View) keptBy(a Address, entry *Entry, claims []claimant) Hindrance {
	if !slices.ContainsFunc(claims, func(c claimant) bool { return c.claim.addresses() && c.claim.gives(a) }) {
		return NotMeant
	}
	first, then := bridged, neighbouring
	switch {
	case v.Asker == Container && v.beyond(entry):
		first, then = own, outside
	case v.Asker == Container:
		first, then = own, routed
	case v.beyond(entry):
		first, then = outside, outside
	}
	by := v.hindrance(first, a)
	if by == Given || !(v.Asker == Container && v.Isolate) && v.leads(then, a) {
		return NotNeeded
	}
	return by
}

// portsKeptBy says what keeps the ports that the container publishes from the view.
func (v *View) portsKeptBy(entry *Entry) Hindrance {
	if entry.IsService() {
		return v.unmeshed(entry)
	}
	by := v.unpublished(entry)
	if by == Given && v.Server != nil && len(v.published(nil, entry)) == 0 {
		return NoHostAddr
	}
	return by
}
