package tracker

import (
	"cmp"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// StopGrace is how much longer than its stop timeout a container may take to end. After that it is taken not to stop: it
// makes something else of the signal, or who stopped it has changed his mind.
const StopGrace = 5 * time.Second

// signal is the last signal that was sent to the container, which may have started anew since.
type signal struct {
	name  string
	cause string    // the event's action
	at    time.Time // by the engine's clock
	read  time.Time // by ours
	until time.Time // when it is to be inspected whether the container still runs, by our clock; zero if it is not
}

// recovery returns until, zero without a signal.
func (s *signal) recovery() time.Time {
	if s == nil {
		return time.Time{}
	}
	return s.until
}

// recovered notes that nothing is to be looked at for the signal any more.
func (s *signal) recovered() {
	if s != nil {
		s.until = time.Time{}
	}
}

// signalled delivers at once that a container stops: no inspect would tell. A signal from before the start that is known was for
// the last run. Who gets a signal runs: if that is not known yet, the facts are read, and the signal is remembered for
// them.
func (t *Tracker) signalled(e Event, m Moment, f *Effects) {
	if t.run.facts != nil && !e.At.After(t.run.started) {
		return
	}
	known := cmp.Or(t.run.facts, new(container.Container)) // there are signals at which all stop
	last := cmp.Or(t.signal, new(signal))
	was, is := known.Stops(last.name), known.Stops(e.Signal)
	if is && !was || is == was && e.At.After(last.at) {
		t.signal = &signal{name: e.Signal, cause: e.Action, at: e.At, read: m.Now, until: last.until}
	}
	switch {
	case t.Idle():
		t.ask(e, m, f)
	case t.run.facts != nil && is && !t.run.facts.Stopping && t.stops(t.run.facts, m):
		facts := *t.run.facts
		facts.Stopping = true
		t.run.facts = &facts
		t.deliver(f, Delivery{Change: t.change(e.Action), Changed: true, Since: e.At})
	}
}

// stops reports whether a container of these facts, which got a signal to stop, is to be taken as stopping, and has it
// inspected when that ends.
func (t *Tracker) stops(facts *container.Container, m Moment) bool {
	if facts.StopTimeout < 0 {
		return true
	}
	until := t.signal.read.Add(facts.StopTimeout + StopGrace)
	if !m.Now.Before(until) {
		return false
	}
	t.signal.until = until
	return true
}
