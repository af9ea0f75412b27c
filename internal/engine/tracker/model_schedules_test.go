package tracker

import (
	"slices"
	"time"
)

// scenario is where an exhaustive model begins and what happens there besides the faults.
type scenario struct {
	name   string
	podman bool
	synced bool     // the shell is, before anything happens
	before []string // what has happened, as in ops
	ops    []string
	faults int // how many things may go wrong
}

var runs1 = []string{"a connecting", "a started"}

var scenarios = []scenario{
	{name: "ends", synced: true, before: runs1, ops: []string{"a die", "a destroy"}, faults: 1},
	{name: "starts", synced: true, before: []string{"a rename"}, ops: []string{"a connecting", "a started", "a die"}, faults: 1},
	{name: "does not start", synced: true, before: []string{"a rename"}, ops: []string{"a connecting", "a not started", "a destroy"}, faults: 1},
	{name: "is created", synced: true, before: []string{"b rename"}, ops: []string{"a connecting", "a started"}, faults: 1},
	{name: "starts anew", synced: true, before: runs1, ops: []string{"a die", "a connecting", "a started"}, faults: 1},
	{name: "restarts", synced: true, before: runs1, ops: []string{"a restart", "a rename"}, faults: 1},
	{name: "had restarted", synced: true, before: append(slices.Clone(runs1), "a restart"), ops: []string{"a rename", "a die"}, faults: 1},
	{name: "stops", synced: true, before: runs1, ops: []string{"a kill TERM", "a restart"}, faults: 1},
	{name: "stops in the host's network", synced: true, before: []string{"d connecting", "d started"}, ops: []string{"d kill TERM", "d restart"}, faults: 1},
	{name: "changes", synced: true, before: runs1, ops: []string{"a pause", "a unpause"}, faults: 1},
	{name: "moves", synced: true, before: runs1, ops: []string{"a connect", "a disconnect"}, faults: 1},
	{name: "moves back", synced: true, before: append(slices.Clone(runs1), "a connect"), ops: []string{"a disconnect", "a connect"}, faults: 1},
	{name: "two", synced: true, before: append(slices.Clone(runs1), "b connecting", "b started"), ops: []string{"a die", "b rename"}},
	{name: "first list", before: runs1, ops: []string{"a die", "a destroy"}, faults: 1},
	{name: "first list of a start", before: []string{"a rename"}, ops: []string{"a connecting", "a started"}, faults: 1},
	{name: "first list of a stop", before: runs1, ops: []string{"a kill TERM", "a restart"}, faults: 1},
	{name: "Podman ends", podman: true, synced: true, before: runs1, ops: []string{"a kill TERM", "a die", "a destroy"}, faults: 1},
	{name: "Podman restarts", podman: true, synced: true, before: runs1, ops: []string{"a restart", "a die"}, faults: 1},
	{name: "Podman moves", podman: true, synced: true, before: runs1, ops: []string{"a connect", "a disconnect"}, faults: 1},
}

// newWorld returns a world in which nothing has happened.
func newWorld(choose func(int) int) *world {
	w := &world{choose: choose, now: time.Unix(1_000_000, 0)}
	w.events.size, w.bulk.size = eventCalls, bulkCalls
	return w
}

// sync has the shell know all that is true.
func (w *world) sync() {
	w.prompt = true
	if !w.connected {
		w.connect()
	}
	for len(w.pending) > 0 {
		h := w.pending[0]
		w.take(h)
		w.read(h)
		w.answerAll()
	}
	w.answerAll()
	w.pass(time.Second)
	w.prompt = false
}

func (s *scenario) run(w *world, depth int) {
	w.podman = s.podman
	for _, text := range s.before {
		w.do(w.op(text))
	}
	if s.synced {
		w.sync()
	} else {
		w.connect()
	}
	w.check()
	ops, faults, looked := s.ops, s.faults, false
	for range depth {
		moves := slices.Concat(w.reads(), w.fresh())
		looks := w.looks()
		first := len(moves)
		moves = append(moves, looks...)
		if !looked { // else it is the same as an answer
			moves = append(moves, w.olds()...)
		}
		if len(ops) > 0 {
			v := w.happen(w.op(ops[0]))
			do := v.do
			v.do = func() { ops = ops[1:]; do() }
			moves = append(moves, v)
		}
		if faults > 0 {
			short := PaceWindow
			if w.failure {
				short = FirstRetry
			}
			for _, v := range slices.Concat(w.losses(), w.repeats(), w.failures(), w.tooLarge(), w.cuts(), w.lists(), []move{wait(short), wait(inspectTimeout)}) {
				moves = append(moves, move{v.name, v.pause, func() { faults--; v.do() }})
			}
		} else if !w.connected {
			moves = append(moves, w.cuts()...)
		}
		if len(moves) == 0 {
			break
		}
		choose, chosen := w.choose, 0
		w.choose = func(n int) int { chosen = choose(n); return chosen }
		w.step(moves)
		w.choose = choose
		looked = chosen >= first && chosen < first+len(looks)
		if w.broken != nil {
			return
		}
	}
	w.heal()
}

