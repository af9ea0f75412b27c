package catalog

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Feed takes the facts of one host. It implements engine.Sink. Its methods may be called from any goroutine.
type Feed struct {
	cat    *Catalog
	host   container.HostID
	synced atomic.Bool // the store has had all of the host's containers once

	mu         sync.Mutex // guards the following
	networks   *container.Networks
	listings   map[string]*listing   // by ID
	joined     map[string][]string   // IDs of those who have joined a container's network, by its ID or name
	successors map[string]*successor // by ID
	away       bool                  // the host's engine can't be asked
	closed     bool                  // no hold begins or ends any more
	forgotten  bool                  // nothing is taken any more
}

// listing is what the catalog has of a container that runs, or has just ended.
type listing struct {
	facts   *container.Container // nil if it has ended
	entry   *zone.Entry          // nil if it is left out
	skipped []naming.Skipped
	gone    bool      // it has been removed
	timer   Timer     // ends the hold
	until   time.Time // when it does
	passing bool      // the hold is over, but for what a successor will have
}

func newFeed(cat *Catalog, host container.HostID) *Feed {
	return &Feed{
		cat: cat, host: host,
		networks:   container.NewNetworks(&container.Host{ID: host}),
		listings:   map[string]*listing{},
		joined:     map[string][]string{},
		successors: map[string]*successor{},
	}
}

// Host implements engine.Sink. It takes what the host's networks are.
func (f *Feed) Host(h container.Host) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.forgotten {
		return
	}
	h.ID = f.host
	before, now := f.networks, container.NewNetworks(&h)
	f.networks = now
	affected := map[string]bool{} // who is on a network that is known as another one now
	for id, k := range f.listings {
		if k.facts != nil && slices.ContainsFunc(k.facts.Endpoints, func(ep container.Endpoint) bool { return !before.Same(now, ep.Network) }) {
			f.affect(affected, id, k.facts)
		}
	}
	if len(affected) > 0 {
		f.cat.publish(f.renewAll(affected))
	}
}

// Synced implements engine.Sink.
func (f *Feed) Synced() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.forgotten {
		return
	}
	f.synced.Store(true)
	f.setState()
}

// Current implements engine.Sink. While a host that was synced is not current its names stay as they were.
func (f *Feed) Current(current bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.forgotten {
		return
	}
	f.away = !current
	f.setState()
	if !current { // who is starting is not known any more
		f.cat.arrivals.endHost(f.host)
	}
}

// setState has the zones know how far the host's names can be relied on. The caller holds mu.
func (f *Feed) setState() {
	state := zone.Current
	switch {
	case !f.synced.Load():
		state = zone.Unsynced
	case f.away:
		state = zone.Away
	}
	f.cat.store.SetHost(f.host, state)
	f.cat.mu.Lock()
	f.cat.count()
	f.cat.mu.Unlock()
	f.cat.signal()
}

// Apply implements engine.Sink. It publishes the entries of all that the changes affect, as one change of the zones.
func (f *Feed) Apply(changes []container.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.forgotten {
		return
	}
	affected := map[string]bool{} // what has changed, and what has joined its network
	var created []container.Change
	var past []string
	passes := false
	for _, c := range changes {
		if c.Created != nil {
			created = append(created, c)
			continue
		}
		if c.Starting != nil || c.Unread != nil {
			continue
		}
		if f.successors[c.ID] != nil { // it has started, or is gone
			delete(f.successors, c.ID)
			passes = true
		}
		k := f.listings[c.ID]
		switch {
		case k == nil && c.Last != nil:
			if f.remember(c) {
				past = append(past, c.ID)
			}
			continue
		case k == nil && c.Container == nil:
			continue
		case k == nil:
			k = &listing{}
			f.listings[c.ID] = k
		}
		before := k.facts
		k.facts, k.gone = c.Container, c.Gone
		f.join(before, c.Container)
		f.affect(affected, c.ID, before, c.Container)
	}
	entries := f.renewAll(affected)
	for _, c := range created {
		passes = passes || f.successors[c.ID] != nil // it may have other names now
		f.succeed(c)
	}
	for _, id := range past {
		entries = append(entries, f.rest(id)...)
	}
	if passes {
		entries = append(entries, f.passAll()...)
	}
	f.cat.publish(entries)
	f.arrive(changes)
}

// renewAll makes the containers' entries anew. The caller holds mu.
func (f *Feed) renewAll(ids map[string]bool) []zone.Change {
	entries := make([]zone.Change, 0, len(ids))
	for id := range ids {
		entries = append(entries, f.renew(id))
	}
	return entries
}

// name returns the entry of a container by its facts, and what it is not called. The caller holds mu.
func (f *Feed) name(c *container.Container) (*zone.Entry, naming.LeftOut, []naming.Skipped) {
	return f.cat.rules.Entry(f.networks, c, f.provider(c))
}

// key is that of the container's entry.
func (f *Feed) key(id string) zone.Key { return zone.Key{Host: f.host, ID: id} }

// renew makes the container's entry anew. The caller holds mu.
func (f *Feed) renew(id string) zone.Change {
	k := f.listings[id]
	var skipped []naming.Skipped
	switch {
	case k.facts != nil:
		if k.timer != nil {
			k.timer.Stop()
			k.timer = nil
		}
		k.passing = false
		k.entry, _, skipped = f.name(k.facts)
	case f.cat.hold > 0 && !f.closed && k.entry != nil:
		k.entry = naming.Held(k.entry, k.gone)
		if k.timer == nil {
			f.holdUntil(id, k, f.cat.now().Add(f.cat.hold))
		}
	default:
		k.entry = nil
		delete(f.listings, id)
	}
	for _, s := range skipped {
		if !slices.Contains(k.skipped, s) {
			f.cat.warnf("Container %s%s: skipped %s", k.facts.Name, f.cat.on(f.host), s)
		}
	}
	f.cat.skipped.Add(int64(len(skipped) - len(k.skipped)))
	k.skipped = skipped
	return zone.Change{Key: f.key(id), Entry: k.entry}
}

// expire drops the names of a container that has ended, unless it has started anew, or what will have them waits.
func (f *Feed) expire(id string, k *listing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listings[id] != k || k.facts != nil || f.closed || f.cat.now().Before(k.until) {
		return
	}
	f.cat.publish([]zone.Change{f.pass(id, k)})
}

// close stops the timers. What is published stays.
func (f *Feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop()
}

// stop is close. The caller holds mu.
func (f *Feed) stop() {
	f.closed = true
	for _, k := range f.listings {
		if k.timer != nil {
			k.timer.Stop()
		}
	}
}

// Forget ends the feed: all its names go at once, and nothing that it is told later counts. When it has returned, a new
// feed of the host may begin.
func (f *Feed) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.forgotten {
		return
	}
	f.forgotten = true
	f.stop()
	entries := make([]zone.Change, 0, len(f.listings))
	for id, k := range f.listings {
		entries = append(entries, zone.Change{Key: f.key(id)})
		f.cat.skipped.Add(-int64(len(k.skipped)))
	}
	clear(f.listings)
	f.cat.publish(entries)
	f.cat.arrivals.endHost(f.host)
	f.cat.drop(f)
}
