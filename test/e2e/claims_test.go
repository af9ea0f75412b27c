package e2e

import (
	"testing"

	"github.com/miekg/dns"
)

// A hostname is shared: all who have it answer.
func TestSharedHostname(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Body: "docker " + zones})
	hostname := "pair-" + suffix()
	one := machine.addr(t, machine.run(t, "--hostname", hostname))
	id := machine.run(t, "--hostname", hostname)
	s.soon(hostname+".docker.", dns.TypeA, one, machine.addr(t, id))

	machine.do(t, "rm", "-f", id)
	s.soon(hostname+".docker.", dns.TypeA, one)
}

// A container's own name is its alone, whoever came first. Not parallel: the metric
// counts the whole engine.
func TestLostClaim(t *testing.T) {
	const lost = "coredns_docker_lost_claims"
	s := serve(t, config{Body: "docker " + zones})
	before, err := s.Metric(lost)
	if err != nil {
		t.Fatal(err)
	}
	name := "db-" + suffix()
	claimant := machine.run(t, "--hostname", name)
	s.soon(name+".docker.", dns.TypeA, machine.addr(t, claimant))

	owner := machine.run(t, "--name", name)
	s.soon(name+".docker.", dns.TypeA, machine.addr(t, owner))
	eventually(t, func() error { return s.wantMetric(lost, before+1) })

	machine.do(t, "rm", "-f", owner)
	s.soon(name+".docker.", dns.TypeA, machine.addr(t, claimant))
	eventually(t, func() error { return s.wantMetric(lost, before) })
}
