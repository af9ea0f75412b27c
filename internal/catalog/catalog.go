// Package catalog holds what is known of the containers of all hosts, and makes of it the entries of the zones: who runs, who
// has just ended and is held, who has joined whose network, and who is about to take names over.
//
// It knows neither an engine nor a name server. Facts come in by the [Feed] of each host, entries go out to a [zone.Store].
// Containers, networks and names of two hosts may be called alike: nothing of one feed is looked up in another.
package catalog

import (
	"cmp"
	"maps"
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
	// Startup is how long names that nobody is known to have can't be denied for the sake of a host that has not been
	// reconciled. After it such a host counts as empty.
	Startup time.Duration
	// Forget is how long a host whose engine can't be asked keeps its names.
	Forget time.Duration
	Store  *zone.Store
	// HostName returns a host's name in DNS, "" if it has none. Nil gives none.
	HostName func(container.HostID) string
	// Warnf takes what somebody may want to mend: a container has not got a name, a host is away. Nil drops it.
	Warnf func(format string, args ...any)

	// Now and AfterFunc are the clock, the system's if nil. AfterFunc must not call f before it returns.
	Now       func() time.Time
	AfterFunc func(d time.Duration, f func()) Timer
}

// Timer is a call that AfterFunc has set. Stop calls it off, if it has not begun.
type Timer interface{ Stop() bool }

// Catalog turns the facts of hosts into entries and publishes them. Its methods may be called from any goroutine.
type Catalog struct {
	rules     naming.Rules
	hold      time.Duration
	startup   time.Duration
	forget    time.Duration
	store     *zone.Store
	hostName  func(container.HostID) string
	warnf     func(format string, args ...any)
	now       func() time.Time
	afterFunc func(time.Duration, func()) Timer

	complete atomic.Bool
	changed  chan struct{} // has an item when the zones may have changed
	changes  changes
	arrivals *Arrivals
	swarm    atomic.Pointer[Swarm] // nil unless one is asked for

	mu    sync.Mutex // guards feeds; a feed's own lock is taken before it
	feeds map[container.HostID]*Feed
}

