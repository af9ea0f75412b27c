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
	cat     *Catalog
	host    container.HostID
	settled atomic.Bool  // the host has been reconciled, or is overdue
	skipped atomic.Int64 // names and labels that are refused
	left    leftOut

	mu         sync.Mutex // guards the following
	networks   *container.Networks
	listings   map[string]*listing   // by ID
	joined     map[string][]string   // IDs of those who have joined a container's network, by its ID or name
	successors map[string]*successor // by ID
	past       map[string]*history   // of who has no listing, by ID
	presence
	closed bool // no hold begins or ends any more
}

// listing is what the catalog has of a container that runs, or has just ended.
type listing struct {
	history
	facts   *container.Container // nil if it has ended
	entry   *zone.Entry          // nil if it is left out
	left    naming.LeftOut       // why it has no names although it runs
	skipped []naming.Skipped
	end     *end // nil if it runs
}

// end is what there is to know of a container that has ended, and whose names are held.
type end struct {
	gone    bool      // it has been removed
	timer   Timer     // ends the hold
	until   time.Time // when it does
	passing bool      // the hold is over, but for what a successor will have
}

func newFeed(cat *Catalog, host container.HostID) *Feed {
	f := &Feed{
		cat: cat, host: host,
		networks:   container.NewNetworks(&container.Host{ID: host, Name: cat.hostName(host)}),
		listings:   map[string]*listing{},
		joined:     map[string][]string{},
		successors: map[string]*successor{},
		past:       map[string]*history{},
		presence:   presence{since: cat.now()},
	}
	f.passed(cat.startup) // has it looked at again then
	return f
}

// begin gives the host its own name, for which no engine need be asked.
func (f *Feed) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nameHost()
}

// nameHost is begin. The caller holds mu.
func (f *Feed) nameHost() {
	entry, skipped := f.cat.rules.HostEntry(f.networks)
	for _, s := range skipped {
		f.cat.warnf("Host %s: skipped %s", f.networks.HostName(), s)
	}
	if entry != nil {
		f.cat.publish([]zone.Change{{Key: entry.Key, Entry: entry}})
	}
}

// Host implements engine.Sink. It takes what the host's networks are.
func (f *Feed) Host(h container.Host) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h.ID, h.Name = f.host, f.networks.HostName()
	before, now := f.networks, container.NewNetworks(&h)
	f.networks = now
	affected := affected{} // who is on a network that is known as another one now
	for id, k := range f.listings {
		if k.facts != nil && slices.ContainsFunc(k.facts.Connections(), func(ep container.Endpoint) bool { return !before.Same(now, ep.Network) }) {
			f.affect(affected, NetworkChanged, id, k.facts)
		}
	}
	if len(affected) > 0 {
		f.publish(f.renewAll(affected))
	}
	f.tellSwarm(nil)
}

// Apply implements engine.Sink. It publishes the entries of all that the changes affect, as one change of the zones.
func (f *Feed) Apply(changes []container.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	affected := affected{}
	var created []*container.Change
	var past []string
	var ended []*successor // they have started, or are gone
	for i := range changes {
		c := &changes[i]
		if c.Starting == nil {
			f.cat.changes.note(f.key(c.ID))
		}
		switch {
		case c.Created != nil:
			created = append(created, c)
			continue
		case c.Unread != nil:
			f.note(c, Unread)
			continue
		case c.Starting != nil:
			continue
		}
		if s := f.successors[c.ID]; s != nil {
			s.started = c.Container != nil
			ended = append(ended, s)
			delete(f.successors, c.ID)
		}
		if c.Last != nil && f.listings[c.ID] == nil {
			if f.remember(c) {
				past = append(past, c.ID)
			}
			continue
		}
		f.take(c, affected)
	}
	entries := f.renewAll(affected)
	renamed := false
	for _, c := range created {
		renamed = renamed || f.successors[c.ID] != nil // it may have other names now
		f.noteCreated(c)
		f.succeed(c)
	}
	for _, id := range past {
		entries = append(entries, f.rest(id)...)
	}
	if renamed || len(ended) > 0 {
		entries = append(entries, f.passAll(ended)...)
	}
	f.publish(entries)
	f.tellSwarm(changes)
	f.arrive(changes)
}

