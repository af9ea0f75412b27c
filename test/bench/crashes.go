package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// crashes measures what containers that crash again and again cost those who ask for other names.
func crashes(ctx context.Context, dir string, args []string) (err error) {
	set, out := newFlags("crashes")
	c := crashing{dir: dir}
	set.IntVar(&c.containers, "containers", 6, "containers that crash")
	set.IntVar(&c.rounds, "rounds", 10, "rounds: in each, there is one slice of time of each kind")
	set.IntVar(&c.seconds, "seconds", 4, "length of a slice")
	set.IntVar(&c.rate, "rate", 1000, "queries a second")
	set.IntVar(&c.flood, "flood", 20000, "queries a second of a flood")
	if err := set.Parse(args); err != nil {
		return err
	}
	if c.engine, err = openEngine(ctx, c.dir); err != nil {
		return fmt.Errorf("a Docker Engine is needed: %w", err)
	}
	defer func() { err = errors.Join(err, c.engine.remove()) }()
	defer c.stop()
	if err := c.start(); err != nil {
		return err
	}
	for round := range c.rounds {
		fmt.Fprintln(os.Stderr, "round", round+1)
		if err := c.round(ctx); err != nil {
			return err
		}
	}
	return c.report(args).publish(*out)
}

// crashing is one run of bench crashes.
type crashing struct {
	containers, rounds, seconds, rate, flood int

	dir           string
	engine        *realEngine
	docker, hosts *rig.Server
	load          load
	from          [2]int // dnsperf's ports

	quiet, crashed [2]crashSample // of docker, and of hosts
	floods         [2]crashSample // of docker: quiet, and while containers crash
}

// crashSample has a value for each slice.
type crashSample struct {
	median, p99 []float64 // µs
	waits       []float64 // of a thousand queries
	starts      []float64 // of containers that crash, a second
	memory      []float64 // of the server at most, MiB
	grown       []float64 // by how much that is more than before
	goroutines  []float64 // at most
}

// start starts the servers. Hosts has one name; of the others it says SERVFAIL.
func (c *crashing) start() (err error) {
	bins, err := build(c.dir)
	if err != nil {
		return err
	}
	for i := range c.from {
		if c.from[i], err = rig.FreePort("127.0.0.1"); err != nil {
			return err
		}
	}
	c.load.data, c.load.seconds, c.load.latencies, c.load.cpu = filepath.Join(c.dir, "questions"), c.seconds, true, -1
	qs := make([]question, 100_000)
	for i := range qs {
		qs[i] = address("random-" + rig.Suffix())
	}
	hosts := filepath.Join(c.dir, "hosts")
	if err := errors.Join(writeQuestions(c.load.data, qs), os.WriteFile(hosts, []byte("127.0.0.1 bench.docker\n"), 0o644)); err != nil {
		return err
	}
	body := fmt.Sprintf("docker docker. {\nendpoint %s\n}", c.engine.DaemonHost())
	if c.docker, err = rig.Serve(rig.Config{Binary: bins.product, Dir: c.dir, Body: body}); err != nil {
		return err
	}
	if c.hosts, err = rig.Serve(rig.Config{Binary: bins.stock, Dir: c.dir, Body: "hosts " + hosts + " docker."}); err != nil {
		return err
	}
	return errors.Join(await(c.docker, qs[0], dns.RcodeNameError), await(c.hosts, qs[0], dns.RcodeServerFailure))
}

func (c *crashing) stop() {
	for _, s := range []*rig.Server{c.docker, c.hosts} {
		if s != nil {
			s.Stop(patience)
		}
	}
}

// round has each slice once. Docker has restart policies wait twice as long after each crash: so each slice has new containers.
func (c *crashing) round(ctx context.Context) error {
	if err := c.both(&c.quiet); err != nil {
		return err
	}
	if err := c.measure(c.docker, c.flood, c.from[0], &c.floods[0]); err != nil {
		return err
	}
	starts, err := c.crash(ctx, func() error { return c.both(&c.crashed) })
	if err != nil {
		return err
	}
	for at := range c.crashed {
		c.quiet[at].starts, c.crashed[at].starts = append(c.quiet[at].starts, 0), append(c.crashed[at].starts, starts)
	}
	starts, err = c.crash(ctx, func() error { return c.measure(c.docker, c.flood, c.from[0], &c.floods[1]) })
	c.floods[0].starts, c.floods[1].starts = append(c.floods[0].starts, 0), append(c.floods[1].starts, starts)
	return err
}

// both asks both servers at the same time: what the machine does besides meets both.
func (c *crashing) both(samples *[2]crashSample) error {
	var errs [2]error
	var asking sync.WaitGroup
	for at, s := range []*rig.Server{c.docker, c.hosts} {
		asking.Go(func() { errs[at] = c.measure(s, c.rate, c.from[at], &samples[at]) })
	}
	asking.Wait()
	return errors.Join(errs[:]...)
}

