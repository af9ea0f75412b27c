package zone

import (
	"maps"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// HostState says how far what the store has of a host can be relied on.
type HostState uint8

// The states of a host.
const (
	// Current is a host of which the store has what its engine says now.
	Current HostState = iota
	// Unsynced is a host that has not been reconciled yet: it may have containers, and so claims, that are not known.
	Unsynced
	// Away is a host whose engine can't be asked: what is known of it may no longer be so.
	Away
)

// hostStates has the hosts that are not current. It must not be changed.
type hostStates map[container.HostID]HostState

// SetHost sets a host's state, which is Current unless something else was set.
func (s *Store) SetHost(host container.HostID, state HostState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.Snapshot()
	if before.hosts[host] == state {
		return
	}
	next := *before
	next.hosts = maps.Clone(before.hosts)
	if next.hosts == nil {
		next.hosts = hostStates{}
	}
	if next.hosts[host] = state; state == Current {
		delete(next.hosts, host)
	}
	next.pending, next.away = 0, 0
	for _, state := range next.hosts {
		if state == Unsynced {
			next.pending++
		} else {
			next.away++
		}
	}
	s.current.Store(&next)
}

// unsynced reports whether there is a host that has not been reconciled yet.
func (s *Snapshot) unsynced() bool { return s.pending > 0 }
