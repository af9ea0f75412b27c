package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// With Corefile.example's loadbalance each of three containers comes first at times, and all are named each time.
func TestRotation(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("../../Corefile.example")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(example), "\n\tloadbalance\n") {
		t.Fatal("no loadbalance in Corefile.example")
	}
	s := serve(t, config{Body: "docker docker.\nloadbalance"})
	name := "www-" + suffix()
	var want []string
	for range 3 {
		want = append(want, machine.addr(t, machine.run(t, "--hostname", name)))
	}
	slices.Sort(want)
	s.soon(name+".docker.", dns.TypeA, want...)
	first := map[string]int{}
	for range 30 { // one of three never comes first in one of 64,000 runs
		m := s.ask(name+".docker.", dns.TypeA)
		if got := outcome(m); got != strings.Join(want, " ") {
			t.Fatalf("got %s, want %s", got, want)
		}
		first[m.Answer[0].(*dns.A).A.String()]++
	}
	if len(first) != len(want) {
		t.Errorf("first of 30 answers: %v, want each of %v", first, want)
	}
}
