// Package naming turns the facts about a container into the names it claims. It is
// pure: the same facts and rules give the same claims.
package naming

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Source is where a name comes from.
type Source string

// The sources, in the order in which they say how a container is best known.
const (
	Container Source = "container" // the container's name
	ID        Source = "id"        // its short ID
	Hostname  Source = "hostname"  // its host name
	Compose   Source = "compose"   // <service>.<project>
	Alias     Source = "alias"     // its aliases on each network
)

// sources is how each source names a container.
var sources = []struct {
	source Source
	names  func(*container.Container) []name
}{
	{Container, byContainer},
	{ID, byID},
	{Hostname, byHostname},
	{Compose, byCompose},
	{Alias, byAlias},
}

// Sources are all sources, the default.
func Sources() []Source {
	all := make([]Source, len(sources))
	for i, s := range sources {
		all[i] = s.source
	}
	return all
}

// name is a name before it is put into the zones.
type name struct {
	text    string
	rank    zone.Rank
	network string // "" is all
	bare    bool   // zone.Claim's
	// absolute names are not put into the zones: they count if they lie there.
	absolute bool
}

// Rules say which names containers get.
type Rules struct {
	Zones   []string // the zones that hold names: absolute, lower case, not reverse
	Sources []Source
	// Reserved reports whether a name is the server's own.
	Reserved func(owner string) bool
	// Networks are those whose addresses count, the first ones first; all if empty.
	Networks []string
	// IgnoreHealth takes ill containers for well.
	IgnoreHealth bool
}

// Skipped is a name that a container does not get.
type Skipped struct {
	Source Source
	Name   string // as the container has it
	Reason string
}

func (s Skipped) String() string { return fmt.Sprintf("%s name %q: %s", s.Source, s.Name, s.Reason) }

// Entry returns what the container contributes to the zones, and the names that it
// does not get, with the reasons. Owner is the container whose network it uses: itself, or
// the one that it has joined, nil if that does not run.
func (r *Rules) Entry(c, owner *container.Container) (*zone.Entry, []Skipped) {
	e := &zone.Entry{
		ID: c.ID, Name: c.Name, Project: Project(c), Created: c.Created,
		Well: !c.Paused && !c.Stopping && (r.IgnoreHealth || c.Health != container.Unhealthy),
	}
	if owner != nil {
		e.Addresses, e.HostNetwork, e.Published = r.addresses(owner), owner.HostNetwork(), owner.Published()
		e.Joined = owner != c
	}
	var claims claims
	var skipped []Skipped
	var twins []name
	for _, s := range sources {
		if !slices.Contains(r.Sources, s.source) {
			continue
		}
		if s.source == Hostname && owner != nil && owner != c && c.Hostname == owner.Hostname {
			continue // Docker gives it the other's host name
		}
		for _, n := range s.names(c) {
			if reason := claims.add(r, n); reason != "" {
				skipped = append(skipped, Skipped{s.source, n.text, reason})
			} else if strings.Contains(n.text, "_") {
				twins = append(twins, n.twin())
			}
		}
	}
	// Twins come last: of two spellings the real one is the better known.
	for _, n := range twins {
		claims.add(r, n) // as valid as the name with underscores
	}
	e.Claims = claims.list
	return e, skipped
}

// addresses returns where the container is reached.
func (r *Rules) addresses(c *container.Container) []zone.Address {
	var addrs []zone.Address
	add := func(ep *container.Endpoint) {
		for _, ip := range ep.Addrs {
			addrs = append(addrs, zone.Address{IP: ip, Network: ep.Network})
		}
	}
	if len(r.Networks) == 0 {
		for i := range c.Endpoints {
			add(&c.Endpoints[i])
		}
	}
	for _, network := range r.Networks {
		for i := range c.Endpoints {
			if c.Endpoints[i].Network == network {
				add(&c.Endpoints[i])
			}
		}
	}
	return addrs
}

// Held returns what is left of the container for a while after it has ended: its names.
// Of one that is gone nobody is kept from them any more.
func Held(e *zone.Entry, gone bool) *zone.Entry {
	held := &zone.Entry{ID: e.ID, Name: e.Name, Project: e.Project, Created: e.Created, Held: true, Claims: e.Claims}
	if gone {
		held.Claims = slices.Clone(e.Claims)
		for i := range held.Claims {
			held.Claims[i].Rank = zone.Shared
		}
	}
	return held
}

// twin is the name with hyphens for underscores: host names may have none (RFC 952).
func (n name) twin() name {
	n.text = strings.ReplaceAll(n.text, "_", "-")
	if n.rank == zone.ByName {
		n.rank = zone.ByTwin
	}
	return n
}

