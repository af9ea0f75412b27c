package dockerdiscovery

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/file"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

var (
	seeds = flag.Int("differential.seeds", 60, "random sets of containers to compare with CoreDNS's file plugin")
	each  = flag.Int("differential.queries", 500, "random queries for each")
)

// TestDifferential puts the same records into this plugin and into CoreDNS's file
// plugin, by a zone transfer, and asks both the same random questions. Rcode, answer and
// authority must be the same, apart from what explained lists.
func TestDifferential(t *testing.T) {
	reasons := map[string]int{}
	for seed := range *seeds {
		differ(t, uint64(seed), *each, reasons)
	}
	t.Logf("%d queries; explained differences: %v", *seeds**each, reasons)
}

// FuzzDifferential is the same with seeds that the fuzzer chooses.
func FuzzDifferential(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { differ(t, seed, 20, map[string]int{}) })
}

func differ(t *testing.T, seed uint64, queries int, reasons map[string]int) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	d := emptyDocker(nil)
	d.set(randomContainers(rnd)...)
	zoneText, names := dump(t, d, "docker.")
	parsed, err := file.Parse(strings.NewReader(zoneText), "docker.", "differential", 0)
	if err != nil {
		t.Fatalf("seed %d: the file plugin refuses the zone: %v\n%s", seed, err, zoneText)
	}
	peer := file.File{Zones: file.Zones{Z: map[string]*file.Zone{"docker.": parsed}, Names: []string{"docker."}}}
	for range queries {
		qname, qtype := randomQuery(rnd, names)
		m := new(dns.Msg).SetQuestion(qname, qtype)
		w := &test.ResponseWriter{RemoteIP: fromHost}
		ours, theirs := dnstest.NewRecorder(w), dnstest.NewRecorder(w)
		if _, err := d.ServeDNS(context.Background(), ours, m); err != nil || ours.Msg == nil {
			t.Fatalf("seed %d: %s %s: %v", seed, qname, dns.TypeToString[qtype], err)
		}
		if rcode, err := peer.ServeDNS(context.Background(), theirs, m); theirs.Msg == nil {
			theirs.Msg = new(dns.Msg).SetRcode(m, rcode)
			if err != nil {
				t.Fatalf("seed %d: %s %s: the file plugin: %v", seed, qname, dns.TypeToString[qtype], err)
			}
		}
		if canonical(ours.Msg) == canonical(theirs.Msg) {
			continue
		}
		reason := explained(ours.Msg, theirs.Msg, names)
		if reason == "" {
			t.Fatalf("seed %d: %s %s:\nours:\n%s\nfile's:\n%s\nzone:\n%s", seed, qname, dns.TypeToString[qtype], ours.Msg, theirs.Msg, zoneText)
		}
		reasons[reason]++
	}
}

// emptyNonTerminal reports whether names stand below the name, but none at it.
func emptyNonTerminal(name string, names []string) bool {
	name = strings.ToLower(name)
	return !slices.Contains(names, name) && slices.ContainsFunc(names, func(n string) bool { return dns.IsSubDomain(name, n) })
}

// explained returns why the answers may differ, "" if they may not. The names are those of
// the zone's records.
func explained(ours, theirs *dns.Msg, names []string) string {
	chain := len(ours.Answer) > 0 && ours.Answer[0].Header().Rrtype == dns.TypeCNAME
	end := chain && ours.Answer[len(ours.Answer)-1].Header().Rrtype == dns.TypeCNAME
	positive := ours.Rcode == theirs.Rcode && len(ours.Answer) > 0 && answers(ours) == answers(theirs)
	switch {
	case positive && len(ours.Ns) == 0 && len(theirs.Ns) == 1 && theirs.Ns[0].Header().Rrtype == dns.TypeNS:
		return "NS in the authority of a positive answer is optional (RFC 1034 §4.3.2, 3a)"
	case ours.Question[0].Qtype == dns.TypeANY:
		return "ANY gets all records here and none there (RFC 8482 leaves it open)"
	case end && positive && len(ours.Ns) == 1 && ours.Ns[0].Header().Rrtype == dns.TypeSOA:
		return "a CNAME to a name without the type is NODATA and has the SOA (RFC 2308 §2.2)"
	case len(ours.Answer) == 0 && ours.Rcode == dns.RcodeSuccess && emptyNonTerminal(ours.Question[0].Name, names):
		return "a wildcard does not match an empty non-terminal, which exists (RFC 4592 §2.2.2)"
	case chain && theirs.Rcode == dns.RcodeServerFailure:
		return "a CNAME to what the file plugin has no node for is left to its upstream, which has no server here; we answer by wildcard or NXDOMAIN (RFC 1034 §4.3.2, RFC 6604)"
	case end && theirs.Rcode == dns.RcodeSuccess && strings.HasPrefix(answers(theirs), answers(ours)):
		return "a loop of CNAMEs is given once round here, nine times there"
	}
	return ""
}

func answers(m *dns.Msg) string { return sortedText(m.Answer) }

// canonical writes what is compared: rcode, answer and authority, names in lower case.
func canonical(m *dns.Msg) string {
	return fmt.Sprintf("%d\n%s\n%s", m.Rcode, sortedText(m.Answer), sortedText(m.Ns))
}

