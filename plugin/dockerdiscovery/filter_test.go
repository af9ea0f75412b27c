package dockerdiscovery

import (
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

// filtering has the block's filters let containers in.
func filtering(t *testing.T, texts ...string) func(*config) {
	return func(c *config) { c.filters = filters(t, texts...) }
}

// TestFilter checks that who leaves the filters loses its names at once, and has them at once when it is back.
func TestFilter(t *testing.T) {
	d := emptyDocker(filtering(t, "network=a", "name=^web"))
	d.Next = plugin.HandlerFunc(next)
	soa := []dns.RR{test.SOA("docker. 5 IN SOA ns.dns.docker. hostmaster.docker. 1 60 15 3600 5")}
	d.set(facts("web", "a=10.1.0.2 b=10.2.0.2"), facts("db", "a=10.1.0.3"), facts("webb", "b=10.2.0.4"))
	for _, c := range []handlerCase{
		{Case: test.Case{Qname: "web.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("web.docker. 5 IN A 10.1.0.2"), test.A("web.docker. 5 IN A 10.2.0.2")}}},
		{Case: test.Case{Qname: "2.0.1.10.in-addr.arpa.", Qtype: dns.TypePTR, Answer: []dns.RR{test.PTR("2.0.1.10.in-addr.arpa. 5 IN PTR web.docker.")}}},
		{Case: test.Case{Qname: "db.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Ns: soa}},
		{Case: test.Case{Qname: "webb.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Ns: soa}},
		{Case: test.Case{Qname: "webb00000000.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Ns: soa}},
	} {
		serve(t, d, c)
	}
	expect(t, d, "10.2.0.4", "web.docker.", "10.2.0.2") // who is left out is known when it asks

	d.set(facts("web", "b=10.2.0.2")) // leaves the network
	expect(t, d, fromHost, "web.docker.", "NXDOMAIN")
	d.set(facts("web", "a=10.1.0.9"))
	expect(t, d, fromHost, "web.docker.", "10.1.0.9")
	d.set(named(facts("web", "a=10.1.0.9"), "old")) // is renamed
	expect(t, d, fromHost, "web.docker.", "NXDOMAIN")
	expect(t, d, fromHost, "old.docker.", "NXDOMAIN")
	d.set(facts("web", "a=10.1.0.9"))
	expect(t, d, fromHost, "web.docker.", "10.1.0.9")
	d.remove(facts("web", "")) // has ended: held
	expect(t, d, fromHost, "web.docker.", "none")
}

// TestFilterLendsNetworks checks that who is let in has the addresses of who is not, whose network it uses.
func TestFilterLendsNetworks(t *testing.T) {
	d := emptyDocker(filtering(t, "name=app"))
	app := facts("app", "")
	app.NetworkMode = "container:" + facts("vpn", "").ID
	d.set(facts("vpn", "a=10.1.0.2"), app)
	expect(t, d, fromHost, "app.docker.", "10.1.0.2")
	expect(t, d, fromHost, "vpn.docker.", "NXDOMAIN")
}

// TestFilteredIsExplained checks that the explanation says which filter keeps a container or service out.
func TestFilteredIsExplained(t *testing.T) {
	d := inSwarm(containertest.Manager, true, filtering(t, "name=^(web|front)", "name=def", "label!=hide"))
	hidden := labelled(facts("fronted", "bridge=172.17.0.30"), "ttl=5")
	hidden.Labels["hide"] = ""
	d.set(facts("db", "bridge=172.17.0.31"), hidden)
	for name, want := range map[string]string{
		"db.docker":      "container db on here is left out by filter: it needs name=^(web|front) or name=def",
		"fronted.docker": "container fronted on here is left out by filter: it needs label!=hide",
		"rr.docker":      "service rr is left out by filter: it needs name=^(web|front) or name=def",
	} {
		x, err := d.Explain(status.Question{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if x.Cause != status.Filtered || !strings.EqualFold(x.Short(), want) && !strings.Contains(strings.Join(x.Steps(), "\n"), want[strings.Index(want, " ")+1:]) {
			t.Errorf("%s: %s, %q, %q; want %q", name, x.Cause, x.Short(), x.Steps(), want)
		}
		sameAsServed(t, d, status.Question{Name: name}, x)
	}
	if got := dig(t, d, fromLAN, "web.docker.", dns.TypeA); got == "NXDOMAIN" {
		t.Error("a service that is let in has no name")
	}
	left := d.catalog.LeftOut()
	if n := left["here"].By; n[len(n)-2] == 0 { // Filtered
		t.Errorf("left out: %+v", left)
	}
}

// TestFilterAwaits checks that a query waits for a container that starts, of which it is not known yet whether its network lets it in.
func TestFilterAwaits(t *testing.T) {
	d := emptyDocker(filtering(t, "network=a"))
	web := facts("web", "a=10.1.0.2")
	d.apply([]container.Change{{ID: web.ID, Starting: &container.Starting{Container: &container.Container{ID: web.ID, Name: "web", Labels: map[string]string{}}}}})
	if news, _ := d.catalog.Arrivals().Expect("web.docker.", false); news == nil {
		t.Error("nobody waits for it")
	}
	d.set(web)
	expect(t, d, fromHost, "web.docker.", "10.1.0.2")
}
