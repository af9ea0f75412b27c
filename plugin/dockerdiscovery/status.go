package dockerdiscovery

import (
	"cmp"
	"slices"
	"strings"

	"github.com/coredns/coredns/plugin/pkg/transport"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Info implements status.Block.
func (d *Docker) Info() status.Info {
	return status.Info{
		Key:   strings.TrimPrefix(d.block.keys[0], transport.DNS+"://"),
		Zones: d.config.zone.Zones, Listen: d.listens, Warnings: append(d.reported.list(), d.shareTroubles()...),
	}
}

// Hosts implements status.Block.
func (d *Docker) Hosts() []status.Host {
	presences := make([]catalog.Presence, len(d.hosts))
	for i, h := range d.hosts {
		presences[i] = d.catalog.Presence(h.id)
	}
	states := engine.States() // these are sooner so: who is current is connected
	hosts := make([]status.Host, len(d.hosts))
	for i, h := range d.hosts {
		source := h.Source()
		state, presence, link := states[source], presences[i], observed.last(source)
		hosts[i] = status.Host{
			ID: h.id, Named: h.name != "", Endpoint: string(source), Engine: link.engine,
			Connected: state.Connected, Synced: presence.Synced, State: presenceName(presence), Since: presence.Since,
			Reconciled: state.Reconciled, Lag: link.lag.Seconds(), Containers: state.Containers,
		}
		if presence.Aside { // they count as the other's
			hosts[i].Containers = 0
		}
		if link.err != nil {
			hosts[i].LastError, hosts[i].ErrorAt = link.err.Error(), link.errAt
			if !state.Connected {
				hosts[i].Cure = engine.Cure(string(source), link.err)
			}
		}
	}
	return append(hosts, d.otherHosts()...)
}

// swarms are the Swarms of which something is known, by ID.
func (d *Docker) swarms() (all []status.Host) {
	for id, p := range d.catalog.Swarms() {
		all = append(all, status.Host{ID: id, Swarm: true, Synced: p.Synced, State: presenceName(p), Since: p.Since})
	}
	slices.SortFunc(all, func(a, b status.Host) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// presenceName says how far a host can be relied on, as status.Host has it.
func presenceName(p catalog.Presence) string {
	switch {
	case p.Aside:
		return "aside"
	case p.Forgotten:
		return "forgotten"
	}
	switch p.State {
	case zone.Unsynced:
		return "unsynced"
	case zone.Overdue:
		return "overdue"
	case zone.Away:
		return "away"
	default:
		return "current"
	}
}
