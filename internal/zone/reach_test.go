package zone

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// serves gives the container a port 80, published at these addresses, which may lack a port of the host.
func serves(e *Entry, at string, open bool) *Entry {
	s := &Service{Targets: []string{e.Claims[0].Name}, Port: 80, Open: open}
	for p := range strings.FieldsSeq(at) {
		published := netip.MustParseAddrPort(p)
		s.Published = append(s.Published, published)
		e.Published = append(e.Published, published.Addr())
	}
	e.Claims = append(e.Claims, Claim{Name: "_http._tcp." + e.Claims[0].Name, Rank: e.Claims[0].Rank, Data: &Data{Service: s}})
	return e
}

// TestWhoReaches has a row for each kind of network and publication, and what each kind of asker gets: addresses, and the ports
// that go with them. Who is not named gets no address.
func TestWhoReaches(t *testing.T) {
	const all = "0.0.0.0:8080 [::]:8080"
	s := NewStore(Config{Zones: []string{"docker.", "172.in-addr.arpa.", "10.in-addr.arpa."}, TTL: 30, NegativeTTL: 7, Isolate: true})
	s.Apply(add(
		serves(entry("plain", 0, "a=172.17.0.2 a=fd01::2", "plain.docker./name"), "", false),
		serves(entry("pub", 0, "a=172.17.0.3 a=fd01::3", "pub.docker./name", "left.docker./shared/b"), all, true), // an alias of a network that it has left
		serves(entry("pub6", 0, "a=172.17.0.4 a=fd01::4", "pub6.docker./name"), "[::]:8080", true),
		serves(entry("one", 0, "a=172.17.0.5", "one.docker./name"), "198.51.100.7:8081", true),
		serves(entry("nat", 0, "routed=172.19.0.2 routed=fd19::2", "nat.docker./name"), "", false),
		serves(entry("open", 0, "ports=172.20.0.2", "open.docker./name"), "", true),
		serves(entry("half", 0, "ports=172.20.0.3", "half.docker./name"), "", false), // another port of its is open
		serves(entry("pod", 0, "podman=10.88.0.2", "pod.docker./name"), all, true),
		serves(entry("apart", 0, "apart=10.89.0.2", "apart.docker./name"), "", false),
		serves(entry("apartpub", 0, "apart=10.89.0.3", "apartpub.docker./name"), all, true),
		serves(entry("icc", 0, "icc=172.21.0.2", "icc.docker./name"), "", false),
		serves(entry("over", 0, "ov=10.0.1.2 gw:ov=172.18.0.2", "over.docker./name", "db.docker./shared/ov"), "", false),
		serves(entry("overpub", 0, "ov=10.0.1.3 gw:ov=172.18.0.3", "overpub.docker./name"), all, true),
		serves(entry("hidden", 0, "ov=10.0.1.4", "hidden.docker./name"), "0.0.0.0:8080", true), // not known on docker_gwbridge yet
		serves(entry("both", 0, "a=172.17.0.6 lan=192.0.2.6", "both.docker./name"), all, true),
		serves(entry("mac", 0, "lan=192.0.2.7 lan=2001:db8::7", "mac.docker./name"), "", false),
		serves(onHost(entry("net", 0, "", "net.docker./name")), "", false),
	))
	as := func(v View, out container.Outbound, f Families) View { v.Outbound, v.Families = out, f; return v }
	isolated := inside("ov")
	isolated.Isolate = true
	views := map[string]View{
		"on a": inside("a"), "on c": inside("c"), "v4 on c": as(inside("c"), container.AnyWayOut, IPv4), "v6 on c": as(inside("c"), container.AnyWayOut, IPv6),
		"apart": as(inside("other"), container.ApartOut, 0), "internal": as(inside("int"), container.NoWayOut, 0), "on ov": inside("ov"), "isolated on ov": isolated,
		"on icc": inside(), "host": {Server: server{}}, "LAN": {Asker: Elsewhere, Server: server{}}, "LAN, publish": {Asker: Elsewhere, Server: server{publish: true}},
	}
	strangers := func(want string, names ...string) map[string]string {
		m := map[string]string{}
		for _, name := range names {
			m[name] = want
		}
		return m
	}
	with := func(ms ...map[string]string) map[string]string {
		m := map[string]string{}
		for _, o := range ms {
			maps.Copy(m, o)
		}
		return m
	}
	outsiders := []string{"on c", "apart", "on ov", "on icc"} // of network a, whose addresses may be of both families
	for name, want := range map[string]map[string]string{
		"plain": {"on a": "172.17.0.2 fd01::2 :80", "host": "172.17.0.2 fd01::2 :80"},
		"pub": with(strangers("10.99.0.1 fd99::1 :8080", outsiders...), map[string]string{
			"on a": "172.17.0.3 fd01::3 :80", "host": "172.17.0.3 fd01::3 :80", "v4 on c": "10.99.0.1 :8080", "v6 on c": "fd99::1 :8080",
			"LAN, publish": "192.0.2.1 2001:db8::1 :8080"}),
		"pub6": with(strangers("fd99::1 :8080", outsiders...), map[string]string{
			"on a": "172.17.0.4 fd01::4 :80", "host": "172.17.0.4 fd01::4 :80", "v6 on c": "fd99::1 :8080", "LAN, publish": "2001:db8::1 :8080"}),
		"one": with(strangers("198.51.100.7 :8081", outsiders...), map[string]string{
			"on a": "172.17.0.5 :80", "host": "172.17.0.5 :80", "v4 on c": "198.51.100.7 :8081", "LAN, publish": "198.51.100.7 :8081"}),
		"nat": {"host": "172.19.0.2 fd19::2 :80", "LAN": "172.19.0.2 fd19::2 :80", "LAN, publish": "172.19.0.2 fd19::2 :80"},
		"open": with(strangers("172.20.0.2 :80", outsiders...), map[string]string{
			"on a": "172.20.0.2 :80", "host": "172.20.0.2 :80", "v4 on c": "172.20.0.2 :80", "LAN": "172.20.0.2 :80", "LAN, publish": "172.20.0.2 :80"}),
		"half": with(strangers("172.20.0.3", outsiders...), map[string]string{
			"on a": "172.20.0.3", "host": "172.20.0.3 :80", "v4 on c": "172.20.0.3", "LAN": "172.20.0.3", "LAN, publish": "172.20.0.3"}),
		"pod": with(strangers("10.88.0.2 :80", outsiders...), map[string]string{
			"on a": "10.88.0.2 :80", "host": "10.88.0.2 :80", "v4 on c": "10.88.0.2 :80", "v6 on c": "fd99::1 :8080", "LAN, publish": "192.0.2.1 2001:db8::1 :8080"}),
		"apart": {"on a": "10.89.0.2 :80", "on c": "10.89.0.2 :80", "on ov": "10.89.0.2 :80", "on icc": "10.89.0.2 :80", "host": "10.89.0.2 :80", "v4 on c": "10.89.0.2 :80"},
		"apartpub": {"on a": "10.89.0.3 :80", "on c": "10.89.0.3 :80", "on ov": "10.89.0.3 :80", "on icc": "10.89.0.3 :80", "host": "10.89.0.3 :80",
			"v4 on c": "10.89.0.3 :80", "v6 on c": "fd99::1 :8080", "LAN, publish": "192.0.2.1 2001:db8::1 :8080"},
		"icc":  {"host": "172.21.0.2 :80"},
		"over": {"on ov": "10.0.1.2 :80", "isolated on ov": "10.0.1.2 :80", "host": "172.18.0.2 :80"},
		"overpub": with(strangers("10.99.0.1 fd99::1 :8080", "on a", "on c", "apart", "on icc"), map[string]string{
			"on ov": "10.0.1.3 :80", "isolated on ov": "10.0.1.3 :80", "host": "172.18.0.3 :80", "v4 on c": "10.99.0.1 :8080", "v6 on c": "fd99::1 :8080",
			"LAN, publish": "192.0.2.1 2001:db8::1 :8080"}),
		"hidden": with(strangers("10.99.0.1 :8080", "on a", "on c", "apart", "on icc", "host", "v4 on c"), map[string]string{
			"on ov": "10.0.1.4 :80", "isolated on ov": "10.0.1.4 :80", "LAN, publish": "192.0.2.1 :8080"}),
		"both": with(strangers("10.99.0.1 fd99::1 :8080", outsiders...), map[string]string{
			"on a": "172.17.0.6 :80", "host": "172.17.0.6 :80", "v4 on c": "10.99.0.1 :8080", "v6 on c": "fd99::1 :8080", "LAN": "192.0.2.6 :80", "LAN, publish": "192.0.2.6 :80"}),
		"mac": {"host": "192.0.2.7 2001:db8::7 :80", "LAN": "192.0.2.7 2001:db8::7 :80", "LAN, publish": "192.0.2.7 2001:db8::7 :80"},
		"net": with(strangers("10.99.0.1 fd99::1 :80", append(outsiders, "on a", "internal", "host")...), map[string]string{
			"v4 on c": "10.99.0.1 :80", "v6 on c": "fd99::1 :80", "LAN": "192.0.2.1 2001:db8::1 :80", "LAN, publish": "192.0.2.1 2001:db8::1 :80"}),
		"left": {},
		"db":   {"on ov": "10.0.1.2", "isolated on ov": "10.0.1.2", "host": "172.18.0.2"},
	} {
		for asker, v := range views {
			var got []string
			for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
				if a := viewed(s.Snapshot(), v, name+".docker.", qtype); a != "none" && a != "nxdomain" {
					got = append(got, a)
				}
			}
			for _, rr := range lookup(s.Snapshot(), Query{Name: "_http._tcp." + name + ".docker.", Type: dns.TypeSRV, View: v}).Answer {
				got = append(got, ":"+dns.Field(rr, 3))
			}
			if got := strings.Join(got, " "); got != want[asker] {
				t.Errorf("%s, asked by %s: %q, want %q", name, asker, got, want[asker])
			}
		}
	}
	for ip, want := range map[string]string{
		"172.18.0.2": "over.docker.", "10.0.1.2": "over.docker.", "172.19.0.2": "nat.docker.", "172.18.0.3": "overpub.docker.",
	} {
		if got := viewed(s.Snapshot(), View{}, reverseName(netip.MustParseAddr(ip)), dns.TypePTR); got != want {
			t.Errorf("%s is %s, want %s", ip, got, want)
		}
	}
	if got := viewed(s.Snapshot(), isolated, reverseName(netip.MustParseAddr("172.21.0.2")), dns.TypePTR); got != "nxdomain" {
		t.Errorf("an isolated stranger gets %s for an address that nobody shares", got)
	}
	// With the container go all its names.
	var gones []Change
	for _, id := range []string{"plain", "pub", "pub6", "one", "nat", "open", "half", "pod", "apart", "apartpub", "icc", "over", "overpub", "hidden", "both", "mac", "net"} {
		gones = append(gones, gone(id))
	}
	s.Apply(gones)
	if got, want := count(s.Snapshot().names), count(NewStore(s.config).Snapshot().names); got != want {
		t.Errorf("an emptied store has %d nodes, want %d", got, want)
	}
}

