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

// The same by the engine's API, which returns sooner than the docker command.
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

func report(t *testing.T, what string, times []time.Duration) {
	t.Helper()
	slices.Sort(times)
	n := len(times)
	t.Logf("%s, %d times: median %v, p95 %v, max %v", what, n, times[n/2], times[n*95/100], times[n-1])
}
