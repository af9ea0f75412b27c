package dockerdiscovery

import (
	"net/netip"
	"testing"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// TestComposeNetworks checks the names of Compose's networks, which are known as soon as the networks are.
func TestComposeNetworks(t *testing.T) {
	d := newTestDocker("docker.")
	on := func(id, project string, networks ...string) container.Change {
		c := &container.Container{ID: id, Name: id, Labels: map[string]string{
			"com.docker.compose.project": project, "coredns.dockerdiscovery.network": "back",
		}}
		for i, n := range networks {
			c.Endpoints = append(c.Endpoints, container.Endpoint{Network: n, Aliases: []string{"db"},
				Addrs: []netip.Addr{netip.AddrFrom4([4]byte{10, id[0], byte(i), 2})}})
		}
		return container.Change{ID: id, Container: c}
	}
	network := func(name, project string) container.Network {
		return container.Network{ID: name, Name: name, Compose: container.ComposeNetwork{Project: project, Short: "back"}}
	}
	a := func(name, ip string) []dns.RR { return []dns.RR{test.A(name + " 5 IN A " + ip)} }
	soa := []dns.RR{test.SOA(soaDocker)}
	const name = "db.back.docker."
	none := test.Case{Qname: name, Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Ns: soa}

	d.sink(d.hosts[0]).Host(container.Host{Routed: true})
	d.sink(d.hosts[0]).Apply([]container.Change{on("a", "shop", "a_1", "a_2"), {ID: "joined", Container: &container.Container{
		ID: "joined", Name: "joined", NetworkMode: "container:a", Labels: map[string]string{"com.docker.compose.project": "shop", "coredns.dockerdiscovery.network": "back"}}}})
	serve(t, d, handlerCase{Case: none})

	d.sink(d.hosts[0]).Host(container.Host{Routed: true, Networks: []container.Network{network("a_2", "shop"), {ID: "x", Name: "x"}}})
	for _, n := range []string{name, "a.docker.", "joined.docker."} {
		serve(t, d, handlerCase{Case: test.Case{Qname: n, Qtype: dns.TypeA, Answer: a(n, "10.97.1.2")}})
	}

	// Another project's: each container has its own, and others none.
	d.sink(d.hosts[0]).Host(container.Host{Routed: true, Networks: []container.Network{network("a_2", "shop"), network("b", "blog")}})
	d.sink(d.hosts[0]).Apply([]container.Change{on("b", "blog", "b")})
	serve(t, d, handlerCase{Case: test.Case{Qname: name, Qtype: dns.TypeA, Ns: soa}})
	serve(t, d, handlerCase{Case: test.Case{Qname: name, Qtype: dns.TypeA, Answer: a(name, "10.97.1.2")}, From: "10.97.1.2"})
	serve(t, d, handlerCase{Case: test.Case{Qname: name, Qtype: dns.TypeA, Answer: a(name, "10.98.0.2")}, From: "10.98.0.2"})

	// A project that is called as the networks has the name for itself, but on these.
	d.sink(d.hosts[0]).Apply([]container.Change{{ID: "c", Container: &container.Container{ID: "c", Name: "c",
		Labels:    map[string]string{"com.docker.compose.project": "back", "com.docker.compose.service": "db"},
		Endpoints: []container.Endpoint{{Network: "c", Addrs: []netip.Addr{netip.MustParseAddr("10.99.0.2")}}}}}})
	for from, want := range map[string]string{"": "10.99.0.2", "10.99.0.2": "10.99.0.2", "10.97.1.2": "10.97.1.2", "10.98.0.2": "10.98.0.2"} {
		serve(t, d, handlerCase{Case: test.Case{Qname: name, Qtype: dns.TypeA, Answer: a(name, want)}, From: from})
	}
	d.sink(d.hosts[0]).Apply([]container.Change{{ID: "c", Gone: true}})

	d.sink(d.hosts[0]).Host(container.Host{Routed: true})
	serve(t, d, handlerCase{Case: none})
	serve(t, d, handlerCase{Case: test.Case{Qname: "a.docker.", Qtype: dns.TypeA, Answer: append(a("a.docker.", "10.97.0.2"), a("a.docker.", "10.97.1.2")...)}})
}
