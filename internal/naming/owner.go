package naming

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// name is a name before it is put into the zones.
type name struct {
	text    string
	rank    zone.Rank
	network container.NetworkID // the zero one is all
	part    zone.Part           // zone.Claim's
	bare    bool                // zone.Claim's
	// own is the container's own name. It is exclusive with one label below the zone.
	own bool
	// composed names are made of two, the one's and its project's or network's.
	composed bool
	// written names come from somebody who wrote them for the zones: they may end with a dot, be
	// wildcards, and are wrong where they lie in no zone.
	written bool
	// absolute names are not put into the zones: they count if they lie there.
	absolute bool
	record   bool // the name is a record's

	zone string // in which it lies as it stands; found by standing
}

// fqdn is the name as it stands.
func (n name) fqdn() string { return dns.Fqdn(strings.ToLower(n.text)) }

// standing finds the zone in which the name lies as it stands: who writes a zone's name means the zone.
// In zone . every name lies, which says nothing. A composed name was not written as a whole: its
// project may be called as a zone is.
func (r *Rules) standing(n name) name {
	owner := n.fqdn()
	for _, z := range r.Zones {
		if !n.composed && z != "." && strings.HasSuffix(owner, "."+z) && len(z) > len(n.zone) {
			n.zone = z
		}
	}
	return n
}

// twin is the name with hyphens for underscores: host names may have none (RFC 952).
func (n name) twin() name {
	relative := strings.TrimSuffix(n.fqdn(), n.zone)
	n.text = strings.ReplaceAll(relative, "_", "-") + n.zone
	if !n.written { // else it may end with a dot
		n.text = strings.TrimSuffix(n.text, ".")
	}
	switch n.rank {
	case zone.ByName, zone.ByHost:
		n.rank = zone.ByTwin
	case zone.ByService:
		n.rank = zone.ByTask
	}
	return n
}

// ownerName returns the name's owner name in the zone, "" if it has none there, or the
// reason why it can't be a name.
func (r *Rules) ownerName(n name, origin string) (owner, reason string) {
	text := strings.ToLower(n.text)
	if n.written {
		text = strings.TrimSuffix(text, ".")
	}
	if reason = n.invalid(text); reason != "" {
		return "", reason
	}
	owner = dns.Fqdn(text)
	switch {
	case n.zone != "" && n.zone != origin, n.zone == "" && n.absolute && origin != ".":
		return "", ""
	case n.zone == "" && origin != ".":
		owner += origin
	}
	if n.composed && r.zone(owner) != origin {
		return "", "" // it would be another kind of name in the zone inside of this one
	}
	switch {
	case strings.HasPrefix(owner, "*.") && owner[2:] == strings.TrimPrefix(origin, "."):
		return "", "a wildcard of the whole zone would answer for what is other containers'"
	case len(owner)+1 > 255: // on the wire: a length octet a label and the root's for the dots
		return "", fmt.Sprintf("longer than 255 octets in zone %s", origin)
	case r.Reserved(owner):
		return "", fmt.Sprintf("%s is the name server's own", owner)
	case dns.IsSubDomain("arpa.", owner):
		return "", "names under arpa. stand for addresses"
	}
	if origin != "." {
		return owner, ""
	}
	reason = n.unfitForRoot(owner)
	switch {
	case reason == "":
		return owner, ""
	case n.written, !n.composed && !n.absolute:
		return "", reason
	default: // nobody has given the whole name
		return "", ""
	}
}

// invalid returns the reason why the text, which is the name's, can't be a name.
func (n name) invalid(text string) string {
	if n.written {
		if text == "*" {
			return ""
		}
		text = strings.TrimPrefix(text, "*.")
	}
	return Invalid(text)
}

// zone returns the most specific zone in which the owner name lies, "" if there is none.
func (r *Rules) zone(owner string) string {
	best := ""
	for _, z := range r.Zones {
		if dns.IsSubDomain(z, owner) && len(z) > len(best) {
			best = z
		}
	}
	return best
}

const noRootWildcards = "zone . is shared with the Internet; there are no wildcards in it"

