package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/miekg/dns"
)

// wire measures the CPU time of a query, as bench wire does.
func (c *comparison) wire(ctx context.Context) error {
	w, err := openWire(wireFlags{names: c.names, minRounds: c.rounds, maxRounds: c.rounds, seconds: 1, pin: c.pin}, c.dir)
	if err != nil {
		return err
	}
	defer w.stop()
	hits, misses, err := w.questions()
	if err != nil {
		return err
	}
	for _, x := range c.candidates {
		t, err := w.serve(x.name, x.binary, w.docker(x.property), existing(0), dns.RcodeSuccess)
		if err != nil {
			return err
		}
		if x.page != "" {
			page, err := openPage(ctx, x.page)
			if err != nil {
				return err
			}
			defer page.Close()
		}
		hits.targets = append(hits.targets, trialTarget{target: t, rcode: "NOERROR"})
		misses.targets = append(misses.targets, trialTarget{target: t, rcode: "NXDOMAIN"})
	}
	trials := []*trial{hits, misses}
	if _, err := w.measure(ctx, trials); err != nil {
		return err
	}
	for _, t := range trials {
		cpu, instructions := c.figure("server CPU, µs/query", 2), c.figure("instructions/query", 0)
		for i := range t.targets {
			cpu.values[i], instructions.values[i] = t.targets[i].cpu, t.targets[i].instructions
		}
		figures := []*figure{cpu, instructions}
		if w.counter == "" {
			figures = figures[:1]
		}
		c.tabulate(t.title, figures...)
	}
	memory := c.figure("resident memory after the load, MiB", 1)
	for i, t := range w.targets {
		bytes, err := resident(t.server.Process)
		if err != nil {
			return err
		}
		memory.add(i, bytes/(1<<20))
	}
	c.tabulate(fmt.Sprintf("memory under load, %d containers", c.names), memory)
	return nil
}

// scale measures servers that start anew for each turn, against an engine with many containers and one without.
func (c *comparison) scale(ctx context.Context) error {
	asker, serving := -1, -1
	if c.pin {
		asker, serving = cpus()
	}
	many, err := c.fake("many", asker, c.containers)
	if err != nil {
		return err
	}
	defer many.stop()
	none, err := c.fake("none", asker, 0)
	if err != nil {
		return err
	}
	defer none.stop()
	heap, memory := c.figure("live heap, bytes/container", 0), c.figure("resident memory, MiB", 1)
	began, spent := c.figure("process begins → answers, ms", 0), c.figure("CPU for it, ms", 0)
	started := c.figure("start → answer, ms", 2)
	next := c.containers
	turn := func(i int) error {
		empty, err := c.observe(i, none, serving)
		if err != nil {
			return err
		}
		base, err := empty.liveHeap()
		if err := errors.Join(err, empty.Stop(patience)); err != nil {
			return err
		}
		begin := time.Now()
		s, err := c.observe(i, many, serving)
		if err != nil {
			return err
		}
		began.add(i, float64(time.Since(begin))/1e6)
		cpu, cpuErr := cpuTime(s.Process)
		bytes, residentErr := resident(s.Process)
		lags, startErr := starts(s, many, next, c.starts)
		next += c.starts
		all, heapErr := s.liveHeap()
		if err := errors.Join(cpuErr, residentErr, startErr, heapErr, s.Stop(patience)); err != nil {
			return err
		}
		spent.add(i, float64(cpu)/1e6)
		memory.add(i, bytes/(1<<20))
		started.add(i, lags...)
		heap.add(i, (all-base)/float64(c.containers))
		return nil
	}
	if err := c.turns(ctx, "scale", turn); err != nil {
		return err
	}
	c.tabulate(fmt.Sprintf("memory, %d containers", c.containers), heap, memory)
	c.tabulate(fmt.Sprintf("first reconciliation, %d containers", c.containers), began, spent)
	c.tabulate(fmt.Sprintf("internal/enginetest, %d running", c.containers), started)
	return nil
}

// fake starts an engine with containers.
func (c *comparison) fake(name string, cpu, containers int) (*fakeEngine, error) {
	dir := filepath.Join(c.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := startFake(dir, cpu)
	if err != nil {
		return nil, err
	}
	return f, f.call("Populate", containers, nil)
}

// observe starts the i-th candidate, and returns when it knows all names.
func (c *comparison) observe(i int, f *fakeEngine, cpu int) (*observed, error) {
	o, err := observe(c.candidates[i].binary, c.dir, "endpoint "+f.host, cpu)
	if err != nil {
		return nil, err
	}
	return o, await(o.Server, missing(0), dns.RcodeNameError)
}

// starts has n containers started, stopped and removed, the first of them the from-th, and returns how long after each start
// its name was answered, in ms.
func starts(s *observed, f *fakeEngine, from, n int) (lags []float64, err error) {
	conn, err := dns.Dial("udp", s.Addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	l := latencies{conn: conn}
	for i := from; i < from+n; i++ {
		var id string
		begin := time.Now()
		if err := f.call("Run", i, &id); err != nil {
			return nil, err
		}
		at, err := l.until(existing(i), 1)
		if err != nil {
			return nil, err
		}
		lags = append(lags, float64(at.Sub(begin))/1e6)
		if err := errors.Join(f.call("Stop", id, nil), f.call("Remove", id, nil)); err != nil {
			return nil, err
		}
	}
	return lags, nil
}

// engine measures starts on a real engine with a few containers.
func (c *comparison) engine(ctx context.Context) (err error) {
	const running = 10
	e, err := openEngine(ctx, c.dir)
	if err != nil {
		return fmt.Errorf("a Docker Engine is needed: %w", err)
	}
	defer func() { err = errors.Join(err, e.remove()) }()
	if err := e.ensure(ctx, running); err != nil {
		return err
	}
	began, started := c.figure("process begins → answers, ms", 0), c.figure("start call returned → name answers, ms", 2)
	turn := func(i int) error {
		l := latencies{engine: e, binary: c.candidates[i].binary, dir: c.dir}
		begin := time.Now()
		if err := l.serve(); err != nil {
			return err
		}
		began.add(i, float64(time.Since(begin))/1e6)
		var lags []float64
		for range c.starts {
			lag, err := l.start(ctx, nil)
			if err != nil {
				return err
			}
			lags = append(lags, float64(lag)/1e6)
		}
		started.add(i, lags...)
		return errors.Join(l.conn.Close(), l.server.Stop(patience))
	}
	if err := c.turns(ctx, "engine", turn); err != nil {
		return err
	}
	c.tabulate(fmt.Sprintf("Docker Engine, %d running", running), began, started)
	return nil
}
