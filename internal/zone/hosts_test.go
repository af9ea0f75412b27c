package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// twoHosts is a Server between two hosts, each of which is reached at an address of its own, and has a network lan.
type twoHosts struct{}

func (twoHosts) Addrs() []netip.Addr { return ips("127.0.0.1") }
func (twoHosts) Gateways(h container.HostID) []netip.Addr {
	return map[container.HostID][]netip.Addr{"a": ips("10.99.0.1"), "b": ips("10.99.0.2")}[h]
}
func (twoHosts) HostAddrs(h container.HostID) []netip.Addr {
	return map[container.HostID][]netip.Addr{"a": ips("192.0.2.1"), "b": ips("192.0.2.2")}[h]
}
func (twoHosts) Publish() bool                              { return true }
func (twoHosts) OnBridge(container.HostID, netip.Addr) bool { return false }

// onHosts are the views of a container and the Docker host of each host, and of who is elsewhere.
func onHosts() map[string]View {
	views := map[string]View{"lan": {Asker: Elsewhere, Server: twoHosts{}}}
	for _, h := range []container.HostID{"a", "b"} {
		hosts := []container.HostID{h}
		views[string(h)] = View{Asker: Host, Hosts: hosts, Server: twoHosts{}}
		views[string(h)+" n"] = View{Asker: Container, Hosts: hosts, Server: twoHosts{}, Networks: []container.NetworkID{container.LocalNetwork(h, "n"), container.SpanningNetwork("over")}}
		views[string(h)+" other"] = View{Asker: Container, Hosts: hosts, Server: twoHosts{}, Networks: []container.NetworkID{container.LocalNetwork(h, "other")}}
	}
	return views
}

