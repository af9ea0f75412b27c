package asker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// TestClient asks what containers share with others, and what they reach beside that.
func TestClient(t *testing.T) {
	x := New(machine("172.17.0.1", "fd17::1"), nil, nil)
	f := x.Feed("a")
	host := container.Host{Routed: true}
	for _, n := range []struct {
		name, driver, subnets string
		reach                 container.Reach
		out                   container.Outbound
	}{
		{"bridge", "bridge", "172.17.0.0/16 fd17::/64", 0, 0},
		{"icc", "bridge", "172.21.0.0/16", container.Unshared, 0},
		{"int", "bridge", "172.22.0.0/16", 0, container.NoWayOut},
		{"apart", "bridge", "172.23.0.0/16", container.Forwarded | container.Apart, container.ApartOut},
		{"alone", "bridge", "", container.OffHost, container.NoWayOut},
		{"lan", "macvlan", "192.0.2.0/24", container.OnLAN, 0},
		{"ingress", "overlay", "10.0.0.0/24", container.OffHost | container.Unshared, 0},
		{"ov", "overlay", "10.0.1.0/24 fd01::/64", container.OffHost, 0},
		{"docker_gwbridge", "bridge", "172.18.0.0/16", container.Unshared, 0},
	} {
		facts := container.Network{ID: n.name, Name: n.name, Driver: n.driver, Spans: n.driver == "overlay", Reach4: n.reach, Reach6: n.reach, Outbound: n.out}
		for _, subnet := range strings.Fields(n.subnets) {
			p := netip.MustParsePrefix(subnet)
			facts.Subnets = append(facts.Subnets, p)
			if n.reach&container.OffHost == 0 {
				facts.Gateways = append(facts.Gateways, p.Addr().Next())
			}
		}
		host.Networks = append(host.Networks, facts)
	}
	f.Host(host)
	for name, addrs := range map[string]string{
		"web": "bridge=172.17.0.2", "onicc": "icc=172.21.0.2", "inside": "int=172.22.0.2", "pod": "apart=172.23.0.2", "two": "int=172.22.0.3 bridge=172.17.0.3",
		"narrow": "apart=172.23.0.4 bridge=172.17.0.4", "p": "lan=192.0.2.33",
	} {
		c := containertest.New(name, addrs)
		for i := range c.Endpoints {
			if c.Endpoints[i].Network == "int" { // as engines have it
				c.Endpoints[i].Gateways = nil
			}
		}
		set(f, c)
	}
	both := containertest.New("both", "bridge=172.17.0.5")
	both.Endpoints[0].Addrs = ips("172.17.0.5", "fd17::5")
	both.Endpoints[0].Gateways = ips("172.17.0.1", "fd17::1")
	set(f, both)
	task := containertest.New("task", "ov=10.0.1.2")
	task.Endpoints[0].Addrs, task.Endpoints[0].Gateways = ips("10.0.1.2", "fd01::2"), nil
	task.Endpoints = append(task.Endpoints, container.Endpoint{Network: "ingress", Addrs: ips("10.0.0.5")})
	task.GWBridge = container.Endpoint{Network: "docker_gwbridge", Addrs: ips("172.18.0.3"), Gateways: ips("172.18.0.1")}
	set(f, task)
	ways := map[container.Outbound]string{container.AnyWayOut: "any", container.ApartOut: "apart", container.NoWayOut: "none"}
	families := map[zone.Families]string{0: "?", zone.IPv4: "4", zone.IPv6: "6", zone.IPv4 | zone.IPv6: "46"}
	for ip, want := range map[string]string{
		"172.17.0.2": "web on [bridge], out any 4, by [172.17.0.1]",
		"172.17.0.5": "both on [bridge], out any 46, by [172.17.0.1 fd17::1]",
		"fd17::5":    "both on [bridge], out any 46, by [172.17.0.1 fd17::1]",
		"172.17.0.9": " on [bridge], out any ?, by [172.17.0.1 fd17::1]", // is not known yet
		"172.21.0.2": "onicc on [], out any 4, by [172.21.0.1]",
		"172.22.0.2": "inside on [int], out none ?, by [172.22.0.1]",
		"172.22.0.3": "two on [int bridge], out any 4, by [172.17.0.1]",
		"172.17.0.3": "two on [int bridge], out any 4, by [172.17.0.1]",
		"172.23.0.2": "pod on [apart], out apart 4, by [172.23.0.1]",
		"172.23.0.4": "narrow on [apart bridge], out apart 4, by [172.23.0.1]",
		"192.0.2.33": "p on [lan], out any 4, by []",
		"10.0.1.2":   "task on [ov], out any 4, by [172.18.0.1]",
		"fd01::2":    "task on [ov], out any 4, by [172.18.0.1]",
		"172.18.0.3": "task on [ov], out any 4, by [172.18.0.1]",
		"172.18.0.9": " on [], out any ?, by [172.18.0.1]",
	} {
		c := x.Who(netip.MustParseAddr(ip)).Client
		if c == nil {
			t.Errorf("%s is no container", ip)
			continue
		}
		if got := fmt.Sprintf("%s on %s, out %s %s, by %s", c.Name, c.Networks, ways[c.Outbound], families[c.Families], x.Gateways(c, "a")); got != want {
			t.Errorf("%s is %s, want %s", ip, got, want)
		}
	}
	if got := who(t, x, "172.18.0.1"); got != "host all" {
		t.Errorf("docker_gwbridge's own address is %s", got)
	}
	// What is known of a network changes.
	host.Networks = slices.Clone(host.Networks)
	for i := range host.Networks {
		switch n := &host.Networks[i]; n.Name {
		case "docker_gwbridge":
			n.Outbound = container.ApartOut
		case "icc":
			n.Reach4, n.Reach6 = 0, 0
		}
	}
	f.Host(host)
	if c := x.Who(netip.MustParseAddr("10.0.1.2")).Client; c.Outbound != container.ApartOut {
		t.Errorf("task reaches %s of other networks", ways[c.Outbound])
	}
	if c := x.Who(netip.MustParseAddr("172.21.0.2")).Client; len(c.Networks) != 1 {
		t.Errorf("onicc is on %v", c.Networks)
	}
	// It leaves docker_gwbridge, and ends.
	left := *task
	left.GWBridge = container.Endpoint{}
	set(f, &left)
	if c := x.Who(netip.MustParseAddr("172.18.0.3")).Client; c == nil || c.Name != "" {
		t.Errorf("the address that task had on docker_gwbridge is %v's", c)
	}
}

// TestGWBridgeIsInUse has a machine all of whose containers are on overlays: docker_gwbridge shows that the engine is here.
func TestGWBridgeIsInUse(t *testing.T) {
	for own, elsewhere := range map[string]bool{"172.18.0.1": false, "192.0.2.1": true} {
		x := New(machine(own), nil, nil)
		f := feed(x, "a socket docker_gwbridge=172.18.0.0/16 ov:overlay+=10.0.1.0/24")
		task := containertest.New("task", "ov=10.0.1.2")
		task.Endpoints[0].Gateways = nil
		task.GWBridge = container.Endpoint{Network: "docker_gwbridge", Addrs: ips("172.18.0.3"), Gateways: ips("172.18.0.1")}
		set(f, task)
		if v := x.Vantage("a"); v.Elsewhere != elsewhere {
			t.Errorf("with the address %s it is elsewhere: %v", own, v.Elsewhere)
		}
		if got := who(t, x, "172.18.0.3"); got != "a task" {
			t.Errorf("who asks from docker_gwbridge is %s", got)
		}
	}
}
