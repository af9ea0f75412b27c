// Package soak has the real coredns follow an engine on which something happens all the time,
// and looks whether what it holds of the machine stays level: goroutines, descriptors, memory.
//
// The engine is an enginetest in the test's process, so that the figures are the server's alone. The
// test that runs with all others is short; `make soak` runs it for half an hour.
package soak

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

var (
	duration   = flag.Duration("soak.duration", 25*time.Second, "how long operations go on")
	rate       = flag.Int("soak.rate", 50, "operations a second")
	containers = flag.Int("soak.containers", 500, "containers on the engine")
	lookups    = flag.Int("soak.lookups", 200, "questions a second about what does not change")
	seed       = flag.Uint64("soak.seed", 1, "of the operations")
)

const (
	// bound is how long an answer may lag behind the engine. The longest lag is after a fault: a
	// second and more until the engine is tried again, and a list of all containers.
	bound = 5 * time.Second

	workers = 10 // who do operations, each on services of its own

	// One service in so many is left alone.
	fixedEvery = 5
)

func TestSoak(t *testing.T) {
	e := enginetest.New(t)
	if err := e.RunHere(); err != nil {
		t.Fatal(err)
	}
	all := populate(e, *containers/serviceSize)
	s := serve(t, e.Host())

	ctx, stop := context.WithTimeout(t.Context(), *duration)
	defer stop()
	begin := time.Now()
	out := t.Output()
	found := results{out: out}
	var running sync.WaitGroup
	running.Go(func() { askFixed(ctx, s.Addr, fixed(e, all), *lookups, &found) })
	for i, w := range newWorkers(e, s.Addr, all, &found) {
		running.Go(func() { w.run(ctx, begin, i) })
	}
	running.Go(func() { disturb(ctx, e, &found) })

	fmt.Fprintf(out, "%v of %d operations a second on %d containers\n%s\n", *duration, *rate, *containers, header)
	var samples []sample
	// A half-hour run has 180 rows, the short one still enough for thirds with a median.
	for tick := time.NewTicker(min(10*time.Second, *duration/25)); ctx.Err() == nil; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			continue
		}
		now, err := s.sample()
		if err != nil {
			t.Errorf("taking a sample: %v", err)
			continue
		}
		now.at = time.Since(begin)
		now.operations, now.wrong = found.count()
		samples = append(samples, now)
		fmt.Fprintln(out, now)
	}
	running.Wait()

	found.report(t)
	for _, l := range levels(samples) {
		fmt.Fprintln(out, l)
		if err := l.check(); err != nil {
			t.Error(err)
		}
	}
	first, last := samples[0], samples[len(samples)-1]
	fmt.Fprintf(out, "the server used %.1f %% of a processor\n", 100*float64(last.cpu-first.cpu)/float64(last.at-first.at))
}

// disturb has the connection to the engine, and sometimes the engine itself, fail from time to
// time: what is left over of a session would add up.
func disturb(ctx context.Context, e *enginetest.Engine, found *results) {
	every := time.NewTicker(max(*duration/30, 5*time.Second))
	defer every.Stop()
	for i := 0; ; i++ {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		if i%2 == 0 {
			e.CutStreams()
			continue
		}
		if err := e.Down(); err != nil {
			found.addWrong("the engine's end: %v", err)
		}
		select { // its absence
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
		if err := e.Up(); err != nil {
			found.addWrong("the engine's start: %v", err)
			return
		}
	}
}

// results gathers what was seen.
type results struct {
	mu    sync.Mutex // guards the following
	out   io.Writer
	lags  []time.Duration
	sent  int
	wrong int
}

func (r *results) addLag(lag time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lags = append(r.lags, lag)
}

func (r *results) addWrong(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wrong++; r.wrong <= 50 { // of one cause there are many
		fmt.Fprintf(r.out, format+"\n", args...)
	}
}

func (r *results) asked() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent++
}

func (r *results) count() (operations, wrong int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lags), r.wrong
}

func (r *results) report(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.lags)
	n := len(r.lags)
	// Late ones are made up for, so that fewer means that answers did not come.
	if want := int(float64(*rate) * duration.Seconds() * 0.9); n < want {
		t.Fatalf("%d operations were done, want %d", n, want)
	}
	fmt.Fprintf(t.Output(), "%d operations; right after: median %v, 99 of 100 within %v, max %v. %d questions, %d answered wrongly\n",
		n, round(r.lags[n/2]), round(r.lags[n*99/100]), round(r.lags[n-1]), r.sent, r.wrong)
	if r.wrong > 0 {
		t.Errorf("%d wrong answers", r.wrong)
	}
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
