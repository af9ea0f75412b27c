package zone

import (
	"slices"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// under is what is known of the names below a name. One that stands in a published trie is
// never changed.
type under struct {
	children int32 // names one label below
	living   int32 // those that exist: with at least one this name does, RFC 8020
	wildcard bool  // one of them is a wildcard
	// claims are those to all names below, by the networks from which isolation lets them be
	// seen: everywhere is the zero one.
	claims []counted
}

type counted struct {
	network container.NetworkID
	claims  int32
}

// below returns what is below the node, for changing.
func (n *node) below() *under {
	if n.under == nil {
		n.under = &under{}
	}
	return n.under
}

func (n *node) children() int32 {
	if n.under == nil {
		return 0
	}
	return n.under.children
}

// seenFrom returns the networks from which isolation lets the container be seen, the zero one
// for everywhere. Of one that has just ended the networks may not be known any more.
func (entry *Entry) seenFrom() []container.NetworkID {
	if entry.Held && len(entry.Networks) == 0 && !entry.HostNetwork {
		return []container.NetworkID{noNetwork}
	}
	return entry.Networks
}

// hidden reports whether the name does not exist for who asks: it does not show, nor does
// isolation leave a name below it to be seen. The server's own name and those above it are
// there for all.
func (n *node) hidden(v *View) bool {
	return !n.shows(v) && !n.above(v) && (n.origin == nil || !dns.IsSubDomain(n.name, n.origin.ns))
}

// above reports whether isolation leaves a name below this one to be seen.
func (n *node) above(v *View) bool {
	return n.under != nil && slices.ContainsFunc(n.under.claims, func(c counted) bool { return v.sees(c.network) })
}

// exists reports whether the name does for the view, whatever claims there are to it: one that counts for none but the askers
// on its network has names above it for these alone, unless it has lost to the lords of a name above it on that network too.
func (s *Snapshot) exists(n *node, v *View) bool {
	return n.alive || v.Asker == Container && v.Isolate && n.above(v) && (n.reverse || len(s.lords(n, v, neighbour)) == 0)
}

// shows reports whether the name is for who asks, whatever is below it: it is in scope, and
// with isolation one of those who have it is on a network of the container that asks. A host is on none, and its name is
// nobody else's there but its own project's.
func (n *node) shows(v *View) bool {
	if !n.inScope(v) {
		return false
	}
	if !v.Isolate || v.Asker != Container {
		return true
	}
	hosts := slices.ContainsFunc(n.claims, func(h claimant) bool { return h.entry.IsHost() })
	return slices.ContainsFunc(n.claims, func(h claimant) bool {
		return v.itself(h.entry) || slices.ContainsFunc(h.seenBy(n.front), v.sees) && (!hosts || v.ofProject(h.entry))
	})
}

// inScope reports whether the name exists for who asks. Only in zone . it may not.
func (n *node) inScope(v *View) bool {
	if v.Asker == Host || len(n.claims) == 0 || n.origin == nil || !n.origin.root {
		return true
	}
	return slices.ContainsFunc(n.claims, func(h claimant) bool { return !h.claim.Scoped || v.among(&h) })
}

func (v *View) sees(network container.NetworkID) bool {
	return network == noNetwork || slices.Contains(v.Networks, network)
}

// expose adds so many claims like this one to the node to those below the names above it.
func (e *edit) expose(n *node, c claimant, claims int32) {
	if !e.store.config.Isolate || n.origin == nil {
		return
	}
	for name := n.name; name != n.origin.name; {
		if name = parent(name); name == n.origin.name {
			return
		}
		u := e.at(name).below()
		for _, network := range c.seenBy(e.fronts.of(c.entry)) {
			u.count(network, claims)
		}
	}
}

func (u *under) count(network container.NetworkID, claims int32) {
	i := slices.IndexFunc(u.claims, func(c counted) bool { return c.network == network })
	if i < 0 {
		u.claims = append(u.claims, counted{network, claims})
		return
	}
	if u.claims[i].claims += claims; u.claims[i].claims == 0 {
		u.claims = slices.Delete(u.claims, i, i+1)
	}
}
