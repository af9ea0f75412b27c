package asker

import (
	"net/netip"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// TestStray asks from the address of a container whose network is told later, and goes earlier.
func TestStray(t *testing.T) {
	x := New(machine("192.0.2.1"), nil, nil)
	f := x.Feed("a")
	host := func(subnets ...string) {
		h := container.Host{Routed: true}
		for _, s := range subnets {
			h.Networks = append(h.Networks, container.Network{ID: s, Name: s, Driver: "bridge", Subnets: []netip.Prefix{netip.MustParsePrefix(s)}})
		}
		f.Host(h)
	}
	ips := []netip.Addr{netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("fd00:1::2")}
	web := &container.Container{ID: "web", Name: "web", Endpoints: []container.Endpoint{{Network: "10.1.0.0/16", Addrs: ips}}}
	check := func(when string, client bool, strays int64) {
		t.Helper()
		for _, ip := range ips {
			if who := x.Who(ip); (who.Client != nil && who.Client.Container == web) != client {
				t.Errorf("%s: %s is %+v", when, ip, who)
			}
		}
		if n := x.strays.Load(); n != strays {
			t.Errorf("%s: %d strays, want %d", when, n, strays)
		}
		if who := x.Who(netip.MustParseAddr("203.0.113.9")); who.Kind != zone.Elsewhere {
			t.Errorf("%s: the LAN is %+v", when, who)
		}
	}
	set := func(c *container.Container) { f.Apply([]container.Change{{ID: "web", Container: c}}) }

	host("10.2.0.0/16")
	check("before it runs", false, 0)
	set(web)
	check("before its networks are told", true, 2)
	host("10.2.0.0/16", "10.1.0.0/16")
	check("before one of its networks is told", true, 1)
	host("10.1.0.0/16", "fd00:1::/64")
	check("when they are told", true, 0)
	host("10.2.0.0/16")
	check("when its networks are gone", true, 2)
	set(web)
	check("when it is told again", true, 2)
	set(nil)
	check("when it has ended", false, 0)
	host("10.1.0.0/16", "fd00:1::/64")
	set(web)
	check("when it runs on known networks", true, 0)
}
