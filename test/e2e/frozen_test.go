package e2e

import (
	"flag"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

var frozenFor = flag.Duration("e2e.frozen", 40*time.Second, "how long TestFrozenEngine stops the engine's process")

const (
	// silence is how long an engine may say nothing before it is taken for away.
	silence = 30 * time.Second
	// recovery is how long DNS may be wrong after a fault.
	recovery = 5 * time.Second
)

// An engine that hangs, with its connections open: what was known is served on, and it is
// noticed and told. When the engine goes on, DNS is right soon.
func TestFrozenEngine(t *testing.T) {
	t.Parallel()
	if *frozenFor <= silence {
		t.Fatalf("-e2e.frozen is %v: it must be longer than %v, after which it must be noticed", *frozenFor, silence)
	}
	e := newEngine(t, liveRestore)
	e.start()
	network := e.populate()
	const ttl = 60
	s := serve(t, config{Body: fmt.Sprintf("docker docker. 198.18.0.0/15 {\nendpoint %s\nttl %d\nresync 2s\n}", e.host, ttl)})
	stays, goes := e.inspect(t, e.run(t, "--network", network, "--name", "stays")), e.inspect(t, e.run(t, "--network", network, "--name", "goes"))
	for _, c := range []inspection{stays, goes} {
		eventually(t, func() error { return s.agrees(c) })
	}
	eventually(t, func() error { return s.servesTTL("stays.docker.", ttl) })

	process := e.Dockerd
	t.Cleanup(func() { process.Signal(syscall.SIGCONT) }) // else it can't be ended
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	syscall.Kill(goes.State.Pid, syscall.SIGKILL) // nobody is told
	var reconciled float64
	var noticed time.Duration
	asked := 0
	for time.Since(begin) < *frozenFor {
		connected := s.value("coredns_docker_connected") == 1
		at := time.Since(begin)
		switch {
		case !connected && noticed == 0:
			noticed = at
		case connected && noticed != 0:
			t.Fatalf("%v after the engine's stop it is taken for connected again", at)
		case connected && at > silence:
			t.Fatalf("%v after the engine's stop it is still taken for connected", at)
		}
		// What the server says of itself after an answer may be newer than that, but not before it.
		longest := uint32(ttl)
		if !connected {
			longest = staleTTL
		}
		for _, c := range []inspection{stays, goes} {
			asked++
			if err := s.agrees(c); err != nil {
				t.Fatalf("%v after the engine's stop: %v", at, err)
			}
			if got := s.ask(c.name()+".docker.", dns.TypeA).Answer[0].Header().Ttl; got > longest {
				t.Fatalf("%v after the engine's stop, connected %v: TTL %d", at, connected, got)
			}
		}
		s.check("nobody.docker.", dns.TypeA, nxdomain)
		if err := s.isReady(); err != nil {
			t.Fatalf("%v after the engine's stop: %v", at, err)
		}
		if now := s.value(lastReconcile); reconciled == 0 && at > time.Second { // what was under way is done
			reconciled = now
		} else if reconciled != 0 && now != reconciled {
			t.Fatalf("%v after the engine's stop, a comparison with it counts as done", at)
		}
		time.Sleep(100 * time.Millisecond) // a pace
	}
	t.Logf("stopped for %v, noticed after %v; %d times all was answered as before, with a TTL of at most %d from then on",
		*frozenFor, noticed.Round(time.Millisecond), asked, staleTTL)
	if noticed == 0 {
		t.Error("it was not noticed")
	}

	begin = time.Now()
	if err := process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	goes.State.Running = false
	var took []string
	for _, step := range []struct {
		what  string
		check func() error
	}{
		{"the dead container is gone", func() error { return s.agrees(goes) }},
		{"the other one's TTL is whole", func() error { return s.servesTTL("stays.docker.", ttl) }},
		{"it is not counted", func() error { return s.wantMetric("coredns_docker_containers", 1) }},
		{"the metrics say so", func() error { return s.wantMetric("coredns_docker_connected", 1) }},
		{"compared anew", func() error {
			if s.value(lastReconcile) == reconciled {
				return fmt.Errorf("no comparison")
			}
			return nil
		}},
	} {
		eventually(t, step.check)
		at := time.Since(begin)
		if at > recovery {
			t.Errorf("%s %v after the engine went on", step.what, at)
		}
		took = append(took, fmt.Sprintf("%s after %v", step.what, at.Round(time.Millisecond)))
	}
	t.Logf("the engine went on: %s", strings.Join(took, ", "))
	if err := s.agrees(stays); err != nil {
		t.Error(err)
	}
	comes := e.run(t, "--network", network)
	eventually(t, func() error { return s.agrees(e.inspect(t, comes)) })
}

const lastReconcile = "coredns_docker_last_reconcile_timestamp_seconds"

// staleTTL is the longest TTL of answers while the engine is away.
const staleTTL = 5

// value is metric for one that must be there.
func (s *server) value(name string) float64 {
	s.t.Helper()
	v, err := s.Metric(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// One of two engines is frozen, and killed: all that is asked for of the other one is answered as before, with the whole TTL, and what
// happens there at once. When the fault is over, all is right soon.
func TestFaultBesideAnotherEngine(t *testing.T) {
	t.Parallel()
	e, other := newEngine(t, liveRestore), newEngine(t, liveRestore)
	e.start()
	other.start()
	network := e.populate()
	const ttl, there = 60, "192.0.2.2"
	s := serve(t, config{Body: fmt.Sprintf("docker docker. {\nendpoint %s a\nendpoint %s b %s\npublish\nttl %d\n}", e.host, other.host, there, ttl)})
	stays := e.inspect(t, e.run(t, "--network", network, "--name", "stays"))
	other.run(t, "--network", other.populateElsewhere(), "--name", "there", "-p", "80")
	has := func(want string, longest uint32) func() error {
		return func() error {
			m := s.ask("there.docker.", dns.TypeA)
			if got := outcome(m); got != want || m.Answer[0].Header().Ttl > longest {
				return fmt.Errorf("there: %s", m)
			}
			return nil
		}
	}
	eventually(t, func() error { return s.agrees(stays) })
	eventually(t, has(there, ttl))
	load := startLoad(s, []question{
		{"stays.docker.", dns.TypeA, addrs4(stays)[0]}, {"stays.a.docker.", dns.TypeA, addrs4(stays)[0]}, {"stays.docker.", dns.TypeAAAA, nodata},
		{"there.docker.", dns.TypeA, there}, {"there.b.docker.", dns.TypeA, there}, {"b.docker.", dns.TypeA, there}, {"nobody.docker.", dns.TypeA, nxdomain},
	})
	process := other.Dockerd
	t.Cleanup(func() { process.Signal(syscall.SIGCONT) }) // else it can't be ended
	for _, fault := range []struct {
		what     string
		do, undo func()
	}{
		{"frozen", func() { process.Signal(syscall.SIGSTOP) }, func() { process.Signal(syscall.SIGCONT) }},
		{"killed", func() { other.End(syscall.SIGKILL) }, other.start},
	} {
		fault.do()
		begin := time.Now()
		for s.value("coredns_docker_connected") != 1 {
			if time.Since(begin) > silence {
				t.Fatalf("%s: not noticed after %v", fault.what, silence)
			}
			if err := s.servesTTL("stays.docker.", ttl); err != nil {
				t.Fatalf("%s: %v", fault.what, err)
			}
			time.Sleep(100 * time.Millisecond) // a pace
		}
		noticed := time.Since(begin)
		eventually(t, has(there, staleTTL))
		if err := s.servesTTL("stays.docker.", ttl); err != nil {
			t.Errorf("%s: %v", fault.what, err)
		}
		if err := s.isReady(); err != nil {
			t.Errorf("%s: %v", fault.what, err)
		}
		comes := e.run(t, "--network", network)
		if err := s.agrees(e.inspect(t, comes)); err != nil {
			t.Errorf("%s: what has just started on the other engine: %v", fault.what, err)
		}
		fault.undo()
		begin = time.Now()
		eventually(t, func() error { return s.wantMetric("coredns_docker_connected", 2) })
		eventually(t, func() error { return s.servesTTL("there.docker.", ttl) })
		if took := time.Since(begin); took > recovery {
			t.Errorf("%s: right %v after the fault", fault.what, took)
		} else {
			t.Logf("%s: noticed after %v, right again after %v", fault.what, noticed.Round(time.Millisecond), took.Round(time.Millisecond))
		}
	}
	sent, wrong := load.stop()
	t.Logf("%d questions, %d answered wrongly or not at all", sent, len(wrong))
	if len(wrong) > 0 {
		t.Errorf("%s", strings.Join(wrong[:min(len(wrong), 10)], "; "))
	}
}
