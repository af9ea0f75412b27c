package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/choices"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"
)

// scenario is where an exhaustive model begins and what happens there besides the faults.
type scenario struct {
	name   string
	synced bool     // the watcher is, before anything happens
	before []string // what has happened, as in ops
	ops    []string
	faults int // how many things may go wrong
}

// op is something that happens to a container: "a die".
func (m *model) op(text string) (*modelContainer, string) {
	id, op, _ := strings.Cut(text, " ")
	for m.find(id) == nil {
		m.create()
	}
	return m.find(id), op
}

func (s scenario) schedule(m *model) {
	for _, text := range s.before {
		m.do(m.op(text))
	}
	if s.synced {
		m.policies["list"], m.policies["inspect"] = answer, answer
	}
	m.start()
	m.mu.Lock()
	m.policies["list"], m.policies["inspect"] = hold, hold
	m.mu.Unlock()
	m.pass(time.Second) // what was before is no matter for the pace
	ops, faults := s.ops, s.faults
	for range *modelDepth {
		m.mu.Lock()
		moves := slices.Concat(m.reads(), m.fresh(), m.takes())
		if last := len(m.steps) - 1; last < 0 || !strings.HasPrefix(m.steps[last], "look for") {
			moves = append(moves, m.deliveries()...) // else it is the same as an answer
		}
		if len(ops) > 0 {
			v := m.happen(m.op(ops[0]))
			moves = append(moves, move{v.name, v.pause, func() { ops = ops[1:]; v.do() }})
		}
		if faults > 0 {
			short := wait(tracker.PaceWindow)
			if m.failure {
				short = wait(tracker.FirstRetry)
			}
			for _, v := range slices.Concat(m.losses(), m.repeats(), m.failures(), m.cuts(), []move{short, wait(inspectTimeout)}) {
				moves = append(moves, move{v.name, v.pause, func() { faults--; v.do() }})
			}
		}
		m.mu.Unlock()
		if len(moves) == 0 {
			break
		}
		if m.step(moves); m.failed() {
			return
		}
	}
}

var runs = []string{"a connecting", "a started"}

// What a container's tracker makes of its events and answers the model in its own package goes through.
var scenarios = []scenario{
	{"starts anew", true, runs, []string{"a die", "a connecting", "a started"}, 1},
	{"two", true, append(runs, "b connecting", "b started"), []string{"a die", "b rename"}, 0},
	{"first list", false, runs, []string{"a die", "a destroy"}, 1},
	{"first list of a start", false, []string{"a rename"}, []string{"a connecting", "a started"}, 1},
	{"first list of a stop", false, runs, []string{"a kill TERM", "a restart"}, 1},
}

// replayed reports whether a schedule was asked for, and runs it if it is of the name.
func replayed(t *testing.T, name string, schedule func(*model)) bool {
	t.Helper()
	if *modelReplay == "" {
		return false
	}
	if of, path, _ := strings.Cut(*modelReplay, ":"); of == name {
		p, err := choices.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		if m := run(t, p.Follow(choices.None), schedule); m.broken != nil {
			m.report(t, name, p)
		} else {
			t.Logf("all holds in the schedule\n\t%s", strings.Join(m.steps, "\n\t"))
		}
	}
	return true
}

// TestModel runs every schedule of some steps.
func TestModel(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if replayed(t, s.name, s.schedule) {
				return
			}
			var p choices.Path
			for n := 1; ; n++ {
				m := run(t, p.Follow(choices.First), s.schedule)
				if m.broken != nil {
					m.report(t, s.name, p)
					return
				}
				if !p.Next() {
					t.Logf("%d schedules", n)
					return
				}
			}
		})
	}
}

// TestModelSlowSink has a list come while the sink is busy with a death: what is known of the
// container must not be forgotten before the death is dealt with.
func TestModelSlowSink(t *testing.T) {
	m := run(t, choices.First, func(m *model) {
		for _, text := range runs {
			m.do(m.op(text))
		}
		m.policies["list"], m.policies["inspect"], m.sinking = answer, answer, true
		m.start()
		m.pass(modelResync - 10*time.Millisecond - time.Since(m.lastList)) // the first list was at the same time as the connection
		m.step([]move{m.happen(m.op("a die"))})
		m.step(m.reads()) // takes the sink more than 10 ms
		m.step([]move{wait(10 * time.Millisecond)})
		if m.lists != 2 || m.find("a").has == nil {
			m.breaks("no list while the sink is busy")
		}
		m.step([]move{m.happen(m.op("a restart"))})
	})
	if m.broken != nil {
		m.report(t, t.Name(), nil)
	}
}

