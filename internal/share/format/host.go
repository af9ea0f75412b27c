package format

import (
	"net/netip"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Host is what a host tells of itself.
type Host struct {
	Engine string // identity of its engine, which no other host has
	Name   string // in DNS, "" if it has none there
	Addrs  []netip.Addr
	// Away is set while its engine can't be asked: what is told of its containers may be over.
	Away  bool
	Facts container.Host // without ID, Name, Addrs and Peer, which readers set
}

type hostJSON struct {
	header
	Engine   string        `json:"engine"`
	Name     string        `json:"name,omitempty"`
	Addrs    []netip.Addr  `json:"addresses,omitempty"`
	Away     bool          `json:"away,omitempty"`
	Routed   bool          `json:"routed,omitempty"`
	Networks []networkJSON `json:"networks,omitempty"`
}

type networkJSON struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Driver   string         `json:"driver,omitempty"`
	Spans    bool           `json:"spans,omitempty"`
	Subnets  []netip.Prefix `json:"subnets,omitempty"`
	Gateways []netip.Addr   `json:"gateways,omitempty"`
	Project  string         `json:"project,omitempty"`
	Short    string         `json:"short,omitempty"`
	Reach4   []string       `json:"reach4,omitempty"`
	Reach6   []string       `json:"reach6,omitempty"`
	Outbound string         `json:"outbound,omitempty"`
}

var reaches = named[container.Reach]{
	{container.Unshared, "unshared"}, {container.OffHost, "off_host"}, {container.OnLAN, "on_lan"}, {container.Routed, "routed"},
	{container.RoutedPorts, "routed_ports"}, {container.Forwarded, "forwarded"}, {container.Apart, "apart"},
}

var outbounds = named[container.Outbound]{{container.AnyWayOut, ""}, {container.ApartOut, "apart"}, {container.NoWayOut, "none"}}

// EncodeHost writes the host's document. It is an error if that is too large.
func EncodeHost(h *Host) ([]byte, error) {
	j := hostJSON{header: header{Version}, Engine: h.Engine, Name: h.Name, Addrs: h.Addrs, Away: h.Away, Routed: h.Facts.Routed}
	for i := range h.Facts.Networks {
		n := &h.Facts.Networks[i]
		j.Networks = append(j.Networks, networkJSON{
			ID: n.ID, Name: n.Name, Driver: n.Driver, Spans: n.Spans, Subnets: n.Subnets, Gateways: n.Gateways,
			Project: n.Compose.Project, Short: n.Compose.Short,
			Reach4: reachWords(n.Reach4), Reach6: reachWords(n.Reach6), Outbound: outbounds.word(n.Outbound),
		})
	}
	return encode(j, MaxHost)
}

// DecodeHost reads a host's document.
func DecodeHost(document []byte) (*Host, error) {
	var j hostJSON
	if err := decode(document, MaxHost, &j); err != nil {
		return nil, err
	}
	var c checks
	if j.Engine == "" {
		c.fail("it does not say which engine it has")
	}
	c.text("a text", j.Engine, j.Name)
	c.list("networks", len(j.Networks))
	c.list("addresses", len(j.Addrs))
	h := &Host{Engine: j.Engine, Name: j.Name, Away: j.Away, Facts: container.Host{Routed: j.Routed}}
	for _, ip := range j.Addrs {
		if ip = ip.Unmap(); !ip.IsGlobalUnicast() || ip.Zone() != "" {
			c.fail("%s is no address of a host's", ip)
		}
		h.Addrs = append(h.Addrs, ip)
	}
	for i := range j.Networks {
		if c.err == nil {
			h.Facts.Networks = append(h.Facts.Networks, j.Networks[i].network(&c))
		}
	}
	return h, c.err
}

func (j *networkJSON) network(c *checks) container.Network {
	c.text("a network's text", j.ID, j.Name, j.Driver, j.Project, j.Short)
	c.list("subnets", len(j.Subnets))
	c.list("gateways", len(j.Gateways))
	if j.Name == "" || j.Spans && j.ID == "" {
		c.fail("a network has no name, or spans hosts and has no ID")
	}
	n := container.Network{
		ID: j.ID, Name: j.Name, Driver: j.Driver, Spans: j.Spans, Gateways: j.Gateways,
		Compose: container.ComposeNetwork{Project: j.Project, Short: j.Short},
		Reach4:  reachOf(c, j.Reach4), Reach6: reachOf(c, j.Reach6), Outbound: outbounds.value(c, "a way out", j.Outbound),
	}
	for _, p := range j.Subnets {
		if !p.IsValid() {
			c.fail("network %s has a subnet that is none", j.Name)
			continue
		}
		n.Subnets = append(n.Subnets, p.Masked())
	}
	if slices.ContainsFunc(j.Gateways, func(ip netip.Addr) bool { return !ip.IsValid() }) {
		c.fail("network %s has a gateway that is none", j.Name)
	}
	return n
}

func reachWords(r container.Reach) (words []string) {
	for _, e := range reaches {
		if r&e.value != 0 {
			words = append(words, e.word)
		}
	}
	return words
}

// reachOf refuses words that are not known: one of them may say who does not reach the address.
func reachOf(c *checks, words []string) (r container.Reach) {
	c.list("words", len(words))
	for _, word := range words {
		r |= reaches.value(c, "a reach", word)
	}
	return r
}
