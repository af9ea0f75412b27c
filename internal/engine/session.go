package engine

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

const (
	// The engine answers no more inspects a second to more than a few callers.
	bulkCalls = 8
	// Events are for few containers at a time; this is a bound for storms.
	eventCalls = 64
	// inspectTimeout ends a call that waits for a lock. The container is tried again.
	inspectTimeout = 10 * time.Second

	// startTakes bounds the time from that at which a container was started, as its state has it, to the
	// event of its start: in between the engine writes the state to the disk. It is 4 ms on an idle machine.
	startTakes = 250 * time.Millisecond
	// A failed inspect is tried again after firstInspectRetry, then less often.
	firstInspectRetry = 250 * time.Millisecond
	maxInspectRetry   = 5 * time.Second
)

// session is one connection to the engine. Its inspects end with it: those of two
// sessions never mix.
type session struct {
	*Watcher
	api api
	ctx context.Context
	wg  sync.WaitGroup // reconcile, inspects and timers

	calls, bulk gate

	routed, late bool          // info's
	peer         netip.Addr    // info's
	networksDue  chan struct{} // has an item when networks may have changed
	latest       time.Time     // the last event's, of the engine's clock; guarded by mu
	refresher    *refresher

	description string    // info's
	told        sync.Once // that it is connected
}

// end waits for all that the session has under way. Its context is done.
func (s *session) end() {
	s.mu.Lock()
	for _, t := range s.tracked {
		s.disarm(t)
		s.disarmRecovery(t)
	}
	s.mu.Unlock()
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current.Store(false)
	s.catching.Store(false)
	s.arrived(0)
	for _, t := range s.tracked {
		// What was due is found again by the next session's list.
		t.due, t.round = false, nil
		if t.arriving {
			t.arriving = false
			s.arrived(1)
		}
	}
}

