package dockerdiscovery

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

func init() { clog.Discard() }

// errNext is what the next plugin returns, so that a test sees that it was asked.
var errNext = errors.New("next")

func next(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) {
	return dns.RcodeRefused, errNext
}

// newTestDocker returns a plugin that knows two containers without an engine.
func newTestDocker(zones ...string) *Docker { return testDockerOf(naming.Sources(), zones...) }

// testDockerOf is newTestDocker with names of these sources.
func testDockerOf(sources []naming.Source, zones ...string) *Docker {
	d := unsyncedDockerOf(sources, 0, zones...)
	d.sink(d.hosts[0]).Synced()
	d.sink(d.hosts[0]).Current(false, time.Now()) // so the TTLs are cut
	return d
}

// unsyncedDocker is newTestDocker before the first reconciliation.
func unsyncedDocker(hold time.Duration, zones ...string) *Docker {
	return unsyncedDockerOf(naming.Sources(), hold, zones...)
}

// unsyncedDockerOf is unsyncedDocker with names of these sources.
func unsyncedDockerOf(sources []naming.Source, hold time.Duration, zones ...string) *Docker {
	cfg := config{endpoints: make([]endpoint, 1), sources: sources, hold: hold, startup: defaultStartup, forget: defaultForget}
	cfg.zone = zone.Config{Zones: zones, TTL: 30, NegativeTTL: 7}
	d := newDocker(cfg, &instance{})
	d.block.keys = []string{"docker.:53"}
	d.Next = plugin.HandlerFunc(next)
	d.sink(d.hosts[0]).Apply([]container.Change{
		{ID: "0123456789abcdef", Container: &container.Container{
			ID: "0123456789abcdef", Name: "web", Hostname: "www", Created: time.Unix(1, 0),
			Labels: map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "front"},
			Endpoints: []container.Endpoint{{Network: "net", Aliases: []string{"api"}, Addrs: []netip.Addr{
				netip.MustParseAddr("172.17.0.2"), netip.MustParseAddr("fd00::2")}}},
		}},
		{ID: "abcdef0123456789", Container: &container.Container{
			ID: "abcdef0123456789", Name: "rabbit_1", Hostname: "web", Created: time.Unix(2, 0),
			Endpoints: []container.Endpoint{{Network: "net", Addrs: []netip.Addr{netip.MustParseAddr("172.17.0.3")}}},
		}},
	})
	return d
}

const (
	soaDocker = "docker. 5 IN SOA ns.dns.docker. hostmaster.docker. 1 60 15 3600 7"
	soaRoot   = ". 5 IN SOA ns.dns. hostmaster. 1 60 15 3600 7"
)

// toNext marks a case whose query goes on to the next plugin.
const toNext = -1

type handlerCase struct {
	test.Case
	Class  uint16
	Opcode int
	From   string // the asker's address; the host's if empty
}

// serve asks the plugin and compares: the message, or that the query has gone on or
// that there is an rcode and no message.
func serve(t *testing.T, d *Docker, c handlerCase) {
	t.Helper()
	m := c.Msg()
	m.Opcode = c.Opcode
	if c.Class != 0 {
		m.Question[0].Qclass = c.Class
	}
	rec := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: cmp.Or(c.From, "127.0.0.1")})
	rcode, err := d.ServeDNS(t.Context(), rec, m)
	name := c.Qname + " " + dns.TypeToString[c.Qtype]
	switch {
	case c.Rcode == toNext:
		if !errors.Is(err, errNext) || rcode != dns.RcodeRefused || rec.Msg != nil {
			t.Errorf("%s: did not go on: rcode %d, error %v, message %v", name, rcode, err, rec.Msg)
		}
	case err != nil:
		t.Errorf("%s: %v", name, err)
	case !plugin.ClientWrite(c.Rcode):
		if rcode != c.Rcode || rec.Msg != nil {
			t.Errorf("%s: rcode %d, message %v, want %s and no message", name, rcode, rec.Msg, dns.RcodeToString[c.Rcode])
		}
	case rec.Msg == nil || !plugin.ClientWrite(rcode):
		t.Errorf("%s: rcode %d, message %v", name, rcode, rec.Msg)
	default:
		for _, rr := range rec.Msg.Ns {
			rr.(*dns.SOA).Serial = 1
		}
		if err := test.SortAndCheck(rec.Msg, c.Case); err != nil {
			t.Errorf("%s: %v\n%s", name, err, rec.Msg)
		}
		if !rec.Msg.Authoritative || rec.Msg.Id != m.Id || !rec.Msg.Response || rec.Msg.Question[0] != m.Question[0] {
			t.Errorf("%s: the answer does not fit the question:\n%s", name, rec.Msg)
		}
	}
}