func sortedText(rrs []dns.RR) string {
	var out []string
	for _, rr := range rrs {
		rr = dns.Copy(rr)
		rr.Header().Name = strings.ToLower(rr.Header().Name)
		if soa, ok := rr.(*dns.SOA); ok {
			soa.Hdr.Ttl = 0 // the least of two in a negative answer, RFC 2308 §5; CoreDNS's cache does it for file
		}
		out = append(out, rr.String())
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "\n")
}

// dump transfers the zone, and returns its text and owner names.
func dump(t *testing.T, d *Docker, apex string) (text string, names []string) {
	ch, err := d.Transfer(apex, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	soas := 0
	for rrs := range ch {
		for _, rr := range rrs {
			if rr.Header().Rrtype == dns.TypeSOA {
				if soas++; soas > 1 {
					continue
				}
			}
			fmt.Fprintln(&b, rr)
			names = append(names, rr.Header().Name)
		}
	}
	return b.String(), names
}

// word is one of few short labels, so that names meet.
func word(rnd *rand.Rand) string { return string(rune('a' + rnd.IntN(6))) }

func randomContainers(rnd *rand.Rand) []*container.Container {
	var all []*container.Container
	project := word(rnd) // of several, names would be ambiguous: they exist without records, which a transfer does not tell
	for i := range 1 + rnd.IntN(8) {
		c := facts(fmt.Sprint(word(rnd), i), fmt.Sprintf("a=10.1.0.%d", i+2))
		if rnd.IntN(2) == 0 {
			c = facts(c.Name, fmt.Sprintf("a=10.1.0.%d b=10.2.0.%d", i+2, i+2))
		}
		c.Created = time.Unix(int64(rnd.IntN(4)), 0)
		if rnd.IntN(2) == 0 {
			c.Name = word(rnd)
		}
		c.Hostname = word(rnd) + strings.Repeat("."+word(rnd), rnd.IntN(3))
		c.Endpoints[0].Aliases = []string{word(rnd), word(rnd) + "_" + word(rnd)}
		if rnd.IntN(3) == 0 {
			c.Endpoints[0].Addrs = append(c.Endpoints[0].Addrs, netip.MustParseAddr(fmt.Sprintf("fd00::%d", i+2)))
		}
		c.Labels = map[string]string{
			"com.docker.compose.project": project, "com.docker.compose.service": word(rnd),
			"coredns.dockerdiscovery.host":    randomHosts(rnd),
			"coredns.dockerdiscovery.records": randomRecords(rnd),
		}
		all = append(all, c)
	}
	return all
}

func randomHosts(rnd *rand.Rand) string {
	var hosts []string
	for range rnd.IntN(3) {
		host := word(rnd) + "." + word(rnd)
		if rnd.IntN(2) == 0 {
			host = "*." + host[2*rnd.IntN(2):]
		}
		hosts = append(hosts, host)
	}
	return strings.Join(hosts, ",")
}

func randomRecords(rnd *rand.Rand) string {
	data := []string{
		"TXT hello", "TXT " + word(rnd), "MX 10 %s", "SRV 0 0 80 %s", "CAA 0 issue ca.example", "A 10.9.0.1", "AAAA fd09::1",
		"CNAME %s", "CNAME %s", "HTTPS 1 . alpn=h2", "SVCB 1 %s port=53", "NAPTR 1 1 U SIP !x!y! .", "SSHFP 1 1 aabb",
	}
	var lines []string
	for range rnd.IntN(5) {
		owner := "@"
		switch rnd.IntN(4) {
		case 0:
			owner = word(rnd)
		case 1:
			owner = "*." + word(rnd)
		case 2:
			owner = word(rnd) + "." + word(rnd) + ".docker."
		}
		rdata := data[rnd.IntN(len(data))]
		if strings.Contains(rdata, "%s") {
			target := word(rnd) + ".docker."
			if rnd.IntN(3) == 0 {
				target = word(rnd) + "." + target
			}
			rdata = fmt.Sprintf(rdata, target)
		}
		lines = append(lines, owner+" "+rdata)
	}
	return strings.Join(lines, "\n")
}

// randomQuery asks for a name of the zone, or above, below or beside one, in any case and
// of any type.
func randomQuery(rnd *rand.Rand, names []string) (string, uint16) {
	name := names[rnd.IntN(len(names))]
	switch rnd.IntN(6) {
	case 0:
		name = word(rnd) + "." + name
	case 1:
		name = word(rnd) + "." + word(rnd) + "." + name
	case 2:
		if i, end := dns.NextLabel(name, 0); !end {
			name = name[i:]
		}
	case 3:
		name = word(rnd) + ".docker."
	}
	if name == "ns.dns.docker." || !dns.IsSubDomain("docker.", name) {
		name = "docker." // our name server's address is the one asked, the transfer's is not
	}
	if rnd.IntN(3) == 0 {
		name = strings.ToUpper(name)
	}
	types := []uint16{
		dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeSRV, dns.TypeCNAME, dns.TypeCAA, dns.TypeHTTPS, dns.TypeSVCB,
		dns.TypeNAPTR, dns.TypeSSHFP, dns.TypePTR, dns.TypeSOA, dns.TypeNS, dns.TypeDS, dns.TypeANY, dns.TypeDNSKEY, 65280,
	}
	return name, types[rnd.IntN(len(types))]
}
