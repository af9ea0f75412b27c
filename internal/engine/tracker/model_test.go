package tracker

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/choices"
)

// The model test drives trackers by a schedule: it says step by step what happens in the engine, which events are read in which
// order, what is answered to which call, and how much time goes by. Whatever the schedule, these must hold:
//
//   - The sinks have what follows from the events and answers that were read: the last answer's facts, without what events
//     have taken away since it was asked for. Never a run of whose end was read, never an address that it has left as was
//     read, and one that was told to stop is stopping for as long as it may take. Nothing is told twice.
//   - A container that an event says is started is said to start, until it runs or does not.
//   - When the faults end, the sinks have soon what is true: without a reconciliation if no event was lost, else with the
//     next. That ends. However many inspects hang, others get their turn.
//   - When a reconciliation has ended, the sinks know who could not be read for it.
//   - A container is inspected one call at a time, at most as often as events of it were read, lists answered and inspects
//     failed, and at most PaceCalls times in a PaceWindow but for lists; not at all while nothing happens.
//
// TestModel runs all schedules of some steps, TestModelRandom long ones at random, by a random engine that a number seeds. Both say
// in the end a number that is another one if any tracker has said anything else. A failure names the choices of its
// schedule, which replay it:
//
//	go test ./internal/engine/tracker -run TestModel -model.replay 'ends:0/4.3/7.1/5'
var (
	modelDepth  = flag.Int("model.depth", 5, "steps of the model's exhaustive schedules")
	modelSeeds  = flag.Uint64("model.seeds", 2000, "random schedules of the model")
	modelFirst  = flag.Uint64("model.first", 1, "the first seed")
	modelSteps  = flag.Int("model.steps", 80, "steps of a random schedule")
	modelReplay = flag.String("model.replay", "", "run the schedule of these choices alone")
)

// schedule runs a schedule and returns what came of it.
func schedule(p *choices.Path, then func(int) int, traced bool, run func(*world)) (w *world) {
	w = newWorld(p.Follow(then))
	w.traced = traced
	defer func() {
		if r := recover(); r != nil {
			w.breaks("panic: %v", r)
			if traced {
				panic(r)
			}
		}
	}()
	run(w)
	return w
}

// report tells what does not hold in a schedule, which it runs once more.
func report(t *testing.T, name string, p choices.Path, run func(*world)) {
	t.Helper()
	path := p.String()
	w := schedule(&p, choices.None, true, run)
	if w.broken == nil {
		t.Logf("all holds in the schedule\n\t%s", strings.Join(w.trace, "\n\t"))
		return
	}
	t.Errorf("%s\nin the schedule\n\t%s\nReplay it with -model.replay '%s:%s'", strings.Join(w.broken, "\n"), strings.Join(w.trace, "\n\t"), name, path)
}

// replayed reports whether a schedule was asked for, and runs it if it is of the name.
func replayed(t *testing.T, name string, run func(*world)) bool {
	t.Helper()
	if *modelReplay == "" {
		return false
	}
	if of, path, _ := strings.Cut(*modelReplay, ":"); of == name {
		p, err := choices.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		report(t, name, p, run)
	}
	return true
}

// TestModel runs every schedule of some steps.
func TestModel(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			run := func(w *world) { s.run(w, *modelDepth) }
			if replayed(t, s.name, run) {
				return
			}
			var p choices.Path
			digest := uint64(0)
			for n := 1; ; n++ {
				w := schedule(&p, choices.First, false, run)
				digest = digest*31 + w.digest
				if w.broken != nil {
					report(t, s.name, p, run)
					return
				}
				if !p.Next() {
					t.Logf("%d schedules of up to %d steps, %016x", n, *modelDepth, digest)
					return
				}
			}
		})
	}
}

// TestModelRandom runs long schedules at random, with up to four containers and all faults.
func TestModelRandom(t *testing.T) {
	run := func(w *world) { random(w, *modelSteps) }
	if replayed(t, "random", run) {
		return
	}
	digest := uint64(0)
	for seed := *modelFirst; seed < *modelFirst+*modelSeeds; seed++ {
		var p choices.Path
		w := schedule(&p, rand.New(rand.NewPCG(seed, 0)).IntN, false, run)
		digest = digest*31 + w.digest
		if w.broken != nil {
			t.Errorf("seed %d", seed)
			report(t, "random", p, run)
			return
		}
	}
	t.Logf("%d schedules of %d steps, %016x", *modelSeeds, *modelSteps, digest)
}
