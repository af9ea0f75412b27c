package naming

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// name is a name before it is put into the zones.
type name struct {
	text    string
	rank    zone.Rank
	network string // "" is all
	bare    bool   // zone.Claim's
	// absolute names are not put into the zones: they count if they lie there.
	absolute bool
	// written names come from somebody who wrote them for the zones: they may end with a dot, be
	// wildcards, and are wrong where they lie in no zone.
	written bool
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
	if n.written {
		text = strings.TrimSuffix(text, ".")
	}
	if reason = n.invalid(text); reason != "" {
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
	case strings.HasPrefix(owner, "*.") && owner[2:] == strings.TrimPrefix(origin, "."):
		return "", "a wildcard of the whole zone would answer for what is other containers'"
	case len(owner)+1 > 255: // on the wire: a length octet a label and the root's for the dots
		return "", fmt.Sprintf("longer than 255 octets in zone %s", origin)
	case r.Reserved(owner):
		return "", fmt.Sprintf("%s is the name server's own", owner)
	case dns.IsSubDomain("arpa.", owner):
		return "", "names under arpa. stand for addresses"
	}
	return owner, ""
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

// written returns a name that somebody has written: it is absolute if it ends with a dot or lies
// in a zone already, and may be a wildcard.
func (r *Rules) written(text string) name {
	n := name{text: text, rank: zone.Shared, written: true, absolute: strings.HasSuffix(text, ".")}
	owner := dns.Fqdn(strings.ToLower(text))
	for _, z := range r.Zones { // in zone . every name lies already, which says nothing
		n.absolute = n.absolute || z != "." && strings.HasSuffix(owner, "."+z)
	}
	return n
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
type claims struct{ list []zone.Claim }

// add claims the name in all zones, or returns the reason why it can't be a name in
// one of them.
func (cs *claims) add(r *Rules, n name) (reason string) {
	placed := false
	for _, z := range r.Zones {
		owner, why := r.owner(n, z)
		if why != "" {
			reason = why
		} else if owner != "" {
			cs.claim(zone.Claim{Name: owner, Rank: n.rank, Network: n.network, Bare: n.bare})
			placed = true
		}
	}
	if n.written && !placed && reason == "" {
		return "it lies below none of the zones"
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
