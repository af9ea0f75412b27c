package e2e

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// Networks in Docker's gateway modes are reached from elsewhere, or not even from the host: every address that is given is
// reached by TCP, and where none is given of a container that the asker has a way to, it is not.
func TestGatewayModes(t *testing.T) {
	t.Parallel()
	if podman || machine.do(t, "version", "-f", "{{.Server.Version}}") < "27" {
		t.Skip("the engine has no gateway modes: they are Docker's from 27 on")
	}
	const mode = "com.docker.network.bridge.gateway_mode_ipv4="
	networks := map[string]string{
		"routed": machine.network(t, "--opt", mode+"routed"), "unprotected": machine.network(t, "--opt", mode+"nat-unprotected"),
		"isolated": machine.network(t, "--internal", "--opt", mode+"isolated", "--opt", "com.docker.network.bridge.gateway_mode_ipv6=isolated"),
	}
	other, lan := machine.network(t), newLAN(t)
	gateway := machine.gateway(t, other).String()
	s := serve(t, config{IP: gateway, Also: lan.Host.String(), Body: "docker " + zones + " {\npublish\n}\ncache"})
	_, port, _ := net.SplitHostPort(s.Addr)

	places := map[string]place{
		"the host": {}, "the LAN": {netns: "/var/run/netns/" + lan.Netns, at: net.JoinHostPort(lan.Host.String(), port)},
		"on another network": inside(t, machine.run(t, "--network", other)),
		"on routed":          inside(t, machine.run(t, "--network", networks["routed"])),
		"on unprotected":     inside(t, machine.run(t, "--network", networks["unprotected"])),
	}
	var tries sync.WaitGroup // of what takes until its time is out
	all := []string{"the host", "the LAN", "on another network", "on routed", "on unprotected"}
	for what, c := range map[string]struct {
		network string
		options []string
		own     []string // who is given its own address
		host    []string // who is given the host's
	}{
		"routed":                 {"routed", nil, []string{"the host", "on routed"}, nil},
		"routed, published":      {"routed", []string{"-p", "80"}, all, nil},
		"routed, on one address": {"routed", []string{"-p", "127.0.0.1::80"}, all, nil}, // which does not count there
		"unprotected":            {"unprotected", nil, []string{"the host", "the LAN", "on unprotected"}, nil},
		"unprotected, published": {"unprotected", []string{"-p", "80"}, []string{"the host", "the LAN", "on unprotected"}, []string{"on another network", "on routed"}},
		"isolated":               {"isolated", []string{"-p", "80"}, nil, nil},
	} {
		options := append([]string{"--network", networks[c.network]}, c.options...)
		s.reaches(t, &tries, what, options, places, c.own, c.host)
	}
	tries.Wait()
	// Who is on the isolated network reaches its neighbours, and nobody else.
	id := machine.runAs(t, []string{"--network", networks["isolated"]}, image, "http", ":80")
	inside(t, machine.run(t, "--network", networks["isolated"])).meets(t, machine.addr(t, id), "80", id)
}

// reaches checks that those who ask for a container with these options from its own places are given its own address, or the
// host's, and meet it there, and that the others are given none and have no way to it. That takes until their time is out.
func (s *server) reaches(t *testing.T, tries *sync.WaitGroup, what string, options []string, places map[string]place, own, host []string) {
	t.Helper()
	name := "web-" + suffix()
	id := machine.runAs(t, append([]string{"--name", name, "--expose", "80"}, options...), image, "http", ":80")
	ip := machine.addr(t, id)
	s.soon(name+".docker.", dns.TypeTXT, nodata) // it is known
	inside(t, id).meets(t, ip, "80", id)         // it listens
	for who, p := range places {
		if p.at == "" {
			p.at = s.Addr
		}
		got := p.ask(t, name+".docker.", dns.TypeA)
		srv := p.ask(t, "_http._tcp."+name+".docker.", dns.TypeSRV)
		t.Logf("%s: %s is given %s, %s", what, who, got, srv)
		switch {
		case slices.Contains(own, who):
			if got != ip {
				t.Errorf("%s: %s is given %s, want %s", what, who, got, ip)
			}
			p.meets(t, ip, "80", id)
		case slices.Contains(host, who):
			if got == ip || net.ParseIP(got) == nil {
				t.Errorf("%s: %s is given %s, want the host's address", what, who, got)
			}
			p.meets(t, got, strings.Fields(srv)[2], id)
		default:
			if got != nodata {
				t.Errorf("%s: %s is given %s", what, who, got)
			}
			tries.Go(func() {
				if p.hasWay(t, ip, "80", id[:12]) {
					t.Errorf("%s: %s is given nothing, and reaches %s", what, who, ip)
				}
			})
		}
	}
}

// Podman's networks reach each other, but for isolated ones: all that are made by Docker's API, as Compose does, are.
func TestPodmanIsolate(t *testing.T) {
	t.Parallel()
	if !podman {
		t.Skip("the engine is Docker")
	}
	network := func(options map[string]string) (name string) {
		name = "net-" + suffix()
		podmanCall(t, http.MethodPost, "networks/create", map[string]any{
			"name": name, "driver": "bridge", "dns_enabled": false, "options": options, "labels": map[string]string{rig.Mark: theRun.ID},
		})
		t.Cleanup(func() { machine.output("network", "rm", name) })
		return name
	}
	networks := map[string]string{
		"plain": network(nil), "isolated": network(map[string]string{"isolate": "true"}), "strict": network(map[string]string{"isolate": "strict"}),
		"by Docker's API": machine.network(t), "internal": machine.network(t, "--internal"),
	}
	other := network(nil)
	s := serve(t, config{IP: machine.gateway(t, other).String(), Body: "docker " + zones + "\ncache"})
	places := map[string]place{"the host": {}, "on another": inside(t, machine.run(t, "--network", other))}
	for name, n := range networks {
		if name != "internal" { // from there nothing leads to the server
			places["on "+name] = inside(t, machine.run(t, "--network", n))
		}
	}
	var tries sync.WaitGroup
	free := []string{"the host", "on another", "on plain"}
	for name, own := range map[string][]string{
		"plain":    append([]string{"on isolated", "on by Docker's API"}, free...),
		"isolated": append([]string{"on isolated"}, free...), "by Docker's API": append([]string{"on by Docker's API"}, free...),
		"strict": {"the host", "on strict"}, "internal": {"the host"},
	} {
		s.reaches(t, &tries, name, []string{"--network", networks[name]}, places, own, nil)
	}
	tries.Wait()
}
