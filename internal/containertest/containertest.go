// Package containertest makes facts for tests.
package containertest

import (
	"net/netip"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// New makes a container of the name with addresses NETWORK=IP. The first address of each /16 is its gateway.
func New(name, addrs string) *container.Container {
	c := &container.Container{ID: name + strings.Repeat("0", 64-len(name)), Name: name, Hostname: name + "000000000000"[:12-len(name)]}
	for a := range strings.FieldsSeq(addrs) {
		network, ip, _ := strings.Cut(a, "=")
		addr := netip.MustParseAddr(ip)
		prefix, _ := addr.Prefix(16)
		c.Endpoints = append(c.Endpoints, container.Endpoint{Network: network, Addrs: []netip.Addr{addr}, Gateways: []netip.Addr{prefix.Addr().Next()}})
	}
	return c
}

// Host returns what is known of a host with the networks a, b, c (bridges) and lan (macvlan).
func Host() container.Host {
	h := container.Host{Routed: true}
	for _, n := range []struct {
		name, driver, subnet string
		reach                container.Reach
	}{
		{"a", "bridge", "10.1.0.0/16", 0}, {"b", "bridge", "10.2.0.0/16", 0}, {"c", "bridge", "10.3.0.0/16", 0},
		{"lan", "macvlan", "192.0.2.0/24", container.OnLAN},
	} {
		subnet := netip.MustParsePrefix(n.subnet)
		h.Networks = append(h.Networks, container.Network{
			ID: n.name, Name: n.name, Driver: n.driver, Subnets: []netip.Prefix{subnet}, Gateways: []netip.Addr{subnet.Addr().Next()},
			Reach4: n.reach, Reach6: n.reach,
		})
	}
	return h
}
