package tracker

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// move is a step that is possible now.
type move struct {
	name  func() string
	pause time.Duration // goes by first
	do    func()
}

func wait(d time.Duration) move {
	return move{func() string { return "wait " + d.String() }, d, func() {}}
}

func named(do func(), format string, args ...any) move {
	return move{func() string { return fmt.Sprintf(format, args...) }, 0, do}
}

// step makes one of the moves.
func (w *world) step(moves []move) {
	v := moves[w.choose(len(moves))]
	w.steps++
	if w.traced {
		w.trace = append(w.trace, v.name())
	}
	w.pass(v.pause + time.Microsecond)
	v.do()
	w.answerAll()
	w.check()
}

// happen has something happen to a container, a little later than all before.
func (w *world) happen(b *box, op string) move {
	v := named(func() { w.do(b, op) }, "%s: %s", b.id, op)
	v.pause = time.Millisecond
	return v
}

func (w *world) reads() (moves []move) {
	for _, h := range w.pending {
		moves = append(moves, named(func() { w.take(h); w.read(h) }, "read %s", h))
	}
	return moves
}

// take takes an event from those that are to be read.
func (w *world) take(h *happening) {
	w.pending = slices.DeleteFunc(slices.Clone(w.pending), func(o *happening) bool { return o == h })
}

func (w *world) losses() (moves []move) {
	for _, h := range w.pending {
		moves = append(moves, named(func() { w.take(h); w.lose(h) }, "lose %s", h))
	}
	return moves
}

// repeats returns moves that have an event come again, not always as the same.
func (w *world) repeats() (moves []move) {
	if !w.connected {
		return nil
	}
	for _, h := range w.log {
		if slices.Contains(w.pending, h) {
			continue
		}
		moves = append(moves, named(func() {
			again := *h
			again.At = h.At.Add(time.Duration(w.steps % 2))
			w.read(&again)
		}, "read again %s", h))
	}
	return moves
}

// calls returns the inspects that are with the engine.
func (w *world) calls() (all []*call) {
	for _, b := range w.boxes {
		if b.call != nil && b.call.placed {
			all = append(all, b.call)
		}
	}
	return all
}

// fresh, looks, olds and failures return the moves that answer calls: with what is true, or with what was true when the call
// was looked at, or not well.
func (w *world) fresh() (moves []move) {
	for _, c := range w.calls() {
		if a := c.of.answer(); a != nil && c.taken == nil {
			moves = append(moves, named(func() { w.reply(c, *a, c.of.run) }, "answer inspect %s", c.of.id))
		}
	}
	if w.listing != nil && w.listing.taken == nil {
		moves = append(moves, named(func() { w.compare(w.list(), w.clock()) }, "answer list"))
	}
	return moves
}

func (w *world) looks() (moves []move) {
	for _, c := range w.calls() {
		if a := c.of.answer(); a != nil && c.taken == nil {
			moves = append(moves, named(func() { c.taken, c.run = a, c.of.run }, "look for inspect %s", c.of.id))
		}
	}
	if w.listing != nil && w.listing.taken == nil {
		moves = append(moves, named(func() { w.listing.taken, w.listing.takenAt = w.list(), w.clock() }, "look for list"))
	}
	return moves
}

func (w *world) olds() (moves []move) {
	for _, c := range w.calls() {
		if c.taken != nil {
			moves = append(moves, named(func() { w.reply(c, *c.taken, c.run) }, "answer with what was seen inspect %s", c.of.id))
		}
	}
	if l := w.listing; l != nil && l.taken != nil {
		moves = append(moves, named(func() { w.compare(l.taken, l.takenAt) }, "answer with what was seen list"))
	}
	return moves
}

func (w *world) failures() (moves []move) {
	for _, c := range w.calls() {
		moves = append(moves, named(func() { w.fail(c) }, "fail inspect %s", c.of.id))
	}
	return moves
}

func (w *world) tooLarge() (moves []move) {
	for _, c := range w.calls() {
		moves = append(moves, named(func() {
			w.failure = true
			c.of.failures++
			w.reply(c, Answer{Err: errModel, TooLarge: true}, 0)
		}, "too large inspect %s", c.of.id))
	}
	return moves
}

// cuts returns moves that end the connection, or make a new one.
func (w *world) cuts() []move {
	if w.connected {
		return []move{named(w.disconnect, "disconnect")}
	}
	return []move{named(w.connect, "connect")}
}

// lists returns the move that begins a reconciliation: from time to time, or since somebody asks an engine that tells late.
func (w *world) lists() []move {
	if !w.connected || w.listing != nil || w.awaited > 0 || len(w.turns) > 0 {
		return nil
	}
	return []move{named(func() { w.listing = &listing{} }, "list")}
}

// happenings returns what may happen in the engine.
func (w *world) happenings(most int) (moves []move) {
	for _, b := range w.boxes {
		for _, op := range b.ops() {
			moves = append(moves, w.happen(b, op))
		}
	}
	if n := len(w.boxes); n < most {
		v := named(func() { w.create(string(rune('a' + n))) }, "create")
		v.pause = time.Millisecond
		moves = append(moves, v)
	}
	return moves
}

// op is something that happens to a container: "a die". A container that does not exist yet is created.
func (w *world) op(text string) (*box, string) {
	id, op, _ := strings.Cut(text, " ")
	b := w.find(id)
	if b == nil {
		b = w.create(id)
	}
	return b, op
}
