package dockerdiscovery

import (
	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Container implements status.Block.
func (d *Docker) Container(key zone.Key) (catalog.Explanation, bool) { return d.catalog.Of(key) }

// Changes implements status.Block.
func (d *Docker) Changes(since uint64) catalog.Changes { return d.catalog.Changes(since) }
