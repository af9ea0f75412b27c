package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// inSwarm has the machine's engine in a Swarm, which is one of this node alone if the engine is in none. It returns the engine's
// address on docker_gwbridge.
func inSwarm(t *testing.T) (gateway string) {
	t.Helper()
	if podman {
		t.Skip("Podman has no Swarm")
	}
	switch state := machine.do(t, "info", "-f", "{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}"); state {
	case "inactive false":
		if out, err := machine.output("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1"); err != nil {
			t.Skipf("no Swarm here: %s", out)
		}
		machine.do(t, "node", "update", "--label-add", theRun.Label(), machine.do(t, "info", "-f", "{{.Swarm.NodeID}}"))
		t.Cleanup(theRun.LeaveSwarm)
	case "active true":
	default:
		t.Skipf("the engine is in a Swarm that others manage: %s", state)
	}
	eventually(t, func() (err error) { // it comes with the Swarm's own networks
		gateway, err = machine.output("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "docker_gwbridge")
		return err
	})
	return gateway
}

// overlay makes an overlay network. The test is skipped where the kernel has none, which shows when a container joins it.
func overlay(t *testing.T, options ...string) (name string) {
	t.Helper()
	name = machine.network(t, append([]string{"--driver", "overlay", "--attachable"}, options...)...)
	if out, err := machine.output("run", "--rm", "--network", name, image, "resolve"); err != nil {
		t.Skipf("no overlay networks here: %s", out)
	}
	return name
}

// onGateway is the container's address on docker_gwbridge, "" if it has none.
func onGateway(t *testing.T, id string) string {
	t.Helper()
	addr, _, _ := strings.Cut(machine.do(t, "network", "inspect", "-f", `{{range $id, $c := .Containers}}{{if eq $id "`+id+`"}}{{$c.IPv4Address}}{{end}}{{end}}`, "docker_gwbridge"), "/")
	return addr
}

// Who is on overlay networks is reached by its host on docker_gwbridge, and known by its address there when it asks.
func TestOverlay(t *testing.T) {
	gateway := inSwarm(t)
	over, inner, bridge := overlay(t), overlay(t, "--internal"), machine.network(t)
	open := serve(t, config{IP: gateway, Port: 53, Also: machine.gateway(t, bridge).String(), Body: "docker " + zones + "\ncache"})
	isolated := serve(t, config{IP: gateway, Body: "docker " + zones + " {\nisolate\n}\ncache"})

	run := func(network string) (id, name string) {
		name = "web-" + suffix()
		id = machine.runAs(t, []string{"--name", name, "--network", network, "--dns", gateway, "--expose", "80"}, image, "http", ":80")
		return id, name + ".docker."
	}
	web, webName := run(over)
	neighbour, neighbourName := run(over)
	hidden, hiddenName := run(inner)
	_, plainName := run(bridge)
	plain := machine.run(t, "--network", bridge)
	onOver, onGW := onNetwork(t, web, over), onGateway(t, web)
	if onGW == "" || onGateway(t, hidden) != "" {
		t.Fatalf("on docker_gwbridge are web %q, hidden %q", onGW, onGateway(t, hidden))
	}
	for _, s := range []*server{open, isolated} {
		s.soon(webName, dns.TypeA, onGW)
		s.soon(hiddenName, dns.TypeA, nodata)
		s.check(reverse(t, onGW), dns.TypePTR, webName)
		s.check(reverse(t, onOver), dns.TypePTR, webName)
		s.soon(neighbourName, dns.TypeA, onGateway(t, neighbour))
	}
	place{}.meets(t, onGW, "80", web)
	inside(t, neighbour).meets(t, onOver, "80", web)
	for what, c := range map[string]struct {
		s                *server
		who, asked, want string
	}{
		"a neighbour":                     {open, neighbour, webName, onOver},
		"itself":                          {open, web, webName, onOver},
		"who is on a bridge":              {open, plain, webName, nodata},
		"a neighbour asks for a bridge's": {open, neighbour, plainName, nodata},
		"a neighbour, isolated":           {isolated, neighbour, webName, onOver},
		"itself, isolated":                {isolated, web, webName, onOver},
		"who is on another overlay":       {isolated, neighbour, hiddenName, nxdomain},
		"a bridge's, isolated":            {isolated, neighbour, plainName, nxdomain},
		"who is on a bridge, isolated":    {isolated, plain, webName, nxdomain},
	} {
		qtype := dns.TypeA
		if strings.HasSuffix(c.asked, ".arpa.") {
			qtype = dns.TypePTR
		}
		if got := c.s.from(t, c.who, c.asked, qtype); got != c.want {
			t.Errorf("%s: %.12s asks for %s: %s, want %s", what, c.who, c.asked, got, c.want)
		}
	}
	if got := machine.ask(neighbour, "", webName); got != onOver {
		t.Errorf("a neighbour, by its own resolver: %s, want %s", got, onOver)
	}

	// With a bridge it has a gateway there, and none on docker_gwbridge.
	machine.do(t, "network", "connect", bridge, web)
	open.soon(webName, dns.TypeA, onNetwork(t, web, bridge))
	open.soon(reverse(t, onGW), dns.TypePTR, nxdomain)
	machine.do(t, "network", "disconnect", bridge, web)
	open.soon(webName, dns.TypeA, onGateway(t, web))
	machine.do(t, "restart", "-t", "0", web)
	open.soon(webName, dns.TypeA, onGateway(t, web))
	place{}.meets(t, onGateway(t, web), "80", web)
}

// Nobody is given an address on ingress, where published ports of services arrive; and who is on it shares no network by that.
func TestIngress(t *testing.T) {
	gateway := inSwarm(t)
	over := overlay(t)
	s := serve(t, config{IP: gateway, Body: "docker " + zones + " {\nisolate\n}\ncache"})
	asker := machine.run(t, "--network", over)
	task := func(options ...string) (id string) {
		name := "svc-" + suffix()
		machine.do(t, append(append([]string{"service", "create", "-q", "-d", "--no-resolve-image", "--stop-grace-period", "0s", "--name", name, "-p", "80"}, options...), image, "http", ":80")...)
		t.Cleanup(func() {
			machine.output("service", "rm", name)
			eventually(t, func() error {
				if out, err := machine.output("ps", "-aq", "--filter", "name="+name); err != nil || out != "" {
					return fmt.Errorf("service %s has containers still: %s %v", name, out, err)
				}
				return nil
			})
		})
		within(t, 3*patience, func() error {
			out, err := machine.output("ps", "-q", "--no-trunc", "--filter", "name="+name)
			if id = out; err == nil && id == "" {
				err = fmt.Errorf("service %s has no task: %s", name, machine.do(t, "service", "ps", "--no-trunc", name))
			}
			return err
		})
		return id
	}
	both, alone := task("--network", over), task()
	if onNetwork(t, both, "ingress") == "" || onNetwork(t, alone, "ingress") == "" {
		t.Fatal("the tasks are not on ingress")
	}
	for id, want := range map[string]string{both: onNetwork(t, both, over), alone: nxdomain} {
		name := id[:12] + ".docker."
		s.soon(name, dns.TypeA, onGateway(t, id))
		place{}.meets(t, onGateway(t, id), "80", id)
		s.check(reverse(t, onNetwork(t, id, "ingress")), dns.TypePTR, nxdomain)
		if got := s.from(t, asker, name, dns.TypeA); got != want {
			t.Errorf("a container on the overlay asks for %s: %s, want %s", name, got, want)
		}
	}
	inside(t, asker).meets(t, onNetwork(t, both, over), "80", both)
	// The other task is no neighbour by ingress.
	if got := s.from(t, alone, both[:12]+".docker.", dns.TypeA); got != nxdomain {
		t.Errorf("a task on ingress alone is given %s", got)
	}
}

// inside is where the container asks from.
func inside(t *testing.T, id string) place {
	t.Helper()
	return place{netns: fmt.Sprintf("/proc/%d/ns/net", machine.inspect(t, id).State.Pid)}
}

// meets checks that the container is met there.
func (p place) meets(t *testing.T, addr, port, id string) {
	t.Helper()
	eventually(t, func() error { // it may not listen yet
		if got := p.answers(t, addr, port); got != id[:12] {
			return fmt.Errorf("%.12s is not met at %s, but %q", id, net.JoinHostPort(addr, port), got)
		}
		return nil
	})
}
