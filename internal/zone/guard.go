package zone

import "github.com/dockerdiscovery/dockerdiscovery/internal/container"

// guard says who may not be answered with a name's bare claims.
type guard uint8

const (
	open      guard = iota // nobody: they all come from one project, or from one network
	outsiders              // who is on none of the claims' networks
	everyone               // they come from several projects, which are never mixed
)

// guard weighs the claims that answer, those of who has just ended too: what was ambiguous
// before is so while one of several restarts.
func (n *node) guard() guard {
	bare, oneProject, mixed := false, true, false
	var first, member *Entry // of a project
	for i := range n.claims[:n.winners] {
		c := &n.claims[i]
		if !c.ambiguous() {
			continue
		}
		bare = bare || c.claim.Bare
		if first == nil {
			first = c.entry
		}
		oneProject = oneProject && first.sameProject(c.entry)
		if c.entry.Project != "" {
			if member == nil {
				member = c.entry
			}
			mixed = mixed || !member.sameProject(c.entry)
		}
	}
	switch {
	case !bare, oneProject:
		return open
	case mixed:
		return everyone
	case n.oneNetwork(first):
		return open
	default:
		return outsiders
	}
}

// sameProject reports whether both are of one Compose project, which is one host's.
func (entry *Entry) sameProject(o *Entry) bool {
	return entry.Project != "" && entry.Project == o.Project && entry.Host == o.Host
}

// ambiguous reports whether the claim may make the name mean several things. Records say for
// themselves what they mean, and who is on no network never answers.
func (c *claimant) ambiguous() bool {
	return c.claim.Records() == nil && (c.claim.Network != noNetwork || len(c.entry.Networks) > 0 || c.entry.HostNetwork || c.entry.Held)
}

// oneNetwork reports whether there is a network for which all claim the name. The container is
// one of them.
func (n *node) oneNetwork(entry *Entry) bool {
	claims := n.claims[:n.winners]
	for i := range claims {
		if claims[i].entry != entry {
			continue
		}
		networks := entry.Networks
		if claims[i].claim.Network != noNetwork {
			networks = []container.NetworkID{claims[i].claim.Network}
		}
		for j := range networks {
			if allOn(claims, networks[j:j+1]) {
				return true
			}
		}
	}
	return false
}

// allOn reports whether each claimant has a claim for the network. One's claims stand together.
func allOn(claims []claimant, network []container.NetworkID) bool {
	for i := 0; i < len(claims); {
		entry, counts, on := claims[i].entry, false, false
		for ; i < len(claims) && claims[i].entry == entry; i++ {
			counts = counts || claims[i].ambiguous()
			on = on || claims[i].ambiguous() && claims[i].on(network)
		}
		if counts && !on {
			return false
		}
	}
	return true
}

// keeps reports whether the guard keeps the claim from the view. Of a bare name of another
// project a container knows only what is on its own networks, even when nobody else has the
// name: its own project's may be about to start.
func (g guard) keeps(c *claimant, v *View) bool {
	switch {
	case !c.claim.Bare:
		return false
	case v.Asker == Container && c.on(v.Networks):
		return g == everyone
	default:
		return g != open || v.Project != "" && c.entry.Project != "" && !v.ofProject(c.entry)
	}
}
