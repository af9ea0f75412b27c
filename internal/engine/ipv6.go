package engine

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// ipv6Off reports whether a container's kernel parameters switch IPv6 off on its interfaces. Docker (before 28) gives it an
// IPv6 address all the same, which none of them has. Which interface is on which network is not told: with several
// networks one that is switched off counts for all. What net.ipv6.conf.default says is for interfaces that come after
// the start's.
func ipv6Off(sysctls map[string]string) bool {
	for name, value := range sysctls {
		of, isIPv6 := strings.CutPrefix(name, "net.ipv6.conf.")
		of, isSwitch := strings.CutSuffix(of, ".disable_ipv6")
		if isIPv6 && isSwitch && of != "default" && of != "lo" && strings.TrimSpace(value) != "0" {
			return true
		}
	}
	return false
}

// withoutIPv6 leaves the IPv6 addresses out of an endpoint that nobody else has.
func withoutIPv6(e *container.Endpoint) {
	e.Addrs = slices.DeleteFunc(e.Addrs, netip.Addr.Is6)
	e.Gateways = slices.DeleteFunc(e.Gateways, netip.Addr.Is6)
}
