package zone

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/spelling"
)

// Owned is what stands at one owner name, as a view has it.
type Owned struct {
	Zone, Name string
	Owners     []*Entry // who have the name
	Records    []dns.RR
}

// Owned yields the zone's owner names that containers or hosts have, by name, with what the view gets for them: that may be no
// record. It returns nil if there is no such zone.
func (s *Snapshot) Owned(apex string, v View) iter.Seq[Owned] {
	o := s.store.origins[apex]
	if o == nil {
		return nil
	}
	return func(yield func(Owned) bool) {
		var nodes []*node
		s.names.walk(func(n *node) {
			if n.origin == o && len(n.claims) > 0 {
				nodes = append(nodes, n)
			}
		})
		slices.SortFunc(nodes, func(a, b *node) int { return cmp.Compare(a.name, b.name) })
		q := &Query{Type: dns.TypeANY, View: v}
		for _, n := range nodes {
			if n = s.shown(n, &v); n == nil || n.winners == 0 {
				continue
			}
			q.stale = s.reliesOn(n, &v) != Current
			if !yield(Owned{o.name, n.name, n.owners(), s.all(q, n)}) {
				return
			}
		}
	}
}

// owners returns the entries that have the name, each once.
func (n *node) owners() (owners []*Entry) {
	for i := range n.claims[:n.winners] {
		if e := n.claims[i].entry; len(owners) == 0 || owners[len(owners)-1] != e { // one's claims stand together
			owners = append(owners, e)
		}
	}
	return owners
}

// Exists reports whether the name does for the view, by its own: no wildcard counts.
func (s *Snapshot) Exists(name string, v *View) bool {
	n := s.names.get(name)
	return n != nil && s.shown(n, v) != nil
}

// Encloser returns the longest name that exists for the view and in which this one lies, itself or one above it; "" if the name
// lies in no zone.
func (s *Snapshot) Encloser(name string, v *View) string {
	for o := s.store.origins.match(name); o != nil; name = parent(name) {
		if name == o.name || s.Exists(name, v) {
			return name
		}
	}
	return ""
}

// Below returns names that the view has and that lie below this one, by name: most of them at most, and how many more there are.
func (s *Snapshot) Below(name string, v *View, most int) (below []string, more int) {
	s.names.walk(func(n *node) {
		if !n.reverse && len(n.claims) > 0 && strings.HasSuffix(n.name, "."+name) && s.owned(n, v) {
			below = append(below, n.name)
		}
	})
	slices.Sort(below)
	more = max(0, len(below)-most)
	return below[:len(below)-more], more
}

// owned reports whether the view has a name that somebody has.
func (s *Snapshot) owned(n *node, v *View) bool {
	n = s.shown(n, v)
	return n != nil && n.winners > 0
}

// near is a name that somebody may mean by another one; the less it differs the likelier.
type near struct {
	name    string
	differs int
}

// Near returns names that the view has and that somebody may mean who asks for this one, the likeliest first, most of them at
// most: what this name would be in our zones; those that are spelled nearly so; those of the same first label.
func (s *Snapshot) Near(name string, v *View, most int) []string {
	const otherwise = 100 // differs more than any other spelling does
	var found []near
	inZones := s.inZones(name)
	first := name[:strings.IndexByte(name, '.')+1]
	own := name
	if o := s.store.origins.match(name); o != nil {
		own = strings.TrimSuffix(name, o.name)
	}
	limit := spelling.Limit(own)
	s.names.walk(func(n *node) {
		if n.name == name || n.reverse || len(n.claims) == 0 || strings.HasPrefix(n.name, "*.") {
			return
		}
		if slices.Contains(inZones, n.name) {
			found = append(found, near{n.name, 0})
		} else if d := spelling.Distance(name, n.name, limit); d <= limit {
			found = append(found, near{n.name, d})
		} else if strings.HasPrefix(n.name, first) {
			found = append(found, near{n.name, otherwise + len(n.name)})
		}
	})
	slices.SortFunc(found, func(a, b near) int { return cmp.Or(a.differs-b.differs, cmp.Compare(a.name, b.name)) })
	var names []string
	for _, f := range found {
		if len(names) == most {
			break
		}
		if s.owned(s.names.get(f.name), v) {
			names = append(names, f.name)
		}
	}
	return names
}

// inZones returns what the name, with fewer of its last labels or with all, is in each zone for names.
func (s *Snapshot) inZones(name string) (names []string) {
	for end := len(name); end > 0; end = strings.LastIndexByte(name[:end-1], '.') + 1 {
		for _, o := range s.store.origins {
			if !IsReverse(o.name) && !o.root {
				names = append(names, name[:end]+o.name)
			}
		}
	}
	return names
}
