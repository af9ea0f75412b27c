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