// random makes a schedule of many steps.
func random(w *world, steps int) {
	w.podman = w.choose(4) == 0
	w.skew = time.Duration(w.choose(3)-1) * time.Hour
	most := 1 + w.choose(4)
	for range w.choose(most + 1) {
		b := w.create(string(rune('a' + len(w.boxes))))
		if w.choose(2) == 0 {
			w.do(b, "connecting")
			w.do(b, "started")
		}
	}
	w.connect()
	for w.steps < steps && w.broken == nil {
		if moves := w.kind(most); len(moves) > 0 {
			w.step(moves)
		}
	}
	if w.broken == nil {
		w.heal()
	}
}

// kind returns the moves of one kind that are possible now.
func (w *world) kind(most int) []move {
	kinds := []struct {
		weight int
		moves  func() []move
	}{
		{25, func() []move { return w.happenings(most) }},
		{20, func() []move { return w.reads()[:min(1, len(w.pending))] }},
		{5, w.reads},
		{2, w.losses},
		{3, w.repeats},
		{15, w.fresh},
		{8, w.looks},
		{10, w.olds},
		{3, w.failures},
		{1, w.tooLarge},
		{1, w.cuts},
		{2, w.lists},
		{4, func() []move { return []move{wait(time.Millisecond), wait(30 * time.Millisecond), wait(PaceWindow)} }},
		{2, func() []move {
			return []move{wait(500 * time.Millisecond), wait(2 * time.Second), wait(inspectTimeout), wait(20 * time.Second)}
		}},
		{1, func() []move {
			return []move{named(func() { w.prompt = !w.prompt }, "calls are answered as they come: %v", !w.prompt)}
		}},
	}
	sum := 0
	for _, k := range kinds {
		sum += k.weight
	}
	n := w.choose(sum)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			return k.moves()
		}
	}
	panic("no kind")
}

// heal ends the faults, and checks that all is right in time, and stays so. What is on its way arrives: answers, however old they
// are, then the events, or these are lost.
func (w *world) heal() {
	lose := w.choose(2) == 1
	if w.traced {
		w.trace = append(w.trace, map[bool]string{false: "heal", true: "heal, and lose the events"}[lose])
	}
	for _, b := range w.boxes {
		if b.locked {
			w.do(b, "started")
		}
	}
	for _, v := range slices.Concat(w.olds(), w.fresh()) {
		v.do()
		w.check()
	}
	for len(w.pending) > 0 {
		h := w.pending[0]
		w.take(h)
		if lose {
			w.lose(h)
		} else {
			w.read(h)
		}
		w.check()
	}
	w.prompt = true
	if !w.connected {
		w.connect()
	}
	w.answerAll()
	soon := 2*PaceWindow + 50*time.Millisecond
	if w.failure {
		soon += MaxRetry
	}
	w.settle(soon, soon, func(b *box) bool { return b.lost.IsZero() })
	w.reconcile()
	w.settle(soon, 2*soon, func(*box) bool { return true })
	w.quiet(2 * soon)
}

// settle lets time go by and checks that then all is right of which that must be known.
func (w *world) settle(d, after time.Duration, known func(b *box) bool) {
	w.pass(d)
	w.check()
	w.right(after, known)
}

func (w *world) reconcile() {
	if w.awaited > 0 || len(w.turns) > 0 {
		w.breaks("a reconciliation does not end: it waits for %d", w.awaited)
	}
	w.listing = &listing{}
	w.answerAll()
}

// quiet checks that nobody is inspected while nothing happens, but for who is watched while it stops or waits.
func (w *world) quiet(after time.Duration) {
	asked := map[*box]int{}
	for _, b := range w.boxes {
		asked[b] = len(b.asked)
	}
	began := w.now
	check := func(allowed func(b *box) bool) {
		for _, b := range w.boxes {
			if n := len(b.asked) - asked[b]; n > 0 && !allowed(b) {
				w.breaks("%d inspects of %s while nothing happens", n, b.id)
			}
			asked[b] = len(b.asked)
		}
	}
	w.settle(time.Hour, after+time.Hour, func(*box) bool { return true })
	stops := func(b *box) bool { return b.stopTimeout() >= 0 && b.stopUntil.After(began) }
	check(stops)
	w.reconcile()
	w.settle(time.Second, after+2*time.Hour, func(*box) bool { return true })
	check(func(b *box) bool { return stops(b) || b.has != nil && b.has.Stopping })
	for _, b := range w.boxes {
		if !b.wake.IsZero() {
			w.breaks("%s is to be woken at %s though nothing is to be done", b.id, b.wake)
		}
	}
}
