package dockerdiscovery

import (
	"slices"
	"sync/atomic"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Apply implements engine.Sink: it turns facts into names and publishes them.
func (d *Docker) Apply(changes []engine.Change) {
	entries := make([]zone.Change, len(changes))
	for i, c := range changes {
		entries[i].ID = c.ID
		var skipped []naming.Skipped
		if c.Container != nil {
			entries[i].Entry, skipped = d.rules.Entry(c.Container)
		}
		for _, s := range d.skipped.set(c.ID, skipped) {
			log.Warningf("Container %s: skipped %s", c.Container.Name, s)
		}
	}
	for _, l := range d.store.Apply(entries) {
		log.Warningf("Container %s does not get the name %s: it is container %s's", l.Loser.Name, l.Name, l.Winner.Name)
	}
}

// Synced implements engine.Sink.
func (d *Docker) Synced() { d.synced.Store(true) }

// skips remembers which names of containers were skipped. Only count may be used
// from any goroutine.
type skips struct {
	byID  map[string][]naming.Skipped
	count atomic.Int64
}

// set notes what is skipped of the container now, and returns what was not before.
func (s *skips) set(id string, skipped []naming.Skipped) []naming.Skipped {
	old := s.byID[id]
	s.count.Add(int64(len(skipped) - len(old)))
	switch {
	case len(skipped) == 0:
		delete(s.byID, id)
		return nil
	case s.byID == nil:
		s.byID = map[string][]naming.Skipped{}
	}
	s.byID[id] = skipped
	return slices.DeleteFunc(slices.Clone(skipped), func(n naming.Skipped) bool { return slices.Contains(old, n) })
}
