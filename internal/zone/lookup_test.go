package zone

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

var created = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// on returns the ID of the network of the name; the zero one is for "".
func on(network string) container.NetworkID {
	if network == "" {
		return noNetwork
	}
	return container.LocalNetwork("", network)
}

// gone is the change that a container has none of its names any more.
func gone(id string) Change { return Change{Key: Key{ID: id}} }

// reaches has who reaches the addresses on networks of these names, which others are ordinary bridges. gw:ov is docker_gwbridge on
// behalf of the overlay.
var reaches = map[string]container.Reach{
	"lan": container.OnLAN, "ov": container.OffHost, "gw:ov": container.Unshared, "icc": container.Unshared,
	"routed": container.Routed, "ports": container.Routed | container.RoutedPorts | container.Forwarded,
	"podman": container.Forwarded, "apart": container.Forwarded | container.Apart,
}

// entry makes a container, created so many seconds after the first, with addresses
// NETWORK=IP and names NAME, NAME/RANK or NAME/RANK/NETWORK.
func entry(id string, age int, addrs string, names ...string) *Entry {
	e := &Entry{Key: Key{ID: id}, Name: id, Created: created.Add(time.Duration(age) * time.Second)}
	for a := range strings.FieldsSeq(addrs) {
		network, ip, _ := strings.Cut(a, "=")
		reach := reaches[network]
		network = strings.TrimPrefix(network, "gw:")
		e.Addresses = append(e.Addresses, Address{netip.MustParseAddr(ip), on(network), reach})
		if reach&container.Unshared == 0 && !slices.Contains(e.Networks, on(network)) {
			e.Networks = append(e.Networks, on(network))
		}
	}
	ranks := map[string]Rank{"host": ByHost, "name": ByName, "id": ByID, "twin": ByTwin, "service": ByService, "task": ByTask, "project": ByProject, "": Shared, "shared": Shared}
	for _, n := range names {
		parts := append(strings.Split(n, "/"), "", "")
		e.Claims = append(e.Claims, Claim{Name: parts[0], Rank: ranks[parts[1]], Network: on(parts[2])})
	}
	return e
}

func sick(e *Entry) *Entry { e.Sick = true; return e }

func add(entries ...*Entry) []Change {
	changes := make([]Change, len(entries))
	for i, e := range entries {
		changes[i] = Change{e.Key, e}
	}
	return changes
}

// server is a Server that hosts containers on 10.99.0.1 and on the LAN at 192.0.2.1; the
// network lan is direct.
type server struct{ publish bool }

func ips(texts string) []netip.Addr {
	var all []netip.Addr
	for s := range strings.FieldsSeq(texts) {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

func (server) Addrs() []netip.Addr                      { return ips("127.0.0.1") }
func (server) Gateways(h container.HostID) []netip.Addr { return unlessTwin(h, "10.99.0.1 fd99::1") }
func (server) HostAddrs(h container.HostID) []netip.Addr {
	return unlessTwin(h, "192.0.2.1 2001:db8::1")
}
func (s server) Publish() bool { return s.publish }
func (server) OnBridge(_ container.HostID, ip netip.Addr) bool {
	return slices.Contains(server{}.Gateways(""), ip)
}

// unlessTwin returns the addresses, and none for the twin.
func unlessTwin(host container.HostID, addrs string) []netip.Addr {
	if host == twin {
		return nil
	}
	return ips(addrs)
}

// ask looks the case's question up, with the case of the name as given.
func ask(s *Snapshot, c test.Case) Result {
	return lookup(s, Query{Name: strings.ToLower(c.Qname), Spelled: c.Qname, Type: c.Qtype, View: View{Server: server{}}})
}

func lookup(s *Snapshot, q Query) (r Result) {
	asked := q
	s.Lookup(&asked, &r)
	beside(s, q, &r)
	explained(s, q, &r)
	return r
}

// lostOf is the number of claims that have lost, of all hosts.
func lostOf(s *Snapshot) (lost int) {
	for _, n := range s.Lost() {
		lost += n
	}
	return lost
}

// check compares an answer with the case's, apart from the SOA's serial.
func check(t *testing.T, c test.Case, outcome Outcome, r Result) {
	t.Helper()
	if r.Outcome != outcome {
		t.Errorf("%s %s: outcome %v, want %v", c.Qname, dns.TypeToString[c.Qtype], r.Outcome, outcome)
		return
	}
	for _, rr := range r.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			soa.Serial = 1
		}
	}
	for _, rr := range r.Answer {
		if soa, ok := rr.(*dns.SOA); ok {
			soa.Serial = 1
		}
	}
	m := &dns.Msg{Answer: r.Answer, Ns: r.Ns, Extra: r.Extra}
	if outcome == NameError {
		m.Rcode = dns.RcodeNameError
	}
	if err := test.SortAndCheck(m, c); err != nil {
		t.Errorf("%s %s: %v\n%s", c.Qname, dns.TypeToString[c.Qtype], err, m)
	}
	for _, rr := range r.Answer {
		if got := rr.Header().Name; got != c.Qname {
			t.Errorf("%s: answer's owner is %s, want the case as asked", c.Qname, got)
		}
	}
}

