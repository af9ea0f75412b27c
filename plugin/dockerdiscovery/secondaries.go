package dockerdiscovery

import (
	"bytes"
	"fmt"
	"net"
	"slices"

	"github.com/coredns/caddy"
	"github.com/coredns/caddy/caddyfile"
	"github.com/coredns/coredns/plugin"
	pkgparse "github.com/coredns/coredns/plugin/pkg/parse"
	"github.com/coredns/coredns/plugin/pkg/transport"
)

// hearEvents registers onEvent, unless that is done. CoreDNS forgets it when it reloads the Corefile at a signal.
func hearEvents() {
	if !slices.Contains(caddy.ListPlugins()["event_hooks"], pluginName) {
		caddy.RegisterEventHook(pluginName, onEvent)
	}
}

// serverBlock says where in the Corefile a plugin stands.
type serverBlock struct {
	index int
	keys  []string
}

// onEvent starts the notifiers of an instance when it begins to serve. The secondaries stand in the transfer plugin's
// block. That plugin has no way to ask for them, and its own Notify tries one secondary after the other, which takes
// seconds for each that is down. So we read the block from the Corefile, once transfer has accepted it.
func onEvent(event caddy.EventName, info any) error {
	i, ok := info.(*caddy.Instance)
	if event != caddy.InstanceStartupEvent || !ok {
		return nil
	}
	corefile := i.Caddyfile()
	blocks, err := caddyfile.Parse(corefile.Path(), bytes.NewReader(corefile.Body()), nil)
	if err != nil {
		return err
	}
	i.StorageMu.RLock()
	instance := i.Storage[instanceKey{}]
	i.StorageMu.RUnlock()

	instancesMu.Lock()
	defer instancesMu.Unlock()
	given := map[*Docker][]transferBlock{}
	for _, d := range active {
		if d.instance != instance || d.block.index >= len(blocks) {
			continue
		}
		given[d], err = parseTransfers(caddyfile.NewDispenserTokens(corefile.Path(), blocks[d.block.index].Tokens["transfer"]), d.block.keys)
		if err != nil {
			return err
		}
	}
	for d, transfers := range given {
		if len(transfers) > 0 {
			d.notifier.start(d.catalog, d.publish, notifications(d.config.zone.Zones, transfers))
		}
		d.listMembers(given)
	}
	return nil
}

// listMembers fills the catalog zone, if there is one: with the zones that somebody gets who asks where it stands. Its secondaries are
// told.
func (d *Docker) listMembers(given map[*Docker][]transferBlock) {
	name := d.config.catalogZone
	if name == "" {
		return
	}
	var members []string
	for other, transfers := range given {
		if !other.listensWith(d) {
			continue
		}
		for _, zone := range other.config.zone.Zones {
			if b := transferOf(zone, transfers); zone != "." && b != nil {
				members = append(members, zone)
			}
		}
	}
	z := newCatalogZone(name, members, d.config.zone.TTL)
	d.catalogZone.Store(z)
	if transferOf(name, given[d]) == nil {
		d.warnf("No plugin transfer gives the catalog zone %s to anybody: name its secondaries in a transfer block for it", name)
		return
	}
	d.notifier.tell(z.soa.Serial, notifications([]string{name}, given[d]))
}

// transferBlock is a transfer plugin's block.
type transferBlock struct {
	zones       plugin.Zones
	secondaries []*secondary
}

// parseTransfers reads the blocks of the transfer plugin. It skips lines that it does not know.
func parseTransfers(c caddyfile.Dispenser, keys []string) (all []transferBlock, err error) {
	for c.Next() {
		b := transferBlock{zones: plugin.OriginsFromArgsOrServerBlock(c.RemainingArgs(), keys)}
		var to []string
		var source net.IP
		for c.NextBlock() {
			switch c.Val() {
			case "to":
				to = append(to, c.RemainingArgs()...)
			case "source":
				if args := c.RemainingArgs(); len(args) > 0 {
					source = net.ParseIP(args[0])
				}
			}
		}
		for _, host := range to {
			if host == "*" { // anybody may transfer the zone, and nobody gets a NOTIFY
				continue
			}
			addr, err := pkgparse.HostPort(host, transport.Port)
			if err != nil {
				return nil, fmt.Errorf("the secondaries of %s are not told of changes: %w", b.zones, err)
			}
			b.secondaries = append(b.secondaries, newSecondary(addr, source))
		}
		all = append(all, b)
	}
	return all, nil
}

// notifications returns a notification for each zone and each of its secondaries.
func notifications(zones []string, transfers []transferBlock) (all []*notification) {
	for _, zone := range zones {
		if zone == "." { // which is not transferred
			continue
		}
		if b := transferOf(zone, transfers); b != nil {
			for _, s := range b.secondaries {
				all = append(all, newNotification(zone, s))
			}
		}
	}
	return all
}

// transferOf returns the block by which the zone is transferred, nil if there is none: that with the longest match, as in the transfer
// plugin.
func transferOf(zone string, transfers []transferBlock) (best *transferBlock) {
	var longest string
	for i, b := range transfers {
		if match := b.zones.Matches(zone); len(match) > len(longest) {
			longest, best = match, &transfers[i]
		}
	}
	return best
}
