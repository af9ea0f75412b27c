package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/ready"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

// site is the plugin in this process, with an engine in another.
type site struct {
	containers int
	fake       *fakeEngine // whose containers change
	others     []*fakeEngine
	handler    plugin.Handler
	server     *inprocess.Server
	extra      int // containers that were made later
	renamed    int // the first ones, which have another name now
}

// hostsSite is CoreDNS's hosts plugin with as many names as so many containers have.
func hostsSite(dir string, containers int) (*site, error) {
	var b []byte
	for i := range containers {
		b = fmt.Appendf(b, "10.%d.%d.%d %s.docker h%06d.docker a%06d.docker a%06d.%s.docker s%d.p%06d.docker %012x.docker\n",
			i/62500, i/250%250, i%250+2, containerName(i), i, i, i, networkName(i), i%10, i/10, i)
	}
	file := filepath.Join(dir, fmt.Sprint("hosts", containers))
	if err := os.WriteFile(file, b, 0o644); err != nil {
		return nil, err
	}
	h, server, err := inProcess(fmt.Sprintf("hosts %s docker.\n", file))
	return &site{containers: containers, handler: h, server: server}, err
}

// newSite makes an engine with containers. The plugin does not run yet.
func newSite(dir string, containers int) (*site, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	fake, err := startFake(dir, -1)
	if err != nil {
		return nil, err
	}
	s := &site{containers: containers, fake: fake}
	return s, fake.call("Populate", containers, nil)
}

// start returns once the plugin knows all names.
func (s *site) start(resync time.Duration) error {
	return s.serve(fmt.Sprintf("\tdocker docker. {\n\t\tendpoint %s\n\t\tresync %s\n\t}\n", s.fake.host, resync))
}

func (s *site) serve(lines string) (err error) {
	if s.handler, s.server, err = inProcess(lines); err != nil {
		return err
	}
	return until(10*time.Minute, time.Millisecond, "the plugin is not ready", s.handler.(ready.Readiness).Ready)
}

func (s *site) stop() {
	if s.server != nil {
		s.server.Stop()
	}
	if s.fake != nil {
		s.fake.stop()
	}
}

// until waits until the condition holds, which it looks at from time to time.
func until(limit, pause time.Duration, complaint string, holds func() bool) error {
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(pause) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s after %v", complaint, limit)
		}
	}
	return nil
}

// keeper keeps what is written to it. It asks from the host.
type keeper struct {
	test.ResponseWriter
	m *dns.Msg
}

func (k *keeper) WriteMsg(m *dns.Msg) error {
	k.m = m
	return nil
}

func (s *site) ask(q question) (*dns.Msg, error) {
	k := keeper{ResponseWriter: test.ResponseWriter{RemoteIP: "127.0.0.1"}}
	if rcode, err := s.handler.ServeDNS(context.Background(), &k, new(dns.Msg).SetQuestion(q.name, q.qtype)); err != nil || k.m == nil {
		return nil, fmt.Errorf("asked for %s: %s, %v", q.name, dns.RcodeToString[rcode], err)
	}
	return k.m, nil
}

// answers waits until the name has an address, or until it has none.
func (s *site) answers(q question, has bool) error {
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		m, err := s.ask(q)
		if err != nil {
			return err
		}
		if len(m.Answer) > 0 == has {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: still %s with %d records after %v", q.name, dns.RcodeToString[m.Rcode], len(m.Answer), patience)
		}
	}
}

func (s *site) serial() (uint32, error) {
	m, err := s.ask(question{"docker.", dns.TypeSOA})
	if err != nil {
		return 0, err
	}
	if len(m.Answer) != 1 {
		return 0, fmt.Errorf("no SOA: %s", m)
	}
	return m.Answer[0].(*dns.SOA).Serial, nil
}

// calls are those to the engines since they were last asked for, and their number.
func (s *site) calls() (calls map[string]int, all int, err error) {
	calls = map[string]int{}
	for _, f := range append(s.others, s.fake) {
		var some map[string]int
		if err := f.call("Calls", Nothing{}, &some); err != nil {
			return nil, 0, err
		}
		for kind, n := range some {
			calls[kind] += n
			all += n
		}
	}
	return calls, all, nil
}

// lookups asks for names of the site's containers at random, so many in a row, and hands over how long
// each took, or all of them if each is false. The names are made just before, as a server's are: they are
// in the processor's cache, whatever else is not.
func (s *site) lookups(number int, each bool, took []time.Duration) ([]time.Duration, error) {
	known := inquiry{from: "127.0.0.1", rcode: dns.RcodeSuccess, question: func() question {
		return existing(s.renamed + rand.IntN(s.containers-s.renamed))
	}}
	return s.inquire(known, number, each, took)
}

// inquiry is what somebody asks again and again.
type inquiry struct {
	from     string // the asker's address
	question func() question
	rcode    int // which all answers must have; with success they have a record
}

