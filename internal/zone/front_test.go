package zone

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// proxied has all names of the entry answered by front proxies.
func proxied(e *Entry) *Entry {
	for i := range e.Claims {
		e.Claims[i].Proxied, e.Claims[i].Part = true, NoPart
	}
	return e
}

// proxy makes the entry a front proxy.
func proxy(e *Entry) *Entry {
	e.Front = &Claim{}
	return e
}

// TestProxied has a row for what each asker gets for a name that a proxy serves. The container is on network n, the proxy on n and m.
func TestProxied(t *testing.T) {
	app := func() *Entry { return proxied(entry("app", 1, "n=172.17.0.2", "app.docker.")) }
	traefik := func() *Entry { return proxy(entry("traefik", 0, "n=172.17.0.9 m=172.17.1.9", "traefik.docker./name")) }
	isolated := func(network string) View {
		v := inside(network)
		v.Isolate = true
		return v
	}
	lan := View{Asker: Elsewhere, Server: server{publish: true}}
	for _, c := range []struct {
		what    string
		entries []*Entry
		view    View
		want    string
	}{
		{"the host", []*Entry{app(), traefik()}, View{}, "172.17.0.9 172.17.1.9"},
		{"on the network of both", []*Entry{app(), traefik()}, inside("n"), "172.17.0.9"},
		{"on the proxy's network alone", []*Entry{app(), traefik()}, inside("m"), "172.17.1.9"},
		{"on another network", []*Entry{app(), traefik()}, inside("other"), "none"},
		{"on another network, and ports are published", []*Entry{app(), published(traefik(), "0.0.0.0")}, inside("other"), "10.99.0.1"},
		{"elsewhere", []*Entry{app(), traefik()}, lan, "none"},
		{"elsewhere, and the container's ports are published", []*Entry{published(app(), "0.0.0.0"), traefik()}, lan, "none"},
		{"elsewhere, and the proxy's ports are published", []*Entry{app(), published(traefik(), "0.0.0.0")}, lan, "192.0.2.1"},
		{"a proxy with the host's network", []*Entry{app(), proxy(onHost(entry("traefik", 0, "")))}, inside("n"), "10.99.0.1"},
		{"no proxy", []*Entry{app()}, View{}, "none"},
		{"no proxy, on the container's network", []*Entry{app()}, inside("n"), "none"},
		{"a proxy without addresses", []*Entry{app(), proxy(entry("traefik", 0, ""))}, View{}, "none"},
		{"a proxy that has ended", []*Entry{app(), held1(traefik())}, View{}, "none"},
		{"a container that has ended", []*Entry{held1(app()), traefik()}, View{}, "ended"},
		{"a sick container", []*Entry{sick(app()), traefik()}, View{}, "172.17.0.9 172.17.1.9"},
		{"a sick proxy beside a well one", []*Entry{app(), sick(traefik()), proxy(entry("caddy", 1, "n=172.17.0.8"))}, View{}, "172.17.0.8"},
		{"a proxy that stops", []*Entry{app(), draining(traefik()), proxy(entry("caddy", 1, "n=172.17.0.8"))}, View{}, "172.17.0.8"},
		{"a sick proxy alone", []*Entry{app(), sick(traefik())}, inside("n"), "172.17.0.9"},
		{"two proxies", []*Entry{app(), traefik(), proxy(entry("caddy", 1, "n=172.17.0.8"))}, inside("n"), "172.17.0.9 172.17.0.8"},
		{"isolated, on the network of both", []*Entry{app(), traefik()}, isolated("n"), "172.17.0.9"},
		{"isolated, on the proxy's network alone", []*Entry{app(), traefik()}, isolated("m"), "172.17.1.9"},
		{"isolated, on another network", []*Entry{app(), published(traefik(), "0.0.0.0")}, isolated("other"), "nxdomain"},
		{"isolated, on the container's network, without a proxy there", []*Entry{app(), proxy(entry("traefik", 0, "m=172.17.1.9"))}, isolated("n"), "nxdomain"},
		{"isolated, without a proxy", []*Entry{app()}, isolated("n"), "none"},
		{"isolated, with a proxy elsewhere", []*Entry{fixed(app(), "192.0.2.80")}, isolated("other"), "192.0.2.80"},
		{"a proxy elsewhere", []*Entry{fixed(app(), "192.0.2.80")}, View{}, "192.0.2.80"},
		{"a proxy elsewhere, beside a container", []*Entry{fixed(app(), "192.0.2.80"), traefik()}, inside("m"), "172.17.1.9 192.0.2.80"},
		{"it has to be well", []*Entry{requireWell(sick(app())), traefik()}, View{}, "none"},
		{"another container with the name has addresses", []*Entry{app(), traefik(), entry("plain", 2, "n=172.17.0.3", "app.docker.")}, inside("n"), "172.17.0.3 172.17.0.9"},
		{"another container has the better right", []*Entry{app(), traefik(), entry("plain", 2, "n=172.17.0.3", "app.docker./name")}, View{}, "172.17.0.3"},
		{"the container's own name", []*Entry{proxied(entry("app", 1, "n=172.17.0.2", "app.docker./name")), traefik(), entry("thief", 2, "n=172.17.0.3", "app.docker.")}, View{}, "172.17.0.9 172.17.1.9"},
		{"whom the proxy's host has not told of yet", []*Entry{app(), atHost("far", traefik())}, View{}, "172.17.0.9 172.17.1.9"},
	} {
		s := NewStore(Config{Zones: []string{"docker."}, TTL: 30, NegativeTTL: 7, Isolate: true})
		s.Apply(add(c.entries...))
		if got := viewed(s.Snapshot(), c.view, "app.docker.", dns.TypeA); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
		// The order in which they are known changes nothing.
		s = NewStore(s.config)
		for _, e := range slices.Backward(c.entries) {
			s.Apply(add(e))
		}
		if got := viewed(s.Snapshot(), c.view, "app.docker.", dns.TypeA); got != c.want {
			t.Errorf("%s, one by one: %s, want %s", c.what, got, c.want)
		}
	}
}

