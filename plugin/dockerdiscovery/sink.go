package dockerdiscovery

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// records turns facts into names and publishes them. It implements engine.Sink.
type records struct {
	rules   naming.Rules
	hold    time.Duration // for which an ended container's names stay
	store   *zone.Store
	clients clients
	host    atomic.Pointer[container.Host]
	directs atomic.Pointer[[]string] // names of host's direct networks: it is asked for each address
	synced  atomic.Bool              // the store has been complete once
	skipped atomic.Int64
	changed chan struct{} // has an item when the zones may have changed

	mu     sync.Mutex // guards the following
	known  map[string]*known
	joined map[string][]string // IDs of those who have joined a container's network, by its ID or name
	// compose are the networks of Compose projects, by name.
	compose map[string]container.ComposeNetwork
	closed  bool

	successors map[string]*successor // by ID
}

// known is what is known of a container that runs, or has just ended.
type known struct {
	facts   *container.Container // nil if it has ended
	entry   *zone.Entry          // nil if it is left out
	skipped []naming.Skipped
	gone    bool        // it has been removed
	timer   *time.Timer // ends the hold
	until   time.Time   // when it does
	passing bool        // the hold is over, but for what a successor will have
}

// Host implements engine.Sink.
func (r *records) Host(h container.Host) {
	var directs []string
	compose := map[string]container.ComposeNetwork{}
	for i := range h.Networks {
		n := &h.Networks[i]
		if n.Direct() {
			directs = append(directs, n.Name)
		}
		if n.Compose != (container.ComposeNetwork{}) {
			compose[n.Name] = n.Compose
		}
	}
	r.directs.Store(&directs)
	r.host.Store(&h)
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.compose
	if maps.Equal(before, compose) {
		return
	}
	r.compose = compose
	affected := map[string]bool{} // who is on a network that is known by another name now
	for id, k := range r.known {
		if k.facts != nil && slices.ContainsFunc(k.facts.Endpoints, func(ep container.Endpoint) bool { return before[ep.Network] != compose[ep.Network] }) {
			r.affect(affected, id, k.facts)
		}
	}
	if len(affected) > 0 {
		r.publish(r.entries(affected))
	}
}

// Synced implements engine.Sink.
func (r *records) Synced() {
	r.synced.Store(true)
	r.published()
}

// Apply implements engine.Sink.
func (r *records) Apply(changes []container.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	affected := map[string]bool{} // what has changed, and what has joined its network
	var created []container.Change
	var past []string
	passes := false
	for _, c := range changes {
		if c.Created != nil {
			created = append(created, c)
			continue
		}
		if r.successors[c.ID] != nil { // it has started, or is gone
			delete(r.successors, c.ID)
			passes = true
		}
		k := r.known[c.ID]
		switch {
		case k == nil && c.Last != nil:
			if r.remember(c) {
				past = append(past, c.ID)
			}
			continue
		case k == nil && c.Container == nil:
			continue
		case k == nil:
			k = &known{}
			r.known[c.ID] = k
		}
		before := k.facts
		k.facts, k.gone = c.Container, c.Gone
		r.join(before, c.Container)
		r.clients.replace(before, c.Container)
		r.affect(affected, c.ID, before, c.Container)
	}
	entries := r.entries(affected)
	for _, c := range created {
		passes = passes || r.successors[c.ID] != nil // it may have other names now
		r.succeed(c)
	}
	for _, id := range past {
		entries = append(entries, r.rest(id)...)
	}
	if passes {
		entries = append(entries, r.passAll()...)
	}
	r.publish(entries)
}

// entries makes the containers' entries anew. The caller holds mu.
func (r *records) entries(ids map[string]bool) []zone.Change {
	entries := make([]zone.Change, 0, len(ids))
	for id := range ids {
		entries = append(entries, r.entry(id))
	}
	return entries
}

// affect adds the container to the set, and those whose addresses are its own.
func (r *records) affect(set map[string]bool, id string, facts ...*container.Container) {
	if set[id] {
		return
	}
	set[id] = true
	refs := []string{id}
	for _, c := range facts {
		if c != nil {
			refs = append(refs, c.Name)
		}
	}
	for _, ref := range refs {
		for _, other := range r.joined[ref] {
			r.affect(set, other, r.known[other].facts)
		}
	}
}