// TestTwoBehindGWBridge has a container on two overlays, which its host reaches by one address.
func TestTwoBehindGWBridge(t *testing.T) {
	s := newStore()
	e := entry("web", 0, "ov=10.0.1.2 gw:ov=172.18.0.2", "web.docker./name", "web.ov.docker./project/ov", "web.ov2.docker./project/ov2")
	for _, a := range e.Addresses {
		a.Network = on("ov2")
		if a.Reach == container.OffHost {
			a.IP = netip.MustParseAddr("10.0.2.2")
		}
		e.Addresses = append(e.Addresses, a)
	}
	e.Networks = append(e.Networks, on("ov2"))
	s.Apply(add(e))
	for _, name := range []string{"web.docker.", "web.ov.docker.", "web.ov2.docker."} {
		if got := viewed(s.Snapshot(), View{}, name, dns.TypeA); got != "172.18.0.2" {
			t.Errorf("the host gets %s for %s", got, name)
		}
	}
	if got := viewed(s.Snapshot(), inside("ov", "ov2"), "web.docker.", dns.TypeA); got != "10.0.1.2 10.0.2.2" {
		t.Errorf("a neighbour gets %s", got)
	}
	if got := s.Snapshot().Records; got != 6 { // three names' address, and three addresses' names
		t.Errorf("%d records, want 6", got)
	}
	var rrs []string
	s.Publish(View{Server: server{}}).Walk("docker.", func(set []dns.RR) {
		for _, rr := range set {
			if rr.Header().Rrtype == dns.TypeA && strings.HasPrefix(rr.Header().Name, "web") {
				rrs = append(rrs, rr.Header().Name+" "+dns.Field(rr, 1))
			}
		}
	})
	slices.Sort(rrs)
	if got := strings.Join(rrs, ", "); got != "web.docker. 172.18.0.2, web.ov.docker. 172.18.0.2, web.ov2.docker. 172.18.0.2" {
		t.Errorf("transferred: %s", got)
	}
}

