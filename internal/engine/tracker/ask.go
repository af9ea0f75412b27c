package tracker

import "time"

const (
	// A container is inspected at most PaceCalls times in a PaceWindow, so that one that crashes in a loop, or many
	// events at once, cost little. A start needs one, or two where the first does not wait for it: when its network is
	// connected, and when it has started.
	PaceCalls  = 2
	PaceWindow = 100 * time.Millisecond

	// A failed inspect is tried again after FirstRetry, then less often.
	FirstRetry = 250 * time.Millisecond
	MaxRetry   = 5 * time.Second
)

// byList is the cause of what a reconciliation has found.
const byList = "list"

// due is that an inspect is to begin.
type due struct {
	at    time.Time // when, by our clock; zero if only at its turn, or after the inspect that is in flight
	since time.Time // when that became true for which it is due, by the engine's clock; zero if that is not known
	// onlyStart is the time of a start's event, by the engine's clock, if the inspect is due for nothing else.
	onlyStart      time.Time
	cause          string
	reconciliation int // the one that waits for the inspect; 0 if none does
}

// inflight is the inspect that has begun and is not answered.
type inflight struct {
	since          time.Time // due's, as the following
	cause          string
	reconciliation int
	asOf           time.Time // the newest event that had been read when it began, by the engine's clock

	// What was read meanwhile, of which the answer may not know.
	ended time.Time            // the latest end, by the engine's clock
	left  map[string]time.Time // networks, and when it has left them, by the engine's clock
}

// calls remembers how the container's inspects went.
type calls struct {
	last     [PaceCalls]time.Time // when they began, by our clock
	retry    time.Duration        // how long the last retry had to wait; 0 if the last inspect did not fail
	tooLarge bool                 // the answer is more than is read of one: the container is left out
	unread   error                // why the facts can't be read, if the last change that was delivered says so
}

// meanwhile notes what an answer that is on its way may not know.
func (i *inflight) meanwhile(e Event) {
	if i == nil {
		return
	}
	switch e.Kind {
	case Ended, Removed:
		i.ended = later(i.ended, e.At)
	case Disconnected:
		if i.left == nil {
			i.left = map[string]time.Time{}
		}
		i.left[e.Network] = later(i.left[e.Network], e.At)
	}
}

// ask has the container inspected for an event, at once as far as the pace allows.
func (t *Tracker) ask(e Event, m Moment, f *Effects) {
	switch {
	case t.due == nil:
		t.due = &due{since: e.At}
		if e.Kind.starts() {
			t.due.onlyStart = e.At
		}
	case !e.Kind.starts():
		t.due.onlyStart = time.Time{}
	}
	t.due.cause = e.Action
	t.kick(m, f)
}

// kick begins the inspect that is due, or has it begin as soon as the pace allows.
func (t *Tracker) kick(m Moment, f *Effects) {
	if t.due == nil || t.inflight != nil {
		return
	}
	if next := t.calls.last[0].Add(PaceWindow); m.Now.Before(next) {
		t.due.at = next
		return
	}
	t.begin(m, f)
}

func (t *Tracker) begin(m Moment, f *Effects) {
	copy(t.calls.last[:], t.calls.last[1:])
	t.calls.last[PaceCalls-1] = m.Now
	t.inflight = &inflight{since: t.due.since, cause: t.due.cause, reconciliation: t.due.reconciliation, asOf: m.Newest}
	t.due = nil
	f.Inspect = true
}

// Wake is the input that the time has come which an earlier input returned. One that comes too early does nothing.
func (t *Tracker) Wake(m Moment) Effects {
	var f Effects
	if until := t.signal.recovery(); !until.IsZero() && !m.Now.Before(until) {
		t.signal.recovered()
		if t.run.facts != nil && t.run.facts.Stopping && t.due == nil { // it may run on
			t.due = &due{cause: t.signal.cause}
			t.kick(m, &f)
		}
	}
	if t.due != nil && !t.due.at.IsZero() && !m.Now.Before(t.due.at) {
		t.kick(m, &f)
	}
	f.Wake = t.wake()
	return f
}

// wake returns when Wake is to come.
func (t *Tracker) wake() time.Time {
	at := t.signal.recovery()
	if t.due != nil && t.inflight == nil && !t.due.at.IsZero() && (at.IsZero() || t.due.at.Before(at)) {
		at = t.due.at
	}
	return at
}
