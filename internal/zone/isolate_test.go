package zone

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// TestIsolated checks that of what is hidden from a container nothing shows: no name, and no
// empty non-terminal above one, as long as there is nothing below that it may see.
func TestIsolated(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker.", "17.172.in-addr.arpa."}, TTL: 30, NegativeTTL: 7, Isolate: true})
	web := with(service(entry("web", 0, "a=172.17.0.2", "web.docker./name", "web.shop.docker.", "*.wild.docker."), "_http._tcp.web.docker.", "web.docker.", 80),
		"sub.web.docker. 30 TXT hello", "x.dns.docker. 30 TXT hello")
	below := with(entry("below", 1, "b=172.17.1.2", "below.docker./name"), "deep.er.web.docker. 30 TXT hello", "*.docker.docker. 30 TXT wild")
	s.Apply(add(web, below, onHost(entry("host", 2, "", "host.docker./name", "x.host.docker."))))
	view := func(network string) View {
		return View{Asker: Container, Networks: []container.NetworkID{on(network)}, Isolate: true, Server: server{}}
	}
	check := func(what string, v View, name string, want string) {
		t.Helper()
		qtype := dns.TypeA
		if IsReverse(name) {
			qtype = dns.TypePTR
		}
		if got := viewed(s.Snapshot(), v, name, qtype); got != want {
			t.Errorf("%s: on %v %s is %q, want %q", what, v.Networks, name, got, want)
		}
	}
	for _, c := range []struct{ name, a, b, c string }{
		{"web.docker.", "172.17.0.2", "empty", "nxdomain"}, // b sees deep.er.web.docker.
		{"_http._tcp.web.docker.", "none", "nxdomain", "nxdomain"},
		{"_tcp.web.docker.", "empty", "nxdomain", "nxdomain"},
		{"sub.web.docker.", "none", "nxdomain", "nxdomain"},
		{"er.web.docker.", "nxdomain", "empty", "nxdomain"},
		{"deep.er.web.docker.", "nxdomain", "none", "nxdomain"},
		{"shop.docker.", "empty", "nxdomain", "nxdomain"},
		{"x.wild.docker.", "172.17.0.2", "nxdomain", "nxdomain"},
		{"x.docker.docker.", "nxdomain", "none", "nxdomain"},
		{"host.docker.", "nxdomain", "nxdomain", "nxdomain"},
		{"docker.", "none", "none", "none"},
		{"dns.docker.", "empty", "empty", "empty"}, // the server's name is below
		{"ns.dns.docker.", "127.0.0.1", "127.0.0.1", "127.0.0.1"},
		{"2.0.17.172.in-addr.arpa.", "web.docker.", "nxdomain", "nxdomain"},
		{"0.17.172.in-addr.arpa.", "empty", "nxdomain", "nxdomain"},
	} {
		for network, want := range map[string]string{"a": c.a, "b": c.b, "c": c.c} {
			check("all run", view(network), c.name, want)
		}
	}
	check("the host", View{}, "_tcp.web.docker.", "empty")

	// What has just ended is there for its neighbours; for all, if they are not known any more.
	ended := *web
	s.Apply(add(held1(&ended)))
	check("held", view("a"), "web.docker.", "ended")
	check("held", view("a"), "shop.docker.", "empty")
	check("held", view("c"), "web.docker.", "nxdomain")
	check("held", view("c"), "shop.docker.", "nxdomain")
	s.Apply(add(held1(entry("web", 0, "", "web.docker./name", "web.shop.docker."))))
	check("held, networks unknown", view("c"), "web.docker.", "ended")
	check("held, networks unknown", view("c"), "shop.docker.", "empty")
	s.Apply([]Change{gone("below"), gone("host")})
	check("what was below is gone", view("b"), "er.web.docker.", "nxdomain")
	s.Apply([]Change{gone("web")})
	if got, want := count(s.Snapshot().names), count(NewStore(s.config).Snapshot().names); got != want {
		t.Errorf("an emptied store has %d nodes, want %d", got, want)
	}
}

// TestIsolatedWildcard checks that a hidden name does not stand in a visible wildcard's way.
func TestIsolatedWildcard(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker."}, Isolate: true})
	s.Apply(add(entry("app", 0, "b=172.17.1.2", "*.app.docker."), entry("web", 1, "a=172.17.0.2", "web.app.docker.")))
	for network, want := range map[string]string{"a": "172.17.0.2", "b": "172.17.1.2", "c": "nxdomain"} {
		v := View{Asker: Container, Networks: []container.NetworkID{on(network)}, Isolate: true}
		if got := viewed(s.Snapshot(), v, "web.app.docker.", dns.TypeA); got != want {
			t.Errorf("on %s: %q, want %q", network, got, want)
		}
	}
}
