package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// pollAll asks the server for A records of the names, for each every 5 ms, until the result is called. That returns what was
// answered to each, and how often.
func (s *server) pollAll(names ...string) (stop func() map[string]map[string]int) {
	s.t.Helper()
	done := make(chan struct{})
	end := sync.OnceFunc(func() { close(done) })
	s.t.Cleanup(end)
	answers := map[string]map[string]int{}
	var mu sync.Mutex // guards answers
	var asking sync.WaitGroup
	for _, name := range names {
		seen := map[string]int{}
		answers[name] = seen
		asking.Go(func() {
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			client := &rig.Asker{Server: s.Addr}
			defer client.Close()
			for {
				select {
				case <-done:
					return
				case <-pace.C:
				}
				m, err := client.Ask(name, dns.TypeA)
				got := fmt.Sprint(err)
				if err == nil {
					got = outcome(m)
					if got == nodata && m.Ns[0].Header().Ttl > 1 {
						got = fmt.Sprintf("%s for %d s", nodata, m.Ns[0].Header().Ttl)
					}
				}
				mu.Lock()
				seen[got]++
				mu.Unlock()
			}
		})
	}
	return func() map[string]map[string]int {
		end()
		asking.Wait()
		return answers
	}
}

// only checks that nothing was answered but what is wanted.
func only(t *testing.T, what string, answers map[string]map[string]int, want ...string) {
	t.Helper()
	for name, seen := range answers {
		t.Logf("%s: %s: %v", what, name, seen)
		for got, n := range seen {
			ok := got == nodata
			for _, w := range want {
				ok = ok || got == w
			}
			if !ok {
				t.Errorf("%s: %s was answered %d times with %s", what, name, n, got)
			}
		}
	}
}

// All of a container's names, its aliases too, exist without a gap while it restarts and for a while after its end, whatever an
// engine tells of it first; nobody else is asked for them, and no resolver keeps it for long that they have no address.
func TestHoldOfAllNames(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	network := machine.network(t)
	s := serve(t, config{Body: "docker docker. . {\nhold 1m\nresync 1s\n}\nforward . " + up.addr})
	name, alias, host := "web-"+suffix(), "alias-"+suffix(), "host-"+suffix()
	run := func() (id, addr string) {
		id = machine.run(t, "--name", name, "--network", network, "--network-alias", alias, "--hostname", host, "--stop-timeout", "1")
		return id, machine.addr(t, id)
	}
	id, addr := run()
	names := []string{name + ".docker.", host + ".docker.", alias + ".docker.", alias + "." + network + ".docker.", alias + ".", host + "."}
	for _, n := range names {
		s.soon(n, dns.TypeA, addr)
	}
	early := map[string]int{}
	for _, n := range names {
		early[n] = up.count(n)
	}

	stop := s.pollAll(names...)
	machine.do(t, "restart", id)
	next := machine.addr(t, id)
	for _, n := range names {
		s.soon(n, dns.TypeA, next)
	}
	only(t, "restart", stop(), addr, next)

	stop = s.pollAll(names...)
	machine.do(t, "stop", id)
	for _, n := range names {
		s.soon(n, dns.TypeA, nodata)
	}
	machine.do(t, "rm", id)
	id, addr = run()
	for _, n := range names {
		s.soon(n, dns.TypeA, addr)
	}
	machine.do(t, "rm", "-f", id)
	for _, n := range names {
		s.soon(n, dns.TypeA, nodata)
	}
	only(t, "stop, rm and run", stop(), next, addr)
	for _, name := range names {
		if n := up.count(name) - early[name]; n != 0 {
			t.Errorf("upstream was asked %d times for %s", n, name)
		}
	}
}

// A network that a running container leaves takes the address at once, and the alias with it.
func TestDisconnectedAlias(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Body: "docker docker. {\nhold 1m\n}"})
	network, alias := machine.network(t), "alias-"+suffix()
	id := machine.run(t)
	machine.do(t, "network", "connect", "--alias", alias, network, id)
	eventually(t, func() error { return s.wantsOne(alias + ".docker.") })
	machine.do(t, "network", "disconnect", network, id)
	s.soon(alias+".docker.", dns.TypeA, nxdomain)
}

// Compose makes containers anew: it removes a service's old container before it starts the new one, and starts that only when
// those that it depends on are healthy, which takes longer than hold. The other service, which has the container's name as an
// alias, does not get it meanwhile.
func TestComposeRecreates(t *testing.T) {
	t.Parallel()
	if podman {
		t.Skip("Podman (5.4) runs no health checks by itself, for which Compose waits")
	}
	s := serve(t, config{Body: "docker docker. {\nhold 8s\n}"})
	app, db := "app"+suffix(), "db"+suffix()
	path := filepath.Join(t.TempDir(), "compose.yaml")
	p := &project{t: t, name: "shop" + suffix()}
	p.command = append(rig.Compose(), "-p", p.name, "-f", path)
	up := func(version int) map[string]string { // returns the services' addresses
		t.Helper()
		file := fmt.Sprintf(`services:
  %[1]s:
    image: %[3]s
    hostname: host%[1]s
    container_name: box%[1]s
    stop_grace_period: 1s
    environment: { VERSION: "%[4]d" }
    networks: { default: { aliases: [alias%[1]s] } }
    depends_on: { %[2]s: { condition: service_healthy } }
  %[2]s:
    image: %[3]s
    stop_grace_period: 1s
    environment: { VERSION: "%[4]d" }
    networks: { default: { aliases: [box%[1]s] } }
    healthcheck: { test: [CMD, /image, health], interval: 10s, retries: 1 }
networks: { default: { labels: { %[5]s: %[6]q } } }
`, app, db, image, version, rig.Mark, theRun.ID)
		if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
		p.do("up", "-d")
		addrs := map[string]string{}
		for _, service := range []string{app, db} {
			for _, c := range p.containers(service) {
				addrs[service] = machine.addr(t, c.ID)
			}
		}
		return addrs
	}
	t.Cleanup(func() { p.do("down", "--timeout", "1") })
	before := up(1)
	names := map[string][]string{
		app: {app, app + "." + p.name, app + "." + p.name + "-default", "alias" + app, "host" + app, "box" + app},
		db:  {db, db + "." + p.name, db + "." + p.name + "-default"},
	}
	stops := map[string]func() map[string]map[string]int{}
	for service := range names {
		for i := range names[service] {
			names[service][i] += ".docker."
			s.soon(names[service][i], dns.TypeA, before[service])
		}
		stops[service] = s.pollAll(names[service]...)
	}
	after := up(2)
	for service := range names {
		for _, name := range names[service] {
			s.soon(name, dns.TypeA, after[service])
		}
		only(t, "recreate", stops[service](), before[service], after[service])
	}
	p.do("down", "--timeout", "1")
	for service := range names {
		for _, name := range names[service] {
			within(t, 2*patience, func() error { return s.wants(name, dns.TypeA, nxdomain) })
		}
	}
}
