package asker

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// randomHost writes a host as feed reads it, with some of ten networks and with containers of few names and addresses.
func randomHost(rnd *rand.Rand, name, reached string, subnets []int) string {
	text := name + " " + reached
	for _, n := range subnets {
		text += fmt.Sprintf(" n%d=10.%d.0.0/16", n, n)
	}
	lan := rnd.IntN(2) == 0
	if lan {
		text += " lan:macvlan=192.0.2.0/24"
	}
	for i := range rnd.IntN(5) {
		text += fmt.Sprintf(" | c%d", i)
		for _, n := range subnets {
			if rnd.IntN(2) == 0 {
				text += fmt.Sprintf(" n%d=10.%d.0.%d", n, n, 10*i+rnd.IntN(12)+2) // two may have one address while it is handed on
			}
		}
		if lan && rnd.IntN(3) == 0 {
			text += fmt.Sprintf(" lan=192.0.2.%d", rnd.IntN(8)+10)
		}
	}
	return text
}

// some returns some of the numbers below ten.
func some(rnd *rand.Rand) []int { return rnd.Perm(10)[:rnd.IntN(6)] }

// FuzzTwoHosts takes two hosts of equal names and addresses through random changes: one is on this machine, the other one is
// too, with networks of its own, or it is remote or in a virtual machine. Who asks from an address of a near host's container
// is that container, and nobody is ever taken for a container of a host that does not have the address, nor for one of the two
// hosts where it could be either's.
func FuzzTwoHosts(f *testing.F) {
	for seed := range uint64(60) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		m := machine("192.0.2.1")
		x := New(m, nil, nil)
		reached := []string{"socket", "203.0.113.5", "unrouted"}[rnd.IntN(3)]
		if rnd.IntN(2) == 0 {
			x.Feed("b")
		}
		a, b := x.Feed("a"), x.Feed("b")
		feed(x, "b "+reached)
		var hosts [2]string
		var before []int // the networks of a
		for range 8 {
			nets, other := some(rnd), some(rnd)
			if reached == "socket" { // they share the machine
				cut := rnd.IntN(len(nets) + 1)
				nets, other = nets[:cut], nets[cut:]
			}
			hosts = [2]string{randomHost(rnd, "a", "socket", nets), randomHost(rnd, "b", reached, other)}
			m.addrs = ips("192.0.2.1")
			for n := range 10 {
				if reached == "socket" || slices.Contains(nets, n) || slices.Contains(before, n) {
					m.addrs = append(m.addrs, netip.AddrFrom4([4]byte{10, byte(n), 0, 1}))
				}
			}
			m.Forget()
			before = nets
			first := rnd.IntN(2)
			feed(x, hosts[first])
			if reached != "socket" { // else one may have networks now that the other one has given up
				check(t, x, a, b, hosts, false)
			}
			feed(x, hosts[1-first])
			check(t, x, a, b, hosts, reached == "socket")
		}
	})
}

// check asks from all addresses of the networks and of their neighbours.
func check(t *testing.T, x *Index, a, b *Feed, hosts [2]string, bNear bool) {
	t.Helper()
	lan := func(c *Client) bool { return c != nil && x.Direct(c.network) }
	for n := range 11 {
		for i := range 64 {
			ip := netip.AddrFrom4([4]byte{10, byte(n), 0, byte(i)})
			if n == 10 {
				ip = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
			}
			who := x.Who(ip)
			ofA, ofB := a.client(ip), b.client(ip)
			fail := func(what string) {
				t.Errorf("%s: %s: it is %d, of %v, container %+v\n%s\n%s", ip, what, who.Kind, who.Hosts, who.Client, hosts[0], hosts[1])
			}
			if c := who.Client; c != nil && c.Name != "" {
				if c != ofA && c != ofB {
					fail("nobody has it")
				}
				if len(who.Hosts) != 1 || who.Hosts[0] != c.feed.host {
					fail("the container is another host's")
				}
			}
			if who.Kind == zone.Host && (len(who.Hosts) == 0) != bNear {
				fail("the Docker host is not the near ones")
			}
			switch {
			case ofA != nil && !lan(ofA):
				if who.Client != ofA {
					fail("it is a's")
				}
			case a.network(ip) != nil: // of a container of a's that is not known
				if who.Client != nil && (who.Client.feed != a || who.Client.Container.ID != "") {
					fail("it is in a network of a's")
				}
			case lan(ofA) && lan(ofB):
				if who.Client != nil {
					fail("both have it")
				}
			case bNear && ofB != nil && !lan(ofB):
				if who.Client != ofB {
					fail("it is b's")
				}
			case lan(ofA) || lan(ofB):
				if c := who.Client; c == nil || c != ofA && c != ofB {
					fail("one alone has it")
				}
			}
		}
	}
	for _, f := range []*Feed{a, b} {
		if v := x.Vantage(f.host); v.Elsewhere != (f == b && !bNear) {
			t.Errorf("%s is elsewhere: %v\n%s\n%s", f.host, v.Elsewhere, hosts[0], hosts[1])
		}
	}
}