// TestFarReach asks for containers of another host, by containers that have one family, or no way out.
func TestFarReach(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker.", "172.in-addr.arpa."}, TTL: 30, NegativeTTL: 7})
	over := entry("over", 0, "", "over.docker./name")
	over.Networks = []container.NetworkID{container.SpanningNetwork("ov")}
	over.Addresses = []Address{{netip.MustParseAddr("10.0.1.2"), over.Networks[0], container.OffHost}, {netip.MustParseAddr("172.18.0.2"), over.Networks[0], container.Unshared}}
	s.Apply(add(
		serves(entry("pub", 0, "a=172.17.0.3", "pub.docker./name"), "0.0.0.0:8080 [::]:8080", true),
		entry("nat", 0, "routed=172.19.0.2 routed=fd19::2", "nat.docker./name"),
		onHost(entry("net", 0, "", "net.docker./name")), over,
		atHost("b", entry("other", 0, "a=172.17.0.3", "other.docker./name")),
	))
	far := func(asker Asker, out container.Outbound, f Families) View {
		return View{Asker: asker, Hosts: []container.HostID{"b"}, Server: server{publish: true}, Outbound: out, Families: f, Networks: []container.NetworkID{
			container.LocalNetwork("b", "a"), container.SpanningNetwork("ov")}}
	}
	onlyBy := func(f Families, v View) View { v.Outside = f; return v } // its host reaches others
	for _, c := range []struct {
		view                      View
		pub, nat, net, over, nats string
	}{
		{far(Container, container.AnyWayOut, 0), "192.0.2.1 2001:db8::1", "172.19.0.2 fd19::2", "192.0.2.1 2001:db8::1", "10.0.1.2", "nat.docker."},
		{far(Container, container.AnyWayOut, IPv4), "192.0.2.1 none", "172.19.0.2 none", "192.0.2.1 none", "10.0.1.2", "nat.docker."},
		{far(Container, container.AnyWayOut, IPv6), "none 2001:db8::1", "none fd19::2", "none 2001:db8::1", "10.0.1.2", "nat.docker."},
		{far(Container, container.NoWayOut, IPv4), "none none", "none none", "none none", "10.0.1.2", "nat.docker."},
		{onlyBy(IPv4, far(Container, container.AnyWayOut, 0)), "192.0.2.1 none", "172.19.0.2 none", "192.0.2.1 none", "10.0.1.2", "nat.docker."},
		{onlyBy(IPv6, far(Container, container.AnyWayOut, IPv4)), "none none", "none none", "none none", "10.0.1.2", "nat.docker."},
		{onlyBy(IPv6, far(Host, 0, 0)), "none 2001:db8::1", "none fd19::2", "none 2001:db8::1", "none", "nat.docker."},
		{far(Host, 0, 0), "192.0.2.1 2001:db8::1", "172.19.0.2 fd19::2", "192.0.2.1 2001:db8::1", "none", "nat.docker."},
		{View{Asker: Elsewhere, Server: server{publish: true}}, "192.0.2.1 2001:db8::1", "172.19.0.2 fd19::2", "192.0.2.1 2001:db8::1", "none", "nat.docker."},
	} {
		for name, want := range map[string]string{"pub": c.pub, "nat": c.nat, "net": c.net} {
			got := viewed(s.Snapshot(), c.view, name+".docker.", dns.TypeA) + " " + viewed(s.Snapshot(), c.view, name+".docker.", dns.TypeAAAA)
			if got != want {
				t.Errorf("%s, asked by %d of b with families %d: %s, want %s", name, c.view.Asker, c.view.Families, got, want)
			}
		}
		if got := viewed(s.Snapshot(), c.view, "over.docker.", dns.TypeA); got != c.over {
			t.Errorf("over, asked by %d of b: %s, want %s", c.view.Asker, got, c.over)
		}
		if got := viewed(s.Snapshot(), c.view, "2.0.19.172.in-addr.arpa.", dns.TypePTR); got != c.nats {
			t.Errorf("the routed address, asked by %d of b: %s, want %s", c.view.Asker, got, c.nats)
		}
	}
	// Of docker_gwbridge each host has its own.
	for host, want := range map[container.HostID]string{"": "over.docker.", "b": "nxdomain"} {
		v := View{Hosts: []container.HostID{host}, Server: server{}}
		if got := viewed(s.Snapshot(), v, "2.0.18.172.in-addr.arpa.", dns.TypePTR); got != want {
			t.Errorf("an address on docker_gwbridge, asked by host %q: %s, want %s", host, got, want)
		}
	}
}
