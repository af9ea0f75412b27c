package e2e

import (
	"fmt"
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
	s := serve(t, config{IP: us, Port: 53, Body: "docker . {\nrouted\n}\nforward . " + up.addr}) // so that all askers are given addresses

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

// Zone "." is shared with the Internet: whatever containers are called there, the Internet's names stay its own,
// and names of a project or network are its members' and the host's alone.
func TestInternetNames(t *testing.T) {
	t.Parallel()
	up, lan := startUpstream(t), newLAN(t)
	network, other := machine.servedNetwork(t), machine.servedNetwork(t)
	us := machine.gateway(t, network).String()
	s := serve(t, config{IP: us, Port: 53, Also: lan.Host.String(), Body: "docker .\nforward . " + up.addr})

	project, dotted, bare := "shop"+suffix(), "git"+suffix()+".example.com", "db"+suffix()
	machine.run(t, "--network", network, "--network-alias", "example.org", "--hostname", "mail.example.org",
		"--label", "coredns.dockerdiscovery.host=example.org,*.org", "--label", "coredns.dockerdiscovery.records=example.org. MX 1 @\ncdn CNAME @")
	machine.run(t, "--network", network, "--name", dotted)
	db := machine.addr(t, machine.run(t, "--network", network, "--network-alias", bare,
		"--label", "com.docker.compose.project="+project, "--label", "com.docker.compose.service=db",
		"--label", "coredns.dockerdiscovery.records="+bare+". MX 1 mail.example.org.\nweb"+bare+". CNAME example.org."))

	member, stranger := machine.run(t, "--network", network), machine.run(t, "--network", other)
	s.soon(bare, dns.TypeA, db)
	for _, asker := range []struct {
		who  string
		ask  func(name string, qtype uint16) string
		ours bool // it is given what is the network's own
	}{
		{"the host", func(name string, qtype uint16) string { return outcome(s.ask(name, qtype)) }, true},
		{"a container on the network", func(name string, qtype uint16) string { return s.from(t, member, name, qtype) }, true},
		{"a container on another", func(name string, qtype uint16) string { return s.from(t, stranger, name, qtype) }, false},
		{"the LAN", func(name string, qtype uint16) string { return lan.ask(t, s, name, qtype) }, false},
	} {
		before := up.count("example.org.")
		want := map[string]string{
			"example.org.": exampleOrg, "mail.example.org.": nxdomain, "x.org.": nxdomain, dotted + ".": nxdomain,
			bare + "." + network + ".": db, "db." + project + ".": db,
		}
		if !asker.ours {
			want[bare+"."+network+"."], want["db."+project+"."] = nxdomain, nxdomain // for upstream to answer
		}
		for name, want := range want {
			if got := asker.ask(name, dns.TypeA); got != want {
				t.Errorf("%s asks for %s: %s, want %s", asker.who, name, got, want)
			}
		}
		if got := asker.ask("example.org.", dns.TypeMX); got != nodata {
			t.Errorf("%s asks for example.org MX: %s, want %s", asker.who, got, nodata)
		}
		if n := up.count("example.org.") - before; n != 2 {
			t.Errorf("%s: upstream was asked %d times for example.org, want A and MX", asker.who, n)
		}
		if got := asker.ask(bare+".", dns.TypeMX); got != "1 mail.example.org." {
			t.Errorf("%s asks for %s MX: %s", asker.who, bare, got)
		}
		if got, want := asker.ask("web"+bare+".", dns.TypeA), exampleOrg+" example.org."; got != want { // what is not ours is asked of the others
			t.Errorf("%s asks for web%s: %s, want %s", asker.who, bare, got, want)
		}
	}
	for _, name := range []string{dotted, "*.org", "example.org. MX"} {
		if len(s.Log.Lines(fmt.Sprintf("%q: zone . is shared with the Internet", name))) != 1 {
			t.Errorf("the log does not tell once that %s is skipped", name)
		}
	}
}
