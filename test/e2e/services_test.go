package e2e

import (
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// An exposed port is found by its service's name, or by its number if it has none.
func TestPortServices(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Body: "docker " + zones})
	db := "db-" + suffix()
	addr := machine.addr(t, machine.run(t, "--name", db, "--expose", "5432/tcp", "--expose", "9999/udp"))
	s.soon(db+".docker.", dns.TypeA, addr)
	for name, port := range map[string]string{"_postgresql._tcp.": "5432", "_9999._udp.": "9999"} {
		s.check(name+db+".docker.", dns.TypeSRV, "0 0 "+port+" "+db+".docker.")
		m := s.ask(name+db+".docker.", dns.TypeSRV)
		if got := data(m.Extra, db+".docker.", dns.TypeA); !slices.Equal(got, []string{addr}) {
			t.Errorf("%s: the additional section has %q, want %s", name, got, addr)
		}
		s.check(name+db+".docker.", dns.TypeA, nodata)
	}
	s.check("_9999._tcp."+db+".docker.", dns.TypeSRV, nxdomain)
}

// Where the Corefile asks for it, a container must ask to be let in; a template names
// those that are.
func TestOptInAndTemplate(t *testing.T) {
	t.Parallel()
	role := "role-" + suffix()
	s := serve(t, config{Body: "docker " + zones + " {\nopt_in\ntemplate \"{{.Label `" + role + "`}}." + role + "\"\n}"})
	in := machine.run(t, "--label", role+"=db", "--label", "coredns.dockerdiscovery.enable=true")
	out := machine.run(t, "--label", role+"=db")
	addr := machine.addr(t, in)
	s.soon("db."+role+".docker.", dns.TypeA, addr)
	s.check(in[:12]+".docker.", dns.TypeA, addr)
	s.check(out[:12]+".docker.", dns.TypeA, nxdomain)
}
