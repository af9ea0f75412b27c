package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// wireFlags are the options of bench wire.
type wireFlags struct {
	out       string
	names     int
	minRounds int
	maxRounds int
	spread    float64
	seconds   int
	rate      int
	pin       bool
}

// fewestRounds have an interval.
const fewestRounds = 6

func parseWire(args []string) (f wireFlags, err error) {
	set, out := newFlags("wire")
	set.IntVar(&f.names, "names", 300, "running containers")
	set.IntVar(&f.minRounds, "min", 12, fmt.Sprintf("rounds at least, no fewer than %d: in each, all servers have one slice of time of each kind", fewestRounds))
	set.IntVar(&f.maxRounds, "max", 60, "rounds at most")
	set.Float64Var(&f.spread, "spread", 0.03, "no more rounds once the 95 % interval of no CPU ratio is wider")
	set.IntVar(&f.seconds, "seconds", 1, "length of a slice")
	set.IntVar(&f.rate, "rate", 2000, "queries a second for the latencies")
	set.BoolVar(&f.pin, "pin", true, "servers on the last CPU alone, dnsperf and the engine on the first")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	f.out, f.minRounds = *out, max(f.minRounds, fewestRounds)
	f.maxRounds = max(f.maxRounds, f.minRounds)
	return f, nil
}

// target is one of the servers that are compared.
type target struct {
	name   string
	server *rig.Server
}

// wire compares the product with the others over the network.
func wire(ctx context.Context, dir string, args []string) (err error) {
	f, err := parseWire(args)
	if err != nil {
		return err
	}
	bins, err := build(dir)
	if err != nil {
		return err
	}
	w, err := openWire(f, dir)
	if err != nil {
		return err
	}
	defer w.stop()
	if err := w.start(bins); err != nil {
		return err
	}
	trials, err := w.trials()
	if err != nil {
		return err
	}
	rounds, err := w.measure(ctx, trials)
	if err != nil {
		return err
	}
	return w.report(args, rounds, trials).publish(f.out)
}

// wireRun is one run over the network.
type wireRun struct {
	wireFlags
	dir            string
	asker, serving int // CPUs
	from           int // dnsperf's port
	counter        string
	fake           *fakeEngine
	targets        []*target // that run

	product, stock, hosts, whoami, floor, denial *target
}

