package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// trial is one question put to some of the targets.
type trial struct {
	title   string
	data    string
	targets []trialTarget
	base    int // the target with which the others are compared
}

type trialTarget struct {
	*target
	rcode string // which all answers must have

	cpu          []float64 // µs for each query, a value for each round
	perSecond    []float64
	p50, p99     []float64 // µs, at the fixed rate
	instructions []float64 // for each query, in user space
}

// trials writes the questions and says who is asked them.
func (w *wireRun) trials() ([]*trial, error) {
	hits, misses, err := w.questions()
	if err != nil {
		return nil, err
	}
	hits.base, misses.base = 4, 4 // the floor
	hits.targets = []trialTarget{
		{target: w.product, rcode: "NOERROR"}, {target: w.stock, rcode: "NOERROR"}, {target: w.hosts, rcode: "NOERROR"},
		{target: w.whoami, rcode: "NOERROR"}, {target: w.floor, rcode: "NOERROR"},
	}
	misses.targets = []trialTarget{
		{target: w.product, rcode: "NXDOMAIN"}, {target: w.stock, rcode: "NXDOMAIN"}, {target: w.hosts, rcode: "SERVFAIL"},
		{target: w.whoami, rcode: "NOERROR"}, {target: w.floor, rcode: "NOERROR"}, {target: w.denial, rcode: "NXDOMAIN"},
	}
	return []*trial{hits, misses}, nil
}

// questions are the trials, of which nobody is asked yet: existing names and missing ones.
func (w *wireRun) questions() (hits, misses *trial, err error) {
	hits = &trial{title: fmt.Sprintf("existing name, type A, %d names", w.names), data: filepath.Join(w.dir, "hit")}
	misses = &trial{title: fmt.Sprintf("missing name, type A, %d names", w.names), data: filepath.Join(w.dir, "miss")}
	var hit, miss []question
	for i := range w.names {
		hit, miss = append(hit, existing(i)), append(miss, missing(i))
	}
	return hits, misses, errors.Join(writeQuestions(hits.data, hit), writeQuestions(misses.data, miss))
}

// measure has round after round until the figures are good enough. Who is first in a round
// rotates, so that what the machine does besides meets all alike.
func (w *wireRun) measure(ctx context.Context, trials []*trial) (rounds int, err error) {
	for round := -1; round < w.maxRounds; round++ { // the first does not count: servers warm up
		for _, t := range trials {
			for i := range t.targets {
				if ctx.Err() != nil {
					return rounds, context.Cause(ctx)
				}
				at := &t.targets[(i+max(round, 0))%len(t.targets)]
				if err := w.measureOne(t, at, round >= 0); err != nil {
					return rounds, fmt.Errorf("%s, %s: %w", t.title, at.name, err)
				}
			}
		}
		rounds = round + 1
		if worst := widest(trials); rounds > 0 {
			fmt.Fprintf(os.Stderr, "round %d: widest interval %.1f %%\n", rounds, 100*worst)
			if rounds >= w.minRounds && worst <= w.spread {
				break
			}
		}
	}
	return rounds, nil
}

// widest is the widest interval of a CPU ratio, relative to it.
func widest(trials []*trial) (worst float64) {
	for _, t := range trials {
		for i := range t.targets {
			if i != t.base {
				worst = max(worst, estimateOf(ratios(t.targets[i].cpu, t.targets[t.base].cpu)).spread())
			}
		}
	}
	return worst
}

// measureOne gives the target its slices of one round.
func (w *wireRun) measureOne(t *trial, at *trialTarget, counts bool) error {
	full := load{data: t.data, seconds: w.seconds, cpu: w.asker, from: w.from}
	before, err := cpuTime(at.server.Process)
	if err != nil {
		return err
	}
	s, err := w.ask(at, full)
	if err != nil {
		return err
	}
	after, err := cpuTime(at.server.Process)
	if err != nil {
		return err
	}
	if counts {
		at.cpu = append(at.cpu, float64(after-before)/1e3/float64(s.completed))
		at.perSecond = append(at.perSecond, s.perSecond)
	}
	if w.rate > 0 {
		paced := full
		paced.rate, paced.latencies = w.rate, true
		p, err := w.ask(at, paced)
		if err != nil {
			return err
		}
		if counts {
			at.p50, at.p99 = append(at.p50, p.percentile(0.5)), append(at.p99, p.percentile(0.99))
		}
	}
	if w.counter == "" || !counts {
		return nil
	}
	n, s, err := w.count(at, full)
	at.instructions = append(at.instructions, n/float64(s.completed))
	return err
}

// ask checks that the answers were right.
func (w *wireRun) ask(at *trialTarget, l load, prefix ...string) (slice, error) {
	s, err := dnsperf(at.server.Addr, l, prefix...)
	if err == nil && s.rcodes[at.rcode] != s.completed {
		err = fmt.Errorf("answers are %v, want %d times %s", s.rcodes, s.completed, at.rcode)
	}
	return s, err
}
