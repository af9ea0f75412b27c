package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// with adds claims to records, in zone-file form, one claim an owner and call.
func with(e *Entry, texts ...string) *Entry {
	for _, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		i := slices.IndexFunc(e.Claims, func(c Claim) bool { return c.Records() != nil && c.Name == rr.Header().Name })
		if i < 0 {
			e.Claims = append(e.Claims, Claim{Name: rr.Header().Name, Rank: Shared, Data: &Data{}})
			i = len(e.Claims) - 1
		}
		e.Claims[i].Data.Records = append(e.Claims[i].Data.Records, rr)
	}
	return e
}

func service(e *Entry, name, target string, port uint16, published ...string) *Entry {
	s := &Service{Targets: strings.Fields(target), Port: port}
	for _, p := range published {
		s.Published = append(s.Published, netip.MustParseAddrPort(p))
	}
	e.Claims = append(e.Claims, Claim{Name: name, Rank: Shared, Data: &Data{Service: s}})
	return e
}

// all returns what the view gets: the answer's records without their owner, class and TTL, and
// then the extra ones.
func all(s *Snapshot, v View, name string, qtype uint16) string {
	r := lookup(s, Query{Name: name, Spelled: name, Type: qtype, View: v})
	short := func(rrs []dns.RR) string {
		var out []string
		for _, rr := range rrs {
			text := strings.TrimPrefix(rr.String(), rr.Header().String())
			out = append(out, dns.TypeToString[rr.Header().Rrtype]+" "+text)
		}
		slices.Sort(out)
		return strings.Join(out, ", ")
	}
	text := short(r.Answer)
	if len(r.Extra) > 0 {
		text += " + " + short(r.Extra)
	}
	if r.Outcome != Success {
		text += fmt.Sprintf(" (%s)", map[Outcome]string{NotOurs: "not ours", NoData: "nodata", Ended: "ended", EmptyNonTerminal: "empty", NameError: "nxdomain"}[r.Outcome])
	}
	if r.Target != "" {
		text += " → " + r.Target
	}
	return text
}