// take notes that a container runs by these facts, or does not run. The caller holds mu.
func (f *Feed) take(c *container.Change, affected affected) {
	k := f.listings[c.ID]
	switch {
	case k == nil && c.Container == nil:
		f.notePast(c)
		return
	case k == nil:
		k = f.list(c.ID)
	}
	before := k.facts
	k.facts = c.Container
	switch {
	case c.Container == nil && k.end == nil:
		k.end = &end{gone: c.Gone}
		f.note(c, ending(c))
	case c.Container == nil:
		if c.Gone && !k.end.gone {
			f.note(c, Removed)
		}
		k.end.gone = c.Gone
	case before == nil:
		f.note(c, Runs)
	case before.Equal(c.Container):
		f.read(&k.history, nil)
	default:
		f.note(c, Changed)
	}
	f.join(before, c.Container)
	f.affect(affected, noted, c.ID, before, c.Container)
}

// renewAll makes the containers' entries anew. The caller holds mu.
func (f *Feed) renewAll(affected affected) []zone.Change {
	entries := make([]zone.Change, 0, len(affected))
	for id, what := range affected {
		before := f.listings[id].entry
		c := f.renew(id)
		entries = append(entries, c)
		if what != noted {
			f.cat.changes.note(c.Key)
		}
		if what == NetworkChanged || what == ProviderChanged && !sameReach(before, c.Entry) {
			f.of(id).add(f.cat.now(), what, "")
		}
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
	left, skipped := naming.LetIn, []naming.Skipped(nil)
	switch {
	case k.facts != nil:
		k.resume()
		k.entry, left, skipped = f.name(k.facts)
	case f.cat.hold > 0 && !f.closed && k.entry != nil:
		k.entry = naming.Held(k.entry, k.end.gone)
		if k.end.timer == nil {
			f.holdUntil(id, k, f.cat.now().Add(f.cat.hold))
		}
	default:
		k.entry = nil
		f.unlist(id, k)
	}
	for _, s := range skipped {
		if !slices.Contains(k.skipped, s) {
			f.cat.warnf("Container %s%s: skipped %s", k.name, f.cat.on(f.host), s)
		}
	}
	f.skipped.Add(int64(len(skipped) - len(k.skipped)))
	f.left.by[k.left].Add(-1)
	f.left.by[left].Add(1)
	k.skipped, k.left = skipped, left
	return zone.Change{Key: f.key(id), Entry: k.entry}
}

// resume ends the hold, if there is one: the container runs.
func (k *listing) resume() {
	if k.end != nil && k.end.timer != nil {
		k.end.timer.Stop()
	}
	k.end = nil
}

// expire drops the names of a container that has ended, unless it has started since, or what will have them waits.
func (f *Feed) expire(id string, k *listing, e *end) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listings[id] != k || k.end != e || f.closed || f.cat.now().Before(e.until) {
		return
	}
	f.publish([]zone.Change{f.pass(id, k, SuccessorGone)})
}

// remove takes all that is published back.
func (f *Feed) remove() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closeNow()
	f.cat.publish(append(f.all(false), zone.Change{Key: f.key("")}))
	f.cat.arrivals.endHost(f.host)
	f.cat.changes.noteAll()
}

// close stops the timers. What is published stays.
func (f *Feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closeNow()
}

// closeNow is close. The caller holds mu.
func (f *Feed) closeNow() {
	f.closed = true
	f.stopTimer()
	for _, k := range f.listings {
		if k.end != nil && k.end.timer != nil {
			k.end.timer.Stop()
		}
	}
}
