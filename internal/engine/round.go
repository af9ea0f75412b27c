package engine

import (
	"sync/atomic"
	"time"
)

// round is one reconciliation.
type round struct {
	session *session
	began   time.Time
	waiting atomic.Int64 // containers still to be inspected, and 1 while they are counted
	failed  atomic.Int64
	asked   chan struct{} // the refresher's
	done    chan struct{}
}

// ended reports whether the round is over. So is one that never began.
func (r *round) ended() bool {
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
func (r *round) finish(n int64) bool { return r.waiting.Add(-n) == 0 }

// compare returns the containers of which the list shows that they have appeared,
// vanished or changed, and has the round wait for them. A container that matches is
// not touched, but for one that was told to stop: a list does not show whether it has
// started anew. The list may be older than what is known: it decides only whom to ask.
func (s *session) compare(r *round, list []summary) []*tracked {
	s.mu.Lock()
	defer s.mu.Unlock()
	var look []*tracked
	listed := make(map[string]bool, len(list))
	for i := range list {
		if listed[list[i].id] {
			continue // the round must wait for it once
		}
		listed[list[i].id] = true
		t := s.track(list[i].id)
		if t.facts == nil || t.facts.Stopping || !list[i].matches(t.facts) {
			look = append(look, t)
		}
	}
	for id, t := range s.tracked {
		switch {
		case listed[id]:
		case t.facts != nil, t.waits():
			look = append(look, t)
		case t.pending != nil && !t.waits():
			s.waitsNoMore(t)
		case t.idle():
			s.waitsNoMore(t)
			s.disarmRecovery(t)
			delete(s.tracked, id)
		}
	}
	for _, t := range look {
		t.due, t.round = true, r
		t.since = time.Time{} // nobody knows since when
	}
	r.waiting.Store(int64(len(look)) + 1)
	return look
}

// look inspects the containers, some at a time, and ends the round's counting.
func (s *session) look(r *round, containers []*tracked) {
	for _, t := range containers {
		release := s.bulk.enter(s.ctx)
		s.mu.Lock()
		switch {
		case s.ctx.Err() != nil, t.round != r: // an event was faster
			release()
		case t.busy: // one more inspect follows the one under way
			release()
		default:
			s.disarm(t)
			i := s.begin(t)
			s.wg.Go(func() {
				defer release()
				s.inspect(t, i)
			})
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliver(item{round: r})
}
