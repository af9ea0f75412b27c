package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coredns/coredns/plugin/pkg/log"
	"github.com/miekg/dns"
)

// hostsCommand is this program's command that measures once, in a process of its own. It prints its samples in JSON.
const hostsCommand = "hosts-round"

// figures are what is measured, by table. Each is one of a server with one engine and of a server with several.
var figures = []struct {
	title  string
	digits int
	rows   []string
}{
	{"first reconciliation", 2, []string{"s", "CPU, s"}},
	{"memory", 0, []string{"live heap, bytes/container", "resident, bytes/container"}},
	{"one look-up (ServeDNS), ns", 0, inquiries()},
	{"one container's start or stop", 2, []string{"start → answer, ms", "stop → no answer, ms", "CPU, µs", "engine calls"}},
}

// hosts compares a server with several engines with a server with one that has as many containers.
func hosts(ctx context.Context, _ string, args []string) error {
	set, out := newFlags("hosts")
	engines := set.Int("engines", 50, "engines of the second server, at most 250")
	containers := set.Int("containers", 2000, "containers of each engine")
	slices := set.Int("slices", 10, "interleaved slices of lookups and of changes in a round")
	rounds := set.Int("rounds", 2, "rounds; which server starts first changes with each")
	if err := set.Parse(args); err != nil {
		return err
	}
	if *engines < 2 || *engines > 250 || *containers < 1 || *slices < 1 || *rounds < 1 {
		return errors.New("-engines is from 2 to 250, the others are at least 1")
	}
	var all samples
	for round := range *rounds {
		fmt.Fprintln(os.Stderr, "round", round+1)
		cmd := exec.CommandContext(ctx, os.Args[0], hostsCommand, strconv.Itoa(*engines), strconv.Itoa(*containers), strconv.Itoa(*slices), strconv.Itoa(round%2))
		cmd.Stderr = os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		b, err := cmd.Output()
		if err != nil {
			return err
		}
		var some samples
		if err := json.Unmarshal(b, &some); err != nil {
			return err
		}
		for i := range all {
			all[i].append(some[i])
		}
	}
	r := newReport("hosts", fmt.Sprintf("%d engines in one server", *engines), args)
	r.note("Two servers in one process, the engines (internal/enginetest) in another: one engine with %d containers, and %d engines with %d each.", *engines**containers, *engines, *containers)
	r.note("Each container has seven names, and publishes a port. The engines' networks and addresses are equal. The first engine is on this machine.")
	r.note("× one: compared slice by slice, where there are slices.")
	for _, f := range figures {
		t := table{Title: f.title, Columns: []column{
			{Title: "one engine", Digits: f.digits}, {Title: fmt.Sprintf("%d engines", *engines), Digits: f.digits}, {Title: "× one", Digits: 2, Plot: true, Line: 1},
		}}
		for _, row := range f.rows {
			one, several := all[0][row], all[1][row]
			t.add(row, estimateOf(one), estimateOf(several), estimateOf(ratios(several, one)))
		}
		r.Tables = append(r.Tables, t)
	}
	return r.publish(*out)
}

// samples are those of the server with one engine, and of the one with several, by the row of the table.
type samples [2]sample

type sample map[string][]float64

func (s *sample) append(o sample) {
	if *s == nil {
		*s = sample{}
	}
	for row, values := range o {
		(*s)[row] = append((*s)[row], values...)
	}
}

// hostsMain is the process that measures once.
func hostsMain(dir string, args []string) (err error) {
	var n [4]int
	for i := range n {
		if n[i], err = strconv.Atoi(args[i]); err != nil {
			return err
		}
	}
	log.Discard()
	d := duel{perHost: n[1], samples: samples{{}, {}}}
	engines := []int{1, n[0]}
	for i := range d.sites {
		if d.sites[i], err = newHosts(filepath.Join(dir, fmt.Sprint(i)), engines[i], n[0]*n[1]); err != nil {
			return err
		}
		defer d.sites[i].stop()
	}
	for i := range d.sites {
		if err := d.first(i ^ n[3]); err != nil {
			return err
		}
	}
	for range n[2] {
		for _, measure := range []func(int) error{d.lookups, d.changes} {
			for i := range d.sites {
				if err := measure(i ^ n[3]); err != nil {
					return err
				}
			}
		}
	}
	return json.NewEncoder(os.Stdout).Encode(d.samples)
}

// newHosts makes engines that share the containers. The plugin does not run yet.
func newHosts(dir string, engines, containers int) (*site, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	all, err := startFakes(dir, -1, engines)
	if err != nil {
		return nil, err
	}
	s := &site{containers: containers, fake: all[0], others: all[1:]}
	each := containers / engines
	for i, f := range all {
		if err := f.call("PopulateHost", Host{i * each, each}, nil); err != nil {
			return nil, errors.Join(err, all[0].stop())
		}
	}
	return s, nil
}

