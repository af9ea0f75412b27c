package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// TestIPv6Off has containers whose IPv6 is switched off, on an engine that gives them addresses all the same.
func TestIPv6Off(t *testing.T) {
	for name, c := range map[string]struct {
		sysctls map[string]string
		want    bool // there is an IPv6 address
	}{
		"nothing":        {nil, true},
		"all":            {map[string]string{"net.ipv6.conf.all.disable_ipv6": "1"}, false},
		"one":            {map[string]string{"net.ipv6.conf.eth0.disable_ipv6": "1", "net.ipv4.ip_forward": "0"}, false},
		"not":            {map[string]string{"net.ipv6.conf.all.disable_ipv6": "0"}, true},
		"later ones":     {map[string]string{"net.ipv6.conf.default.disable_ipv6": "1"}, true},
		"the loopback":   {map[string]string{"net.ipv6.conf.lo.disable_ipv6": "1"}, true},
		"other":          {map[string]string{"net.ipv6.conf.all.forwarding": "1"}, true},
		"one of another": {map[string]string{"net.ipv4.conf.all.disable_ipv6": "1"}, true},
	} {
		e := enginetest.New(t)
		e.AddNetwork("six", "10.9.0.0/16", "fd00:6::/64")
		id := e.Run(enginetest.Spec{Name: "web", NetworkMode: "six", Sysctls: c.sysctls})
		_, r := watch(t, e, 20*time.Millisecond)
		synced(t, r)
		ep := r.get(id).Endpoints[0]
		if got := slices.Contains(ep.Addrs, e.IPv6(id, "six")); got != c.want || !slices.Contains(ep.Addrs, e.IP(id, "six")) || len(ep.Gateways) != len(ep.Addrs) {
			t.Errorf("%s: %+v", name, ep)
		}
		inspects, rounds := e.InspectCalls(id), r.roundsDone()
		r.wait(t, "reconciliations", func() bool { return r.rounds >= rounds+3 })
		if n := e.InspectCalls(id) - inspects; n != 0 {
			t.Errorf("%s: %d inspects while nothing happens", name, n)
		}
	}
}
