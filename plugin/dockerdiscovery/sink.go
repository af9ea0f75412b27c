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
}

// sink returns the sink for the facts of the host. All that it returns for one are equal.
func (d *Docker) sink(h *watchedHost) sink { return sink{d.catalog.Feed(h.id), d.askers.Feed(h.id), h} }

// Host implements engine.Sink.
func (s sink) Host(h container.Host) {
	s.askers.Host(h)
	s.Feed.Host(h)
}

// Apply implements engine.Sink. A container that is given a name may ask from its address at once.
func (s sink) Apply(changes []container.Change) {
	s.askers.Apply(changes)
	s.Feed.Apply(changes)
}

// Current implements engine.Sink. What the engine is connected to anew may be another machine.
func (s sink) Current(current bool, since time.Time) {
	if current {
		s.host.moved()
	}
	s.Feed.Current(current, since)
}