func requireWell(e *Entry) *Entry { e.RequireWell = true; return e }

// fixed gives the entry's names the address of a proxy that is no container.
func fixed(e *Entry, ip string) *Entry {
	for _, c := range slices.Clone(e.Claims) {
		e = with(e, c.Name+" 30 A "+ip)
		e.Claims[len(e.Claims)-1].Proxied = true
	}
	return e
}

// TestProxiedAnswers checks what is beside the addresses: a name that a proxy serves has no service, and no address leads back to
// it; while there is no proxy nobody keeps that for long.
func TestProxiedAnswers(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker.", "17.172.in-addr.arpa."}, TTL: 30, NegativeTTL: 7})
	app := proxied(entry("app", 1, "n=172.17.0.2", "app.docker."))
	app.Claims = append(app.Claims, entry("app", 1, "", "own.docker./name").Claims...)
	app.TTL, app.OwnTTL = 20, true
	s.Apply(add(app, entry("plain", 2, "n=172.17.0.3", "plain.docker./name")))
	soa := func(ttl uint32) []dns.RR {
		rr := s.Snapshot().soa("docker.", s.origins["docker."], ttl)
		rr[0].(*dns.SOA).Minttl = ttl
		return rr
	}
	a := test.Case{Qname: "app.docker.", Qtype: dns.TypeA}
	none := a
	none.Ns = soa(1)
	check(t, none, NoData, ask(s.Snapshot(), none))
	serial := s.Snapshot().serials["docker."]

	traefik := proxy(entry("traefik", 0, "n=172.17.0.9"))
	traefik.TTL, traefik.OwnTTL = 10, true
	s.Apply(add(traefik))
	if !newer(s.Snapshot().serials["docker."], serial) {
		t.Error("the serial does not grow by a proxy that begins to answer")
	}
	a.Answer = []dns.RR{test.A("app.docker. 10 IN A 172.17.0.9")}
	check(t, a, Success, ask(s.Snapshot(), a))
	for name, want := range map[string]string{"2.0.17.172.in-addr.arpa.": "own.docker.", "9.0.17.172.in-addr.arpa.": "none"} {
		if got := viewed(s.Snapshot(), View{}, name, dns.TypePTR); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	none = test.Case{Qname: "app.docker.", Qtype: dns.TypeAAAA, Ns: soa(7)}
	check(t, none, NoData, ask(s.Snapshot(), none))
	if got, want := s.Snapshot().Owners(&Query{Name: "app.docker."}), []string{"traefik"}; !slices.Equal(got, want) {
		t.Errorf("%v answer, want %v", got, want)
	}

	s.SetHost("far", Away)
	s.Apply(add(atHost("far", proxy(entry("far", 3, "n=172.17.0.4")))))
	if r := ask(s.Snapshot(), a); r.Stale {
		t.Error("the answer is stale by another host's proxy, which does not serve this one")
	}
	s.Apply([]Change{gone("traefik")})
	if r := ask(s.Snapshot(), a); !r.Stale {
		t.Error("the answer of a proxy whose host is away is not stale")
	}
	s.Apply([]Change{{Key: Key{Host: "far", ID: "far"}}, gone("app"), gone("plain")})
	if got, want := count(s.Snapshot().names), count(NewStore(s.config).Snapshot().names); got != want {
		t.Errorf("an emptied store has %d nodes, want %d", got, want)
	}
}

// TestProxiedOnHosts checks by which hosts' proxies a name is answered: those of its container's host, be there another's or not.
func TestProxiedOnHosts(t *testing.T) {
	at := func(host container.HostID, e *Entry) *Entry { return published(atHost(host, e), "0.0.0.0") }
	app := func(host container.HostID) *Entry {
		return at(host, proxied(entry("app", 0, "n=172.17.0.2", "app.docker.")))
	}
	traefik := func(host container.HostID) *Entry { return at(host, proxy(entry("traefik", 1, "n=172.17.0.9"))) }
	gone := func(e *Entry) *Entry { return gone1(e) }
	for _, c := range []struct {
		what    string
		entries []*Entry
		want    map[string]string // by view; none where none is given
	}{
		{"both on one", []*Entry{app("b"), traefik("b")}, map[string]string{"a": "192.0.2.2", "a n": "192.0.2.2", "b": "172.17.0.9", "b n": "172.17.0.9", "lan": "192.0.2.2"}},
		{"proxies on both", []*Entry{app("b"), traefik("a"), traefik("b")}, map[string]string{"a": "192.0.2.2", "a n": "192.0.2.2", "b": "172.17.0.9", "b n": "172.17.0.9", "lan": "192.0.2.2"}},
		{"both on both", []*Entry{app("a"), app("b"), traefik("a"), traefik("b")}, map[string]string{"a": "172.17.0.9", "a n": "172.17.0.9", "b": "172.17.0.9", "b n": "172.17.0.9", "lan": "192.0.2.1 192.0.2.2"}},
		{"a proxy on the other alone", []*Entry{app("b"), traefik("a")}, map[string]string{"a": "172.17.0.9", "a n": "172.17.0.9", "b": "192.0.2.1", "b n": "192.0.2.1", "lan": "192.0.2.1"}},
		{"its own restarts", []*Entry{app("b"), traefik("a"), held1(traefik("b"))}, nil},
		{"its own is gone", []*Entry{app("b"), traefik("a"), gone(traefik("b"))}, nil},
	} {
		s := NewStore(Config{Zones: []string{"docker."}, TTL: 30, NegativeTTL: 7})
		s.Apply(add(c.entries...))
		for asker, view := range onHosts() {
			want := c.want[asker]
			if want == "" && !strings.HasSuffix(asker, "other") {
				want = "none"
			}
			if got := viewed(s.Snapshot(), view, "app.docker.", dns.TypeA); want != "" && got != want {
				t.Errorf("%s: %s gets %s, want %s", c.what, asker, got, want)
			}
		}
	}
}

// TestProxiedReasons has a row for each reason that a name which proxies serve adds.
func TestProxiedReasons(t *testing.T) {
	app := func() *Entry { return proxied(entry("app", 1, "n=172.17.0.2", "x.docker.")) }
	traefik := func() *Entry { return proxy(entry("traefik", 0, "n=172.17.0.9")) }
	for _, c := range []struct {
		what    string
		entries []*Entry
		view    View
		want    string
	}{
		{"it answers", []*Entry{app(), traefik()}, View{}, "app by proxy, traefik answers [172.17.0.9]"},
		{"there is none", []*Entry{app()}, View{}, "app no proxy"},
		{"it has ended", []*Entry{app(), held1(traefik())}, View{}, "app by proxy, traefik ended"},
		{"both have ended", []*Entry{held1(app()), held1(traefik())}, View{}, "app ended"},
		{"it is not reached", []*Entry{app(), traefik()}, View{Asker: Elsewhere, Server: server{}}, "app by proxy, traefik not reachable"},
		{"it has no address", []*Entry{app(), proxy(entry("traefik", 0, ""))}, View{}, "app by proxy, traefik no address"},
		{"it is not well", []*Entry{app(), sick(traefik()), proxy(entry("caddy", 2, "n=172.17.0.8"))}, View{}, "app by proxy, caddy answers [172.17.0.8], traefik unwell"},
		{"has to be well", []*Entry{requireWell(sick(app())), traefik()}, View{}, "app unwell"},
		{"another has the name", []*Entry{app(), traefik(), entry("x", 2, "n=172.17.0.3", "x.docker./name")}, View{}, "app lost to x, x answers [172.17.0.3]"},
		{"fixed", []*Entry{fixed(app(), "192.0.2.80")}, View{}, "app answers []"},
	} {
		s := NewStore(Config{Zones: []string{"docker."}})
		s.Apply(add(c.entries...))
		if got := reasons(s.Snapshot(), c.view, "x.docker."); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

// TestProxiedStore does random changes of proxies and of who is served, and compares the store with one that is made anew.
func TestProxiedStore(t *testing.T) {
	rnd := rand.New(rand.NewPCG(21, 1))
	config := Config{Zones: []string{"docker.", "17.172.in-addr.arpa."}, TTL: 30, NegativeTTL: 7, Isolate: true}
	s, now := NewStore(config), map[Key]*Entry{}
	names := []string{"a.docker.", "b.docker.", "x.a.docker.", "y.x.a.docker.", "*.c.docker."}
	asked := append(slices.Clone(names), "z.c.docker.", "c.docker.", "1.0.17.172.in-addr.arpa.", "nope.docker.")
	networks := []string{"n", "m", "o"}
	for i := range 2000 {
		var changes []Change
		for range 1 + rnd.IntN(3) {
			n := rnd.IntN(8)
			e := entry(fmt.Sprint("c", n), n, fmt.Sprintf("%s=172.17.0.%d", networks[rnd.IntN(3)], n), names[rnd.IntN(len(names))], names[rnd.IntN(len(names))]+"/name")
			if rnd.IntN(2) == 0 {
				e = atHost("far", e)
			}
			if rnd.IntN(3) > 0 {
				e = proxied(e)
			}
			if rnd.IntN(4) == 0 {
				e = fixed(e, "192.0.2.80")
			}
			if rnd.IntN(3) == 0 {
				e = proxy(e)
			}
			if rnd.IntN(5) == 0 {
				e = held1(e)
			}
			now[e.Key] = e
			if rnd.IntN(3) == 0 {
				delete(now, e.Key)
				e = nil
				changes = append(changes, Change{Key: Key{ID: fmt.Sprint("c", n)}}, Change{Key: Key{Host: "far", ID: fmt.Sprint("c", n)}})
				delete(now, Key{ID: fmt.Sprint("c", n)})
				delete(now, Key{Host: "far", ID: fmt.Sprint("c", n)})
				continue
			}
			changes = append(changes, Change{e.Key, e})
		}
		s.Apply(changes)
		if i%20 > 0 {
			continue
		}
		anew := NewStore(config)
		for _, e := range now {
			anew.Apply(add(e))
		}
		views := map[string]View{"host": {Server: server{}}, "lan": {Asker: Elsewhere, Server: server{publish: true}}}
		for _, n := range networks {
			views[n] = inside(n)
			v := inside(n)
			v.Isolate = true
			views["isolated "+n] = v
		}
		for who, v := range views {
			for _, name := range asked {
				qtype := dns.TypeA
				if IsReverse(name) {
					qtype = dns.TypePTR
				}
				if got, want := viewed(s.Snapshot(), v, name, qtype), viewed(anew.Snapshot(), v, name, qtype); got != want {
					t.Fatalf("change %d: %s gets %s for %s, from a store made anew %s", i, who, got, name, want)
				}
			}
		}
		if got, want := count(s.Snapshot().names), count(anew.Snapshot().names); got != want {
			t.Fatalf("change %d: %d nodes, anew %d", i, got, want)
		}
		if s.Snapshot().Records != anew.Snapshot().Records || s.Snapshot().Names != anew.Snapshot().Names {
			t.Fatalf("change %d: %d names and %d records, anew %d and %d", i, s.Snapshot().Names, s.Snapshot().Records, anew.Snapshot().Names, anew.Snapshot().Records)
		}
	}
}
