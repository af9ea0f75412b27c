package catalog

import (
	"sync"
	"sync/atomic"

	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// maxChanges bounds of how many changes it is known whose they were: the last ones.
const maxChanges = 1024

// Changes is what has changed since some moment.
type Changes struct {
	Keys []zone.Key      // of the containers, each once; without an ID of a host itself
	All  bool            // more has changed than can be told; Keys has none
	Last uint64          // the number of the last change
	Next <-chan struct{} // is closed with the next one
}

// changes numbers the changes of containers and hosts. It begins when it is asked first: until then a change costs nothing.
type changes struct {
	asked atomic.Bool

	mu    sync.Mutex // guards the following
	last  uint64
	first uint64        // after which the changes are known, as far as there is room for them
	keys  []zone.Key    // of the change n at n modulo maxChanges
	next  chan struct{} // nil if nobody waits
}

// Changes returns what has changed after the change of that number. Who asks the catalog then for what has changed gets it as
// it is after the change.
func (cat *Catalog) Changes(since uint64) Changes {
	c := &cat.changes
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil { // a number that was given before this one began is less, or more than the last
		c.keys = make([]zone.Key, maxChanges)
		c.last = uint64(cat.now().UnixNano())
		c.first = c.last
		c.asked.Store(true)
	}
	if c.next == nil {
		c.next = make(chan struct{})
	}
	changes := Changes{Last: c.last, Next: c.next}
	if since < c.first || since > c.last || c.last-since > maxChanges {
		changes.All = true
		return changes
	}
	seen := map[zone.Key]bool{}
	for n := since + 1; n <= c.last; n++ {
		if key := c.keys[n%maxChanges]; !seen[key] {
			seen[key] = true
			changes.Keys = append(changes.Keys, key)
		}
	}
	return changes
}

// note notes a change.
func (c *changes) note(key zone.Key) {
	if !c.asked.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.keys[c.last%maxChanges] = key
	c.tell()
}

// noteAll notes that more has changed than can be told.
func (c *changes) noteAll() {
	if !c.asked.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.first = c.last
	c.tell()
}

// tell wakes who waits for the next change. The caller holds mu.
func (c *changes) tell() {
	if c.next != nil {
		close(c.next)
		c.next = nil
	}
}