const soaDocker = "docker. 7 IN SOA ns.dns.docker. hostmaster.docker. 1 60 15 3600 7"
const soaReverse = "17.172.in-addr.arpa. 7 IN SOA ns.dns.17.172.in-addr.arpa. hostmaster.17.172.in-addr.arpa. 1 60 15 3600 7"
const soaRoot = ". 7 IN SOA ns.dns. hostmaster. 1 60 15 3600 7"

func TestLookup(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker.", "sub.docker.", "17.172.in-addr.arpa."}, TTL: 30, NegativeTTL: 7})
	s.Apply(add(
		entry("web", 0, "bridge=172.17.0.2 front=10.1.0.2 front=fd00::2", "web.docker./name", "0123456789ab.docker./id",
			"web.sub.docker./name", "front.web.shop.docker./shared/front"),
		entry("v6", 1, "six=fd00::6", "v6.docker./name"),
		entry("alone", 2, "", "alone.docker./name"),
		entry("web1", 3, "bridge=172.17.0.3", "shop_web_1.docker./name", "web.shop.docker.", "*.wild.docker."),
		entry("web2", 4, "bridge=172.17.0.4", "shop_web_2.docker./name", "web.shop.docker."),
		sick(entry("web3", 5, "bridge=172.17.0.5", "shop_web_3.docker./name", "web.shop.docker.")),
		sick(entry("sick", 6, "bridge=172.17.0.6", "sick.docker./name")),
		&Entry{Key: Key{ID: "ended"}, Held: true, Claims: []Claim{{Name: "ended.docker."}, {Name: "both.docker.", Rank: Shared}}},
		with(entry("text", 7, "", "text.docker./name"), "text.docker. 30 IN TXT x", "both.docker. 30 IN TXT x", "only.docker. 30 IN TXT x"),
	))
	soa := []dns.RR{test.SOA(soaDocker)}
	soon := []dns.RR{test.SOA("docker. 1 IN SOA ns.dns.docker. hostmaster.docker. 1 60 15 3600 1")}
	soaRev := []dns.RR{test.SOA(soaReverse)}
	for _, c := range []struct {
		outcome Outcome
		test.Case
	}{
		{Success, test.Case{Qname: "web.docker.", Qtype: dns.TypeA, Answer: []dns.RR{
			test.A("web.docker. 30 IN A 10.1.0.2"), test.A("web.docker. 30 IN A 172.17.0.2")}}},
		{Success, test.Case{Qname: "WeB.DoCkEr.", Qtype: dns.TypeAAAA, Answer: []dns.RR{test.AAAA("WeB.DoCkEr. 30 IN AAAA fd00::2")}}},
		{Success, test.Case{Qname: "web.docker.", Qtype: dns.TypeANY, Answer: []dns.RR{
			test.A("web.docker. 30 IN A 10.1.0.2"), test.A("web.docker. 30 IN A 172.17.0.2"), test.AAAA("web.docker. 30 IN AAAA fd00::2")}}},
		{NoData, test.Case{Qname: "web.docker.", Qtype: dns.TypeHTTPS, Ns: soa}},
		{NoData, test.Case{Qname: "web.docker.", Qtype: dns.TypeMX, Ns: soa}},
		{NoData, test.Case{Qname: "web.docker.", Qtype: dns.TypeDS, Ns: soa}},
		{NameError, test.Case{Qname: "nope.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Ns: soa}},
		{NameError, test.Case{Qname: "_x._tcp.web.docker.", Qtype: dns.TypeSRV, Rcode: dns.RcodeNameError, Ns: soa}},
		// only what the network of the claim has
		{Success, test.Case{Qname: "front.web.shop.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("front.web.shop.docker. 30 IN A 10.1.0.2")}}},
		// a name with names below it only
		{EmptyNonTerminal, test.Case{Qname: "shop.docker.", Qtype: dns.TypeA, Ns: soa}},
		{EmptyNonTerminal, test.Case{Qname: "dns.docker.", Qtype: dns.TypeA, Ns: soa}},
		{EmptyNonTerminal, test.Case{Qname: "wild.docker.", Qtype: dns.TypeA, Ns: soa}},
		// IPv6 only; no address
		{NoData, test.Case{Qname: "v6.docker.", Qtype: dns.TypeA, Ns: soa}},
		{Success, test.Case{Qname: "v6.docker.", Qtype: dns.TypeAAAA, Answer: []dns.RR{test.AAAA("v6.docker. 30 IN AAAA fd00::6")}}},
		{NoData, test.Case{Qname: "alone.docker.", Qtype: dns.TypeA, Ns: soon}}, // it may have an address any moment
		{NoData, test.Case{Qname: "text.docker.", Qtype: dns.TypeA, Ns: soon}},
		{NoData, test.Case{Qname: "both.docker.", Qtype: dns.TypeA, Ns: soon}},
		{NoData, test.Case{Qname: "only.docker.", Qtype: dns.TypeA, Ns: soa}},
		{Ended, test.Case{Qname: "ended.docker.", Qtype: dns.TypeA, Ns: soon}},
		{Ended, test.Case{Qname: "ended.docker.", Qtype: dns.TypeMX, Ns: soon}},
		// the well ones, or all if none is
		{Success, test.Case{Qname: "web.shop.docker.", Qtype: dns.TypeA, Answer: []dns.RR{
			test.A("web.shop.docker. 30 IN A 172.17.0.3"), test.A("web.shop.docker. 30 IN A 172.17.0.4")}}},
		{Success, test.Case{Qname: "sick.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("sick.docker. 30 IN A 172.17.0.6")}}},
		// RFC 4592: the closest encloser's wildcard, at any depth, and not below a name that exists
		{Success, test.Case{Qname: "A.wild.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("A.wild.docker. 30 IN A 172.17.0.3")}}},
		{Success, test.Case{Qname: "a.b.wild.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("a.b.wild.docker. 30 IN A 172.17.0.3")}}},
		{NoData, test.Case{Qname: "a.wild.docker.", Qtype: dns.TypeMX, Ns: soa}},
		{Success, test.Case{Qname: "*.wild.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("*.wild.docker. 30 IN A 172.17.0.3")}}},
		{NameError, test.Case{Qname: "a.*.wild.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Ns: soa}},
		// the apex and the name server
		{Success, test.Case{Qname: "docker.", Qtype: dns.TypeSOA, Answer: []dns.RR{
			test.SOA("docker. 30 IN SOA ns.dns.docker. hostmaster.docker. 1 60 15 3600 7")}}},
		{Success, test.Case{Qname: "docker.", Qtype: dns.TypeNS, Answer: []dns.RR{test.NS("docker. 30 IN NS ns.dns.docker.")},
			Extra: []dns.RR{test.A("ns.dns.docker. 30 IN A 127.0.0.1")}}},
		{NoData, test.Case{Qname: "docker.", Qtype: dns.TypeA, Ns: soa}},
		{Success, test.Case{Qname: "ns.dns.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("ns.dns.docker. 30 IN A 127.0.0.1")}}},
		{NoData, test.Case{Qname: "ns.dns.docker.", Qtype: dns.TypeAAAA, Ns: soa}},
		// a zone within a zone
		{Success, test.Case{Qname: "web.sub.docker.", Qtype: dns.TypeA, Answer: []dns.RR{
			test.A("web.sub.docker. 30 IN A 10.1.0.2"), test.A("web.sub.docker. 30 IN A 172.17.0.2")}}},
		{NameError, test.Case{Qname: "nope.sub.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError,
			Ns: []dns.RR{test.SOA("sub.docker. 7 IN SOA ns.dns.sub.docker. hostmaster.sub.docker. 1 60 15 3600 7")}}},
		// addresses, in our reverse zone and elsewhere
		{Success, test.Case{Qname: "2.0.17.172.in-addr.arpa.", Qtype: dns.TypePTR, Answer: []dns.RR{
			test.PTR("2.0.17.172.in-addr.arpa. 30 IN PTR web.docker.")}}},
		{NoData, test.Case{Qname: "2.0.17.172.in-addr.arpa.", Qtype: dns.TypeA, Ns: soaRev}},
		{NameError, test.Case{Qname: "9.0.17.172.in-addr.arpa.", Qtype: dns.TypePTR, Rcode: dns.RcodeNameError, Ns: soaRev}},
		{EmptyNonTerminal, test.Case{Qname: "0.17.172.in-addr.arpa.", Qtype: dns.TypePTR, Ns: soaRev}},
		{Success, test.Case{Qname: "2.0.1.10.in-addr.arpa.", Qtype: dns.TypePTR, Answer: []dns.RR{
			test.PTR("2.0.1.10.in-addr.arpa. 30 IN PTR web.docker.")}}},
		{Success, test.Case{Qname: "6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.", Qtype: dns.TypePTR, Answer: []dns.RR{
			test.PTR("6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. 30 IN PTR v6.docker.")}}},
		{NotOurs, test.Case{Qname: "2.0.1.10.in-addr.arpa.", Qtype: dns.TypeA}},
		{NotOurs, test.Case{Qname: "9.0.1.10.in-addr.arpa.", Qtype: dns.TypePTR}},
		{NotOurs, test.Case{Qname: "example.org.", Qtype: dns.TypeA}},
		{NotOurs, test.Case{Qname: ".", Qtype: dns.TypeNS}},
		{NotOurs, test.Case{Qname: "xdocker.", Qtype: dns.TypeA}},
	} {
		check(t, c.Case, c.outcome, ask(s.Snapshot(), c.Case))
	}
}

func TestLookupRootZone(t *testing.T) {
	s := NewStore(Config{Zones: []string{"."}, TTL: 30, NegativeTTL: 7})
	s.Apply(add(entry("r", 0, "bridge=172.17.0.2", "rabbit_1./name", "front.shop.")))
	soa := []dns.RR{test.SOA(soaRoot)}
	for _, c := range []struct {
		outcome Outcome
		test.Case
	}{
		{Success, test.Case{Qname: "rabbit_1.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("rabbit_1. 30 IN A 172.17.0.2")}}},
		{NoData, test.Case{Qname: "rabbit_1.", Qtype: dns.TypeAAAA, Ns: soa}},
		{EmptyNonTerminal, test.Case{Qname: "shop.", Qtype: dns.TypeA, Ns: soa}},
		{NameError, test.Case{Qname: "example.org.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Ns: soa}},
		{NameError, test.Case{Qname: "ns.dns.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Ns: soa}},
		{NotOurs, test.Case{Qname: ".", Qtype: dns.TypeSOA}},
		{NotOurs, test.Case{Qname: ".", Qtype: dns.TypeNS}},
		{Success, test.Case{Qname: "2.0.17.172.in-addr.arpa.", Qtype: dns.TypePTR, Answer: []dns.RR{
			test.PTR("2.0.17.172.in-addr.arpa. 30 IN PTR rabbit_1.")}}},
		{NotOurs, test.Case{Qname: "17.172.in-addr.arpa.", Qtype: dns.TypeNS}},
		{NotOurs, test.Case{Qname: "3.0.17.172.in-addr.arpa.", Qtype: dns.TypePTR}},
	} {
		check(t, c.Case, c.outcome, ask(s.Snapshot(), c.Case))
	}
}

// TestStale checks that what is known of a host that is away, or may be there, is not kept for long.
func TestStale(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker."}, TTL: 30, NegativeTTL: 7})
	s.Apply(add(entry("web", 0, "bridge=172.17.0.2", "web.docker./name")))
	s.SetHost("", Away)
	for name, want := range map[string]uint32{"web.docker.": 5, "nope.docker.": 5} {
		r := lookup(s.Snapshot(), Query{Name: name, Spelled: name, Type: dns.TypeA})
		for _, rr := range append(r.Answer, r.Ns...) {
			if got := rr.Header().Ttl; got != want {
				t.Errorf("%s: TTL %d, want %d", name, got, want)
			}
		}
	}
}

// TestLookupGivesCopies changes all that a lookup gave, as plugins above us may.
func TestLookupGivesCopies(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker."}, TTL: 30, NegativeTTL: 7})
	s.Apply(add(entry("web", 0, "bridge=172.17.0.2 bridge=fd00::2", "web.docker./name")))
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeMX} {
		c := test.Case{Qname: "web.docker.", Qtype: qtype}
		before := ask(s.Snapshot(), c)
		want := dns.Copy(append(before.Answer, before.Ns...)[0]).String()
		for _, rr := range append(before.Answer, before.Ns...) {
			rr.Header().Ttl, rr.Header().Name = 0, "x."
			switch rr := rr.(type) {
			case *dns.A:
				rr.A[3] = 99
			case *dns.AAAA:
				rr.AAAA[15] = 99
			case *dns.SOA:
				rr.Serial = 0
			}
		}
		after := ask(s.Snapshot(), c)
		if got := append(after.Answer, after.Ns...)[0].String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