// The TTL is 5 and not 30 in these tables: without an engine the plugin is stale.
func TestServeDNS(t *testing.T) {
	d := newTestDocker("docker.")
	soa := []dns.RR{test.SOA(soaDocker)}
	for _, c := range []handlerCase{
		{Case: test.Case{Qname: "web.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("web.docker. 5 IN A 172.17.0.2")}}},
		{Case: test.Case{Qname: "wEb.docKer.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("wEb.docKer. 5 IN A 172.17.0.2")}}},
		{Case: test.Case{Qname: "web.docker.", Qtype: dns.TypeAAAA, Answer: []dns.RR{test.AAAA("web.docker. 5 IN AAAA fd00::2")}}},
		{Case: test.Case{Qname: "0123456789ab.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("0123456789ab.docker. 5 IN A 172.17.0.2")}}},
		{Case: test.Case{Qname: "www.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("www.docker. 5 IN A 172.17.0.2")}}},
		{Case: test.Case{Qname: "api.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("api.docker. 5 IN A 172.17.0.2")}}},
		{Case: test.Case{Qname: "api.net.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("api.net.docker. 5 IN A 172.17.0.2")}}},
		{Case: test.Case{Qname: "front.shop.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("front.shop.docker. 5 IN A 172.17.0.2")}}},
		{Case: test.Case{Qname: "rabbit-1.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("rabbit-1.docker. 5 IN A 172.17.0.3")}}},
		{Case: test.Case{Qname: "rabbit_1.docker.", Qtype: dns.TypeAAAA, Ns: soa}},
		{Case: test.Case{Qname: "web.docker.", Qtype: dns.TypeHTTPS, Ns: soa}},
		{Case: test.Case{Qname: "web.docker.", Qtype: dns.TypeMX, Ns: soa}},
		{Case: test.Case{Qname: "shop.docker.", Qtype: dns.TypeA, Ns: soa}},
		{Case: test.Case{Qname: "nope.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Ns: soa}},
		{Case: test.Case{Qname: "docker.", Qtype: dns.TypeNS, Answer: []dns.RR{test.NS("docker. 5 IN NS ns.dns.docker.")},
			Extra: []dns.RR{test.A("ns.dns.docker. 5 IN A 127.0.0.1")}}},
		{Case: test.Case{Qname: "2.0.17.172.in-addr.arpa.", Qtype: dns.TypePTR, Answer: []dns.RR{
			test.PTR("2.0.17.172.in-addr.arpa. 5 IN PTR web.docker.")}}},
		{Case: test.Case{Qname: "9.0.17.172.in-addr.arpa.", Qtype: dns.TypePTR, Rcode: toNext}},
		{Case: test.Case{Qname: "2.0.17.172.in-addr.arpa.", Qtype: dns.TypeTXT, Rcode: toNext}},
		{Case: test.Case{Qname: "example.org.", Qtype: dns.TypeA, Rcode: toNext}},
		{Case: test.Case{Qname: "docker.", Qtype: dns.TypeAXFR, Rcode: dns.RcodeRefused}},
		{Case: test.Case{Qname: "doCker.", Qtype: dns.TypeIXFR, Rcode: dns.RcodeRefused}},
		{Case: test.Case{Qname: "web.docker.", Qtype: dns.TypeAXFR, Rcode: dns.RcodeRefused}},
		{Case: test.Case{Qname: "example.org.", Qtype: dns.TypeAXFR, Rcode: toNext}},
		{Case: test.Case{Qname: "docker.", Qtype: dns.TypeSOA, Rcode: toNext}, Opcode: dns.OpcodeNotify},
		{Case: test.Case{Qname: "docker.", Qtype: dns.TypeSOA, Rcode: toNext}, Opcode: dns.OpcodeUpdate},
		{Case: test.Case{Qname: "web.docker.", Qtype: dns.TypeA, Rcode: toNext}, Opcode: dns.OpcodeStatus},
		{Case: test.Case{Qname: "docker.", Qtype: dns.TypeAXFR, Rcode: toNext}, Opcode: dns.OpcodeNotify},
		{Case: test.Case{Qname: "web.docker.", Qtype: dns.TypeA, Rcode: toNext}, Class: dns.ClassCHAOS},
		{Case: test.Case{Qname: "web.docker.", Qtype: dns.TypeA, Rcode: toNext}, Class: dns.ClassANY},
	} {
		serve(t, d, c)
	}

	d.transfers = true
	for _, qtype := range []uint16{dns.TypeAXFR, dns.TypeIXFR} {
		serve(t, d, handlerCase{Case: test.Case{Qname: "docker.", Qtype: qtype, Rcode: toNext}})
	}
	d.recursion, d.maintained = true, true
	serve(t, d, handlerCase{Case: test.Case{Qname: "docker.", Qtype: dns.TypeSOA, Rcode: toNext}, Opcode: dns.OpcodeNotify})
	d.maintained = false // but forward stands below
	serve(t, d, handlerCase{Case: test.Case{Qname: "web.Docker.", Qtype: dns.TypeSOA, Rcode: dns.RcodeNotImplemented}, Opcode: dns.OpcodeNotify})
	serve(t, d, handlerCase{Case: test.Case{Qname: "example.org.", Qtype: dns.TypeSOA, Rcode: toNext}, Opcode: dns.OpcodeNotify})
	d.Next = nil // nobody else to ask
	for _, opcode := range []int{dns.OpcodeNotify, dns.OpcodeUpdate} {
		serve(t, d, handlerCase{Case: test.Case{Qname: "docker.", Qtype: dns.TypeSOA, Rcode: dns.RcodeNotImplemented}, Opcode: opcode})
	}
}

func TestFallthrough(t *testing.T) {
	d := newTestDocker("docker.")
	d.Fall.SetZonesFromArgs([]string{"lab.docker"})
	soa := []dns.RR{test.SOA(soaDocker)}
	for _, c := range []handlerCase{
		{Case: test.Case{Qname: "nope.lab.docker.", Qtype: dns.TypeA, Rcode: toNext}},
		{Case: test.Case{Qname: "nope.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Ns: soa}},
	} {
		serve(t, d, c)
	}
	d.Fall.SetZonesFromArgs(nil)
	for _, c := range []handlerCase{
		{Case: test.Case{Qname: "nope.docker.", Qtype: dns.TypeA, Rcode: toNext}},
		// never by type, and not what exists
		{Case: test.Case{Qname: "web.docker.", Qtype: dns.TypeMX, Ns: soa}},
		{Case: test.Case{Qname: "shop.docker.", Qtype: dns.TypeA, Ns: soa}},
	} {
		serve(t, d, c)
	}
}

func TestRootZone(t *testing.T) {
	d := unsyncedDocker(time.Hour, ".")
	d.sink(d.hosts[0]).Synced()
	d.sink(d.hosts[0]).Current(false, time.Now())
	t.Cleanup(d.catalog.Close)
	const member, stranger, lan = "172.17.0.3", "172.18.0.3", "192.0.2.9"
	d.sink(d.hosts[0]).Apply([]container.Change{
		{ID: "c1", Container: &container.Container{ID: "c1", Name: "example.org", Hostname: "mail.example.com", Endpoints: []container.Endpoint{
			{Network: "other", Aliases: []string{"github.com"}, Addrs: []netip.Addr{netip.MustParseAddr(stranger)}}}}},
		{ID: "c2", Container: &container.Container{ID: "c2", Name: "ended", Labels: map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "ended"},
			Endpoints: []container.Endpoint{{Network: "net", Aliases: []string{"gone"}}}}},
	})
	d.sink(d.hosts[0]).Apply([]container.Change{{ID: "c2"}})
	soa := []dns.RR{test.SOA(soaRoot)}
	soon := []dns.RR{test.SOA(". 1 IN SOA ns.dns. hostmaster. 1 60 15 3600 1")}
	cases := []handlerCase{
		{Case: test.Case{Qname: "rabbit_1.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("rabbit_1. 5 IN A 172.17.0.3")}}},
		{Case: test.Case{Qname: "abcdef012345.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("abcdef012345. 5 IN A 172.17.0.3")}}},
		{Case: test.Case{Qname: "rabbit_1.", Qtype: dns.TypeAAAA, Ns: soa}},
		{Case: test.Case{Qname: "front.shop.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("front.shop. 5 IN A 172.17.0.2")}}},
		{Case: test.Case{Qname: "shop.", Qtype: dns.TypeA, Rcode: toNext}},
		{Case: test.Case{Qname: "example.org.", Qtype: dns.TypeA, Rcode: toNext}},
		{Case: test.Case{Qname: "mail.example.com.", Qtype: dns.TypeA, Rcode: toNext}},
		{Case: test.Case{Qname: "github.com.", Qtype: dns.TypeA, Rcode: toNext}},
		{Case: test.Case{Qname: "example.org.", Qtype: dns.TypeA, Rcode: toNext}, From: stranger},
		{Case: test.Case{Qname: "front.shop.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("front.shop. 5 IN A 172.17.0.2")}}, From: member},
		{Case: test.Case{Qname: "front.shop.", Qtype: dns.TypeMX, Ns: soa}, From: member},
		{Case: test.Case{Qname: "front.shop.", Qtype: dns.TypeA, Rcode: toNext}, From: stranger},
		{Case: test.Case{Qname: "front.shop.", Qtype: dns.TypeMX, Rcode: toNext}, From: stranger},
		{Case: test.Case{Qname: "front.shop.", Qtype: dns.TypeA, Rcode: toNext}, From: lan},
		{Case: test.Case{Qname: "front.shop.", Qtype: dns.TypeMX, Rcode: toNext}, From: lan},
		{Case: test.Case{Qname: "api.net.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("api.net. 5 IN A 172.17.0.2")}}},
		{Case: test.Case{Qname: "api.net.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("api.net. 5 IN A 172.17.0.2")}}, From: member},
		{Case: test.Case{Qname: "api.net.", Qtype: dns.TypeA, Rcode: toNext}, From: stranger},
		{Case: test.Case{Qname: "api.net.", Qtype: dns.TypeA, Rcode: toNext}, From: lan},
		// held for those who had it
		{Case: test.Case{Qname: "ended.shop.", Qtype: dns.TypeA, Ns: soon}, From: member},
		{Case: test.Case{Qname: "gone.net.", Qtype: dns.TypeA, Ns: soon}, From: member},
		{Case: test.Case{Qname: "ended.shop.", Qtype: dns.TypeA, Rcode: toNext}, From: stranger},
		{Case: test.Case{Qname: "gone.net.", Qtype: dns.TypeA, Rcode: toNext}, From: lan},
		// bare names are all who ask us share
		{Case: test.Case{Qname: "web.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("web. 5 IN A 172.17.0.2")}}, From: member},
		{Case: test.Case{Qname: "web.", Qtype: dns.TypeA, Ns: soa}, From: stranger},
		{Case: test.Case{Qname: "web.", Qtype: dns.TypeA, Ns: soa}, From: lan},
		{Case: test.Case{Qname: ".", Qtype: dns.TypeNS, Rcode: toNext}},
		{Case: test.Case{Qname: ".", Qtype: dns.TypeSOA, Rcode: toNext}},
		{Case: test.Case{Qname: ".", Qtype: dns.TypeAXFR, Rcode: toNext}},
		{Case: test.Case{Qname: "example.org.", Qtype: dns.TypeAXFR, Rcode: toNext}},
		{Case: test.Case{Qname: "2.0.17.172.in-addr.arpa.", Qtype: dns.TypePTR, Answer: []dns.RR{
			test.PTR("2.0.17.172.in-addr.arpa. 5 IN PTR web.")}}},
	}
	for _, c := range cases {
		serve(t, d, c)
	}
	d.Next = nil // nobody else to ask
	serve(t, d, handlerCase{Case: test.Case{Qname: "example.org.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Ns: soa}})
}

// TestReverseByOrderOfNames checks that the Corefile says what the reverse look-up of an address tells: clusters whose nodes know
// themselves by their host names ask for these so.
func TestReverseByOrderOfNames(t *testing.T) {
	for want, sources := range map[string][]naming.Source{
		"web.docker.":          {naming.Container, naming.Hostname, naming.ID},
		"www.docker.":          {naming.Hostname, naming.Container, naming.ID},
		"0123456789ab.docker.": {naming.ID, naming.Hostname, naming.Container},
	} {
		d := testDockerOf(sources, "docker.", "17.172.in-addr.arpa.")
		serve(t, d, handlerCase{Case: test.Case{Qname: "2.0.17.172.in-addr.arpa.", Qtype: dns.TypePTR, Answer: []dns.RR{
			test.PTR("2.0.17.172.in-addr.arpa. 5 IN PTR " + want)}}})
	}
}

// TestBeforeFirstReconciliation checks that nothing is denied that may exist.
func TestBeforeFirstReconciliation(t *testing.T) {
	d := unsyncedDocker(0, "docker.", "17.172.in-addr.arpa.")
	d.sink(d.hosts[0]).Apply([]container.Change{{ID: "c1", Container: &container.Container{ID: "c1", Name: "c1", Labels: map[string]string{
		"coredns.dockerdiscovery.records": "x.docker. CNAME nope.docker."}}}})
	cases := []handlerCase{
		{Case: test.Case{Qname: "x.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeServerFailure}},
		{Case: test.Case{Qname: "web.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.A("web.docker. 5 IN A 172.17.0.2")}}},
		{Case: test.Case{Qname: "nope.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeServerFailure}},
		{Case: test.Case{Qname: "shop.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeServerFailure}},
		{Case: test.Case{Qname: "9.0.17.172.in-addr.arpa.", Qtype: dns.TypePTR, Rcode: dns.RcodeServerFailure}},
		{Case: test.Case{Qname: "example.org.", Qtype: dns.TypeA, Rcode: toNext}},
	}
	for _, c := range cases {
		serve(t, d, c)
	}
	if d.Ready() {
		t.Error("ready before the first reconciliation")
	}
	d.Fall.SetZonesFromArgs(nil)
	serve(t, d, handlerCase{Case: test.Case{Qname: "nope.docker.", Qtype: dns.TypeA, Rcode: toNext}})
	d.sink(d.hosts[0]).Synced()
	if !d.Ready() {
		t.Error("not ready after the first reconciliation")
	}
}

func TestLostAndSkipped(t *testing.T) {
	d := newTestDocker("docker.")
	if got := d.store.Snapshot().Lost()[d.hosts[0].id]; got != 1 { // rabbit_1's host name web
		t.Errorf("%d lost claims, want 1", got)
	}
	c := &container.Container{ID: "ffffffffffffffff", Name: "bad..name"}
	for range 2 {
		d.sink(d.hosts[0]).Apply([]container.Change{{ID: c.ID, Container: c}})
		if got := d.catalog.Skipped()[d.hosts[0].id]; got != 1 {
			t.Errorf("%d skipped names, want 1", got)
		}
	}
	d.sink(d.hosts[0]).Apply([]container.Change{{ID: c.ID}})
	if got := d.catalog.Skipped()[d.hosts[0].id]; got != 0 {
		t.Errorf("%d skipped names after the container has gone, want none", got)
	}
}

// FuzzServeDNS sends any message. The answer must be one to the question, or the query
// goes on.
func FuzzServeDNS(f *testing.F) {
	for _, name := range []string{"web.docker.", "nope.docker.", ".", "example.org.", "2.0.17.172.in-addr.arpa.", "a.b.c.d.docker."} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeANY, dns.TypeAXFR, dns.TypeSOA} {
			b, err := new(dns.Msg).SetQuestion(name, qtype).Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Add(make([]byte, 12))
	d, root := newTestDocker("docker.", "17.172.in-addr.arpa."), newTestDocker(".")
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(dns.Msg)
		if m.Unpack(b) != nil {
			return // CoreDNS drops it
		}
		for _, d := range []*Docker{d, root} {
			rec := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: "127.0.0.1"})
			rcode, err := d.ServeDNS(t.Context(), rec, m)
			if errors.Is(err, errNext) && rec.Msg == nil {
				continue
			}
			if qtype := m.Question[0].Qtype; rcode == dns.RcodeRefused && rec.Msg == nil && (qtype == dns.TypeAXFR || qtype == dns.TypeIXFR) {
				continue
			}
			if err != nil || rcode != dns.RcodeSuccess || rec.Msg == nil {
				t.Fatalf("rcode %d, error %v, message %v", rcode, err, rec.Msg)
			}
			if _, err := rec.Msg.Pack(); err != nil {
				t.Fatalf("the answer can't go over the wire: %v\n%s", err, rec.Msg)
			}
			if rec.Msg.Id != m.Id || len(rec.Msg.Question) != 1 || rec.Msg.Question[0] != m.Question[0] {
				t.Fatalf("the answer does not fit the question:\n%s", rec.Msg)
			}
			for _, rr := range rec.Msg.Answer {
				if q := m.Question[0]; rr.Header().Name != q.Name || rr.Header().Rrtype != q.Qtype && q.Qtype != dns.TypeANY {
					t.Fatalf("the answer does not fit the question:\n%s", rec.Msg)
				}
			}
		}
	})
}
