package zone

import (
	"maps"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// HostState says how far what the store has of a host can be relied on.
type HostState uint8

// The states of a host, those first that can be relied on most.
const (
	// Current is a host of which the store has what its engine says now.
	Current HostState = iota
	// Unsynced is a host that has not been reconciled yet: it may have containers, and so claims, that are not known.
	Unsynced
	// Overdue is a host that has not been reconciled for so long that names which nobody is known to have are denied: it counts
	// as empty. What is known of it while it is reconciled at last is no more certain than with Unsynced.
	Overdue
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
	next.uncertain, next.away = 0, 0
	for host := range next.hosts {
		if next.isCertain(host) {
			next.away++
		} else {
			next.uncertain++
		}
	}
	s.current.Store(&next)
}

// isCertain reports whether all of the host's containers have been known once.
func (s *Snapshot) isCertain(host container.HostID) bool {
	state := s.hosts[host]
	return state != Unsynced && state != Overdue
}
