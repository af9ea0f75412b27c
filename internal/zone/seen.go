package zone

import (
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// circle is how near a claimant is to the container that asks.
type circle uint8

const (
	ownProject circle = iota // on one of its networks, and of its Compose project
	neighbour                // on one of its networks
	stranger
)

func (v *View) circle(c *claimant) circle {
	switch {
	case v.Asker != Container:
		return stranger
	case c.entry.IsHost():
		return neighbour // whoever starts a container on the network is not to have a host's name there
	case !v.among(c):
		return stranger
	case v.ofProject(c.entry):
		return ownProject
	default:
		return neighbour
	}
}

// on reports whether the claim is for one of the networks, if its claimant runs.
func (c *claimant) on(networks []container.NetworkID) bool {
	if c.claim.Network != noNetwork {
		return slices.Contains(networks, c.claim.Network)
	}
	return c.entry.on(networks)
}

// on reports whether the container is on one of the networks, or was before it ended.
func (entry *Entry) on(networks []container.NetworkID) bool {
	return slices.ContainsFunc(entry.Networks, func(n container.NetworkID) bool { return slices.Contains(networks, n) })
}

// seen returns the node as the view has it. A container's own networks come first: if there
// are claims on them, its own project's if there are such, only these count, and rights are
// weighed among them. What is held counts as there, so that nobody gets a stranger's address
// while a neighbour restarts. Of a host that has not been reconciled only those claims count that nothing can
// overrule which is not known yet.
//
// For all other askers, and where the circle's claims are those that answer anyway, that is
// the node itself.
func (s *Snapshot) seen(n *node, v *View) *node {
	if n.reverse || s.uncertain == 0 && (v.Asker != Container || len(n.claims) < 2 && !n.ruled) {
		return n
	}
	nearest := stranger
	for i := range n.claims {
		nearest = min(nearest, v.circle(&n.claims[i]))
	}
	var lords []Key
	if n.ruled {
		lords = s.lords(n, v, nearest)
	}
	counts := func(c *claimant) bool { return v.circle(c) == nearest && s.certain(n, c.entry, v) }
	if nearest == stranger && s.uncertain == 0 || n.answersJust(counts, lords) {
		return n
	}
	seen := *n
	seen.claims = slices.DeleteFunc(slices.Clone(n.claims), func(c claimant) bool { return !counts(&c) })
	seen.unready = len(seen.claims) == 0 && len(n.claims) > 0
	seen.choose(lords)
	if seen.winners == 0 && !seen.unready { // nearby there are but claims without right
		return n
	}
	seen.front = s.front(&seen)
	seen.records = seen.collect(guard{}, &View{})
	seen.ttl = seen.leastTTL(s.store.config.TTL)
	seen.addrs = nil
	return &seen
}

// answersJust reports whether the claims that answer are those that count, below the lords' name.
func (n *node) answersJust(counts func(*claimant) bool, lords []Key) bool {
	for i := range n.claims {
		c := &n.claims[i]
		if (counts(c) && c.allowed(lords)) != (i < int(n.winners)) {
			return false
		}
	}
	return true
}

// lords returns the containers whose name the node lies below, as far as the view weighs their right: a stranger's counts
// for nothing among the claims of a nearer circle.
func (s *Snapshot) lords(n *node, v *View, nearest circle) []Key {
	above := s.names.get(n.origin.child(n.name))
	if above == nil {
		return nil
	}
	up := *above
	up.claims = slices.DeleteFunc(slices.Clone(up.claims), func(c claimant) bool { return v.circle(&c) > nearest })
	up.choose(nil)
	return up.lords()
}

// certain reports whether nothing that is not known yet can overrule the entry's right to the name: its host has been
// reconciled; or the name is the container's ID; or its own, of which a container that asks must know that it is on its
// network. To that, another host's name is certain too: its own project's names are its host's.
func (s *Snapshot) certain(n *node, entry *Entry, v *View) bool {
	if s.isCertain(entry.ToldBy()) {
		return true
	}
	return slices.ContainsFunc(n.claims, func(c claimant) bool {
		switch {
		case c.entry != entry:
			return false
		case c.rank() == ByHost, c.rank() == ByName:
			return v.Asker != Container || v.among(&c) || entry.IsHost() && !v.local(entry)
		default:
			return c.rank() == ByID
		}
	})
}
