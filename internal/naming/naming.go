// Package naming turns the facts about a container into the names it claims. It is
// pure: the same facts and rules give the same claims.
package naming

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming/dialect"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// noNetwork is no network's ID.
var noNetwork container.NetworkID

// Source is where a name comes from.
type Source string

// The sources.
const (
	Container Source = "container" // the container's name
	ID        Source = "id"        // its short ID
	Host      Source = "host"      // its name below its host's, if that has one
	Hostname  Source = "hostname"  // its host name
	Compose   Source = "compose"   // <service>.<project>
	Swarm     Source = "swarm"     // a Swarm's services and their tasks
	Alias     Source = "alias"     // its aliases on each network
	Label     Source = "label"     // what its labels say
	Template  Source = "template"  // what the Corefile's templates say
)

// sources is how each source names a container, in the order in which they say how it is best known where the Corefile has no other.
var sources = []struct {
	source Source
	names  func(*subject) []name
}{
	{Container, byContainer},
	{ID, byID},
	{Host, byHost},
	{Hostname, byHostname},
	{Compose, byCompose},
	{Swarm, func(*subject) []name { return nil }}, // Rules.Service's
	{Alias, byAlias},
	{Label, byLabel},
	{Template, byTemplate},
}

// subject is the container that is being named, with what the sources of names need.
type subject struct {
	*container.Container
	rules    *Rules
	on       *container.Networks
	provider *container.Container // Entry's
	labels   *labels
	told     []said // by labels for other tools
	refused  *refusals
}

// Sources are all sources, the default.
func Sources() []Source {
	all := make([]Source, len(sources))
	for i, s := range sources {
		all[i] = s.source
	}
	return all
}

// Rules say which names containers get.
type Rules struct {
	Zones   []string // the zones that hold names: absolute, lower case, not reverse
	Sources []Source // in the order in which they say how a container is best known
	// Reserved reports whether a name is the server's own.
	Reserved func(owner string) bool
	// Networks are those whose addresses count, the first ones first; all if empty.
	Networks []string
	// Routed is set where each host forwards to containers from all its bridges, as without a firewall.
	Routed bool
	// Health is what health checks decide, of containers whose label says nothing else; prefer if empty.
	Health Health

	LabelPrefix string // of the labels that are read, without the last dot; DefaultLabelPrefix if empty
	OptIn       bool   // only containers with the label <prefix>.enable=true have names
	TTL         uint32 // of records in labels that state none
	Templates   []*NameTemplate
	Filters     *Filters
	// Addresses are those that labels may have answered in place of a container's own. Empty are none.
	Addresses []netip.Prefix
	Tools     Tools
}

// Entry returns what the container contributes to the zones, nil if that is nothing, why it has no names, if it has
// none, and the names that it does not get, with the reasons. The networks are its host's. The provider is the container whose
// network it uses: itself, or the one that it has joined, nil if that does not run. A front proxy contributes its addresses, whether
// it is left out or not: the Corefile names it.
func (r *Rules) Entry(on *container.Networks, c, provider *container.Container) (*zone.Entry, LeftOut, []Skipped) {
	var refused refusals
	proxy := r.Tools.isProxy(c.Name, Service(c), Project(c))
	filtered := r.Filters.Lack(c) != ""
	if filtered && !proxy {
		return nil, Filtered, nil
	}
	told := r.Tools.read(dialectFacts(c))
	l := r.labels(r.withSettings(c.Labels, told), &refused)
	l.addrPrefix = addrPrefix(told)
	r.noteUntold(c.Untold, &refused)
	if filtered {
		l.leftOut = Filtered
	}
	if l.leftOut != LetIn && !proxy {
		return nil, l.leftOut, refused.all()
	}
	e := &zone.Entry{
		Key: zone.Key{Host: on.Host(), ID: c.ID}, Name: c.Name, Project: Project(c), Service: Service(c), Created: c.Created,
		Sick: l.health != IgnoreHealth && c.Health == container.Unhealthy, Draining: c.Paused || c.Stopping,
		RequireWell: l.health == RequireHealth,
		TTL:         l.ttl, OwnTTL: l.ownTTL,
	}
	if provider != nil {
		e.Networks, e.Addresses = r.addresses(on, provider, l, &refused)
		e.HostNetwork, e.Published = provider.HostNetwork(), provider.Published()
		e.Joined = provider != c
	}
	if proxy {
		e.Front = &zone.Claim{}
	}
	if l.leftOut != LetIn {
		return e, l.leftOut, refused.all()
	}
	a := &subject{Container: c, rules: r, on: on, provider: provider, labels: l, told: told, refused: &refused}
	names := r.named(a)
	in := r.inPlace(l, names, &refused)
	if !in.any() { // else the ports are not where the names lead
		names = append(names, r.services(a, names)...)
	}
	all := in.replace(r, names)
	if slices.Contains(r.Sources, Label) {
		all = append(all, r.records(a, names, in.cname != "")...)
	}
	if in.cname == "" {
		all = append(all, r.toolRecords(a, names)...)
	}
	e.Claims = slices.Clone(all) // without the room that appending leaves
	left := LetIn
	if len(e.Claims) == 0 {
		left = NoName
	}
	return e, left, refused.all()
}

// named returns the claims to names that answer with the container's addresses, or with its proxies'.
func (r *Rules) named(a *subject) []zone.Claim {
	all := namer{rules: r, refused: a.refused}
	for _, source := range r.Sources {
		for _, s := range sources {
			if s.source != source {
				continue
			}
			for _, n := range s.names(a) {
				all.add(source, n)
			}
		}
	}
	proxied := r.addTools(&all, a.told, zone.Whole)
	return r.fronted(all.labelled(a.labels), proxied, a.labels.ttl)
}

