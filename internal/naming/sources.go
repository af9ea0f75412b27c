package naming

import (
	"fmt"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// unrooted is the name without the dot that may end it. Engines allow one, and people who know DNS write it; but a
// program's name may also lie in none of the zones.
func unrooted(name string) string { return strings.TrimSuffix(name, ".") }

func byContainer(c *subject) []name {
	return []name{{text: unrooted(c.Name), rank: zone.ByName, own: true}}
}

func byID(c *subject) []name {
	return []name{{text: c.ShortID(), rank: zone.ByID}}
}

// byHostname leaves out containers on the host's network, and those that have joined another's:
// their host name is the host's or the other's.
// A container of "compose run" has the host name of the service for which it does not serve.
// A host name may be a whole domain name, or its domain stand apart.
func byHostname(c *subject) []name {
	borrowed := c.Joined() != "" && (c.provider == nil || c.Hostname == c.provider.Hostname) || // of who may be gone
		oneOff(c.Container) && c.Hostname != c.ShortID()
	if c.Hostname == "" || c.HostNetwork() || borrowed {
		return nil
	}
	hostname := unrooted(c.Hostname)
	names := []name{{text: hostname, rank: zone.Shared, bare: true}}
	if c.Domainname != "" {
		names = append(names, name{text: hostname + "." + unrooted(c.Domainname), rank: zone.Shared, absolute: true, bare: true})
	}
	return names
}

// The labels that Compose puts on its containers, v1 and v2.
const (
	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
	composeOneoff  = "com.docker.compose.oneoff"
	composeNumber  = "com.docker.compose.container-number"
)

// SharedLabels are the prefixes of other tools' labels from which names are made.
func SharedLabels() []string {
	return []string{"com.docker.compose.", "com.docker.stack.", "com.docker.swarm."}
}

// Project returns the container's Compose project, "" if it has none.
func Project(c *container.Container) string { return c.Labels[composeProject] }

// Stack returns the stack of the Swarm's service whose task the container is, "" if it has none.
func Stack(c *container.Container) string { return c.Labels["com.docker.stack.namespace"] }

// oneOff reports whether the container is one of "compose run".
func oneOff(c *container.Container) bool { return strings.EqualFold(c.Labels[composeOneoff], "true") }

// Service returns the container's Compose service, "" if it has none. The containers of "compose
// run" do not serve.
func Service(c *container.Container) string {
	if oneOff(c) {
		return ""
	}
	return c.Labels[composeService]
}

func byCompose(c *subject) []name {
	project, service := Project(c.Container), Service(c.Container)
	if project == "" || service == "" {
		return nil
	}
	return []name{{text: service + "." + project, rank: zone.ByProject, composed: true}}
}

// maxAliases bounds a container's aliases on all its networks together: engines know no bound. A proxy on fifty
// networks has some four of Compose's on each.
const maxAliases = 256

// byAlias leaves out the short ID, which some engines put among the aliases: it is a
// source of its own. Docker (20.10) puts the host name there too, which a container of "compose run"
// has only from its service. With the network's name the container's own counts as an alias, as it does for Docker's resolver.
func byAlias(c *subject) []name {
	var names []name
	n := 0
	for i := range c.Endpoints {
		ep := &c.Endpoints[i]
		for _, alias := range ep.Aliases {
			if alias == c.ShortID() || oneOff(c.Container) && strings.EqualFold(alias, c.Hostname) {
				continue
			}
			if n++; n > maxAliases {
				c.refused.add(Skipped{Source: Alias, Name: alias, Reason: fmt.Sprintf("more than %d aliases", maxAliases)})
				return append(names, c.onNetworks()...)
			}
			alias = unrooted(alias)
			names = append(names, name{text: alias, rank: zone.Shared, network: c.on.ID(ep.Network), bare: true})
			names = append(names, c.onNetwork(alias, ep)...)
		}
	}
	return append(names, c.onNetworks()...)
}

// onNetworks returns the container's own name with those of its networks. It is none where that can't be a name, which the source
// container says, and where what the engine calls its networks are none: the host's own, or nothing.
func (c *subject) onNetworks() (names []name) {
	own := unrooted(c.Name)
	if Invalid(strings.ToLower(own)) != "" || c.HostNetwork() || c.NetworkMode == "none" {
		return nil
	}
	for i := range c.Endpoints[:min(len(c.Endpoints), maxAliases)] {
		names = append(names, c.onNetwork(own, &c.Endpoints[i])...)
	}
	return names
}

// onNetwork returns the names that something called so on the network has with the network's, none if it lies in a zone as it stands.
func (c *subject) onNetwork(text string, ep *container.Endpoint) []name {
	if c.rules.standing(name{text: text}).zone != "" {
		return nil
	}
	network := c.on.ID(ep.Network)
	names := []name{{text: text + "." + ep.Network, rank: zone.ByProject, network: network, composed: true}}
	if short := c.on.Compose(ep.Network).Short; short != "" { // as other projects' networks may be called
		names = append(names, name{text: text + "." + short, rank: zone.ByProject, network: network, composed: true, bare: true})
	}
	return names
}
