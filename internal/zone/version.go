package zone

import (
	"iter"
	"maps"
	"slices"

	"github.com/miekg/dns"
)

// Version is the zones at one moment as secondaries get them: one snapshot, as one view has it, with serials of its own. It
// never changes.
type Version struct {
	snapshot *Snapshot
	view     View
	zones    map[string]*transferred // by apex, but for zone ".", which is not ours to give
}

// transferred is one zone of a version.
type transferred struct {
	serial  uint32
	size    int     // octets of its records but the SOA, without compression
	journal journal // of what led to it
}

// Publish has secondaries get the zones as they are now for the view. It returns the version before if there is nothing new in
// it; a zone's serial grows with what the view sees alone. From then on the zones' SOA records have the version's serials.
//
// The view's Server must always say the same, and be another one if it would say something else. It costs what has changed
// since the version before, and all names where the view or the state of a host has.
func (s *Store) Publish(v View) *Version {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	snapshot, before := s.Snapshot(), s.version.Load()
	if before != nil && before.snapshot == snapshot && before.view.equal(&v) {
		return before
	}
	next := &Version{snapshot: snapshot, view: v, zones: map[string]*transferred{}}
	if before == nil {
		next.begin()
	} else {
		next.follow(before)
	}
	s.version.Store(next)
	return next
}

// equal reports whether the views of who has no networks are the same.
func (v *View) equal(o *View) bool {
	return v.Asker == o.Asker && slices.Equal(v.Hosts, o.Hosts) && (v.Hosts == nil) == (o.Hosts == nil) && v.Outside == o.Outside && v.Server == o.Server
}

// begin makes it the first version.
func (v *Version) begin() {
	for apex, o := range v.snapshot.store.origins {
		if !o.root {
			v.zones[apex] = &transferred{serial: v.snapshot.serials[apex]}
		}
	}
	v.snapshot.names.walk(func(n *node) {
		if o := n.origin; o != nil && !o.root {
			v.zones[o.name].size += octets(v.records(n))
		}
	})
}

// follow makes it the next version after the one before, with a new serial for each zone that differs.
func (v *Version) follow(before *Version) {
	v.zones = maps.Clone(before.zones)
	differences := map[string]*difference{}
	for name := range v.changed(before) {
		old, now := before.snapshot.names.get(name), v.snapshot.names.get(name)
		n := now
		if n == nil {
			n = old
		}
		if n == nil || n.origin == nil || n.origin.root {
			continue
		}
		d := differences[n.origin.name]
		if d == nil {
			d = &difference{}
			differences[n.origin.name] = d
		}
		d.note(before.records(old), v.records(now))
	}
	for apex, d := range differences {
		if d.empty() {
			continue
		}
		z := v.zones[apex]
		v.zones[apex] = &transferred{
			serial: NextSerial(apex), size: z.size + octets(d.added) - octets(d.removed),
			journal: z.journal.append(step{z.serial, *d}),
		}
	}
}

// changed yields the names that may have other records than in the version before.
func (v *Version) changed(before *Version) iter.Seq[string] {
	now, old := v.snapshot, before.snapshot
	names := map[string]bool{}
	if !v.view.equal(&before.view) || !maps.Equal(now.hosts, old.hosts) || now.several != old.several {
		for _, s := range []*Snapshot{old, now} {
			s.names.walk(func(n *node) { names[n.name] = true })
		}
		return maps.Keys(names)
	}
	entries := map[*Entry]bool{}
	differ(&old.names.root, &now.names.root, func(a, b *node) {
		for _, n := range []*node{a, b} {
			if n == nil {
				continue
			}
			names[n.name] = true
			for i := range n.claims {
				entries[n.claims[i].entry] = true
			}
		}
	})
	for entry := range entries {
		now.dependent(entry, names)
	}
	return maps.Keys(names)
}

// dependent adds those of the container's names whose records depend on who has its other names: a service's, by its target, and an
// address's, where views differ in to which name it resolves.
func (s *Snapshot) dependent(entry *Entry, names map[string]bool) {
	for i := range entry.Claims {
		if entry.Claims[i].Service() != nil {
			names[entry.Claims[i].Name] = true
		}
	}
	if s.several || s.uncertain > 0 {
		for _, a := range entry.Addresses {
			names[reverseName(a.IP)] = true
		}
	}
}

// records returns what the version has at the node, which may be nil, in wire format.
func (v *Version) records(n *node) []string {
	if n == nil {
		return nil
	}
	return packed(v.snapshot.given(n, &v.view))
}

// given returns the records of a node in a zone that is transferred. The apex has all that needs no container, but the SOA.
func (s *Snapshot) given(n *node, v *View) []dns.RR {
	switch {
	case n.name == n.origin.name:
		return s.Apex(n.name, v)[1:]
	case n.name == n.origin.ns, n.origin.delegates(n.name):
		return nil
	}
	if n = s.shown(n, v); n == nil {
		return nil
	}
	return s.all(&Query{Type: dns.TypeANY, View: *v}, n)
}

// Has reports whether the version has the zone.
func (v *Version) Has(apex string) bool { return v.zones[apex] != nil }

// Serial returns the zone's serial, 0 if there is no such zone.
func (v *Version) Serial(apex string) uint32 {
	if z := v.zones[apex]; z != nil {
		return z.serial
	}
	return 0
}

// SOA returns the zone's SOA record. The version must have the zone.
func (v *Version) SOA(apex string) *dns.SOA { return v.soa(apex, v.zones[apex].serial) }

func (v *Version) soa(apex string, serial uint32) *dns.SOA {
	s := v.snapshot
	soa := s.soa(apex, s.store.origins[apex], s.store.config.TTL)[0].(*dns.SOA)
	soa.Serial = serial
	return soa
}

// Walk yields the zone's records: first its SOA, its NS and the name server's addresses, then those of each name. The version
// must have the zone.
func (v *Version) Walk(apex string, yield func([]dns.RR)) {
	o := v.snapshot.store.origins[apex]
	yield([]dns.RR{v.SOA(apex)})
	yield(v.snapshot.Apex(apex, &v.view)[1:])
	v.snapshot.names.walk(func(n *node) {
		if n.origin != o || n.name == o.name {
			return
		}
		if rrs := v.snapshot.given(n, &v.view); len(rrs) > 0 {
			yield(rrs)
		}
	})
}

// Since returns what has changed in the zone since the serial, as RFC 1995 §4 has it: the SOA; that of the serial, with what has been
// removed since; the SOA again, with what has been added; and the SOA. It returns nil where the whole zone has to be given, since
// the journal does not reach back so far, or the zone is smaller. The version must have the zone.
func (v *Version) Since(apex string, serial uint32) []dns.RR {
	z := v.zones[apex]
	d, known := z.journal.since(serial)
	if !known || octets(d.removed)+octets(d.added) > z.size {
		return nil
	}
	rrs := append([]dns.RR{v.SOA(apex), v.soa(apex, serial)}, unpacked(d.removed)...)
	rrs = append(append(rrs, v.SOA(apex)), unpacked(d.added)...)
	return append(rrs, v.SOA(apex))
}
