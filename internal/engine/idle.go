package engine

import (
	"slices"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Of containers that don't run these are kept: those that have been created, since they may take names over, and
// those that have ended lately, for sinks that have not seen them run.

const (
	// maxCreated and maxEnded bound how many are kept.
	maxCreated = 256
	maxEnded   = 1024

	// createdWait is how long after its creation a container is inspected. What is to run at once is being
	// started by then, and costs no inspect for its creation.
	createdWait = 250 * time.Millisecond
)

// created notes that a container has been created.
func (s *session) created(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tracked[e.container] != nil || len(s.waiting) >= maxCreated {
		return
	}
	t := s.track(e.container)
	t.created, t.due, t.since = time.Now(), true, e.at
	s.waiting[t.id] = t
	s.arm(t, createdWait)
}

// waits reports whether the container was created lately and may still wait for its first start. The caller holds mu.
func (t *tracked) waits() bool {
	return !t.created.IsZero() && time.Since(t.created) < container.KeepNames
}

// waitsNoMore notes that the container has been started or removed, or has waited for too long. The caller holds mu.
func (w *Watcher) waitsNoMore(t *tracked) {
	t.created, t.pending = time.Time{}, nil
	delete(w.waiting, t.id)
}

// ended is a container that has ended.
type ended struct {
	id   string
	last *container.Container // when it ran
	at   time.Time            // by our clock
	gone bool                 // it has been removed since
}

// ends are the containers that have ended lately, and have not started anew, the oldest first.
type ends []ended

func (all *ends) add(id string, last *container.Container) {
	all.remove(id)
	all.prune(maxEnded - 1)
	*all = append(*all, ended{id: id, last: last, at: time.Now()})
}

func (all *ends) remove(id string) {
	*all = slices.DeleteFunc(*all, func(e ended) bool { return e.id == id })
}

func (all ends) gone(id string) {
	for i := range all {
		if all[i].id == id {
			all[i].gone = true
		}
	}
}

// prune leaves out who ended too long ago, and the oldest of more than so many.
func (all *ends) prune(most int) {
	old := 0
	for old < len(*all) && (len(*all)-old > most || time.Since((*all)[old].at) >= container.KeepNames) {
		old++
	}
	*all = slices.Delete(*all, 0, old)
}

// changes returns what a new sink has to know. The caller holds mu.
func (w *Watcher) changes() []container.Change {
	w.past.prune(maxEnded)
	all := make([]container.Change, 0, len(w.tracked)+len(w.past))
	for _, e := range w.past {
		all = append(all, container.Change{ID: e.id, Last: e.last, Since: e.at, Gone: e.gone})
	}
	for id, t := range w.tracked {
		if t.facts != nil {
			all = append(all, container.Change{ID: id, Container: t.facts})
		}
	}
	for id, t := range w.waiting {
		if t.pending != nil && t.waits() {
			all = append(all, container.Change{ID: id, Created: t.pending, Since: t.created})
		}
	}
	return all
}