// TestTwoHosts has a row for each kind of target, on both hosts or on one, and what each asker gets. Both hosts have
// networks and addresses of the same names.
func TestTwoHosts(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker.", "17.172.in-addr.arpa.", "2.0.192.in-addr.arpa."}, TTL: 30, NegativeTTL: 7})
	over := func(e *Entry) *Entry {
		for i := range e.Addresses {
			e.Addresses[i].Network = container.SpanningNetwork("over")
		}
		e.Networks = []container.NetworkID{container.SpanningNetwork("over")}
		return e
	}
	at := func(host container.HostID, entries ...*Entry) []Change {
		for i := range entries {
			entries[i] = atHost(host, entries[i])
		}
		return add(entries...)
	}
	s.Apply(at("a",
		entry("web", 0, "n=172.17.0.2", "web.docker./name", "web.shop.docker./project"),
		published(entry("pub", 0, "n=172.17.0.3", "pub.docker./name"), "0.0.0.0"),
		entry("mac", 0, "lan=192.0.2.10", "mac.docker./name"),
		onHost(entry("net", 0, "", "net.docker./name")),
		entry("only", 0, "n=172.17.0.9", "only.docker./name"),
		published(entry("onlypub", 0, "n=172.17.0.10", "onlypub.docker./name"), "0.0.0.0"),
		bare(project(entry("db", 0, "n=172.17.0.4", "db.docker."), "shop")),
		entry("rank", 0, "n=172.17.0.5", "rank.docker.", "rank-a.docker./name"),
	))
	s.Apply(at("b",
		entry("web", 0, "n=172.17.0.2", "web.docker./name", "web.shop.docker./project"),
		published(entry("pub", 0, "n=172.17.0.3", "pub.docker./name"), "0.0.0.0"),
		entry("mac", 0, "lan=192.0.2.11", "mac.docker./name"),
		onHost(entry("net", 0, "", "net.docker./name")),
		bare(project(entry("db", 0, "n=172.17.0.6", "db.docker."), "shop")),
		published(entry("rank", 0, "n=172.17.0.5", "rank.docker./name"), "0.0.0.0"),
	))
	wide := over(entry("wide", 0, "x=10.0.9.2", "wide.docker./name"))
	wide.Host = "b"
	s.Apply(add(wide))
	for _, c := range []struct {
		name string
		want map[string]string // by view; none where none is given
	}{
		{"web.docker.", map[string]string{"a": "172.17.0.2", "a n": "172.17.0.2", "b": "172.17.0.2", "b n": "172.17.0.2"}},
		{"web.shop.docker.", map[string]string{"a": "172.17.0.2", "a n": "172.17.0.2", "b": "172.17.0.2", "b n": "172.17.0.2"}},
		{"pub.docker.", map[string]string{"a": "172.17.0.3", "a n": "172.17.0.3", "a other": "10.99.0.1", "b": "172.17.0.3", "b n": "172.17.0.3", "b other": "10.99.0.2", "lan": "192.0.2.1 192.0.2.2"}},
		{"mac.docker.", map[string]string{"a": "192.0.2.10", "a n": "192.0.2.11", "a other": "192.0.2.11", "b": "192.0.2.11", "b n": "192.0.2.10", "b other": "192.0.2.10", "lan": "192.0.2.10 192.0.2.11"}},
		{"net.docker.", map[string]string{"a": "10.99.0.1", "a n": "10.99.0.1", "a other": "10.99.0.1", "b": "10.99.0.2", "b n": "10.99.0.2", "b other": "10.99.0.2", "lan": "192.0.2.1 192.0.2.2"}},
		{"only.docker.", map[string]string{"a": "172.17.0.9", "a n": "172.17.0.9"}},
		{"onlypub.docker.", map[string]string{"a": "172.17.0.10", "a n": "172.17.0.10", "a other": "10.99.0.1", "b": "192.0.2.1", "b n": "192.0.2.1", "b other": "192.0.2.1", "lan": "192.0.2.1"}},
		// Bare names of two hosts are never mixed: each host has its own.
		{"db.docker.", map[string]string{"a": "172.17.0.4", "a n": "172.17.0.4", "b": "172.17.0.6", "b n": "172.17.0.6"}},
		// A container's name takes a host name of another host's, but not from who shares a network with that.
		{"rank.docker.", map[string]string{"a": "192.0.2.2", "a n": "172.17.0.5", "a other": "192.0.2.2", "b": "172.17.0.5", "b n": "172.17.0.5", "b other": "10.99.0.2", "lan": "192.0.2.2"}},
		{"wide.docker.", map[string]string{"a n": "10.0.9.2", "b": "10.0.9.2", "b n": "10.0.9.2"}},
		{"2.0.17.172.in-addr.arpa.", map[string]string{"a": "web.docker.", "a n": "web.docker.", "a other": "web.docker.", "b": "web.docker.", "b n": "web.docker.", "b other": "web.docker.", "lan": "nxdomain"}},
		{"9.0.17.172.in-addr.arpa.", map[string]string{"a": "only.docker.", "a n": "only.docker.", "a other": "only.docker.", "b": "nxdomain", "b n": "nxdomain", "b other": "nxdomain", "lan": "only.docker."}},
		{"10.2.0.192.in-addr.arpa.", map[string]string{"a": "mac.docker.", "a n": "mac.docker.", "a other": "mac.docker.", "b": "mac.docker.", "b n": "mac.docker.", "b other": "mac.docker.", "lan": "mac.docker."}},
	} {
		for asker, view := range onHosts() {
			want := c.want[asker]
			if want == "" {
				want = "none"
			}
			qtype := dns.TypeA
			if IsReverse(c.name) {
				qtype = dns.TypePTR
			}
			if got := viewed(s.Snapshot(), view, c.name, qtype); got != want {
				t.Errorf("%s asks for %s: %s, want %s", asker, c.name, got, want)
			}
		}
	}
	// What a transfer shows of one host.
	s.Publish(View{Hosts: []container.HostID{"a"}, Server: twoHosts{}}).Walk("docker.", func(rrs []dns.RR) {
		for _, rr := range rrs {
			if strings.Contains(rr.String(), "172.17.0.6") {
				t.Errorf("a transfer has the other host's %s", rr)
			}
		}
	})
}

