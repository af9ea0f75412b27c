package zone

import (
	"fmt"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// TestBareNames checks that what two projects or networks call alike is never mixed, and that
// nobody gets a stranger's address while his own neighbour restarts.
func TestBareNames(t *testing.T) {
	alias := func(id string, age int, of, addr string) *Entry { // on a network that is called like its project
		e := entry(id, age, of+"="+addr, "db.docker./shared/"+of, id+".docker./name")
		if of != "plain" && of != "other" {
			e = project(e, of)
		}
		return bare(e)
	}
	hostname := func(e *Entry) *Entry {
		for i := range e.Claims {
			if e.Claims[i].Bare {
				e.Claims[i].Network = noNetwork
			}
		}
		return e
	}
	ended := func(e *Entry) *Entry { return held1(e) }
	shop, shop2, blog := func() *Entry { return alias("s", 0, "shop", "172.17.0.2") }, func() *Entry { return alias("s2", 1, "shop", "172.17.0.3") },
		func() *Entry { return alias("b", 2, "blog", "172.17.0.9") }
	plain, other := func() *Entry { return alias("p", 3, "plain", "172.17.0.7") }, func() *Entry { return alias("o", 4, "other", "172.17.0.8") }
	back := bare(project(entry("s3", 2, "back=172.17.0.4", "db.docker./shared/back"), "shop"))
	same := bare(entry("x", 4, "shop=172.17.0.5", "db.docker./shared/shop")) // no project, but on the network
	both := bare(entry("y", 4, "plain=172.17.0.6 other=172.17.1.6", "db.docker./shared/plain", "db.docker./shared/other"))
	label := entry("n", 5, "n=172.17.0.10", "db.docker.")
	external := func(id, of, addr string) *Entry {
		return bare(project(entry(id, 6, "proxy="+addr, "db.docker./shared/proxy"), of))
	}
	onShop, onBlog, onNone, onPlain, onOther := inside("shop"), inside("blog"), inside("none"), inside("plain"), inside("other")
	host, lan := View{}, View{Asker: Elsewhere, Server: server{publish: true}}
	for _, c := range []struct {
		what    string
		entries []*Entry
		view    View
		want    string
	}{
		{"own network", []*Entry{shop(), blog()}, onShop, "172.17.0.2"},
		{"own network", []*Entry{shop(), blog()}, onBlog, "172.17.0.9"},
		{"two projects", []*Entry{shop(), blog()}, host, "none"},
		{"two projects", []*Entry{shop(), blog()}, onNone, "none"},
		{"two projects", []*Entry{shop(), published(blog(), "0.0.0.0")}, lan, "none"},
		{"one project", []*Entry{shop(), shop2()}, host, "172.17.0.2 172.17.0.3"},
		{"one project on two networks", []*Entry{shop(), back}, host, "172.17.0.2 172.17.0.4"},
		{"one project", []*Entry{shop()}, onNone, "172.17.0.2"},
		{"one project", []*Entry{shop()}, of(onNone, "shop", ""), "172.17.0.2"},
		{"another project's", []*Entry{shop()}, of(onNone, "blog", ""), "none"},
		{"one network", []*Entry{shop(), same}, host, "172.17.0.2 172.17.0.5"},
		{"no project, one network", []*Entry{same}, host, "172.17.0.5"},
		{"a network and another", []*Entry{same, blog()}, host, "none"},
		{"no projects, two networks", []*Entry{plain(), other()}, host, "none"},
		{"no projects, two networks", []*Entry{plain(), other()}, onPlain, "172.17.0.7"},
		{"one container on two networks", []*Entry{both}, host, "172.17.0.6 172.17.1.6"},
		{"with a neighbour on one of them", []*Entry{both, other()}, host, "172.17.0.8 172.17.0.6 172.17.1.6"},
		{"with neighbours on both", []*Entry{both, other(), plain()}, host, "none"},
		{"two projects and a label", []*Entry{shop(), blog(), label}, host, "172.17.0.10"},
		{"a project and a label", []*Entry{shop(), label}, host, "172.17.0.10"},
		{"a project and a label", []*Entry{shop(), label}, onShop, "172.17.0.2"},
		{"two projects on one network", []*Entry{external("a", "shop", "172.17.2.2"), external("b", "blog", "172.17.2.3")}, host, "none"},
		{"two projects on one network", []*Entry{external("a", "shop", "172.17.2.2"), external("b", "blog", "172.17.2.3")}, inside("proxy"), "none"},
		{"two projects on one network", []*Entry{external("a", "shop", "172.17.2.2"), external("b", "blog", "172.17.2.3")}, of(inside("proxy"), "blog", ""), "172.17.2.3"},
		{"two projects on one network", []*Entry{external("a", "shop", "172.17.2.2"), external("b", "blog", "172.17.2.3")}, of(inside("proxy"), "wiki", ""), "none"},
		// Host names have the same guard.
		{"host names of two projects", []*Entry{hostname(shop()), hostname(blog())}, host, "none"},
		{"host names of two projects", []*Entry{hostname(shop()), hostname(blog())}, onNone, "none"},
		{"host names of two projects", []*Entry{hostname(shop()), hostname(blog())}, onBlog, "172.17.0.9"},
		{"host names of one project", []*Entry{hostname(shop()), hostname(shop2())}, host, "172.17.0.2 172.17.0.3"},
		{"host names on two networks", []*Entry{hostname(plain()), hostname(other())}, host, "none"},
		{"host names on one network", []*Entry{hostname(plain()), hostname(bare(entry("q", 9, "plain=172.17.0.20", "db.docker.")))}, host, "172.17.0.7 172.17.0.20"},
		{"host names on one of two networks", []*Entry{hostname(both), hostname(other())}, host, "172.17.0.8 172.17.0.6 172.17.1.6"},
		{"a host name and an alias", []*Entry{hostname(shop()), blog()}, host, "none"},
		{"one on no network", []*Entry{hostname(plain()), hostname(bare(entry("q", 9, "", "db.docker.")))}, host, "172.17.0.7"},
		// What has just ended counts.
		{"own db restarts", []*Entry{ended(shop()), blog()}, onShop, "ended"},
		{"own db restarts", []*Entry{ended(hostname(shop())), hostname(blog())}, onShop, "ended"},
		{"own db restarts", []*Entry{ended(shop()), blog()}, of(onShop, "shop", ""), "ended"},
		{"own db restarts", []*Entry{ended(external("a", "shop", "172.17.2.2")), external("b", "blog", "172.17.2.3")}, of(inside("proxy"), "shop", ""), "ended"},
		{"one's db restarts", []*Entry{ended(shop()), blog()}, host, "none"},
		{"one's db restarts", []*Entry{ended(shop()), blog()}, onNone, "none"},
		{"one's db restarts", []*Entry{ended(shop()), published(blog(), "0.0.0.0")}, lan, "none"},
		{"one's db restarts", []*Entry{ended(shop()), blog()}, onBlog, "172.17.0.9"},
		{"one's db restarts", []*Entry{ended(plain()), other()}, host, "none"},
		{"one's db restarts", []*Entry{ended(plain()), other()}, onOther, "172.17.0.8"},
		{"one of two restarts", []*Entry{ended(shop()), shop2()}, onShop, "172.17.0.3"},
		{"one of two restarts", []*Entry{ended(shop()), shop2()}, host, "172.17.0.3"},
		{"it is made anew", []*Entry{ended(plain()), bare(entry("p2", 9, "plain=172.17.0.20", "db.docker./shared/plain"))}, host, "172.17.0.20"},
	} {
		s := newStore()
		s.Apply(add(forwarded(c.entries...)...))
		if got := viewed(s.Snapshot(), c.view, "db.docker.", dns.TypeA); got != c.want {
			t.Errorf("%s, asker %d of %q on %v: %q, want %q", c.what, c.view.Asker, c.view.Project, c.view.Networks, got, c.want)
		}
	}
}

// TestOwnNetworkFirst checks that for a container that asks no right of a stranger counts
// before its neighbours' names, of whatever type it asks.
func TestOwnNetworkFirst(t *testing.T) {
	// A stranger has db as its own name, with a port and a record.
	thief := with(service(entry("thief", 0, "blue=172.17.0.66", "db.docker./name", "thief.docker./id"), "_pg._tcp.db.docker.", "db.docker. thief.docker.", 5432), "db.docker. 30 TXT stolen")
	own := func(name string) *Entry {
		return bare(project(entry("own", 1, "green=172.17.1.2", name, "own.docker./name"), "green"))
	}
	app := of(inside("green"), "green", "app")
	isolated := app
	isolated.Isolate = true
	for _, c := range []struct {
		what    string
		entries []*Entry
		view    View
		name    string
		qtype   uint16
		want    string
	}{
		{"an alias", []*Entry{thief, own("db.docker./shared/green")}, app, "db.docker.", dns.TypeA, "172.17.1.2"},
		{"an alias", []*Entry{thief, own("db.docker./shared/green")}, isolated, "db.docker.", dns.TypeA, "172.17.1.2"},
		{"an alias", []*Entry{thief, own("db.docker./shared/green")}, app, "db.docker.", dns.TypeTXT, "none"},
		{"an alias", []*Entry{thief, own("db.docker./shared/green")}, app, "_pg._tcp.db.docker.", dns.TypeSRV, "none"},
		{"an alias", []*Entry{thief, own("db.docker./shared/green")}, app, "66.0.17.172.in-addr.arpa.", dns.TypePTR, "thief.docker."},
		{"an alias", []*Entry{thief, own("db.docker./shared/green")}, app, "2.1.17.172.in-addr.arpa.", dns.TypePTR, "db.docker."},
		{"an alias", []*Entry{thief, own("db.docker./shared/green")}, View{}, "2.1.17.172.in-addr.arpa.", dns.TypePTR, "own.docker."},
		{"an alias", []*Entry{thief, own("db.docker./shared/green")}, View{}, "db.docker.", dns.TypeA, "172.17.0.66"},
		{"an alias", []*Entry{thief, own("db.docker./shared/green")}, View{}, "66.0.17.172.in-addr.arpa.", dns.TypePTR, "db.docker."},
		{"an alias", []*Entry{thief, own("db.docker./shared/green")}, inside("none"), "db.docker.", dns.TypeTXT, "stolen"},
		{"an alias", []*Entry{thief, own("db.docker./shared/green")}, inside("none"), "_pg._tcp.db.docker.", dns.TypeSRV, "5432"},
		{"an alias", []*Entry{thief, own("db.docker./shared/green")}, inside("blue"), "db.docker.", dns.TypeA, "172.17.0.66"},
		{"on both networks the right counts", []*Entry{thief, own("db.docker./shared/green")}, inside("blue", "green"), "db.docker.", dns.TypeA, "172.17.0.66"},
		{"but its own project comes first", []*Entry{thief, own("db.docker./shared/green")}, of(inside("blue", "green"), "green", ""), "db.docker.", dns.TypeA, "172.17.1.2"},
		{"a host name", []*Entry{thief, own("db.docker.")}, app, "db.docker.", dns.TypeA, "172.17.1.2"},
		{"it restarts", []*Entry{thief, held1(own("db.docker./shared/green"))}, app, "db.docker.", dns.TypeA, "ended"},
		{"it restarts", []*Entry{thief, held1(own("db.docker./shared/green"))}, isolated, "db.docker.", dns.TypeA, "ended"},
		{"it restarts", []*Entry{thief, held1(own("db.docker./shared/green"))}, View{}, "db.docker.", dns.TypeA, "172.17.0.66"},
		{"nothing of its own", []*Entry{thief}, app, "db.docker.", dns.TypeA, "172.17.0.66"},
		{"nothing of its own", []*Entry{thief}, isolated, "db.docker.", dns.TypeA, "nxdomain"},
		{"a neighbour's own name before an alias", []*Entry{own("db.docker./name"), entry("a", 0, "green=172.17.1.9", "db.docker./shared/green")}, inside("green"), "db.docker.", dns.TypeA, "172.17.1.2"},
		{"on the host's network", []*Entry{onHost(entry("h", 0, "", "db.docker./name")), own("db.docker./shared/green")}, app, "db.docker.", dns.TypeA, "172.17.1.2"},
		{"a wildcard", []*Entry{entry("w", 0, "blue=172.17.0.66", "*.db.docker."), own("*.db.docker.")}, app, "x.db.docker.", dns.TypeA, "172.17.1.2"},
	} {
		s := NewStore(Config{Zones: []string{"docker.", "17.172.in-addr.arpa."}, TTL: 30, NegativeTTL: 7, Isolate: true})
		s.Apply(add(forwarded(c.entries...)...))
		got := viewed(s.Snapshot(), c.view, c.name, c.qtype)
		if c.qtype == dns.TypeSRV || c.qtype == dns.TypeTXT {
			got = all(s.Snapshot(), c.view, c.name, c.qtype)
		}
		want := map[string]string{"stolen": `TXT "stolen"`, "5432": "SRV 0 0 5432 db.docker. + A 172.17.0.66", "none": " (nodata)"}[c.want]
		if want == "" || c.qtype != dns.TypeSRV && c.qtype != dns.TypeTXT {
			want = c.want
		}
		if got != want {
			t.Errorf("%s, asker %d of %q on %v asks for %s %s: %q, want %q", c.what, c.view.Asker, c.view.Project, c.view.Networks, c.name, dns.TypeToString[c.qtype], got, want)
		}
	}
}

// TestServicesAsAddresses checks that a name's SRV records are given to whom its addresses are, and for the well ones.
func TestServicesAsAddresses(t *testing.T) {
	member := func(id string, age int, of, addr string) *Entry {
		e := service(entry(id, age, of+"="+addr, id+".docker./name", "db.docker."), "_pg._tcp.db.docker.", id+".docker.", 5432)
		for i := range e.Claims {
			e.Claims[i].Bare = e.Claims[i].Rank == Shared
		}
		e.Service = "db"
		return project(e, of)
	}
	without := func(e *Entry) *Entry {
		c := *e
		c.Claims = slices.DeleteFunc(slices.Clone(e.Claims), func(c Claim) bool { return c.Service() != nil })
		return &c
	}
	shop, shop2 := member("s", 0, "shop", "172.17.0.2"), member("s2", 1, "shop", "172.17.0.3")
	blog := member("b", 2, "blog", "172.17.0.9")
	first, second := "SRV 0 0 5432 s.docker.", "SRV 0 0 5432 s2.docker."
	for _, c := range []struct {
		what    string
		entries []*Entry
		view    View
		want    string
	}{
		{"one project", []*Entry{shop, shop2}, View{}, first + ", " + second + " + A 172.17.0.2, A 172.17.0.3"},
		{"two projects", []*Entry{shop, blog}, View{}, " (nodata)"},
		{"two projects", []*Entry{shop, blog}, inside("none"), " (nodata)"},
		{"two projects", []*Entry{shop, blog}, inside("shop"), first + " + A 172.17.0.2"},
		{"one has ended", []*Entry{shop, held1(member("b", 2, "blog", "172.17.0.9"))}, View{}, " (nodata)"},
		{"one is sick", []*Entry{shop, sick(member("s2", 1, "shop", "172.17.0.3"))}, View{}, first + " + A 172.17.0.2"},
		{"one is sick", []*Entry{shop, sick(member("s2", 1, "shop", "172.17.0.3"))}, of(inside("shop"), "shop", "db"), first + ", " + second + " + A 172.17.0.2, A 172.17.0.3"},
		{"one of two has the service", []*Entry{shop, without(blog)}, View{}, " (nodata)"},
		{"one of two has the service", []*Entry{shop, without(blog)}, inside("none"), " (nodata)"},
		{"one of two has the service", []*Entry{shop, without(blog)}, inside("shop"), first + " + A 172.17.0.2"},
		{"one of two has the service", []*Entry{shop, without(blog)}, inside("blog"), " (nodata)"},
		{"one of two has the service", []*Entry{shop, without(blog)}, inside("shop", "blog"), " (nodata)"},
		{"all are sick", []*Entry{sick(member("s2", 1, "shop", "172.17.0.3"))}, View{}, second + " + A 172.17.0.3"},
	} {
		s := newStore()
		s.Apply(add(c.entries...))
		if got := all(s.Snapshot(), c.view, "_pg._tcp.db.docker.", dns.TypeSRV); got != c.want {
			t.Errorf("%s, asker %d on %v: %q, want %q", c.what, c.view.Asker, c.view.Networks, got, c.want)
		}
	}
}

// BenchmarkManyClaims is what one more container takes, whose name thousands have: no more than in proportion to these.
func BenchmarkManyClaims(b *testing.B) {
	change := func(i int) Change {
		e := bare(entry(fmt.Sprintf("c%05d", i), i, "back=172.17.0.4", "db.docker./shared/back"))
		return Change{e.Key, e}
	}
	for _, n := range []int{500, 8000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := NewStore(Config{Zones: []string{"docker."}, TTL: 30, NegativeTTL: 7})
			var all []Change
			for i := range n {
				all = append(all, change(i))
			}
			s.Apply(all)
			last := []Change{change(n)}
			for b.Loop() {
				s.Apply(last)
			}
		})
	}
}
