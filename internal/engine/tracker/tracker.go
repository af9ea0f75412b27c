// Package tracker follows one container through what an engine says of it.
//
// A [Tracker] is a state machine: each of its methods that takes a [Moment] is an input, changes the state, and returns what is
// to be done about it. It has no clock, lock, goroutine or timer of its own, so that whoever calls it decides the schedule.
//
// An event is a hint to inspect the container; what inspect says is the truth. What takes something away is taken from
// the event itself, since nothing that is asked later could say otherwise: an end, a signal to stop, a network that was
// left. So a lost, doubled or reordered event makes us late, never wrong.
//
// The state has two sides. One is what is known of the container:
//
//	off       no run of it is known
//	created   off, and it waits for its first start, for [container.KeepNames] at most
//	ended     off, its last run is over, and it exists
//	running   it runs by these facts
//	stopping  running, and it got a signal that tells it to stop
//
// An input makes of that what stands in its row; - is the same as before. With ! a change is delivered to the sinks.
//
//	input                         off       created   ended     running   stopping
//	Event Created                 created   -         -         -         -
//	Event Connected, Started      - !       - !       - !       -         -           that it starts
//	Event Ended, of this run      -         -         -         ended !   ended !
//	Event Removed                 -         off !     off !     off !     off !       that it is gone
//	Event Signalled, to stop      -         -         -         stopping! -
//	Event Disconnected            -         -         -         - !       - !         without the network's addresses
//	Event, any other              -         -         -         -         -
//	Answer with the same facts    running ! running ! running ! -         -
//	Answer with other facts       running ! running ! running ! running ! running !   stopping, if the signal is of this run
//	Answer that it was created    -         -         -         ended !   ended !
//	Answer that it is off         -         off !     -         ended !   ended !
//	Answer that it is gone        -         off !     off !     off !     off !       that it is gone
//	Answer too large              - !       off !     - !       ended !   ended !     the first time, that it is left out
//	Answer failed                 - !       - !       - !       - !       - !         the first time, that it can't be read
//	Unlisted                      -         -; off after long   -         -
//	SessionEnded                  -         -         -         -         -
//
// Besides: an answer is taken for older than the events that were read since it was asked for: a run whose end was read is off, and
// a network that was left has no addresses. What was said to start is said not to when an answer, or the session's end, leaves
// nothing to wait for. What was said to be unreadable is told anew once it can be read.
//
// The other side is what is being found out:
//
//	quiet     nothing
//	due       an inspect is to begin: at a time, or at its turn in a reconciliation
//	asking    an inspect is in flight
//	again     likewise, and another one is due after it
//
// Here ! is an inspect that begins.
//
//	input                         quiet     due       asking    again
//	Event Created                 due       -         -         -           after a while; of who is off
//	Event that takes, of who is
//	  off and quiet               -
//	Event Ended, of this run      -         -         -         -           but see below
//	Event Started, included in
//	  the known facts             -         -         -         -
//	Event Signalled               -         -         -         -           of who is off: quiet → asking !
//	Event, any other              asking !  asking !  again     again
//	Listed, matches               -         -         -         -
//	Listed, differs               due       -         again     -           at its turn
//	Unlisted, is not off          due       -         again     -           at its turn
//	Turn                          -         asking !  -         -           if that is what it is due for
//	Wake, did not stop            asking !  -         again     -
//	Wake, its time has come       -         asking !  -         -
//	Answer                                            quiet     asking !    quiet if the answer includes the start for which
//	                                                                        alone it was due again
//	Answer failed                                     due       asking !    after a while
//	SessionEnded                  quiet     quiet     quiet     quiet
//
// Inspects are paced: where one would begin that is the third within [PaceWindow] it is due at the window's end, but for turns. An
// end that is known needs no inspect, unless the container may run again: a later start was read, or the engine tells of events
// late. A list that matches counts as one that differs for who is stopping, or is said to be unreadable. Unlisted forgets who is off
// and quiet. (table_test.go holds both tables to the code.)
package tracker

