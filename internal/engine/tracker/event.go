package tracker

import (
	"slices"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Kind says what an event means to us.
type Kind uint8

// The kinds of events. Those for which we know of nothing better are Changed.
const (
	Changed      Kind = iota // something about the container may have changed
	Lessened                 // it may have lost something: it is paused, its memory is over, its stop is done
	Created                  // it was created
	Connected                // it has joined a network, as it does before a start too
	Disconnected             // it has left a network, or ends
	Started                  // it was started
	Restarted                // likewise: this follows Started for the same start
	Signalled                // it was sent a signal
	Ended                    // its process has ended
	Removed                  // it does not exist any more
)

// takes reports whether the event only takes something away. Of a container that does not run it says nothing new.
func (k Kind) takes() bool {
	return k == Lessened || k == Disconnected || k == Ended || k == Removed
}

// starts reports whether the event says that a start is done.
func (k Kind) starts() bool { return k == Started || k == Restarted }

// Event is a hint that the container may have changed.
type Event struct {
	Kind    Kind
	Action  string    // as the engine calls it
	At      time.Time // by the engine's clock
	Network string    // the name, of Connected and Disconnected
	Signal  string    // of Signalled
	About   *About    // what the event tells of the container; nil if that is nothing
}

// StartTakes bounds the time from that at which a container was started, as its state has it, to the event of its start:
// in between the engine writes the state to the disk. It is 4 ms on an idle machine.
const StartTakes = 250 * time.Millisecond

// includesStart reports whether facts of a run that began at started include what a start's event of the given time says.
// Both are by the engine's clock. The engine holds the container's lock from before the container runs until the event
// is out, and an inspect waits for the lock; so facts that know of the start are as new as its event. A further start
// comes after an end, which has an event of its own. Should that be lost, and the container have started twice within
// StartTakes, the next reconciliation tells.
func includesStart(started, event time.Time) bool {
	return !started.IsZero() && !event.Before(started) && event.Sub(started) < StartTakes
}

// Event is the input that an event was read. However many come for a container, it is inspected once; for those that come
// while an inspect is in flight, once more.
func (t *Tracker) Event(e Event, m Moment) Effects {
	var f Effects
	switch e.Kind {
	case Created:
		t.created(e, m)
	case Signalled:
		t.signalled(e, m, &f)
	default:
		t.changed(e, m, &f)
	}
	f.Wake = t.wake()
	return f
}

// createdWait is how long after its creation a container is inspected. What is to run at once is being started by then,
// and costs no inspect for its creation.
const createdWait = 250 * time.Millisecond

func (t *Tracker) created(e Event, m Moment) {
	if !t.Idle() || t.ended {
		return
	}
	t.waiting = &waiting{since: m.Now}
	t.learn(e)
	t.due = &due{at: m.Now.Add(createdWait), since: e.At, cause: e.Action}
}

// changed takes from the event what needs no inspect, and has the container inspected for the rest.
func (t *Tracker) changed(e Event, m Moment, f *Effects) {
	if e.Kind.takes() && t.Idle() && !(t.ended && e.Kind == Removed) {
		return // it ends for us what has ended already
	}
	if e.Kind.starts() && t.includes(e) {
		return // it has been inspected since
	}
	t.learn(e)
	t.inflight.meanwhile(e)
	ended := (e.Kind == Ended || e.Kind == Removed) && t.end(e.At)
	gone := e.Kind == Removed && t.run.facts == nil && (t.ended || t.pending() != nil)
	if gone {
		t.ended, t.waiting, f.Gone = false, nil, true
		t.startEnds()
	}
	left := e.Kind == Disconnected && t.leave(e)
	if ended || gone || left {
		change := t.change(e.Action)
		change.Gone = gone
		t.deliver(f, Delivery{Change: change, Changed: true, Since: e.At})
	}
	// A dead container needs no inspect, unless it may run again: a later start was read, or this engine tells late.
	if !gone && (!ended || m.Late || t.lastStart.After(e.At)) {
		t.ask(e, m, f)
	}
	if t.run.facts == nil && !gone {
		t.starts(e, m, f)
	}
}

// includes reports whether the known facts include what the event of a start says.
func (t *Tracker) includes(e Event) bool {
	again := false
	if e.Kind == Started {
		again = !t.lastStart.Before(t.run.started) && e.At.After(t.lastStart) // the event of the known start was read before
		t.lastStart = later(t.lastStart, e.At)
	}
	return t.run.facts != nil && !t.run.facts.Stopping && !again && includesStart(t.run.started, e.At)
}

// end notes that the container has ended, and reports whether it ran until then: no inspect could tell more, and while the
// container is being restarted it would tell only when that runs again. An end before the start that is known is an old
// one.
func (t *Tracker) end(at time.Time) bool {
	if t.run.facts == nil || t.run.started.IsZero() || !at.After(t.run.started) {
		return false
	}
	t.starting = &starting{last: t.run.facts}
	t.run.facts, t.ended = nil, true
	t.signal.recovered()
	return true
}

// leave takes the addresses on a network from the facts of a container that has left it, and reports whether it had any: an
// inspect waits until the engine is done with the network, which takes it some milliseconds. The aliases stay until
// the inspect, since Docker (from 26 on) tells also of a container that ends first that it leaves its networks.
func (t *Tracker) leave(e Event) bool {
	if t.run.facts == nil || !e.At.After(t.run.asOf) || !e.At.After(t.run.started) {
		return false
	}
	i := slices.IndexFunc(t.run.facts.Endpoints, func(o container.Endpoint) bool { return o.Network == e.Network && len(o.Addrs) > 0 })
	if i < 0 {
		return false
	}
	facts := *t.run.facts
	facts.Endpoints = slices.Clone(facts.Endpoints)
	facts.Endpoints[i].Addrs, facts.Endpoints[i].Gateways = nil, nil
	t.run.facts = &facts
	return true
}
