package asker

import (
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Client is a container as one who asks.
type Client struct {
	*container.Container
	Networks []container.NetworkID // those of its endpoints on which containers reach each other
	Self     []zone.Address        // its own
	Outbound container.Outbound    // zone.View's, and its Families
	Families zone.Families
	Project  string // Compose's, and its service
	Service  string
	Stack    string // of the Swarm's service whose task it is, "" if it is of none
	// Search are the domains of its search list, in lower case and with a last dot. Nil if the list is not known, empty if it has none.
	Search []string
	feed   *Feed // of its host, nil if the host is not known

	network  container.NetworkID // from whose address it asks
	gateways []netip.Addr        // at which it reaches its host from there, one of each family at most
}

// newClient returns the container, which must be told from which of its connections it asks.
func newClient(f *Feed, facts *container.Container) Client {
	c := Client{
		Container: facts, Networks: make([]container.NetworkID, 0, len(facts.Endpoints)),
		Project: naming.Project(facts), Service: naming.Service(facts), Stack: naming.Stack(facts), feed: f,
		Search: searched(facts.Search),
	}
	networks := f.networks()
	for i := range facts.Endpoints {
		if name := facts.Endpoints[i].Network; networks.Shared(name) {
			c.Networks = append(c.Networks, networks.ID(name))
		}
		for _, ip := range facts.Endpoints[i].Addrs {
			c.Self = append(c.Self, zone.Address{IP: ip, Network: networks.ID(facts.Endpoints[i].Network)})
		}
	}
	c.findWayOut(networks)
	return c
}

// maxName is how long a name is that DNS can hold, as text with a last dot, RFC 1035 §3.1.
const maxName = 254

// searched returns the domains of a search list. The root, by which a container says that it has none, is no domain to look in.
func searched(list []string) []string {
	if list == nil {
		return nil
	}
	domains := []string{}
	for _, d := range list {
		name := dns.CanonicalName(d)
		if _, ok := dns.IsDomainName(name); ok && len(name) <= maxName && name != "." {
			domains = append(domains, name)
		}
	}
	return domains
}

// findWayOut finds what the container reaches of other networks, and by which families. What goes there takes docker_gwbridge
// if the container is on it. Else it can't be known by which of several networks it goes, and the narrowest counts.
func (c *Client) findWayOut(networks *container.Networks) {
	ways := c.Endpoints
	if c.GWBridge.Network != "" {
		ways = []container.Endpoint{c.GWBridge}
	}
	found := len(ways) == 0 // it is not known yet
	for i := range ways {
		out := networks.Outbound(ways[i].Network)
		if out == container.NoWayOut {
			continue
		}
		found = true
		c.Outbound = max(c.Outbound, out)
		for _, ip := range ways[i].Addrs {
			c.Families |= zone.FamilyOf(ip)
		}
	}
	if !found {
		c.Outbound = container.NoWayOut
	}
}

// from returns the container as it asks from the address that it has by the connection, which is one of its.
func (c Client) from(e *container.Endpoint) *Client {
	networks := c.feed.networks()
	c.network = networks.ID(e.Network)
	for _, internal := range []bool{false, true} { // from which the host's own services are reached, but no published ports
		add := func(e *container.Endpoint) {
			if internal == (networks.Outbound(e.Network) == container.NoWayOut) {
				c.addGateways(networks, e)
			}
		}
		add(e)
		for i := range c.Endpoints {
			add(&c.Endpoints[i])
		}
		add(&c.GWBridge)
	}
	return &c
}

// addGateways adds the addresses at which the container reaches its host by the connection, of families of which there is none
// yet.
func (c *Client) addGateways(networks *container.Networks, e *container.Endpoint) {
	for _, ip := range hostGateways(networks, e) {
		family := func(o netip.Addr) bool { return o.Is4() == ip.Is4() }
		if !slices.ContainsFunc(c.gateways, family) && (len(e.Addrs) == 0 || slices.ContainsFunc(e.Addrs, family)) {
			c.gateways = append(c.gateways, ip)
		}
	}
}

// hostGateways returns the host's addresses on the network of the connection. On a direct network the gateway is the LAN's and
// not the host. To an internal network the engine gives no gateway, but the host has its address there.
func hostGateways(networks *container.Networks, e *container.Endpoint) []netip.Addr {
	gateways := e.Gateways
	if len(gateways) == 0 {
		gateways = networks.Gateways(e.Network)
	}
	return slices.DeleteFunc(slices.Clone(gateways), func(ip netip.Addr) bool {
		return networks.Reach(e.Network, ip)&(container.OnLAN|container.OffHost) != 0
	})
}
