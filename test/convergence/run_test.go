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
	places     []place // whose first one is the host that asks
	seed       uint64
	suffix     string // of all names and networks
	networks   []string
	mayFall    bool          // an engine itself may be down for a while
	hold       time.Duration // while there is one, no container waits to be started: that would prolong it
	took       *times
	pause      time.Duration // bounds the time between two operations of a worker
	probeEvery time.Duration

	sites  []*site
	server *server
	driver *driver
	mu     sync.Mutex // guards faults
	faults []string   // what was done, for the report of a failure
}

// site is a place with the way to its engine.
type site struct {
	place
	proxy *proxy
	truth *truth
	last  []facts // at the last quiet point at which the plugin could ask the engine
}

func (r *run) test(t *testing.T, ops int) {
	dir, err := os.MkdirTemp("", "conv") // t.TempDir's paths may exceed a socket's 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for i, p := range r.places {
		s := &site{place: p, truth: newTruth(p.on, p.op.socket(), r.suffix)}
		defer s.truth.client.CloseIdleConnections()
		s.proxy, err = startProxy(filepath.Join(dir, fmt.Sprint(i, ".sock")), p.op.socket(), rand.New(rand.NewPCG(r.seed, uint64(1+1000*i))))
		if err != nil {
			t.Fatal(err)
		}
		defer s.proxy.close()
		r.sites = append(r.sites, s)
	}
	if r.server, err = startServer(r.sites, r.hold); err != nil {
		t.Fatal(err)
	}
	defer r.server.stop(t)
	r.driver = newDriver(r.places, r.seed, r.suffix, r.networks, r.pause, r.hold == 0)
	chance := rand.New(rand.NewPCG(r.seed, 2))
	for n := 0; n < ops; n += phaseOps {
		err := r.phase(t.Context(), chance, min(phaseOps, ops-n))
		if err == nil && len(r.sites) > 1 && chance.IntN(2) == 0 {
			err = r.absence(t.Context(), chance)
		}
		if err == nil {
			continue
		}
		history := r.driver.log
		var lines []string
		for _, s := range r.sites {
			lines = append(lines, logged.of(s.proxy.socket)...)
		}
		t.Fatalf("seed %d (replay with -convergence.seed %d), after %d operations: %v\nfaults: %s\noperations:\n%s\nlogged:\n%s",
			r.seed, r.seed, len(history), err, strings.Join(r.faults[max(0, len(r.faults)-30):], ", "),
			strings.Join(history[max(0, len(history)-30):], "\n"), strings.Join(lines, "\n"))
	}
}

// phase does operations while faults come and go at each host by itself, undoes all faults, and waits until the
// zones are right.
func (r *run) phase(ctx context.Context, chance *rand.Rand, ops int) error {
	return r.stage(ctx, chance, ops, nil, func() error { return nil }, func(ctx context.Context) error {
		var all sync.WaitGroup
		errs := make([]error, len(r.sites))
		chances := []*rand.Rand{chance} // one for each, drawn before the first is used
		for range r.sites[1:] {
			chances = append(chances, rand.New(rand.NewPCG(r.seed, chance.Uint64())))
		}
		for i, s := range r.sites {
			all.Go(func() { errs[i] = r.sabotage(ctx, s, chances[i]) })
		}
		all.Wait()
		return errors.Join(errs...)
	})
}

// absence takes the way to some of the engines away, while containers change on all hosts, and gives it back. In between
// the zones have to be right about the others, and as they were about these.
func (r *run) absence(ctx context.Context, chance *rand.Rand) error {
	const ops = 8
	some := 1 + chance.IntN(1<<len(r.sites)-1)
	var gone []*site
	for i, s := range r.sites {
		if some&(1<<i) != 0 {
			gone = append(gone, s)
		}
	}
	for _, away := range []bool{true, false} {
		back := gone
		if away {
			back = nil
		}
		err := r.stage(ctx, chance, ops, back, func() error {
			for _, s := range gone {
				s.on.away = away
				r.note("%s away: %t", s.on.label, away)
				if err := s.proxy.set(outage, away); err != nil {
					return err
				}
			}
			return nil
		}, func(context.Context) error { return nil })
		if err != nil {
			return err
		}
	}
	return nil
}

