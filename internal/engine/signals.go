package engine

import (
	"cmp"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// stopGrace is how much longer than its stop timeout a container may take to end. After that it is taken not to
// stop: it makes something else of the signal, or who stopped it has changed his mind.
const stopGrace = 5 * time.Second

// signalled delivers at once that a container stops: no inspect would tell. A signal from
// before the start that we know of was for the last one. Who gets a signal runs: if we
// don't know that yet, the facts are read, and the signal is remembered for them.
func (s *session) signalled(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.track(e.container)
	if t.facts != nil && !e.at.After(t.started) {
		return
	}
	known := cmp.Or(t.facts, new(container.Container)) // there are signals at which all stop
	was, is := known.Stops(t.signal), known.Stops(e.signal)
	if is && !was || is == was && e.at.After(t.signalAt) {
		t.signal, t.signalAt, t.signalled = e.signal, e.at, time.Now()
	}
	switch {
	case t.idle():
		s.hint(t, e)
	case t.facts != nil && is && !t.facts.Stopping && s.stops(t, t.facts):
		facts := *t.facts
		facts.Stopping = true
		t.facts = &facts
		s.deliver(item{change: container.Change{ID: t.id, Container: t.facts}, changed: true, since: e.at})
	}
}

// stops reports whether a container of these facts, which got a signal to stop, is to be taken as stopping, and sees to
// it that the container is inspected when that ends. The caller holds mu.
func (s *session) stops(t *tracked, facts *container.Container) bool {
	if facts.StopTimeout < 0 {
		return true
	}
	left := facts.StopTimeout + stopGrace - time.Since(t.signalled)
	if left <= 0 {
		return false
	}
	s.disarmRecovery(t)
	s.wg.Add(1)
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		defer s.wg.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		if t.recovery != timer {
			return // another one counts, or the session ends
		}
		t.recovery = nil
		if t.facts != nil && t.facts.Stopping && !t.due {
			t.due, t.since, t.start = true, time.Time{}, time.Time{}
			s.kick(t)
		}
	})
	t.recovery = timer
	return true
}

// disarmRecovery undoes what stops has begun. The caller holds mu.
func (s *session) disarmRecovery(t *tracked) {
	if t.recovery != nil && t.recovery.Stop() {
		s.wg.Done()
	}
	t.recovery = nil
}