func TestRecords(t *testing.T) {
	s := newStore()
	web := with(entry("web", 0, "a=172.17.0.2 a=fd01::2", "web.docker./name", "x.docker."),
		"web.docker. 30 TXT one", "web.docker. 30 MX 10 mail.web.docker.", "web.docker. 30 A 192.0.2.7",
		"mail.web.docker. 30 A 192.0.2.8", "_sip._tcp.web.docker. 30 SRV 0 0 5060 web.docker.",
		"*.t.web.docker. 30 TXT wild", "x.docker. 30 TXT from-web",
		"web.docker. 30 HTTPS 1 . alpn=h2", "web.docker. 30 SVCB 1 mail.web.docker. port=53")
	other := with(entry("other", 1, "a=172.17.0.3", "other.docker./name", "x.docker."),
		"x.docker. 5 TXT from-other", "x.docker. 5 TXT from-web", "web.docker. 30 TXT stolen",
		"alias.docker. 30 CNAME web.docker.", "chain.docker. 30 CNAME Alias.docker.", "out.docker. 30 CNAME example.org.",
		"dead.docker. 30 CNAME nope.docker.", "empty.docker. 30 CNAME t.web.docker.", "lacking.docker. 30 CNAME mail.web.docker.",
		"loop1.docker. 30 CNAME loop2.docker.", "loop2.docker. 30 CNAME loop1.docker.",
		"self.docker. 30 CNAME self.docker.", "other.docker. 30 CNAME web.docker.", "*.c.docker. 30 CNAME web.docker.")
	late := with(entry("late", 2, "a=172.17.0.4", "late.docker./name"), "alias.docker. 30 CNAME late.docker.")
	s.Apply(add(web, other, late))
	snap := s.Snapshot()
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"web.docker.", dns.TypeA, "A 172.17.0.2, A 192.0.2.7"},
		{"web.docker.", dns.TypeTXT, `TXT "one"`},
		{"web.docker.", dns.TypeMX, "MX 10 mail.web.docker. + A 192.0.2.8"},
		{"web.docker.", dns.TypeCAA, " (nodata)"},
		{"web.docker.", dns.TypeHTTPS, `HTTPS 1 . alpn="h2"`},
		{"web.docker.", dns.TypeSVCB, `SVCB 1 mail.web.docker. port="53" + A 192.0.2.8`},
		{"_sip._tcp.web.docker.", dns.TypeSRV, "SRV 0 0 5060 web.docker. + A 172.17.0.2, A 192.0.2.7, AAAA fd01::2"},
		{"_tcp.web.docker.", dns.TypeSRV, " (empty)"},
		{"a.b.t.web.docker.", dns.TypeTXT, `TXT "wild"`},
		// several containers' records add up, each once
		{"x.docker.", dns.TypeTXT, `TXT "from-other", TXT "from-web"`},
		{"x.docker.", dns.TypeA, "A 172.17.0.2, A 172.17.0.3"},
		// CNAMEs
		{"alias.docker.", dns.TypeA, "A 172.17.0.2, A 192.0.2.7, CNAME web.docker."},
		{"alias.docker.", dns.TypeCNAME, "CNAME web.docker."},
		{"alias.docker.", dns.TypeCAA, "CNAME web.docker. (nodata)"},
		{"chain.docker.", dns.TypeAAAA, "AAAA fd01::2, CNAME Alias.docker., CNAME web.docker."},
		{"out.docker.", dns.TypeA, "CNAME example.org. → example.org."},
		{"dead.docker.", dns.TypeA, "CNAME nope.docker. (nxdomain) → nope.docker."},
		{"empty.docker.", dns.TypeA, "CNAME t.web.docker. (empty) → t.web.docker."},
		{"lacking.docker.", dns.TypeAAAA, "CNAME mail.web.docker. (nodata)"},
		{"loop1.docker.", dns.TypeA, "CNAME loop1.docker., CNAME loop2.docker."},
		{"self.docker.", dns.TypeA, "CNAME self.docker."},
		{"other.docker.", dns.TypeA, "A 172.17.0.3"}, // has other records too
		{"a.c.docker.", dns.TypeA, "A 172.17.0.2, A 192.0.2.7, CNAME web.docker."},
	} {
		if got := all(snap, View{}, c.name, c.qtype); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.name, dns.TypeToString[c.qtype], got, c.want)
		}
	}
	r := lookup(snap, Query{Name: "x.docker.", Spelled: "X.docker.", Type: dns.TypeTXT})
	for _, rr := range r.Answer {
		if rr.Header().Ttl != 5 || rr.Header().Name != "X.docker." {
			t.Errorf("not one TTL, or not as asked: %s", rr)
		}
	}
	if got := lostOf(snap); got != 3 { // the stolen TXT, late's alias, other's CNAME
		t.Errorf("%d lost claims, want 3", got)
	}
	serial := snap.Serials()["docker."]
	s.Apply(add(web, other, late))
	if s.Snapshot().Serials()["docker."] != serial {
		t.Error("the serial has grown although nothing has changed")
	}
	s.Apply(add(with(entry("late", 2, "a=172.17.0.4", "late.docker./name"), "late.docker. 30 TXT new")))
	if !newer(s.Snapshot().Serials()["docker."], serial) {
		t.Error("the serial has not grown with a new record")
	}
	s.Apply([]Change{gone("web"), gone("other"), gone("late")})
	if snap := s.Snapshot(); snap.Names != 0 || snap.Records != 0 || lostOf(snap) != 0 {
		t.Errorf("%d names, %d records, %d lost claims are left", snap.Names, snap.Records, lostOf(snap))
	}
}