// inquire is lookups for an inquiry.
func (s *site) inquire(what inquiry, number int, each bool, took []time.Duration) ([]time.Duration, error) {
	requests := make([]*dns.Msg, number)
	for i := range requests {
		q := what.question()
		requests[i] = new(dns.Msg).SetQuestion(q.name, q.qtype)
	}
	w := &keeper{ResponseWriter: test.ResponseWriter{RemoteIP: what.from}}
	ctx := context.Background()
	begin := time.Now()
	for _, r := range requests {
		if rcode, err := s.handler.ServeDNS(ctx, w, r); err != nil || rcode != dns.RcodeSuccess || w.m.Rcode != what.rcode {
			return nil, fmt.Errorf("%s: %s, %v: %s", r.Question[0].Name, dns.RcodeToString[rcode], err, w.m)
		}
		if len(w.m.Answer) == 0 && what.rcode == dns.RcodeSuccess {
			return nil, fmt.Errorf("%s asked for %s, which has no record", what.from, r.Question[0].Name)
		}
		if each {
			end := time.Now()
			took = append(took, end.Sub(begin))
			begin = end
		}
	}
	if !each {
		took = append(took, time.Since(begin))
	}
	return took, nil
}

// lookupSlice is the time of one lookup, in ns.
func (s *site) lookupSlice() (float64, error) { return rowTime(200, s.lookups) }

// rowTime is the time of one of many lookups, in ns.
func rowTime(rows int, lookups func(number int, each bool, took []time.Duration) ([]time.Duration, error)) (float64, error) {
	const row = 100
	var took []time.Duration
	for range rows {
		var err error
		if took, err = lookups(row, false, took); err != nil {
			return 0, err
		}
	}
	// The median row: one in which the machine did something else does not count.
	slices.Sort(took)
	return float64(took[len(took)/2]) / row, nil
}

// parallelSlice has lookups on all CPUs for a while and returns the 99.9th percentile of their times, in
// µs. The askers pause, so that the CPUs are not busy with them alone.
func (s *site) parallelSlice(lasts time.Duration) (p999 float64, err error) {
	const row, pause = 64, time.Millisecond
	var mu sync.Mutex // guards all and err
	var all []time.Duration
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			var took []time.Duration
			var failed error
			for begin := time.Now(); failed == nil && time.Since(begin) < lasts; time.Sleep(pause) {
				took, failed = s.lookups(row, true, took)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if failed != nil {
				err = failed
			}
		})
	}
	wg.Wait()
	if err != nil {
		return 0, err
	}
	slices.Sort(all)
	return float64(all[len(all)*999/1000]) / 1e3, nil
}

// life has a container start, stop and be removed, and returns how soon the first two show in answers, in ms.
func (s *site) life(i int) (start, stop float64, err error) {
	var id string
	begin := time.Now()
	if err := s.fake.call("Run", i, &id); err != nil {
		return 0, 0, err
	}
	if err := s.answers(existing(i), true); err != nil {
		return 0, 0, err
	}
	start = float64(time.Since(begin)) / 1e6
	begin = time.Now()
	if err := s.fake.call("Stop", id, nil); err != nil {
		return 0, 0, err
	}
	if err := s.answers(existing(i), false); err != nil {
		return 0, 0, err
	}
	stop = float64(time.Since(begin)) / 1e6
	return start, stop, s.fake.call("Remove", id, nil)
}

// changeSlice has containers start, stop and be removed and returns what each of these changes cost this
// process, in µs of CPU time, and the engine, in calls.
func (s *site) changeSlice() (cpu, calls float64, err error) {
	const number, lasts = 100, 5 * time.Millisecond
	if _, _, err := s.calls(); err != nil {
		return 0, 0, err
	}
	before := ownCPU()
	from := s.containers + s.extra
	s.extra += number
	if err := s.fake.call("Live", Lives{from, number, lasts}, nil); err != nil {
		return 0, 0, err
	}
	if err := s.answers(existing(from+number-1), false); err != nil {
		return 0, 0, err
	}
	spent := ownCPU() - before
	_, n, err := s.calls()
	return float64(spent) / 1e3 / (2 * number), float64(n) / (2 * number), err
}

// ownCPU is the CPU time of this process.
func ownCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(err) // every Linux has it
	}
	return time.Duration(t.Nano())
}

// liveHeap is what is in use after garbage collection.
func liveHeap() float64 {
	var m runtime.MemStats
	for range 2 { // the second sees what finalizers have let go
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// reconciled is how many reconciliations there were in this process, and how long they took together.
func reconciled() (rounds uint64, took time.Duration, err error) {
	const name = "coredns_docker_reconcile_duration_seconds"
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		return 0, 0, err
	}
	for _, f := range families {
		if f.GetName() == name {
			h := f.GetMetric()[0].GetHistogram()
			return h.GetSampleCount(), time.Duration(h.GetSampleSum() * 1e9), nil
		}
	}
	return 0, 0, fmt.Errorf("no metric %s", name)
}
