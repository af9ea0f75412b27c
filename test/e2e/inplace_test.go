package e2e

import (
	"testing"

	"github.com/miekg/dns"
)

// TestInPlaceLabels has containers' names be CNAMEs, lead to a proxy's address, and have wildcards.
func TestInPlaceLabels(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Body: "docker " + zones + " {\n addresses 192.0.2.0/24 2001:db8::/32\n}"})
	const prefix = "coredns.dockerdiscovery."
	app, docs, lie := "app-"+suffix(), "docs-"+suffix(), "lie-"+suffix()
	appID := machine.run(t, "--name", app, "--expose", "80", "--label", prefix+"address=192.0.2.80, 2001:db8::80", "--label", prefix+"wildcard=true")
	docsID := machine.run(t, "--name", docs, "--expose", "80", "--label", prefix+"cname="+app, "--label", prefix+"records=@ TXT x")
	lieID := machine.run(t, "--name", lie, "--label", prefix+"address=198.51.100.80", "--label", prefix+"cname="+lie)
	s.soon(app+".docker.", dns.TypeA, "192.0.2.80")
	s.check(app+".docker.", dns.TypeAAAA, "2001:db8::80")
	s.check("x.y."+app+".docker.", dns.TypeA, "192.0.2.80")
	s.check("_http._tcp."+app+".docker.", dns.TypeSRV, nodata) // by the wildcard
	s.soon(docs+".docker.", dns.TypeA, app+".docker.", "192.0.2.80")
	s.check(docs+".docker.", dns.TypeTXT, app+".docker.")
	s.check("x."+docs+".docker.", dns.TypeA, nxdomain)
	s.soon(lie+".docker.", dns.TypeA, machine.addr(t, lieID))
	for id, name := range map[string]string{appID: machine.inspect(t, appID).shortID(), docsID: machine.inspect(t, docsID).shortID(), lieID: lie} {
		s.check(machine.inspect(t, id).shortID()+".docker.", dns.TypeA, machine.addr(t, id))
		s.check(reverse(t, machine.addr(t, id)), dns.TypePTR, name+".docker.")
	}
	machine.do(t, "kill", appID)
	s.soon(app+".docker.", dns.TypeA, nxdomain)
	s.check(docs+".docker.", dns.TypeA, app+".docker.", nxdomain)
}

// TestNetworksNames checks a container's name on each of its networks, as these change.
func TestNetworksNames(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Body: "docker " + zones})
	front, back := machine.network(t), machine.network(t)
	web := "web-" + suffix()
	id := machine.run(t, "--name", web, "--network", front)
	addr := func(network string) string { return machine.inspect(t, id).NetworkSettings.Networks[network].IPAddress }
	s.soon(web+"."+front+".docker.", dns.TypeA, addr(front))
	s.none(web+"."+back+".docker.", dns.TypeA)
	machine.do(t, "network", "connect", back, id)
	s.soon(web+"."+back+".docker.", dns.TypeA, addr(back))
	s.check(web+"."+front+".docker.", dns.TypeA, addr(front))
	machine.do(t, "network", "disconnect", front, id)
	s.soon(web+"."+front+".docker.", dns.TypeA, nxdomain)
	s.check(web+".docker.", dns.TypeA, addr(back))
}
