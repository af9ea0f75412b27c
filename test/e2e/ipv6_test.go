package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/miekg/dns"
)

func TestIPv6(t *testing.T) {
	t.Parallel()
	network := machine.networkIPv6(t)
	s := serve(t, config{body: "docker docker. 172.16.0.0/12 192.168.0.0/16 fd00::/8"})
	name := "six-" + suffix()
	id := machine.run(t, "--name", name, "--network", network)

	c := machine.inspect(t, id)
	_, v6 := c.addrs()
	if len(v6) != 1 {
		t.Fatalf("the container has IPv6 addresses %q, want one", v6)
	}
	eventually(t, func() error { return s.agrees(c) })
	s.check(name+".docker.", dns.TypeAAAA, v6...)
	s.check(reverse(t, v6[0]), dns.TypePTR, name+".docker.")

	machine.do(t, "rm", "-f", id)
	s.soon(reverse(t, v6[0]), dns.TypePTR, nxdomain)
}

// networkIPv6 makes a network with IPv6 addresses, where the engine can.
func (d docker) networkIPv6(t *testing.T) (name string) {
	t.Helper()
	name = "net-" + suffix()
	subnet := fmt.Sprintf("fd00:%x:%x::/64", rand.N(1<<16), rand.N(1<<16))
	out, err := d.output("network", "create", "--label", theRun.Label(), "--ipv6", "--subnet", subnet, name)
	if err != nil {
		t.Skipf("this engine can't make an IPv6 network: %s", out)
	}
	t.Cleanup(func() { d.output("network", "rm", name) })
	return name
}
