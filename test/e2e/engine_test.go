package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The engine goes and comes again under a running coredns: what was known is served
// meanwhile, and afterwards what is.
func TestEngineRestart(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	e.start()
	network := e.populate()
	s := serve(t, config{body: "docker docker. 198.18.0.0/15 {\nendpoint " + e.host + "\n}"})
	stays := e.run(t, "--network", network, "--name", "stays")
	eventually(t, func() error { return s.agrees(e.inspect(t, stays)) })

	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Logf("ending the engine by %v", sig)
		goes := e.run(t, "--network", network, "--name", "goes-"+suffix())
		known := []inspection{e.inspect(t, stays), e.inspect(t, goes)}
		for _, c := range known {
			eventually(t, func() error { return s.agrees(c) })
		}

		e.end(sig)
		eventually(t, func() error { return s.wantMetric("coredns_docker_connected", 0) })
		syscall.Kill(known[1].State.Pid, syscall.SIGKILL) // nobody is told
		for _, c := range known {
			if err := s.agrees(c); err != nil {
				t.Errorf("while the engine is away: %v", err)
			}
		}

		e.start()
		begin := time.Now()
		for _, id := range []string{stays, goes} {
			eventually(t, func() error { return s.agrees(e.inspect(t, id)) })
		}
		t.Logf("right again %v after the engine's first answer", time.Since(begin).Round(time.Millisecond))
		eventually(t, func() error { return s.wantMetric("coredns_docker_connected", 1) })
		s.check(known[1].name()+".docker.", dns.TypeA, nodata) // for a while it stays, without an address

		comes := e.run(t, "--network", network)
		eventually(t, func() error { return s.agrees(e.inspect(t, comes)) })
	}
}

// Started before there is an engine, coredns serves what else it has, says once what is
// wrong, and takes up the work when the engine comes.
func TestStartBeforeEngine(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	up := startUpstream(t)
	s := launch(t, config{body: "docker docker. {\nendpoint " + e.host + "\n}\nforward . " + up.addr})
	eventually(t, func() error {
		_, err := exchange("udp", s.addr, "example.org", dns.TypeA)
		return err
	})
	s.check("example.org.", dns.TypeA, exampleOrg)
	s.check("first.docker.", dns.TypeA, dns.RcodeToString[dns.RcodeServerFailure]) // it may exist
	s.check("docker.", dns.TypeNS, "ns.dns.docker.")                               // this does
	if _, err := get(s.ready); err == nil || !strings.Contains(err.Error(), fmt.Sprint(http.StatusServiceUnavailable)) {
		t.Errorf("ready endpoint: got %v, want %d", err, http.StatusServiceUnavailable)
	}
	eventually(t, func() error {
		if n := len(s.log.lines(e.socket())); n != 1 {
			return fmt.Errorf("%d lines of log about %s, want one", n, e.socket())
		}
		return nil
	})
	t.Log(s.log.lines(e.socket()))

	e.start()
	begin := time.Now()
	eventually(t, s.isReady)
	t.Logf("ready %v after the engine's first answer", time.Since(begin).Round(time.Millisecond))
	id := e.run(t, "--network", e.populate(), "--name", "first")
	eventually(t, func() error { return s.agrees(e.inspect(t, id)) })
}
