package zone

import (
	"maps"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// edit is a change of the data under way.
type edit struct {
	*Snapshot // the next one
	before    *Snapshot
	nodes     map[string]*node // touched names
	changed   map[string]bool  // apexes of the zones whose records differ from before
	losses    []Lost           // new ones
}

func (s *Store) edit(before *Snapshot) *edit {
	next := *before
	return &edit{Snapshot: &next, before: before, nodes: map[string]*node{}, changed: map[string]bool{}}
}

// at returns the name's node for changing, made with its ancestors if there is none.
func (e *edit) at(name string) *node {
	if n, ok := e.nodes[name]; ok {
		return n
	}
	if old := e.names.get(name); old != nil {
		n := *old
		n.claims = slices.Clone(n.claims)
		if n.under != nil {
			u := *n.under
			u.claims = slices.Clone(u.claims)
			n.under = &u
		}
		e.nodes[name] = &n
		return &n
	}
	n := newNode(name, e.store.origins.match(name))
	e.nodes[name] = n
	if n.origin != nil && n.origin.root && n.reverse {
		n.origin = nil // addresses' names in the root zone stay the Internet's
	}
	if n.origin != nil && name != n.origin.name {
		up := e.at(parent(name)).below()
		up.children++
		up.wildcard = up.wildcard || strings.HasPrefix(name, "*.")
	}
	return n
}

func (e *edit) remove(entry *Entry) {
	for name, claim := range entry.owned() {
		n := e.at(name)
		n.claims = slices.DeleteFunc(n.claims, func(c claimant) bool { return c.entry == entry })
		e.expose(n, claimant{entry, claim}, -1)
		e.store.subject(n, claim, -1)
	}
}

func (e *edit) add(entry *Entry) {
	for name, claim := range entry.owned() {
		n := e.at(name)
		n.claims = append(n.claims, claimant{entry, claim})
		e.expose(n, claimant{entry, claim}, 1)
		e.store.subject(n, claim, 1)
	}
}

// publish settles what the touched names answer, drops those that no longer exist,
// and returns the next snapshot.
func (e *edit) publish() *Snapshot {
	for _, n := range slices.Collect(maps.Values(e.nodes)) {
		e.rule(n)
	}
	for _, n := range slices.Collect(maps.Values(e.nodes)) {
		if !n.reverse {
			e.settle(n)
		}
	}
	// Only now is it known which names the containers hold, and so to which an
	// address resolves.
	for _, n := range e.nodes {
		if n.reverse {
			e.settleReverse(n)
		}
	}
	for _, n := range slices.Collect(maps.Values(e.nodes)) {
		e.enliven(n)
	}
	for _, n := range slices.Collect(maps.Values(e.nodes)) {
		e.prune(n)
	}
	for _, n := range e.nodes {
		e.names = e.names.put(n)
	}
	if len(e.changed) > 0 {
		e.serials = maps.Clone(e.serials)
		for apex := range e.changed {
			e.serials[apex] = NextSerial(apex)
		}
	}
	return e.Snapshot
}

// rule has all names below the node's looked at again, if others than before have that by the right of their names.
func (e *edit) rule(n *node) {
	below := e.store.subjects[n.name]
	if len(below) == 0 {
		return
	}
	n.choose(nil)
	if slices.Equal(n.lords(), e.old(n).lords()) {
		return
	}
	for name := range below {
		e.at(name)
	}
}

// lords returns the containers whose name the node lies below.
func (e *edit) lords(n *node) []Key {
	if n.origin == nil || n.name == n.origin.name {
		return nil
	}
	above := n.origin.child(n.name)
	if above == n.name {
		return nil
	}
	up := e.get(above)
	if up != nil && e.nodes[above] == up {
		up.choose(nil) // it may be settled later than the node
	}
	return up.lords()
}

// settle decides who answers for the name, and with which addresses.
func (e *edit) settle(n *node) {
	old := e.old(n)
	lords := e.lords(n)
	n.ruled = len(lords) > 0
	n.choose(lords)
	n.front = e.front(n)
	n.records = n.collect(guard{}, &View{})
	n.addrs = n.addresses(e.Snapshot, &View{})
	n.ttl = n.leastTTL(e.store.config.TTL)
	e.count(old, n)
	if n.contested() || old.contested() {
		e.contested(old, n, lords)
	}
	if addrs := n.addrs; !slices.Equal(old.addrs, addrs) || len(addrs) > 0 && old.ttl != n.ttl || !old.records.equal(n.records) {
		e.change(n)
	}
}

// contested notes who has newly lost the name, to another claimant or to the lords of a name above it, and has the
// addresses looked at again of all whose right to it may have changed: they may resolve to another name now.
func (e *edit) contested(old, n *node, lords []Key) {
	losers := n.claims[n.winners:]
	for i, c := range losers {
		if c.entry.Held {
			continue
		}
		lost := func(o claimant) bool { return o.entry.Key == c.entry.Key }
		if !slices.ContainsFunc(old.claims[old.winners:], lost) && !slices.ContainsFunc(losers[:i], lost) {
			l := Lost{Name: n.name, Loser: c.entry}
			if n.winners > 0 {
				l.Winner = n.claims[0].entry
			} else {
				l.Winner = e.store.entries[lords[0]]
			}
			e.losses = append(e.losses, l)
		}
	}
	for _, c := range slices.Concat(old.claims, n.claims) {
		for _, a := range c.entry.Addresses {
			if name := reverseName(a.IP); e.names.get(name) != nil {
				e.at(name)
			}
		}
	}
}

// get returns the node of the name as it is by now, nil if there is none.
func (e *edit) get(name string) *node {
	if n, ok := e.nodes[name]; ok {
		return n
	}
	return e.names.get(name)
}

var noNode = &node{}

// old returns the node as it was before the edit.
func (e *edit) old(n *node) *node {
	if old := e.before.names.get(n.name); old != nil {
		return old
	}
	return noNode
}

func (e *edit) count(old, n *node) {
	e.Names += n.answered() - old.answered()
	e.Records += n.count() - old.count()
	e.countLost(old, -1)
	e.countLost(n, 1)
}

// countLost notes so many claims more of each whose claim to the name has lost.
func (e *edit) countLost(n *node, claims int) {
	if !n.contested() {
		return
	}
	if e.lost = maps.Clone(e.lost); e.lost == nil { // the snapshot before has it too
		e.lost = map[container.HostID]int{}
	}
	for loser := range n.losers() {
		if e.lost[loser.Host] += claims; e.lost[loser.Host] == 0 {
			delete(e.lost, loser.Host)
		}
	}
}

// change notes that a record of the name's zone has changed.
func (e *edit) change(n *node) {
	if n.origin != nil {
		e.changed[n.origin.name] = true
	}
}

// enliven notes whether the name exists by now, and then whether those above it do. A name to which there are none but lost
// claims does not: it must be as if these had not been made.
func (e *edit) enliven(n *node) {
	alive := n.winners > 0 || n.servers() || n.under != nil && n.under.living > 0
	if alive == n.alive {
		return
	}
	n.alive = alive
	if n.origin == nil || n.name == n.origin.name {
		return
	}
	up := e.at(parent(n.name))
	if alive {
		up.below().living++
	} else {
		up.below().living--
	}
	e.enliven(up)
}

// servers reports whether the name is there without any container: the apex's, or the name server's.
func (n *node) servers() bool {
	o := n.origin
	return o != nil && (n.name == o.name || n.name == o.ns && !o.root)
}

// prune drops the name if it no longer exists, and then its ancestors likewise.
func (e *edit) prune(n *node) {
	if e.nodes[n.name] != n || len(n.claims) > 0 || n.children() > 0 || n.servers() {
		return
	}
	delete(e.nodes, n.name)
	e.names = e.names.del(n.name)
	if n.origin != nil {
		up := e.at(parent(n.name))
		up.under.children--
		up.under.wildcard = up.under.wildcard && !strings.HasPrefix(n.name, "*.")
		e.prune(up)
	}
}
