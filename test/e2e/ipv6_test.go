package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestIPv6(t *testing.T) {
	t.Parallel()
	network := machine.networkIPv6(t)
	s := serve(t, config{Body: "docker docker. 172.16.0.0/12 192.168.0.0/16 fd00::/8"})
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

// A container whose interfaces have no IPv6 addresses has none in DNS, whatever the engine says.
func TestIPv6Off(t *testing.T) {
	t.Parallel()
	if podman {
		t.Skip("Podman (5.4) tells nothing of kernel parameters")
	}
	network := machine.networkIPv6(t)
	s := serve(t, config{Body: "docker docker. fd00::/8"})
	for _, of := range []string{"all", "eth0", "default"} {
		t.Run(of, func(t *testing.T) {
			name := "six-" + suffix()
			id, err := machine.output("run", "-d", "--name", name, "--network", network,
				"--sysctl", "net.ipv6.conf."+of+".disable_ipv6=1", image)
			t.Cleanup(func() { machine.output("rm", "-f", name) })
			if err != nil {
				t.Skipf("this engine refuses the parameter: %s", id)
			}
			c := machine.inspect(t, id)
			v4, v6 := c.addrs()
			s.soon(name+".docker.", dns.TypeA, v4...)
			interfaces, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/if_inet6", c.State.Pid))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("inspect has %q, the interfaces have\n%s", v6, interfaces)
			var has []string
			for _, addr := range v6 {
				text := netip.MustParseAddr(addr).As16()
				if strings.Contains(string(interfaces), fmt.Sprintf("%x", text[:])) {
					has = append(has, addr)
				} else {
					s.check(reverse(t, addr), dns.TypePTR, nxdomain)
				}
			}
			if has == nil {
				has = []string{nodata}
			}
			s.check(name+".docker.", dns.TypeAAAA, has...)
		})
	}
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
