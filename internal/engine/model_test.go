package engine

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"
)

// The model test is about the watcher and its sessions: its streams, connections and reconciliations, and what it does at once. The
// containers' trackers have a model of their own, in their package. It runs a watcher on a clock of its own against modelEngine,
// which does nothing by itself: a schedule says step by step what happens there, which events are read
// in which order, what is answered to which call, and how much time goes by. Whatever the
// schedule, these must hold:
//
//   - The sink gets what follows from the events and answers that the watcher has read, each
//     change once and in order: never a run of whose end it has read, never a run's end
//     because of something older.
//   - When the faults end, it has soon what is true: without a reconciliation if no event was
//     lost, else with the next.
//   - A container is inspected one call at a time, at most as often as events of it were
//     read, lists answered and inspects failed, and at most tracker.PaceCalls times in a tracker.PaceWindow
//     but for lists; not at all while nothing happens. Lists and connections are as rare.
//   - Nothing is left running in the end.
//
// TestModel runs all schedules of some steps, TestModelRandom long ones at random. A failure
// names the choices of its schedule:
//
//	go test ./internal/engine -run TestModel -model.replay 'first list:0/8.3/7.1/5'
var (
	modelDepth  = flag.Int("model.depth", 4, "steps of the model's schedules")
	modelSeeds  = flag.Uint64("model.seeds", 300, "random schedules of the model")
	modelFirst  = flag.Uint64("model.first", 1, "the first seed")
	modelSteps  = flag.Int("model.steps", 80, "steps of a random schedule")
	modelReplay = flag.String("model.replay", "", "run this schedule of the model alone")
)

const (
	// modelResync is the time between two reconciliations in the model.
	modelResync = 30 * time.Second
	// modelSoon is how soon a slow sink has what an event or a list has led to.
	modelSoon = 2*tracker.PaceWindow + 150*time.Millisecond
)

// model runs one schedule.
type model struct {
	*modelEngine
	watcher *Watcher
	choose  func(n int) int // 0 to n-1
	steps   []string        // taken so far
	sinking bool            // the sink is slow: it need not have all at once
	began   time.Time
}

// move is a step that is possible now.
type move struct {
	name  string
	pause time.Duration // goes by first
	do    func()        // with mu held
}

// run runs a schedule, and returns what did not hold.
func run(t *testing.T, choose func(int) int, schedule func(*model)) (m *model) {
	defer func() {
		if p := recover(); p != nil { // from synctest, or the watcher
			m.breaks("panic: %v", p)
		}
	}()
	synctest.Test(t, func(*testing.T) {
		m = &model{modelEngine: newModelEngine(), choose: choose, began: time.Now()}
		schedule(m)
		m.end()
	})
	return m
}

// start starts the watcher.
func (m *model) start() {
	sink := modelSink{m.modelEngine, m.sinking}
	m.watcher = start(Endpoint{Host: "tcp://model:1"}, "", sink, streamAge, 0, m.dial)
	m.watcher.Subscribe(sink, modelResync)
	m.settle()
}