// mark notes that the event's container may have changed. However many events come
// for it, it is inspected once; for those that come while an inspect is under way,
// once more.
func (s *session) mark(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tracked[e.container]
	if endings[e.action] && (t == nil || t.idle() && !(t.stopped && removals[e.action])) {
		return // it ends for us what has ended already
	}
	if t == nil {
		t = s.track(e.container)
	}
	if starts[e.action] {
		again := false
		if e.action == "start" { // "restart" comes after it, for the same start
			again = !t.heard.Before(t.started) && e.at.After(t.heard) // the start that we know of has been told
			t.heard = later(t.heard, e.at)
		}
		if t.facts != nil && !t.facts.Stopping && !again && told(t.started, e.at) {
			return // it has been inspected since
		}
	}
	s.latest = later(s.latest, e.at)
	if t.busy {
		t.meanwhile(e)
	}
	ended := deaths[e.action] && s.died(t, e.at)
	gone := removals[e.action] && t.facts == nil && (t.stopped || t.pending != nil)
	if gone {
		t.stopped = false
		s.past.gone(t.id)
		s.waitsNoMore(t)
	}
	left := e.action == "disconnect" && s.left(t, e)
	// What has ended needs no inspect, unless it has started anew since, as an event told before that of the end
	// or may have where events are late.
	if !gone && (!ended || s.late || t.heard.After(e.at)) {
		s.hint(t, e)
	}
	if ended || gone || left { // last, since it lets go of mu
		s.deliver(item{change: container.Change{ID: t.id, Container: t.facts, Gone: gone}, changed: true, since: e.at})
	}
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// hint has the event's container inspected. The caller holds mu.
func (s *session) hint(t *tracked, e event) {
	switch {
	case !t.due:
		t.due, t.since = true, e.at
		t.start = time.Time{}
		if starts[e.action] {
			t.start = e.at
		}
	case !starts[e.action]:
		t.start = time.Time{}
	}
	if t.facts == nil && !t.arriving && !endings[e.action] {
		t.arriving = true
		s.arriving.Add(1)
	}
	s.disarm(t) // of a retry; the pace is kept
	s.kick(t)
}

// told reports whether facts of a container that was started at the one time include what a start's event of the
// other time tells. The engine holds the container's lock from before the container runs until the event is
// out, and an inspect waits for the lock; so facts that know of the start are as new as its event. A further
// start comes after a death, which has an event of its own. Should that be lost, and the container have started
// twice within startTakes, the next reconciliation tells.
func told(started, event time.Time) bool {
	return !started.IsZero() && !event.Before(started) && event.Sub(started) < startTakes
}

// died notes that a container has ended, and reports whether this is to be delivered: no inspect could tell
// more, and while the container is being restarted it would tell only when that runs again. A death before
// the start that we know of is an old one. The caller holds mu.
func (s *session) died(t *tracked, at time.Time) bool {
	if t.busy {
		t.death = later(t.death, at)
	}
	if t.facts == nil || t.started.IsZero() || !at.After(t.started) {
		return false
	}
	s.count.Add(-1)
	s.past.add(t.id, t.facts)
	t.facts, t.stopped = nil, true
	return true
}

// meanwhile notes which networks the container leaves during an inspect, which may tell of them as they
// were before.
func (t *tracked) meanwhile(e event) {
	switch e.action {
	case "disconnect":
		t.leaves = append(t.leaves, e.network)
	case "connect":
		t.leaves = slices.DeleteFunc(t.leaves, func(name string) bool { return name == e.network })
	}
}

// left takes the addresses on a network from the facts of a container that has left it, and reports whether it had any:
// an inspect waits until the engine is done with the network, which takes it some milliseconds. The aliases stay until
// the inspect, since Docker (from 26 on) tells also of a container that ends first that it leaves its networks. An event
// that came before the facts were asked for is an old one. The caller holds mu.
func (s *session) left(t *tracked, e event) bool {
	if t.facts == nil || !e.at.After(t.asked) {
		return false
	}
	i := slices.IndexFunc(t.facts.Endpoints, func(o container.Endpoint) bool { return o.Network == e.network && len(o.Addrs) > 0 })
	if i < 0 {
		return false
	}
	facts := *t.facts
	facts.Endpoints = slices.Clone(facts.Endpoints)
	facts.Endpoints[i].Addrs, facts.Endpoints[i].Gateways = nil, nil
	t.facts = &facts
	return true
}

// markNetworks notes that a network may have come or gone.
func (s *session) markNetworks() {
	select {
	case s.networksDue <- struct{}{}:
	default: // is noted already
	}
}

// track returns the state of the container. The caller holds mu.
func (s *session) track(id string) *tracked {
	t := s.tracked[id]
	if t == nil {
		t = &tracked{id: id}
		s.tracked[id] = t
	}
	return t
}

// kick starts an inspect of the due container, or sees to it that one starts as soon
// as the pace allows. The caller holds mu.
func (s *session) kick(t *tracked) {
	if !t.due || t.busy || t.timer != nil || s.ctx.Err() != nil {
		return
	}
	if wait := t.pace.next(time.Now()); wait > 0 {
		s.arm(t, wait)
		return
	}
	i := s.begin(t)
	s.wg.Go(func() {
		release := s.calls.enter(s.ctx)
		defer release()
		s.inspect(t, i)
	})
}

// arm has the container kicked after a while. The caller holds mu.
func (s *session) arm(t *tracked, wait time.Duration) {
	s.wg.Add(1)
	t.timer = time.AfterFunc(wait, func() {
		defer s.wg.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		t.timer = nil
		s.kick(t)
	})
}

// disarm undoes arm. The caller holds mu.
func (s *session) disarm(t *tracked) {
	if t.timer != nil && t.timer.Stop() {
		t.timer = nil
		s.wg.Done()
	}
}

// begin notes that an inspect begins, and returns what is to be delivered with its
// result. The caller holds mu.
func (s *session) begin(t *tracked) item {
	t.pace.note(time.Now())
	i := item{since: t.since, round: t.round}
	t.busy, t.due, t.death, t.leaves, t.round, t.asked = true, false, time.Time{}, nil, nil, s.latest
	return i
}

// inspect asks for the container's facts and delivers what has changed. The caller
// has called begin.
func (s *session) inspect(t *tracked, i item) {
	ctx, cancel := context.WithTimeout(s.ctx, inspectTimeout)
	now, err := s.api.inspect(ctx, t.id)
	cancel()

	s.mu.Lock()
	defer s.mu.Unlock()
	t.busy = false
	if s.ctx.Err() != nil {
		return
	}
	if errors.Is(err, errTooLarge) { // it is left out: to ask again would tell no more
		if !t.large {
			s.observer.LeftOut(t.id, err)
		}
		t.large, now, err = true, state{}, nil
	} else if err == nil {
		t.large = false
	}
	if err == nil && t.due && t.round == nil && now.facts != nil && !t.death.After(now.since) && told(now.since, t.start) {
		t.due = false // it says what is since the start
	}
	i.awaited = t.arriving
	if t.arriving && !t.due {
		t.arriving, i.arrived = false, true
	}
	if err != nil {
		s.failed(t, err)
		if i.round != nil {
			i.round.failed.Add(1)
		}
		if i.round != nil || i.arrived {
			s.deliver(i)
		}
		return
	}
	s.correct(t, &now)
	i.change = container.Change{ID: t.id, Container: now.facts, Gone: now.gone, Created: now.created}
	if now.created != nil {
		i.change.Since = t.created
	}
	i.changed = !same(t.facts, now.facts) || !same(t.pending, now.created) || t.stopped && now.gone
	if !i.since.IsZero() && now.since.After(i.since) {
		i.since = now.since // the network's event of a start comes before the start is done
	}
	s.count.Add(running(now.facts) - running(t.facts))
	t.stopped = now.facts == nil && !now.gone && (t.facts != nil || t.stopped)
	s.keep(t, now)
	t.facts, t.started, t.retry = now.facts, now.since, nil
	s.kick(t)
	if i.changed || i.round != nil || i.arrived {
		s.deliver(i)
	}
}

// correct takes from an answer what events have told meanwhile, or what it can't tell. The caller holds mu.
func (s *session) correct(t *tracked, now *state) {
	if t.death.After(now.since) { // it says what was before the death, of which we know by now
		now.facts, now.created = nil, nil
	}
	if now.facts != nil { // not yet handed on: it may be changed
		for i := range now.facts.Endpoints {
			if ep := &now.facts.Endpoints[i]; slices.Contains(t.leaves, ep.Network) {
				ep.Addrs, ep.Gateways = nil, nil
			}
		}
	}
	if now.facts != nil && t.signalAt.After(now.since) && now.facts.Stops(t.signal) { // one before it started was for the last start
		now.facts.Stopping = now.facts.Stopping || s.stops(t, now.facts)
	}
	if !t.waits() {
		now.created = nil
	}
}

// keep notes what is kept of a container that does not run. The caller holds mu.
func (s *session) keep(t *tracked, now state) {
	switch {
	case now.facts != nil:
		s.past.remove(t.id)
	case t.facts != nil:
		s.past.add(t.id, t.facts)
	}
	if now.gone {
		s.past.gone(t.id)
	}
	if t.pending = now.created; now.created == nil {
		s.waitsNoMore(t)
	}
}

func same(a, b *container.Container) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(b)
}

func running(c *container.Container) int64 {
	if c == nil {
		return 0
	}
	return 1
}

// failed has the container inspected again later. Until then what was known of it
// stands. The caller holds mu.
func (s *session) failed(t *tracked, err error) {
	if t.due { // an event has come meanwhile
		s.kick(t)
		return
	}
	if t.retry == nil {
		s.observer.InspectFailed(t.id, err)
		t.retry = &backoff.ExponentialBackOff{
			InitialInterval: firstInspectRetry, RandomizationFactor: s.jitter, Multiplier: 2, MaxInterval: maxInspectRetry,
		}
		t.retry.Reset()
	}
	t.due, t.start = true, time.Time{}
	s.arm(t, t.retry.NextBackOff())
}
