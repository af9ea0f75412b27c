package zone

import (
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Store is the authoritative data of a set of zones. Its methods may be called from
// any goroutine.
type Store struct {
	config  Config
	origins origins

	current atomic.Pointer[Snapshot]

	mu      sync.Mutex // held by writers only; guards entries
	entries map[Key]*Entry
}

// Snapshot is the data at one moment.
type Snapshot struct {
	store   *Store
	names   trie
	serials map[string]uint32 // by apex
	hosts   hostStates

	// Names, Records and Lost count the owner names, the address and PTR records,
	// and the claims that have lost to a stronger one.
	Names, Records, Lost int
}

// node is one owner name, with or without records of its own. Nodes that stand in a
// published trie are never changed.
type node struct {
	// What most look-ups read stands together, in the two cache lines of a node: the name, too, if it is
	// short. Of many nodes most are not in the processor's cache.

	name    string
	short   [24]byte // the name, if it is no longer
	origin  *origin  // nil for an address's name outside our zones
	records *rrsets
	// What the winners give: addresses, as the Docker host sees them, and records. Most names have one
	// address.
	several *[]netip.Addr
	one     [1]netip.Addr
	ttl     uint32 // of the addresses

	winners int32  // the first winners of claims answer
	claims  []held // the strongest first
	under   *under // nil if nothing is below
}

func newNode(name string, o *origin) *node {
	n := &node{name: name, origin: o}
	copy(n.short[:], name)
	return n
}

// is reports whether the node has the name.
func (n *node) is(name string) bool {
	if len(name) <= len(n.short) {
		return len(n.name) == len(name) && string(n.short[:len(name)]) == name
	}
	return n.name == name
}

// addrs returns the node's addresses. The slice must not be changed.
func (n *node) addrs() []netip.Addr {
	switch {
	case n.several != nil:
		return *n.several
	case n.one[0].IsValid():
		return n.one[:]
	default:
		return nil
	}
}

// setAddrs sets the node's addresses, which may be those that it has.
func (n *node) setAddrs(addrs []netip.Addr) {
	var one [1]netip.Addr
	n.several = nil
	switch len(addrs) {
	case 0:
	case 1:
		one[0] = addrs[0]
	default:
		all := addrs // else each call has the parameter moved to the heap
		n.several = &all
	}
	n.one = one
}

// held is a claim with its claimant, one of whose it is, or noClaim on a reverse name.
type held struct {
	entry *Entry
	claim *Claim
}

// noClaim stands for a container's right to its address's name.
var noClaim = &Claim{}

// NewStore returns a Store without containers.
func NewStore(c Config) *Store {
	s := &Store{config: c, origins: origins{}, entries: map[Key]*Entry{}}
	for _, z := range c.Zones {
		s.origins[z] = newOrigin(z)
	}
	e := s.edit(&Snapshot{store: s, serials: map[string]uint32{}})
	for _, o := range s.origins {
		e.at(o.name)
		if !o.root {
			e.at(o.ns)
		}
		e.changed[o.name] = true
	}
	s.current.Store(e.publish())
	return s
}

// Snapshot returns the data as it is now.
func (s *Store) Snapshot() *Snapshot { return s.current.Load() }

// Change is the new state of one container; Entry is nil when it is gone.
type Change struct {
	Key
	Entry *Entry
}

// Apply publishes the changes, all at once, and returns the claims that have lost by
// them. It costs what the changed containers' names cost, however many there are.
func (s *Store) Apply(changes []Change) []Lost {
	s.mu.Lock()
	defer s.mu.Unlock()

	e := s.edit(s.Snapshot())
	for _, c := range changes {
		if old := s.entries[c.Key]; old != nil {
			e.remove(old)
		}
		if c.Entry == nil {
			delete(s.entries, c.Key)
			continue
		}
		s.entries[c.Key] = c.Entry
		e.add(c.Entry)
	}
	s.current.Store(e.publish())
	return e.lost
}

// edit is a change of the data under way.
type edit struct {
	*Snapshot // the next one
	before    *Snapshot
	nodes     map[string]*node // touched names
	changed   map[string]bool  // apexes of the zones whose records differ from before
	lost      []Lost
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
	if n.origin != nil && n.origin.root && IsReverse(name) {
		n.origin = nil // addresses' names in the root zone stay the Internet's
	}
	if n.origin != nil && name != n.origin.name {
		up := e.at(parent(name)).below()
		up.children++
		up.wildcard = up.wildcard || strings.HasPrefix(name, "*.")
	}
	return n
}

// owned yields an entry's names with the claims to them.
func (entry *Entry) owned() iter.Seq2[string, *Claim] {
	return func(yield func(string, *Claim) bool) {
		for i := range entry.Claims {
			if !yield(entry.Claims[i].Name, &entry.Claims[i]) {
				return
			}
		}
		if entry.Joined {
			return
		}
		for _, a := range entry.Addresses {
			if !yield(reverseName(a.IP), noClaim) {
				return
			}
		}
	}
}

func (e *edit) remove(entry *Entry) {
	for name := range entry.owned() {
		n := e.at(name)
		n.claims = slices.DeleteFunc(n.claims, func(h held) bool { return h.entry == entry })
		e.expose(n, entry, -1)
	}
}

func (e *edit) add(entry *Entry) {
	for name, claim := range entry.owned() {
		n := e.at(name)
		n.claims = append(n.claims, held{entry, claim})
		e.expose(n, entry, 1)
	}
}

// publish settles what the touched names answer, drops those that no longer exist,
// and returns the next snapshot.
func (e *edit) publish() *Snapshot {
	for _, n := range slices.Collect(maps.Values(e.nodes)) {
		if !n.reverse() {
			e.settle(n)
		}
	}
	// Only now is it known which names the containers hold, and so to which an
	// address resolves.
	for _, n := range e.nodes {
		if n.reverse() {
			e.settleReverse(n)
		}
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
			e.serials[apex] = nextSerial(apex)
		}
	}
	return e.Snapshot
}

