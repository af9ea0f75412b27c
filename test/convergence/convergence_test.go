// Package convergence checks that the plugin never loses track of an engine. Containers
// change at random while the connection to the engine fails in every way. Whatever happened:
// at quiet points the zones soon are what the engine says, and in between nobody gets an
// address that is another's.
//
// A failure names its seed:
//
//	go test ./test/convergence -run Enginetest -convergence.seed 7
//
// With two engines these are two hosts of equal names, networks and addresses. There the host is asked for, and elsewhere;
// each host has its faults by itself, and sometimes one is away for long, or both.
//
// A seed settles what each worker does and which faults come, but not what meets what: a rare
// failure may take some replays.
package convergence

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clog "github.com/coredns/coredns/plugin/pkg/log"
)

var (
	oneSeed   = flag.Uint64("convergence.seed", 0, "replay this seed alone")
	firstSeed = flag.Uint64("convergence.first", 1, "the first seed")
	seeds     = flag.Int("convergence.seeds", 25, "seeds on enginetest")
	twoSeeds  = flag.Int("convergence.two.seeds", 10, "seeds on two enginetest engines")
	realSeeds = flag.Int("convergence.real.seeds", 1, "seeds on the real engine")
	second    = flag.String("convergence.second", "", "a second real engine, as unix:///run/other.sock; its containers must not be on this machine's bridges")
	ops       = flag.Int("convergence.ops", 0, "operations a seed; 0: 60 on enginetest, 25 on the real engine")
	parallel  = flag.Int("convergence.parallel", 10, "seeds on enginetest at a time")
)

const (
	phaseOps = 15               // operations between two quiet points
	deadline = 10 * time.Second // for being right after a fault
)

func TestMain(m *testing.M) {
	flag.Parse()
	log.SetOutput(&logged)
	clog.D.Set() // each failure to reach an engine, not the first alone
	os.Exit(m.Run())
}

// logged is what the plugins of all seeds have logged of their engines lately.
var logged logTail

type logTail struct {
	mu    sync.Mutex // guards lines
	lines []string
}

// Write implements io.Writer. Lines of single containers, such as each lost claim, are dropped.
func (l *logTail) Write(line []byte) (int, error) {
	if text := string(line); strings.Contains(text, "unix://") {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines[max(0, len(l.lines)-1000):], time.Now().Format("05.000 ")+strings.TrimSpace(text))
	}
	return len(line), nil
}

// of returns the last lines that name the socket.
func (l *logTail) of(socket string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := slices.DeleteFunc(slices.Clone(l.lines), func(line string) bool { return !strings.Contains(line, socket) })
	return lines[max(0, len(lines)-10):]
}

// times gathers how long it took to be right.
type times struct {
	mu    sync.Mutex // guards the following
	all   []time.Duration
	delay time.Duration
}

// watchDelay measures until the test's end how long the machine lets us wait for our turn:
// the times are no better than that.
func (ts *times) watchDelay(ctx context.Context) {
	const every = 10 * time.Millisecond
	for last := time.Now(); ctx.Err() == nil; {
		time.Sleep(every)
		now := time.Now()
		ts.mu.Lock()
		ts.delay = max(ts.delay, now.Sub(last)-every)
		ts.mu.Unlock()
		last = now
	}
}

func (ts *times) add(d time.Duration) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.all = append(ts.all, d)
}

func (ts *times) report(t *testing.T) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if n := len(ts.all); n > 0 {
		slices.Sort(ts.all)
		ms := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
		t.Logf("%d quiet points; time to be right again: median %v, 99 of 100 within %v, max %v; the machine had us wait %v at most",
			n, ms(ts.all[n/2]), ms(ts.all[n*99/100]), ms(ts.all[n-1]), ms(ts.delay))
	}
}

// sequence is the seeds to run.
func sequence(n int) (all []uint64) {
	if *oneSeed != 0 {
		return []uint64{*oneSeed}
	}
	for i := range n {
		all = append(all, *firstSeed+uint64(i))
	}
	return all
}

func orElse(n, other int) int {
	if n != 0 {
		return n
	}
	return other
}

func TestEnginetest(t *testing.T) {
	t.Parallel()
	onEnginetest(t, sequence(*seeds), 1)
}

// TestTwoEngines has two hosts with equal names, networks and addresses, between which containers move. No real engine's test runs
// beside it: its bridges on this machine could have the gateways of the second host's networks, which would then count as here.
func TestTwoEngines(t *testing.T) {
	onEnginetest(t, sequence(*twoSeeds), 2)
}

// onEnginetest tests the seeds with so many engines each.
func onEnginetest(t *testing.T, all []uint64, engines int) {
	var took times
	go took.watchDelay(t.Context())
	var wg sync.WaitGroup
	busy := make(chan struct{}, *parallel)
	for _, seed := range all {
		busy <- struct{}{}
		wg.Go(func() {
			defer func() { <-busy }()
			t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
				r := &run{
					seed: seed, suffix: "x", networks: []string{"front-x", "back_end-x", "six-x"}, mayFall: true, took: &took,
					pause: 15 * time.Millisecond, probeEvery: 2 * time.Millisecond,
				}
				for i := range engines {
					on := &host{}
					if engines > 1 {
						on = severalHosts(seed)[i]
						r.hold = time.Duration(seed%2) * 200 * time.Millisecond
					}
					r.places = append(r.places, place{newFake(t, seed+uint64(i), i == 0, r.networks), on})
				}
				r.test(t, orElse(*ops, 60))
			})
		})
	}
	wg.Wait()
	took.report(t)
}

// severalHosts are hosts with a name and addresses each, of which one has IPv4 alone. The names are the run's: the plugin's
// metrics tell hosts apart by them.
func severalHosts(run any) []*host {
	return []*host{
		{label: fmt.Sprint("one-", run), addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
		{label: fmt.Sprint("two-", run), addrs: []netip.Addr{netip.MustParseAddr("192.0.2.2")}},
	}
}
