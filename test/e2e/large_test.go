package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	dockerclient "github.com/docker/docker/client"
	"github.com/docker/go-connections/nat"
	"github.com/miekg/dns"
)

// Containers of which the engine says as much as it takes, and whose health it checks each second, cost others nothing: neither
// the time in which others' starts are answered, nor memory. Not parallel: it measures.
func TestLargeContainers(t *testing.T) {
	if podman {
		t.Skip("Podman's service (5.4.2) crashes when it reads an event, which has the labels, of which only a part is written yet")
	}
	api, err := dockerclient.NewClientWithOpts(dockerclient.FromEnv, dockerclient.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	s := serve(t, config{Body: "docker " + zones})
	// start returns the time from a container's start to its name's answer.
	start := func() time.Duration {
		t.Helper()
		name := "small-" + suffix()
		id := machine.do(t, "create", "--name", name, image)
		t.Cleanup(func() { machine.output("rm", "-f", id) })
		if err := api.ContainerStart(t.Context(), id, container.StartOptions{}); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		addr := ""
		eventually(t, func() error {
			if addr = outcome(s.ask(name+".docker.", dns.TypeA)); strings.Count(addr, ".") != 3 {
				return fmt.Errorf("%s: got %s", name, addr)
			}
			return nil
		})
		took := time.Since(begin)
		if want := machine.addr(t, id); addr != want {
			t.Errorf("%s: got %s, want %s", name, addr, want)
		}
		return took
	}
	median := func() time.Duration {
		t.Helper()
		var all []time.Duration
		for range 7 {
			all = append(all, start())
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	usual, before := median(), s.value("process_resident_memory_bytes")

	front := machine.network(t)
	make := func(name string, c container.Config, on map[string]*network.EndpointSettings) (id string) {
		t.Helper()
		c.Image, c.Hostname = image, name
		c.Healthcheck = &container.HealthConfig{Test: []string{"CMD", "/image", "health"}, Interval: time.Second}
		made, err := api.ContainerCreate(t.Context(), &c, nil, &network.NetworkingConfig{EndpointsConfig: on}, nil, name+"-"+suffix())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { machine.output("rm", "-f", made.ID) })
		if err := api.ContainerStart(t.Context(), made.ID, container.StartOptions{}); err != nil {
			t.Fatal(err)
		}
		return made.ID
	}
	var aliases []string
	ports := nat.PortSet{}
	for i := range 50000 {
		aliases = append(aliases, fmt.Sprint("alias-number-", i))
		ports[nat.Port(fmt.Sprint(i+1, "/tcp"))] = struct{}{}
		ports[nat.Port(fmt.Sprint(i+1, "/udp"))] = struct{}{}
	}
	large := []string{
		make("aliases", container.Config{}, map[string]*network.EndpointSettings{front: {Aliases: aliases}}),
		make("label", container.Config{Labels: map[string]string{"much": strings.Repeat("x", 10<<20)}}, nil),
		make("ports", container.Config{ExposedPorts: ports}, nil),
	}
	s.soon("alias-number-0.docker.", dns.TypeA, onNetwork(t, large[0], front))
	eventually(t, func() error {
		if n := len(s.Log.Lines(machine.inspect(t, large[1]).shortID() + " is left out")); n != 1 {
			return fmt.Errorf("%d lines tell who is left out, want one", n)
		}
		return nil
	})
	for _, id := range large { // each is looked at again and again
		for range 3 {
			machine.do(t, "rename", id, "renamed-"+suffix())
		}
	}
	beside := median()
	for range 2 { // the machine may have been busier than before
		if beside > usual+50*time.Millisecond {
			beside = min(beside, median())
		}
	}
	grown := s.value("process_resident_memory_bytes") - before
	t.Logf("a start is answered after %v, beside large containers after %v; memory grew by %.1f MiB", usual, beside, grown/(1<<20))
	if beside > usual+50*time.Millisecond {
		t.Errorf("a start is answered after %v beside large containers, after %v without", beside, usual)
	}
	if grown > 32<<20 {
		t.Errorf("memory grew by %.1f MiB, want 32 at most", grown/(1<<20))
	}
}