// settle waits until nothing goes on, and checks what then must hold. Calls are answered one after the other: what follows from an
// answer is done before the next, so that no two things happen at once.
func (m *model) settle() {
	for again := true; again; {
		synctest.Wait()
		m.mu.Lock()
		again = m.answerOne()
		m.mu.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	has := 0
	for _, c := range m.containers {
		if len(c.changes) > 0 && !m.sinking {
			m.breaks("the sink has %s %s, and should get %s", c.id, text(c.has), texts(c.changes))
		}
		if c.has != nil {
			has++
		}
	}
	if n := m.watcher.Containers(); n != has && !m.sinking {
		m.breaks("%d containers, the sink has %d", n, has)
	}
}

// pass lets time go by.
func (m *model) pass(d time.Duration) {
	m.settle()
	for over := time.After(d); ; {
		select {
		case <-m.asked:
			m.settle()
			continue
		case <-over:
			m.settle()
			return
		}
	}
}

// step makes one of the moves.
func (m *model) step(moves []move) {
	v := moves[m.choose(len(moves))]
	m.steps = append(m.steps, v.name)
	// No two steps at the same time: else the ends of what they begin, of which each takes whole
	// milliseconds, would come together, in any order.
	m.pass(v.pause + time.Microsecond)
	m.mu.Lock()
	v.do()
	m.mu.Unlock()
	m.settle()
}

// happen has something happen to a container, a little later than all before.
func (m *model) happen(c *modelContainer, op string) move {
	return move{c.id + ": " + op, time.Millisecond, func() { m.do(c, op) }}
}

func wait(d time.Duration) move { return move{"wait " + d.String(), d, func() {}} }

// heal ends the faults. What is on its way arrives: answers, however old they are, then the
// events, or these are lost. It returns how soon all must be right of which nothing was lost.
func (m *model) heal() time.Duration {
	connected := m.watcher.connected.Load()
	lose := m.choose(2) == 1
	m.steps = append(m.steps, fmt.Sprintf("heal, lose the events: %v", lose))
	m.mu.Lock()
	for _, c := range m.containers {
		if c.locked {
			m.do(c, "started")
			m.mu.Unlock()
			m.settle() // what it has answered arrives before anything else
			m.mu.Lock()
		}
	}
	for _, kind := range []string{"dial", "info", "networks", "events", "list", "inspect"} {
		m.policies[kind] = answer
	}
	for _, v := range slices.Concat(m.deliveries(), m.fresh()) {
		v.do()
		m.mu.Unlock()
		m.settle()
		m.mu.Lock()
	}
	if s := m.stream; s != nil && lose && len(s.pending) > 0 {
		for _, ev := range s.pending {
			m.lose(ev)
		}
		m.log = slices.DeleteFunc(m.log, func(ev *modelEvent) bool { return slices.Contains(s.pending, ev) })
		s.pending = nil
	}
	// One by one: the order in which things are told decides. A slow sink may keep the watcher from reading.
	for m.watcher.connected.Load() && len(m.stream.pending) > 0 {
		var wait time.Duration
		if m.stream.reading {
			m.tell(m.stream.pending[0])
		} else {
			wait = time.Millisecond
		}
		m.mu.Unlock()
		m.pass(wait)
		m.mu.Lock()
	}
	m.prompt = true
	soon := modelSoon
	if !connected || m.sinking { // a slow sink keeps the watcher from seeing that the stream has ended
		soon += maxRetry
	}
	if m.failure {
		soon += tracker.MaxRetry
	}
	m.mu.Unlock()
	m.settle()
	return soon
}

// end heals and checks that all is right in time, and stays so, and that nothing is left.
func (m *model) end() {
	defer func() {
		m.watcher.stop()
		synctest.Wait()
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.calls) > 0 || m.closed != len(m.dials) {
			m.breaks("calls %v are left, of %d connections %d are closed", m.calls, len(m.dials), m.closed)
		}
	}()
	if m.failed() {
		return
	}
	soon := m.heal()
	m.pass(soon)
	m.right(soon, func(lost time.Time) bool { return lost.IsZero() && time.Since(m.lastList) >= modelSoon })
	m.pass(modelResync)
	m.right(soon+modelResync, func(time.Time) bool { return true })
	m.mu.Lock()
	inspects, lists := map[*modelContainer]int{}, m.lists
	for _, c := range m.containers {
		inspects[c] = len(c.asked)
	}
	m.mu.Unlock()
	quiet := time.Now()
	m.pass(2 * modelResync)
	m.right(soon+3*modelResync, func(time.Time) bool { return true })
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.lists - lists; n > 2 {
		m.breaks("%d lists while nothing happens", n)
	}
	for c, n := range inspects {
		if n := len(c.asked) - n; n > 0 && (c.has == nil || !c.has.Stopping) && !c.waits && c.stopUntil.Before(quiet) {
			m.breaks("%d inspects of %s while nothing happens", n, c.id)
		}
	}
	m.paced()
	ran := time.Since(m.began)
	if n, most := m.lists, len(m.dials)+int(ran/modelResync); n > most {
		m.breaks("%d lists in %s, want at most %d", n, ran, most)
	}
	if n, most := m.streams, len(m.dials)+int(ran/streamAge); n > most {
		m.breaks("%d streams in %s, want at most %d", n, ran, most)
	}
}

// right checks that the sink has what is true, of that which must be known.
func (m *model) right(after time.Duration, known func(lost time.Time) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.containers {
		if !known(c.lost) {
			continue
		}
		want := c.facts
		if want != nil {
			facts := *want
			facts.Stopping = c.run == c.stop && !c.lasts()
			if c.has != nil && c.lasts() && time.Since(c.stopUntil) < after { // it may not be known yet
				facts.Stopping = c.has.Stopping
			}
			if c.has != nil && c.id == "d" { // a list shows nothing of its restart
				facts.Started = c.has.Started
			}
			want = &facts
		}
		if c.waits && (c.run > 0 || !c.exists) {
			m.breaks("after %s the sink has %s as created, which is %s", after, c.id, text(want))
		}
		if !same(c.has, want) {
			m.breaks("after %s the sink has %s %s, which is %s", after, c.id, text(c.has), text(want))
		}
	}
	if m.host == nil || known(m.lost) && len(m.host.Networks) != m.networks {
		m.breaks("after %s the sink has host %+v, there are %d networks", after, m.host, m.networks)
	}
	if known(time.Time{}) && (!m.watcher.connected.Load() || !m.watcher.Current() || !m.current || m.synced != 1) {
		m.breaks("after %s: connected %v, current %v, the sink is told %v, synced %d times",
			after, m.watcher.connected.Load(), m.watcher.Current(), m.current, m.synced)
	}
}

// paced checks that inspects kept their pace. Those that lists ask for don't.
func (m *model) paced() {
	for _, c := range m.containers {
		for i := range c.asked {
			n := 0
			for ; i+n < len(c.asked) && c.asked[i+n].Sub(c.asked[i]) < tracker.PaceWindow; n++ {
			}
			if n > tracker.PaceCalls+m.listed {
				m.breaks("%d inspects of %s within %s", n, c.id, tracker.PaceWindow)
			}
		}
	}
}
