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

// TestOnNetwork checks what a container's name is answered with beside a network's: its address there, by the rights that an alias on
// the network has.
func TestOnNetwork(t *testing.T) {
	d := emptyDocker(nil)
	h := containertest.Host()
	for _, n := range []struct{ name, project, subnet string }{{"shop_back", "shop", "10.4.0.0/16"}, {"other_back", "other", "10.5.0.0/16"}} {
		subnet := netip.MustParsePrefix(n.subnet)
		h.Networks = append(h.Networks, container.Network{
			ID: n.name, Name: n.name, Driver: "bridge", Subnets: []netip.Prefix{subnet}, Gateways: []netip.Addr{subnet.Addr().Next()},
			Compose: container.ComposeNetwork{Project: n.project, Short: "back"},
		})
	}
	d.hear(h)
	d.set(
		facts("web", "a=10.1.0.2 b=10.2.0.2"),
		aliased(facts("other", "a=10.1.0.3"), "web"),
		labelled(facts("db", "shop_back=10.4.0.2"), "project=shop"),
		labelled(named(facts("db2", "other_back=10.5.0.2"), "db_1"), "project=other"),
	)
	for _, c := range []struct{ from, name, want string }{
		{fromHost, "web.a.docker.", "10.1.0.3 10.1.0.2"}, // the alias on the network has the same right
		{fromHost, "web.b.docker.", "10.2.0.2"},
		{"10.2.0.9", "web.b.docker.", "10.2.0.2"},
		{"10.1.0.9", "web.b.docker.", "none"}, // exists, and is not reached
		{fromHost, "web.c.docker.", "NXDOMAIN"},
		{fromHost, "web.docker.", "10.1.0.2 10.2.0.2"},
		{fromHost, "db.shop_back.docker.", "10.4.0.2"},
		{fromHost, "db.shop-back.docker.", "10.4.0.2"},
		{fromHost, "db.back.docker.", "10.4.0.2"}, // as bare names are: one project has it
		{"10.5.0.2", "db.back.docker.", "none"},   // of another project
		{"10.5.0.2", "db-1.back.docker.", "10.5.0.2"},
		{fromHost, "2.0.2.10.in-addr.arpa.", "web.docker."},
	} {
		expect(t, d, c.from, c.name, c.want)
	}
	d.set(facts("web", "a=10.1.0.2")) // it leaves the network
	expect(t, d, fromHost, "web.b.docker.", "NXDOMAIN")
	d.remove(facts("web", ""))
	expect(t, d, "10.1.0.9", "web.a.docker.", "10.1.0.3")
	d.remove(facts("other", ""))
	expect(t, d, "10.1.0.9", "web.a.docker.", "none") // held
}

// TestOnNetworkInRoot checks that in zone . the names are there for the host and the network alone.
func TestOnNetworkInRoot(t *testing.T) {
	d := emptyDocker(func(c *config) { c.zone.Zones = []string{"."} })
	d.Next = plugin.HandlerFunc(next)
	d.set(facts("web", "a=10.1.0.2"))
	a := []dns.RR{test.A("web.a. 5 IN A 10.1.0.2")}
	for _, c := range []handlerCase{
		{From: fromHost, Case: test.Case{Qname: "web.a.", Qtype: dns.TypeA, Answer: a}},
		{From: "10.1.0.9", Case: test.Case{Qname: "web.a.", Qtype: dns.TypeA, Answer: a}},
		{From: "10.2.0.9", Case: test.Case{Qname: "web.a.", Qtype: dns.TypeA, Rcode: toNext}},
		{From: fromLAN, Case: test.Case{Qname: "web.a.", Qtype: dns.TypeA, Rcode: toNext}},
		{From: fromHost, Case: test.Case{Qname: "a.", Qtype: dns.TypeA, Rcode: toNext}},
	} {
		serve(t, d, c)
	}
}
