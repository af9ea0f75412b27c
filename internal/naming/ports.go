package naming

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// maxPorts bounds the ports that get names: an image may expose a range of thousands.
const maxPorts = 16

// services returns the claims to the SRV names of the container's ports, RFC 2782, at each
// name that stands for the whole container. They belong to it by the right of that name.
func (r *Rules) services(c *subject, have []zone.Claim) []zone.Claim {
	if len(c.Ports) == 0 {
		return nil
	}
	targets := map[string]string{}
	for _, z := range r.Zones {
		targets[z] = r.first(c, have, z)
	}
	var claims []zone.Claim
	for _, cl := range have {
		if !plain(&cl) || cl.Rank == zone.ByID {
			continue
		}
		target := targets[r.zone(cl.Name)]
		for _, p := range c.Ports[:min(len(c.Ports), maxPorts)] {
			owner := "_" + portName(p) + "._" + p.Proto + "." + cl.Name
			if target == "" || len(owner)+1 > 255 {
				continue // a name that is long, but good otherwise
			}
			claims = append(claims, zone.Claim{Name: owner, Rank: cl.Rank, Bare: cl.Bare, Scoped: cl.Scoped, Data: &zone.Data{Service: &zone.Service{
				Target: target, Port: p.Number, Published: c.published(p),
			}}})
		}
	}
	return claims
}

// published returns where the port is published: by the container whose network it is.
func (c *subject) published(p container.Port) []netip.AddrPort {
	if c.provider == nil {
		return nil
	}
	i := slices.IndexFunc(c.provider.Ports, func(o container.Port) bool { return o.Number == p.Number && o.Proto == p.Proto })
	if i < 0 {
		return nil
	}
	return c.provider.Ports[i].Published
}

// portName returns the service's name, the port's number if it has none.
func portName(p container.Port) string {
	number := strconv.Itoa(int(p.Number))
	if service, ok := serviceNames[number+"/"+p.Proto]; ok {
		return service
	}
	return number
}