// crash measures while the containers crash, and returns how many of them start in a second.
func (c *crashing) crash(ctx context.Context, measure func() error) (starts float64, err error) {
	var ids []string
	defer func() {
		for _, id := range ids {
			err = errors.Join(err, c.engine.drop(id))
		}
	}()
	for range c.containers {
		config := &container.Config{Image: c.engine.image, Labels: c.engine.labels, Cmd: []string{"crash"}}
		host := &container.HostConfig{RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyAlways}}
		r, err := c.engine.ContainerCreate(ctx, config, host, nil, nil, c.engine.name())
		if err != nil {
			return 0, err
		}
		ids = append(ids, r.ID)
	}
	if err := inParallel(len(ids), func(i int) error { return c.engine.start(ctx, ids[i]) }); err != nil {
		return 0, err
	}
	for deadline := time.Now().Add(patience); ; {
		n, least, err := c.restarts(ctx, ids)
		if err != nil {
			return 0, err
		}
		if least > 0 { // from now on they have run before
			began := time.Now()
			if err := measure(); err != nil {
				return 0, err
			}
			after, _, err := c.restarts(ctx, ids)
			return float64(after-n) / time.Since(began).Seconds(), err
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("the containers have not crashed within %v", patience)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// restarts returns how often the containers have been restarted, and how often that is least.
func (c *crashing) restarts(ctx context.Context, ids []string) (all, least int, err error) {
	for i, id := range ids {
		r, err := c.engine.ContainerInspect(ctx, id)
		if err != nil {
			return 0, 0, err
		}
		all += r.RestartCount
		if i == 0 || r.RestartCount < least {
			least = r.RestartCount
		}
	}
	return all, least, nil
}

// measure asks the server for random names.
func (c *crashing) measure(s *rig.Server, rate, from int, sample *crashSample) error {
	before, err := resident(s.Process)
	if err != nil {
		return err
	}
	waits, err := c.waits(s)
	if err != nil {
		return err
	}
	var watching sync.WaitGroup
	var most, goroutines float64
	var watchErr error
	done := make(chan struct{})
	watching.Go(func() {
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			bytes, err := resident(s.Process)
			n, metricErr := s.Metric("go_goroutines")
			if watchErr = errors.Join(err, metricErr); watchErr != nil {
				return
			}
			most, goroutines = max(most, bytes), max(goroutines, n)
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	l := c.load
	l.rate, l.from = rate, from
	answers, err := dnsperf(s.Addr, l)
	close(done)
	watching.Wait()
	after, waitsErr := c.waits(s)
	if err := errors.Join(err, watchErr, waitsErr); err != nil {
		return err
	}
	sample.median, sample.p99 = append(sample.median, answers.percentile(0.5)), append(sample.p99, answers.percentile(0.99))
	sample.waits = append(sample.waits, 1000*(after-waits)/float64(answers.completed))
	sample.memory, sample.grown = append(sample.memory, most/(1<<20)), append(sample.grown, (most-before)/(1<<20))
	sample.goroutines = append(sample.goroutines, goroutines)
	return nil
}

// waits returns how many queries have waited for a start, none for a server that does not wait.
func (c *crashing) waits(s *rig.Server) (float64, error) {
	if s != c.docker {
		return 0, nil
	}
	return s.Metric("coredns_docker_arrival_waits_total")
}

func (c *crashing) report(args []string) *report {
	r := newReport("crashes", "What crashing containers cost those who ask for other names", args)
	r.note("%d containers with --restart always, each of which fails after a second. Random names, of which both servers are asked at the same time, %d rounds of slices of %d s, medians with their 95 %% intervals; ratios are taken in each round.",
		c.containers, c.rounds, c.seconds)
	latency := table{Title: fmt.Sprintf("%d queries a second", c.rate), Columns: []column{
		{Title: "median, µs"}, {Title: "p99, µs"}, {Title: "median × quiet", Digits: 2, Plot: true, Line: 1.5}, {Title: "p99 × hosts", Digits: 2, Plot: true, Line: 1.5},
		{Title: "starts/s", Digits: 1}, {Title: "waits of 1,000", Digits: 2},
	}}
	for at, name := range []string{"docker", "hosts"} {
		for i, s := range []*crashSample{&c.quiet[at], &c.crashed[at]} {
			against := [2]*crashSample{&c.quiet[1], &c.crashed[1]}[i]
			latency.add(name+[2]string{"", ", containers crash"}[i], estimateOf(s.median), estimateOf(s.p99), estimateOf(ratios(s.median, c.quiet[at].median)),
				estimateOf(ratios(s.p99, against.p99)), estimateOf(s.starts), estimateOf(s.waits))
		}
	}
	flood := table{Title: fmt.Sprintf("docker, %d queries a second", c.flood), Columns: []column{
		{Title: "median, µs"}, {Title: "p99, µs"}, {Title: "memory, MiB", Digits: 1}, {Title: "more than before, MiB", Digits: 1, Plot: true, Line: 20},
		{Title: "goroutines"}, {Title: "starts/s", Digits: 1}, {Title: "waits of 1,000", Digits: 2},
	}}
	for i, s := range c.floods {
		flood.add([2]string{"quiet", "containers crash"}[i], estimateOf(s.median), estimateOf(s.p99), estimateOf(s.memory),
			estimateOf(s.grown), estimateOf(s.goroutines), estimateOf(s.starts), estimateOf(s.waits))
	}
	r.Tables = []table{latency, flood}
	return r
}
