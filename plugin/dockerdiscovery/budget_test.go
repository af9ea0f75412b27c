package dockerdiscovery

import (
	"context"
	"fmt"
	"testing"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
)

// TestAllocations keeps the cost of an answer from creeping up: the number of allocations is the same
// everywhere and at any time.
func TestAllocations(t *testing.T) {
	d := emptyDocker(nil)
	for i := range 300 {
		d.set(facts(fmt.Sprintf("c%03d", i), fmt.Sprintf("a=10.1.%d.%d", i/250, i%250+2)))
	}
	for _, c := range []struct {
		name, from, question string
		qtype                uint16
		want                 string
		most                 float64 // two of them the test's writer's
	}{
		{"hit", fromHost, "c007.docker.", dns.TypeA, "10.1.0.9", 4},
		{"hit for a container", "10.1.0.3", "c007.docker.", dns.TypeA, "10.1.0.9", 4},
		{"miss", fromHost, "nope.docker.", dns.TypeA, "NXDOMAIN", 4},
		{"miss from elsewhere", fromLAN, "nope.docker.", dns.TypeA, "NXDOMAIN", 4},
		{"no data", fromHost, "c007.docker.", dns.TypeAAAA, "none", 4},
		{"reverse", fromHost, "9.0.1.10.in-addr.arpa.", dns.TypePTR, "c007.docker.", 4},
	} {
		if got := dig(t, d, c.from, c.question, c.qtype); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
		w := &test.ResponseWriter{RemoteIP: c.from}
		m := new(dns.Msg).SetQuestion(c.question, c.qtype)
		ctx := context.Background()
		for _, edns := range []bool{false, true} {
			if edns && c.name == "miss" { // which is explained to the host
				continue
			}
			if edns {
				m.SetEdns0(1232, false)
			}
			got := testing.AllocsPerRun(1000, func() {
				if rcode, err := d.ServeDNS(ctx, w, m); err != nil || rcode != dns.RcodeSuccess {
					t.Fatal(rcode, err)
				}
			})
			t.Logf("%s, EDNS %v: %v", c.name, edns, got)
			if got > c.most {
				t.Errorf("%s, EDNS %v: %v allocations, want at most %v", c.name, edns, got, c.most)
			}
		}
	}
}