// TestTTL checks that the TTL of an RRset is the least of all its claimants', who each have their own or the zone's, 30.
func TestTTL(t *testing.T) {
	s := newStore()
	own := func(ttl uint32, e *Entry) *Entry { e.TTL, e.OwnTTL = ttl, true; return e }
	serving := func(id string, age int, names ...string) *Entry {
		e := entry(id, age, fmt.Sprintf("a=172.17.1.%d", age), append(names, id+".docker.")...)
		for _, n := range names {
			service(e, "_http._tcp."+n, id+".docker.", 80)
		}
		return e
	}
	ended := own(1, serving("ended", 9, "long.docker."))
	s.Apply(add(
		own(60, entry("a", 0, "a=172.17.0.2", "a.docker./name", "x.docker.", "mixed.docker.")),
		own(10, entry("b", 1, "a=172.17.0.3", "x.docker.")),
		entry("c", 2, "a=172.17.0.4", "c.docker.", "mixed.docker."),
		with(entry("d", 3, "a=172.17.0.5", "d.docker.", "low.docker."), "low.docker. 20 A 192.0.2.1", "alone.docker. 60 A 192.0.2.1", "alone.docker. 90 AAAA 2001:db8::1"),
		own(60, serving("e", 4, "long.docker.", "half.docker.")),
		own(50, serving("f", 5, "long.docker.", "records.docker.")),
		with(serving("g", 6, "half.docker."), "_http._tcp.records.docker. 40 SRV 0 0 81 g.docker.", "_x._tcp.g.docker. 70 SRV 0 0 81 g.docker."),
		held1(ended),
	))
	for _, c := range []struct {
		name  string
		qtype uint16
		want  uint32
	}{
		{"a.docker.", dns.TypeA, 60}, {"x.docker.", dns.TypeA, 10}, {"c.docker.", dns.TypeA, 30},
		{"mixed.docker.", dns.TypeA, 30}, {"low.docker.", dns.TypeA, 20}, {"alone.docker.", dns.TypeA, 60}, {"alone.docker.", dns.TypeAAAA, 60},
		{"long.docker.", dns.TypeA, 50}, {"_http._tcp.long.docker.", dns.TypeSRV, 50}, {"_http._tcp.half.docker.", dns.TypeSRV, 30},
		{"_http._tcp.records.docker.", dns.TypeSRV, 40}, {"_x._tcp.g.docker.", dns.TypeSRV, 70},
	} {
		answer := lookup(s.Snapshot(), Query{Name: c.name, Spelled: c.name, Type: c.qtype}).Answer
		if len(answer) == 0 {
			t.Errorf("%s %s: no answer", c.name, dns.TypeToString[c.qtype])
		}
		for _, rr := range answer {
			if rr.Header().Ttl != c.want {
				t.Errorf("TTL %d, want %d: %s", rr.Header().Ttl, c.want, rr)
			}
		}
	}
	serial := s.Snapshot().Serials()["docker."]
	s.Apply(add(own(55, serving("f", 5, "long.docker.", "records.docker."))))
	if !newer(s.Snapshot().Serials()["docker."], serial) {
		t.Error("the serial has not grown with another TTL")
	}
}

func TestServices(t *testing.T) {
	s := newStore()
	a := service(entry("a", 0, "n=172.17.0.2", "a.docker./name", "x.docker."), "_http._tcp.x.docker.", "a.docker.", 80, "0.0.0.0:8080", "[::]:8080", "192.0.2.1:81")
	b := service(entry("b", 1, "n=172.17.0.3", "b.docker./name", "x.docker."), "_http._tcp.x.docker.", "b.docker.", 80)
	a.Published = ips("0.0.0.0")
	// The older one has the name, only the younger one the port.
	older, younger := entry("B", 2, "n=172.17.0.8", "y.docker./name"), service(entry("b2", 3, "n=172.17.0.9", "y.docker./name"), "_http._tcp.y.docker.", "y.docker.", 80)
	hosted := onHost(service(entry("h", 4, "", "h.docker./name"), "_http._tcp.h.docker.", "h.docker.", 80))
	s.Apply(add(a, with(b, "_http._tcp.x.docker. 9 SRV 5 5 99 b.docker."), older, younger, hosted))
	if got := all(s.Snapshot(), View{}, "_http._tcp.y.docker.", dns.TypeSRV); got != " (nxdomain)" {
		t.Errorf("a service at another's name: %s", got)
	}
	for _, view := range []View{{}, {Asker: Elsewhere, Server: server{}}} {
		if got := all(s.Snapshot(), view, "_http._tcp.h.docker.", dns.TypeSRV); !strings.HasPrefix(got, "SRV 0 0 80 h.docker. + ") {
			t.Errorf("on the host's network, asker %d: %s", view.Asker, got)
		}
	}
	const name = "_http._tcp.x.docker."
	for _, c := range []struct {
		view View
		want string
	}{
		{View{}, "SRV 0 0 80 a.docker., SRV 0 0 80 b.docker., SRV 5 5 99 b.docker. + A 172.17.0.2, A 172.17.0.3"},
		{inside("n"), "SRV 0 0 80 a.docker., SRV 0 0 80 b.docker., SRV 5 5 99 b.docker. + A 172.17.0.2, A 172.17.0.3"},
		{View{Asker: Elsewhere, Server: server{publish: true}}, "SRV 0 0 8080 a.docker., SRV 0 0 81 a.docker., SRV 5 5 99 b.docker. + A 192.0.2.1"},
		{View{Asker: Elsewhere, Server: server{}}, "SRV 5 5 99 b.docker."},
	} {
		if got := all(s.Snapshot(), c.view, name, dns.TypeSRV); got != c.want {
			t.Errorf("asker %d: %s, want %s", c.view.Asker, got, c.want)
		}
	}
	for _, rr := range lookup(s.Snapshot(), Query{Name: name, Spelled: name, Type: dns.TypeSRV}).Answer {
		if rr.Header().Ttl != 9 {
			t.Errorf("not one TTL: %s", rr)
		}
	}
	if got := all(s.Snapshot(), View{}, "_tcp.x.docker.", dns.TypeSRV); got != " (empty)" {
		t.Errorf("_tcp.x.docker.: %s", got)
	}
	if got := all(s.Snapshot(), View{}, name, dns.TypeA); got != " (nodata)" {
		t.Errorf("%s A: %s", name, got)
	}
}

