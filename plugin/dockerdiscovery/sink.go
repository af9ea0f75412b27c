package dockerdiscovery

import (
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/asker"
	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// sink hands what the engine tells to the rooms that use it. It implements engine.Sink.
type sink struct {
	*catalog.Feed
	askers *asker.Feed
	host   *watchedHost
	twins  *twins // nil if there is no other host
}

// sink returns the sink for the facts of the host. All that it returns for one are equal.
func (d *Docker) sink(h *watchedHost) sink {
	return sink{d.catalog.Feed(h.id), d.askers.Feed(h.id), h, d.twins}
}

// Host implements engine.Sink.
func (s sink) Host(h container.Host) {
	s.askers.Host(h)
	s.Feed.Host(h)
}

// Apply implements engine.Sink. A container that is given a name may ask from its address at once.
func (s sink) Apply(changes []container.Change) {
	if s.twins != nil {
		s.twins.note(s.host, changes)
	}
	s.askers.Apply(changes)
	s.Feed.Apply(changes)
}

// Current implements engine.Sink. What the engine is connected to anew may be another machine.
func (s sink) Current(current bool, since time.Time) {
	if current {
		s.host.moved()
	}
	s.Feed.Current(current, since)
	if s.twins != nil {
		s.twins.current(s.host, current)
	}
}