import (
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Tracker is the state of one container. Its zero value is of no use: see [New].
type Tracker struct {
	id        string
	name      string // while its facts are not known: what the newest event or list calls it, as far as one has
	run       run
	lastStart time.Time // the newest event of a start, by the engine's clock
	ended     bool      // its last run is over, and it exists as far as is known
	waiting   *waiting  // nil unless it was created and may wait for its first start
	starting  *starting // nil while it runs, and if nothing is known of its next run
	due       *due      // nil if no inspect is to begin
	inflight  *inflight // nil if none is in flight
	signal    *signal   // nil if it got none
	calls     calls
}

// run is the run that is known.
type run struct {
	facts *container.Container // nil while it does not run
	// started is when it began, by the engine's clock; if it does not run, when it ended. Zero if the engine does not tell.
	started time.Time
	// asOf is the newest event that had been read when the facts were asked for, by the engine's clock: older ones tell nothing new.
	asOf time.Time
}

// waiting is that it was created and may wait for its first start.
type waiting struct {
	since time.Time            // when we read of its creation, by our clock
	facts *container.Container // nil until they are known
}

// New returns the tracker of a container of which nothing is known but, if not nil, the facts of its last run.
func New(id string, last *container.Container) Tracker {
	t := Tracker{id: id}
	if last != nil {
		t.starting = &starting{last: last}
	}
	return t
}

// ID returns the container's ID.
func (t *Tracker) ID() string { return t.id }

// Facts returns the container's facts, nil unless it runs as far as is known.
func (t *Tracker) Facts() *container.Container { return t.run.facts }

// Waiting reports whether the container was created and not started yet, as far as is known, and so is of interest.
func (t *Tracker) Waiting() bool { return t.waiting != nil }

// Quiet reports whether nothing is to be found out about the container.
func (t *Tracker) Quiet() bool { return t.due == nil && t.inflight == nil }

// Idle reports whether the container does not run, and nothing is to be found out about it.
func (t *Tracker) Idle() bool {
	return t.run.facts == nil && t.pending() == nil && t.Quiet()
}

// waits reports whether the container was created lately, and may still wait for its first start.
func (t *Tracker) waits(m Moment) bool {
	return t.waiting != nil && m.Now.Sub(t.waiting.since) < container.KeepNames
}

// pending returns the facts of a container that waits for its first start, nil if it does not or they are not known.
func (t *Tracker) pending() *container.Container {
	if t.waiting == nil {
		return nil
	}
	return t.waiting.facts
}

// Moment is when an input comes, by both clocks, which are never compared with each other.
type Moment struct {
	Now time.Time // our clock
	// Newest is when the newest event happened that has been read of any container, by the engine's clock.
	Newest time.Time
	// Late is set for an engine that tells of an event only some time after its command has returned.
	Late bool
}

// Effects are what is to be done after an input.
type Effects struct {
	// Deliver is to be given to the sinks, in this order.
	Deliver []Delivery
	// Inspect is set if an inspect is to begin. Its result is the input Answer.
	Inspect bool
	// Turn is set if the container is to be inspected among those of the reconciliation: the input Turn begins it.
	Turn bool
	// Wake is when the input Wake is to come, by our clock; zero if it is not. It replaces what an earlier input returned.
	Wake time.Time
	// Gone is set when the engine says that the container does not exist any more.
	Gone bool
	// Forget is set when nothing is left to be known: the tracker is of no use any more.
	Forget bool
	// Failed is why the container could not be inspected, the first time in a row. LeftOut is why it is left out,
	// the first time in a row.
	Failed, LeftOut error
}

// Delivery is something for the sinks, or for a reconciliation that waits until the sinks have it.
type Delivery struct {
	// Change is for the sinks if Changed is set.
	Change  container.Change
	Changed bool
	// Since is when the change became true, by the engine's clock; zero if that is not known.
	Since time.Time
	// Reconciliation is the one that waits for this, 0 if none does. Failed is set if the inspect that it asked for has failed.
	Reconciliation int
	Failed         bool
}

// deliver adds a delivery.
func (t *Tracker) deliver(f *Effects, d Delivery) {
	if d.Changed {
		t.calls.unread = d.Change.Unread
	}
	f.Deliver = append(f.Deliver, d)
}

// change is what is known of the container now, as a change.
func (t *Tracker) change(cause string) container.Change {
	c := container.Change{ID: t.id, Container: t.run.facts, Created: t.pending(), Cause: cause}
	if c.Created != nil {
		c.Since = t.waiting.since
	}
	return c
}

// Created returns that the container was created and may wait for its first start, nil if it does not or its facts are not known.
func (t *Tracker) Created(now time.Time) *container.Change {
	if t.pending() == nil || !t.waits(Moment{Now: now}) {
		return nil
	}
	return &container.Change{ID: t.id, Created: t.waiting.facts, Since: t.waiting.since}
}

// SessionEnded is the input that the engine can't be asked any more. What was due is found again by the next session's list.
func (t *Tracker) SessionEnded(Moment) Effects {
	var f Effects
	t.due, t.inflight = nil, nil
	t.signal.recovered()
	if t.announced() {
		t.deliver(&f, Delivery{Change: t.change(""), Changed: true})
	}
	t.startEnds()
	return f
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func same(a, b *container.Container) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(b)
}
