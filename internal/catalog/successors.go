package catalog

import (
	"slices"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// successor is a container that has been created and not been started: it is about to take names over, as when Compose
// makes a service's container anew and waits for another one to be healthy. What it will have of the names that
// containers of its project had when it was seen stays until it starts, is removed, or has waited for too long.
type successor struct {
	project  string
	inherits map[inheritance]bool
	until    time.Time
	started  bool // it waits no more
}

// inheritance is a claim as far as it passes from one container to another.
type inheritance struct {
	name    string
	network container.NetworkID
}

func inheritanceOf(c *zone.Claim) inheritance { return inheritance{c.Name, c.Network} }

// succeed notes that a container was created, or is called otherwise now. The caller holds mu.
func (f *Feed) succeed(c *container.Change) {
	for id, s := range f.successors {
		if !f.cat.now().Before(s.until) {
			delete(f.successors, id)
		}
	}
	entry, _, _ := f.name(c.Created) // what it skips is told when it runs
	if entry == nil {
		delete(f.successors, c.ID)
		return
	}
	claims := make(map[inheritance]bool, len(entry.Claims))
	for i := range entry.Claims {
		claims[inheritanceOf(&entry.Claims[i])] = true
	}
	s := &successor{project: entry.Project, inherits: map[inheritance]bool{}, until: c.Since.Add(container.KeepNames)}
	if before := f.successors[c.ID]; before != nil {
		for n := range before.inherits {
			if claims[n] {
				s.inherits[n] = true
			}
		}
	}
	for _, k := range f.listings {
		if k.entry == nil || k.entry.Project != s.project || k.end != nil && !c.Since.Before(k.end.until) {
			continue
		}
		for i := range k.entry.Claims {
			if n := inheritanceOf(&k.entry.Claims[i]); claims[n] {
				s.inherits[n] = true
			}
		}
	}
	f.successors[c.ID] = s
}

// inherited returns the claims of a container that has ended which a successor will have, and until when they stay at
// least. The caller holds mu.
func (f *Feed) inherited(e *zone.Entry) (claims []zone.Claim, until time.Time) {
	now := f.cat.now()
	for i := range e.Claims {
		n, latest := inheritanceOf(&e.Claims[i]), time.Time{}
		for _, s := range f.successors {
			if s.until.After(latest) && s.project == e.Project && s.inherits[n] {
				latest = s.until
			}
		}
		if !now.Before(latest) {
			continue
		}
		claims = append(claims, e.Claims[i])
		if until.IsZero() || latest.Before(until) {
			until = latest
		}
	}
	return claims, until
}

// inheritsFrom reports whether the successor was to have a name of the container.
func (s *successor) inheritsFrom(e *zone.Entry) bool {
	return s.project == e.Project && slices.ContainsFunc(e.Claims, func(c zone.Claim) bool { return s.inherits[inheritanceOf(&c)] })
}

// pass ends the hold of a container that has ended: what no successor will have goes. Last says why, if that is all that was
// left. The caller holds mu.
func (f *Feed) pass(id string, k *listing, last What) zone.Change {
	f.cat.changes.note(f.key(id))
	claims, until := f.inherited(k.entry)
	if k.end.timer != nil {
		k.end.timer.Stop()
	}
	switch {
	case !k.end.passing:
		k.add(f.cat.now(), HoldOver, "")
	case len(claims) == 0:
		k.add(f.cat.now(), last, "")
	}
	if len(claims) == 0 {
		f.unlist(id, k)
		return zone.Change{Key: f.key(id)}
	}
	entry := *k.entry
	entry.Claims = claims
	k.entry, k.end.passing = &entry, true
	f.holdUntil(id, k, until)
	return zone.Change{Key: f.key(id), Entry: k.entry}
}

// passAll is pass for all of whom nothing but what successors will have is left. The successors have ended to wait. The caller
// holds mu.
func (f *Feed) passAll(ended []*successor) (changes []zone.Change) {
	for id, k := range f.listings {
		if k.end == nil || !k.end.passing {
			continue
		}
		last := SuccessorGone
		if slices.ContainsFunc(ended, func(s *successor) bool { return s.started && s.inheritsFrom(k.entry) }) {
			last = TakenOver
		}
		changes = append(changes, f.pass(id, k, last))
	}
	return changes
}

// holdUntil sees to it that a container's hold ends. The caller holds mu.
func (f *Feed) holdUntil(id string, k *listing, until time.Time) {
	e := k.end
	e.until = until
	e.timer = f.cat.afterFunc(until.Sub(f.cat.now()), func() { f.expire(id, k, e) })
}

// remember notes a container that had ended before we began, and reports whether it has names. The caller holds mu.
func (f *Feed) remember(c *container.Change) bool {
	entry, _, _ := f.name(c.Last)
	held := entry != nil && f.cat.hold > 0
	if held {
		k := f.list(c.ID)
		k.entry = naming.Held(entry, c.Gone)
		k.end = &end{gone: c.Gone, until: c.Since.Add(f.cat.hold)}
	}
	f.note(c, ending(c))
	return held
}

// rest begins the rest of the hold of a container that had ended before we began, unless it runs by now. The caller holds
// mu.
func (f *Feed) rest(id string) []zone.Change {
	k := f.listings[id]
	switch {
	case k == nil || k.end == nil || k.end.timer != nil || f.closed:
		return nil
	case f.cat.now().Before(k.end.until):
		f.holdUntil(id, k, k.end.until)
		return []zone.Change{{Key: f.key(id), Entry: k.entry}}
	default:
		return []zone.Change{f.pass(id, k, SuccessorGone)}
	}
}
