package zone

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

func project(e *Entry, name string) *Entry { e.Project = name; return e }
func held1(e *Entry) *Entry                { e.Held, e.Addresses = true, nil; return e }
func draining(e *Entry) *Entry             { e.Draining = true; return e }
func onHost(e *Entry) *Entry               { e.HostNetwork = true; return e }
func published(e *Entry, addrs string) *Entry {
	e.Published = ips(addrs)
	return e
}

// forwarded has the host forward to the addresses from its other networks, so that rights alone decide what a container gets.
func forwarded(entries ...*Entry) []*Entry {
	for _, e := range entries {
		for i := range e.Addresses {
			e.Addresses[i].Reach |= container.Forwarded
		}
	}
	return entries
}

// bare marks the claims to names of one label as bare, unless they are a container's own.
func bare(e *Entry) *Entry {
	for i := range e.Claims {
		e.Claims[i].Bare = e.Claims[i].Rank == Shared && strings.Count(e.Claims[i].Name, ".") == 2
	}
	return e
}

// viewed returns what the view gets for the name: addresses, a PTR target, or the outcome if
// there is none.
func viewed(s *Snapshot, v View, name string, qtype uint16) string {
	r := lookup(s, Query{Name: name, Spelled: name, Type: qtype, View: v})
	var out []string
	for _, rr := range r.Answer {
		out = append(out, dns.Field(rr, 1))
	}
	if len(out) == 0 {
		return map[Outcome]string{NotOurs: "not ours", NoData: "none", Ended: "ended", EmptyNonTerminal: "empty", NameError: "nxdomain", NotReady: "not ready"}[r.Outcome]
	}
	return strings.Join(out, " ")
}

// of makes the view a container's of a Compose service.
func of(v View, project, service string) View { v.Project, v.Service = project, service; return v }

func inside(networks ...string) View {
	v := View{Asker: Container, Server: server{}}
	for _, network := range networks {
		v.Networks = append(v.Networks, on(network))
	}
	return v
}

