package zone

import (
	"slices"
	"strings"
)

func (n *node) reverse() bool { return strings.HasSuffix(n.name, ".arpa.") && IsReverse(n.name) }

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
	slices.SortStableFunc(n.claims, func(a, b held) int { return a.entry.compare(b.entry) })
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
	return n != nil && slices.ContainsFunc(n.claims[:n.winners], func(h held) bool { return h.entry == entry && h.claim.addresses() })
}

// answers reports whether the name answers the view with addresses of the container.
func (s *Snapshot) answers(name string, entry *Entry, v *View) bool {
	n := s.names.get(name)
	return n != nil && s.seen(n, v).answersFor(entry)
}

// target returns the name to which the view resolves the address's name, "" if there is none:
// one by which it finds the container.
func (s *Snapshot) target(n *node, v *View) string {
	if v.Asker != Container || n.target() == "" {
		return n.target()
	}
	for _, h := range n.claims {
		name := h.entry.canonical(func(name string) bool { return s.answers(name, h.entry, v) })
		if name != "" {
			return name
		}
	}
	return ""
}
