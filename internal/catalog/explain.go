package catalog

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Explanation is what the catalog knows of one container. What it points to must not be changed.
type Explanation struct {
	zone.Key
	Name  string               // "" if it never could be read
	Facts *container.Container // nil if it does not run, as far as is known
	// Service is set for a Swarm's service, and for each of its tasks, with Task and the Node on which that is, if it is known. Then
	// there are no Facts, and a task has no Skipped and Events of its own.
	Service *container.Service
	Task    *container.Task
	Node    *container.Node
	Entry   *zone.Entry // what it contributes to the zones, nil if that is nothing
	// HeldUntil is when the hold of the names ends of a container that has ended, the zero time if it has not.
	HeldUntil time.Time

	LeftOut naming.LeftOut   // why it has no names although it runs
	Skipped []naming.Skipped // the names and labels that it does not get
	Unread  error            // why its facts can't be read; what is known of it is older

	Events []Event // its last changes, the last one last
}

// Explain returns what is known of the host's containers that have the name, the ID or the short ID: there may be several of a
// name, of which one runs.
func (cat *Catalog) Explain(host container.HostID, ref string) []Explanation {
	cat.mu.Lock()
	f := cat.feeds[host]
	cat.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.explain(func(id string, h *history, _ *listing) bool {
		return ref == id || ref == h.name || ref == (&container.Container{ID: id}).ShortID()
	})
}

// Of returns what is known of the container, and whether anything is.
func (cat *Catalog) Of(key zone.Key) (Explanation, bool) {
	if s := cat.swarm.Load(); s != nil {
		if e, known := s.of(key); known {
			return e, true
		}
	}
	cat.mu.Lock()
	f := cat.feeds[key.Host]
	cat.mu.Unlock()
	if f == nil {
		return Explanation{}, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if k := f.listings[key.ID]; k != nil {
		return f.listed(key.ID, k), true
	}
	if h := f.past[key.ID]; h != nil && !h.over(cat.now()) {
		return f.explanation(key.ID, h), true
	}
	return Explanation{}, false
}

// All yields what is known of all containers, by host and name, and then of Swarms' services by name.
func (cat *Catalog) All() iter.Seq[Explanation] {
	return func(yield func(Explanation) bool) {
		for _, f := range cat.all() {
			for _, e := range f.explain(func(string, *history, *listing) bool { return true }) {
				if !yield(e) {
					return
				}
			}
		}
		if s := cat.swarm.Load(); s != nil {
			for _, e := range s.explain() {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// explain returns what is known of the containers that are wanted, by name, those that run first. The listing is nil for those
// that have none.
func (f *Feed) explain(wanted func(id string, h *history, k *listing) bool) (all []Explanation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, k := range f.listings {
		if wanted(id, &k.history, k) {
			all = append(all, f.listed(id, k))
		}
	}
	now := f.cat.now()
	for id, h := range f.past {
		if !h.over(now) && wanted(id, h, nil) {
			all = append(all, f.explanation(id, h))
		}
	}
	slices.SortFunc(all, func(a, b Explanation) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.order()-b.order(), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// listed is the explanation of a container that has a listing. The caller holds mu.
func (f *Feed) listed(id string, k *listing) Explanation {
	e := f.explanation(id, &k.history)
	e.Facts, e.LeftOut, e.Skipped = k.facts, k.left, k.skipped
	if !f.dropped {
		e.Entry = k.entry
	}
	if k.end != nil {
		e.HeldUntil = k.end.until
	}
	return e
}

func (f *Feed) explanation(id string, h *history) Explanation {
	return Explanation{Key: f.key(id), Name: h.name, Unread: h.unread, Events: h.list()}
}

// order is lowest for what runs, and highest for what has no names any more.
func (e *Explanation) order() int {
	switch {
	case e.Facts != nil:
		return 0
	case e.Entry != nil:
		return 1
	default:
		return 2
	}
}
