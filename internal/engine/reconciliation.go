package engine

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"
)

// reconciliation compares what is known with a list, and inspects what differs. A session has one at a time.
type reconciliation struct {
	session *session
	number  int // from 1 on
	began   time.Time
	waiting atomic.Int64 // containers still to be inspected, and 1 while they are counted
	failed  atomic.Int64
	request chan struct{} // the refresher's
	done    chan struct{}
}

// reconcile lists the networks and containers at once, then from time to time and when the refresher
// says so, and the networks when they are due.
func (s *session) reconcile() error {
	every := s.leastResync()
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last *reconciliation
	for networks, due := true, true; ; {
		if networks {
			if err := s.readNetworks(); err != nil {
				return fmt.Errorf("listing the networks: %w", err)
			}
			networks = false
		}
		if due && last.ended() { // no two at a time
			var err error
			if last, err = s.readContainers(); err != nil {
				return fmt.Errorf("listing the containers: %w", err)
			}
			due = false
			// Not before: an engine, or a proxy, may allow but some of the calls.
			s.announce.Do(func() { s.observer.Connected(s.from, s.description) })
		}
		var ended <-chan struct{}
		if due {
			ended = last.done
		}
		select {
		case <-tick.C:
			networks, due = true, true
		case <-s.Watcher.resync:
			if next := s.leastResync(); next != every {
				every = next
				tick.Reset(every)
			}
		case <-s.refresher.due:
			due = true
		case <-ended:
		case <-s.networksDue:
			networks = true
		case <-s.ctx.Done():
			return nil
		}
		select { // at the same time: one list of networks is for both
		case <-s.networksDue:
			networks = true
		default:
		}
	}
}

// readContainers lists the containers, and begins to inspect those that have changed.
func (s *session) readContainers() (*reconciliation, error) {
	ctx, cancel := context.WithTimeout(s.ctx, callTimeout)
	defer cancel()
	s.begun++
	r := &reconciliation{session: s, number: s.begun, began: time.Now(), request: s.refresher.begin(), done: make(chan struct{})}
	list, err := s.api.list(ctx)
	if err != nil {
		return nil, err
	}
	s.refresher.listed()
	look := s.compare(r, list)
	s.wg.Go(func() { s.look(r, look) })
	return r, nil
}

func (s *session) readNetworks() error {
	ctx, cancel := context.WithTimeout(s.ctx, callTimeout)
	defer cancel()
	networks, err := s.api.networks(ctx)
	if err != nil {
		return err
	}
	host := &container.Host{Networks: networks, Routed: s.routed, Peer: s.peer, Engine: s.id}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.host == nil || !reflect.DeepEqual(s.host, host) {
		s.host = host
		s.deliver(delivery{host: host})
	}
	return nil
}

// ended reports whether the reconciliation is over. So is one that never began.
func (r *reconciliation) ended() bool {
	if r == nil {
		return true
	}
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// finish notes that n of those waited for are done, and reports whether these were
// the last.
func (r *reconciliation) finish(n int64) bool { return r.waiting.Add(-n) == 0 }

// compare returns the containers of which the list shows that they have appeared,
// vanished or changed, and has the reconciliation wait for them.
func (s *session) compare(r *reconciliation, list []tracker.Summary) []*tracked {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reconciliation = r
	var look []*tracked
	note := func(t *tracked, f tracker.Effects) {
		if f.Turn {
			look = append(look, t)
		}
		s.perform(t, f, nil)
	}
	listed := make(map[string]bool, len(list))
	for i := range list {
		id := list[i].ID
		if listed[id] {
			continue // the reconciliation must wait for it once
		}
		listed[id] = true
		t := s.track(id)
		note(t, t.Listed(&list[i], r.number))
	}
	for id, t := range s.tracked {
		if !listed[id] {
			note(t, t.Unlisted(r.number, s.moment()))
		}
	}
	r.waiting.Store(int64(len(look)) + 1)
	return look
}

// look inspects the containers, some at a time, and ends the reconciliation's counting.
func (s *session) look(r *reconciliation, containers []*tracked) {
	for _, t := range containers {
		release := s.bulk.enter(s.ctx)
		s.mu.Lock()
		f := tracker.Effects{}
		if s.ctx.Err() == nil {
			f = t.Turn(r.number, s.moment())
		}
		if f.Inspect {
			s.perform(t, f, release)
		} else { // an event was faster
			release()
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliver(delivery{reconciliation: r})
}

// noResync is the time between two reconciliations for nobody.
const noResync = time.Hour

// leastResync returns the time between two periodic reconciliations: the least that a sink wants.
func (w *Watcher) leastResync() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.resyncs) == 0 {
		return noResync
	}
	return slices.Min(w.resyncs)
}

// resyncChanged has the session look at leastResync again.
func (w *Watcher) resyncChanged() {
	select {
	case w.resync <- struct{}{}:
	default: // is noted already
	}
}