// TestViews has a row for each kind of target and a column for each kind of asker.
func TestViews(t *testing.T) {
	s := newStore()
	s.Apply(add(
		entry("two", 0, "a=172.17.0.2 a=fd01::2 b=172.17.1.2 b=fd02::2", "two.docker./name"),
		entry("lan", 1, "b=172.17.1.3 lan=192.0.2.33 lan=2001:db8::33", "lan.docker./name"),
		published(entry("pub", 2, "b=172.17.1.4 b=fd02::4", "pub.docker./name"), "0.0.0.0 ::"),
		published(entry("pub4", 3, "b=172.17.1.5 b=fd02::5", "pub4.docker./name"), "0.0.0.0"),
		published(entry("pubone", 4, "b=172.17.1.6", "pubone.docker./name"), "198.51.100.7"),
		published(entry("pubnear", 9, "b=172.17.1.9", "pubnear.docker./name"), "10.99.0.1 198.51.100.7"),
		onHost(entry("host", 5, "", "host.docker./name")),
		bare(entry("last", 6, "lan=192.0.2.34 zbridge=172.17.1.7", "last.docker./name/zbridge", "db.docker./shared/lan", "db.docker./shared/zbridge")),
		entry("onlylan", 7, "lan=192.0.2.35", "onlylan.docker./name"),
		published(bare(entry("publan", 8, "b=172.17.1.8 lan=192.0.2.36", "publan.docker./name", "both.docker./shared/b", "both.docker./shared/lan", "onb.docker./shared/b")), "0.0.0.0"),
	))
	askers := []struct {
		name string
		view View
	}{
		{"on a", inside("a")}, {"on b", inside("b")}, {"on a and b", inside("a", "b")}, {"on c", inside("c")},
		{"isolated on c", View{Asker: Container, Networks: []container.NetworkID{on("c")}, Isolate: true, Server: server{}}},
		{"host", View{Server: server{}}},
		{"elsewhere", View{Asker: Elsewhere, Server: server{}}},
		{"elsewhere, publish", View{Asker: Elsewhere, Server: server{publish: true}}},
		{"on lan", inside("lan")},
	}
	for _, c := range []struct {
		name  string
		qtype uint16
		want  []string // for each asker
	}{
		{"two.docker.", dns.TypeA, []string{"172.17.0.2", "172.17.1.2", "172.17.0.2 172.17.1.2", "none",
			"nxdomain", "172.17.0.2 172.17.1.2", "none", "none", "none"}},
		{"two.docker.", dns.TypeAAAA, []string{"fd01::2", "fd02::2", "fd01::2 fd02::2", "none",
			"nxdomain", "fd01::2 fd02::2", "none", "none", "none"}},
		{"two.docker.", dns.TypeMX, []string{"none", "none", "none", "none", "nxdomain", "none", "none", "none", "none"}},
		{"2.0.17.172.in-addr.arpa.", dns.TypePTR, []string{"two.docker.", "two.docker.", "two.docker.", "two.docker.",
			"nxdomain", "two.docker.", "two.docker.", "two.docker.", "two.docker."}},
		{"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.d.f.ip6.arpa.", dns.TypePTR, []string{
			"two.docker.", "two.docker.", "two.docker.", "two.docker.", "not ours", "two.docker.", "two.docker.", "two.docker.", "two.docker."}},
		// on a bridge and on the LAN
		{"lan.docker.", dns.TypeA, []string{"none", "172.17.1.3", "172.17.1.3", "none",
			"nxdomain", "172.17.1.3", "192.0.2.33", "192.0.2.33", "192.0.2.33"}},
		{"lan.docker.", dns.TypeAAAA, []string{"none", "none", "none", "none",
			"nxdomain", "none", "2001:db8::33", "2001:db8::33", "2001:db8::33"}},
		{"last.docker.", dns.TypeA, []string{"none", "none", "none", "none",
			"nxdomain", "172.17.1.7", "none", "none", "none"}},
		{"db.docker.", dns.TypeA, []string{"none", "none", "none", "none",
			"nxdomain", "172.17.1.7", "192.0.2.34", "192.0.2.34", "192.0.2.34"}},
		{"onlylan.docker.", dns.TypeA, []string{"none", "none", "none", "none",
			"nxdomain", "192.0.2.35", "192.0.2.35", "192.0.2.35", "192.0.2.35"}},
		{"pub.docker.", dns.TypeA, []string{"10.99.0.1", "172.17.1.4", "172.17.1.4", "10.99.0.1",
			"nxdomain", "172.17.1.4", "none", "192.0.2.1", "10.99.0.1"}},
		{"pub.docker.", dns.TypeAAAA, []string{"fd99::1", "fd02::4", "fd02::4", "fd99::1",
			"nxdomain", "fd02::4", "none", "2001:db8::1", "fd99::1"}},
		{"pub4.docker.", dns.TypeAAAA, []string{"none", "fd02::5", "fd02::5", "none",
			"nxdomain", "fd02::5", "none", "none", "none"}},
		{"pubone.docker.", dns.TypeA, []string{"198.51.100.7", "172.17.1.6", "172.17.1.6", "198.51.100.7",
			"nxdomain", "172.17.1.6", "none", "198.51.100.7", "198.51.100.7"}},
		// on the LAN, and published
		{"publan.docker.", dns.TypeA, []string{"10.99.0.1", "172.17.1.8", "172.17.1.8", "10.99.0.1",
			"nxdomain", "172.17.1.8", "192.0.2.36", "192.0.2.36", "192.0.2.36"}},
		{"both.docker.", dns.TypeA, []string{"10.99.0.1", "172.17.1.8", "172.17.1.8", "10.99.0.1",
			"nxdomain", "172.17.1.8", "192.0.2.36", "192.0.2.36", "192.0.2.36"}},
		{"onb.docker.", dns.TypeA, []string{"10.99.0.1", "172.17.1.8", "172.17.1.8", "10.99.0.1",
			"nxdomain", "172.17.1.8", "none", "192.0.2.1", "10.99.0.1"}},
		// on an address of a bridge too, which is nobody's elsewhere
		{"pubnear.docker.", dns.TypeA, []string{"10.99.0.1 198.51.100.7", "172.17.1.9", "172.17.1.9", "10.99.0.1 198.51.100.7",
			"nxdomain", "172.17.1.9", "none", "198.51.100.7", "10.99.0.1 198.51.100.7"}},
		{"host.docker.", dns.TypeA, []string{"10.99.0.1", "10.99.0.1", "10.99.0.1", "10.99.0.1",
			"nxdomain", "10.99.0.1", "192.0.2.1", "192.0.2.1", "10.99.0.1"}},
		{"host.docker.", dns.TypeAAAA, []string{"fd99::1", "fd99::1", "fd99::1", "fd99::1",
			"nxdomain", "fd99::1", "2001:db8::1", "2001:db8::1", "fd99::1"}},
	} {
		for i, a := range askers {
			if got := viewed(s.Snapshot(), a.view, c.name, c.qtype); got != c.want[i] {
				t.Errorf("%s %s, %s: %q, want %q", c.name, dns.TypeToString[c.qtype], a.name, got, c.want[i])
			}
		}
	}
}

