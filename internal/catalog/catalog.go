// Package catalog holds what is known of the containers, and makes of it the entries of the zones: who runs, who has just ended
// and is held, who has joined whose network, and who is about to take names over.
//
// It knows neither an engine nor a name server. Facts come in by [Catalog.Apply], entries go out to a [zone.Store].
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

// Config says how a [Catalog] names containers and where it publishes their entries.
type Config struct {
	Rules naming.Rules
	Hold  time.Duration // for which an ended container's names stay
	Store *zone.Store
	// Warnf takes what whoever started a container may want to mend: it has not got a name. Nil drops it.
	Warnf func(format string, args ...any)

	// Now and AfterFunc are the clock, the system's if nil. AfterFunc must not call f before it returns.
	Now       func() time.Time
	AfterFunc func(d time.Duration, f func()) Timer
}

// Timer is a call that AfterFunc has set. Stop calls it off, if it has not begun.
type Timer interface{ Stop() bool }

// Catalog turns facts into entries and publishes them. It implements engine.Sink.
type Catalog struct {
	rules     naming.Rules
	hold      time.Duration
	store     *zone.Store
	warnf     func(format string, args ...any)
	now       func() time.Time
	afterFunc func(time.Duration, func()) Timer

	synced  atomic.Bool // the store has been complete once
	skipped atomic.Int64
	changed chan struct{} // has an item when the zones may have changed

	mu       sync.Mutex // guards the following
	listings map[string]*listing
	joined   map[string][]string // IDs of those who have joined a container's network, by its ID or name
	networks *container.Networks // the host's
	closed   bool

	successors map[string]*successor // by ID
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

// New returns a catalog without containers.
func New(cfg Config) *Catalog {
	cat := &Catalog{
		rules: cfg.Rules, hold: cfg.Hold, store: cfg.Store, warnf: cfg.Warnf, now: cfg.Now, afterFunc: cfg.AfterFunc,
		changed:    make(chan struct{}, 1),
		listings:   map[string]*listing{},
		joined:     map[string][]string{},
		successors: map[string]*successor{},
		networks:   container.NewNetworks(&container.Host{}),
	}
	if cat.warnf == nil {
		cat.warnf = func(string, ...any) {}
	}
	if cat.now == nil {
		cat.now = time.Now
	}
	if cat.afterFunc == nil {
		cat.afterFunc = func(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
	}
	return cat
}

// Complete reports whether the store has had all containers once that ran when the engine was first reconciled.
func (cat *Catalog) Complete() bool { return cat.synced.Load() }

// Skipped returns how many names and labels are refused now that running containers ask for.
func (cat *Catalog) Skipped() int { return int(cat.skipped.Load()) }

// Changed has an item when the zones may have changed since the one before was taken.
func (cat *Catalog) Changed() <-chan struct{} { return cat.changed }

// Host implements engine.Sink. It takes what the host's networks are.
func (cat *Catalog) Host(h container.Host) {
	cat.mu.Lock()
	defer cat.mu.Unlock()
	before, now := cat.networks, container.NewNetworks(&h)
	cat.networks = now
	affected := map[string]bool{} // who is on a network that is known as another one now
	for id, k := range cat.listings {
		if k.facts != nil && slices.ContainsFunc(k.facts.Endpoints, func(ep container.Endpoint) bool { return !before.Same(now, ep.Network) }) {
			cat.affect(affected, id, k.facts)
		}
	}
	if len(affected) > 0 {
		cat.publish(cat.renewAll(affected))
	}
}

// Synced implements engine.Sink.
func (cat *Catalog) Synced() {
	cat.synced.Store(true)
	cat.signal()
}

// Apply implements engine.Sink. It publishes the entries of all that the changes affect, as one change of the zones.
func (cat *Catalog) Apply(changes []container.Change) {
	cat.mu.Lock()
	defer cat.mu.Unlock()
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
		if cat.successors[c.ID] != nil { // it has started, or is gone
			delete(cat.successors, c.ID)
			passes = true
		}
		k := cat.listings[c.ID]
		switch {
		case k == nil && c.Last != nil:
			if cat.remember(c) {
				past = append(past, c.ID)
			}
			continue
		case k == nil && c.Container == nil:
			continue
		case k == nil:
			k = &listing{}
			cat.listings[c.ID] = k
		}
		before := k.facts
		k.facts, k.gone = c.Container, c.Gone
		cat.join(before, c.Container)
		cat.affect(affected, c.ID, before, c.Container)
	}
	entries := cat.renewAll(affected)
	for _, c := range created {
		passes = passes || cat.successors[c.ID] != nil // it may have other names now
		cat.succeed(c)
	}
	for _, id := range past {
		entries = append(entries, cat.rest(id)...)
	}
	if passes {
		entries = append(entries, cat.passAll()...)
	}
	cat.publish(entries)
}

// renewAll makes the containers' entries anew. The caller holds mu.
func (cat *Catalog) renewAll(ids map[string]bool) []zone.Change {
	entries := make([]zone.Change, 0, len(ids))
	for id := range ids {
		entries = append(entries, cat.renew(id))
	}
	return entries
}

// affect adds the container to the set, and those who have joined its network: its addresses are theirs.
func (cat *Catalog) affect(set map[string]bool, id string, facts ...*container.Container) {
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
		for _, other := range cat.joined[ref] {
			cat.affect(set, other, cat.listings[other].facts)
		}
	}
}