// owner returns the name's owner name in the zone, "" if it has none there, or the
// reason why it can't be a name.
func (r *Rules) owner(n name, origin string) (owner, reason string) {
	text := strings.ToLower(n.text)
	if reason = Invalid(text); reason != "" {
		return "", reason
	}
	owner = dns.Fqdn(text)
	if n.absolute {
		if !dns.IsSubDomain(origin, owner) || owner == origin {
			return "", ""
		}
	} else if origin != "." {
		owner += origin
	}
	switch {
	case len(owner)+1 > 255: // on the wire: a length octet a label and the root's for the dots
		return "", fmt.Sprintf("longer than 255 octets in zone %s", origin)
	case r.Reserved(owner):
		return "", fmt.Sprintf("%s is the name server's own", owner)
	case dns.IsSubDomain("arpa.", owner):
		return "", "names under arpa. stand for addresses"
	}
	return owner, ""
}

// Invalid returns the reason why the text, in lower case, can't be a
// name, "" if it can: RFC 1035 §2.3.1 with the underscore that containers' names may have.
func Invalid(text string) string {
	for label := range strings.SplitSeq(text, ".") {
		switch {
		case label == "":
			return "empty label"
		case len(label) > 63:
			return "label longer than 63 octets"
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
				return fmt.Sprintf("character %q; letters, digits, hyphens and underscores are possible", r)
			}
		}
	}
	return ""
}

// claims collects a container's claims.
type claims struct{ list []zone.Claim }

// add claims the name in all zones, or returns the reason why it can't be a name in
// one of them.
func (cs *claims) add(r *Rules, n name) (reason string) {
	for _, z := range r.Zones {
		owner, why := r.owner(n, z)
		if why != "" {
			reason = why
		} else if owner != "" {
			cs.claim(zone.Claim{Name: owner, Rank: n.rank, Network: n.network, Bare: n.bare})
		}
	}
	return reason
}

// claim adds one claim, unless there is one that covers it, and drops those that it
// covers.
func (cs *claims) claim(c zone.Claim) {
	if slices.ContainsFunc(cs.list, func(o zone.Claim) bool { return covers(o, c) }) {
		return
	}
	cs.list = slices.DeleteFunc(cs.list, func(o zone.Claim) bool { return covers(c, o) })
	cs.list = append(cs.list, c)
}

// covers reports whether b adds nothing to a: they are of one name, and a is the
// stronger, or as strong and not for fewer networks.
func covers(a, b zone.Claim) bool {
	if a.Name != b.Name || a.Rank > b.Rank {
		return false
	}
	return a.Rank < b.Rank || a.Network == "" || a.Network == b.Network
}

func byContainer(c *container.Container) []name {
	return []name{{text: c.Name, rank: zone.ByName}}
}

func byID(c *container.Container) []name {
	return []name{{text: c.ShortID(), rank: zone.ByID}}
}

// byHostname leaves out containers on the host's network: their host name is the host's.
// A host name may be a whole domain name, or its domain stand apart.
func byHostname(c *container.Container) []name {
	if c.Hostname == "" || c.HostNetwork() {
		return nil
	}
	names := []name{{text: c.Hostname, rank: zone.Shared}}
	fqdn := c.Hostname
	if c.Domainname != "" {
		fqdn += "." + strings.TrimSuffix(c.Domainname, ".")
	}
	if strings.Contains(fqdn, ".") {
		names = append(names, name{text: fqdn, rank: zone.Shared, absolute: true})
	}
	return names
}

// The labels that Compose puts on its containers, v1 and v2.
const (
	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
	composeOneoff  = "com.docker.compose.oneoff"
)

// Project returns the container's Compose project, "" if it has none.
func Project(c *container.Container) string { return c.Labels[composeProject] }

// byCompose leaves out the containers of "compose run": they do not serve.
func byCompose(c *container.Container) []name {
	project, service := Project(c), c.Labels[composeService]
	if project == "" || service == "" || strings.EqualFold(c.Labels[composeOneoff], "true") {
		return nil
	}
	return []name{{text: service + "." + project, rank: zone.Shared}}
}

// byAlias leaves out the short ID, which some engines put among the aliases: it is a
// source of its own.
func byAlias(c *container.Container) []name {
	var names []name
	for _, ep := range c.Endpoints {
		for _, alias := range ep.Aliases {
			if alias == c.ShortID() {
				continue
			}
			names = append(names,
				name{text: alias, rank: zone.Shared, network: ep.Network, bare: true},
				name{text: alias + "." + ep.Network, rank: zone.Shared, network: ep.Network})
		}
	}
	return names
}
