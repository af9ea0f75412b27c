package e2e

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
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
		name := "web-" + suffix()
		id := machine.runAs(t, append([]string{"--name", name, "--network", networks[c.network], "--expose", "80"}, c.options...), image, "http", ":80")
		ip := machine.addr(t, id)
		s.soon("_http._tcp."+name+".docker.", dns.TypeTXT, nodata) // it is known
		given := map[string]string{}
		for _, who := range c.own {
			given[who] = "own"
		}
		for _, who := range c.host {
			given[who] = "host"
		}
		inside(t, id).meets(t, ip, "80", id) // it listens
		for who, p := range places {
			if p.at == "" {
				p.at = s.Addr
			}
			got := p.ask(t, name+".docker.", dns.TypeA)
			srv := p.ask(t, "_http._tcp."+name+".docker.", dns.TypeSRV)
			t.Logf("%s: %s is given %s, %s", what, who, got, srv)
			switch given[who] {
			case "own":
				if got != ip {
					t.Errorf("%s: %s is given %s, want %s", what, who, got, ip)
				}
				p.meets(t, ip, "80", id)
			case "host":
				if got == ip || net.ParseIP(got) == nil {
					t.Errorf("%s: %s is given %s, want the host's address", what, who, got)
				}
				p.meets(t, got, strings.Fields(srv)[2], id)
			default:
				if got != nodata {
					t.Errorf("%s: %s is given %s", what, who, got)
				}
				tries.Go(func() {
					if met := p.answers(t, ip, "80"); met == id[:12] {
						t.Errorf("%s: %s is given nothing, and reaches %s", what, who, ip)
					}
				})
			}
		}
	}
	tries.Wait()
	// Who is on the isolated network reaches its neighbours, and nobody else.
	id := machine.runAs(t, []string{"--network", networks["isolated"]}, image, "http", ":80")
	inside(t, machine.run(t, "--network", networks["isolated"])).meets(t, machine.addr(t, id), "80", id)
}
