package zone

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func project(e *Entry, name string) *Entry { e.Project = name; return e }
func held1(e *Entry) *Entry                { e.Held, e.Addresses = true, nil; return e }
func onHost(e *Entry) *Entry               { e.HostNetwork = true; return e }
func published(e *Entry, addrs string) *Entry {
	e.Published = ips(addrs)
	return e
}

// bare marks the claims to a network's alias as bare.
func bare(e *Entry) *Entry {
	for i := range e.Claims {
		e.Claims[i].Bare = e.Claims[i].Network != "" && strings.Count(e.Claims[i].Name, ".") == 2
	}
	return e
}

// viewed returns what the view gets for the name: addresses, a PTR target, or the outcome if
// there is none.
func viewed(s *Snapshot, v View, name string, qtype uint16) string {
	r := lookup(s, Query{Name: name, Asked: name, Type: qtype, View: v})
	var out []string
	for _, rr := range r.Answer {
		out = append(out, dns.Field(rr, 1))
	}
	if len(out) == 0 {
		return map[Outcome]string{NotOurs: "not ours", NoData: "none", Ended: "ended", EmptyNonTerminal: "empty", NameError: "nxdomain"}[r.Outcome]
	}
	return strings.Join(out, " ")
}

func inside(networks ...string) View {
	return View{Asker: Container, Networks: networks, Server: server{}}
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
		onHost(entry("host", 5, "", "host.docker./name")),
	))
	askers := []struct {
		name string
		view View
	}{
		{"on a", inside("a")}, {"on b", inside("b")}, {"on a and b", inside("a", "b")}, {"on c", inside("c")},
		{"isolated on c", View{Asker: Container, Networks: []string{"c"}, Isolate: true, Server: server{}}},
		{"host", View{Server: server{}}},
		{"elsewhere", View{Asker: Elsewhere, Server: server{}}},
		{"elsewhere, publish", View{Asker: Elsewhere, Server: server{publish: true}}},
	}
	for _, c := range []struct {
		name  string
		qtype uint16
		want  []string // for each asker
	}{
		{"two.docker.", dns.TypeA, []string{"172.17.0.2", "172.17.1.2", "172.17.0.2 172.17.1.2", "172.17.0.2 172.17.1.2",
			"nxdomain", "172.17.0.2 172.17.1.2", "none", "none"}},
		{"two.docker.", dns.TypeAAAA, []string{"fd01::2", "fd02::2", "fd01::2 fd02::2", "fd01::2 fd02::2",
			"nxdomain", "fd01::2 fd02::2", "none", "none"}},
		{"two.docker.", dns.TypeMX, []string{"none", "none", "none", "none", "nxdomain", "none", "none", "none"}},
		{"2.0.17.172.in-addr.arpa.", dns.TypePTR, []string{"two.docker.", "two.docker.", "two.docker.", "two.docker.",
			"nxdomain", "two.docker.", "two.docker.", "two.docker."}},
		{"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.d.f.ip6.arpa.", dns.TypePTR, []string{
			"two.docker.", "two.docker.", "two.docker.", "two.docker.", "not ours", "two.docker.", "two.docker.", "two.docker."}},
		{"lan.docker.", dns.TypeA, []string{"172.17.1.3 192.0.2.33", "172.17.1.3", "172.17.1.3", "172.17.1.3 192.0.2.33",
			"nxdomain", "172.17.1.3 192.0.2.33", "192.0.2.33", "192.0.2.33"}},
		{"lan.docker.", dns.TypeAAAA, []string{"2001:db8::33", "none", "none", "2001:db8::33",
			"nxdomain", "2001:db8::33", "2001:db8::33", "2001:db8::33"}},
		{"pub.docker.", dns.TypeA, []string{"172.17.1.4", "172.17.1.4", "172.17.1.4", "172.17.1.4",
			"nxdomain", "172.17.1.4", "none", "192.0.2.1"}},
		{"pub.docker.", dns.TypeAAAA, []string{"fd02::4", "fd02::4", "fd02::4", "fd02::4",
			"nxdomain", "fd02::4", "none", "2001:db8::1"}},
		{"pub4.docker.", dns.TypeAAAA, []string{"fd02::5", "fd02::5", "fd02::5", "fd02::5", "nxdomain", "fd02::5", "none", "none"}},
		{"pubone.docker.", dns.TypeA, []string{"172.17.1.6", "172.17.1.6", "172.17.1.6", "172.17.1.6",
			"nxdomain", "172.17.1.6", "none", "198.51.100.7"}},
		{"host.docker.", dns.TypeA, []string{"10.99.0.1", "10.99.0.1", "10.99.0.1", "10.99.0.1",
			"nxdomain", "127.0.0.1", "192.0.2.1", "192.0.2.1"}},
		{"host.docker.", dns.TypeAAAA, []string{"fd99::1", "fd99::1", "fd99::1", "fd99::1",
			"nxdomain", "::1", "2001:db8::1", "2001:db8::1"}},
	} {
		for i, a := range askers {
			if got := viewed(s.Snapshot(), a.view, c.name, c.qtype); got != c.want[i] {
				t.Errorf("%s %s, %s: %q, want %q", c.name, dns.TypeToString[c.qtype], a.name, got, c.want[i])
			}
		}
	}
}

