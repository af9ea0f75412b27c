package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// reaching makes the address one of an entry's with this reach.
func reaching(e *Entry, reach ...container.Reach) *Entry {
	for i := range reach {
		e.Addresses[i].Reach = reach[i]
	}
	return e
}

// TestHindrances has a row for each thing that keeps an address, or published ports, from who asks.
func TestHindrances(t *testing.T) {
	words := map[Hindrance]string{
		Given: "given", NotNeeded: "not needed", NotMeant: "not meant", NotOnNetwork: "not on network", NotShared: "not shared", NoWayThere: "no way there",
		OnLANOnly: "on LAN only", WithinHost: "within host", NotForwarded: "not forwarded", Confined: "confined", OtherFamily: "other family",
		NoPorts: "no ports", NotToPublish: "not to publish", NoHostAddr: "no host address",
	}
	const name = "x.docker."
	one := func() *Entry { return entry("a", 0, "n=172.17.0.2", name) }
	two := func() *Entry { return entry("a", 0, "n=172.17.0.2 m=172.17.1.2", name) }
	confined := inside("m")
	confined.Outbound, confined.Server = container.NoWayOut, server{}
	only6 := inside("m")
	only6.Families, only6.Server = IPv6, server{}
	hostless := published(one(), "0.0.0.0")
	hostless.Host = twin // of which the server knows no address
	elsewhere := View{Asker: Elsewhere, Server: server{publish: true}}
	for _, c := range []struct {
		what  string
		entry *Entry
		view  View
		want  string
	}{
		{"all are given", two(), View{}, "172.17.0.2 172.17.1.2; given"},
		{"a network is not the asker's, whose other one is", two(), inside("n"), "172.17.0.2, 172.17.1.2 not on network; given"},
		{"the name is another network's", entry("a", 0, "n=172.17.0.2 m=172.17.1.2", name+"/shared/n"), View{}, "172.17.0.2, 172.17.1.2 not meant; given"},
		{"containers are kept apart", reaching(one(), container.Unshared), inside("n"), "172.17.0.2 not shared; no ports"},
		{"an overlay", reaching(one(), container.OffHost), View{}, "172.17.0.2 no way there; no ports"},
		{"a LAN's, of which the host has a bridge's", reaching(two(), 0, container.OnLAN), View{}, "172.17.0.2, 172.17.1.2 not needed; given"},
		{"a LAN's beside an overlay", reaching(two(), container.OnLAN, container.OffHost), View{}, "172.17.0.2, 172.17.1.2 no way there; given"},
		{"from elsewhere", one(), elsewhere, "172.17.0.2 within host; no ports"},
		{"from another network", one(), inside("m"), "172.17.0.2 not on network; no ports"},
		{"from an internal one", published(reaching(one(), container.Forwarded), "0.0.0.0"), confined, "172.17.0.2 not on network; confined"},
		{"of another family", reaching(one(), container.Forwarded), only6, "172.17.0.2 not on network; no ports"},
		{"from elsewhere, of another family", reaching(one(), container.OnLAN), View{Asker: Elsewhere, Families: IPv6}, "172.17.0.2 other family; no ports"},
		{"published, and not to be answered for", published(one(), "0.0.0.0"), View{Asker: Elsewhere, Server: server{}}, "172.17.0.2 within host; not to publish"},
		{"published, and answered for", published(one(), "0.0.0.0"), elsewhere, "192.0.2.1, 172.17.0.2 within host; given"},
		{"published where no address is known", hostless, elsewhere, "172.17.0.2 within host; no host address"},
	} {
		s := NewStore(Config{Zones: []string{"docker."}})
		s.Apply(add(c.entry))
		var r Result
		for _, v := range s.Snapshot().Explain(&Query{Name: name, Spelled: name, Type: 1, View: c.view}, &r) {
			var got strings.Builder
			for i, ip := range v.Addrs {
				fmt.Fprint(&got, strings.Repeat(" ", min(i, 1)), ip)
			}
			for i, k := range v.Kept {
				fmt.Fprint(&got, strings.Repeat(", ", min(i+len(v.Addrs), 1)), k.IP, " ", words[k.By])
			}
			if fmt.Fprint(&got, "; ", words[v.Ports]); got.String() != c.want {
				t.Errorf("%s: %s, want %s", c.what, got.String(), c.want)
			}
		}
	}
}

