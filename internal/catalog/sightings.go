package catalog

import (
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// taskLabel is what engines put on a task's container. It finds what may be one: which is one, the managers say.
const taskLabel = "com.docker.swarm.task.id"

// tellSwarm tells what the host has of containers that may be tasks', and of networks that span hosts: of all, or of those that
// have changed. The caller holds mu, and changes are nil for all.
func (f *Feed) tellSwarm(changes []container.Change) {
	s := f.cat.swarm.Load()
	switch {
	case s == nil:
		return
	case changes == nil:
		s.host(f)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var affected []string
	for i := range changes {
		if changes[i].Ran() {
			affected = append(affected, s.see(f, changes[i].ID)...)
		}
	}
	s.resee(affected)
}

// host takes what there is to know of the host anew. The caller holds the feed's mu.
func (s *Swarm) host(f *Feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var affected, changed []string
	for ref, all := range s.seen {
		if slices.ContainsFunc(all, func(at sighting) bool { return at.on.Host() == f.host && at.facts != nil }) {
			s.forget(ref, f.host)
			affected = append(affected, ref)
		}
	}
	if !f.aside {
		for n := range f.networks.Spanning() {
			if before := s.networks[n.ID]; before == nil || before.Name != n.Name || before.Reach4 != n.Reach4 || before.Reach6 != n.Reach6 {
				changed = append(changed, n.ID)
			}
			s.networks[n.ID] = n
		}
		for id := range f.listings {
			affected = append(affected, s.see(f, id)...)
		}
	}
	s.resee(affected)
	s.renew(s.on(changed)...)
}

// on returns the IDs of the services that are on one of the networks. The caller holds mu.
func (s *Swarm) on(networks []string) (services []string) {
	for id, l := range s.services {
		if l.facts != nil && slices.ContainsFunc(l.facts.Networks, func(n container.ServiceNetwork) bool { return slices.Contains(networks, n.ID) }) {
			services = append(services, id)
		}
	}
	return services
}

// resee has the services named anew that have tasks with these IDs, and attached containers if one is among them. The caller holds
// mu.
func (s *Swarm) resee(refs []string) {
	var services []string
	attached := false
	for _, ref := range refs {
		if id, ok := s.tasks[ref]; ok && !slices.Contains(services, id) {
			services = append(services, id)
		}
		attached = attached || slices.ContainsFunc(s.told, func(a container.Attached) bool { return a.ID == ref })
	}
	s.renew(services...)
	if attached {
		s.renewAttached()
	}
}

// see notes what the host tells of the container, and returns the IDs by which that is known, none if it is no matter of a Swarm's.
// The callers hold the feed's mu and mu.
func (s *Swarm) see(f *Feed, id string) (refs []string) {
	facts := (*container.Container)(nil)
	if k := f.listings[id]; k != nil {
		facts = k.facts
	}
	if f.aside {
		return nil
	}
	if facts == nil { // it has ended, if it was known
		for ref, all := range s.seen {
			for i := range all {
				if at := &all[i]; at.on.Host() == f.host && at.facts != nil && at.facts.ID == id {
					at.facts, at.ended = nil, s.cat.now()
					refs = append(refs, ref)
				}
			}
		}
		return refs
	}
	spans := func(e container.Endpoint) bool { return f.networks.Spans(e.Network) }
	if facts.Labels[taskLabel] == "" && facts.GWBridge.Network == "" && !slices.ContainsFunc(facts.Endpoints, spans) {
		return nil
	}
	refs = append(refs, id)
	for i := range facts.Endpoints {
		if e := &facts.Endpoints[i]; e.ID != "" && f.networks.Spans(e.Network) {
			refs = append(refs, e.ID)
		}
	}
	for _, ref := range refs {
		s.forget(ref, f.host)
		s.seen[ref] = append(s.seen[ref], sighting{on: f.networks, facts: facts})
	}
	return refs
}

// forget forgets what the host has told of a container. The caller holds mu.
func (s *Swarm) forget(ref string, host container.HostID) {
	s.seen[ref] = slices.DeleteFunc(s.seen[ref], func(at sighting) bool { return at.on.Host() == host })
	if len(s.seen[ref]) == 0 {
		delete(s.seen, ref)
	}
}

// forgetEnded forgets containers that have ended a while ago, and are no task's any more: a manager that lags behind others may tell
// of them still. The caller holds mu.
func (s *Swarm) forgetEnded() {
	now := s.cat.now()
	for ref, all := range s.seen {
		if _, task := s.tasks[ref]; task {
			continue
		}
		all = slices.DeleteFunc(all, func(at sighting) bool { return at.facts == nil && now.Sub(at.ended) >= container.KeepNames })
		if s.seen[ref] = all; len(all) == 0 {
			delete(s.seen, ref)
		}
	}
}
