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
)

// Verdict is what became of one container's claims to a name.
type Verdict struct {
	Entry  *Entry
	Reason Reason
	Winner *Entry       // of LostTo
	Addrs  []netip.Addr // with which it answers; none for records and services
}

// verdicts collects the reasons while a query is looked up. Of each container the first reason counts that keeps it out.
type verdicts struct{ list []Verdict }

func (w *verdicts) out(entry *Entry, reason Reason) { w.add(Verdict{Entry: entry, Reason: reason}) }

func (w *verdicts) add(v Verdict) {
	if !slices.ContainsFunc(w.list, func(o Verdict) bool { return o.Entry == v.Entry }) {
		w.list = append(w.list, v)
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
			w.add(Verdict{Entry: c.entry, Reason: LostTo, Winner: s.lord(n, lords[0])})
		}
	case c.rank() == seen.rank && c.claim.cname():
		w.out(c.entry, CNAMEBeside)
	default:
		w.add(Verdict{Entry: c.entry, Reason: LostTo, Winner: seen.claims[0].entry})
	}
}

// lord returns the entry of the key among those who have the name above the node's.
func (s *Snapshot) lord(n *node, key Key) *Entry {
	for _, c := range s.names.get(n.origin.child(n.name)).claims {
		if c.entry.Key == key {
			return c.entry
		}
	}
	return nil
}

// unreached notes who has the right to the name, and gives the view no address.
func (n *node) unreached(all []reached, v *View, g guard) {
	winners := n.claims[:n.winners]
	for i, end := 0, 0; i < len(winners); i = end {
		entry := winners[i].entry
		addresses := false // it has claims that are answered with these
		for end = i; end < len(winners) && winners[end].entry == entry; end++ {
			addresses = addresses || winners[end].claim.addresses()
		}
		switch {
		case entry.Held:
			v.why.out(entry, HasEnded)
		case !addresses, slices.ContainsFunc(all, func(o reached) bool { return o.entry == entry }):
		case !g.whole(winners[i:end], v):
			v.why.out(entry, Ambiguous)
		case len(entry.Addresses) == 0 && !entry.HostNetwork:
			v.why.out(entry, NoAddress)
		case v.Asker == Container && v.Isolate:
			v.why.out(entry, OtherNetwork)
		default:
			v.why.out(entry, NotReachable)
		}
	}
}

// Explain answers the query as [Snapshot.Lookup] does, and says what became of each container's claims to the name that is
// asked for. It comes from the same decisions.
func (s *Snapshot) Explain(q *Query, r *Result) []Verdict {
	var w verdicts
	q.View.why = &w
	s.lookup(q, r)
	if n, _ := s.find(q.Name, &q.View); n != nil {
		w.answering(s, n, &q.View)
	}
	q.View.why = nil
	s.follow(q, r)
	return w.list
}

// answering notes who answers: all others are out.
func (w *verdicts) answering(s *Snapshot, n *node, v *View) {
	all := n.reach(s, nil, v)
	for _, c := range n.claims[:n.winners] {
		verdict := Verdict{Entry: c.entry, Reason: Answers}
		for _, r := range all {
			if r.entry == c.entry && !slices.Contains(verdict.Addrs, r.ip) {
				verdict.Addrs = append(verdict.Addrs, r.ip)
			}
		}
		w.add(verdict)
	}
}
