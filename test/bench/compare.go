package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// allParts are what two states of the product are compared by.
const allParts = "wire,scale,engine"

// compareFlags are the options of bench compare and bench before.
type compareFlags struct {
	out        string
	rounds     int
	parts      string
	names      int
	containers int
	starts     int
	pin        bool
}

func parseCompare(name, parts string, args []string) (f compareFlags, rest []string, err error) {
	set, out := newFlags(name)
	set.IntVar(&f.rounds, "rounds", 20, fmt.Sprintf("rounds, no fewer than %d: in each, all binaries have their turn, in rotating order", fewestRounds))
	set.StringVar(&f.parts, "parts", parts, "what is measured")
	set.IntVar(&f.names, "names", 300, "running containers for wire")
	set.IntVar(&f.containers, "containers", 2000, "running containers for scale")
	set.IntVar(&f.starts, "starts", 3, "containers that are started in each turn of scale and engine")
	set.BoolVar(&f.pin, "pin", true, "for wire and scale: servers on the last CPU alone, dnsperf and the engine on the first")
	err = set.Parse(args)
	f.out, f.rounds = *out, max(f.rounds, fewestRounds)
	return f, set.Args(), err
}

// candidate is a binary of the product, and how it is run for the queries over the network.
type candidate struct {
	name, binary string
	property     string // of the directive's block, besides the engine; "" for none
	page         string // the URL of the status page that is open meanwhile, "" if there is none
}

// parseCandidates reads NAME=PATH. Others are compared with the first.
func parseCandidates(args []string) ([]candidate, error) {
	var cs []candidate
	for _, arg := range args {
		name, binary, ok := strings.Cut(arg, "=")
		if !ok || name == "" || binary == "" || slices.ContainsFunc(cs, func(c candidate) bool { return c.name == name }) {
			return nil, fmt.Errorf("%q: want NAME=PATH, each name once", arg)
		}
		if _, err := os.Stat(binary); err != nil {
			return nil, err
		}
		cs = append(cs, candidate{name: name, binary: binary})
	}
	if len(cs) < 2 {
		return nil, errors.New("want two or more of NAME=PATH")
	}
	return cs, nil
}

// compare measures any number of binaries side by side.
func compare(ctx context.Context, dir string, args []string) error {
	f, rest, err := parseCompare("compare", allParts, args)
	if err != nil {
		return err
	}
	cs, err := parseCandidates(rest)
	if err != nil {
		return err
	}
	return f.run(ctx, dir, newReport("compare", "Binaries side by side", args), cs)
}

// before compares the present state with that of a git revision.
func before(ctx context.Context, dir string, args []string) error {
	f, rest, err := parseCompare("before", allParts, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return errors.New("want one git revision")
	}
	was, err := buildRevision(dir, rest[0])
	if err != nil {
		return err
	}
	now, err := buildProduct(dir)
	if err != nil {
		return err
	}
	return f.run(ctx, dir, newReport("before", "Side by side with the state before", args), []candidate{{name: "before", binary: was}, {name: "now", binary: now}})
}

func (f compareFlags) run(ctx context.Context, dir string, r *report, cs []candidate) error {
	c := comparison{compareFlags: f, dir: dir, candidates: cs, report: r}
	r.note("%d interleaved rounds, medians with their 95 %% intervals; ratios to %s are taken in each round.", f.rounds, cs[0].name)
	if err := c.measure(ctx, map[string]func(context.Context) error{"wire": c.wire, "scale": c.scale, "engine": c.engine}); err != nil {
		return err
	}
	return r.publish(f.out)
}

// measure measures the parts that the options name.
func (c *comparison) measure(ctx context.Context, parts map[string]func(context.Context) error) error {
	for part := range strings.SplitSeq(c.parts, ",") {
		measure := parts[part]
		if measure == nil {
			return fmt.Errorf("-parts: no part %q", part)
		}
		if err := measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}

// comparison is one run of bench compare or bench before.
type comparison struct {
	compareFlags
	dir        string
	candidates []candidate
	report     *report
}

// figure is something that is measured of each candidate in each round.
type figure struct {
	title  string
	digits int
	values [][]float64 // by candidate
}

func (c *comparison) figure(title string, digits int) *figure {
	return &figure{title, digits, make([][]float64, len(c.candidates))}
}

// add notes what a turn of the i-th candidate found: the median of the sample.
func (f *figure) add(i int, sample ...float64) {
	slices.Sort(sample)
	f.values[i] = append(f.values[i], quantile(sample, 0.5))
}

// tabulate adds a table of the figures, each with its ratio to the first candidate's.
func (c *comparison) tabulate(title string, figures ...*figure) {
	t := table{Title: title}
	for _, f := range figures {
		t.Columns = append(t.Columns, column{Title: f.title, Digits: f.digits}, column{Title: "× " + c.candidates[0].name, Digits: 3, Plot: true, Line: 1})
	}
	for i := range c.candidates {
		var values []estimate
		for _, f := range figures {
			values = append(values, estimateOf(f.values[i]), estimateOf(ratios(f.values[i], f.values[0])))
		}
		t.add(c.candidates[i].name, values...)
	}
	c.report.Tables = append(c.report.Tables, t)
}

// turns gives each candidate its turn in each round. Who is first rotates.
func (c *comparison) turns(ctx context.Context, part string, turn func(i int) error) error {
	n := len(c.candidates)
	for round := range c.rounds {
		for i := range n {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			i = (i + round) % n
			if err := turn(i); err != nil {
				return fmt.Errorf("%s: %w", c.candidates[i].name, err)
			}
		}
		fmt.Fprintf(os.Stderr, "%s: round %d of %d\n", part, round+1, c.rounds)
	}
	return nil
}
