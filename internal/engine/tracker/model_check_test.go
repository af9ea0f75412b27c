package tracker

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

var errModel = errors.New("the engine fails")

// book is what was read of a container, from which follows what the sinks must have.
type book struct {
	told    *container.Container // the last answer's facts
	toldRun int
	over    int                 // the last run of whose end an event has told
	left    map[string]bool     // networks of which an event since told's question says that it has left them
	ends    map[netip.Addr]bool // addresses that it has no more, as events have told

	stopMost  int       // the last run for which a signal to stop was read
	stopRun   int       // of the latest such signal
	stopAt    time.Time // when that was sent
	stopUntil time.Time // until when it may take

	// lost is when an event was written that is not read, if nothing newer has been read since.
	lost      time.Time
	missed    bool        // an event was lost, ever
	events    int         // read, of those that are worth an inspect
	failures  int         // of inspects
	asked     []time.Time // inspects
	forgotten int         // how many of these when the tracker was forgotten, and with it their pace
}

// sink is what the sinks have.
type sink struct {
	has    *container.Container
	waits  bool // for its first start
	starts bool
	unread bool
	gone   bool
}

// breaks notes that something should not be.
func (w *world) breaks(format string, args ...any) {
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

// noted notes that an event is read.
func (w *world) noted(h *happening) {
	b := h.of
	b.events++
	if !h.Kind.takes() && (h.Kind != Signalled || b.has == nil && b.call == nil) {
		b.found(h.At)
	}
	switch h.Kind {
	case Ended, Removed:
		b.over = max(b.over, h.run)
	case Disconnected:
		if b.ends == nil {
			b.ends = map[netip.Addr]bool{}
		}
		b.ends[h.lostIP] = true
		if b.left == nil {
			b.left = map[string]bool{}
		}
		b.left[h.Network] = true
		if b.call != nil {
			b.call.left[h.Network] = true
		}
	case Signalled:
		if h.Signal != "TERM" {
			return
		}
		b.stopMost = max(b.stopMost, h.run)
		if h.At.After(b.stopAt) {
			b.stopAt, b.stopRun, b.stopUntil = h.At, h.run, w.now.Add(b.stopTimeout()+StopGrace)
		}
		b.events++ // it is inspected when it must have ended
	}
}

// following checks what follows at once from an event that was read when the sinks had the given facts.
func (w *world) following(h *happening, had *container.Container) {
	b := h.of
	switch ended := had != nil && b.has == nil; {
	case ended && w.podman && !b.gone && b.tracker.Quiet():
		w.breaks("%s is not looked at after its end, though it may long have started anew", b.id)
	case ended && h.Kind == Removed && !b.gone:
		w.breaks("%s is not said to be gone", b.id)
	}
	if (h.Kind == Connected || h.Kind == Started) && b.has == nil && !b.starts {
		w.breaks("%s is not said to start", b.id)
	}
}

// lose notes that an event won't be read.
func (w *world) lose(h *happening) {
	if h.Kind == Signalled && !w.podman { // where inspect tells that it is stopping
		return
	}
	at := h.At
	if h.Kind == Ended || h.Kind == Removed { // until then a start's event may be taken for that of the start before
		at = at.Add(StartTakes)
	}
	h.of.lost, h.of.missed = later(h.of.lost, at), true
}

// found notes that what was at the given time will be known.
func (b *box) found(at time.Time) {
	if !at.Before(b.lost) {
		b.lost = time.Time{}
	}
}

// answered notes that an inspect is answered.
func (w *world) answered(c *call, a Answer, run int) {
	b := c.of
	if a.TooLarge { // it is not asked for again before the next event or list
		b.lost = later(b.lost, w.clock())
	} else if a.Err != nil {
		return
	}
	b.told, b.toldRun, b.left = nil, run, c.left
	if a.Facts != nil { // which the tracker gets as its own
		facts := *a.Facts
		facts.Endpoints = slices.Clone(facts.Endpoints)
		b.told = &facts
	}
}

// took takes what a tracker has said, and checks it.
func (w *world) took(b *box, f Effects, by *gate) {
	w.digest = w.digest*1099511628211 + uint64(len(f.Deliver))*8 + uint64(len(b.asked))
	if f.Inspect {
		w.inspects(b, by == &w.bulk)
	}
	failed := false
	for _, d := range f.Deliver {
		failed = failed || d.Failed
		if d.Reconciliation != 0 {
			if d.Reconciliation != w.rounds || b.turns == 0 {
				w.breaks("%s: a delivery for reconciliation %d, the present one is %d and waits for %d", b.id, d.Reconciliation, w.rounds, b.turns)
			}
			b.turns--
			w.awaited--
		}
		if d.Changed {
			w.change(b, d.Change)
		}
	}
	if failed && !b.unread && !b.starts {
		w.breaks("%s could not be read for a reconciliation, which ends, and the sinks don't know", b.id)
	}
	if f.Gone && b.exists {
		w.breaks("%s is said to be gone", b.id)
	}
}

// change takes a change as the sinks do.
func (w *world) change(b *box, c container.Change) {
	ends := b.starts || b.unread // which is a change by itself
	b.starts, b.unread = c.Starting != nil, c.Unread != nil
	switch {
	case b.starts && b.has != nil:
		w.breaks("%s is said to start, and runs", b.id)
	case b.starts && (c.Starting.Container.ID != b.id || c.Starting.Complete && c.Starting.Container.Name == ""):
		w.breaks("%s is said to start as %+v", b.id, c.Starting.Container)
	case b.starts, b.unread:
		return
	case c.Gone && (b.exists || c.Container != nil):
		w.breaks("%s is said to be gone", b.id)
	case b.gone && !ends:
		w.breaks("%s was gone, and there is a change: %+v", b.id, c)
	case c.Created != nil && (c.Container != nil || c.Gone || c.Since.IsZero()):
		w.breaks("%s is said to have been created: %+v", b.id, c)
	case !ends && same(b.has, c.Container) && b.waits == (c.Created != nil) && !c.Gone && c.Created == nil:
		w.breaks("%s is said again to be %s", b.id, text(c.Container))
	}
	b.has, b.gone, b.waits = c.Container, c.Gone, c.Created != nil
}

// inspects checks that an inspect may begin.
func (w *world) inspects(b *box, turn bool) {
	if b.call != nil {
		w.breaks("two inspects of %s at a time", b.id)
	}
	if turn && b.turns == 0 {
		w.breaks("%s is inspected at its turn, and nothing waits for that any more", b.id)
	}
	b.asked = append(b.asked, w.now)
	n := len(b.asked)
	if i := n - 1 - PaceCalls; i >= b.forgotten && !turn && w.now.Sub(b.asked[i]) < PaceWindow {
		w.breaks("%d inspects of %s within %s", PaceCalls+1, b.id, w.now.Sub(b.asked[i]))
	}
	if most := b.events + w.listed + b.failures; n > most {
		w.breaks("%d inspects of %s for %d events, %d lists, %d failures", n, b.id, b.events, w.listed, b.failures)
	}
}

// check checks what must hold always.
func (w *world) check() {
	for _, b := range w.boxes {
		if b.tracker == nil {
			if b.has != nil {
				w.breaks("%s is forgotten, and the sinks have it", b.id)
			}
			continue
		}
		if !same(b.has, b.tracker.Facts()) || b.starts != (b.tracker.Starting() != nil) {
			w.breaks("the sinks have %s %s starting %v, its tracker %s", b.id, text(b.has), b.starts, text(b.tracker.Facts()))
		}
		if runs := b.told != nil && b.toldRun > b.over; runs != (b.has != nil) {
			w.breaks("the sinks have %s %s; the last answer is run %d, %s, the last end that of run %d", b.id, text(b.has), b.toldRun, text(b.told), b.over)
		} else if runs {
			w.checkFacts(b)
		}
	}
}

// checkFacts checks that the sinks have a running container as the last answer says, without what events have taken away.
func (w *world) checkFacts(b *box) {
	want := *b.told
	want.Endpoints = slices.Clone(want.Endpoints)
	for i, ep := range b.has.Endpoints {
		switch {
		case len(ep.Addrs) > 0 && b.ends[ep.Addrs[0]]:
			w.breaks("the sinks have %s at %s, which it has left as was read", b.id, ep.Addrs[0])
		case len(ep.Addrs) == 0 && b.left[ep.Network] && i < len(want.Endpoints):
			want.Endpoints[i].Addrs = nil
		}
	}
	lasts := b.stopTimeout() < 0 || w.now.Before(b.stopUntil)
	switch must := b.toldRun <= b.stopRun && lasts || want.Stopping; {
	case must:
		want.Stopping = true
	case b.toldRun <= b.stopMost: // until it is looked at
		want.Stopping = b.has.Stopping
	}
	if !same(b.has, &want) {
		w.breaks("the sinks have %s %s, and should have %s", b.id, text(b.has), text(&want))
	}
}

// right checks that the sinks have what is true, of those of whom it must be known.
func (w *world) right(after time.Duration, known func(b *box) bool) {
	for _, b := range w.boxes {
		if !known(b) || b.stopping && b.missed && b.has == nil { // whom no list has
			continue
		}
		want := b.facts()
		if want != nil {
			lasts := b.stopTimeout() < 0 || w.now.Before(b.stopUntil)
			want.Stopping = want.Stopping || b.run == b.stopRun && lasts
			if b.has != nil && !lasts && w.now.Sub(b.stopUntil) < after { // it may not be known yet
				want.Stopping = b.has.Stopping
			}
			if b.has != nil && b.hostNetwork() {
				want.Started = b.has.Started
			}
		}
		if !same(b.has, want) {
			w.breaks("after %s the sinks have %s %s, which is %s", after, b.id, text(b.has), text(want))
		}
		if b.waits && (b.run > 0 || !b.exists) {
			w.breaks("after %s the sinks have %s as created, which is %s", after, b.id, text(want))
		}
		if b.starts || b.unread {
			w.breaks("after %s %s is still said to start (%v) or to be unreadable (%v)", after, b.id, b.starts, b.unread)
		}
	}
	if w.awaited != 0 {
		w.breaks("after %s a reconciliation still waits for %d containers", after, w.awaited)
	}
}

func text(c *container.Container) string {
	if c == nil {
		return "off"
	}
	s := c.Name
	for _, ep := range c.Endpoints {
		s += fmt.Sprint(" ", ep.Network, ep.Addrs)
	}
	if c.Paused {
		s += " paused"
	}
	if c.Stopping {
		s += " stopping"
	}
	return fmt.Sprintf("{%s health %d started %s}", s, c.Health, c.Started.Format("05.000000000"))
}