// stage calls first, does operations while disturb does its work, and waits until the zones are right. Of the hosts that are back, what the
// plugin knows at the beginning is of another time.
func (r *run) stage(ctx context.Context, chance *rand.Rand, ops int, back []*site, first func() error, disturb func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var probes sync.WaitGroup
	results := make([]answers, 2)
	for i := range results {
		rng := rand.New(rand.NewPCG(chance.Uint64(), 3))
		probes.Go(func() { results[i] = probe(ctx, r.server, r.driver.legal, rng, r.probeEvery) })
	}
	disturbing, end := context.WithCancel(ctx)
	var disturber sync.WaitGroup
	var broken error
	err := first()
	disturber.Go(func() { broken = disturb(disturbing) })
	if err == nil {
		err = r.driver.run(ops)
	}
	end()
	disturber.Wait()
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
	if err := r.stayed(results, now, back); err != nil {
		return err
	}
	r.driver.legal.restart(now)
	for _, s := range r.sites {
		if !s.on.away {
			continue
		}
		unknown, err := s.truth.running() // what the plugin will see when it can
		if err != nil {
			return err
		}
		for i := range unknown {
			r.driver.legal.add(&unknown[i])
		}
	}
	return nil
}

// stayed checks that the names that only one container may have were answered all the time
// with its addresses, if nobody touched it.
func (r *run) stayed(results []answers, now []facts, back []*site) error {
	untouched := r.driver.untouched()
	for i := range now {
		f := &now[i]
		// Whether one without an address is known has not shown: no record is its. The event of its start may be lost.
		if !slices.Contains(untouched, f.id) || len(f.addrs("")) == 0 || slices.ContainsFunc(back, func(s *site) bool { return s.on == f.on }) {
			continue
		}
		for _, v := range r.driver.legal.views {
			var v4 []string
			for _, ip := range v.reached(claimed{by: f}) {
				if ip.Is4() {
					v4 = append(v4, ip.String())
				}
			}
			slices.Sort(v4)
			want := strings.Join(v4, " ")
			for _, name := range v.alone(f) {
				for _, got := range results {
					for content := range got[v.who+name+"."+zone+" A"] {
						if content != want {
							return fmt.Errorf("nothing was done to the container, but %s%s.%s A was answered with %q, want %q", v.who, name, zone, content, want)
						}
					}
				}
			}
		}
	}
	return nil
}

// alone returns the names that, for who asks, only the container can have.
func (v view) alone(f *facts) []string {
	names := []string{f.id[:12]}
	if f.on == v.own {
		names = append(names, f.name)
	}
	if f.on.label != "" {
		names = append(names, f.name+"."+f.on.label)
	}
	return names
}

// note keeps what was done for the report of a failure.
func (r *run) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// sabotage makes faults at a host until the context's end, and then undoes them all.
func (r *run) sabotage(ctx context.Context, s *site, chance *rand.Rand) (err error) {
	set := func(f fault, on bool, whole bool) {
		var e error
		if f == outage && whole && r.mayFall { // the engine's own
			if on {
				e = s.op.down()
			} else {
				e = s.op.up()
			}
		} else {
			e = s.proxy.set(f, on)
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
				r.note("%s %s", s.on.label, f)
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
	r.note("%s none", s.on.label)
	return err
}

// converge waits until the zones hold what the engines say, and returns that. They may hold it by chance
// while events are still late: these would be of a time that is over.
func (r *run) converge() ([]facts, error) {
	begin := time.Now()
	for pace := 5 * time.Millisecond; ; pace = min(pace*5/4, 50*time.Millisecond) {
		calm := !slices.ContainsFunc(r.sites, func(s *site) bool { return !s.proxy.calm() })
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

// compare compares the zones with what the engines say: as they are transferred, and as the views are answered.
func (r *run) compare() ([]facts, error) {
	var now []facts
	for _, s := range r.sites {
		if !s.on.away {
			running, err := s.truth.running()
			if err != nil {
				return nil, err
			}
			s.last = running
		}
		now = append(now, s.last...)
	}
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
	if err := difference(ours, view{own: r.places[0].on, published: len(r.sites) > 1}.expected(now)); err != nil || len(r.sites) == 1 {
		return now, err
	}
	names, addrs := r.driver.legal.everything()
	for _, v := range r.driver.legal.views {
		want, names := v.expected(now), slices.Clone(names)
		for _, p := range r.places {
			if p.on == v.own { // which of its addresses answers is told by no engine
				continue
			}
			names = append(names, p.on.label)
			for _, ip := range p.on.addrs {
				want.add(p.on.label+"."+zone, addressType(ip), v.data(ip, p.on))
			}
		}
		got, err := r.server.ask(v, names, addrs)
		if err != nil {
			return nil, err
		}
		if err := difference(got, want); err != nil {
			return nil, fmt.Errorf("%s%w", v.who, err)
		}
	}
	return now, nil
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
