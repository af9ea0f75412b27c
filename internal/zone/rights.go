package zone

import (
	"cmp"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Rank is the right by which a name is claimed. The claims of the lowest rank at a name take it alone, and answer
// together; of a host's container names and IDs, which an engine gives once, the oldest container has it.
type Rank uint8

// The ranks, the strongest first.
const (
	ByHost    Rank = iota // a host's name, which is the Corefile's to give; below it its containers' names
	ByName                // a container's name, one label below the zone
	ByID                  // a container's short ID
	ByTwin                // its name with hyphens for underscores
	ByService             // the names of a Swarm's service: who may start containers can't claim these
	ByTask                // those of its tasks, and with hyphens
	ByProject             // made of two: of a project or network and what is called so in it
	Shared                // anything else
)

// alone reports whether of one host's claims of the rank only one answers.
func (r Rank) alone() bool { return r < ByTwin }

// ofService reports whether claims of the rank answer together with those of the same service alone.
func (r Rank) ofService() bool { return r == ByService || r == ByTask }

// own reports whether the name is the container's own, be it its ID or another spelling: nobody has names of his choice
// below it.
func (r Rank) own() bool { return r <= ByTwin }

// choose puts those of the name's claims first that answer: all claims of the containers with the best right. Below a
// container's own name only its lords, whose name that is, have names that others may claim as they like.
func (n *node) choose(lords []Key) {
	slices.SortStableFunc(n.claims, func(a, b claimant) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), compareBool(a.entry.Held, b.entry.Held), a.entry.compare(b.entry))
	})
	won := n.best(lords)
	n.winners = partition(n.claims, among(won))
	winners := n.claims[:n.winners]
	// One's claims stand together, whatever their ranks.
	slices.SortStableFunc(winners, func(a, b claimant) int {
		return cmp.Or(compareBool(a.entry.Held, b.entry.Held), a.entry.compare(b.entry))
	})
	n.winners = partition(winners, aloneOrNoCNAME(winners))
}

// among reports of a claim whether it is one of the containers'. A name such as db may be that of thousands, of which each would be looked for
// among all.
func among(containers []*Entry) func(claimant) bool {
	const few = 8
	if len(containers) <= few {
		return func(c claimant) bool { return slices.Contains(containers, c.entry) }
	}
	set := make(map[*Entry]bool, len(containers))
	for _, e := range containers {
		set[e] = true
	}
	return func(c claimant) bool { return set[c.entry] }
}

// best returns the containers that have the best right to the name. Its claims are sorted.
func (n *node) best(lords []Key) (won []*Entry) {
	for i := range n.claims {
		c := &n.claims[i]
		switch {
		case !c.allowed(lords):
		case len(won) == 0:
			won = append(won, c.entry)
			n.rank = c.rank()
		case c.rank() > n.rank:
			return won
		case n.rank.alone() && slices.ContainsFunc(won, func(e *Entry) bool { return e.Host == c.entry.Host }):
		case won[len(won)-1] == c.entry: // one's claims of a rank stand together
		case n.rank.ofService() && !won[0].SameService(c.entry): // of two of one name, with hyphens or of two Swarms
		default:
			won = append(won, c.entry)
		}
	}
	if n.rank.alone() {
		for i, entry := range won {
			won[i] = n.sole(entry.Host, lords)
		}
	}
	return won
}

// sole returns the host's container that has the name alone, by the node's rank: the oldest, or one that runs in its place
// while it is held, which is called just as it was. Who is called nearly so waits for the end of the hold.
func (n *node) sole(host container.HostID, lords []Key) (oldest *Entry) {
	claimants := func(yield func(*Entry) bool) {
		for i := range n.claims {
			c := &n.claims[i]
			if c.rank() == n.rank && c.entry.Host == host && c.allowed(lords) && !yield(c.entry) {
				return
			}
		}
	}
	for e := range claimants {
		if oldest == nil || e.compare(oldest) < 0 {
			oldest = e
		}
	}
	if oldest.Held {
		for e := range claimants {
			if !e.Held && e.Name == oldest.Name {
				return e
			}
		}
	}
	return oldest
}

// rank is the right by which the claim counts now.
func (c *claimant) rank() Rank {
	if c.entry.Gone {
		return Shared
	}
	return c.claim.Rank
}

// allowed reports whether the claim counts below the name of the lords, of whom there may be none: names made of a
// host's, project's or network's do, and the lords' own.
func (c *claimant) allowed(lords []Key) bool {
	return len(lords) == 0 || c.claim.Rank != Shared || slices.Contains(lords, c.entry.Key)
}

// lords are the containers, or the host, whose own name the node's is.
func (n *node) lords() (lords []Key) {
	if n == nil {
		return nil
	}
	for i := range n.claims[:n.winners] {
		if c := &n.claims[i]; c.rank().own() && !slices.Contains(lords, c.entry.Key) {
			lords = append(lords, c.entry.Key)
		}
	}
	return lords
}

// partition moves the claims that are kept to the front, in their order, and returns their
// number.
func partition(claims []claimant, keep func(claimant) bool) int32 {
	kept := slices.DeleteFunc(slices.Clone(claims), func(c claimant) bool { return !keep(c) })
	left := slices.DeleteFunc(slices.Clone(claims), keep)
	copy(claims, slices.Concat(kept, left))
	return int32(len(kept))
}

// compare orders containers by age. IDs settle what was created in one instant.
func (entry *Entry) compare(o *Entry) int {
	return cmp.Or(entry.Created.Compare(o.Created), cmp.Compare(entry.ID, o.ID), cmp.Compare(entry.Host, o.Host))
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
