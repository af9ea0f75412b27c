package engine

import (
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// item is what waits for the sinks.
type item struct {
	change  container.Change
	changed bool
	host    *container.Host // if it has changed
	since   time.Time       // when the change became true, as far as known
	round   *round          // the reconciliation that waits for it
	awaited bool            // the container was arriving
	arrived bool            // and is no more
}

// acquire waits for the right to call sinks. The caller holds mu.
func (w *Watcher) acquire() {
	for w.applying {
		w.idle.Wait()
	}
	w.applying = true
}

// deliver puts the item into the queue, and empties it unless somebody does already.
// Whatever comes while the sinks are busy goes to them as one batch. The caller holds
// mu.
func (w *Watcher) deliver(i item) {
	w.queue = append(w.queue, i)
	if !w.applying {
		w.applying = true
		w.drain()
	}
}

// drain empties the queue and gives up the right to call sinks. The caller holds mu,
// which is free while sinks are called.
func (w *Watcher) drain() {
	for len(w.queue) > 0 {
		batch, sinks := w.queue, w.sinks
		w.queue = nil
		w.mu.Unlock()
		w.apply(batch, sinks)
		w.mu.Lock()
	}
	w.applying = false
	w.idle.Broadcast()
}

func (w *Watcher) apply(batch []item, sinks []Sink) {
	changes := make([]container.Change, 0, len(batch))
	for _, i := range batch {
		if i.changed {
			changes = append(changes, i.change)
		}
		if i.host != nil {
			for _, s := range sinks {
				s.Host(*i.host)
			}
		}
	}
	if len(changes) > 0 {
		for _, s := range sinks {
			s.Apply(changes)
		}
	}
	var arrived int64
	awaited := false
	for _, i := range batch {
		awaited = awaited || i.awaited
		if i.arrived {
			arrived++
		}
		if i.changed && !i.since.IsZero() {
			w.observer.Applied(max(0, time.Since(i.since)))
		}
		if i.round != nil && i.round.finish(1) {
			w.finished(i.round, sinks)
		}
	}
	if awaited { // whoever waits has the answer, or looks on
		w.arrived(arrived)
	}
}

// finished notes the end of a reconciliation.
func (w *Watcher) finished(r *round, sinks []Sink) {
	w.mu.Lock()
	first := !w.synced
	w.synced = true
	if r.session.ctx.Err() == nil {
		w.current.Store(true)
		w.catching.Store(false)
	}
	w.mu.Unlock()
	w.arrived(0)
	if r.failed.Load() == 0 {
		w.ended.Store(time.Now().UnixNano())
	}
	if first {
		for _, s := range sinks {
			s.Synced()
		}
		w.settle.Do(func() { close(w.settled) })
	}
	w.observer.Reconciled(time.Since(r.began), int(r.failed.Load()))
	r.session.refresher.end(r.asked)
	close(r.done)
}
