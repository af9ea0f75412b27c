package engine

import (
	"sync/atomic"
	"time"

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
