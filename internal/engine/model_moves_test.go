package engine

import (
	"fmt"
	"slices"
	"time"
)

// pending returns the events that can be read now.
func (m *model) pending() []*modelEvent {
	if m.stream == nil || !m.stream.reading {
		return nil
	}
	return m.stream.pending
}

func (m *model) reads() (moves []move) {
	for _, ev := range m.pending() {
		moves = append(moves, move{fmt.Sprint("read ", ev), 0, func() { m.tell(ev) }})
	}
	return moves
}

func (m *model) losses() (moves []move) {
	for _, ev := range m.pending() {
		moves = append(moves, move{fmt.Sprint("lose ", ev), 0, func() {
			m.lose(ev)
			lost := func(o *modelEvent) bool { return o == ev }
			m.stream.pending, m.log = slices.DeleteFunc(m.stream.pending, lost), slices.DeleteFunc(m.log, lost)
		}})
	}
	return moves
}

// repeats returns moves that have an event come again, not always as the same.
func (m *model) repeats() (moves []move) {
	if m.stream == nil || !m.stream.reading {
		return nil
	}
	for _, ev := range m.log {
		if slices.Contains(m.stream.pending, ev) {
			continue
		}
		moves = append(moves, move{fmt.Sprint("read again ", ev), 0, func() {
			again := *ev
			again.At = ev.At.Add(time.Duration(len(m.steps) % 2))
			m.stream.pending = append(m.stream.pending, &again)
			m.tell(&again)
		}})
	}
	return moves
}

// fresh, takes, deliveries and failures return the moves that answer calls: with what is true,
// or with what was true when the call was looked at, or not well.
func (m *model) fresh() (moves []move) {
	for _, call := range m.calls {
		if a := m.look(call); a != nil && call.taken == nil {
			moves = append(moves, move{fmt.Sprint("answer ", call), 0, func() { m.reply(call, a) }})
		}
	}
	return moves
}

func (m *model) takes() (moves []move) {
	for _, call := range m.calls {
		if call.kind != "inspect" && call.kind != "list" {
			continue
		}
		if a := m.look(call); a != nil && call.taken == nil {
			moves = append(moves, move{fmt.Sprint("look for ", call), 0, func() { call.taken = a }})
		}
	}
	return moves
}

func (m *model) deliveries() (moves []move) {
	for _, call := range m.calls {
		if call.taken != nil {
			moves = append(moves, move{fmt.Sprint("answer with what was seen ", call), 0, func() { m.reply(call, call.taken) }})
		}
	}
	return moves
}

func (m *model) failures() (moves []move) {
	for _, call := range m.calls {
		moves = append(moves, move{fmt.Sprint("fail ", call), 0, func() { m.reply(call, &modelAnswer{err: errModel}) }})
	}
	return moves
}

func (m *model) cuts() []move {
	if m.stream == nil || !m.stream.reading {
		return nil
	}
	return []move{{"cut the stream", 0, func() {
		if m.stream.reading {
			m.stream.reading = false
			m.stream.broken <- errModel
		}
	}}}
}