// unfitForRoot returns the reason why a container can't have the name in zone ., which is shared with the
// Internet: a container that is called example.org must not take that from all who ask us. Names of one
// label are nobody's there, and those of a project or network are given to its members alone.
func (n name) unfitForRoot(owner string) string {
	labels := dns.SplitDomainName(owner)
	if n.record { // services and the like belong to the name below which they stand
		for len(labels) > 1 && strings.HasPrefix(labels[0], "_") {
			labels = labels[1:]
		}
	}
	switch {
	case labels[0] == "*":
		return noRootWildcards
	case owner == "localhost.":
		return "localhost is everybody's own"
	case len(labels) == 1, n.composed && len(labels) == 2:
		return ""
	default:
		return "zone . is shared with the Internet; a container's names have one label in it"
	}
}

// written returns a name that somebody has written: it may be a wildcard, and is absolute if it
// ends with a dot.
func written(text string) name {
	return name{text: text, rank: zone.Shared, written: true, absolute: strings.HasSuffix(text, ".")}
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

// claims collects a container's claims to names that answer with its addresses.
type claims struct {
	list  []zone.Claim
	names map[string]bool // to which there are claims in the list
}

// add claims the name in all zones, or returns the reason why it can't be a name in
// one of them. What only zone . can't have is no loss to who has it in another.
func (cs *claims) add(r *Rules, n name) (reason string) {
	placed, unfit := false, ""
	for _, z := range r.Zones {
		owner, why := r.ownerName(n, z)
		switch {
		case owner != "":
			cs.claim(zone.Claim{Name: owner, Rank: n.rankIn(z, owner), Network: n.network, Part: n.part, Bare: n.bare, Scoped: n.composed && z == "."})
			placed = true
		case z == ".":
			unfit = why
		case why != "":
			reason = why
		}
	}
	switch {
	case placed || reason != "":
		return reason
	case unfit == "" && n.written:
		return r.outside(n)
	default:
		return unfit
	}
}

// outside says of a name that lies in none of the zones which one it needs.
func (r *Rules) outside(n name) string {
	const most = 5 // zones that are listed
	owner := strings.TrimPrefix(n.fqdn(), "*.")
	if slices.Contains(r.Zones, owner) {
		return fmt.Sprintf("it is the apex of the zone %s, which is the server's own", owner)
	}
	zones := strings.Join(r.Zones[:min(len(r.Zones), most)], ", ")
	if more := len(r.Zones) - most; more > 0 {
		zones += fmt.Sprintf(" and %d more", more)
	}
	labels := dns.SplitDomainName(owner)
	if len(labels) < 2 {
		return "it lies in none of the zones " + zones
	}
	return fmt.Sprintf("it lies in none of the zones %s; for it, add %s to these", zones, dns.Fqdn(strings.Join(labels[1:], ".")))
}

// rankIn is the name's rank in the zone. What stands below other names is nobody's alone.
func (n name) rankIn(z, owner string) zone.Rank {
	if n.own && dns.CountLabel(owner) > dns.CountLabel(z)+1 {
		return zone.Shared
	}
	return n.rank
}

// claim adds one claim, unless there is one that covers it. Of those that it covers it takes the first one's place, so that the order of
// names stays, and drops the others.
func (cs *claims) claim(c zone.Claim) {
	if !cs.names[c.Name] {
		if cs.names == nil {
			cs.names = map[string]bool{}
		}
		cs.names[c.Name] = true
		cs.list = append(cs.list, c)
		return
	}
	for i := range cs.list {
		if o := &cs.list[i]; covers(o, &c) {
			return
		} else if o.Bare && !c.Bare && o.Rank == c.Rank && o.Name == c.Name && o.Network == c.Network {
			o.Bare = false // somebody has said that it is not meant for one project or network
			return
		}
	}
	covered := func(o zone.Claim) bool { return covers(&c, &o) }
	if at := slices.IndexFunc(cs.list, covered); at >= 0 {
		rest := slices.DeleteFunc(cs.list[at+1:], covered)
		cs.list = append(cs.list[:at+1], rest...)
		cs.list[at] = c
		return
	}
	cs.list = append(cs.list, c)
}

// covers reports whether b adds nothing to a: they are of one name, and a is the
// stronger, or as strong and neither for fewer networks nor for fewer askers, and with no less of the addresses.
func covers(a, b *zone.Claim) bool {
	if a.Name != b.Name || a.Rank > b.Rank || a.Part > b.Part {
		return false
	}
	return a.Rank < b.Rank || (a.Network == noNetwork || a.Network == b.Network) && (!a.Bare || b.Bare)
}
