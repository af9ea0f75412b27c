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
		d.set(facts(fmt.Sprint("c", i), fmt.Sprintf("a=10.1.%d.%d", i/250, i%250+2)))
	}
	for _, c := range []struct {
		name, from, question string
		qtype                uint16
		most                 float64
	}{
		{"hit", fromHost, "c7.docker.", dns.TypeA, 8},
		{"hit for a container", "10.1.0.3", "c7.docker.", dns.TypeA, 11},
		{"miss", fromHost, "nope.docker.", dns.TypeA, 8},
		{"no data", fromHost, "c7.docker.", dns.TypeAAAA, 8},
		{"reverse", fromHost, "9.0.1.10.in-addr.arpa.", dns.TypePTR, 8},
	} {
		w := &test.ResponseWriter{RemoteIP: c.from}
		m := new(dns.Msg).SetQuestion(c.question, c.qtype)
		ctx := context.Background()
		got := testing.AllocsPerRun(1000, func() {
			if rcode, err := d.ServeDNS(ctx, w, m); err != nil || rcode != dns.RcodeSuccess {
				t.Fatal(rcode, err)
			}
		})
		t.Logf("%s: %v", c.name, got)
		if got > c.most {
			t.Errorf("%s: %v allocations, want at most %v", c.name, got, c.most)
		}
	}
}
