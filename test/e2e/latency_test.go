package e2e

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/miekg/dns"
)

// Whoever has started a container can use its name: the first query is answered. Podman (5.4) must
// be asked first, and where that takes longer than a query waits, the query is too early.
// Not parallel: the figures are of an otherwise idle machine.
func TestFirstQuery(t *testing.T) {
	tries := 50
	if podman {
		tries = 20 // each takes a second
	}
	s := serve(t, config{Body: "docker " + zones})
	var first []time.Duration
	var ids []string
	t.Cleanup(func() { machine.output(append([]string{"rm", "-f"}, ids...)...) })
	var late []time.Duration
	for range tries {
		name := "first-" + suffix()
		id := machine.do(t, "run", "-d", "--name", name, image)
		returned := time.Now()
		ids = append(ids, id)
		answer := outcome(s.ask(name+".docker.", dns.TypeA))
		first = append(first, time.Since(returned))
		if answer == nxdomain {
			for outcome(s.ask(name+".docker.", dns.TypeA)) == nxdomain && time.Since(returned) < patience {
			}
			late = append(late, time.Since(returned))
			if !podman || len(late) > tries/2 { // without asking nearly all are too early
				t.Errorf("%s: the first query got %s; another %v after docker run did not", name, answer, time.Since(returned))
			}
		} else if want := machine.addr(t, id); answer != want {
			t.Errorf("%s: the first query got %s, want %s", name, answer, want)
		}
	}
	report(t, "docker run -d returned → first query answered", first)
	if len(late) > 0 {
		report(t, "… → another query answered, where the first was too early", late)
	}
}

// So can who asks for a host name or an alias, of which no event tells.
func TestFirstQueryForAlias(t *testing.T) {
	if podman {
		t.Skip("Podman tells of a start only some time after the command has returned")
	}
	s := serve(t, config{Body: "docker " + zones})
	network := machine.network(t)
	late := 0
	for i := range 20 {
		hostname, alias := "host-"+suffix(), "alias-"+suffix()
		id := machine.run(t, "--hostname", hostname, "--network", network, "--network-alias", alias)
		first := []string{hostname, alias}[i%2]
		answer := outcome(s.ask(first+".docker.", dns.TypeA))
		if answer == nxdomain { // the server had no processor in the moment in which it waits, or the engine none
			late++
			s.soon(first+".docker.", dns.TypeA, machine.addr(t, id))
		} else if want := machine.addr(t, id); answer != want {
			t.Errorf("%s: the first query got %s, want %s", first, answer, want)
		}
	}
	t.Logf("%d of 20 first queries were too early", late)
	if late > 2 {
		t.Errorf("%d of 20 first queries got %s", late, nxdomain)
	}
}

// The same for a container's name by the engine's API, which returns sooner than the docker command.
func TestStartLatency(t *testing.T) {
	s := serve(t, config{Body: "docker " + zones})
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	api.NegotiateAPIVersion(t.Context())

	var lags []time.Duration
	for range 20 {
		name := "api-" + suffix()
		id := machine.do(t, "create", "--name", name, image)
		t.Cleanup(func() { api.ContainerRemove(context.Background(), id, container.RemoveOptions{Force: true}) })
		if err := api.ContainerStart(t.Context(), id, container.StartOptions{}); err != nil {
			t.Fatal(err)
		}
		returned := time.Now()
		for outcome(s.ask(name+".docker.", dns.TypeA)) == nxdomain {
			if time.Since(returned) > patience {
				t.Fatalf("%s does not answer", name)
			}
		}
		lags = append(lags, time.Since(returned))
		s.check(name+".docker.", dns.TypeA, machine.addr(t, id))
	}
	report(t, "start call returned → name answers (a query's own time included)", lags)
}

// Containers that crash again and again keep nobody waiting who asks for other names. Events of a container that has run before
// tell which names it can have.
func TestCrashLoops(t *testing.T) {
	if podman {
		t.Skip("Podman is asked for each name that nobody has")
	}
	s := serve(t, config{Body: "docker " + zones})
	for range 6 {
		name := "crash-" + suffix()
		machine.runAs(t, []string{"--name", name, "--restart", "always"}, image, "crash")
		s.soon(name+".docker.", dns.TypeA, nodata)
	}
	const metric = "coredns_docker_arrival_waits_total"
	before, err := s.Metric(metric)
	if err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	for began := time.Now(); time.Since(began) < 5*time.Second; { // they start thrice and more meanwhile
		name := "random-" + suffix() + ".docker."
		asked := time.Now()
		s.check(name, dns.TypeA, nxdomain)
		took = append(took, time.Since(asked))
	}
	report(t, "a name that nobody has, while six containers crash", took)
	after, err := s.Metric(metric)
	if err != nil {
		t.Fatal(err)
	}
	if waits := after - before; waits > float64(len(took))/100 { // others may use the engine, and start what has not run before
		t.Errorf("%v of %d queries waited for a start", waits, len(took))
	}
}

func report(t *testing.T, what string, times []time.Duration) {
	t.Helper()
	slices.Sort(times)
	n := len(times)
	t.Logf("%s, %d times: median %v, p95 %v, max %v", what, n, times[n/2], times[n*95/100], times[n-1])
}
