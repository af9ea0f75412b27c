package engine

import (
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"
)

// delivery is what waits for the sinks.
type delivery struct {
	tracker.Delivery
	since          time.Time       // Since, by our clock as far as we know the engine's
	host           *container.Host // if it has changed
	reconciliation *reconciliation // the one that waits for it
	disconnected   bool            // the connection has ended: what the sinks have is not current any more
}

// acquire waits for the right to call sinks. The caller holds mu.
func (w *Watcher) acquire() {
	for w.applying {
		w.idle.Wait()
	}
	w.applying = true
}

// deliver puts the deliveries into the queue, and empties it unless somebody does already.
// Whatever comes while the sinks are busy, or before the host is known, goes to them as one batch. The caller holds
// mu.
func (w *Watcher) deliver(all ...delivery) {
	w.queue = append(w.queue, all...)
	if !w.applying {
		w.applying = true
		w.drain()
	}
}

// drain empties the queue and gives up the right to call sinks. The caller holds mu,
// which is free while sinks are called.
func (w *Watcher) drain() {
	for len(w.queue) > 0 && w.host != nil {
		batch, sinks := w.queue, w.sinks
		w.queue = nil
		w.mu.Unlock()
		w.apply(batch, sinks)
		w.mu.Lock()
	}
	w.applying = false
	w.idle.Broadcast()
}

func (w *Watcher) apply(batch []delivery, sinks []Sink) {
	changes := make([]container.Change, 0, len(batch))
	for i := range batch {
		if batch[i].Changed {
			changes = append(changes, batch[i].Change)
		}
		if host := batch[i].host; host != nil {
			for _, s := range sinks {
				s.Host(*host)
			}
		}
	}
	if len(changes) > 0 {
		for _, s := range sinks {
			s.Apply(changes)
		}
	}
	for i := range batch {
		d := &batch[i]
		if d.Changed && !d.since.IsZero() {
			w.observer.Applied(w.from, max(0, time.Since(d.since)))
		}
		if d.disconnected {
			w.setCurrent(false, sinks)
		}
		if r := d.reconciliation; r != nil {
			if d.Failed {
				r.failed.Add(1)
			}
			if r.finish(1) {
				w.finished(r, sinks)
			}
		}
	}
}

// setCurrent tells the sinks whether what they have is current, if that has changed. The caller has the right to call sinks.
func (w *Watcher) setCurrent(current bool, sinks []Sink) {
	if w.sinksCurrent == current {
		return
	}
	w.sinksCurrent, w.sinksSince = current, time.Now()
	for _, s := range sinks {
		s.Current(current, w.sinksSince)
	}
}

// finished notes the end of a reconciliation.
func (w *Watcher) finished(r *reconciliation, sinks []Sink) {
	w.mu.Lock()
	first := !w.synced
	w.synced = true
	current := r.session.ctx.Err() == nil
	if current {
		w.current.Store(true)
		w.behind = time.Time{}
	}
	w.mu.Unlock()
	if current {
		w.setCurrent(true, sinks)
		w.caughtUp()
	}
	if r.failed.Load() == 0 {
		w.ended.Store(time.Now().UnixNano())
	}
	if first {
		for _, s := range sinks {
			s.Synced()
		}
		w.settle.Do(func() { close(w.settled) })
	}
	w.observer.Reconciled(w.from, time.Since(r.began), int(r.failed.Load()))
	r.session.refresher.end(r.request)
	close(r.done)
}