// duel measures both servers.
type duel struct {
	sites   [2]*site
	perHost int
	samples samples
}

func (d *duel) add(i int, row string, value float64) {
	d.samples[i][row] = append(d.samples[i][row], value)
}

// idle is for how long connections to an engine stay open that are not used, and a little more: each takes some memory, and for a
// reconciliation each engine gets many.
const idle = 32 * time.Second

// first measures from the server's start until all names are known, and what they take in memory.
func (d *duel) first(i int) error {
	s := d.sites[i]
	var lines strings.Builder
	fmt.Fprintf(&lines, "\tdocker docker. 10.0.0.0/8 {\n\t\tpublish\n\t\tresync 1h\n\t\tstartup 1h\n")
	for n, f := range append([]*fakeEngine{s.fake}, s.others...) {
		fmt.Fprintf(&lines, "\t\tendpoint %s host%d-%d 192.0.2.%d\n", f.host, i, n, n+1)
	}
	lines.WriteString("\t}\n")
	heap, held, cpu, begin := liveHeap(), ownResident(), ownCPU(), time.Now()
	if err := s.serve(lines.String()); err != nil {
		return err
	}
	d.add(i, "s", time.Since(begin).Seconds())
	d.add(i, "CPU, s", (ownCPU() - cpu).Seconds())
	time.Sleep(idle)
	now := liveHeap()
	d.add(i, "live heap, bytes/container", (now-heap)/float64(s.containers))
	d.add(i, "resident, bytes/container", (ownResident()-held)/float64(s.containers))
	return nil
}

// ownResident is the process's resident memory when it has given back what it does not need, in bytes.
func ownResident() float64 {
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	var size, resident int // proc(5), in pages
	if err == nil {
		_, err = fmt.Sscan(string(b), &size, &resident)
	}
	if err != nil {
		panic(err) // every Linux has it
	}
	return float64(resident * os.Getpagesize())
}

// Who asks: the Docker host, which is that of the first engine; a container of that; somebody on the LAN.
var inquirers = []struct{ name, from string }{{"Docker host", "127.0.0.1"}, {"container", "10.0.0.2"}, {"LAN", "203.0.113.9"}}

// What is asked for.
const (
	ofFirst = "of the first host" // or, with one engine, of as many containers
	ofAny   = "of any host"
	nobodys = "missing"
	pointer = "PTR"
)

var subjects = []string{ofFirst, ofAny, nobodys, pointer}

// inquiries are the rows of the look-ups.
func inquiries() (rows []string) {
	for _, who := range inquirers {
		for _, what := range subjects {
			rows = append(rows, who.name+", "+what)
		}
	}
	return rows
}

func (d *duel) lookups(i int) error {
	for _, who := range inquirers {
		for _, what := range subjects {
			inquiry := inquiry{from: who.from, rcode: dns.RcodeSuccess}
			switch what {
			case ofFirst:
				inquiry.question = func() question { return existing(rand.IntN(d.perHost)) }
			case ofAny:
				inquiry.question = func() question { return existing(rand.IntN(d.sites[i].containers)) }
			case nobodys:
				inquiry.question, inquiry.rcode = func() question { return missing(rand.IntN(d.perHost)) }, dns.RcodeNameError
			case pointer:
				inquiry.question = func() question { return addressOf(rand.IntN(d.perHost)) }
				if who.name == "LAN" && i == 1 { // it is many containers' address
					inquiry.rcode = dns.RcodeNameError
				}
			}
			ns, err := rowTime(100, func(number int, each bool, took []time.Duration) ([]time.Duration, error) {
				return d.sites[i].inquire(inquiry, number, each, took)
			})
			if err != nil {
				return fmt.Errorf("%s, %s: %w", who.name, what, err)
			}
			d.add(i, who.name+", "+what, ns)
		}
	}
	return nil
}

// addressOf is the address of the first host's i-th container.
func addressOf(i int) question {
	at := i%perNetwork + 2 // after the gateway's
	return question{fmt.Sprintf("%d.%d.%d.10.in-addr.arpa.", at%256, at/256, i/perNetwork), dns.TypePTR}
}

// changes measures one container's start and stop at one of the engines.
func (d *duel) changes(i int) error {
	s := d.sites[i]
	if n := rand.IntN(len(s.others) + 1); n > 0 {
		s.fake, s.others[n-1] = s.others[n-1], s.fake
	}
	number := s.containers + s.extra
	s.extra++
	start, stop, err := s.life(number)
	if err != nil {
		return err
	}
	d.add(i, "start → answer, ms", start)
	d.add(i, "stop → no answer, ms", stop)
	cpu, calls, err := s.changeSlice()
	if err != nil {
		return err
	}
	d.add(i, "CPU, µs", cpu)
	d.add(i, "engine calls", calls)
	return nil
}