// join keeps joined.
func (r *records) join(before, after *container.Container) {
	if before != nil && before.Joined() != "" {
		ref := before.Joined()
		r.joined[ref] = slices.DeleteFunc(r.joined[ref], func(id string) bool { return id == before.ID })
		if len(r.joined[ref]) == 0 {
			delete(r.joined, ref)
		}
	}
	if after != nil && after.Joined() != "" {
		r.joined[after.Joined()] = append(r.joined[after.Joined()], after.ID)
	}
}

// maxJoins bounds a chain of containers each of which has joined the next.
const maxJoins = 8

// owner returns the container whose network this one uses, nil if that does not run. A network of one's own ends with its
// container: who joined it stays there, and is not in the one that a restart makes. The host's network stays.
func (r *records) owner(c *container.Container) *container.Container {
	restarted := false
	for range maxJoins {
		ref := c.Joined()
		if ref == "" {
			if restarted && !c.HostNetwork() {
				return nil
			}
			return c
		}
		k := r.known[ref]
		if k == nil { // Docker has the ID there; others may have a name
			for _, other := range r.known {
				if other.facts != nil && other.facts.Name == ref {
					k = other
				}
			}
		}
		if k == nil || k.facts == nil {
			return nil
		}
		restarted = restarted || !c.Started.IsZero() && k.facts.Started.After(c.Started)
		c = k.facts
	}
	return nil
}

// named returns the entry of a container by its facts, and what it is not called. The caller holds mu.
func (r *records) named(c *container.Container) (*zone.Entry, []naming.Skipped) {
	facts, owner := c.WithNetworks(r.compose), r.owner(c)
	if owner == c {
		owner = facts
	} else if owner != nil {
		owner = owner.WithNetworks(r.compose)
	}
	return r.rules.Entry(facts, owner)
}

// entry makes the container's entry anew. The caller holds mu.
func (r *records) entry(id string) zone.Change {
	k := r.known[id]
	var skipped []naming.Skipped
	switch {
	case k.facts != nil:
		if k.timer != nil {
			k.timer.Stop()
			k.timer = nil
		}
		k.passing = false
		k.entry, skipped = r.named(k.facts)
	case r.hold > 0 && !r.closed && k.entry != nil:
		k.entry = naming.Held(k.entry, k.gone)
		if k.timer == nil {
			r.holdUntil(id, k, time.Now().Add(r.hold))
		}
	default:
		k.entry = nil
		delete(r.known, id)
	}
	for _, s := range skipped {
		if !slices.Contains(k.skipped, s) {
			aboutContainers.logf("Container %s: skipped %s", k.facts.Name, s)
		}
	}
	r.skipped.Add(int64(len(skipped) - len(k.skipped)))
	k.skipped = skipped
	return zone.Change{ID: id, Entry: k.entry}
}

// expire drops the names of a container that has ended, unless it has started anew, or what will have them waits.
func (r *records) expire(id string, k *known) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[id] != k || k.facts != nil || r.closed || time.Now().Before(k.until) {
		return
	}
	r.publish([]zone.Change{r.pass(id, k)})
}

func (r *records) publish(entries []zone.Change) {
	for _, l := range r.store.Apply(entries) {
		if l.Loser.ID == l.Winner.ID {
			aboutContainers.logf("Container %s has a CNAME at %s, where it has other records too: the CNAME is left out", l.Loser.Name, l.Name)
			continue
		}
		aboutContainers.logf("Container %s does not get the name %s: it is container %s's", l.Loser.Name, l.Name, l.Winner.Name)
	}
	r.published()
}

// published tells whoever waits that the zones may have changed.
func (r *records) published() {
	select {
	case r.changed <- struct{}{}:
	default: // is noted already
	}
}

// close stops the timers. What is published stays.
func (r *records) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, k := range r.known {
		if k.timer != nil {
			k.timer.Stop()
		}
	}
}
