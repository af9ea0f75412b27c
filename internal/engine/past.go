package engine

import (
	"slices"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Of containers that don't run these are kept: those that have been created, since they may take names over, and
// those that have ended, for sinks that have not seen them run, and for what they are called when they start anew.

// maxCreated and maxEnded bound how many are kept.
const (
	maxCreated = 256
	maxEnded   = 1024
)

// ended is a container that has ended.
type ended struct {
	id   string
	last *container.Container // when it ran
	at   time.Time            // by our clock
	gone bool                 // it has been removed since
}

// past are the containers that have ended and have not started anew, the oldest first.
type past []ended

func (p *past) add(id string, last *container.Container) {
	*p = slices.DeleteFunc(*p, func(e ended) bool { return e.id == id || e.gone && !e.recent() })
	if old := len(*p) - maxEnded + 1; old > 0 {
		*p = slices.Delete(*p, 0, old)
	}
	*p = append(*p, ended{id: id, last: last, at: time.Now()})
}

func (p *past) remove(id string) {
	*p = slices.DeleteFunc(*p, func(e ended) bool { return e.id == id })
}

// gone notes that the container has been removed. From when nobody is told of it any more nothing is kept of it.
func (p *past) gone(id string) {
	for i := range *p {
		if (*p)[i].id == id {
			(*p)[i].gone = true
		}
	}
}

// recent reports whether the container has ended lately.
func (e *ended) recent() bool { return time.Since(e.at) < container.KeepNames }

// last returns the facts of the container's last run, nil if they are not known.
func (p past) last(id string) *container.Container {
	for i := range p {
		if p[i].id == id {
			return p[i].last
		}
	}
	return nil
}

// changes returns what a new sink has to know. The caller holds mu.
func (w *Watcher) changes() []container.Change {
	all := make([]container.Change, 0, len(w.tracked)+len(w.past))
	for i := range w.past {
		if e := &w.past[i]; e.recent() {
			all = append(all, container.Change{ID: e.id, Last: e.last, Since: e.at, Gone: e.gone})
		}
	}
	for id, t := range w.tracked {
		if facts := t.Facts(); facts != nil {
			all = append(all, container.Change{ID: id, Container: facts})
		}
	}
	for _, t := range w.waiting {
		if c := t.Created(time.Now()); c != nil {
			all = append(all, *c)
		}
	}
	for id, t := range w.tracked { // after the facts, which would end these
		if unread := t.Unread(); unread != nil {
			all = append(all, *unread)
		}
		if starting := t.Starting(); starting != nil {
			all = append(all, container.Change{ID: id, Starting: starting})
		}
	}
	return all
}
