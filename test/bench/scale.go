package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coredns/coredns/plugin/pkg/log"
)

// sizeCommand is this program's command that measures one size, in a process of its own: what another
// size leaves in memory would be measured too. It prints its tables in JSON.
const sizeCommand = "scale-size"

// fewContainers is the size with which each other is compared, in the same process and slice by slice.
const fewContainers = 100

func scale(ctx context.Context, _ string, args []string) error {
	set, out := newFlags("scale")
	sizes := set.String("sizes", "100,1000,10000,100000", "numbers of containers")
	slices := set.Int("slices", 20, "interleaved slices of lookups and of changes")
	if err := set.Parse(args); err != nil {
		return err
	}
	r := newReport("scale", "What grows with the number of containers", args)
	r.note("The plugin in one process, the engine (internal/enginetest) in another. Each container has six names.")
	r.note("× %d: compared with %d containers in the same process, slice by slice.", fewContainers, fewContainers)
	for size := range strings.SplitSeq(*sizes, ",") {
		if n, err := strconv.Atoi(size); err != nil || n < fewContainers {
			return fmt.Errorf("-sizes: %q is not a number of at least %d", size, fewContainers)
		}
		fmt.Fprintln(os.Stderr, size, "containers")
		cmd := exec.CommandContext(ctx, os.Args[0], sizeCommand, size, strconv.Itoa(*slices))
		cmd.Stderr = os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		b, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%s containers: %w", size, err)
		}
		var tables []table
		if err := json.Unmarshal(b, &tables); err != nil {
			return err
		}
		if r.Tables == nil {
			r.Tables = tables
			continue
		}
		for i := range tables {
			r.Tables[i].Rows = append(r.Tables[i].Rows, tables[i].Rows...)
		}
	}
	return r.publish(*out)
}

// sizeMain is the process that measures one size.
func sizeMain(dir string, args []string) error {
	containers, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	slices, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	log.Discard()
	tables, err := measureSize(dir, containers, slices)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(tables)
}

func measureSize(dir string, containers, slices int) ([]table, error) {
	few, err := newSite(filepath.Join(dir, "few"), fewContainers)
	if err != nil {
		return nil, err
	}
	defer few.stop()
	many, err := newSite(filepath.Join(dir, "many"), containers)
	if err != nil {
		return nil, err
	}
	defer many.stop()
	if err := few.start(time.Hour); err != nil {
		return nil, err
	}
	z := sizing{dir: dir, few: few, many: many, name: fmt.Sprint(containers), slices: slices}
	for _, measure := range []func() error{z.first, z.resyncs, z.lookups, z.changes} {
		if err := measure(); err != nil {
			return nil, err
		}
	}
	return z.tables, nil
}

// sizing measures one size. Its methods each add a table with one row.
type sizing struct {
	dir       string
	few, many *site
	name      string
	slices    int
	resync    time.Duration
	began     time.Time // the first reconciliation, and so the clock of the later ones
	tables    []table
}

func (z *sizing) add(title string, columns []column, values ...estimate) {
	t := table{Title: title, Columns: columns}
	t.add(z.name, values...)
	z.tables = append(z.tables, t)
}

// one is an estimate of a single measurement.
func one(v float64) estimate { return estimate{v, v, v, 1} }

func seconds(d time.Duration) estimate { return one(d.Seconds()) }

