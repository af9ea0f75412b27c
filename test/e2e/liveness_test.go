package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	dockerclient "github.com/docker/docker/client"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// service starts containers with one host name, whose addresses it returns by ID.
func service(t *testing.T, hostname string, n int, program ...string) (ids []string, addrs []string) {
	t.Helper()
	for range n {
		id := machine.runAs(t, []string{"--hostname", hostname}, program...)
		ids, addrs = append(ids, id), append(addrs, machine.addr(t, id))
	}
	return ids, addrs
}

// moment waits for an event of a container in the background. Its result is the event's
// own time.
func moment(t *testing.T, id, action string) func() time.Time {
	t.Helper()
	api, err := dockerclient.NewClientWithOpts(dockerclient.FromEnv, dockerclient.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	messages, errs := api.Events(ctx, events.ListOptions{Filters: filters.NewArgs(filters.Arg("container", id), filters.Arg("event", action))})
	return func() time.Time {
		defer api.Close()
		defer cancel()
		select {
		case m := <-messages:
			return time.Unix(0, m.TimeNano)
		case err := <-errs:
			t.Fatalf("waiting for %s of %.12s: %v", action, id, err)
			return time.Time{}
		}
	}
}

// A service leaves its ill containers out while it has well ones.
func TestHealth(t *testing.T) {
	t.Parallel()
	prefer := serve(t, config{Body: "docker docker.\ncache"})
	require := serve(t, config{Body: "docker docker. {\nhealth require\n}\ncache"})
	hostname := "svc-" + suffix()
	name := hostname + ".docker."
	var ids, addrs []string
	for range 3 {
		id := runConfigured(t, "ill-"+suffix(), "", &container.Config{Image: image, Hostname: hostname, Healthcheck: &container.HealthConfig{
			Test: []string{"CMD", "/image", "health"}, Interval: 500 * time.Millisecond, Retries: 1,
		}})
		ids, addrs = append(ids, id), append(addrs, machine.addr(t, id))
	}
	both := func(want ...string) {
		t.Helper()
		prefer.soon(name, dns.TypeA, want...)
		require.soon(name, dns.TypeA, want...)
	}
	both(addrs...)
	for i, id := range ids {
		unhealthy := moment(t, id, "health_status")
		eventually(t, func() error { // the first result may be of a check before
			_, err := machine.output("exec", id, "/image", "sicken")
			return err
		})
		checkHealth(t, id)
		if i == 2 {
			prefer.soon(name, dns.TypeA, addrs...) // none is well: all
			require.soon(name, dns.TypeA, nodata)
			break
		}
		both(addrs[i+1:]...)
		if i == 0 {
			t.Logf("two answers %v after the first health event", time.Since(unhealthy()))
		}
	}
	machine.do(t, "exec", ids[0], "/image", "heal")
	checkHealth(t, ids[0])
	both(addrs[0])
}

// checkHealth sees to it that the container's health check is run. Docker does so by itself; Podman (5.4)
// leaves it to timers of systemd, without which somebody must ask for it.
func checkHealth(t *testing.T, id string) {
	t.Helper()
	if podman {
		podmanCall(t, http.MethodGet, "containers/"+id+"/healthcheck", nil)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Body: "docker docker.\ncache"})
	hostname := "svc-" + suffix()
	name := hostname + ".docker."
	ids, addrs := service(t, hostname, 3, image)
	s.soon(name, dns.TypeA, addrs...)
	paused := moment(t, ids[0], "pause")
	machine.do(t, "pause", ids[0])
	s.soon(name, dns.TypeA, addrs[1:]...)
	t.Logf("two answers at most %v after the pause's event", time.Since(paused()))
	machine.do(t, "unpause", ids[0])
	s.soon(name, dns.TypeA, addrs...)
}

// A stop signal takes a container out of its service at once, though it lives on. Of Podman's no event
// tells (5.4), but its inspect does: there the container leaves at the next reconciliation.
func TestStopSignal(t *testing.T) {
	t.Parallel()
	body := "docker docker.\ncache"
	if podman {
		body = "docker docker. {\nresync 1s\n}\ncache"
	}
	s := serve(t, config{Body: body})
	hostname, alone := "svc-"+suffix(), "alone-"+suffix()
	name := hostname + ".docker."
	ids, addrs := service(t, hostname, 3, image, "stubborn")
	single := machine.runAs(t, []string{"--name", alone}, image, "stubborn")
	only := machine.addr(t, single)
	s.soon(name, dns.TypeA, addrs...)

	var stops sync.WaitGroup
	signal := time.Now
	if !podman {
		signal = moment(t, ids[0], "kill")
	}
	for _, id := range []string{ids[0], single} {
		stops.Go(func() {
			if out, err := machine.output("stop", "-t", "10", id); err != nil {
				t.Errorf("docker stop: %v: %s", err, out)
			}
		})
	}
	at := signal()
	s.soon(name, dns.TypeA, addrs[1:]...)
	t.Logf("two answers at most %v after the signal's event", time.Since(at))
	for _, id := range []string{ids[0], single} {
		if machine.inspect(t, id).State.Pid == 0 { // not State.Running: Podman (5.4) has that false from the signal on
			t.Errorf("%.12s has ended before its grace period", id)
		}
	}
	s.check(alone+".docker.", dns.TypeA, only) // the only one stays until it dies
	stops.Wait()
	s.soon(alone+".docker.", dns.TypeA, nodata)
	s.check(name, dns.TypeA, addrs[1:]...)
}

// While a container restarts its name exists, and nobody else is asked for it. Once it is
// gone for good, that ends.
func TestHold(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	const hold = 15 * time.Second // a restart takes seconds on a busy machine
	s := serve(t, config{Body: fmt.Sprintf("docker docker. {\nhold %v\nfallthrough\n}\ncache\nforward . %s", hold, up.addr)})
	name := "web-" + suffix()
	fqdn := name + ".docker."
	id := machine.run(t, "--name", name)
	before := machine.addr(t, id)
	s.soon(fqdn, dns.TypeA, before)
	early := up.count(fqdn) // where the start is told late

	ctx, cancel := context.WithCancel(t.Context())
	seen := map[string]int{}
	var asking sync.WaitGroup
	asking.Go(func() {
		client := &rig.Asker{Server: s.Addr}
		defer client.Close()
		pace := time.NewTicker(2 * time.Millisecond) // the restart needs the processors too
		defer pace.Stop()
		for ctx.Err() == nil {
			<-pace.C
			m, err := client.Ask(fqdn, dns.TypeA)
			if err != nil {
				t.Errorf("during the restart: %v", err)
				return
			}
			seen[outcome(m)]++
		}
	})
	machine.do(t, "restart", "-t", "1", id)
	after := machine.addr(t, id)
	s.soon(fqdn, dns.TypeA, after)
	cancel()
	asking.Wait()
	t.Logf("during the restart: %v", seen)
	for got := range seen {
		if got != before && got != after && got != nodata {
			t.Errorf("during the restart: %s", got)
		}
	}
	if n := up.count(fqdn) - early; n != 0 {
		t.Errorf("upstream was asked %d times during the restart", n)
	}

	machine.do(t, "rm", "-f", id)
	s.soon(fqdn, dns.TypeA, nodata)
	within(t, hold+patience, func() error {
		if err := s.wants(fqdn, dns.TypeA, nxdomain); err != nil {
			return err
		}
		if up.count(fqdn) == early {
			return fmt.Errorf("upstream was not asked after the hold")
		}
		return nil
	})
}
