package e2e

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"
)

// A container that looks for names in its project's domain alone finds others' too, and the Internet's, and that by one query.
func TestAutoPath(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	network := machine.servedNetwork(t)
	us := machine.gateway(t, network).String()
	s := serve(t, config{IP: us, Port: 53, Body: "autopath @docker\ndocker docker. {\nrouted\n}\nforward . " + up.addr}) // so that all askers are given addresses
	project, web := "shop"+suffix(), "web-"+suffix()
	ofProject := []string{"--label", "com.docker.compose.project=" + project}
	db := machine.addr(t, machine.run(t, append(ofProject, "--label", "com.docker.compose.service=db")...))
	other := machine.addr(t, machine.run(t, "--name", web))
	domain := project + ".docker"
	s.soon("db."+domain+".", dns.TypeA, db)
	s.soon(web+".docker.", dns.TypeA, other)

	searching := append(ofProject, "--dns", us, "--dns-search", domain)
	for from, asker := range map[string]string{
		"the default bridge, directly":                     machine.run(t, searching...),
		"a user-defined network, by Docker's own resolver": machine.run(t, append(searching, "--network", network)...),
		"the default bridge, with ndots:2":                 machine.run(t, append(searching, "--dns-opt", "ndots:2")...),
	} {
		for name, want := range map[string]string{"db": db, web: other, "example.org": exampleOrg} {
			eventually(t, func() error { // once the asker is known
				if got := machine.ask(asker, "", name); got != want {
					return fmt.Errorf("on %s: %s: got %q, want %s", from, name, got, want)
				}
				return nil
			})
		}
		for name, want := range map[string]string{
			web + "." + domain + ".":             other + " " + web + ".docker.",
			"example.org." + domain + ".":        exampleOrg + " example.org.",
			"nobody-" + web + "." + domain + ".": nxdomain,
			web + ".other.docker.":               nxdomain,
		} {
			if got := s.from(t, asker, name, dns.TypeA); got != want {
				t.Errorf("on %s: %s: got %s, want %s", from, name, got, want)
			}
		}
	}
	// Who is no container is not led on, and neither is who looks elsewhere.
	s.check(web+"."+domain+".", dns.TypeA, nxdomain)
	elsewhere := machine.run(t, append(ofProject, "--dns", us, "--dns-search", "example.com")...)
	if got := s.from(t, elsewhere, web+"."+domain+".", dns.TypeA); got != nxdomain {
		t.Errorf("a container that looks for names in another domain gets %s, want %s", got, nxdomain)
	}
}
