package zone

import (
	"net/netip"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// View is who asks, as far as the answer depends on it. The zero View is the Docker
// host, which reaches all containers.
type View struct {
	Asker Asker
	// Hosts are those that count as the asker's own: the host of the container that asks, or all that the Docker host that
	// asks is. Nil are all.
	Hosts []container.HostID
	// Networks are those of the container that asks, Project and Service Compose's for it. Self are its own addresses.
	Networks         []container.NetworkID
	Self             []Address
	Project, Service string
	Stack            string // of the Swarm's service whose task asks
	// Outbound says what the container that asks reaches of other networks of its host.
	Outbound container.Outbound
	// Families are those of the addresses from which it does so. None are not known, and stand for both.
	Families Families
	// Outside are the families by which the asker's host reaches other hosts. None are not known, and stand for both.
	Outside Families
	// Isolate hides from a container that asks what shares no network with it.
	Isolate bool
	// Server may be nil: then what only it knows is not answered.
	Server Server

	why *verdicts // nil unless they are to be noted
}

// local reports whether the asker counts as the container's host, or is on it. A Swarm's service is on all hosts.
func (v *View) local(entry *Entry) bool {
	return v.Hosts == nil || slices.Contains(v.Hosts, entry.Host) || entry.IsService()
}

// ofProject reports whether the container is of the asker's Compose project, which is one host's, or of its stack, which is a
// Swarm's.
func (v *View) ofProject(entry *Entry) bool {
	if entry.Swarm != nil {
		return v.Stack != "" && v.Stack == entry.Project
	}
	return v.Project != "" && v.Project == entry.Project && v.local(entry)
}

// member reports whether the asker is of a project or stack.
func (v *View) member() bool { return v.Project != "" || v.Stack != "" }

// well reports whether the container is well, as the view has it: members of a Compose
// service need to find each other before they can be healthy.
func (v *View) well(entry *Entry) bool {
	peers := v.Service != "" && v.Service == entry.Service && v.ofProject(entry)
	return !entry.Draining && (!entry.Sick || peers)
}

// itself reports whether the entry is the container that asks, or one that has joined its network.
func (v *View) itself(entry *Entry) bool { return slices.ContainsFunc(entry.Addresses, v.has) }

// has reports whether the container that asks has the address.
func (v *View) has(a Address) bool {
	return slices.ContainsFunc(v.Self, func(o Address) bool { return o.IP == a.IP && o.Network == a.Network })
}

// among reports whether the claim is for one of the networks of the container that asks, or its own.
func (v *View) among(c *claimant) bool { return c.on(v.Networks) || v.itself(c.entry) }

// Families are families of addresses.
type Families uint8

// The families.
const (
	IPv4 Families = 1 << iota
	IPv6
)

// FamilyOf returns the address's family.
func FamilyOf(ip netip.Addr) Families {
	if ip.Is4() {
		return IPv4
	}
	return IPv6
}

// Asker is a kind of who asks.
type Asker uint8

// The kinds of askers.
const (
	Host      Asker = iota // the Docker host itself
	Container              // a container of its engine
	Elsewhere              // the LAN and all others
)

// Server is what a name server knows of itself and its surroundings. Few answers need
// it, so it is asked only for these.
type Server interface {
	// Addrs returns the addresses at which the asker reaches the server: those of our
	// name server's name.
	Addrs() []netip.Addr
	// Gateways returns the addresses at which the container that asks, or the host itself,
	// reaches the host.
	Gateways(container.HostID) []netip.Addr
	// HostAddrs returns the addresses at which the host is reached from elsewhere.
	HostAddrs(container.HostID) []netip.Addr
	// Publish reports whether published ports are to be answered for.
	Publish() bool
	// OnBridge reports whether the address lies in a network of the host's containers, which from elsewhere is not reached.
	OnBridge(host container.HostID, ip netip.Addr) bool
}

// Loopback is where the host reaches itself, and so what uses its network if no Server knows better. It must not
// be changed.
var Loopback = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}

// noNetwork is no network's ID.
var noNetwork container.NetworkID