// TestWell checks that the unwell are left out only where there are well ones that the
// asker can reach.
func TestWell(t *testing.T) {
	ofService := func(e *Entry) *Entry { e.Project, e.Service = "shop", "web"; return e }
	require := func(e *Entry) *Entry { e.RequireWell = true; return e }
	a := func() *Entry { return entry("a", 0, "a=172.17.0.2", "x.docker.") }
	b := func() *Entry { return entry("b", 1, "a=172.17.0.3", "x.docker.") }
	c := func() *Entry { return entry("c", 2, "c=172.17.0.4", "x.docker.") }
	host, peer, other := View{}, of(inside("a"), "shop", "web"), of(inside("a"), "shop", "api")
	for _, tc := range []struct {
		what    string
		entries []*Entry
		view    View
		want    string
	}{
		{"one is well", []*Entry{a(), sick(b()), sick(c())}, host, "172.17.0.2"},
		{"one is well", []*Entry{a(), sick(b()), sick(c())}, inside("a"), "172.17.0.2"},
		{"the well one is out of reach", []*Entry{a(), sick(b()), sick(c())}, inside("c"), "172.17.0.4"},
		{"none is well", []*Entry{sick(a()), sick(b()), sick(c())}, host, "172.17.0.2 172.17.0.3 172.17.0.4"},
		{"none is well", []*Entry{sick(a()), draining(b())}, host, "172.17.0.2 172.17.0.3"},
		{"one drains", []*Entry{a(), draining(b())}, host, "172.17.0.2"},
		{"on the host's network", []*Entry{onHost(sick(entry("h", 3, "", "x.docker.")))}, host, "127.0.0.1"},
		{"required, one is well", []*Entry{require(a()), require(sick(b()))}, host, "172.17.0.2"},
		{"required, none is well", []*Entry{require(sick(a())), require(draining(b()))}, host, "none"},
		{"required of one", []*Entry{require(sick(a())), sick(b())}, host, "172.17.0.3"},
		{"required on the host's network", []*Entry{require(onHost(sick(entry("h", 3, "", "x.docker."))))}, host, "none"},
		{"peers", []*Entry{ofService(a()), ofService(sick(b()))}, peer, "172.17.0.2 172.17.0.3"},
		{"peers, required", []*Entry{ofService(require(sick(a()))), ofService(require(sick(b())))}, peer, "172.17.0.2 172.17.0.3"},
		{"peers, one drains", []*Entry{ofService(sick(a())), ofService(draining(b()))}, peer, "172.17.0.2"},
		{"peers, required, one drains", []*Entry{ofService(require(draining(b())))}, peer, "none"},
		{"another service", []*Entry{ofService(a()), ofService(sick(b()))}, other, "172.17.0.2"},
		{"no service", []*Entry{a(), sick(b())}, of(inside("a"), "", ""), "172.17.0.2"},
		{"another project", []*Entry{ofService(a()), ofService(sick(b()))}, of(inside("a"), "blog", "web"), "172.17.0.2"},
	} {
		s := newStore()
		s.Apply(add(tc.entries...))
		if got := viewed(s.Snapshot(), tc.view, "x.docker.", dns.TypeA); got != tc.want {
			t.Errorf("%s, asker %d of %q on %v: %q, want %q", tc.what, tc.view.Asker, tc.view.Service, tc.view.Networks, got, tc.want)
		}
	}
}

