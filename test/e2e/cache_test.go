package e2e

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

// cache and forward in our server block: what upstream says is cached, what we say is not.
func TestCache(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	s := serve(t, config{Body: "cache\nforward . " + up.addr + "\ndocker " + zones})
	name := "brief-" + suffix()
	id := machine.run(t, "--name", name)
	addr := machine.addr(t, id)
	s.soon(name+".docker.", dns.TypeA, addr)

	for range 2 {
		s.check(name+".docker.", dns.TypeA, addr)
		s.check("example.org.", dns.TypeA, exampleOrg)
	}
	if n := up.count("example.org."); n != 1 {
		t.Errorf("upstream was asked %d times, want once", n)
	}

	machine.do(t, "stop", id)
	took := eventually(t, func() error { return s.wantsNone(name+".docker.", dns.TypeA) })
	if took > 2*time.Second { // cache would keep it for 5
		t.Errorf("the stopped container's address was given out for %v more", took)
	}
	machine.do(t, "start", id)
	s.soon(name+".docker.", dns.TypeA, machine.addr(t, id))
	if n := up.count(name + ".docker."); n != 0 {
		t.Errorf("upstream was asked %d times for the container's name", n)
	}
}
