package zone

import (
	"cmp"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// choose puts those of the name's claims first that answer: the ones with the best right.
func (n *node) choose() {
	slices.SortStableFunc(n.claims, func(a, b held) int {
		return cmp.Or(cmp.Compare(a.claim.Rank, b.claim.Rank), compareBool(a.entry.Held, b.entry.Held), a.entry.compare(b.entry))
	})
	n.winners = int32(len(n.claims))
	if len(n.claims) > 0 && n.claims[0].claim.Rank < Shared {
		owner := n.claims[0].entry
		n.winners = partition(n.claims, func(h held) bool { return h.entry == owner })
	}
	n.winners = partition(n.claims[:n.winners], aloneOrNoCNAME(n.claims[:n.winners]))
}

// partition moves the claims that are kept to the front, in their order, and returns their
// number.
func partition(claims []held, keep func(held) bool) int32 {
	kept := slices.DeleteFunc(slices.Clone(claims), func(h held) bool { return !keep(h) })
	left := slices.DeleteFunc(slices.Clone(claims), keep)
	copy(claims, slices.Concat(kept, left))
	return int32(len(kept))
}

// compare orders containers by age. IDs settle what was created in one instant.
func (entry *Entry) compare(o *Entry) int {
	return cmp.Or(entry.Created.Compare(o.Created), cmp.Compare(entry.Host, o.Host), cmp.Compare(entry.ID, o.ID))
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// circle is how near a claimant is to the container that asks.
type circle uint8

const (
	ownProject circle = iota // on one of its networks, and of its Compose project
	neighbour                // on one of its networks
	stranger
)

func (v *View) circle(h *held) circle {
	switch {
	case !h.on(v.Networks):
		return stranger
	case v.Project != "" && v.Project == h.entry.Project:
		return ownProject
	default:
		return neighbour
	}
}

// on reports whether the claim is for one of the networks, if its claimant runs.
func (h *held) on(networks []container.NetworkID) bool {
	if h.claim.Network != noNetwork {
		return slices.Contains(networks, h.claim.Network)
	}
	return h.entry.on(networks)
}

// on reports whether the container is on one of the networks, or was before it ended.
func (entry *Entry) on(networks []container.NetworkID) bool {
	return slices.ContainsFunc(entry.Networks, func(n container.NetworkID) bool { return slices.Contains(networks, n) })
}

// seen returns the node as the view has it. A container's own networks come first: if there
// are claims on them, its own project's if there are such, only these count, and rights are
// weighed among them. What is held counts as there, so that nobody gets a stranger's address
// while a neighbour restarts.
//
// For all other askers, and where the circle's claims are those that answer anyway, that is
// the node itself.
func (s *Snapshot) seen(n *node, v *View) *node {
	if v.Asker != Container || len(n.claims) < 2 || n.reverse() {
		return n
	}
	nearest := stranger
	for i := range n.claims {
		nearest = min(nearest, v.circle(&n.claims[i]))
	}
	if nearest == stranger {
		return n
	}
	same := true
	for i := range n.claims {
		same = same && (v.circle(&n.claims[i]) == nearest) == (i < int(n.winners))
	}
	if same {
		return n
	}
	seen := *n
	seen.claims = slices.DeleteFunc(slices.Clone(n.claims), func(h held) bool { return v.circle(&h) != nearest })
	seen.choose()
	seen.records = seen.collect()
	seen.ttl = seen.leastTTL(s.store.config.TTL)
	return &seen
}

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
	project := ""
	var first *held
	for i := range n.claims[:n.winners] {
		h := &n.claims[i]
		if !h.ambiguous() {
			continue
		}
		bare = bare || h.claim.Bare
		p := h.entry.Project
		if first == nil {
			first, project = h, p
		}
		oneProject = oneProject && p != "" && p == project
		mixed = mixed || p != "" && project != "" && p != project
		project = cmp.Or(project, p)
	}
	switch {
	case !bare, oneProject:
		return open
	case mixed:
		return everyone
	case n.oneNetwork(first.entry):
		return open
	default:
		return outsiders
	}
}

// ambiguous reports whether the claim may make the name mean several things. Records say for
// themselves what they mean, and who is on no network never answers.
func (h *held) ambiguous() bool {
	return h.claim.Records() == nil && (h.claim.Network != noNetwork || len(h.entry.Networks) > 0 || h.entry.HostNetwork || h.entry.Held)
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
func allOn(claims []held, network []container.NetworkID) bool {
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
func (g guard) keeps(h *held, v *View) bool {
	switch {
	case !h.claim.Bare:
		return false
	case v.Asker == Container && h.on(v.Networks):
		return g == everyone
	default:
		return g != open || v.Project != "" && h.entry.Project != "" && v.Project != h.entry.Project
	}
}
