package zone

import (
	"slices"
	"strings"
)

// target is that of the name's PTR record, "" if it has none.
func (n *node) target() string {
	if n.records == nil {
		return ""
	}
	return n.records.target
}

// settleReverse decides the one name to which an address resolves: the best known
// one that its oldest owner holds.
func (e *edit) settleReverse(n *node) {
	old := e.old(n)
	slices.SortStableFunc(n.claims, func(a, b claimant) int { return a.entry.compare(b.entry) })
	n.winners = int32(len(n.claims))
	n.records = nil
	for _, h := range n.claims {
		if target := h.entry.canonical(func(name string) bool { return e.get(name).answersFor(h.entry) }); target != "" {
			n.records = &rrsets{target: target}
			break
		}
	}
	e.count(old, n)
	if old.target() != n.target() {
		e.change(n)
	}
}

// canonical returns the first of the container's names for which it answers with its
// addresses.
func (entry *Entry) canonical(answers func(name string) bool) string {
	for _, c := range entry.Claims {
		if c.addresses() && !strings.HasPrefix(c.Name, "*.") && answers(c.Name) {
			return c.Name
		}
	}
	return ""
}

// answersFor reports whether the name answers with addresses of the container. A nil node
// does not.
func (n *node) answersFor(entry *Entry) bool {
	return n != nil && slices.ContainsFunc(n.claims[:n.winners], func(h claimant) bool { return h.entry == entry && h.claim.addresses() })
}

// answers reports whether the name answers the view with addresses of the container.
func (s *Snapshot) answers(name string, entry *Entry, v *View) bool {
	n := s.names.get(name)
	return n != nil && s.seen(n, v).answersFor(entry)
}

// target returns the name to which the view resolves the address's name, "" if there is none:
// one by which it finds the container.
func (s *Snapshot) target(n *node, v *View) string {
	if v.Asker != Container && !s.several && s.uncertain == 0 || n.target() == "" {
		return n.target()
	}
	for _, c := range n.claims {
		if !s.means(n, c.entry, v) {
			continue
		}
		if name := c.entry.canonical(func(name string) bool { return s.answers(name, c.entry, v) }); name != "" {
			return name
		}
	}
	return ""
}

// mayResolve reports whether the view may get a name for the address when all is known: a container that it means is of a host
// that has not been reconciled.
func (s *Snapshot) mayResolve(n *node, v *View) bool {
	return s.uncertain > 0 && slices.ContainsFunc(n.claims, func(c claimant) bool { return !s.isCertain(c.entry.ToldBy()) && s.means(n, c.entry, v) })
}

// meant reports whether the view can mean one of the containers that have the address. A name that stands for several
// addresses, or for none, has none.
func (s *Snapshot) meant(n *node, v *View) bool {
	return !s.several || len(n.claims) == 0 ||
		slices.ContainsFunc(n.claims, func(c claimant) bool { return s.means(n, c.entry, v) })
}

// means reports whether the container is one that the view can mean by the address. Of those of several hosts that have it
// these are the containers of its own host, and those whose network leads there from the asker's. To who is elsewhere it
// means nothing where several hosts have it; nor does a Swarm's task's, on another node than the asker's.
func (s *Snapshot) means(n *node, entry *Entry, v *View) bool {
	if !s.several || v.Asker != Elsewhere && v.local(entry) {
		return true
	}
	leads := func(e *Entry) bool {
		return slices.ContainsFunc(e.Addresses, func(a Address) bool {
			return (a.outside() || v.Asker == Container && v.leads(own, a)) && reverseName(a.IP) == n.name
		})
	}
	if leads(entry) {
		return true
	}
	return (v.Asker == Elsewhere || entry.Swarm != nil) && !slices.ContainsFunc(n.claims, func(c claimant) bool { return c.entry.Host != entry.Host || leads(c.entry) })
}