// TestNear checks which names somebody may mean who asks for one that does not exist.
func TestNear(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker.", "lan."}, Isolate: true})
	s.Apply(add(
		entry("caddy", 0, "n=172.17.0.2", "caddy.docker./name"), entry("candy", 1, "m=172.17.1.2", "candy.docker./name"),
		entry("db", 2, "n=172.17.0.3", "db.docker.", "db.shop.docker.", "db.blog.docker.", "*.db.docker."), entry("web", 3, "n=172.17.0.4", "web.lan.")))
	isolated := inside("m")
	isolated.Isolate = true
	for _, c := range []struct {
		name string
		view View
		want string
	}{
		{"cady.docker.", View{}, "caddy.docker. candy.docker."},
		{"cadyd.docker.", View{}, "caddy.docker."},
		{"cady.docker.", isolated, "candy.docker."}, // what is hidden from who asks is not told
		{"caddy.docker.loc.", View{}, "caddy.docker."},
		{"caddy.", View{}, "caddy.docker."},
		{"caddy.lan.", View{}, "caddy.docker."},
		{"db.news.docker.", View{}, "db.docker. db.blog.docker. db.shop.docker."},
		{"web.docker.", View{}, "web.lan."},
		{"nothing.docker.", View{}, ""},
	} {
		if got := strings.Join(s.Snapshot().Near(c.name, &c.view, 3), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestOwned checks what is told of all of a zone's names, and of those below one.
func TestOwned(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker.", "17.172.in-addr.arpa."}, TTL: 5})
	s.Apply(add(
		entry("web", 0, "n=172.17.0.2", "web.docker./name", "x.docker."), entry("app", 1, "m=172.17.1.2", "app.docker./name", "x.docker."),
		held1(entry("old", 2, "", "old.docker./name")), with(entry("t", 3, ""), "t.x.docker. 30 TXT t")))
	list := func(apex string, v View) string {
		var all []string
		for o := range s.Snapshot().Owned(apex, v) {
			text := o.Name
			for _, e := range o.Owners {
				text += " " + e.Name
			}
			for _, rr := range o.Records {
				text += " " + strings.Fields(rr.String())[4]
			}
			all = append(all, text)
		}
		return strings.Join(all, ", ")
	}
	for _, c := range []struct {
		apex string
		view View
		want string
	}{
		{"docker.", View{}, `app.docker. app 172.17.1.2, old.docker. old, t.x.docker. t "t", web.docker. web 172.17.0.2, x.docker. web app 172.17.0.2 172.17.1.2`},
		{"docker.", inside("m"), `app.docker. app 172.17.1.2, old.docker. old, t.x.docker. t "t", web.docker. web, x.docker. app 172.17.1.2`},
		{"17.172.in-addr.arpa.", View{}, "2.0.17.172.in-addr.arpa. web web.docker., 2.1.17.172.in-addr.arpa. app app.docker."},
	} {
		if got := list(c.apex, c.view); got != c.want {
			t.Errorf("%s, asker %d: %s, want %s", c.apex, c.view.Asker, got, c.want)
		}
	}
	if s.Snapshot().Owned("lan.", View{}) != nil {
		t.Error("there are names in a zone that is not ours")
	}
	for o := range s.Snapshot().Owned("docker.", View{}) { // who wants no more gets no more
		if o.Name != "app.docker." {
			t.Errorf("%s comes first", o.Name)
		}
		break
	}
	if below, more := s.Snapshot().Below("docker.", &View{}, 2); !slices.Equal(below, []string{"app.docker.", "old.docker."}) || more != 3 {
		t.Errorf("below docker. are %v and %d more", below, more)
	}
}

// BenchmarkNear looks for names like one among those of 40,000 containers.
func BenchmarkNear(b *testing.B) {
	s := NewStore(Config{Zones: []string{"docker."}})
	var changes []Change
	for i := range 40000 {
		id := fmt.Sprintf("%012x", i)
		e := &Entry{Key: Key{ID: id}, Name: fmt.Sprint("web-", i), Addresses: []Address{{IP: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}}}
		for _, name := range []string{fmt.Sprint("web-", i), id, fmt.Sprintf("web.shop-%d", i/4), fmt.Sprintf("web-%d.net", i), fmt.Sprintf("host-%d", i)} {
			e.Claims = append(e.Claims, Claim{Name: name + ".docker.", Rank: Shared})
		}
		changes = append(changes, Change{Key: e.Key, Entry: e})
	}
	s.Apply(changes)
	b.ReportAllocs()
	for b.Loop() {
		if near := s.Snapshot().Near("wbe-12345.docker.", &View{}, 5); len(near) != 5 || near[0] != "web-12345.docker." {
			b.Fatal(near)
		}
	}
}