// first measures from the plugin's start until all names are known, and what they take in memory.
func (z *sizing) first() error {
	z.resync = 5 * time.Second
	if z.many.containers > 10_000 { // a list alone takes seconds
		z.resync = time.Minute
	}
	empty, cpu := liveHeap(), ownCPU()
	if _, _, err := z.many.calls(); err != nil {
		return err
	}
	z.began = time.Now()
	if err := z.many.start(z.resync); err != nil {
		return err
	}
	took, spent := time.Since(z.began), ownCPU()-cpu
	calls, all, err := z.many.calls()
	if err != nil {
		return err
	}
	n := float64(z.many.containers)
	z.add("first reconciliation", []column{
		{Title: "s", Digits: 2}, {Title: "CPU, s", Digits: 2}, {Title: "CPU, µs/container", Plot: true}, {Title: "lists"}, {Title: "inspects"},
		{Title: "calls/container", Digits: 2},
	}, seconds(took), seconds(spent), one(float64(spent)/1e3/n), one(float64(calls["list"])), one(float64(calls["inspect"])), one(float64(all)/n))
	// The least of several: while a reconciliation is under way its list takes memory too.
	heap := liveHeap()
	for range 3 {
		time.Sleep(time.Second)
		heap = min(heap, liveHeap())
	}
	z.add("memory", []column{{Title: "live heap, bytes/container", Plot: true, Line: 4096}}, one((heap-empty)/n))
	return nil
}

// resyncs measures periodic reconciliations: when nothing has changed, and when 1 % has without an event.
func (z *sizing) resyncs() error {
	columns := []column{{Title: "s", Digits: 3}, {Title: "CPU, s", Digits: 3}, {Title: "CPU, µs/container", Plot: true, Digits: 1},
		{Title: "lists"}, {Title: "inspects"}, {Title: "serial changed"}}
	n := float64(z.many.containers)
	for _, some := range []bool{false, true} {
		var took, cpu, each, lists, inspects, serials []float64
		title, rounds := "resync, nothing changed", 3
		if some {
			title, rounds = "resync, 1 % changed", 1
		}
		for range rounds {
			before, err := z.many.serial()
			if err != nil {
				return err
			}
			d, spent, calls, err := z.nextResync(some)
			if err != nil {
				return err
			}
			after, err := z.many.serial()
			if err != nil {
				return err
			}
			took, cpu = append(took, d.Seconds()), append(cpu, spent.Seconds())
			each = append(each, float64(spent)/1e3/n)
			lists, inspects = append(lists, float64(calls["list"])), append(inspects, float64(calls["inspect"]))
			changed := 0.0
			if after != before {
				changed = 1
			}
			serials = append(serials, changed)
		}
		z.add(title, columns, estimateOf(took), estimateOf(cpu), estimateOf(each), estimateOf(lists), estimateOf(inspects), estimateOf(serials))
	}
	return nil
}

// nextResync waits for the next periodic reconciliation and measures it.
func (z *sizing) nextResync(changed bool) (took, cpu time.Duration, calls map[string]int, err error) {
	// A moment before it is due, so that little else is measured.
	due := z.began.Add(time.Since(z.began).Truncate(z.resync) + z.resync)
	if time.Until(due) < z.resync/4 { // too late for this one
		due = due.Add(z.resync)
	}
	if changed {
		z.many.renamed = z.many.containers / 100
		if err := z.many.fake.call("RenameSilently", z.many.renamed, nil); err != nil {
			return 0, 0, nil, err
		}
	}
	time.Sleep(time.Until(due) - 100*time.Millisecond)
	rounds, before, err := reconciled()
	if err != nil {
		return 0, 0, nil, err
	}
	if _, _, err := z.many.calls(); err != nil {
		return 0, 0, nil, err
	}
	cpu = ownCPU()
	var after time.Duration
	var failed error
	err = until(5*time.Minute, 50*time.Millisecond, "no periodic reconciliation", func() bool {
		var n uint64
		n, after, failed = reconciled()
		return failed != nil || n > rounds
	})
	if err = errors.Join(err, failed); err != nil {
		return 0, 0, nil, err
	}
	cpu = ownCPU() - cpu
	calls, _, err = z.many.calls()
	return after - before, cpu, calls, err
}

