package zone

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// named returns a store in which the hosts a and b are called nas and box.
func named(isolate bool) *Store {
	s := NewStore(Config{Zones: []string{"docker.", "17.172.in-addr.arpa."}, TTL: 30, NegativeTTL: 7, Isolate: isolate})
	s.Apply(add(hostEntry("a", "nas", "docker."), hostEntry("b", "box", "docker.")))
	return s
}

// TestHostNames checks who gets what for a host's name, and for a container's below it.
func TestHostNames(t *testing.T) {
	s := named(false)
	for _, host := range []container.HostID{"a", "b"} {
		name := map[container.HostID]string{"a": "nas", "b": "box"}[host]
		s.Apply(add(
			atHost(host, published(entry("web", 0, "n=172.17.0.2", "web.docker./name", "web."+name+".docker./host"), "0.0.0.0")),
			atHost(host, published(entry("only-"+name, 0, "n=172.17.0.3", "only-"+name+".docker./name", "only-"+name+"."+name+".docker./host"), "0.0.0.0")),
		))
	}
	for _, c := range []struct {
		name                string
		a, aOther, b, onLAN string
	}{
		{"nas.docker.", "10.99.0.1", "10.99.0.1", "192.0.2.1", "192.0.2.1"},
		{"box.docker.", "192.0.2.2", "192.0.2.2", "10.99.0.2", "192.0.2.2"},
		{"web.nas.docker.", "172.17.0.2", "", "192.0.2.1", "192.0.2.1"},
		{"web.box.docker.", "192.0.2.2", "192.0.2.2", "172.17.0.2", "192.0.2.2"},
		{"web.docker.", "172.17.0.2", "", "172.17.0.2", "192.0.2.1 192.0.2.2"},
		{"only-box.box.docker.", "192.0.2.2", "192.0.2.2", "172.17.0.3", "192.0.2.2"},
		{"only-box.nas.docker.", "nxdomain", "nxdomain", "nxdomain", "nxdomain"},
		{"nope.nas.docker.", "nxdomain", "nxdomain", "nxdomain", "nxdomain"},
		{"2.0.17.172.in-addr.arpa.", "web.docker.", "", "web.docker.", "nxdomain"},
	} {
		for asker, want := range map[string]string{"a": c.a, "a n": c.a, "a other": c.aOther, "b": c.b, "b n": c.b, "lan": c.onLAN} {
			qtype := dns.TypeA
			if IsReverse(c.name) {
				qtype = dns.TypePTR
			}
			if got := viewed(s.Snapshot(), onHosts()[asker], c.name, qtype); want != "" && got != want {
				t.Errorf("%s asks for %s: %s, want %s", asker, c.name, got, want)
			}
		}
	}
	if got := s.Snapshot().Owners(&Query{Name: "nas.docker.", View: View{}}); len(got) != 0 {
		t.Errorf("the containers %v answer for the host", got)
	}
	s.SetHost("a", Away)
	if got := viewed(s.Snapshot(), onHosts()["lan"], "web.docker.", dns.TypeA); got != "192.0.2.2" {
		t.Errorf("host a is away: web is %s", got)
	}
	if got := viewed(s.Snapshot(), onHosts()["lan"], "nas.docker.", dns.TypeA); got != "192.0.2.1" {
		t.Errorf("host a is away: it is %s", got)
	}
	s.Apply([]Change{{Key: Key{Host: "a"}}})
	if got := viewed(s.Snapshot(), View{}, "nas.docker.", dns.TypeA); got != "empty" {
		t.Errorf("without its name the host is %s", got)
	}
}

