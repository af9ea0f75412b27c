package naming

import (
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
	targets := map[string][]string{}
	for _, z := range r.Zones {
		targets[z] = r.targets(c, have, z)
	}
	var claims []zone.Claim
	for _, cl := range have {
		if !plain(&cl) || cl.Rank == zone.ByID {
			continue
		}
		to := targets[r.zone(cl.Name)]
		for _, p := range c.Ports[:min(len(c.Ports), maxPorts)] {
			owner := "_" + portName(p) + "._" + p.Proto + "." + cl.Name
			if len(to) == 0 || len(owner)+1 > 255 {
				continue // a name that is long, but good otherwise
			}
			at := c.published(p)
			claims = append(claims, zone.Claim{Name: owner, Rank: cl.Rank, Bare: cl.Bare, Scoped: cl.Scoped, Data: &zone.Data{Service: &zone.Service{
				Targets: to, Port: p.Number, Published: at.Published, Open: at.Open,
			}}})
		}
	}
	return claims
}

// targets returns the names to which the container's services lead in the zone: that by which it is known best; and, for
// where other hosts have that too, that below its host's and its ID's.
func (r *Rules) targets(c *subject, have []zone.Claim, z string) (names []string) {
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	add(r.first(c, have, z))
	for _, rank := range []zone.Rank{zone.ByHost, zone.ByID} {
		for i := range have {
			if cl := &have[i]; cl.Rank == rank && r.zone(cl.Name) == z {
				add(cl.Name)
			}
		}
	}
	return names
}

// published returns the port as it is published: by the container whose network it is.
func (c *subject) published(p container.Port) container.Port {
	if c.provider == nil {
		return container.Port{}
	}
	i := slices.IndexFunc(c.provider.Ports, func(o container.Port) bool { return o.Number == p.Number && o.Proto == p.Proto })
	if i < 0 {
		return container.Port{}
	}
	return c.provider.Ports[i]
}

// portName returns the service's name, the port's number if it has none.
func portName(p container.Port) string {
	number := strconv.Itoa(int(p.Number))
	if service, ok := serviceNames[number+"/"+p.Proto]; ok {
		return service
	}
	return number
}
