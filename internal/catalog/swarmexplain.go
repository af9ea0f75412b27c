package catalog

import (
	"cmp"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Count returns the numbers of services, and of those of their tasks that serve.
func (s *Swarm) Count() (services, tasks int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.services {
		tasks += len(l.facts.Tasks)
	}
	return len(s.services), tasks
}

// explain returns what is known of the services, by name.
func (s *Swarm) explain() (all []Explanation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, l := range s.services {
		all = append(all, s.explanation(id, l))
	}
	slices.SortFunc(all, func(a, b Explanation) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return all
}

// explanation is what is known of the service. The caller holds mu.
func (s *Swarm) explanation(id string, l *serviceListing) Explanation {
	e := Explanation{
		Key: zone.Key{Host: l.by, ID: id}, Name: l.name, Service: l.facts, LeftOut: l.left, Skipped: l.skipped, Events: l.list(),
	}
	if len(l.entries) > 0 && !s.dropped(l.by) {
		e.Entry = l.entries[0]
	}
	return e
}

// of returns what is known of the service or task of the key, or of an attached container, and whether anything is.
func (s *Swarm) of(key zone.Key) (Explanation, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.services[key.ID]; l != nil && l.by == key.Host {
		return s.explanation(key.ID, l), true
	}
	if e := s.attached[key]; e != nil {
		return Explanation{Key: key, Name: e.Name, Entry: e}, true
	}
	for _, l := range s.services {
		for _, e := range l.entries {
			if e.Key != key {
				continue
			}
			of := Explanation{Key: key, Name: e.Name, Entry: e, Service: l.facts}
			if i := slices.IndexFunc(l.facts.Tasks, func(t container.Task) bool { return t.ID == key.ID }); i >= 0 {
				of.Task = &l.facts.Tasks[i]
				of.Node = s.nodes[of.Task.Node]
			}
			return of, true
		}
	}
	return Explanation{}, false
}

// wanting returns the services that could be expected to have the owner name, and have no claim to it.
func (s *Swarm) wanting(owner string) (all []Wanting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	look := search{owner: owner, spellings: s.cat.spellings(owner)}
	for id, l := range s.services {
		if w, wanting := s.lack(l, &look); wanting {
			w.Explanation = s.explanation(id, l)
			all = append(all, w)
		}
	}
	return all
}

// lack says what a service lacks, if it could be expected to have the name. The caller holds mu.
func (s *Swarm) lack(l *serviceListing, look *search) (Wanting, bool) {
	claims := func(c zone.Claim) bool { return c.Name == look.owner }
	if len(l.entries) > 0 && slices.ContainsFunc(l.entries[0].Claims, claims) {
		return Wanting{Lack: Forgotten}, s.dropped(l.by)
	}
	for i := range l.skipped {
		if r := &l.skipped[i]; r.Asks(look.owner) || r.What == "" && slices.Contains(look.spellings, spelling(r.Name)) {
			return Wanting{Lack: Refused, Source: r.Source, Refused: r}, true
		}
	}
	if look.named == maxNamed {
		return Wanting{}, false
	}
	look.named++
	source := s.cat.rules.WouldService(l.facts, s.around(l.facts.Swarm), look.owner)
	switch {
	case source == "":
		return Wanting{}, false
	case len(l.entries) == 0:
		return Wanting{Lack: LacksAll, Source: source}, true
	default:
		return Wanting{Lack: NotNamedSo, Source: source}, !s.cat.rules.Counts(source)
	}
}