// TestModelRandom runs long schedules at random, with more containers and all faults. One of each fifty runs twice: nothing but the
// choices decides what comes of it.
func TestModelRandom(t *testing.T) {
	if replayed(t, "random", random) {
		return
	}
	for seed := *modelFirst; seed < *modelFirst+*modelSeeds; seed++ {
		var p choices.Path
		m := run(t, p.Follow(rand.New(rand.NewPCG(seed, 0)).IntN), random)
		if m.broken != nil {
			t.Logf("seed %d", seed)
			m.report(t, "random", p)
			return
		}
		if seed%50 == 0 {
			if again := run(t, p.Follow(choices.None), random); again.broken != nil || !slices.Equal(again.steps, m.steps) {
				t.Errorf("seed %d: the same choices lead to other steps, or to %q:\n%q\n%q", seed, again.broken, again.steps, m.steps)
			}
		}
	}
}

// random makes a schedule of many steps.
func random(m *model) {
	m.podman = m.choose(4) == 0
	m.sinking = m.choose(4) == 0
	m.skew = time.Duration(m.choose(3)-1) * time.Hour
	for range m.choose(3) {
		c := m.create()
		if m.choose(2) == 0 {
			m.do(c, "connecting")
			m.do(c, "started")
		}
	}
	m.start()
	for len(m.steps) < *modelSteps && !m.failed() {
		m.mu.Lock()
		moves := m.kind()
		m.mu.Unlock()
		if len(moves) > 0 {
			m.step(moves)
		}
	}
}

// kind returns the moves of one kind that are possible now.
func (m *model) kind() []move {
	kinds := []struct {
		weight int
		moves  func() []move
	}{
		{25, m.happenings},
		{20, func() []move { return m.reads()[:min(1, len(m.pending()))] }},
		{5, m.reads},
		{2, m.losses},
		{3, m.repeats},
		{15, m.fresh},
		{8, m.takes},
		{10, m.deliveries},
		{3, m.failures},
		{1, m.cuts},
		{4, func() []move {
			return []move{wait(time.Millisecond), wait(30 * time.Millisecond), wait(tracker.PaceWindow)}
		}},
		{2, func() []move {
			return []move{wait(500 * time.Millisecond), wait(2 * time.Second), wait(inspectTimeout)}
		}},
		{1, func() []move { return []move{wait(streamAge), wait(modelResync)} }},
		{2, m.moods},
	}
	sum := 0
	for _, k := range kinds {
		sum += k.weight
	}
	n := m.choose(sum)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			return k.moves()
		}
	}
	panic("no kind")
}

// happenings returns what may happen in the engine.
func (m *model) happenings() (moves []move) {
	for _, c := range m.containers {
		for _, op := range c.ops() {
			moves = append(moves, m.happen(c, op))
		}
	}
	if len(m.containers) < 4 {
		moves = append(moves, move{"create", time.Millisecond, func() { m.create() }})
	}
	return append(moves, move{"create a network", time.Millisecond, func() {
		m.networks++
		m.emit(nil, "network", "create", "")
	}})
}

// moods returns moves after which the engine takes calls of a kind otherwise.
func (m *model) moods() (moves []move) {
	for _, kind := range []string{"dial", "info", "networks", "events", "list", "inspect"} {
		for _, p := range []policy{hold, answer, answer, refuse} {
			if kind != "dial" || p != hold {
				moves = append(moves, move{fmt.Sprint("from now on ", p, " ", kind), 0, func() { m.policies[kind] = p }})
			}
		}
	}
	return moves
}

// report tells what does not hold, and in which schedule.
func (m *model) report(t *testing.T, name string, p choices.Path) {
	t.Helper()
	t.Errorf("%s\nin the schedule\n\t%s\nReplay it with -model.replay '%s:%s'", strings.Join(m.broken, "\n"), strings.Join(m.steps, "\n\t"), name, p)
}

// TestModelStopEnds has containers go on after a signal to stop: each is taken as stopping for as long as it may
// take, and a stop that is told once more begins anew.
func TestModelStopEnds(t *testing.T) {
	m := run(t, choices.First, func(m *model) {
		for _, id := range []string{"a", "b", "c"} {
			m.do(m.op(id + " connecting"))
			m.do(m.op(id + " started"))
		}
		m.policies["list"], m.policies["inspect"], m.prompt = answer, answer, true
		m.start()
		expect := func(after time.Duration, stopping string) {
			m.pass(after)
			got := ""
			m.mu.Lock()
			for _, c := range m.containers {
				if c.has.Stopping {
					got += c.id
				}
			}
			m.mu.Unlock()
			if got != stopping {
				m.breaks("%s after the start %q are stopping, want %q", time.Since(m.began), got, stopping)
			}
		}
		for _, id := range []string{"a", "b", "c"} {
			m.step([]move{m.happen(m.op(id + " kill TERM"))})
		}
		expect(0, "abc")
		expect(time.Second+tracker.StopGrace-tracker.PaceWindow, "abc")
		expect(2*tracker.PaceWindow, "ac")
		m.step([]move{m.happen(m.op("a kill TERM"))})
		expect(defaultStopTimeout+tracker.StopGrace-tracker.PaceWindow, "ac")
		expect(2*tracker.PaceWindow, "c")
		m.step([]move{m.happen(m.op("a kill HUP"))})
		expect(time.Hour, "c")
	})
	if m.broken != nil {
		m.report(t, t.Name(), nil)
	}
}
