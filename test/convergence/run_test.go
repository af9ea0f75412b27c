package convergence

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// run is one seed.
type run struct {
	op         operator
	seed       uint64
	suffix     string // of all names and networks
	networks   []string
	mayFall    bool // the engine itself may be down for a while
	took       *times
	pause      time.Duration // bounds the time between two operations of a worker
	probeEvery time.Duration

	proxy  *proxy
	server *server
	truth  *truth
	driver *driver
	faults []string // what was done, for the report of a failure
}

func (r *run) test(t *testing.T, ops int) {
	dir, err := os.MkdirTemp("", "conv") // t.TempDir's paths may exceed a socket's 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	r.proxy, err = startProxy(filepath.Join(dir, "d.sock"), r.op.socket(), rand.New(rand.NewPCG(r.seed, 1)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.proxy.close()
	if r.server, err = startServer(r.proxy.socket); err != nil {
		t.Fatal(err)
	}
	defer r.server.stop(t)
	r.truth = newTruth(r.op.socket(), r.suffix)
	defer r.truth.client.CloseIdleConnections()
	r.driver = newDriver(r.op, r.seed, r.suffix, r.networks, r.pause)
	chance := rand.New(rand.NewPCG(r.seed, 2))
	for n := 0; n < ops; n += phaseOps {
		err := r.phase(t.Context(), chance, min(phaseOps, ops-n))
		if err == nil {
			continue
		}
		history := r.driver.log
		t.Fatalf("seed %d (replay with -convergence.seed %d), after %d operations: %v\nfaults: %s\noperations:\n%s\nlogged:\n%s",
			r.seed, r.seed, len(history), err, strings.Join(r.faults[max(0, len(r.faults)-30):], ", "),
			strings.Join(history[max(0, len(history)-30):], "\n"), strings.Join(logged.of(r.proxy.socket), "\n"))
	}
}

// phase does operations while faults come and go, undoes all faults, and waits until the
// zones are right.
func (r *run) phase(ctx context.Context, chance *rand.Rand, ops int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var probes sync.WaitGroup
	results := make([]answers, 2)
	for i := range results {
		rng := rand.New(rand.NewPCG(chance.Uint64(), 3))
		probes.Go(func() { results[i] = probe(ctx, r.server, r.driver.legal, rng, r.probeEvery) })
	}
	sabotage, end := context.WithCancel(ctx)
	var saboteur sync.WaitGroup
	var broken error
	saboteur.Go(func() { broken = r.sabotage(sabotage, chance) })
	err := r.driver.run(ops)
	end()
	saboteur.Wait()
	if err == nil {
		err = broken
	}
	var now []facts
	if err == nil {
		now, err = r.converge()
	}
	cancel()
	probes.Wait()
	if err != nil {
		return err
	}
	for _, got := range results {
		if wrong := r.driver.legal.wrong(got); len(wrong) > 0 {
			return fmt.Errorf("wrong answers:\n%s", strings.Join(wrong, "\n"))
		}
	}
	if err := r.stayed(results, now); err != nil {
		return err
	}
	r.driver.legal.restart(now)
	return nil
}

// stayed checks that the names that only one container may have were answered all the time
// with its addresses, if nobody touched it.
func (r *run) stayed(results []answers, now []facts) error {
	untouched := r.driver.untouched()
	for i := range now {
		f := &now[i]
		// Whether one without an address is known has not shown: no record is its. The event of its start may be lost.
		if !slices.Contains(untouched, f.id) || len(f.addrs("")) == 0 {
			continue
		}
		var v4 []string
		for _, ip := range f.addrs("") {
			if ip.Is4() {
				v4 = append(v4, ip.String())
			}
		}
		slices.Sort(v4)
		want := strings.Join(v4, " ")
		for _, name := range []string{f.name, f.id[:12]} {
			for _, got := range results {
				for content := range got[name+"."+zone+" A"] {
					if content != want {
						return fmt.Errorf("nothing was done to the container, but %s.%s A was answered with %q, want %q", name, zone, content, want)
					}
				}
			}
		}
	}
	return nil
}

// sabotage makes faults until the context's end, and then undoes them all.
func (r *run) sabotage(ctx context.Context, chance *rand.Rand) (err error) {
	set := func(f fault, on bool, whole bool) {
		var e error
		if f == outage && whole && r.mayFall { // the engine's own
			if on {
				e = r.op.down()
			} else {
				e = r.op.up()
			}
		} else {
			e = r.proxy.set(f, on)
		}
		if e != nil && err == nil {
			err = fmt.Errorf("%s: %w", f, e)
		}
	}
	for ctx.Err() == nil {
		begun := map[fault]bool{} // whether it is the engine's own
		for range 1 + chance.IntN(2) {
			f := faults[chance.IntN(len(faults))]
			if _, on := begun[f]; !on {
				begun[f] = chance.IntN(2) == 0
				r.faults = append(r.faults, time.Now().Format("05.000 ")+string(f))
				set(f, true, begun[f])
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(10+chance.IntN(190)) * time.Millisecond):
		}
		for f, whole := range begun {
			set(f, false, whole)
		}
		if chance.IntN(2) == 0 { // some time without faults
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(chance.IntN(80)) * time.Millisecond):
			}
		}
	}
	r.faults = append(r.faults, time.Now().Format("05.000 ")+"none")
	return err
}

// converge waits until the zones hold what the engine says, and returns that. They may hold it by chance
// while events are still late: these would be of a time that is over.
func (r *run) converge() ([]facts, error) {
	begin := time.Now()
	for pace := 5 * time.Millisecond; ; pace = min(pace*5/4, 50*time.Millisecond) {
		calm := r.proxy.calm()
		now, wrong := r.compare()
		if wrong == nil && !calm {
			wrong = errors.New("events are still late")
		}
		if wrong == nil {
			r.took.add(time.Since(begin))
			return now, nil
		}
		if time.Since(begin) > deadline {
			return nil, fmt.Errorf("not right %v after the last fault: %w", deadline, wrong)
		}
		time.Sleep(pace) // not a wait: looking costs the machine's time
	}
}

func (r *run) compare() ([]facts, error) {
	now, err := r.truth.running()
	if err != nil {
		return nil, err
	}
	want := expected(now)
	zones := []string{zone}
	for _, ip := range r.driver.legal.known() {
		if z := reverseZone(ip); !slices.Contains(zones, z) {
			zones = append(zones, z)
		}
	}
	got, err := r.server.transfer(zones...)
	if err != nil {
		return nil, err
	}
	ours := records{}
	for record := range got {
		if r.ours(record) {
			ours[record] = true
		}
	}
	return now, difference(ours, want)
}

// ours reports whether the record is of this seed's containers: the names of others, on the
// same engine, do not have its suffix.
func (r *run) ours(record string) bool {
	if strings.Contains(record, "-"+r.suffix+".") {
		return true
	}
	short, _, _ := strings.Cut(record, ".")
	return slices.Contains(r.driver.legal.ids(), short)
}
