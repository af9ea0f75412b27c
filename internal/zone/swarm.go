package zone

import (
	"net/netip"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Member is what makes an entry that of a Swarm's service, or of one of its tasks. A service's entry has its virtual addresses,
// and no host: it is on all that are in the Swarm. A task's has its container's addresses, and is on the host of its node.
type Member struct {
	By      container.HostID // stands for the Swarm, which tells of it: how far that can be relied on is a state of this "host"
	Service string           // the service's ID
	Task    bool
	Idle    bool // of a service: none of its tasks serves

	// Node are the addresses at which others reach a task's node, if no engine tells of that host. Else they are the host's.
	Node []netip.Addr
	// Mesh are the nodes that take the ports which a service publishes in the routing mesh. It is nil if there are none of these, or
	// if none of its tasks serves.
	Mesh []MeshNode
}

// MeshNode is a node of a Swarm that takes the ports of the routing mesh.
type MeshNode struct {
	Host  container.HostID // "" if no engine tells of it
	Addrs []netip.Addr     // at which others reach it, unless its host's are known
}

// Part is the part of an entry's addresses with which a claim answers.
type Part uint8

// The parts. Each has all that the later ones have.
const (
	Whole Part = iota // all addresses
	// HostPart are those that its host reaches, as that on docker_gwbridge, and the ports that it publishes: on the networks of a
	// Swarm's service its virtual address answers, and not its tasks'.
	HostPart
	NoPart // none: the name exists, and others have its addresses
)

// has reports whether the address belongs to the part.
func (p Part) has(a Address) bool {
	return p == Whole || p == HostPart && a.Reach&container.OffHost == 0
}

// partClaims stand for the right to a part of an entry, by name.
var partClaims = [...]Claim{Whole: {}, HostPart: {Part: HostPart}, NoPart: {Part: NoPart}}

// ToldBy returns the host, or what stands for the Swarm, of which the entry is known.
func (entry *Entry) ToldBy() container.HostID {
	if entry.Swarm != nil {
		return entry.Swarm.By
	}
	return entry.Host
}

// IsService reports whether the entry is a Swarm's service's.
func (entry *Entry) IsService() bool { return entry.Swarm != nil && !entry.Swarm.Task }

// SameService reports whether both are of one service of a Swarm's, as it and its tasks are.
func (entry *Entry) SameService(o *Entry) bool {
	return entry.Swarm != nil && o.Swarm != nil && entry.Swarm.Service != "" &&
		entry.Swarm.By == o.Swarm.By && entry.Swarm.Service == o.Swarm.Service
}

// idle reports whether the entry is that of a service of which no task serves.
func (entry *Entry) idle() bool { return entry.IsService() && entry.Swarm.Idle }

// meshed reports whether nodes take ports of the entry's service for it.
func (entry *Entry) meshed() bool { return entry.Swarm != nil && len(entry.Swarm.Mesh) > 0 }

// mesh adds where the asker reaches the ports that the name's services publish in the routing mesh: nobody gives an address of
// their own.
func (n *node) mesh(all []reached, v *View, g guard) []reached {
	for i := range n.claims[:n.winners] {
		if c := &n.claims[i]; c.entry.meshed() && c.claim.Part == Whole && g.usable(c, v) {
			all = v.mesh(all, c.entry)
		}
	}
	for _, c := range n.front.list() {
		if c.claim.Part == Whole {
			all = v.mesh(all, c.entry)
		}
	}
	return all
}

// mesh adds the nodes at which the asker reaches the ports of the service in the routing mesh: its own host if that is one, else
// all others, if ports are to be answered for there. The mesh takes no IPv6.
func (v *View) mesh(all []reached, entry *Entry) []reached {
	if !entry.meshed() || v.confined() {
		return all
	}
	before := len(all)
	for _, n := range entry.Swarm.Mesh {
		if v.isOn(n) {
			all = v.atNode(all, entry, v.gateways(n.Host), 0)
		}
	}
	if len(all) > before || v.Server != nil && !v.Server.Publish() {
		return all
	}
	for _, n := range entry.Swarm.Mesh {
		if v.isOn(n) {
			continue
		}
		ips := n.Addrs
		if n.Host != "" && v.Server != nil {
			if known := v.Server.HostAddrs(n.Host); len(known) > 0 {
				ips = known
			}
		}
		all = v.atNode(all, entry, ips, v.Outside)
	}
	return all
}

// isOn reports whether the asker is on the node, or counts as its host.
func (v *View) isOn(n MeshNode) bool {
	return v.Asker != Elsewhere && n.Host != "" && (v.Hosts == nil || slices.Contains(v.Hosts, n.Host))
}

// atNode adds those of a node's addresses at which the asker reaches the ports of the routing mesh, by the families by which its
// host reaches the node.
func (v *View) atNode(all []reached, entry *Entry, ips []netip.Addr, by Families) []reached {
	for _, ip := range ips {
		if ip.Is4() && v.speaks(ip) && by.has(ip) && !slices.ContainsFunc(all, func(r reached) bool { return r.ip == ip && r.entry == entry }) {
			all = append(all, reached{ip, entry, hostPorts})
		}
	}
	return all
}

// unmeshed says what keeps the ports of the service in the routing mesh from the asker, who reaches none of its nodes.
func (v *View) unmeshed(entry *Entry) Hindrance {
	switch {
	case !entry.meshed():
		return NoPorts
	case v.confined():
		return Confined
	case v.Server != nil && !v.Server.Publish():
		return NotToPublish
	default:
		return NoHostAddr
	}
}

// inPlace says why the service or task does not answer by these claims of its where others of the service do, or could. Else it is
// Answers, as for all that is none of a Swarm's.
func (entry *Entry) inPlace(claims []claimant, all []reached) Reason {
	if entry.Swarm == nil || slices.ContainsFunc(claims, func(c claimant) bool { return c.claim.Records() != nil }) {
		return Answers
	}
	least := NoPart
	for i := range claims {
		least = min(least, claims[i].claim.Part)
	}
	others := func(r reached) bool { return r.entry != entry && r.entry.SameService(entry) }
	switch {
	case entry.idle():
		return NoTask
	case least == NoPart, least == HostPart && slices.ContainsFunc(all, others) && !slices.ContainsFunc(all, func(r reached) bool { return r.entry == entry }):
		return ByOthers
	default:
		return Answers
	}
}

// unlessMesh returns the claims without those of a Swarm's service that is reached by the routing mesh alone where its tasks are: the
// addresses of its name are theirs then, and ports go with addresses.
func unlessMesh(v *View, claims []claimant) []claimant {
	all := slices.Clone(claims)
	return slices.DeleteFunc(claims, func(c claimant) bool {
		tasks := func(o claimant) bool { return o.entry != c.entry && o.entry.SameService(c.entry) }
		if !c.entry.meshed() || !slices.ContainsFunc(all, tasks) || c.entry.virtual(v) {
			return false
		}
		if v.why != nil {
			v.why.out(c.entry, ByOthers)
		}
		return true
	})
}

// virtual reports whether the view reaches the service at a virtual address.
func (entry *Entry) virtual(v *View) bool {
	return v.Asker == Container && len(v.shared(nil, guard{}, []claimant{{entry, noClaim}})) > 0
}

// near reports whether the entry is on the asker's host, or on its networks as one of a Swarm's: which of these answer is the
// Swarm's matter, and not that of the hosts on which they are.
func (v *View) near(entry *Entry) bool {
	return v.local(entry) || entry.Swarm != nil && v.Asker == Container && entry.on(v.Networks)
}

// means reports whether the claim says what its name means where the asker is: one of its host's does, and on its networks one of a
// Swarm's, whose tasks have their aliases on all nodes.
func (v *View) means(c *claimant) bool {
	return v.local(c.entry) || c.entry.Swarm != nil && v.Asker == Container && c.on(v.Networks)
}