// TestCanonicalName checks that an address resolves to a name that answers with it.
func TestCanonicalName(t *testing.T) {
	s := newStore()
	e := entry("web", 0, "n=172.17.0.2", "*.w.docker.")
	service(e, "_http._tcp.web.docker.", "web.docker.", 80)
	with(e, "x.docker. 30 TXT one")
	e.Claims = append(e.Claims, Claim{Name: "last.docker.", Rank: Shared})
	s.Apply(add(e))
	if got := text(s.Snapshot(), "2.0.17.172.in-addr.arpa."); got != "last.docker." {
		t.Errorf("resolves to %q", got)
	}
}

// TestHeldRecords checks that an ended container's records end with it.
func TestHeldRecords(t *testing.T) {
	s := newStore()
	e := with(service(entry("web", 0, "n=172.17.0.2", "web.docker./name"), "_http._tcp.web.docker.", "web.docker.", 80), "web.docker. 30 TXT one", "c.docker. 30 CNAME web.docker.")
	s.Apply(add(e))
	if got := all(s.Snapshot(), View{}, "_http._tcp.web.docker.", dns.TypeSRV); got != "SRV 0 0 80 web.docker. + A 172.17.0.2" {
		t.Errorf("before: %s", got)
	}
	s.Apply(add(held1(e)))
	for name, qtype := range map[string]uint16{"web.docker.": dns.TypeTXT, "_http._tcp.web.docker.": dns.TypeSRV, "c.docker.": dns.TypeA} {
		if got := all(s.Snapshot(), View{}, name, qtype); got != " (ended)" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestWalk checks that a transfer has each record that lookups have, and no other.
func TestWalk(t *testing.T) {
	s := newStore()
	s.Apply(add(
		with(entry("web", 0, "a=172.17.0.2 b=10.0.0.2", "web.docker./name", "web.shop.docker.", "*.w.docker."), "web.docker. 30 TXT one"),
		service(entry("db", 1, "a=172.17.0.3", "db.docker./name"), "_x._tcp.db.docker.", "db.docker.", 80)))
	walk := func(apex string) string {
		var out []string
		first := true
		v := s.Publish(View{Server: server{}})
		if !v.Has(apex) {
			return "none"
		}
		v.Walk(apex, func(rrs []dns.RR) {
			if first && rrs[0].Header().Rrtype != dns.TypeSOA {
				t.Errorf("%s does not begin with its SOA", apex)
			}
			first = false
			for _, rr := range rrs {
				if rr.Header().Rrtype != dns.TypeSOA {
					out = append(out, fmt.Sprintf("%s %s %s", rr.Header().Name, dns.TypeToString[rr.Header().Rrtype], strings.TrimPrefix(rr.String(), rr.Header().String())))
				}
			}
		})
		slices.Sort(out)
		return strings.Join(out, "\n")
	}
	want := `*.w.docker. A 10.0.0.2
*.w.docker. A 172.17.0.2
_x._tcp.db.docker. SRV 0 0 80 db.docker.
db.docker. A 172.17.0.3
docker. NS ns.dns.docker.
ns.dns.docker. A 127.0.0.1
web.docker. A 10.0.0.2
web.docker. A 172.17.0.2
web.docker. TXT "one"
web.shop.docker. A 10.0.0.2
web.shop.docker. A 172.17.0.2`
	if got := walk("docker."); got != want {
		t.Errorf("docker.:\n%s\nwant\n%s", got, want)
	}
	want = `17.172.in-addr.arpa. NS ns.dns.17.172.in-addr.arpa.
2.0.17.172.in-addr.arpa. PTR web.docker.
3.0.17.172.in-addr.arpa. PTR db.docker.
ns.dns.17.172.in-addr.arpa. A 127.0.0.1`
	if got := walk("17.172.in-addr.arpa."); got != want {
		t.Errorf("reverse:\n%s\nwant\n%s", got, want)
	}
	if got := walk("example.org."); got != "none" {
		t.Errorf("another's zone: %s", got)
	}
	root := NewStore(Config{Zones: []string{"."}})
	if root.Publish(View{Server: server{}}).Has(".") {
		t.Error("the root is transferred")
	}
}
