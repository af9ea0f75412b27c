package tracker

import (
	"slices"
	"time"
)

// world is an engine, the containers' trackers, and a shell that performs what they say, on a clock of its own. It plays the
// part of package engine's session: its bounds on parallel calls, its reconciliations, its one connection at a time.
type world struct {
	choose func(n int) int // 0 to n-1
	steps  int
	trace  []string // what was done, if it is wanted
	traced bool
	broken []string // what should not be
	digest uint64   // of all that the trackers said

	now    time.Time
	skew   time.Duration // of the engine's clock
	last   time.Time     // what that said last: no two things happen at once
	podman bool

	boxes     []*box // in the order of their creation
	endpoints int    // that were made
	log       []*happening
	pending   []*happening // that were not read

	connected bool
	newest    time.Time // of the events that were read, by the engine's clock
	events    gate
	bulk      gate
	listing   *listing
	turns     []*box // that wait for a place to be inspected in, for the reconciliation
	rounds    int    // reconciliations that have begun
	awaited   int    // deliveries that the one under way waits for
	prompt    bool   // calls are answered as they come

	listed   int // lists that were answered, the last when
	lastList time.Time
	failure  bool // an inspect has failed
}

// inspectTimeout, slowCall and the sizes of the gates are the session's; here few calls fill a gate.
const (
	inspectTimeout = 10 * time.Second
	slowCall       = 100 * time.Millisecond
	eventCalls     = 2
	bulkCalls      = 1
)

// call is an inspect that has begun. It is with the engine once it has a place.
type call struct {
	of     *box
	by     *gate
	placed bool
	until  time.Time // when it fails, and leaves its place if it still has it; both count from when it got that
	slow   time.Time
	taken  *Answer // what was true when it was looked at
	run    int     // of that
	left   map[string]bool
}

// listing is a list that is not answered.
type listing struct {
	taken   []Summary
	takenAt time.Time
}

// gate bounds the calls at a time.
type gate struct {
	size   int
	inside []*call
	queue  []*call // that wait for a place, in order
}

func (w *world) moment() Moment { return Moment{Now: w.now, Newest: w.newest, Late: w.podman} }

// track returns the container's tracker.
func (w *world) track(b *box) *Tracker {
	if b.tracker == nil {
		t := New(b.id, nil)
		b.tracker = &t
	}
	return b.tracker
}

// perform does what a tracker has said.
func (w *world) perform(b *box, f Effects, by *gate) {
	w.took(b, f, by)
	b.wake = f.Wake
	if f.Inspect {
		c := &call{of: b, by: by, left: map[string]bool{}}
		b.call = c
		by.queue = append(by.queue, c)
	}
	if f.Turn {
		w.turns = append(w.turns, b)
	}
	if f.Forget {
		b.tracker, b.forgotten = nil, len(b.asked)
	}
	w.admit()
}

// admit gives free places to who waits for them.
func (w *world) admit() {
	for _, g := range []*gate{&w.events, &w.bulk} {
		for len(g.inside) < g.size && len(g.queue) > 0 {
			c := g.queue[0]
			g.queue = g.queue[1:]
			g.inside = append(g.inside, c)
			c.placed, c.until, c.slow = true, w.now.Add(inspectTimeout), w.now.Add(slowCall)
		}
	}
	if len(w.bulk.inside)+len(w.bulk.queue) < w.bulk.size && len(w.turns) > 0 {
		b := w.turns[0]
		w.turns = w.turns[1:]
		w.perform(b, b.tracker.Turn(w.rounds, w.moment()), &w.bulk)
	}
}

// free ends that the call has a place.
func (w *world) free(c *call) {
	c.by.inside = slices.DeleteFunc(c.by.inside, func(o *call) bool { return o == c })
	c.by.queue = slices.DeleteFunc(c.by.queue, func(o *call) bool { return o == c })
}

// reply answers a call.
func (w *world) reply(c *call, a Answer, run int) {
	b := c.of
	b.call = nil
	w.free(c)
	w.answered(c, a, run)
	w.perform(b, b.tracker.Answer(a, w.moment()), &w.events)
}

// read has the shell read an event.
func (w *world) read(h *happening) {
	had := h.of.has
	w.noted(h)
	if h.At.After(w.newest) {
		w.newest = h.At
	}
	known := h.of.tracker != nil
	t := w.track(h.of)
	f := t.Event(h.Event, w.moment())
	w.perform(h.of, f, &w.events)
	if !known && t.Idle() {
		h.of.tracker = nil
	}
	w.following(h, had)
}

// compare takes a list's answer.
func (w *world) compare(list []Summary, at time.Time) {
	w.listing = nil
	w.listed++
	w.lastList = w.now
	w.rounds++
	w.awaited = 0
	for _, b := range w.boxes {
		b.found(at)
	}
	listed := map[string]bool{}
	look := func(b *box, f Effects) {
		if f.Turn {
			b.turns++
			w.awaited++
		}
		w.perform(b, f, &w.events)
	}
	for i := range list {
		b := w.find(list[i].ID)
		listed[b.id] = true
		look(b, w.track(b).Listed(&list[i], w.rounds))
	}
	for _, b := range w.boxes {
		if b.tracker != nil && !listed[b.id] {
			look(b, b.tracker.Unlisted(w.rounds, w.moment()))
		}
	}
}

// connect begins a session, and disconnect ends it: with it its calls, and the events that were not read.
func (w *world) connect() {
	w.connected, w.newest = true, time.Time{}
	w.listing = &listing{}
}

func (w *world) disconnect() {
	w.connected, w.listing, w.turns, w.awaited = false, nil, nil, 0
	w.events.inside, w.events.queue, w.bulk.inside, w.bulk.queue = nil, nil, nil, nil
	for _, h := range w.pending {
		w.lose(h)
	}
	w.pending = nil
	for _, b := range w.boxes {
		b.call, b.turns = nil, 0
		if b.tracker != nil {
			f := b.tracker.SessionEnded(w.moment())
			w.perform(b, f, &w.events)
			if !f.Wake.IsZero() || f.Inspect || f.Turn {
				w.breaks("%s: something is to be asked although nobody can be: %+v", b.id, f)
			}
		}
	}
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	for end := w.now.Add(d); ; {
		next, do := end, func() {}
		sooner := func(at time.Time, f func()) {
			if !at.IsZero() && at.Before(next) {
				next, do = at, f
			}
		}
		for _, b := range w.boxes {
			sooner(b.wake, func() {
				b.wake = time.Time{}
				w.perform(b, b.tracker.Wake(w.moment()), &w.events)
			})
			if c := b.call; c != nil && c.placed {
				sooner(c.until, func() { w.fail(c) })
				if slices.Contains(c.by.inside, c) {
					sooner(c.slow, func() { w.free(c); w.admit() })
				}
			}
		}
		if next.After(w.now) {
			w.now = next
		}
		if next.Equal(end) {
			return
		}
		do()
		w.answerAll()
	}
}

// answerAll answers all calls that can be, if they are answered as they come.
func (w *world) answerAll() {
	for again := w.prompt; again; {
		again = false
		for _, b := range w.boxes {
			if c := b.call; c != nil && c.placed && b.answer() != nil {
				w.reply(c, *b.answer(), b.run)
				again = true
			}
		}
		if w.listing != nil {
			w.compare(w.list(), w.clock())
			again = true
		}
	}
}

func (w *world) fail(c *call) {
	w.failure = true
	c.of.failures++
	w.reply(c, Answer{Err: errModel}, 0)
}