// TestBareAliases checks that what two projects call alike is never mixed.
func TestBareAliases(t *testing.T) {
	shop := bare(project(entry("s", 0, "shop=172.17.0.2", "db.docker./shared/shop", "db.shop.docker."), "shop"))
	shop2 := bare(project(entry("s2", 1, "shop=172.17.0.3", "db.docker./shared/shop", "db.shop.docker."), "shop"))
	back := bare(project(entry("s3", 2, "back=172.17.0.4", "db.docker./shared/back", "db.shop.docker."), "shop"))
	blog := bare(project(entry("b", 3, "blog=172.17.0.9", "db.docker./shared/blog", "db.blog.docker."), "blog"))
	same := bare(entry("x", 4, "shop=172.17.0.7", "db.docker./shared/shop")) // no project, but on the network
	named := entry("n", 5, "n=172.17.0.8", "db.docker./shared")              // a host name, say
	onShop, onBlog, onNone := inside("shop"), inside("blog"), inside("none")
	host, lan := View{}, View{Asker: Elsewhere, Server: server{publish: true}}
	for _, c := range []struct {
		what    string
		entries []*Entry
		view    View
		want    string
	}{
		{"own project", []*Entry{shop, blog}, onShop, "172.17.0.2"},
		{"own project", []*Entry{shop, blog}, onBlog, "172.17.0.9"},
		{"two projects", []*Entry{shop, blog}, host, "none"},
		{"two projects", []*Entry{shop, blog}, onNone, "none"},
		{"two projects", []*Entry{shop, published(blog, "0.0.0.0")}, lan, "none"},
		{"one project", []*Entry{shop, shop2}, host, "172.17.0.2 172.17.0.3"},
		{"one project on two networks", []*Entry{shop, back}, host, "172.17.0.2 172.17.0.4"},
		{"one project", []*Entry{shop}, onNone, "172.17.0.2"},
		{"one network", []*Entry{shop, same}, host, "172.17.0.2 172.17.0.7"},
		{"no project, one network", []*Entry{same}, host, "172.17.0.7"},
		{"a network and another", []*Entry{same, blog}, host, "none"},
		{"two projects and a host name", []*Entry{shop, blog, named}, host, "172.17.0.8"},
		{"the other project has just ended", []*Entry{shop, held1(project(bare(entry("b", 3, "blog=172.17.0.9", "db.docker./shared/blog")), "blog"))}, host, "172.17.0.2"},
	} {
		s := newStore()
		s.Apply(add(c.entries...))
		if got := viewed(s.Snapshot(), c.view, "db.docker.", dns.TypeA); got != c.want {
			t.Errorf("%s, asker %d on %v: %q, want %q", c.what, c.view.Asker, c.view.Networks, got, c.want)
		}
		blog.Published = nil
	}
	s := newStore()
	s.Apply(add(shop, blog))
	for name, want := range map[string]string{"db.shop.docker.": "172.17.0.2", "db.blog.docker.": "172.17.0.9"} {
		if got := viewed(s.Snapshot(), host, name, dns.TypeA); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestWell checks that the ill are left out only where there are well ones that the
// asker can reach.
func TestWell(t *testing.T) {
	entries := func() []*Entry {
		return []*Entry{
			entry("a", 0, "a=172.17.0.2", "x.docker."), ill(entry("b", 1, "a=172.17.0.3", "x.docker.")),
			ill(entry("c", 2, "c=172.17.0.4", "x.docker.")), onHost(ill(entry("h", 3, "", "h.docker."))),
		}
	}
	prefer, require := newStore(), NewStore(Config{Zones: []string{"docker."}, RequireWell: true})
	prefer.Apply(add(entries()...))
	require.Apply(add(entries()...))
	for _, c := range []struct {
		name            string
		view            View
		prefer, require string
	}{
		{"x.docker.", View{}, "172.17.0.2", "172.17.0.2"},
		{"x.docker.", inside("a"), "172.17.0.2", "172.17.0.2"},
		{"x.docker.", inside("c"), "172.17.0.4", "none"},
		{"h.docker.", View{}, "127.0.0.1", "none"},
	} {
		if got := viewed(prefer.Snapshot(), c.view, c.name, dns.TypeA); got != c.prefer {
			t.Errorf("prefer: %s for %v: %q, want %q", c.name, c.view.Networks, got, c.prefer)
		}
		if got := viewed(require.Snapshot(), c.view, c.name, dns.TypeA); got != c.require {
			t.Errorf("require: %s for %v: %q, want %q", c.name, c.view.Networks, got, c.require)
		}
	}
	// None is well any more.
	prefer.Apply(add(ill(entries()[0])))
	require.Apply(add(ill(entries()[0])))
	if got := viewed(prefer.Snapshot(), View{}, "x.docker.", dns.TypeA); got != "172.17.0.2 172.17.0.3 172.17.0.4" {
		t.Errorf("prefer: %q when none is well", got)
	}
	if got := viewed(require.Snapshot(), View{}, "x.docker.", dns.TypeA); got != "none" {
		t.Errorf("require: %q when none is well", got)
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
	isolated := View{Asker: Container, Networks: []string{"c"}, Isolate: true}
	if got := viewed(s.Snapshot(), isolated, "0123.docker.", dns.TypeA); got != "ended" {
		t.Errorf("held, isolated: %q", got)
	}
	// A new container of the name has it, though it is younger.
	s.Apply(add(entry("db2", 5, "n=172.17.0.3", "db.docker./name")))
	if got := viewed(s.Snapshot(), View{}, "db.docker.", dns.TypeA); got != "172.17.0.3" {
		t.Errorf("a new container of the name: %q", got)
	}
	if got := s.Snapshot().Lost; got != 1 { // the thief's
		t.Errorf("%d lost claims, want 1", got)
	}
	s.Apply([]Change{{ID: "db"}})
	if got := viewed(s.Snapshot(), View{}, "0123.docker.", dns.TypeA); got != "nxdomain" {
		t.Errorf("after the hold: %q", got)
	}
}

func TestOwners(t *testing.T) {
	s := newStore()
	s.Apply(add(
		entry("a", 0, "a=172.17.0.2 a=fd01::2", "x.docker.", "a.docker./name"), entry("b", 1, "b=172.17.0.3", "x.docker."),
		ill(entry("c", 2, "a=172.17.0.4", "x.docker.")), onHost(entry("h", 3, "", "h.docker."))))
	for _, c := range []struct {
		name string
		view View
		want string
	}{
		{"x.docker.", View{}, "[a b]"}, {"x.docker.", inside("b"), "[b]"}, {"h.docker.", inside("b"), "[h]"},
		{"2.0.17.172.in-addr.arpa.", View{}, "[a]"}, {"nope.docker.", View{}, "[]"}, {"example.org.", View{}, "[]"},
		{"a.docker.", View{Asker: Container, Isolate: true, Networks: []string{"b"}}, "[]"},
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
			q := Query{Name: "c7.docker.", Asked: "c7.docker.", Type: dns.TypeA, View: v.view}
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
