package container

import (
	"iter"
	"net/netip"
	"unique"
)

// HostID tells hosts apart: each is an engine on a machine. What is known by a name, an ID or an address alone may stand for
// something else on another host.
type HostID string

// NetworkID tells networks apart: bridge exists on every host. It can be compared; the zero NetworkID is no network's.
type NetworkID struct{ key unique.Handle[networkKey] }

// networkKey has no host for a network that spans hosts: then the name is the network's ID.
type networkKey struct {
	host HostID
	name string
}

// LocalNetwork returns the ID of a host's own network.
func LocalNetwork(host HostID, name string) NetworkID {
	return NetworkID{unique.Make(networkKey{host, name})}
}

// SpanningNetwork returns the ID of a network that spans hosts, which all know it by the engine's ID.
func SpanningNetwork(id string) NetworkID { return NetworkID{unique.Make(networkKey{name: id})} }

// String returns the network's name, or the ID that the engine gave it if it spans hosts; "" for no network.
func (n NetworkID) String() string {
	if n == (NetworkID{}) {
		return ""
	}
	return n.key.Value().name
}

// Networks finds a host's networks by the names that its containers' endpoints have.
type Networks struct {
	host     HostID
	hostName string
	byName   map[string]*Network
}

// NewNetworks returns those of the host. Of two networks that have one name, which engines allow, the first counts.
func NewNetworks(h *Host) *Networks {
	n := &Networks{host: h.ID, hostName: h.Name, byName: make(map[string]*Network, len(h.Networks))}
	for i := range h.Networks {
		if name := h.Networks[i].Name; n.byName[name] == nil {
			n.byName[name] = &h.Networks[i]
		}
	}
	return n
}

// Host returns the host.
func (n *Networks) Host() HostID { return n.host }

// HostName returns the host's name in DNS, "" if it has none.
func (n *Networks) HostName() string { return n.hostName }

// ID returns the ID of the network that has the name on the host. One that is not known yet counts as the host's own.
func (n *Networks) ID(name string) NetworkID {
	if known := n.byName[name]; known != nil && known.Spans {
		return SpanningNetwork(known.ID)
	}
	return LocalNetwork(n.host, name)
}

// Compose returns what the network of the name is to Compose.
func (n *Networks) Compose(name string) ComposeNetwork { return n.named(name).Compose }

// ordinary stands for a network that is not known yet: it counts as an ordinary bridge.
var ordinary Network

// named returns the network of the name, which must not be changed.
func (n *Networks) named(name string) *Network {
	if known := n.byName[name]; known != nil {
		return known
	}
	return &ordinary
}

// Reach returns who reaches an address on the network of the name.
func (n *Networks) Reach(name string, ip netip.Addr) Reach { return n.named(name).Reach(ip) }

// Shared reports whether containers reach each other on the network of the name.
func (n *Networks) Shared(name string) bool {
	known := n.named(name)
	return known.Reach4&known.Reach6&Unshared == 0
}

// Spans reports whether the network of the name spans hosts.
func (n *Networks) Spans(name string) bool { return n.named(name).Spans }

// Spanning yields the networks that span hosts.
func (n *Networks) Spanning() iter.Seq[*Network] {
	return func(yield func(*Network) bool) {
		for _, known := range n.byName {
			if known.Spans && !yield(known) {
				return
			}
		}
	}
}

// Gateways returns the host's addresses in the network of the name.
func (n *Networks) Gateways(name string) []netip.Addr { return n.named(name).Gateways }

// Outbound returns what containers on the network of the name reach of the host's other networks.
func (n *Networks) Outbound(name string) Outbound { return n.named(name).Outbound }

// Same reports whether the name stands for the same network in both.
func (n *Networks) Same(o *Networks, name string) bool {
	a, b := n.named(name), o.named(name)
	return n.ID(name) == o.ID(name) && a.Compose == b.Compose &&
		a.Reach4 == b.Reach4 && a.Reach6 == b.Reach6 && a.Outbound == b.Outbound
}
