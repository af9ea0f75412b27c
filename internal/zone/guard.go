package zone

import (
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// guard says who may not be answered with a name's bare claims.
type guard struct {
	who guarded
	own bool // those of other hosts than the asker's do not answer it: its own has some
}

type guarded uint8

const (
	nobody    guarded = iota // they all come from one project, or from one network
	outsiders                // who is on none of the claims' networks
	everyone                 // they come from several projects, which are never mixed
)

// guard weighs the claims that answer, those of who has just ended too: what was ambiguous
// before is so while one of several restarts. Those of the asker's own host come first: what others mean by the name
// makes it no less clear there.
func (n *node) guard(v *View) guard {
	claims, own := n.meant(), false
	if v.Hosts != nil {
		claims, own = v.own(claims)
	}
	bare, oneProject, mixed := false, true, false
	var first, member *Entry // of a project
	for i := range claims {
		c := &claims[i]
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
		return guard{nobody, own}
	case mixed:
		return guard{everyone, own}
	case oneNetwork(claims, first):
		return guard{nobody, own}
	default:
		return guard{outsiders, own}
	}
}

// meant returns the claims by which the name may mean something: those that answer, and CNAMEs that give way to these for the form's
// sake alone.
func (n *node) meant() []claimant {
	claims := n.claims[:n.winners]
	if n.ruled && n.rank == Shared { // the others have no right to the name
		return claims
	}
	for _, c := range n.claims[n.winners:] {
		if c.rank() == n.rank && c.claim.Bare && c.claim.cname() {
			claims = append(slices.Clip(claims), c)
		}
	}
	return claims
}

// own returns the claims that are of the asker's host, or count as such, and whether there are any: else it returns all.
func (v *View) own(claims []claimant) (_ []claimant, own bool) {
	other := func(c claimant) bool { return !v.means(&c) }
	switch n := countFunc(claims, other); n {
	case 0:
		return claims, true
	case len(claims):
		return claims, false
	default:
		return slices.DeleteFunc(slices.Clone(claims), other), true
	}
}

// preferred returns the claims by which the view can have the name: those of the asker's own host if there are any, else all that
// answer.
func (n *node) preferred(v *View) []claimant {
	claims := n.claims[:n.winners]
	if v.Hosts != nil {
		claims, _ = v.own(claims)
	}
	return claims
}

func countFunc[T any](all []T, counts func(T) bool) (n int) {
	for _, t := range all {
		if counts(t) {
			n++
		}
	}
	return n
}

// sameProject reports whether both are of one Compose project, which is one host's, of one stack of a Swarm's, or of one service.
func (entry *Entry) sameProject(o *Entry) bool {
	return entry.Project != "" && entry.Project == o.Project && entry.ToldBy() == o.ToldBy() || entry.SameService(o)
}

// ambiguous reports whether the claim may make the name mean several things. Records say for
// themselves what they mean, unless they stand in place of addresses at a bare name, and who is on no network never answers with
// addresses.
func (c *claimant) ambiguous() bool {
	if c.claim.Records() != nil {
		return c.claim.Bare
	}
	return c.claim.Network != noNetwork || len(c.entry.Networks) > 0 || c.entry.HostNetwork || c.entry.Held
}

// oneNetwork reports whether there is a network for which all claim the name. The container is
// one of them.
func oneNetwork(claims []claimant, entry *Entry) bool {
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
	case g.own && !v.means(c):
		return true
	case v.Asker == Container && v.among(c):
		return g.who == everyone
	default:
		return g.who != nobody || v.member() && c.entry.Project != "" && !v.ofProject(c.entry)
	}
}
