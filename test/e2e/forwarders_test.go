package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// What is published and what has the host's network is at the host's addresses on the LAN, over whatever
// the LAN asks.
func TestPublishedFamilies(t *testing.T) {
	t.Parallel()
	lan := newLAN(t)
	v4, v6 := lan.Host.String(), lan.AddIPv6(t).String()
	s := serve(t, config{IP: "::", Body: "docker " + zones + " {\npublish\n}"})
	both, four, onHost := "b-"+suffix(), "f-"+suffix(), "h-"+suffix()
	network := machine.servedNetwork(t)
	machine.run(t, "--name", both, "--network", network, "-p", "80")
	machine.run(t, "--name", four, "--network", network, "-p", "0.0.0.0::81")
	machine.run(t, "--name", onHost, "--network", "host")
	on6 := nodata
	if strings.Contains(machine.do(t, "inspect", "-f", "{{json .NetworkSettings.Ports}}", both), `"::"`) {
		on6 = v6
	} else {
		t.Log("this engine publishes on IPv4 alone")
	}
	for _, c := range []struct{ name, a, aaaa string }{
		{both, v4, on6}, {four, v4, nodata}, {onHost, v4, v6}, {"ns.dns", v4, v6},
	} {
		eventually(t, func() error {
			if got := outcome(s.ask(c.name+".docker.", dns.TypeA)); got == nxdomain {
				return fmt.Errorf("%s is not known", c.name)
			}
			return nil
		})
		for _, at := range []string{v4, v6, rig.LinkLocal + "%eth0"} {
			for qtype, want := range map[uint16]string{dns.TypeA: c.a, dns.TypeAAAA: c.aaaa} {
				if got := lan.askAt(t, s, at, c.name+".docker.", qtype); got != want {
					t.Errorf("%s %s, asked at %s: %s, want %s", c.name, dns.TypeToString[qtype], at, got, want)
				}
			}
		}
	}
}

// runCoreDNS runs a coredns in a container with the files in its root, and returns its address.
func runCoreDNS(t *testing.T, network, corefile string, files ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Corefile")
	if err := os.WriteFile(file, []byte(corefile), 0o644); err != nil {
		t.Fatal(err)
	}
	id := machine.do(t, "create", "--label", theRun.Label(), "--network", network, "--entrypoint", "/coredns", image, "-conf", "/Corefile")
	t.Cleanup(func() { machine.output("rm", "-f", id) })
	for _, f := range append(files, file, binary) {
		machine.do(t, "cp", f, id+":/"+filepath.Base(f))
	}
	machine.do(t, "start", id)
	return machine.addr(t, id)
}

// Who asks through a resolver in between is elsewhere, and not the resolver's container or the host.
func TestForwarders(t *testing.T) {
	t.Parallel()
	lan := newLAN(t)
	network := machine.servedNetwork(t)
	gateway, loopback := machine.gateway(t, network).String(), ownLoopback()
	inside := runCoreDNS(t, network, ".:53 {\nforward . "+gateway+"\n}\n")
	s := serve(t, config{IP: gateway, Port: 53, Also: loopback + " " + lan.Host.String(), Body: "docker " + zones + " {\npublish\nforwarders " + inside + " 127.0.0.1\n}"})
	outside := serve(t, config{Body: "forward . " + loopback + ":53"})

	published, plain, onHost := "p-"+suffix(), "w-"+suffix(), "h-"+suffix()
	p := machine.run(t, "--name", published, "--network", network, "-p", "80")
	w := machine.run(t, "--name", plain, "--network", network)
	machine.run(t, "--name", onHost, "--network", "host")
	pub, web := machine.addr(t, p), machine.addr(t, w)
	s.soon(published+".docker.", dns.TypeA, pub) // from the host's address on the network
	s.soon(plain+".docker.", dns.TypeA, web)
	eventually(t, func() error {
		if got := lan.ask(t, s, onHost+".docker.", dns.TypeA); got != lan.Host.String() {
			return fmt.Errorf("%s, asked from the LAN: %s", onHost, got)
		}
		return nil
	})
	for where, forwarder := range map[string]string{"a container": net.JoinHostPort(inside, "53"), "the host": outside.Addr} {
		ask := func(name string, qtype uint16) string {
			t.Helper()
			var m *dns.Msg
			eventually(t, func() (err error) { m, err = rig.Ask("udp", forwarder, name, qtype); return err })
			return outcome(m)
		}
		if got := ask(plain+".docker.", dns.TypeA); got != nodata {
			t.Errorf("through a forwarder in %s: %s: %s, want %s", where, plain, got, nodata)
		}
		if got := ask(reverse(t, web), dns.TypePTR); got != plain+".docker." {
			t.Errorf("through a forwarder in %s: PTR: %s", where, got)
		}
		for _, name := range []string{published, onHost} {
			got := strings.Fields(ask(name+".docker.", dns.TypeA))
			has := map[string]bool{}
			for _, ip := range got {
				has[ip] = true
			}
			if !has[lan.Host.String()] || has[pub] || has[gateway] || has["127.0.0.1"] {
				t.Errorf("through a forwarder in %s: %s: %v, want the host's addresses beyond containers' networks, such as %s", where, name, got, lan.Host)
			}
		}
	}
	neighbour := machine.run(t, "--network", network)
	if got := s.from(t, neighbour, published+".docker.", dns.TypeA); got != pub {
		t.Errorf("a container that asks by itself: %s, want %s", got, pub)
	}
}
