package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// lean compares the lean binary with the full one: how large they are, and what they take until they answer.
func lean(ctx context.Context, dir string, args []string) error {
	f, _, err := parseCompare("lean", "start", args)
	if err != nil {
		return err
	}
	r := newReport("lean", "The lean and the full binary", args)
	c := comparison{compareFlags: f, dir: dir, report: r, candidates: []candidate{
		{name: "full", binary: filepath.Join(dir, "full")}, {name: "lean", binary: filepath.Join(dir, "lean")},
	}}
	if err := errors.Join(rig.Build(".", c.candidates[0].binary), rig.Build(".", c.candidates[1].binary, "-lean")); err != nil {
		return err
	}
	r.note("%d interleaved rounds, medians with their 95 %% intervals; ratios are taken in each round. Each server starts anew for %d containers, "+
		"and is asked for one of them until it answers. Memory is that of then.", f.rounds, f.names)
	if err := c.measure(ctx, map[string]func(context.Context) error{"start": c.start}); err != nil {
		return err
	}
	return r.publish(f.out)
}

// start measures binaries from their start to their first answer.
func (c *comparison) start(ctx context.Context) error {
	f, err := c.fake("start", -1, c.names)
	if err != nil {
		return err
	}
	defer f.stop()
	size, memory := c.figure("binary, MiB", 1), c.figure("resident memory, MiB", 1)
	began, spent := c.figure("process begins → answers, ms", 1), c.figure("CPU for it, ms", 1)
	err = c.turns(ctx, "start", func(i int) error {
		info, err := os.Stat(c.candidates[i].binary)
		if err != nil {
			return err
		}
		begin := time.Now()
		s, err := serve(c.candidates[i].binary, c.dir, fmt.Sprintf("docker docker. {\nendpoint %s\n}", f.host), -1)
		if err != nil {
			return err
		}
		err = await(s, address(containerName(0)), dns.RcodeSuccess)
		began.add(i, float64(time.Since(begin))/1e6)
		cpu, cpuErr := cpuTime(s.Process)
		spent.add(i, float64(cpu)/1e6)
		bytes, residentErr := resident(s.Process)
		memory.add(i, bytes/(1<<20))
		size.add(i, float64(info.Size())/(1<<20))
		return errors.Join(err, cpuErr, residentErr, s.Stop(patience))
	})
	if err != nil {
		return err
	}
	c.tabulate("from the start to the answer", size, memory, began, spent)
	return nil
}