// namer collects the names of one container, or of a Swarm's service or task.
type namer struct {
	rules   *Rules
	refused *refusals
	have    claims
	twins   []name
}

// add claims the name, or notes why it can't be one.
func (all *namer) add(source Source, n name) {
	n = all.rules.standing(n)
	if reason := all.have.add(all.rules, n); reason != "" {
		all.refused.add(Skipped{Source: source, Name: n.text, Reason: reason})
	} else if strings.Contains(n.text, "_") {
		all.twins = append(all.twins, n.twin())
	}
}

// claims returns all claims. Twins come last: of two spellings the real one is the better known.
func (all *namer) claims() claims {
	for _, n := range all.twins {
		all.have.add(all.rules, n) // as valid as the name with underscores
	}
	all.twins = nil
	return all.have
}

// labelled returns all claims, and those to what lies below the names if the labels ask for it.
func (all *namer) labelled(l *labels) []zone.Claim {
	claims := all.claims()
	if l.wildcard {
		claims.addWildcards(all.rules, all.refused)
	}
	return claims.list
}

// addresses returns where the container is reached, and the networks: on the network that the
// label names, else on those of the Corefile, else on all.
func (r *Rules) addresses(on *container.Networks, c *container.Container, l *labels, refused *refusals) (networks []container.NetworkID, addrs []zone.Address) {
	// is reports whether the network has the name, or is called so in its project's Compose file.
	is := func(ep *container.Endpoint, name string) bool {
		return ep.Network == name || on.Compose(ep.Network).Short == name
	}
	wanted := r.Networks
	if l.network != nil {
		own := func(ep *container.Endpoint, name string) bool {
			compose := on.Compose(ep.Network)
			return ep.Network == name || compose.Short == name && compose.Project == Project(c)
		}
		if slices.ContainsFunc(c.Endpoints, func(ep container.Endpoint) bool { return own(&ep, *l.network) }) {
			wanted, is = []string{*l.network}, own
		} else {
			refused.add(Skipped{Label, "network", *l.network, "the container is not on it, but on " + networkNames(c)})
		}
	}
	var added []string
	add := func(ep *container.Endpoint) {
		if slices.Contains(added, ep.Network) { // by its other name
			return
		}
		added = append(added, ep.Network)
		if on.Shared(ep.Network) {
			networks = append(networks, on.ID(ep.Network))
		}
		addrs = r.onNetwork(addrs, on, c, ep)
	}
	if len(wanted) == 0 {
		for i := range c.Endpoints {
			add(&c.Endpoints[i])
		}
	}
	for _, network := range wanted {
		for i := range c.Endpoints {
			if is(&c.Endpoints[i], network) {
				add(&c.Endpoints[i])
			}
		}
	}
	if l.addrPrefix == "" {
		return networks, addrs
	}
	if addrs = slices.DeleteFunc(addrs, func(a zone.Address) bool { return !strings.HasPrefix(a.IP.String(), l.addrPrefix) }); len(addrs) == 0 {
		refused.add(Skipped{Source(dialect.Dnsdock), labelAddrPrefix, l.addrPrefix, "none of the container's addresses begins so"})
	}
	return networks, addrs
}

// onNetwork adds the addresses at which the container is reached by its connection to the network. Its host reaches it by
// docker_gwbridge on behalf of each network that spans hosts.
func (r *Rules) onNetwork(addrs []zone.Address, on *container.Networks, c *container.Container, ep *container.Endpoint) []zone.Address {
	id := on.ID(ep.Network)
	for _, ip := range ep.Addrs {
		if reach, by := r.reach(on, c, ep.Network, ip); by {
			addrs = append(addrs, zone.Address{IP: ip, Network: id, Reach: reach})
		}
	}
	if on.Spans(ep.Network) {
		for _, ip := range c.GWBridge.Addrs {
			addrs = append(addrs, zone.Address{IP: ip, Network: id, Reach: on.Reach(c.GWBridge.Network, ip) | container.Unshared})
		}
	}
	return addrs
}

// reach returns who reaches the container's address on the network, and whether anybody does.
func (r *Rules) reach(on *container.Networks, c *container.Container, network string, ip netip.Addr) (reach container.Reach, by bool) {
	reach = on.Reach(network, ip)
	if reach&container.RoutedPorts != 0 {
		if slices.ContainsFunc(c.Ports, func(p container.Port) bool { return p.Open }) {
			reach |= container.Routed | container.Forwarded
		} else {
			reach &^= container.RoutedPorts
		}
	}
	const alone = container.Unshared | container.OffHost
	if r.Routed && reach&(alone|container.OnLAN) == 0 && on.Outbound(network) != container.NoWayOut {
		reach = reach&^container.Apart | container.Forwarded
	}
	return reach, reach&^(container.RoutedPorts|container.Apart) != alone
}

// networks returns the names of the container's networks.
func networks(c *container.Container) []string {
	names := make([]string, len(c.Endpoints))
	for i := range c.Endpoints {
		names[i] = c.Endpoints[i].Network
	}
	return names
}

func networkNames(c *container.Container) string {
	return cmp.Or(strings.Join(networks(c), ", "), "none")
}

// Held returns what is left of the container for a while after it has ended: its names, and
// the networks on which nobody else is to be taken for it. Of one that is gone nobody is kept
// from them any more, unless Compose may be making it anew.
func Held(e *zone.Entry, gone bool) *zone.Entry {
	return &zone.Entry{
		Key: e.Key, Name: e.Name, Project: e.Project, Service: e.Service, Created: e.Created,
		Held: true, Gone: gone && e.Service == "", Networks: e.Networks, HostNetwork: e.HostNetwork, Claims: e.Claims, Front: e.Front,
	}
}