// settle decides who answers for the name, and with which addresses.
func (e *edit) settle(n *node) {
	old := e.old(n)
	n.choose()
	n.records = n.collect()
	n.setAddrs(n.addresses(&View{}))
	n.ttl = n.leastTTL(e.store.config.TTL)
	e.count(old, n)
	if n.lostClaims() > 0 || old.lostClaims() > 0 {
		e.contested(old, n)
	}
	if addrs := n.addrs(); !slices.Equal(old.addrs(), addrs) || len(addrs) > 0 && old.ttl != n.ttl || !old.records.equal(n.records) {
		e.change(n)
	}
}

// contested notes who has newly lost the name, and has the addresses looked at again
// of all whose right to it may have changed: they may resolve to another name now.
func (e *edit) contested(old, n *node) {
	for _, h := range n.claims[n.winners:] {
		if h.entry.Held {
			continue
		}
		lost := func(o held) bool { return o.entry.Key == h.entry.Key }
		if !slices.ContainsFunc(old.claims[old.winners:], lost) {
			e.lost = append(e.lost, Lost{Name: n.name, Loser: h.entry, Winner: n.claims[0].entry})
		}
	}
	for _, h := range slices.Concat(old.claims, n.claims) {
		for _, a := range h.entry.Addresses {
			if name := reverseName(a.IP); e.names.get(name) != nil {
				e.at(name)
			}
		}
	}
}

// lostClaims is the number of claims to the name that another container defeats.
func (n *node) lostClaims() (lost int) {
	for _, h := range n.claims[n.winners:] {
		if !h.entry.Held {
			lost++
		}
	}
	return lost
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
	e.Names += n.owner() - old.owner()
	e.Records += n.count() - old.count()
	e.Lost += n.lostClaims() - old.lostClaims()
}

// owner is 1 if a container holds the name, else 0.
func (n *node) owner() int { return min(len(n.claims), 1) }

func (n *node) count() int {
	return len(n.addrs()) + n.records.len()
}

// change notes that a record of the name's zone has changed.
func (e *edit) change(n *node) {
	if n.origin != nil {
		e.changed[n.origin.name] = true
	}
}

// prune drops the name if it no longer exists, and then its ancestors likewise.
func (e *edit) prune(n *node) {
	if e.nodes[n.name] != n || len(n.claims) > 0 || n.children() > 0 {
		return
	}
	if o := n.origin; o != nil && (n.name == o.name || n.name == o.ns && !o.root) {
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

// issued has, by apex, the last serial given out by this process before it was cut to
// 32 bits. It outlives the stores: a reloaded configuration has new ones for the same
// zones.
var issued = struct {
	sync.Mutex
	last map[string]uint64
}{last: map[string]uint64{}}

// nextSerial returns a serial for the zone that is greater, in the arithmetic of
// RFC 1982, than any that this process or an earlier one gave out for it.
//
// It counts hundredths of a second since 1970 modulo 2³². So the clock carries it over
// a restart, unless a process publishes more than a hundred changes a second all its
// life, and a secondary may lag behind by 248 days.
func nextSerial(apex string) uint32 {
	issued.Lock()
	defer issued.Unlock()
	next := max(issued.last[apex]+1, uint64(time.Now().UnixMilli()/10))
	if uint32(next) == 0 { // a transfer takes 0 for "none"
		next++
	}
	issued.last[apex] = next
	return uint32(next)
}
