package dockerdiscovery

import (
	"net/netip"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
)

// allowing has labels give addresses of the ranges.
func allowing(texts ...string) func(*config) {
	return func(c *config) {
		for _, text := range texts {
			c.addresses = append(c.addresses, netip.MustParsePrefix(text))
		}
	}
}

// TestInPlace checks what is answered for containers of which labels put something in place of their addresses.
func TestInPlace(t *testing.T) {
	d := emptyDocker(allowing("192.0.2.0/24", "2001:db8::/32"))
	d.set(
		serving(labelled(aliased(facts("docs", "a=10.1.0.2"), "manual"), "cname=www.example.org", "wildcard=true", "records=@ TXT x\nsip A 192.0.2.1"), 80),
		labelled(facts("blog", "a=10.1.0.3"), "cname=app"),
		serving(labelled(facts("app", "a=10.1.0.4 b=10.2.0.4"), "address=192.0.2.80, 2001:db8::80", "wildcard=true", "project=shop", "service=web"), 80),
		serving(labelled(facts("plain", "a=10.1.0.5"), "address=198.51.100.80"), 80),
		labelled(facts("one", "a=10.1.0.6"), "cname=two"),
		labelled(facts("two", "a=10.1.0.7"), "cname=one.docker."),
		labelled(facts("lost", "a=10.1.0.8"), "cname=nowhere"),
	)
	soa := []dns.RR{test.SOA("docker. 5 IN SOA ns.dns.docker. hostmaster.docker. 1 60 15 3600 5")}
	www := func(owner string) []dns.RR { return []dns.RR{test.CNAME(owner + " 5 IN CNAME www.example.org.")} }
	app := func(owner string) []dns.RR { return []dns.RR{test.A(owner + " 5 IN A 192.0.2.80")} }
	for _, from := range []string{fromHost, "10.1.0.9", "10.3.0.9", fromLAN} {
		for _, c := range []test.Case{
			{Qname: "docs.docker.", Qtype: dns.TypeA, Answer: www("docs.docker.")},
			{Qname: "docs.docker.", Qtype: dns.TypeAAAA, Answer: www("docs.docker.")},
			{Qname: "docs.docker.", Qtype: dns.TypeTXT, Answer: www("docs.docker.")},
			{Qname: "docs.docker.", Qtype: dns.TypeCNAME, Answer: www("docs.docker.")},
			{Qname: "docs.docker.", Qtype: dns.TypeANY, Answer: www("docs.docker.")},
			{Qname: "a.b.docs.docker.", Qtype: dns.TypeA, Answer: www("a.b.docs.docker.")},
			{Qname: "manual.docker.", Qtype: dns.TypeA, Answer: www("manual.docker.")},
			{Qname: "manual.a.docker.", Qtype: dns.TypeA, Answer: www("manual.a.docker.")},
			{Qname: "sip.docs.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("sip.docs.docker. 5 IN A 192.0.2.1")}},
			{Qname: "blog.docker.", Qtype: dns.TypeA, Answer: append(app("app.docker."), test.CNAME("blog.docker. 5 IN CNAME app.docker."))},
			{Qname: "blog.docker.", Qtype: dns.TypeMX, Answer: []dns.RR{test.CNAME("blog.docker. 5 IN CNAME app.docker.")}, Ns: soa},

			{Qname: "app.docker.", Qtype: dns.TypeA, Answer: app("app.docker.")},
			{Qname: "app.docker.", Qtype: dns.TypeAAAA, Answer: []dns.RR{test.AAAA("app.docker. 5 IN AAAA 2001:db8::80")}},
			{Qname: "web.shop.docker.", Qtype: dns.TypeA, Answer: app("web.shop.docker.")},
			{Qname: "x.app.docker.", Qtype: dns.TypeA, Answer: app("x.app.docker.")},
			{Qname: "x.web.shop.docker.", Qtype: dns.TypeA, Answer: app("x.web.shop.docker.")},
			{Qname: "_http._tcp.app.docker.", Qtype: dns.TypeSRV, Ns: soa}, // the wildcard's: it has no such record

			{Qname: "one.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.CNAME("one.docker. 5 IN CNAME two.docker."), test.CNAME("two.docker. 5 IN CNAME one.docker.")}},
			{Qname: "lost.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Answer: []dns.RR{test.CNAME("lost.docker. 5 IN CNAME nowhere.docker.")}, Ns: soa},
			{Qname: "80.2.0.192.in-addr.arpa.", Qtype: dns.TypePTR, Rcode: toNext},
		} {
			if c.Rcode == toNext {
				d.Next = plugin.HandlerFunc(next)
			}
			serve(t, d, handlerCase{Case: c, From: from})
		}
	}
	for _, c := range []struct{ from, name, want string }{
		{fromHost, "docs00000000.docker.", "10.1.0.2"}, // the ID is the container's own
		{fromHost, "2.0.1.10.in-addr.arpa.", "docs00000000.docker."},
		{"10.1.0.9", "app000000000.docker.", "10.1.0.4"},
		{fromHost, "4.0.2.10.in-addr.arpa.", "app000000000.docker."},
		{fromHost, "plain.docker.", "10.1.0.5"}, // refused: as if the label were not there
		{fromHost, "5.0.1.10.in-addr.arpa.", "plain.docker."},
	} {
		expect(t, d, c.from, c.name, c.want)
	}
	if got := dig(t, d, fromHost, "_http._tcp.plain.docker.", dns.TypeSRV); got == "none" {
		t.Error("a refused label has taken the port away")
	}
}

// TestCNAMEGivesWay checks that a CNAME of a container leaves a name that others have too to these, and neither makes two projects'
// bare names one.
func TestCNAMEGivesWay(t *testing.T) {
	d := emptyDocker(allowing("192.0.2.0/24"))
	cname := labelled(aliased(facts("one", "a=10.1.0.2"), "db"), "project=shop", "service=db", "cname=www.example.org")
	d.set(cname)
	expect(t, d, fromHost, "db.docker.", "www.example.org.")
	expect(t, d, fromHost, "db.shop.docker.", "www.example.org.")

	d.set(labelled(aliased(facts("two", "a=10.1.0.3"), "db"), "project=shop", "service=db"))
	expect(t, d, fromHost, "db.shop.docker.", "10.1.0.3")
	expect(t, d, fromHost, "db.docker.", "10.1.0.3")
	expect(t, d, "10.1.0.9", "db.a.docker.", "10.1.0.3")

	// Another project's: the bare name means two things.
	d.remove(facts("two", "a=10.1.0.3"))
	d.set(labelled(aliased(facts("three", "b=10.2.0.4"), "db"), "project=other", "service=db"))
	expect(t, d, fromHost, "db.docker.", "none")
	expect(t, d, fromLAN, "db.docker.", "none")
	expect(t, d, "10.1.0.2", "db.docker.", "www.example.org.") // its own project's
	expect(t, d, "10.2.0.4", "db.docker.", "10.2.0.4")
	expect(t, d, "10.1.0.9", "db.docker.", "www.example.org.") // its own network's

	// Nor are addresses of two projects mixed.
	d.set(labelled(aliased(facts("one", "a=10.1.0.2"), "db"), "project=shop", "service=db", "address=192.0.2.80"))
	expect(t, d, fromHost, "db.docker.", "none")
	expect(t, d, "10.1.0.2", "db.docker.", "192.0.2.80")
	expect(t, d, "10.2.0.4", "db.docker.", "10.2.0.4")
	expect(t, d, "10.3.0.9", "db.docker.", "none")
	d.set(labelled(aliased(facts("three", "b=10.2.0.4"), "db"), "project=other", "service=db", "cname=www.example.org"))
	expect(t, d, fromHost, "db.docker.", "none")
}

// TestInPlaceEnds checks that the names of a container that has ended lead nowhere, and where it is back lead there again.
func TestInPlaceEnds(t *testing.T) {
	d := emptyDocker(allowing("192.0.2.0/24"))
	web := labelled(facts("web", "a=10.1.0.2"), "cname=www.example.org")
	app := labelled(facts("app", "a=10.1.0.3"), "address=192.0.2.80")
	d.set(web, app)
	d.apply([]container.Change{{ID: web.ID}, {ID: app.ID}})
	expect(t, d, fromHost, "web.docker.", "none")
	expect(t, d, fromHost, "app.docker.", "none")
	d.set(web, app)
	expect(t, d, fromHost, "web.docker.", "www.example.org.")
	expect(t, d, fromHost, "app.docker.", "192.0.2.80")
}

// TestInPlaceIsHidden checks that isolation hides what labels put in place of addresses as it hides these.
func TestInPlaceIsHidden(t *testing.T) {
	d := emptyDocker(func(c *config) {
		allowing("192.0.2.0/24")(c)
		c.zone.Isolate = true
	})
	d.set(labelled(facts("web", "a=10.1.0.2"), "cname=www.example.org"), labelled(facts("app", "a=10.1.0.3"), "address=192.0.2.80"))
	for _, name := range []string{"web.docker.", "app.docker."} {
		expect(t, d, "10.2.0.9", name, "NXDOMAIN")
	}
	expect(t, d, "10.1.0.9", "web.docker.", "www.example.org.")
	expect(t, d, "10.1.0.9", "app.docker.", "192.0.2.80")
}

// TestInPlaceOfServices checks that a service's label holds for all its names, whoever asks, and whether its tasks serve or not.
func TestInPlaceOfServices(t *testing.T) {
	d := inSwarm(containertest.Manager, true, allowing("192.0.2.0/24"))
	for _, s := range containertest.Services() {
		if s.Name == "web" {
			s.Labels = map[string]string{"coredns.dockerdiscovery.address": "192.0.2.80", "coredns.dockerdiscovery.wildcard": "true"}
			d.catalog.Swarm().Apply([]container.ServiceChange{{ID: s.ID, Service: s}})
		}
	}
	for _, name := range []string{"web.docker.", "tasks.web.docker.", "1.web.docker.", "frontend.docker.", "x.web.docker."} {
		for _, a := range swarmAskers[:5] {
			expect(t, d, a.from, name, "192.0.2.80")
		}
	}
}
