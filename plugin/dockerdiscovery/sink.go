package dockerdiscovery

import (
	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// sink hands what the engine tells to the rooms that use it. It implements engine.Sink.
type sink struct {
	*catalog.Catalog
	clients *clients
}

// sink returns the plugin's sink. All that it returns are equal.
func (d *Docker) sink() sink { return sink{d.catalog, d.clients} }

// Host implements engine.Sink.
func (s sink) Host(h container.Host) {
	s.clients.Host(h)
	s.Catalog.Host(h)
}

// Apply implements engine.Sink. A container that is given a name may ask from its address at once.
func (s sink) Apply(changes []container.Change) {
	s.clients.Apply(changes)
	s.Catalog.Apply(changes)
}
