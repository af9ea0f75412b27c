package catalog

import (
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// presence is how far the host's engine can be relied on. A host that has not been reconciled is overdue after a while, and
// counts as empty then. One whose engine is away for long has no names: its facts stay, since an engine that is back
// tells but what has changed.
type presence struct {
	synced  bool      // the store has had all of the host's containers once
	overdue bool      // that has taken longer than it may
	away    bool      // the engine can't be asked
	since   time.Time // when that has become so; before that is known, when the feed began
	timer   Timer     // looks again when more than startup or forget has passed; nil if nothing will
	aside   bool      // SetAside's
	dropped bool      // the zones have no names of the host
	way     string    // in which all for which it stands are heard of, "" if it stands for itself
}

// Presence is what there is to say of how far a host's engine can be relied on.
type Presence struct {
	State     zone.HostState
	Synced    bool      // all of the host's containers have been known once
	Forgotten bool      // they have lost their names, since that was too long ago
	Aside     bool      // its engine is another host's too
	Since     time.Time // when it has become current or away; before, when the feed began
}

// Presence returns the host's, the zero Presence if it has no feed.
func (cat *Catalog) Presence(host container.HostID) Presence {
	cat.mu.Lock()
	f := cat.feeds[host]
	cat.mu.Unlock()
	if f == nil {
		return Presence{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return Presence{State: f.state(), Synced: f.synced, Forgotten: f.dropped && !f.aside, Aside: f.aside, Since: f.since}
}

// Synced implements engine.Sink.
func (f *Feed) Synced() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.synced = true
	f.settle()
}

// Current implements engine.Sink. While a host is not current its names stay as they were, for the time of Config.Forget.
func (f *Feed) Current(current bool, since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away, f.since = !current, since
	f.settle()
	if !current { // who is starting is not known any more
		f.cat.arrivals.endHost(f.host)
	}
}

// SetAside takes the host out of the zones, with its own name, or puts it back: its engine is another host's too. Meanwhile it
// counts as empty, and takes facts all the same.
func (f *Feed) SetAside(aside bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.aside == aside {
		return
	}
	f.aside = aside
	f.settle()
	f.tellSwarm(nil)
	if aside {
		f.cat.publish([]zone.Change{{Key: f.key("")}})
		return
	}
	f.nameHost()
}

// settle has the zones know what there is to know of the host's presence now. The caller holds mu.
func (f *Feed) settle() {
	f.stopTimer()
	gone := false
	if late := !f.synced && f.passed(f.cat.startup); late || f.synced && f.away {
		if late && !f.overdue {
			f.overdue = true
			if f.way != "" {
				f.cat.warnf("Of other hosts nothing is known by %s in %s: names that only they have are denied until it is", f.way, f.cat.startup)
			} else {
				f.cat.warnf("Host %s has not told its containers in %s: names that no other host has are denied until it does", f.host, f.cat.startup)
			}
		}
		if gone = f.passed(f.cat.forget); gone && !f.dropped && f.way == "" {
			f.cat.warnf("Host %s has been away for %s: its containers' names are dropped until it is back", f.host, f.cat.forget)
		}
	}
	f.drop(gone || f.aside)
	f.cat.store.SetHost(f.host, f.state())
	f.settled.Store(f.synced || f.overdue || f.aside)
	f.cat.mu.Lock()
	f.cat.count()
	f.cat.mu.Unlock()
	f.cat.changes.note(f.key(""))
	f.cat.signal()
}

// state is the host's as the zones have it.
func (p *presence) state() zone.HostState {
	switch {
	case p.aside:
		return zone.Current
	case p.synced && p.away:
		return zone.Away
	case p.synced:
		return zone.Current
	case p.overdue:
		return zone.Overdue
	default:
		return zone.Unsynced
	}
}

// passed reports whether the host has been as it is for so long, and else has it looked at again when it will have been. The
// caller holds mu.
func (f *Feed) passed(d time.Duration) bool {
	left := d - f.cat.now().Sub(f.since)
	if left > 0 && !f.closed {
		f.timer = f.cat.afterFunc(left, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			if !f.closed {
				f.settle()
			}
		})
	}
	return left <= 0
}

// stopTimer has the host looked at no more. The caller holds mu.
func (f *Feed) stopTimer() {
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
}

// drop takes the host's containers' names out of the zones, or puts those in that they have by now. The caller holds mu.
func (f *Feed) drop(drop bool) {
	if f.dropped == drop {
		return
	}
	f.dropped = false
	f.publish(f.all(!drop))
	f.dropped = drop
	f.cat.changes.noteAll()
}

// all returns the changes that give all containers the names that they have, or none. The caller holds mu.
func (f *Feed) all(names bool) []zone.Change {
	var changes []zone.Change
	for id, k := range f.listings {
		switch {
		case k.entry == nil:
		case names:
			changes = append(changes, zone.Change{Key: f.key(id), Entry: k.entry})
		default:
			changes = append(changes, zone.Change{Key: f.key(id)})
		}
	}
	return changes
}

// publish hands the entries to the zones, unless these are to have none. The caller holds mu.
func (f *Feed) publish(entries []zone.Change) {
	if !f.dropped {
		f.cat.publish(entries)
	}
}
