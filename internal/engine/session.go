package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"
)

const (
	// The engine answers no more inspects a second to more than a few callers.
	bulkCalls = 8
	// Events are for few containers at a time; this is a bound for storms.
	eventCalls = 64
	// inspectTimeout ends a call that waits for a lock. The container is tried again.
	inspectTimeout = 10 * time.Second
)

// session is one connection to the engine. Its inspects end with it: those of two
// sessions never mix. It performs what the containers' trackers say.
type session struct {
	*Watcher
	api api
	ctx context.Context
	wg  sync.WaitGroup // reconcile, inspects and timers

	calls, bulk gate

	ahead          time.Duration // info's, as the following
	routed, late   bool
	peer           netip.Addr
	id             string
	networksDue    chan struct{}   // has an item when networks may have changed
	newest         time.Time       // the newest event's, by the engine's clock; guarded by mu
	reconciliation *reconciliation // the last that has begun; guarded by mu
	begun          int             // reconciliations; the goroutine's that begins them
	refresher      *refresher

	description string    // info's
	announce    sync.Once // that it is connected
}

// tracked is a container's tracker, and what of its effects lasts.
type tracked struct {
	tracker.Tracker
	facts *container.Container // as they were after the last input
	timer *time.Timer          // wakes the tracker, nil if nothing does
	wake  time.Time            // when
}

// track returns the state of the container. The caller holds mu.
func (s *session) track(id string) *tracked {
	t := s.tracked[id]
	if t == nil {
		t = &tracked{Tracker: tracker.New(id, s.past.last(id))}
		s.tracked[id] = t
	}
	return t
}

// moment is now. The caller holds mu.
func (s *session) moment() tracker.Moment {
	return tracker.Moment{Now: time.Now(), Newest: s.newest, Late: s.late}
}

// event tells the event's container's tracker of it.
func (s *session) event(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tracked[e.container]
	known := t != nil
	switch {
	case known:
	case e.Kind == tracker.Created && len(s.waiting) >= maxCreated:
		return
	default:
		t = s.track(e.container)
	}
	s.newest = later(s.newest, e.At)
	f := t.Event(e.Event, s.moment())
	if !known && t.Idle() { // nothing has come of it
		delete(s.tracked, e.container)
	}
	s.perform(t, f, nil)
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// markNetworks notes that a network may have come or gone.
func (s *session) markNetworks() {
	select {
	case s.networksDue <- struct{}{}:
	default: // is noted already
	}
}

// perform does what the tracker of a container has said after an input. Release, if not nil, gives back the place among
// the calls that an inspect has. The caller holds mu, which perform may let go of, at its end.
func (s *session) perform(t *tracked, f tracker.Effects, release func()) {
	s.note(t, f)
	if s.ctx.Err() != nil { // nothing is asked any more: end has the trackers know that
		f.Wake, f.Inspect = time.Time{}, false
	}
	s.wakeAt(t, f.Wake)
	if f.Inspect {
		s.begin(t, release)
	} else if release != nil {
		release()
	}
	if len(f.Deliver) == 0 {
		return
	}
	all := make([]delivery, len(f.Deliver))
	for i, d := range f.Deliver {
		all[i] = delivery{Delivery: d}
		if !d.Since.IsZero() {
			all[i].since = d.Since.Add(-s.ahead)
		}
		if d.Reconciliation != 0 {
			all[i].reconciliation = s.reconciliation
		}
	}
	s.deliver(all...) // last, since it lets go of mu
}

// note notes what has become of a container, and tells the observer. The caller holds mu.
func (s *session) note(t *tracked, f tracker.Effects) {
	id, now := t.ID(), t.Facts()
	switch {
	case t.facts == nil && now != nil:
		s.count.Add(1)
		s.past.remove(id)
	case t.facts != nil && now == nil:
		s.count.Add(-1)
		s.past.add(id, t.facts)
	}
	t.facts = now
	if f.Gone {
		s.past.gone(id)
	}
	if t.Waiting() {
		s.waiting[id] = t
	} else {
		delete(s.waiting, id)
	}
	if f.Forget {
		delete(s.tracked, id)
	}
	if f.Failed != nil {
		s.observer.InspectFailed(s.from, id, f.Failed)
	}
	if f.LeftOut != nil {
		s.observer.LeftOut(s.from, id, f.LeftOut)
	}
}

// wakeAt sees to it that the tracker is woken at the given time, not at all if that is zero. The caller holds mu.
func (s *session) wakeAt(t *tracked, at time.Time) {
	if t.wake.Equal(at) {
		return
	}
	if t.timer != nil && t.timer.Stop() {
		s.wg.Done()
	}
	t.timer, t.wake = nil, at
	if at.IsZero() {
		return
	}
	s.wg.Add(1)
	var timer *time.Timer
	timer = time.AfterFunc(time.Until(at), func() {
		defer s.wg.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		if t.timer != timer {
			return // another one counts, or none
		}
		t.timer, t.wake = nil, time.Time{}
		s.perform(t, t.Wake(s.moment()), nil)
	})
	t.timer = timer
}

// begin starts an inspect. It takes a place among the events' calls, unless it comes with one. The caller holds mu.
func (s *session) begin(t *tracked, release func()) {
	s.wg.Go(func() {
		if release == nil {
			release = s.calls.enter(s.ctx)
		}
		defer release()
		s.inspect(t)
	})
}

// inspect asks for the container's facts, and gives its tracker the answer.
func (s *session) inspect(t *tracked) {
	ctx, cancel := context.WithTimeout(s.ctx, inspectTimeout)
	a, err := s.api.inspect(ctx, t.ID())
	cancel()
	a.Err, a.TooLarge = err, errors.Is(err, errTooLarge)
	a.Spread = s.jitter * (2*rand.Float64() - 1)

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() == nil {
		if a.Facts != nil && !s.knows(a.Facts.GWBridge) {
			s.markNetworks()
		}
		s.perform(t, t.Answer(a, s.moment()), nil)
	}
}

// knows reports whether the last list of networks has the one of an endpoint on docker_gwbridge, whose coming no event tells.
// The caller holds mu.
func (s *session) knows(exit container.Endpoint) bool {
	return exit.Network == "" || s.host == nil ||
		slices.ContainsFunc(s.host.Networks, func(n container.Network) bool { return n.Name == exit.Network })
}

// end waits for all that the session has in flight. Its context is done.
func (s *session) end() {
	s.mu.Lock()
	for _, t := range s.tracked {
		s.wakeAt(t, time.Time{})
	}
	s.mu.Unlock()
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current.Store(false)
	s.caughtUp()
	if s.host == nil { // nothing has been delivered: all is forgotten, not kept for ever from an engine that never tells its networks
		s.forget()
		return
	}
	var all []delivery
	for _, t := range s.tracked {
		for _, d := range t.SessionEnded(s.moment()).Deliver {
			all = append(all, delivery{Delivery: d})
		}
	}
	s.deliver(append(all, delivery{disconnected: true})...)
}
