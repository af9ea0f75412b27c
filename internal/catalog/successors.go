package catalog

import (
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
}

// inheritance is a claim as far as it passes from one container to another.
type inheritance struct {
	name    string
	network container.NetworkID
}

func inheritanceOf(c *zone.Claim) inheritance { return inheritance{c.Name, c.Network} }

// succeed notes that a container was created, or is called otherwise now. The caller holds mu.
func (cat *Catalog) succeed(c container.Change) {
	for id, s := range cat.successors {
		if !cat.now().Before(s.until) {
			delete(cat.successors, id)
		}
	}
	entry, _, _ := cat.name(c.Created) // what it skips is told when it runs
	if entry == nil {
		delete(cat.successors, c.ID)
		return
	}
	claims := make(map[inheritance]bool, len(entry.Claims))
	for i := range entry.Claims {
		claims[inheritanceOf(&entry.Claims[i])] = true
	}
	s := &successor{project: entry.Project, inherits: map[inheritance]bool{}, until: c.Since.Add(container.KeepNames)}
	if before := cat.successors[c.ID]; before != nil {
		for n := range before.inherits {
			if claims[n] {
				s.inherits[n] = true
			}
		}
	}
	for _, k := range cat.listings {
		if k.entry == nil || k.entry.Project != s.project || k.facts == nil && !c.Since.Before(k.until) {
			continue
		}
		for i := range k.entry.Claims {
			if n := inheritanceOf(&k.entry.Claims[i]); claims[n] {
				s.inherits[n] = true
			}
		}
	}
	cat.successors[c.ID] = s
}

// inherited returns the claims of a container that has ended which a successor will have, and until when they stay at
// least. The caller holds mu.
func (cat *Catalog) inherited(e *zone.Entry) (claims []zone.Claim, until time.Time) {
	now := cat.now()
	for i := range e.Claims {
		for _, s := range cat.successors {
			if now.Before(s.until) && s.project == e.Project && s.inherits[inheritanceOf(&e.Claims[i])] {
				if until.IsZero() || s.until.Before(until) {
					until = s.until
				}
				claims = append(claims, e.Claims[i])
				break
			}
		}
	}
	return claims, until
}

// pass ends the hold of a container that has ended: what no successor will have goes. The caller holds mu.
func (cat *Catalog) pass(id string, k *listing) zone.Change {
	claims, until := cat.inherited(k.entry)
	if k.timer != nil {
		k.timer.Stop()
	}
	if len(claims) == 0 {
		delete(cat.listings, id)
		return zone.Change{Key: cat.key(id)}
	}
	entry := *k.entry
	entry.Claims = claims
	k.entry, k.passing = &entry, true
	cat.holdUntil(id, k, until)
	return zone.Change{Key: cat.key(id), Entry: k.entry}
}

// passAll is pass for all of whom nothing but what successors will have is left. The caller holds mu.
func (cat *Catalog) passAll() (changes []zone.Change) {
	for id, k := range cat.listings {
		if k.passing && k.facts == nil {
			changes = append(changes, cat.pass(id, k))
		}
	}
	return changes
}

// holdUntil sees to it that a container's hold ends. The caller holds mu.
func (cat *Catalog) holdUntil(id string, k *listing, until time.Time) {
	k.until = until
	k.timer = cat.afterFunc(until.Sub(cat.now()), func() { cat.expire(id, k) })
}

// remember notes a container that had ended before we began, and reports whether it has names. The caller holds mu.
func (cat *Catalog) remember(c container.Change) bool {
	entry, _, _ := cat.name(c.Last)
	if entry == nil || cat.hold == 0 {
		return false
	}
	cat.listings[c.ID] = &listing{entry: naming.Held(entry, c.Gone), gone: c.Gone, until: c.Since.Add(cat.hold)}
	return true
}

// rest begins the rest of the hold of a container that had ended before we began, unless it runs by now. The caller holds
// mu.
func (cat *Catalog) rest(id string) []zone.Change {
	k := cat.listings[id]
	switch {
	case k == nil || k.facts != nil || k.timer != nil || cat.closed:
		return nil
	case cat.now().Before(k.until):
		cat.holdUntil(id, k, k.until)
		return []zone.Change{{Key: cat.key(id), Entry: k.entry}}
	default:
		return []zone.Change{cat.pass(id, k)}
	}
}