// TestHostRights checks that nobody else has what is a host's, or its containers', by whatever right, on either host and for
// neighbours too; only what is made of a project or network called so stands where there is no such container.
func TestHostRights(t *testing.T) {
	const thief, service = "172.17.0.66", "172.17.0.7"
	project := func() *Entry { return project(entry("nas-web-1", 0, "m="+service, "web.nas.docker./project"), "nas") }
	web := func() *Entry { return entry("web", 1, "n=172.17.0.2", "web.docker./name", "web.nas.docker./host") }
	for _, c := range []struct {
		what    string
		entries []*Entry // of host a
		claims  string   // of the thief
		name    string
		want    string
		lost    string
	}{
		{"the name", nil, "nas.docker./name", "nas.docker.", "10.99.0.1", "nas.docker.: thief < nas"},
		{"the ID", nil, "nas.docker./id", "nas.docker.", "10.99.0.1", "nas.docker.: thief < nas"},
		{"a label", nil, "nas.docker.", "nas.docker.", "10.99.0.1", "nas.docker.: thief < nas"},
		{"an alias", nil, "nas.docker./shared/n", "nas.docker.", "10.99.0.1", "nas.docker.: thief < nas"},
		{"below", nil, "x.nas.docker.", "x.nas.docker.", "nxdomain", "x.nas.docker.: thief < nas"},
		{"far below", nil, "x.y.nas.docker.", "x.y.nas.docker.", "nxdomain", "x.y.nas.docker.: thief < nas"},
		{"a wildcard", nil, "*.nas.docker.", "x.nas.docker.", "nxdomain", "*.nas.docker.: thief < nas"},
		{"where a container may be", nil, "web.nas.docker.", "web.nas.docker.", "nxdomain", "web.nas.docker.: thief < nas"},
		{"a container's", []*Entry{web()}, "web.nas.docker.", "web.nas.docker.", "172.17.0.2", "web.nas.docker.: thief < web"},
		{"a container's, as a project's", []*Entry{web()}, "web.nas.docker./project", "web.nas.docker.", "172.17.0.2", "web.nas.docker.: thief < web"},
		{"a service's", []*Entry{project()}, "web.nas.docker.", "web.nas.docker.", service, "web.nas.docker.: thief < nas-web-1"},
		{"a service's beside a container", []*Entry{project(), web()}, "", "web.nas.docker.", "172.17.0.2", "web.nas.docker.: nas-web-1 < web"},
		{"a service's beside one that has ended", []*Entry{project(), held1(web())}, "", "web.nas.docker.", "ended", "web.nas.docker.: nas-web-1 < web"},
		{"a service's beside one that is gone", []*Entry{project(), gone1(web())}, "", "web.nas.docker.", service, ""},
		{"of one that is gone", []*Entry{gone1(web())}, "web.nas.docker.", "web.nas.docker.", "ended", "web.nas.docker.: thief < web"},
		{"a namesake", []*Entry{web()}, "web.nas.docker./host", "web.nas.docker.", "172.17.0.2", "web.nas.docker.: thief < web"},
		{"a namesake while it restarts", []*Entry{held1(web())}, "web.nas.docker./host", "web.nas.docker.", "ended", "web.nas.docker.: thief < web"},
	} {
		for _, host := range []container.HostID{"a", "b"} {
			if strings.Contains(c.what, "namesake") && host != "a" {
				continue // has other names by its host
			}
			for _, isolate := range []bool{false, true} {
				s := named(isolate)
				var entries []*Entry
				for _, e := range c.entries {
					entries = append(entries, atHost("a", e))
				}
				if c.claims != "" {
					entries = append(entries, atHost(host, entry("thief", 9, "n="+thief, "thief.docker./name", c.claims)))
				}
				var lost []string
				for _, l := range s.Apply(add(entries...)) {
					lost = append(lost, fmt.Sprintf("%s: %s < %s", l.Name, l.Loser.Name, l.Winner.Name))
				}
				if got := strings.Join(lost, ", "); got != c.lost {
					t.Errorf("%s, by a thief of %s: lost %s, want %s", c.what, host, got, c.lost)
				}
				if got := lostOf(s.Snapshot()); got != len(lost) {
					t.Errorf("%s, by a thief of %s: %d lost claims", c.what, host, got)
				}
				if got := viewed(s.Snapshot(), onHosts()["a"], c.name, dns.TypeA); got != c.want {
					t.Errorf("%s, by a thief of %s: the host gets %s, want %s", c.what, host, got, c.want)
				}
				for asker, view := range onHosts() {
					view.Isolate = isolate
					if strings.Contains(c.claims, "/project") && asker == string(host)+" n" {
						continue // to neighbours it is the network's
					}
					if got := viewed(s.Snapshot(), view, c.name, dns.TypeA); strings.Contains(got, thief) {
						t.Errorf("%s, by a thief of %s: %s gets it, isolated: %t", c.what, host, asker, isolate)
					}
				}
			}
		}
	}
	// A project's own service comes first for its members, whatever a host is called.
	s := named(false)
	member := atHost("a", entry("p-nas-1", 0, "n=172.17.0.8", "nas.docker./shared/n"))
	member.Project = "p"
	s.Apply(add(member))
	for asker, want := range map[string]string{"p": "172.17.0.8", "q": "10.99.0.1", "": "10.99.0.1"} {
		if got := viewed(s.Snapshot(), of(onHosts()["a n"], asker, "app"), "nas.docker.", dns.TypeA); got != want {
			t.Errorf("a member of project %q gets %s for nas, want %s", asker, got, want)
		}
	}
}

// gone1 is held1 of a container that has been removed.
func gone1(e *Entry) *Entry { e.Gone = true; return held1(e) }