// openWire makes a run with its engine, which has the containers. No server runs yet.
func openWire(f wireFlags, dir string) (w *wireRun, err error) {
	if _, err := exec.LookPath("dnsperf"); err != nil {
		return nil, fmt.Errorf("the load comes from dnsperf: %w", err)
	}
	w = &wireRun{wireFlags: f, dir: dir, asker: -1, serving: -1, counter: counter()}
	if f.pin {
		w.asker, w.serving = cpus()
	}
	if w.from, err = rig.FreePort("127.0.0.1"); err != nil {
		return nil, err
	}
	if w.fake, err = startFake(dir, w.asker); err != nil {
		return nil, err
	}
	if err := w.fake.call("Populate", w.names, nil); err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

func (w *wireRun) stop() {
	for _, t := range w.targets {
		t.server.Stop(patience)
	}
	w.fake.stop()
}

// serve starts one of the servers, and returns when its answer to the question has the rcode.
func (w *wireRun) serve(name, binary, lines string, q question, rcode int) (*target, error) {
	s, err := serve(binary, w.dir, lines, w.serving)
	if err != nil {
		return nil, err
	}
	t := &target{name: name, server: s}
	w.targets = append(w.targets, t)
	return t, await(s, q, rcode)
}

// docker is the plugin in a Corefile, with the run's engine and another property, if there is one.
func (w *wireRun) docker(property string) string {
	return fmt.Sprintf("\tdocker docker. {\n\t\tendpoint %s\n\t\t%s\n\t}\n", w.fake.host, property)
}

// start starts all servers. They have equal Corefiles but for the one plugin.
func (w *wireRun) start(bins builds) (err error) {
	serve := func(name, binary, lines string, q question, rcode int) (t *target) {
		if err == nil {
			t, err = w.serve(name, binary, lines, q, rcode)
		}
		return t
	}
	hosts := filepath.Join(w.dir, "hosts")
	if err := os.WriteFile(hosts, hostsFile(w.names), 0o644); err != nil {
		return err
	}
	w.product = serve("docker", bins.product, w.docker(""), existing(0), dns.RcodeSuccess)
	w.stock = serve("docker, stock build", bins.stock, w.docker(""), existing(0), dns.RcodeSuccess)
	w.hosts = serve("hosts", bins.stock, "\thosts "+hosts+" docker.\n", existing(0), dns.RcodeSuccess)
	w.whoami = serve("whoami", bins.stock, "\twhoami\n", existing(0), dns.RcodeSuccess)
	w.floor = serve("floor", bins.stock, fmt.Sprintf("\tfloor NOERROR %q\n", hostRecord(0)), existing(0), dns.RcodeSuccess)
	if err != nil {
		return err
	}
	// The denial's message is what we answer.
	m, err := dns.Exchange(new(dns.Msg).SetQuestion(missing(0).name, dns.TypeA), w.stock.server.Addr)
	if err != nil {
		return err
	}
	if len(m.Ns) != 1 {
		return fmt.Errorf("the negative answer has no SOA: %s", m)
	}
	soa := strings.Join(strings.Fields(m.Ns[0].String()), " ")
	w.denial = serve("floor, negative answer", bins.stock, fmt.Sprintf("\tfloor NXDOMAIN %q\n", soa), missing(0), dns.RcodeNameError)
	return err
}

func existing(i int) question { return question{containerName(i) + ".docker.", dns.TypeA} }

// missing is a name of the same length.
func missing(i int) question { return question{fmt.Sprintf("m%06d.docker.", i), dns.TypeA} }

// hostRecord is the record of an existing name, with our default TTL.
func hostRecord(i int) string { return fmt.Sprintf("%s 5 IN A %s", existing(i).name, hostAddr(i)) }

func hostAddr(i int) string { return fmt.Sprintf("10.0.%d.%d", i/250, i%250+2) }

// hostsFile has the same names as the engine.
func hostsFile(n int) []byte {
	var b []byte
	for i := range n {
		b = fmt.Appendln(b, hostAddr(i), strings.TrimSuffix(existing(i).name, "."))
	}
	return b
}

func (w *wireRun) report(args []string, rounds int, trials []*trial) *report {
	r := newReport("wire", "CoreDNS's cost of a query, by plugin", args)
	r.note("%d rounds of interleaved slices of %d s, medians with their 95 %% intervals; ratios are taken in each round.", rounds, w.seconds)
	if w.pin {
		r.note("Servers run on one CPU, dnsperf on another.")
	}
	if w.counter == "" {
		r.note("No instruction counts: perf stat finds no such counter on this machine.")
	}
	for _, t := range trials {
		table := table{Title: t.title, Columns: []column{
			{Title: "server CPU, µs/query", Digits: 2}, {Title: "CPU × floor", Digits: 3, Plot: true, Line: 1}, {Title: "queries/s"},
			{Title: fmt.Sprintf("p50 at %d/s, µs", w.rate)}, {Title: fmt.Sprintf("p99 at %d/s, µs", w.rate), Plot: true}, {Title: "p99 × hosts", Digits: 2},
			{Title: "instructions/query"},
		}}
		if w.counter == "" {
			table.Columns = table.Columns[:6]
		}
		base, hosts := &t.targets[t.base], &t.targets[2]
		for i := range t.targets {
			at := &t.targets[i]
			values := []estimate{
				estimateOf(at.cpu), estimateOf(ratios(at.cpu, base.cpu)), estimateOf(at.perSecond),
				estimateOf(at.p50), estimateOf(at.p99), estimateOf(ratios(at.p99, hosts.p99)), estimateOf(at.instructions),
			}
			table.add(at.name, values[:len(table.Columns)]...)
		}
		r.Tables = append(r.Tables, table)
	}
	if worst := widest(trials); worst > w.spread {
		r.note("The widest interval of a CPU ratio is %.1f %%, more than the %.1f %% that were wanted.", 100*worst, 100*w.spread)
	}
	return r
}