// lookups measures single ones, and parallel ones while containers change and while none does.
func (z *sizing) lookups() error {
	hosts, err := hostsSite(z.dir, z.many.containers)
	if err != nil {
		return err
	}
	sites := []*site{z.many, z.few, hosts}
	var ns [3][]float64
	for round := range z.slices {
		for i := range sites {
			i = (i + round) % len(sites)
			each, err := sites[i].lookupSlice()
			if err != nil {
				return err
			}
			ns[i] = append(ns[i], each)
		}
	}
	hosts.stop()
	z.add("lookup (ServeDNS)", []column{
		{Title: "ns"}, {Title: fmt.Sprintf("× %d", fewContainers), Digits: 2, Plot: true, Line: 1.6},
		{Title: "hosts, as many names, ns"}, {Title: "× hosts", Digits: 2, Plot: true, Line: 1},
	}, estimateOf(ns[0]), estimateOf(ratios(ns[0], ns[1])), estimateOf(ns[2]), estimateOf(ratios(ns[0], ns[2])))

	const lasts = time.Second
	churns := map[*site]Churn{}
	for _, site := range []*site{z.many, z.few} {
		churns[site] = Churn{From: site.containers + site.extra, Number: 500, PerSecond: 1000, Lasts: lasts}
		site.extra += churns[site].Number
	}
	// churned is a slice while the site's containers change.
	churned := func(site *site) (p999 float64, changes int, err error) {
		done := make(chan error, 1)
		go func() { done <- site.fake.call("Churn", churns[site], &changes) }()
		p999, err = z.many.parallelSlice(lasts)
		return p999, changes, errors.Join(err, <-done)
	}
	var quiet, elsewhere, busy, changes []float64
	slices := []func() error{
		func() error {
			p, err := z.many.parallelSlice(lasts)
			quiet = append(quiet, p)
			return err
		},
		func() error {
			p, _, err := churned(z.few)
			elsewhere = append(elsewhere, p)
			return err
		},
		func() error {
			p, n, err := churned(z.many)
			busy, changes = append(busy, p), append(changes, float64(n)/lasts.Seconds())
			return err
		},
	}
	for round := range z.slices {
		for i := range slices {
			if err := slices[(i+round)%len(slices)](); err != nil {
				return err
			}
		}
	}
	z.add("parallel lookups, p99.9", []column{
		{Title: "µs, nothing changes", Digits: 1}, {Title: "µs, another engine's containers change", Digits: 1},
		{Title: "µs, containers change", Digits: 1}, {Title: "× nothing changes", Digits: 2, Plot: true, Line: 1.3},
		{Title: "× another engine's", Digits: 2, Plot: true, Line: 1.3}, {Title: "changes/s"},
	}, estimateOf(quiet), estimateOf(elsewhere), estimateOf(busy), estimateOf(ratios(busy, quiet)), estimateOf(ratios(busy, elsewhere)), estimateOf(changes))
	return nil
}

// changes measures one container's start and stop: how soon it is answered, and what it costs.
func (z *sizing) changes() error {
	var starts, stops, many, few, calls []float64
	for range z.slices {
		i := z.many.containers + z.many.extra
		z.many.extra++
		start, stop, err := z.many.life(i)
		if err != nil {
			return err
		}
		starts, stops = append(starts, start), append(stops, stop)
	}
	for range z.slices {
		for site, slices := range map[*site]*[]float64{z.many: &many, z.few: &few} { // in random order
			cpu, n, err := site.changeSlice()
			if err != nil {
				return err
			}
			*slices = append(*slices, cpu)
			if site == z.many {
				calls = append(calls, n)
			}
		}
	}
	z.add("one container's start or stop", []column{
		{Title: "start → answer, ms", Digits: 2, Plot: true}, {Title: "stop → no answer, ms", Digits: 2}, {Title: "CPU, µs"},
		{Title: fmt.Sprintf("CPU × %d", fewContainers), Digits: 2, Plot: true, Line: 2}, {Title: "engine calls", Digits: 2},
	}, estimateOf(starts), estimateOf(stops), estimateOf(many), estimateOf(ratios(many, few)), estimateOf(calls))
	return nil
}
