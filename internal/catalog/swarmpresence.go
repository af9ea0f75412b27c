package catalog

import (
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// swarming says how far what is known of a Swarm can be relied on.
type swarming struct {
	Presence
	timer Timer // looks again when it has been away for long; nil if nothing will
}

// Synced implements swarm.Sink.
func (s *Swarm) Synced() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(zone.Current)
}

// late has what is not known count as not there: it has taken longer than it may.
func (s *Swarm) late() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settled.Load() || s.closed {
		return
	}
	s.cat.warnf("No Swarm has told its services in %s: names that nobody has are denied until one does", s.cat.startup)
	s.settle(zone.Overdue)
}

// settle notes how far all Swarms can be relied on. The caller holds mu.
func (s *Swarm) settle(state zone.HostState) {
	if s.startup != nil {
		s.startup.Stop()
		s.startup = nil
	}
	s.state = state
	s.cat.store.SetHost(unsyncedSwarm, state)
	s.settled.Store(true)
	s.cat.mu.Lock()
	s.cat.count()
	s.cat.mu.Unlock()
	s.cat.signal()
}

// Current implements swarm.Sink. While no manager answers the names stay as they were, for the time of Config.Forget.
func (s *Swarm) Current(state container.SwarmState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	host := state.Swarm.Host()
	at := s.states[host]
	if at == nil {
		at = &swarming{}
		s.states[host] = at
	}
	if at.timer != nil {
		at.timer.Stop()
		at.timer = nil
	}
	at.State, at.Synced, at.Since = zone.Current, true, state.Since
	if !state.Current {
		at.State = zone.Away
		if !s.closed {
			at.timer = s.cat.afterFunc(s.cat.forget-s.cat.now().Sub(state.Since), func() { s.drop(host) })
		}
	}
	s.cat.store.SetHost(host, at.State)
	if at.Forgotten && state.Current {
		at.Forgotten = false
		s.publishAll(host, true)
	}
	s.cat.changes.noteAll()
	s.cat.signal()
}

// drop takes the names of a Swarm out of the zones that has been away for too long.
func (s *Swarm) drop(host container.HostID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.states[host]
	if s.closed || at.State != zone.Away || at.Forgotten || s.cat.now().Sub(at.Since) < s.cat.forget {
		return
	}
	s.cat.warnf("No manager of %s has answered for %s: its services' names are dropped until one does", host, s.cat.forget)
	at.Forgotten = true
	s.publishAll(host, false)
	s.cat.changes.noteAll()
}

// dropped reports whether the zones have no names of the Swarm. The caller holds mu.
func (s *Swarm) dropped(host container.HostID) bool {
	at := s.states[host]
	return at != nil && at.Forgotten
}

// publishAll gives all services of the Swarm the names that they have, or none. The caller holds mu.
func (s *Swarm) publishAll(host container.HostID, names bool) {
	var changes []zone.Change
	for _, l := range s.services {
		if l.by != host {
			continue
		}
		if names {
			changes = append(changes, differing(nil, l.entries)...)
		} else {
			changes = append(changes, differing(l.entries, nil)...)
		}
	}
	s.cat.publish(changes)
	s.renewAttached()
}

// close stops the timers. What is published stays.
func (s *Swarm) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.startup != nil {
		s.startup.Stop()
	}
	for _, at := range s.states {
		if at.timer != nil {
			at.timer.Stop()
		}
	}
}

// Swarms returns how far what is known of each Swarm can be relied on, by what stands for it where the zones have hosts. Before that
// is known it has one for all.
func (cat *Catalog) Swarms() map[container.HostID]Presence {
	s := cat.swarm.Load()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[container.HostID]Presence{}
	if s.state != zone.Current {
		all[unsyncedSwarm] = Presence{State: s.state, Since: s.begun}
	}
	for host, at := range s.states {
		all[host] = at.Presence
	}
	return all
}
