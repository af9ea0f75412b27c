package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A container that ends as soon as it has started, and waits longer and longer for its next start, has no address while it
// waits: not from who saw it end, nor from who comes later or looks anew each second.
func TestRestartBackOff(t *testing.T) {
	t.Parallel()
	if podman {
		t.Skip("Podman (5.4) starts it anew at once, and never waits")
	}
	const body = "docker docker. {\nresync 1s\n}"
	servers := []*server{serve(t, config{Body: body})}
	for _, network := range []string{"bridge", "host"} {
		name := "crash-" + suffix()
		id := machine.runAs(t, []string{"--name", name, "--network", network, "--restart", "always"}, image, "nonsense")
		eventually(t, func() error {
			if c := machine.inspect(t, id); !c.State.Restarting || c.State.FinishedAt.Sub(c.State.StartedAt) > time.Minute {
				return fmt.Errorf("the container is %+v", c.State)
			}
			return nil
		})
		servers = append(servers[:1], serve(t, config{Body: body}))
		answers := 0
		within(t, 6*patience, func() error {
			before := machine.inspect(t, id).State
			known := before.Restarting && time.Since(before.FinishedAt) > time.Second // it waits long enough for the servers to know
			var got []string
			for _, s := range servers {
				got = append(got, outcome(s.ask(name+".docker.", dns.TypeA)))
			}
			if known && machine.inspect(t, id).State == before {
				for i, got := range got {
					if got != nodata && got != nxdomain {
						t.Fatalf("%s waits to be restarted, server %d answers %s", network, i, got)
					}
				}
				answers++
			}
			if answers < 20 {
				return fmt.Errorf("%d answers, want 20", answers)
			}
			return nil
		})
	}
}

// Who has joined another container's network stays in it when that one restarts, and nothing is to be reached there.
func TestJoinedBeforeRestart(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Body: "docker docker."})
	owner := machine.run(t, "--stop-timeout", "1")
	joined := "joined-" + suffix()
	id := machine.run(t, "--name", joined, "--network", "container:"+owner, "--stop-timeout", "1")
	name := joined + ".docker."
	s.soon(name, dns.TypeA, machine.addr(t, owner))
	machine.do(t, "restart", owner)
	s.soon(machine.inspect(t, owner).shortID()+".docker.", dns.TypeA, machine.addr(t, owner)) // as before the restart, most often
	s.soon(name, dns.TypeA, nodata)
	later := serve(t, config{Body: "docker docker."})
	later.check(name, dns.TypeA, nodata)
	machine.do(t, "restart", id)
	for _, s := range []*server{s, later} {
		s.soon(name, dns.TypeA, machine.addr(t, owner))
	}
}

// Only the stop signal and KILL tell of a stop, and a container that goes on all the same counts again.
func TestSignals(t *testing.T) {
	t.Parallel()
	if podman {
		t.Skip("of signals Podman (5.4) tells nothing")
	}
	s := serve(t, config{Body: "docker docker."})
	hostname := "svc-" + suffix()
	name := hostname + ".docker."
	_, addrs := service(t, hostname, 1, image)
	id := machine.runAs(t, []string{"--hostname", hostname, "--stop-timeout", "1"}, image, "stubborn")
	both := append(addrs, machine.addr(t, id))
	s.soon(name, dns.TypeA, both...)

	told := moment(t, id, "kill")
	machine.do(t, "kill", "-s", "QUIT", id)
	told()
	marker := "marker-" + suffix() // what was told before is known when this is
	machine.run(t, "--name", marker)
	eventually(t, func() error { return s.wantsOne(marker + ".docker.") })
	s.check(name, dns.TypeA, both...)

	begin := time.Now()
	machine.do(t, "kill", "-s", "TERM", id)
	s.soon(name, dns.TypeA, addrs...)
	s.soon(name, dns.TypeA, both...)
	if took := time.Since(begin); took < 4*time.Second {
		t.Errorf("it counts again after %v, want 6 s", took)
	}
	serve(t, config{Body: "docker docker."}).check(name, dns.TypeA, both...)
}

// A container that is paused when the server starts has its name.
func TestPausedAtStart(t *testing.T) {
	t.Parallel()
	name := "paused-" + suffix()
	id := machine.run(t, "--name", name)
	machine.do(t, "pause", id)
	serve(t, config{Body: "docker docker."}).check(name+".docker.", dns.TypeA, machine.addr(t, id))
	machine.do(t, "unpause", id)
}

// wantsOne says whether a name has an address.
func (s *server) wantsOne(name string) error {
	if m := s.ask(name, dns.TypeA); len(m.Answer) != 1 {
		return fmt.Errorf("%s has %s, want an address", name, outcome(m))
	}
	return nil
}
