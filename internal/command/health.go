package command

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

// health asks the server by DNS, and takes any answer for a sign of life. All of it takes as long as one answer may: a container's
// health check has a bound of its own, at which it would be ended without a word.
func (c *call) health(ctx context.Context, s *client) int {
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	at, name, told := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), dnsPort), defaultZone, ""
	if c.options.dns != "" {
		var err error
		if at, err = dnsAddress("dns", c.options.dns); err != nil {
			return c.fail(exitUsage, err)
		}
	} else {
		at, name, told = whereAlive(ctx, s, at, name)
	}
	if len(c.options.zones) > 0 {
		name = dns.CanonicalName(c.options.zones[0])
	}
	begin := time.Now()
	_, err := exchange(ctx, reachable(at), name, dns.TypeSOA)
	f := found(well, "", "answers at %s in %v", reachable(at), time.Since(begin).Round(time.Microsecond))
	if err != nil {
		f = found(problem, "", "no answer at %s for %s SOA: %v%s", reachable(at), name, err, told)
	}
	f.Check = "health"
	return c.report([]finding{f})
}

// whereAlive returns where the server says that it is asked by DNS, and for which zone, else what it is given and why it is that.
// A server that hangs uses up the time.
func whereAlive(ctx context.Context, s *client, at netip.AddrPort, name string) (netip.AddrPort, string, string) {
	var is status.Overview
	if err := (&doctor{server: s}).read(ctx, "/", nil, &is); err != nil {
		return at, name, fmt.Sprintf("; status at %s, which could tell another address, does not: %v", s.address, err)
	}
	for _, b := range is.Blocks {
		if addrs := addrsOf(&b); len(addrs) > 0 {
			return addrs[0], b.Zones[0], ""
		}
	}
	return at, name, "; status tells no other address where it is asked by DNS"
}