// TestHostAway checks that what is known of a host that is away answers to whom no other host has the name, and is not kept
// for long; other answers stay as they are.
func TestHostAway(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker."}, TTL: 30, NegativeTTL: 7})
	for _, host := range []container.HostID{"a", "b"} {
		s.Apply(add(atHost(host, published(entry("web", 0, "n=172.17.0.2", "web.docker./name"), "0.0.0.0")),
			atHost(host, published(entry(string(host), 0, "n=172.17.0.3", string(host)+".docker./name"), "0.0.0.0"))))
	}
	s.Apply(add(atHost("a", entry("nothere", 0, "n=172.17.0.4", "nothere.docker./name"))))
	s.SetHost("b", Away)
	for _, c := range []struct {
		asker, name, want string
		ttl               uint32
	}{
		{"lan", "web.docker.", "192.0.2.1", 30},
		{"lan", "a.docker.", "192.0.2.1", 30},
		{"lan", "b.docker.", "192.0.2.2", 5},
		{"a", "web.docker.", "172.17.0.2", 30},
		{"a", "b.docker.", "192.0.2.2", 5},
		{"b", "web.docker.", "172.17.0.2", 5}, // it is there, whatever its engine does
		{"lan", "nope.docker.", "nxdomain", 5},
		{"lan", "nothere.docker.", "none", 7}, // a has it, and the asker reaches it nowhere
		{"a n", "x.nothere.docker.", "nxdomain", 5},
	} {
		view := onHosts()[c.asker]
		if got := viewed(s.Snapshot(), view, c.name, dns.TypeA); got != c.want {
			t.Errorf("%s asks for %s: %s, want %s", c.asker, c.name, got, c.want)
		}
		r := lookup(s.Snapshot(), Query{Name: c.name, Spelled: c.name, Type: dns.TypeA, View: view})
		if got := append(r.Answer, r.Ns...)[0].Header().Ttl; got != c.ttl {
			t.Errorf("%s asks for %s: TTL %d, want %d", c.asker, c.name, got, c.ttl)
		}
	}
	s.SetHost("b", Current)
	if got := viewed(s.Snapshot(), onHosts()["lan"], "web.docker.", dns.TypeA); got != "192.0.2.1 192.0.2.2" {
		t.Errorf("b is back: %s", got)
	}
}

// TestStaleAnswers checks which answers may not be so in each state of a host: what it has, and what is denied though it may have that.
func TestStaleAnswers(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker.", "17.172.in-addr.arpa."}, TTL: 30, NegativeTTL: 7})
	for _, host := range []container.HostID{"a", "b"} {
		s.Apply(add(atHost(host, published(entry("web", 0, "n=172.17.0.2", "web.docker./name"), "0.0.0.0")),
			atHost(host, published(entry(string(host), 1, "n=172.17.0.3", string(host)+".docker./name"), "0.0.0.0"))))
	}
	s.Apply(add(atHost("a", with(entry("links", 2, "n=172.17.0.4", "links.docker./name"),
		"toa.docker. 30 CNAME a.docker.", "tob.docker. 30 CNAME b.docker.", "tonobody.docker. 30 CNAME nobody.docker.", "x.empty.docker. 30 TXT x"))))
	var none, denied, old = []HostState{}, []HostState{Overdue, Away}, []HostState{Away}
	for _, c := range []struct {
		name  string
		qtype uint16
		stale []HostState // of b's
	}{
		{"a.docker.", dns.TypeA, none}, {"a.docker.", dns.TypeAAAA, none}, {"web.docker.", dns.TypeA, none}, {"toa.docker.", dns.TypeA, none},
		{"docker.", dns.TypeSOA, none}, {"docker.", dns.TypeA, none}, {"ns.dns.docker.", dns.TypeA, none}, {"example.org.", dns.TypeA, none},
		{"b.docker.", dns.TypeA, old}, {"b.docker.", dns.TypeAAAA, old}, {"tob.docker.", dns.TypeA, old}, {"tob.docker.", dns.TypeAAAA, old},
		{"nobody.docker.", dns.TypeA, denied}, {"empty.docker.", dns.TypeA, denied}, {"tonobody.docker.", dns.TypeA, denied},
		{"9.0.17.172.in-addr.arpa.", dns.TypePTR, denied},
	} {
		for _, state := range []HostState{Current, Unsynced, Overdue, Away} {
			s.SetHost("b", state)
			r := lookup(s.Snapshot(), Query{Name: c.name, Spelled: c.name, Type: c.qtype, View: onHosts()["lan"]})
			if want := slices.Contains(c.stale, state); r.Stale != want {
				t.Errorf("%s %s, b's state %d: stale %v, want %v", c.name, dns.TypeToString[c.qtype], state, r.Stale, want)
			}
		}
	}
}