// join notes whose network the container has joined now, in place of whose it had.
func (cat *Catalog) join(before, after *container.Container) {
	if before != nil && before.Joined() != "" {
		ref := before.Joined()
		cat.joined[ref] = slices.DeleteFunc(cat.joined[ref], func(id string) bool { return id == before.ID })
		if len(cat.joined[ref]) == 0 {
			delete(cat.joined, ref)
		}
	}
	if after != nil && after.Joined() != "" {
		cat.joined[after.Joined()] = append(cat.joined[after.Joined()], after.ID)
	}
}

// maxJoins bounds a chain of containers each of which has joined the next.
const maxJoins = 8

// provider returns the container whose network this one uses, nil if that does not run. A network of one's own ends with its
// container: who joined it stays there, and is not in the one that a restart makes. The host's network stays.
func (cat *Catalog) provider(c *container.Container) *container.Container {
	restarted := false
	for range maxJoins {
		ref := c.Joined()
		if ref == "" {
			if restarted && !c.HostNetwork() {
				return nil
			}
			return c
		}
		k := cat.listings[ref]
		if k == nil { // Docker has the ID there; others may have a name
			for _, other := range cat.listings {
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

// name returns the entry of a container by its facts, and what it is not called. The caller holds mu.
func (cat *Catalog) name(c *container.Container) (*zone.Entry, naming.LeftOut, []naming.Skipped) {
	return cat.rules.Entry(cat.networks, c, cat.provider(c))
}

// key is that of the container's entry. The caller holds mu.
func (cat *Catalog) key(id string) zone.Key { return zone.Key{Host: cat.networks.Host(), ID: id} }

// renew makes the container's entry anew. The caller holds mu.
func (cat *Catalog) renew(id string) zone.Change {
	k := cat.listings[id]
	var skipped []naming.Skipped
	switch {
	case k.facts != nil:
		if k.timer != nil {
			k.timer.Stop()
			k.timer = nil
		}
		k.passing = false
		k.entry, _, skipped = cat.name(k.facts)
	case cat.hold > 0 && !cat.closed && k.entry != nil:
		k.entry = naming.Held(k.entry, k.gone)
		if k.timer == nil {
			cat.holdUntil(id, k, cat.now().Add(cat.hold))
		}
	default:
		k.entry = nil
		delete(cat.listings, id)
	}
	for _, s := range skipped {
		if !slices.Contains(k.skipped, s) {
			cat.warnf("Container %s: skipped %s", k.facts.Name, s)
		}
	}
	cat.skipped.Add(int64(len(skipped) - len(k.skipped)))
	k.skipped = skipped
	return zone.Change{Key: cat.key(id), Entry: k.entry}
}

// expire drops the names of a container that has ended, unless it has started anew, or what will have them waits.
func (cat *Catalog) expire(id string, k *listing) {
	cat.mu.Lock()
	defer cat.mu.Unlock()
	if cat.listings[id] != k || k.facts != nil || cat.closed || cat.now().Before(k.until) {
		return
	}
	cat.publish([]zone.Change{cat.pass(id, k)})
}

func (cat *Catalog) publish(entries []zone.Change) {
	for _, l := range cat.store.Apply(entries) {
		if l.Loser.Key == l.Winner.Key {
			cat.warnf("Container %s has a CNAME at %s, where it has other records too: the CNAME is left out", l.Loser.Name, l.Name)
			continue
		}
		cat.warnf("Container %s does not get the name %s: it is container %s's", l.Loser.Name, l.Name, l.Winner.Name)
	}
	cat.signal()
}

// signal tells whoever waits that the zones may have changed.
func (cat *Catalog) signal() {
	select {
	case cat.changed <- struct{}{}:
	default: // is noted already
	}
}

// Close stops the timers. What is published stays.
func (cat *Catalog) Close() {
	cat.mu.Lock()
	defer cat.mu.Unlock()
	cat.closed = true
	for _, k := range cat.listings {
		if k.timer != nil {
			k.timer.Stop()
		}
	}
}