// New returns a catalog without hosts.
func New(cfg Config) *Catalog {
	cat := &Catalog{
		rules: cfg.Rules, hold: cfg.Hold, startup: cfg.Startup, forget: cfg.Forget, store: cfg.Store, hostName: cfg.HostName,
		warnf: cfg.Warnf, now: cfg.Now, afterFunc: cfg.AfterFunc,
		changed: make(chan struct{}, 1),
		feeds:   map[container.HostID]*Feed{},
	}
	if cat.hostName == nil {
		cat.hostName = func(container.HostID) string { return "" }
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
	cat.arrivals = newArrivals(&cat.rules, cat.now)
	return cat
}

// Arrivals are the containers that are starting.
func (cat *Catalog) Arrivals() *Arrivals { return cat.arrivals }

// Feed returns the host's feed, begun if there is none: the host is then unsynced until the feed is, and has its own name.
func (cat *Catalog) Feed(host container.HostID) *Feed {
	return cat.begun(host, false)
}

// Told is Feed for a host that tells of itself: nothing is known of it before it does, so nobody waits for it.
func (cat *Catalog) Told(host container.HostID) *Feed {
	return cat.begun(host, true)
}

// Await is Feed for a host that stands for all of which is heard in the way that is said: it has no containers, and is removed when
// these are known.
func (cat *Catalog) Await(host container.HostID, way string) *Feed {
	f := cat.Feed(host)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.way = way
	return f
}

func (cat *Catalog) begun(host container.HostID, told bool) *Feed {
	f, begun := cat.feed(host, told)
	if begun {
		f.begin()
	}
	return f
}

// Remove takes the host out of the zones, at once: nothing of its is held. Its feed takes no more facts.
func (cat *Catalog) Remove(host container.HostID) {
	cat.mu.Lock()
	f := cat.feeds[host]
	delete(cat.feeds, host)
	cat.count()
	cat.mu.Unlock()
	if f != nil {
		f.remove()
		cat.store.SetHost(host, zone.Current) // it has nothing that could be otherwise
	}
}

// feed is Feed but for the host's own name, and reports whether the feed is new.
func (cat *Catalog) feed(host container.HostID, told bool) (f *Feed, begun bool) {
	cat.mu.Lock()
	defer cat.mu.Unlock()
	if f = cat.feeds[host]; f != nil {
		return f, false
	}
	f = newFeed(cat, host)
	f.synced = told
	f.settled.Store(told)
	cat.feeds[host] = f
	cat.store.SetHost(host, f.state())
	cat.count()
	return f, true
}

// count settles whether the catalog is complete. The caller holds mu.
func (cat *Catalog) count() {
	complete := len(cat.feeds) > 0
	for _, f := range cat.feeds {
		complete = complete && f.settled.Load()
	}
	if s := cat.swarm.Load(); s != nil {
		complete = complete && s.settled.Load()
	}
	cat.complete.Store(complete)
}

// Complete reports whether names that nobody has can be denied: the store has had all containers once that ran when their hosts
// were first reconciled, but for hosts that are overdue. Without a host it is not.
func (cat *Catalog) Complete() bool { return cat.complete.Load() }

// Skipped returns how many names and labels are refused now that each host's running containers ask for.
func (cat *Catalog) Skipped() map[container.HostID]int {
	skipped := map[container.HostID]int{}
	for _, f := range cat.all() {
		skipped[f.host] = int(f.skipped.Load())
	}
	return skipped
}

// LeftOut counts the containers of a host that have no names, or those of before, by why that is so.
type LeftOut struct {
	By     [naming.NoName + 1]int // those that run, by the reason; none for LetIn
	Unread int                    // those whose facts can't be read
}

// leftOut is LeftOut as a feed counts.
type leftOut struct {
	by     [naming.NoName + 1]atomic.Int64 // what LetIn has means nothing
	unread atomic.Int64
}

// LeftOut returns how many of each host's containers are left out now.
func (cat *Catalog) LeftOut() map[container.HostID]LeftOut {
	all := map[container.HostID]LeftOut{}
	for _, f := range cat.all() {
		l := LeftOut{Unread: int(f.left.unread.Load())}
		for reason := naming.LetIn + 1; int(reason) < len(l.By); reason++ {
			l.By[reason] = int(f.left.by[reason].Load())
		}
		all[f.host] = l
	}
	return all
}

// Changed has an item when the zones may have changed since the one before was taken.
func (cat *Catalog) Changed() <-chan struct{} { return cat.changed }

// publish hands the entries to the zones, and says who has lost a name by them.
func (cat *Catalog) publish(entries []zone.Change) {
	if len(entries) == 0 { // a container is only starting, or its facts can't be read
		return
	}
	for _, l := range cat.store.Apply(entries) {
		if l.Loser.Key == l.Winner.Key {
			cat.warnf("%s has a CNAME at %s, where it has other records too: the CNAME is left out", cat.subject(l.Loser), l.Name)
			continue
		}
		if l.Loser.Swarm == nil || !l.Loser.Swarm.Task { // else its service says so
			cat.warnf("%s does not get the name %s: it is %s", cat.subject(l.Loser), l.Name, cat.possessive(l.Winner))
		}
	}
	cat.signal()
}

// possessive says for a message that something is the entry's.
func (cat *Catalog) possessive(e *zone.Entry) string {
	switch {
	case e.IsHost():
		return "host " + e.Name + "'s"
	case e.Swarm != nil:
		return "service " + e.Name + "'s"
	}
	return "container " + e.Name + "'s" + cat.on(e.Host)
}

// subject is the entry as what a message begins with.
func (cat *Catalog) subject(e *zone.Entry) string {
	if e.Swarm != nil {
		return "Service " + e.Name
	}
	return "Container " + e.Name + cat.on(e.Host)
}

// on says for a message that something is on the host, where there are several.
func (cat *Catalog) on(host container.HostID) string {
	cat.mu.Lock()
	defer cat.mu.Unlock()
	if len(cat.feeds) < 2 {
		return ""
	}
	return " on " + string(host)
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
	for _, f := range cat.all() {
		f.close()
	}
	if s := cat.swarm.Load(); s != nil {
		s.close()
	}
}

// all returns the feeds, by host.
func (cat *Catalog) all() []*Feed {
	cat.mu.Lock()
	defer cat.mu.Unlock()
	return slices.SortedFunc(maps.Values(cat.feeds), func(a, b *Feed) int { return cmp.Compare(a.host, b.host) })
}
