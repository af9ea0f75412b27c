package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

var restarts = flag.Int("e2e.restarts", 2, "how often TestEngineRestart and TestEngineRestartWithContainers restart the engine")

// The engine goes and comes again and again under a running coredns: what was known is served
// meanwhile, and afterwards what is. Nobody who asks for what stays ever sees that.
func TestEngineRestart(t *testing.T) {
	t.Parallel()
	e := newEngine(t, liveRestore)
	e.start()
	network := e.populate()
	s := serve(t, config{Body: "docker docker. 198.18.0.0/15 {\nendpoint " + e.host + "\nhold 1m\n}"})
	stays := e.inspect(t, e.run(t, "--network", network, "--name", "stays", "--hostname", "pair"))
	other := e.inspect(t, e.run(t, "--network", network, "--name", "other", "--hostname", "pair"))
	for _, c := range []inspection{stays, other} {
		eventually(t, func() error { return s.has(c.name()+".docker.", dns.TypeA, addrs4(c)) })
	}
	pair := slices.Concat(addrs4(stays), addrs4(other))
	slices.Sort(pair)
	load := startLoad(s, []question{
		{"stays.docker.", dns.TypeA, addrs4(stays)[0]},
		{stays.shortID() + ".docker.", dns.TypeA, addrs4(stays)[0]},
		{"pair.docker.", dns.TypeA, strings.Join(pair, " ")},
		{reverse(t, addrs4(other)[0]), dns.TypePTR, "other.docker."},
		{"other.docker.", dns.TypeAAAA, nodata},
		{"nobody.docker.", dns.TypeA, nxdomain},
	})

	var right []time.Duration // since the engine's first answer
	for i := range *restarts {
		goes := e.inspect(t, e.run(t, "--network", network, "--name", "goes-"+suffix()))
		eventually(t, func() error { return s.agrees(goes) })

		e.End([]os.Signal{syscall.SIGTERM, syscall.SIGKILL}[i%2])
		eventually(t, func() error { return s.wantMetric("coredns_docker_connected", 0) })
		syscall.Kill(goes.State.Pid, syscall.SIGKILL) // nobody is told
		if err := s.agrees(goes); err != nil {
			t.Errorf("while the engine is away: %v", err)
		}

		e.start()
		begin := time.Now()
		eventually(t, func() error { return s.agrees(e.inspect(t, goes.ID)) })
		right = append(right, time.Since(begin))
		eventually(t, func() error { return s.wantMetric("coredns_docker_connected", 1) })
		s.check(goes.name()+".docker.", dns.TypeA, nodata) // for a while it stays, without an address

		comes := e.run(t, "--network", network)
		eventually(t, func() error { return s.agrees(e.inspect(t, comes)) })
		e.do(t, "rm", "-f", goes.ID, comes) // each one more takes the engine's start some time
	}
	sent, wrong := load.stop()
	slices.Sort(right)
	t.Logf("%d restarts: right again after the engine's first answer within %v (median), %v (max); %d questions about what stayed, %d answered wrongly or not at all",
		*restarts, right[len(right)/2].Round(time.Millisecond), right[len(right)-1].Round(time.Millisecond), sent, len(wrong))
	if len(wrong) > 0 {
		t.Errorf("%s", strings.Join(wrong[:min(len(wrong), 10)], "; "))
	}
}

func addrs4(c inspection) []string {
	v4, _ := c.addrs()
	return v4
}

// Started before there is an engine, coredns serves what else it has, says once what is
// wrong, and takes up the work when the engine comes.
func TestStartBeforeEngine(t *testing.T) {
	t.Parallel()
	e := newEngine(t, liveRestore)
	up := startUpstream(t)
	s := launch(t, config{Body: "docker docker. {\nendpoint " + e.host + "\n}\nforward . " + up.addr})
	eventually(t, func() error {
		_, err := rig.Ask("udp", s.Addr, "example.org", dns.TypeA)
		return err
	})
	s.check("example.org.", dns.TypeA, exampleOrg)
	s.check("first.docker.", dns.TypeA, dns.RcodeToString[dns.RcodeServerFailure]) // it may exist
	s.check("docker.", dns.TypeNS, "ns.dns.docker.")                               // this does
	if err := s.isReady(); err == nil || !strings.Contains(err.Error(), fmt.Sprint(http.StatusServiceUnavailable)) {
		t.Errorf("ready endpoint: got %v, want %d", err, http.StatusServiceUnavailable)
	}
	eventually(t, func() error {
		if n := len(s.Log.Lines(e.Socket())); n != 1 {
			return fmt.Errorf("%d lines of log about %s, want one", n, e.Socket())
		}
		return nil
	})
	t.Log(s.Log.Lines(e.Socket()))

	e.start()
	begin := time.Now()
	eventually(t, s.isReady)
	t.Logf("ready %v after the engine's first answer", time.Since(begin).Round(time.Millisecond))
	id := e.run(t, "--network", e.populate(), "--name", "first")
	eventually(t, func() error { return s.agrees(e.inspect(t, id)) })
}
