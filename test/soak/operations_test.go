package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// operation is one thing that happens to a container.
type operation struct {
	name     string
	possible func(*member) bool
	do       func(*enginetest.Engine, *member)
}

func here(m *member) bool    { return m.id != "" }
func runs(m *member) bool    { return m.running && !m.paused }
func stopped(m *member) bool { return here(m) && !m.running }

// damages are the operations on a container that is as it was at first. Some leave it otherwise, and a
// repair is to follow.
var damages = []operation{
	{"restart", runs, func(e *enginetest.Engine, m *member) { e.Restart(m.id); m.ill = false }}, // its health check begins anew
	{"stop", runs, func(e *enginetest.Engine, m *member) { e.Stop(m.id); m.running = false }},
	{"kill", runs, func(e *enginetest.Engine, m *member) { e.Kill(m.id, "KILL"); m.running = false }},
	{"exit", runs, func(e *enginetest.Engine, m *member) { e.Exit(m.id, 1); m.running = false }},
	{"pause", runs, func(e *enginetest.Engine, m *member) { e.Pause(m.id); m.paused = true }},
	{"sicken", func(m *member) bool { return runs(m) && !m.ill }, func(e *enginetest.Engine, m *member) { e.SetHealth(m.id, "unhealthy"); m.ill = true }},
	{"rename", func(m *member) bool { return here(m) && m.name == m.base }, func(e *enginetest.Engine, m *member) { m.name = m.base + "-renamed"; e.Rename(m.id, m.name) }},
	{"connect", func(m *member) bool { return here(m) && !m.both }, func(e *enginetest.Engine, m *member) {
		e.Connect(m.id, enginetest.Attachment{Network: m.second})
		m.both = true
	}},
	{"remove", here, func(e *enginetest.Engine, m *member) { m.remove(e) }},
	{"replace", here, func(e *enginetest.Engine, m *member) { m.remove(e); m.run(e) }},
}

// repairs make a container again what it was.
var repairs = []operation{
	{"run", func(m *member) bool { return !here(m) }, func(e *enginetest.Engine, m *member) { m.run(e) }},
	{"start", stopped, func(e *enginetest.Engine, m *member) { e.Start(m.id); m.running, m.ill = true, false }},
	{"unpause", func(m *member) bool { return m.paused }, func(e *enginetest.Engine, m *member) { e.Unpause(m.id); m.paused = false }},
	{"heal", func(m *member) bool { return m.running && m.ill }, func(e *enginetest.Engine, m *member) { e.SetHealth(m.id, "healthy"); m.ill = false }},
	{"rename", func(m *member) bool { return m.name != m.base }, func(e *enginetest.Engine, m *member) { m.name = m.base; e.Rename(m.id, m.name) }},
	{"disconnect", func(m *member) bool { return m.both }, func(e *enginetest.Engine, m *member) {
		e.Disconnect(m.id, m.second)
		m.both = false
	}},
}

func (m *member) remove(e *enginetest.Engine) {
	e.Remove(m.id)
	*m = member{service: m.service, base: m.base, name: m.base}
}

func (m *member) run(e *enginetest.Engine) {
	m.id, m.running = e.Run(m.spec()), true
}

// worker does operations on services of its own, one at a time, and waits after each until DNS
// is right. It damages and repairs by turns, so that as many containers run all the time.
type worker struct {
	engine   *enginetest.Engine
	services []*service
	asker    rig.Asker
	rng      *rand.Rand
	found    *results
	damaged  []*member // oldest first
}

func newWorkers(e *enginetest.Engine, server string, all []*service, found *results) []*worker {
	ws := make([]*worker, workers)
	for i := range ws {
		ws[i] = &worker{engine: e, asker: rig.Asker{Server: server}, rng: rand.New(rand.NewPCG(*seed, uint64(i))), found: found}
	}
	n := 0
	for i, s := range all {
		if i%fixedEvery != 0 {
			ws[n%workers].services = append(ws[n%workers].services, s)
			n++
		}
	}
	return ws
}

// run does its share of operations from a moment on. What comes late is made up for.
func (w *worker) run(ctx context.Context, begin time.Time, number int) {
	defer w.asker.Close()
	every := time.Duration(float64(workers) / float64(*rate) * float64(time.Second))
	next := begin.Add(every * time.Duration(number) / workers) // not all at once
	for {
		select {
		case <-time.After(time.Until(next)):
			w.step()
		case <-ctx.Done():
			return
		}
		next = next.Add(every)
	}
}

// enough damaged containers for any kind of damage to meet any other.
const enough = 10

// step does one operation that is possible.
func (w *worker) step() {
	for {
		m, kinds := w.pick()
		var can []operation
		for _, o := range kinds {
			if o.possible(m) {
				can = append(can, o)
			}
		}
		if len(can) > 0 {
			w.do(can[w.rng.IntN(len(can))], m)
			return
		}
	}
}

func (w *worker) pick() (*member, []operation) {
	if len(w.damaged) > enough {
		m := w.damaged[0]
		w.damaged = w.damaged[1:]
		return m, repairs
	}
	s := w.services[w.rng.IntN(len(w.services))]
	m := s.members[w.rng.IntN(len(s.members))]
	w.damaged = append(w.damaged, m)
	return m, damages
}

func (w *worker) do(o operation, m *member) {
	e, name := w.engine, m.fqdn()
	own, all := m.addrs(e), m.service.running(e)
	o.do(e, m)
	done := time.Now()
	own, all = append(own, m.addrs(e)...), append(all, m.service.running(e)...)
	questions := []question{{m.fqdn(), "A", set(m.addrs(e))}, {m.service.fqdn(), "A", set(m.service.addrs(e))}}
	legal := [][]string{own, all}
	if name != m.fqdn() {
		questions, legal = append(questions, question{name, "A", ""}), append(legal, own)
	}
	for _, addr := range m.addrs(e) {
		questions, legal = append(questions, question{reverse(addr), "PTR", m.fqdn()}), append(legal, nil)
	}
	for i, q := range questions {
		if err := w.settle(q, legal[i], done); err != nil {
			w.found.addWrong("%v after %s: %v", time.Since(done), o.name, err)
		}
	}
	w.found.addLag(time.Since(done))
}

// settle waits until the question is answered rightly. What was right before may be answered for a moment,
// in whole or in part, but never an address that is not among the legal ones, if there are any.
func (w *worker) settle(q question, legal []string, done time.Time) error {
	for {
		w.found.asked()
		got, err := ask(&w.asker, q.name, q.qtype)
		switch {
		case err != nil:
			return fmt.Errorf("%s %s: %w", q.name, q.qtype, err)
		case got == q.want:
			return nil
		case time.Since(done) > bound:
			return fmt.Errorf("%s %s: still %q, want %q", q.name, q.qtype, got, q.want)
		}
		for _, addr := range strings.Fields(got) {
			if q.qtype == "A" && !slices.Contains(legal, addr) {
				return fmt.Errorf("%s %s: %q, which is not among %q", q.name, q.qtype, got, legal)
			}
		}
		time.Sleep(2 * time.Millisecond) // a pace, not a wait
	}
}