// TestUnreached asks of which names there are containers whose addresses the asker is not given.
func TestUnreached(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker."}, TTL: 30, NegativeTTL: 7})
	unwell := sick(entry("unwell", 0, "n=172.17.0.2", "unwell.docker./name"))
	unwell.RequireWell = true
	s.Apply(add(unwell, entry("web", 1, "n=172.17.0.3", "web.docker./name"), held1(entry("ended", 2, "", "ended.docker./name")),
		with(entry("mail", 3, "", "mail.docker./name"), "txt.docker. 30 TXT x", "mail.docker. 30 A 192.0.2.25", "x.empty.docker. 30 TXT x")))
	for name, want := range map[string]bool{
		"unwell.docker.": true, "ended.docker.": true,
		"web.docker.": false, "mail.docker.": false, "txt.docker.": false, "empty.docker.": false, "nobody.docker.": false, "docker.": false, "ns.dns.docker.": false, "example.org.": false,
	} {
		if got := s.Snapshot().Unreached(&Query{Name: name, Type: dns.TypeAAAA}); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestUnsynced checks that of a host that has not been reconciled only those names are answered whose owner nothing can change
// that is not known yet, however long that takes.
func TestUnsynced(t *testing.T) {
	for _, state := range []HostState{Unsynced, Overdue} {
		checkUnsynced(t, state)
	}
}

func checkUnsynced(t *testing.T, state HostState) {
	t.Helper()
	s := NewStore(Config{Zones: []string{"docker.", "17.172.in-addr.arpa."}, TTL: 30, NegativeTTL: 7})
	s.SetHost("", state)
	s.Apply(add(
		with(service(entry("web", 0, "a=172.17.0.2", "web.docker./name", "0123.docker./id", "www.docker.", "*.w.docker.", "web.shop.docker./project"),
			"_http._tcp.web.docker.", "web.docker.", 80), "web.docker. 30 TXT hello"),
		entry("my_db", 1, "a=172.17.0.3", "my_db.docker./name", "my-db.docker./twin"),
		entry("alias", 2, "a=172.17.0.4", "only.docker."),
	))
	onA, onB := inside("a"), inside("b")
	lan := View{Asker: Elsewhere, Server: server{}}
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string // to the host, then a container on the network, a stranger, who is elsewhere
	}{
		{"web.docker.", dns.TypeA, "172.17.0.2|172.17.0.2|not ready|none"},
		{"web.docker.", dns.TypeAAAA, "none|none|not ready|none"},
		{"0123.docker.", dns.TypeA, "172.17.0.2|172.17.0.2|none|none"},
		{"www.docker.", dns.TypeA, "not ready|not ready|not ready|not ready"},
		{"x.w.docker.", dns.TypeA, "not ready|not ready|not ready|not ready"},
		{"web.shop.docker.", dns.TypeA, "not ready|not ready|not ready|not ready"},
		{"my-db.docker.", dns.TypeA, "not ready|not ready|not ready|not ready"},
		{"2.0.17.172.in-addr.arpa.", dns.TypePTR, "web.docker.|web.docker.|0123.docker.|web.docker."},
		{"4.0.17.172.in-addr.arpa.", dns.TypePTR, "not ready|not ready|not ready|not ready"},
		{"nope.docker.", dns.TypeA, "nxdomain|nxdomain|nxdomain|nxdomain"}, // which the handler does not say
	} {
		var got []string
		for _, v := range []View{{}, onA, onB, lan} {
			got = append(got, viewed(s.Snapshot(), v, c.name, c.qtype))
		}
		if got := strings.Join(got, "|"); got != c.want {
			t.Errorf("state %d: %s %s: %s, want %s", state, c.name, dns.TypeToString[c.qtype], got, c.want)
		}
	}
	// A host that is synced has a name whatever others may have.
	other := atHost("b", published(entry("w2", 0, "n=172.17.0.9", "www.docker."), "0.0.0.0"))
	s.Apply(add(other))
	if got := viewed(s.Snapshot(), View{Asker: Elsewhere, Server: twoHosts{}}, "www.docker.", dns.TypeA); got != "192.0.2.2" {
		t.Errorf("state %d: a name that a synced host has: %s", state, got)
	}
	s.SetHost("", Current)
	if got := viewed(s.Snapshot(), onA, "only.docker.", dns.TypeA); got != "172.17.0.4" {
		t.Errorf("state %d: once it is synced: %s", state, got)
	}
}

// TestAddressWithoutName checks that an address by whose names its container is not found has no name at once, however many
// other hosts have not been reconciled: none of these can change that.
func TestAddressWithoutName(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker.", "17.172.in-addr.arpa."}, TTL: 30, NegativeTTL: 7})
	s.Apply(add(entry("far", 0, "m=172.17.1.2", "web.docker."), entry("near", 1, "n=172.17.0.2", "web.docker.")))
	for _, state := range []HostState{Current, Unsynced, Overdue, Away} {
		s.SetHost("other", state)
		if got := viewed(s.Snapshot(), inside("n"), "2.1.17.172.in-addr.arpa.", dns.TypePTR); got != "none" {
			t.Errorf("another host's state is %d: %s", state, got)
		}
	}
}

// TestReasons has a row for each reason.
func TestReasons(t *testing.T) {
	require := func(e *Entry) *Entry { e.RequireWell = true; return e }
	isolated := inside("none")
	isolated.Isolate = true
	shop := of(inside("n"), "shop", "app")
	ended := held1(entry("e", 3, "", "x.docker."))
	for _, c := range []struct {
		what    string
		entries []*Entry
		view    View
		want    string
	}{
		{"it answers", []*Entry{entry("a", 0, "n=172.17.0.2", "x.docker.")}, View{}, "a answers [172.17.0.2]"},
		{"a better right", []*Entry{entry("a", 0, "n=172.17.0.2", "x.docker."), entry("x", 1, "n=172.17.0.3", "x.docker./name")}, View{}, "a lost to x, x answers [172.17.0.3]"},
		{"a name above", []*Entry{entry("docker", 1, "n=172.17.0.3", "x.docker./name"), entry("a", 0, "n=172.17.0.2", "y.x.docker.")}, View{}, "a lost to docker"},
		{"nearer ones", []*Entry{entry("a", 0, "n=172.17.0.2", "x.docker."), entry("b", 1, "m=172.17.1.2", "x.docker.")}, inside("n"), "a answers [172.17.0.2], b nearer"},
		{"two projects", []*Entry{bare(project(entry("a", 0, "n=172.17.0.2", "x.docker."), "p")), bare(project(entry("b", 0, "m=172.17.1.2", "x.docker."), "q"))}, View{}, "a ambiguous, b ambiguous"},
		{"ended", []*Entry{ended}, View{}, "e ended"},
		{"no network", []*Entry{entry("a", 0, "", "x.docker.")}, View{}, "a no address"},
		{"isolated", []*Entry{entry("a", 0, "n=172.17.0.2", "x.docker.")}, isolated, "a hidden"},
		{"on another network", []*Entry{entry("a", 0, "n=172.17.0.2 none=172.17.9.2", "x.docker./shared/n")}, isolated, "a other network"},
		{"elsewhere", []*Entry{entry("a", 0, "n=172.17.0.2", "x.docker.")}, View{Asker: Elsewhere, Server: server{}}, "a not reachable"},
		{"own host", []*Entry{atHost("a", entry("a", 0, "n=172.17.0.2", "x.docker.")), atHost("b", published(entry("b", 1, "n=172.17.0.2", "x.docker."), "0.0.0.0"))}, onHosts()["a"], "a answers [172.17.0.2], b other host"},
		{"unwell", []*Entry{sick(entry("a", 0, "n=172.17.0.2", "x.docker.")), entry("b", 1, "n=172.17.0.3", "x.docker.")}, View{}, "a unwell, b answers [172.17.0.3]"},
		{"has to be well", []*Entry{require(sick(entry("a", 0, "n=172.17.0.2", "x.docker.")))}, View{}, "a unwell"},
		{"peers", []*Entry{sick(project(entry("a", 0, "n=172.17.0.2", "x.docker."), "shop"))}, shop, "a answers [172.17.0.2]"},
		{"CNAME", []*Entry{with(entry("a", 0, "n=172.17.0.2"), "x.docker. 30 CNAME y."), entry("b", 1, "n=172.17.0.3", "x.docker.")}, View{}, "a CNAME beside, b answers [172.17.0.3]"},
		{"records", []*Entry{with(entry("a", 0, "n=172.17.0.2"), "x.docker. 30 TXT t")}, View{}, "a answers []"},
	} {
		s := NewStore(Config{Zones: []string{"docker."}, Isolate: true})
		s.Apply(add(c.entries...))
		name := "x.docker."
		if c.what == "a name above" {
			name = "y.x.docker."
		}
		if got := reasons(s.Snapshot(), c.view, name); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	s := NewStore(Config{Zones: []string{"docker."}})
	s.Apply(add(atHost("a", published(entry("a", 0, "n=172.17.0.2", "x.docker./name"), "0.0.0.0")), atHost("b", published(entry("b", 1, "n=172.17.0.2", "x.docker./name"), "0.0.0.0")),
		atHost("c", entry("c", 2, "n=172.17.0.2", "x.docker."))))
	s.SetHost("b", Away)
	s.SetHost("c", Unsynced)
	if got, want := reasons(s.Snapshot(), onHosts()["lan"], "x.docker."), "a answers [192.0.2.1], b host away, c not certain"; got != want {
		t.Errorf("states of hosts: %s, want %s", got, want)
	}
}

// reasons writes what became of each claimant.
func reasons(s *Snapshot, v View, name string) string {
	var r Result
	var out []string
	for _, v := range s.Explain(&Query{Name: name, Spelled: name, Type: dns.TypeA, View: v}, &r) {
		text := v.Entry.Name + " " + map[Reason]string{
			Answers: "answers", LostTo: "lost to", Nearer: "nearer", Ambiguous: "ambiguous", HasEnded: "ended", NoAddress: "no address",
			OtherNetwork: "other network", NotReachable: "not reachable", OtherHost: "other host", HostAway: "host away", Unwell: "unwell",
			NotCertain: "not certain", Hidden: "hidden", CNAMEBeside: "CNAME beside", ByProxy: "by proxy", NoProxy: "no proxy",
		}[v.Reason]
		switch v.Reason {
		case Answers:
			text += fmt.Sprint(" ", v.Addrs)
		case LostTo:
			text += " " + v.Winner.Name
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
