package e2e

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// The original use: in zone "." containers whose resolver we are find each other by bare
// names, those started later too, and the rest of the world is forwarded.
func TestRootZone(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	network := machine.servedNetwork(t)
	us := machine.gateway(t, network).String()
	s := serve(t, config{ip: us, port: 53, body: "docker .\nforward . " + up.addr})

	askers := map[string]string{
		"the default bridge, directly":                     machine.run(t, "--dns", us),
		"a user-defined network, by Docker's own resolver": machine.run(t, "--dns", us, "--network", network),
	}
	named, hosted := "rabbit_"+suffix(), "hare_"+suffix()
	peer1 := machine.run(t, "--name", named)
	peer2 := machine.run(t, "--hostname", hosted)
	want := map[string]string{
		named:                  machine.addr(t, peer1),
		peer1[:12]:             machine.addr(t, peer1),
		hosted:                 machine.addr(t, peer2),
		strings.ToUpper(named): machine.addr(t, peer1),
		"example.org":          exampleOrg,
	}

	for from, asker := range askers {
		for name, addr := range want {
			if got, err := machine.output("exec", asker, "/image", "resolve", name); err != nil || got != addr {
				t.Errorf("on %s: %s: got %q (%v), want %s", from, name, got, err, addr)
			}
		}
	}
	s.check(named, dns.TypeA, want[named])
	s.check("nope-"+suffix(), dns.TypeA, nxdomain)
	if up.count("example.org.") == 0 {
		t.Error("upstream was not asked for example.org")
	}
	for name := range want {
		if n := up.count(dns.Fqdn(name)); n != 0 && name != "example.org" {
			t.Errorf("upstream was asked %d times for %s", n, name)
		}
	}
}
