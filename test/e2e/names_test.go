package e2e

import (
	"testing"

	"github.com/miekg/dns"
)

// A name that is written with the zone is in the zone as it stands, whatever source gives it.
func TestNamesInZone(t *testing.T) {
	t.Parallel()
	network := machine.servedNetwork(t)
	us := machine.gateway(t, network).String()
	s := serve(t, config{ip: us, port: 53, body: "docker lab.test. in.lab.test. " + zones + " {\nnames container alias hostname label template\ntemplate \"tmpl-{{.Name}}\"\n}"})
	hosts := serve(t, config{body: "docker lab.test. " + zones + " {\nnames hostname\n}"})
	n := suffix()
	git, inner, auth, sso := "git_"+n+".lab.test", "ci-"+n+".in.lab.test", "auth-"+n+".lab.test", "sso-"+n+".lab.test"
	id := machine.run(t, "--name", git, "--network", network, "--network-alias", auth, "--hostname", sso, "--expose", "80",
		"--label", "coredns.dockerdiscovery.host=idp-"+n+".lab.test")
	ciID := machine.run(t, "--name", inner)
	addr, ci := machine.addr(t, id), machine.addr(t, ciID)

	s.soon(git, dns.TypeA, addr)
	s.soon(inner, dns.TypeA, ci)
	for _, name := range []string{auth, sso, "idp-" + n + ".lab.test", "git-" + n + ".lab.test", "tmpl-" + git} {
		s.check(name, dns.TypeA, addr)
	}
	for _, name := range []string{git, auth, sso, "git-" + n + ".lab.test"} {
		s.check(name+".lab.test", dns.TypeA, nxdomain)
		s.check(name+"."+network+".lab.test", dns.TypeA, nxdomain)
		s.check(name+".docker", dns.TypeA, nxdomain)
	}
	for _, name := range []string{inner + ".lab.test", inner + ".in.lab.test", inner + ".docker"} {
		s.check(name, dns.TypeA, nxdomain)
	}
	s.check(reverse(t, addr), dns.TypePTR, git+".")
	s.check(reverse(t, ci), dns.TypePTR, inner+".")
	s.check("_http._tcp."+sso, dns.TypeSRV, "0 0 80 "+git+".")
	asker := machine.run(t, "--network", network)
	if got := s.from(t, asker, auth+".", dns.TypeA); got != addr {
		t.Errorf("a container on the alias's network asks for %s: %s, want %s", auth, got, addr)
	}

	hosts.soon(sso, dns.TypeA, addr)
	hosts.check(reverse(t, addr), dns.TypePTR, sso+".")
	hosts.check("_http._tcp."+sso, dns.TypeSRV, "0 0 80 "+sso+".")
}
