// Package convergence checks that the plugin never loses track of an engine. Containers
// change at random while the connection to the engine fails in every way. Whatever happened:
// at quiet points the zones soon are what the engine says, and in between nobody gets an
// address that is another's.
//
// A failure names its seed:
//
//	go test ./test/convergence -run Enginetest -convergence.seed 7
//
// A seed settles what each worker does and which faults come, but not what meets what: a rare
// failure may take some replays.
package convergence

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clog "github.com/coredns/coredns/plugin/pkg/log"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

var (
	oneSeed   = flag.Uint64("convergence.seed", 0, "replay this seed alone")
	firstSeed = flag.Uint64("convergence.first", 1, "the first seed")
	seeds     = flag.Int("convergence.seeds", 25, "seeds on enginetest")
	realSeeds = flag.Int("convergence.real.seeds", 1, "seeds on the real engine")
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
	var took times
	go took.watchDelay(t.Context())
	var wg sync.WaitGroup
	places := make(chan struct{}, *parallel)
	for _, seed := range sequence(*seeds) {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
				options := []enginetest.Option{enginetest.WithFlavour(enginetest.Flavour(seed % 3))}
				if seed%2 == 0 {
					options = append(options, enginetest.WithStartDelay(20*time.Millisecond))
				}
				e := enginetest.New(t, options...)
				networks := []string{"front-x", "back_end-x", "six-x"}
				e.AddNetwork(networks[0])
				e.AddNetwork(networks[1], "10.77.0.0/24")
				e.AddNetwork(networks[2], "192.168.77.0/24", "fd00:77::/64")
				if err := e.RunHere(); err != nil {
					t.Fatal(err)
				}
				r := &run{
					op: &fake{e, networks}, seed: seed, suffix: "x", networks: networks, mayFall: true, took: &took,
					pause: 15 * time.Millisecond, probeEvery: 2 * time.Millisecond,
				}
				r.test(t, orElse(*ops, 60))
			})
		})
	}
	wg.Wait()
	took.report(t)
}
