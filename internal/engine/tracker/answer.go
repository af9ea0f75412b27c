package tracker

import (
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Answer is what an inspect has said.
type Answer struct {
	Facts   *container.Container // nil unless the container runs; the tracker's from now on
	Created *container.Container // its facts if it has never been started
	Gone    bool                 // it does not exist
	Since   time.Time            // when it has started or ended, by the engine's clock; zero if that is not known

	// Err is why nothing could be read. TooLarge is set if that is for the answer's size, which to ask again does not change.
	Err      error
	TooLarge bool
	// Spread is by how much of itself a retry's wait is to be longer, so that many who wait don't return at once.
	Spread float64
}

// Answer is the input that the inspect which is in flight has been answered, or has failed.
func (t *Tracker) Answer(a Answer, m Moment) Effects {
	var f Effects
	t.answer(a, m, &f)
	f.Wake = t.wake()
	return f
}

func (t *Tracker) answer(a Answer, m Moment, f *Effects) {
	question := t.inflight
	if question == nil {
		return // nobody has asked
	}
	t.inflight = nil
	if a.Err == nil && t.due != nil && t.due.reconciliation == 0 && a.Facts != nil &&
		!question.ended.After(a.Since) && includesStart(a.Since, t.due.onlyStart) {
		t.due = nil
	}
	if a.Err != nil && !a.TooLarge {
		t.failed(a, question, m, f)
		return
	}
	t.read(a, question, m, f)
	t.kick(m, f)
}

// read takes what the answer says. One that is too large says that the container is off, and has the sinks told why.
func (t *Tracker) read(a Answer, question *inflight, m Moment, f *Effects) {
	large, again := a.Err, t.calls.tooLarge
	if large != nil {
		a = Answer{}
	}
	t.correct(&a, question, m)
	if a.Facts != nil && t.announced() { // by whatever event it has been asked for
		question.cause = t.starting.cause
	}
	changed := !same(t.run.facts, a.Facts) || !same(t.pending(), a.Created) || t.ended && a.Gone
	t.take(a, question)
	f.Gone = a.Gone
	starting := t.announced()
	stays := starting && a.Facts == nil && !a.Gone && t.due != nil // a further inspect may find that it runs
	if !stays {
		t.startEnds()
	}
	if large == nil { // what ends is a change by itself
		changed = changed || t.calls.unread != nil || starting && !stays
	}
	t.calls.retry, t.calls.tooLarge = 0, large != nil
	d := Delivery{Change: t.change(question.cause), Changed: changed, Since: question.since, Reconciliation: question.reconciliation}
	d.Change.Gone = a.Gone
	if !d.Since.IsZero() && a.Since.After(d.Since) {
		d.Since = a.Since // the network's event of a start comes before the start is done
	}
	if d.Changed || d.Reconciliation != 0 {
		t.deliver(f, d)
	}
	if large != nil && (!again || starting) {
		t.unread(large, question.cause, f)
	}
	if large != nil && !again {
		f.LeftOut = large
	}
	if stays && len(f.Deliver) > 0 { // what was delivered would end it
		t.tellStarting(question.cause, f)
	}
}

// take has what is known be what the answer says.
func (t *Tracker) take(a Answer, question *inflight) {
	t.ended = a.Facts == nil && !a.Gone && (t.run.facts != nil || t.ended)
	if t.run.facts != nil && a.Facts == nil {
		t.starting = &starting{last: t.run.facts}
	}
	t.run = run{facts: a.Facts, started: a.Since, asOf: question.asOf}
	if a.Facts == nil || !a.Facts.Stopping {
		t.signal.recovered()
	}
	if a.Created == nil {
		t.waiting = nil
	} else {
		t.waiting.facts = a.Created
	}
}

// correct takes from an answer what events have told meanwhile, or what it can't tell.
func (t *Tracker) correct(a *Answer, question *inflight, m Moment) {
	if question.ended.After(a.Since) { // it says what was before the end, of which we know by now
		a.Facts, a.Created = nil, nil
	}
	if a.Facts != nil { // not yet handed on: it may be changed
		for i := range a.Facts.Endpoints {
			ep := &a.Facts.Endpoints[i]
			if at, left := question.left[ep.Network]; left && !a.Since.After(at) { // maybe it is back there: the next inspect tells
				ep.Addrs, ep.Gateways = nil, nil
			}
		}
	}
	if a.Facts != nil && t.signal != nil && t.signal.at.After(a.Since) && a.Facts.Stops(t.signal.name) { // one before it started was for the last run
		a.Facts.Stopping = a.Facts.Stopping || t.stops(a.Facts, m)
	}
	if !t.waits(m) {
		a.Created = nil
	}
}

// failed has the container inspected again, later unless an event has come meanwhile. Until then what was known of it stands.
func (t *Tracker) failed(a Answer, question *inflight, m Moment, f *Effects) {
	overtaken, starting := t.due != nil, t.announced()
	if question.reconciliation != 0 {
		t.deliver(f, Delivery{Reconciliation: question.reconciliation, Failed: true})
	}
	switch {
	case overtaken && (starting || question.reconciliation == 0): // the next inspect tells
	case starting || t.calls.unread == nil: // with the reconciliation, if one waits: the first one's end says that all is known
		t.startEnds()
		t.unread(a.Err, question.cause, f)
	}
	if overtaken {
		t.kick(m, f)
		return
	}
	if t.calls.retry == 0 {
		f.Failed = a.Err
	}
	t.calls.retry = min(max(2*t.calls.retry, FirstRetry), MaxRetry)
	wait := t.calls.retry + time.Duration(a.Spread*float64(t.calls.retry))
	t.due = &due{at: m.Now.Add(wait), since: question.since, cause: question.cause}
}

// unread delivers why the facts can't be read.
func (t *Tracker) unread(err error, cause string, f *Effects) {
	t.deliver(f, Delivery{Change: container.Change{ID: t.id, Unread: err, Name: t.name, Cause: cause}, Changed: true})
}

// Unread returns why the container's facts can't be read, as the sinks have been told; nil if they can, as far as is known.
func (t *Tracker) Unread() *container.Change {
	if t.calls.unread == nil {
		return nil
	}
	return &container.Change{ID: t.id, Unread: t.calls.unread, Name: t.name}
}
