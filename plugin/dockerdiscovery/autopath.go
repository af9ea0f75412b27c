package dockerdiscovery

import (
	"slices"
	"strings"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/asker"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// AutoPath implements autopath.AutoPather: it returns the domains in which names that lie in the first one are to be looked
// for, "" last, which is the name without a domain. It returns nil where the query is to be answered as it stands: to
// who is no container, and while containers that may have the name are not known.
func (d *Docker) AutoPath(state request.Request) []string {
	name := state.Name()
	origin := plugin.Zones(d.config.zone.Zones).Matches(name)
	if origin == "" || zone.IsReverse(name) || !d.catalog.Complete() {
		return nil
	}
	client := d.askers.Who(addr(state.W.RemoteAddr())).Client
	if client == nil || client.ID == "" {
		return nil
	}
	path := searchPath(client, origin)
	if len(path) == 0 || name == path[0] || !dns.IsSubDomain(path[0], name) { // the domain itself is no name that was looked for in it
		return nil
	}
	return path
}

// searchPath returns the container's search list, from its first domain in the zone on. The zone's apex comes after that,
// where the list has it not.
//
// A list that the container does not tell is taken to begin with its project's domain. It can't be taken to begin with the
// zone: then a name that somebody has written out would be looked for without the zone. Nor can the domain of a project be
// told from one of the Internet's in zone ".".
func searchPath(c *asker.Client, origin string) []string {
	list := c.Search
	if list == nil {
		domain := strings.ToLower(c.Project) + "." + origin
		if _, ok := dns.IsDomainName(domain); !ok || c.Project == "" || origin == "." {
			return nil
		}
		list = []string{domain}
	}
	first := slices.IndexFunc(list, func(domain string) bool { return dns.IsSubDomain(origin, domain) })
	if first < 0 {
		return nil
	}
	list = list[first:]
	path := make([]string, 0, len(list)+2)
	path = append(path, list[0])
	if origin != "." && !slices.Contains(list, origin) {
		path = append(path, origin)
	}
	return append(append(path, list[1:]...), "")
}
