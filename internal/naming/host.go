package naming

import (
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// HostEntry returns what the host itself contributes to the zones, nil if that is nothing, and the names that it does not
// get, with the reasons. It is reached as a container is that uses its network.
func (r *Rules) HostEntry(on *container.Networks) (*zone.Entry, []Skipped) {
	if on.HostName() == "" || !slices.Contains(r.Sources, Host) {
		return nil, nil
	}
	var claims claims
	var refused refusals
	n := name{text: on.HostName(), rank: zone.ByHost}
	if reason := claims.add(r, n); reason != "" {
		refused.add(Skipped{Source: Host, Name: n.text, Reason: reason})
	}
	if len(claims.list) == 0 {
		return nil, refused.all()
	}
	return &zone.Entry{Key: zone.Key{Host: on.Host()}, Name: n.text, HostNetwork: true, Claims: claims.list}, refused.all()
}

// byHost puts the container's name below its host's: between its own part and the zone if it has that in it, as git.docker.
func byHost(c *subject) []name {
	host := c.on.HostName()
	if host == "" {
		return nil
	}
	n := c.rules.standing(name{text: unrooted(c.Name)})
	own := strings.TrimSuffix(n.fqdn(), "."+n.zone)
	return []name{{text: strings.TrimSuffix(own+"."+host+"."+n.zone, "."), zone: n.zone, rank: zone.ByHost, composed: true}}
}
