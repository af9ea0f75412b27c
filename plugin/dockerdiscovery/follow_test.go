package dockerdiscovery

import (
	"fmt"
	"strings"
	"testing"

	_ "github.com/coredns/coredns/plugin/template"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

// TestFollow checks where CNAMEs lead that are in labels: what no container has is for others where we share
// the zone with them, and is denied by us where we don't.
func TestFollow(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "web", Labels: map[string]string{
		"coredns.dockerdiscovery.records": strings.Join([]string{
			"cdn. CNAME www.example.org.",
			"tree. CNAME org.",
			"gone. CNAME dead.example.org.",
			"self. CNAME web.",
			"intranet. CNAME wiki.",
			"cdn.docker. CNAME www.lab.docker.",
			"gone.docker. CNAME dead.lab.docker.",
			"nope.docker. CNAME none.docker.",
			"chain.docker. CNAME cdn.docker.",
			"out.docker. CNAME dead.example.org.",
		}, "\n"),
	}})
	port := freePort(t)
	inprocess.Serve(t, fmt.Sprintf(`.:%s {
		docker . docker. {
			endpoint %s
			fallthrough lab.docker
		}
		template IN A example.org lab.docker wiki {
			match ^(www[.]|wiki)
			answer "{{.Name}} 60 IN A 192.0.2.80"
			fallthrough
		}
		template IN ANY . {
			match ^dead[.]
			rcode NXDOMAIN
			authority "example.org. 60 IN SOA ns.example.org. host.example.org. 1 2 3 4 60"
			fallthrough
		}
		template IN ANY . {
			authority ". 60 IN SOA a.root. host.root. 1 2 3 4 60"
		}
	}`, port, e.Host()))
	theirs, root := test.SOA("example.org. 60 IN SOA ns.example.org. host.example.org. 1 2 3 4 60"), test.SOA(". 60 IN SOA a.root. host.root. 1 2 3 4 60")
	for _, c := range []test.Case{
		{Qname: "cdn.", Qtype: dns.TypeA, Answer: []dns.RR{test.CNAME("cdn. 5 IN CNAME www.example.org."), test.A("www.example.org. 60 IN A 192.0.2.80")}},
		{Qname: "cdn.", Qtype: dns.TypeMX, Answer: []dns.RR{test.CNAME("cdn. 5 IN CNAME www.example.org.")}, Ns: []dns.RR{root}},
		{Qname: "intranet.", Qtype: dns.TypeA, Answer: []dns.RR{test.CNAME("intranet. 5 IN CNAME wiki."), test.A("wiki. 60 IN A 192.0.2.80")}},
		{Qname: "gone.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Answer: []dns.RR{test.CNAME("gone. 5 IN CNAME dead.example.org.")}, Ns: []dns.RR{theirs}},
		{Qname: "self.", Qtype: dns.TypeMX, Answer: []dns.RR{test.CNAME("self. 5 IN CNAME web.")}, Ns: []dns.RR{test.SOA(soaRoot)}},
		{Qname: "tree.", Qtype: dns.TypeA, Answer: []dns.RR{test.CNAME("tree. 5 IN CNAME org.")}, Ns: []dns.RR{root}},
		{Qname: "cdn.docker.", Qtype: dns.TypeA, Answer: []dns.RR{test.CNAME("cdn.docker. 5 IN CNAME www.lab.docker."), test.A("www.lab.docker. 60 IN A 192.0.2.80")}},
		{Qname: "chain.docker.", Qtype: dns.TypeA, Answer: []dns.RR{
			test.CNAME("cdn.docker. 5 IN CNAME www.lab.docker."), test.CNAME("chain.docker. 5 IN CNAME cdn.docker."), test.A("www.lab.docker. 60 IN A 192.0.2.80")}},
		{Qname: "gone.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Answer: []dns.RR{test.CNAME("gone.docker. 5 IN CNAME dead.lab.docker.")}, Ns: []dns.RR{theirs}},
		{Qname: "nope.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Answer: []dns.RR{test.CNAME("nope.docker. 5 IN CNAME none.docker.")}, Ns: []dns.RR{test.SOA(soaDocker)}},
		{Qname: "out.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError, Answer: []dns.RR{test.CNAME("out.docker. 5 IN CNAME dead.example.org.")}, Ns: []dns.RR{theirs}},
	} {
		m, _, err := (&dns.Client{}).Exchange(c.Msg(), "127.0.0.1:"+port)
		if err != nil {
			t.Fatalf("%s: %v", c.Qname, err)
		}
		for _, rr := range m.Ns { // ours grow
			if soa := rr.(*dns.SOA); soa.Ns != "ns.example.org." {
				soa.Serial = 1
			}
		}
		if err := test.SortAndCheck(m, c); err != nil {
			t.Errorf("%s %s: %v\n%s", c.Qname, dns.TypeToString[c.Qtype], err, m)
		}
	}
}
