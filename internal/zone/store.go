package zone

import (
	"iter"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Store is the authoritative data of a set of zones. Its methods may be called from
// any goroutine.
type Store struct {
	config  Config
	origins origins

	current atomic.Pointer[Snapshot]
	version atomic.Pointer[Version] // that secondaries get; nil if nobody does

	publishing sync.Mutex // held by who makes a version

	mu      sync.Mutex // taken by writers only; guards the following
	entries map[Key]*Entry
	hosts   map[container.HostID]int // the numbers of their entries
	// subjects are, by the name one label below a zone, the names below it with the numbers of their claims that the
	// container whose name that is can rule out.
	subjects map[string]map[string]int
	proxies  proxies
}

// Snapshot is the data at one moment.
type Snapshot struct {
	store   *Store
	names   trie
	serials map[string]uint32 // by apex
	hosts   hostStates
	fronts  fronts

	several         bool // hosts have entries
	uncertain, away int  // of hosts, the numbers of those that are Unsynced or Overdue, and Away

	// Names and Records count the owner names, and the address and PTR records.
	Names, Records int
	lost           map[container.HostID]int // the claims of each host's containers that have lost to a stronger one
}

// node is one owner name, with or without records of its own. Nodes that stand in a
// published trie are never changed.
type node struct {
	name   string
	origin *origin // nil for an address's name outside our zones

	claims  []claimant // the strongest first
	winners int32      // the first winners of claims answer
	// What they give: addresses, as the Docker host sees them, the TTL of these, and records; and who answers for them.
	ttl     uint32
	addrs   []netip.Addr
	records *rrsets
	front   *front

	rank    Rank   // the winners', if there are any
	reverse bool   // it stands for an address
	alive   bool   // it exists: for all whose claims it is, or with a name below it
	ruled   bool   // somebody has the container's name above it
	unready bool   // as seen: there are claims, of which none is certain
	under   *under // nil if nothing is below
}

func newNode(name string, o *origin) *node {
	return &node{name: name, origin: o, reverse: isReverseName(name)}
}

// claimant is a claim with its entry, one of whose claims it is, or noClaim on a reverse name.
type claimant struct {
	entry *Entry
	claim *Claim
}

// noClaim stands for a container's right to its address's name.
var noClaim = &partClaims[Whole]

// NewStore returns a Store without containers.
func NewStore(c Config) *Store {
	s := &Store{
		config: c, origins: origins{}, entries: map[Key]*Entry{}, subjects: map[string]map[string]int{}, hosts: map[container.HostID]int{},
		proxies: proxies{fronts: map[Key]*Entry{}, served: map[Key]*Entry{}},
	}
	for _, z := range c.Zones {
		s.origins[z] = newOrigin(z)
	}
	for _, z := range c.Zones {
		s.Delegate(z)
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

// Delegate has transfers of the zone in which this one lies lead to its name server, and leave out what is below. The zone may be
// another server block's. It must be called before the store is published.
func (s *Store) Delegate(zone string) {
	if zone == "." {
		return
	}
	if o := s.origins.match(parent(zone)); o != nil && !o.root {
		o.cuts = append(o.cuts, zone)
	}
}

// Snapshot returns the data as it is now.
func (s *Store) Snapshot() *Snapshot { return s.current.Load() }

// Change is the new state of one container; Entry is nil when it is gone.
type Change struct {
	Key
	Entry *Entry
}

// Apply publishes the changes, all at once, and returns the claims that have lost by
// them. It costs what the changed containers' names cost, however many there are, and for front proxies the names for which
// they answer.
func (s *Store) Apply(changes []Change) []Lost {
	s.mu.Lock()
	defer s.mu.Unlock()

	e := s.edit(s.Snapshot())
	// Whom the proxies serve is taken out first, and put back when it is known which there are.
	concerned := s.proxies.concerns(changes)
	if concerned {
		for _, entry := range s.proxies.served {
			e.remove(entry)
		}
	}
	apart := func(entry *Entry) bool { return concerned && entry.proxied() }
	for _, c := range changes {
		if old := s.entries[c.Key]; old != nil {
			if !apart(old) {
				e.remove(old)
			}
			s.count(c.Host, -1)
		}
		s.proxies.note(c.Key, c.Entry)
		if c.Entry == nil {
			delete(s.entries, c.Key)
			continue
		}
		s.entries[c.Key] = c.Entry
		if !apart(c.Entry) {
			e.add(c.Entry)
		}
		s.count(c.Host, 1)
	}
	if concerned {
		e.fronts = newFronts(s.proxies.fronts)
		for _, entry := range s.proxies.served {
			e.add(entry)
		}
	}
	e.several = len(s.hosts) > 1
	s.current.Store(e.publish())
	return e.losses
}

// count notes so many entries more of the host.
func (s *Store) count(host container.HostID, entries int) {
	if s.hosts[host] += entries; s.hosts[host] == 0 {
		delete(s.hosts, host)
	}
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
		for i, a := range entry.Addresses {
			again := slices.ContainsFunc(entry.Addresses[:i], func(o Address) bool { return o.IP == a.IP })
			if !again && !yield(reverseName(a.IP), noClaim) {
				return
			}
		}
	}
}

// Lost returns how many claims of each host's containers have lost to a stronger one. The map must not be changed.
func (s *Snapshot) Lost() map[container.HostID]int { return s.lost }

// losers yields the containers whose claims to the name have lost, each as often as it has such claims.
func (n *node) losers() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		for _, c := range n.claims[n.winners:] {
			if !c.entry.Held && !yield(c.entry) {
				return
			}
		}
	}
}

// contested reports whether a claim to the name has lost.
func (n *node) contested() bool {
	for range n.losers() {
		return true
	}
	return false
}

// answered is 1 if somebody answers for the name, else 0.
func (n *node) answered() int { return int(min(n.winners, 1)) }

func (n *node) count() int {
	return len(n.addrs) + n.records.len()
}

// subject notes so many claims more to a name that whoever has a container's name above it can rule out.
func (s *Store) subject(n *node, claim *Claim, claims int) {
	if claim.Rank != Shared || n.origin == nil || n.reverse {
		return
	}
	above := n.origin.child(n.name)
	if above == n.name {
		return
	}
	if s.subjects[above] == nil {
		s.subjects[above] = map[string]int{}
	}
	if s.subjects[above][n.name] += claims; s.subjects[above][n.name] == 0 {
		delete(s.subjects[above], n.name)
		if len(s.subjects[above]) == 0 {
			delete(s.subjects, above)
		}
	}
}

// issued has, by apex, the last serial given out by this process before it was cut to
// 32 bits. It outlives the stores: a reloaded configuration has new ones for the same
// zones.
var issued = struct {
	sync.Mutex
	last map[string]uint64
}{last: map[string]uint64{}}

// NextSerial returns a serial for the zone that is greater, in the arithmetic of
// RFC 1982, than any that this process or an earlier one gave out for it.
//
// It counts hundredths of a second since 1970 modulo 2³². So the clock carries it over
// a restart, unless a process publishes more than a hundred changes a second all its
// life, and a secondary may lag behind by 248 days.
func NextSerial(apex string) uint32 {
	issued.Lock()
	defer issued.Unlock()
	next := max(issued.last[apex]+1, uint64(time.Now().UnixMilli()/10))
	if uint32(next) == 0 { // a transfer takes 0 for "none"
		next++
	}
	issued.last[apex] = next
	return uint32(next)
}