// TestGoneBelow checks that a name which is made of a network's stays while it is held, below a container of the network's name
// too.
func TestGoneBelow(t *testing.T) {
	s := newStore()
	s.Apply(add(entry("gitea", 0, "n=172.17.0.2", "gitea.docker./name"), gone1(entry("db", 1, "gitea=172.18.0.2", "db.gitea.docker./project/gitea"))))
	if got := viewed(s.Snapshot(), View{}, "db.gitea.docker.", dns.TypeA); got != "ended" {
		t.Errorf("what is held is %s", got)
	}
	s.Apply(add(entry("other", 2, "gitea=172.18.0.3", "db.gitea.docker./project/gitea")))
	if got := viewed(s.Snapshot(), View{}, "db.gitea.docker.", dns.TypeA); got != "172.18.0.3" {
		t.Errorf("another one has it, and is %s", got)
	}
}

// TestHostIsolated checks that who is isolated does not see hosts.
func TestHostIsolated(t *testing.T) {
	s := named(true)
	s.Apply(add(
		atHost("a", entry("web", 0, "n=172.17.0.2", "web.docker./name", "web.nas.docker./host")),
		atHost("b", entry("hidden", 0, "n=172.17.0.2", "hidden.docker./name", "hidden.box.docker./host")),
	))
	view := onHosts()["a n"]
	view.Isolate = true
	for name, want := range map[string]string{"nas.docker.": "empty", "box.docker.": "nxdomain", "web.nas.docker.": "172.17.0.2", "hidden.box.docker.": "nxdomain"} {
		if got := viewed(s.Snapshot(), view, name, dns.TypeA); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	s.Apply(add(atHost("a", entry("n", 1, "n=172.17.0.3", "nas.docker./shared/n"))))
	if got := viewed(s.Snapshot(), view, "nas.docker.", dns.TypeA); got != "empty" {
		t.Errorf("beside a neighbour that is called so the host is %s", got)
	}
	s.Apply(add(project(atHost("a", entry("n", 1, "n=172.17.0.3", "nas.docker./shared/n")), "p")))
	if got := viewed(s.Snapshot(), of(view, "p", "app"), "nas.docker.", dns.TypeA); got != "172.17.0.3" {
		t.Errorf("its own project's service is %s", got)
	}
}

// TestHostUnsynced checks that a host's name is known before its containers are, but to these: their projects may have it.
func TestHostUnsynced(t *testing.T) {
	s := named(false)
	s.SetHost("a", Unsynced)
	s.Apply(add(atHost("a", published(entry("web", 0, "n=172.17.0.2", "web.docker./name", "web.nas.docker./host", "x.nas.docker./project"), "0.0.0.0"))))
	for _, c := range []struct{ name, a, aN, aOther, bN, onLAN string }{
		{"nas.docker.", "10.99.0.1", "not ready", "not ready", "192.0.2.1", "192.0.2.1"},
		{"box.docker.", "192.0.2.2", "192.0.2.2", "192.0.2.2", "10.99.0.2", "192.0.2.2"},
		{"web.nas.docker.", "172.17.0.2", "172.17.0.2", "not ready", "not ready", "192.0.2.1"},
		{"x.nas.docker.", "not ready", "not ready", "not ready", "not ready", "not ready"},
	} {
		for asker, want := range map[string]string{"a": c.a, "a n": c.aN, "a other": c.aOther, "b n": c.bN, "lan": c.onLAN} {
			if got := viewed(s.Snapshot(), onHosts()[asker], c.name, dns.TypeA); got != want {
				t.Errorf("%s asks for %s: %s, want %s", asker, c.name, got, want)
			}
		}
	}
}

// TestServiceTargets checks that a port leads to a name at which no other host answers, where the port may be another one.
func TestServiceTargets(t *testing.T) {
	web := func(host container.HostID, targets, port string) *Entry {
		e := published(entry("web-"+string(host), 0, "n=172.17.0.2", "web.docker./name"), "0.0.0.0")
		for target := range strings.FieldsSeq(targets) {
			rank := "/id"
			if strings.Count(target, ".") == 3 {
				rank = "/host"
			}
			e.Claims = append(e.Claims, entry("", 0, "", target+rank).Claims...)
		}
		e = service(e, "_http._tcp.web.docker.", strings.Join([]string{"web.docker.", targets}, " "), 80, "0.0.0.0:"+port)
		return atHost(host, e)
	}
	for _, c := range []struct {
		what     string
		entries  []*Entry
		a, onLAN string
	}{
		{"one host", []*Entry{web("a", "web.nas.docker. 0a.docker.", "8080")}, "80 web.docker.", "8080 web.docker."},
		{"two named hosts", []*Entry{web("a", "web.nas.docker. 0a.docker.", "8080"), web("b", "web.box.docker. 0b.docker.", "9090")},
			"80 web.docker.", "8080 web.nas.docker., 9090 web.box.docker."},
		{"one is named", []*Entry{web("a", "web.nas.docker. 0a.docker.", "8080"), web("b", "0b.docker.", "9090")},
			"80 web.docker.", "8080 web.nas.docker., 9090 0b.docker."},
		{"no other name", []*Entry{web("a", "", "8080"), web("b", "", "9090")}, "80 web.docker.", "8080 web.docker., 9090 web.docker."},
		{"the other restarts", []*Entry{web("a", "web.nas.docker.", "8080"), held1(web("b", "web.box.docker.", "9090"))}, "80 web.docker.", "8080 web.nas.docker."},
	} {
		s := named(false)
		s.Apply(add(c.entries...))
		for asker, want := range map[string]string{"a": c.a, "lan": c.onLAN} {
			q := Query{Name: "_http._tcp.web.docker.", Spelled: "_http._tcp.web.docker.", Type: dns.TypeSRV, View: onHosts()[asker]}
			r := lookup(s.Snapshot(), q)
			var got []string
			for _, rr := range r.Answer {
				srv := rr.(*dns.SRV)
				got = append(got, fmt.Sprint(srv.Port, " ", srv.Target))
				ips := 0
				for _, extra := range r.Extra {
					if extra.Header().Name == srv.Target {
						ips++
					}
				}
				if ips == 0 {
					t.Errorf("%s, %s: no address of %s in the additional section", c.what, asker, srv.Target)
				}
			}
			slices.Sort(got)
			if got := strings.Join(got, ", "); got != want {
				t.Errorf("%s: %s gets %s, want %s", c.what, asker, got, want)
			}
		}
	}
}

// TestServiceBelowLostName checks that a container whose first name is another's has its port at the next one.
func TestServiceBelowLostName(t *testing.T) {
	s := named(false)
	loser := service(entry("Web", 1, "n=172.17.0.3", "web.docker./name", "0a.docker./id", "app.shop.docker./project"), "_http._tcp.app.shop.docker.", "web.docker. 0a.docker.", 80)
	s.Apply(add(entry("web", 0, "n=172.17.0.2", "web.docker./name"), loser))
	if got := all(s.Snapshot(), View{}, "_http._tcp.app.shop.docker.", dns.TypeSRV); got != "SRV 0 0 80 0a.docker. + A 172.17.0.3" {
		t.Errorf("its port is at %s", got)
	}
}

// TestOwnHostRestarts checks that who asks on a host is not given another host's container while that of its own restarts.
func TestOwnHostRestarts(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker."}, TTL: 30, NegativeTTL: 7})
	web := func(host container.HostID) *Entry {
		e := published(entry("web", 0, "n=172.17.0.2", "web.docker./name"), "0.0.0.0")
		return atHost(host, service(e, "_http._tcp.web.docker.", "web.docker.", 80, "0.0.0.0:8080"))
	}
	for _, c := range []struct {
		what     string
		own      *Entry
		a, b     string // what the hosts get
		port     string // and host a of the port
		onLAN    string
		fromAway string // what a container of b's gets
	}{
		{"both run", web("a"), "172.17.0.2", "172.17.0.2", "0", "192.0.2.1 192.0.2.2", "10.99.0.2"},
		{"it restarts", held1(web("a")), "none", "172.17.0.2", "none", "192.0.2.2", "10.99.0.2"},
		{"it was removed", gone1(web("a")), "192.0.2.2", "172.17.0.2", "0", "192.0.2.2", "10.99.0.2"},
	} {
		s.Apply(add(c.own, web("b")))
		for asker, want := range map[string]string{"a": c.a, "a n": c.a, "a other": c.a, "b": c.b, "lan": c.onLAN, "b other": c.fromAway} {
			switch {
			case c.what == "both run" && asker == "a other":
				want = "10.99.0.1" // its own gateway
			case c.what != "both run" && asker == "a n":
				want = "ended" // what is held nearby is there
			}
			if got := viewed(s.Snapshot(), onHosts()[asker], "web.docker.", dns.TypeA); got != want {
				t.Errorf("%s: %s gets %s, want %s", c.what, asker, got, want)
			}
		}
		q := Query{Name: "web.docker.", Spelled: "web.docker.", Type: dns.TypeA, View: onHosts()["a"]}
		if r := lookup(s.Snapshot(), q); len(r.Answer) == 0 && r.Ns[0].Header().Ttl != 1 {
			t.Errorf("%s: that there is no address is kept for %d seconds", c.what, r.Ns[0].Header().Ttl)
		}
		if got := viewed(s.Snapshot(), onHosts()["a"], "_http._tcp.web.docker.", dns.TypeSRV); got != c.port {
			t.Errorf("%s: the port is %s, want %s", c.what, got, c.port)
		}
	}
}