// TestHeld checks the time between a container's end and its next start.
func TestHeld(t *testing.T) {
	s := newStore()
	db := func() *Entry {
		return entry("db", 0, "n=172.17.0.2", "db.docker./name", "0123.docker./id", "db.shop.docker.")
	}
	thief := entry("thief", 1, "n=172.17.0.9", "thief.docker./name", "db.docker.", "db.shop.docker.")
	s.Apply(add(db(), thief))
	s.Apply(add(held1(db())))
	for name, want := range map[string]string{
		"0123.docker.":             "ended",
		"db.docker.":               "ended", // not the thief's
		"db.shop.docker.":          "172.17.0.9",
		"2.0.17.172.in-addr.arpa.": "nxdomain", // the address may be another's by now
	} {
		qtype := dns.TypeA
		if IsReverse(name) {
			qtype = dns.TypePTR
		}
		if got := viewed(s.Snapshot(), View{}, name, qtype); got != want {
			t.Errorf("held: %s is %q, want %q", name, got, want)
		}
	}
	// A new container of the name has it, though it is younger.
	s.Apply(add(entry("db2", 5, "n=172.17.0.3", "db.docker./name")))
	if got := viewed(s.Snapshot(), View{}, "db.docker.", dns.TypeA); got != "172.17.0.3" {
		t.Errorf("a new container of the name: %q", got)
	}
	if got := lostOf(s.Snapshot()); got != 1 { // the thief's
		t.Errorf("%d lost claims, want 1", got)
	}
	s.Apply([]Change{gone("db")})
	if got := viewed(s.Snapshot(), View{}, "0123.docker.", dns.TypeA); got != "nxdomain" {
		t.Errorf("after the hold: %q", got)
	}
}

func TestOwners(t *testing.T) {
	s := newStore()
	s.Apply(add(
		entry("a", 0, "a=172.17.0.2 a=fd01::2", "x.docker.", "a.docker./name"), entry("b", 1, "b=172.17.0.3", "x.docker."),
		sick(entry("c", 2, "a=172.17.0.4", "x.docker.")), onHost(entry("h", 3, "", "h.docker."))))
	for _, c := range []struct {
		name string
		view View
		want string
	}{
		{"x.docker.", View{}, "[a b]"}, {"x.docker.", inside("b"), "[b]"}, {"h.docker.", inside("b"), "[h]"},
		{"2.0.17.172.in-addr.arpa.", View{}, "[a]"}, {"nope.docker.", View{}, "[]"}, {"example.org.", View{}, "[]"},
		{"a.docker.", View{Asker: Container, Isolate: true, Networks: []container.NetworkID{on("b")}}, "[]"},
	} {
		if got := fmt.Sprint(s.Snapshot().Owners(&Query{Name: c.name, View: c.view})); got != c.want {
			t.Errorf("%s for %v: %s, want %s", c.name, c.view.Networks, got, c.want)
		}
	}
}

// TestManyAddresses answers for more containers than the lookup keeps on its stack.
func TestManyAddresses(t *testing.T) {
	s := newStore()
	for i := range 600 {
		s.Apply(add(entry(fmt.Sprint("c", i), i, fmt.Sprintf("n=172.17.%d.%d", i/200, i%200+1), "x.docker.")))
	}
	for _, v := range []View{{}, inside("n")} {
		got := strings.Fields(viewed(s.Snapshot(), v, "x.docker.", dns.TypeA))
		slices.Sort(got)
		if len(slices.Compact(got)) != 600 {
			t.Errorf("%d addresses, want 600", len(got))
		}
	}
}

// benchmarkStore has 1,000 containers on 20 networks.
func benchmarkStore() *Store {
	s := newStore()
	var changes []Change
	for i := range 1000 {
		id := fmt.Sprintf("c%d", i)
		addrs := fmt.Sprintf("net%d=10.%d.0.%d", i%20, i%20, i/20+2)
		changes = append(changes, add(entry(id, i, addrs, id+".docker./name", "s"+id+".shop.docker."))...)
	}
	s.Apply(changes)
	return s
}

// BenchmarkLookup compares a lookup for the host, whose answers are ready, with one for
// a container, whose answers are chosen.
func BenchmarkLookup(b *testing.B) {
	s := benchmarkStore().Snapshot()
	for _, v := range []struct {
		name string
		view View
	}{{"view=host", View{}}, {"view=container", inside("net7")}} {
		b.Run(v.name, func(b *testing.B) {
			q := Query{Name: "c7.docker.", Spelled: "c7.docker.", Type: dns.TypeA, View: v.view}
			b.ReportAllocs()
			for b.Loop() {
				var r Result
				if s.Lookup(&q, &r); r.Outcome != Success {
					b.Fatal(r.Outcome)
				}
			}
		})
	}
}
