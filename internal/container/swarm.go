package container

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// SwarmID tells Swarms apart: what its managers call it, or of a worker that no manager speaks for "worker:" and its node's ID.
type SwarmID string

// Host returns what stands for the Swarm where there are hosts: it tells of its services as they of their containers. The zero
// SwarmID's stands for all Swarms.
func (id SwarmID) Host() HostID { return HostID("swarm:" + id) }

// Service is what a Swarm says of one of its services, and of its tasks that serve. A Service that has been handed on is never
// changed: a new state is a new Service.
type Service struct {
	Swarm SwarmID
	ID    string // told by no other Swarm; see Partial
	Name  string
	// Stack is the stack that has made it, "" if none has: then Name begins with it and an underscore.
	Stack  string
	Labels map[string]string // of the service itself: a Compose file's deploy.labels
	// ContainerLabels are those that each of its tasks' containers has.
	ContainerLabels map[string]string
	// RoundRobin is set if its endpoint mode is dnsrr: it has no virtual addresses, and tasks answer for it.
	RoundRobin bool
	Replicas   int              // how many tasks it is to have; 0 for a global one
	Networks   []ServiceNetwork // by ID
	Ports      []ServicePort    // that it publishes, by protocol, number and published port
	Tasks      []Task           // that serve, by slot, node and ID
	// Partial is set for what a worker's networks tell of it. Then its ID is none of Docker's, its Stack, labels, Ports and aliases
	// are not known, and its tasks are those with an address on a network that the worker has.
	Partial bool
}

// ServiceNetwork is a service's connection to a network that all its tasks are on.
type ServiceNetwork struct {
	ID      string // the network's, as an engine's Network has it that Spans
	Name    string // "" if it is not known
	Aliases []string
	VIPs    []netip.Addr // virtual addresses, behind which its tasks stand: one of a family at most, IPv4 first
	Ingress bool         // it is the routing mesh's, on which nobody is a neighbour
}

// ServicePort is a port that a service publishes.
type ServicePort struct {
	Number    uint16 // of its tasks
	Proto     string // tcp, udp or sctp
	Published uint16 // of the nodes
	Mesh      bool   // each ready node takes it, and leads to a task; else nodes with a task do
}

// Task is one of a service's that serves: it runs, its health check has not failed, and nobody wants it to end.
type Task struct {
	ID        string
	Slot      int    // from 1 on; 0 for one of a global service
	Node      string // the ID of the node that it runs on
	Container string // the ID of its container; "" if only its connections' IDs are known
	// Connections are those to networks, but not the host's own, by network ID.
	Connections []TaskConnection
	// Ports are those that its node publishes for it alone, in mode host, by protocol and number.
	Ports []ServicePort
	// HostNetwork is set if it has its node's network as its own.
	HostNetwork bool
}

// TaskConnection is a task's, or an Attached container's, to a network.
type TaskConnection struct {
	Network string       // ID
	ID      string       // as an engine's Endpoint has it; "" if it is not known
	Addrs   []netip.Addr // one of a family at most, IPv4 first
}

// Attached is a container on an attachable network that is no task's. A Swarm's managers know nothing of these.
type Attached struct {
	Swarm SwarmID
	Name  string
	Node  netip.Addr // by which other nodes reach its node
	TaskConnection
}

// Node is a machine of a Swarm.
type Node struct {
	Swarm SwarmID
	ID    string
	Host  HostID     // that has its engine; "" if we don't watch it
	Name  string     // its host name
	Addr  netip.Addr // by which other nodes reach it; the zero Addr if it is not known
	// Ready is set while its managers hear from it. It takes the mesh's ports then, also if it gets no tasks.
	Ready bool
}

// ServiceChange is the new state of one service. Service is nil when it has been removed.
type ServiceChange struct {
	ID      string
	Service *Service
}

// SwarmState says whether what is known of a Swarm is what its managers say.
type SwarmState struct {
	Swarm   SwarmID
	Current bool
	Since   time.Time // by our clock
}

// Equal reports whether s and o are the same facts.
func (s *Service) Equal(o *Service) bool {
	return s.Swarm == o.Swarm && s.ID == o.ID && s.Name == o.Name && s.Stack == o.Stack &&
		s.RoundRobin == o.RoundRobin && s.Replicas == o.Replicas && s.Partial == o.Partial &&
		maps.Equal(s.Labels, o.Labels) && maps.Equal(s.ContainerLabels, o.ContainerLabels) &&
		slices.EqualFunc(s.Networks, o.Networks, ServiceNetwork.equal) &&
		slices.Equal(s.Ports, o.Ports) && slices.EqualFunc(s.Tasks, o.Tasks, Task.equal)
}

func (n ServiceNetwork) equal(o ServiceNetwork) bool {
	return n.ID == o.ID && n.Name == o.Name && n.Ingress == o.Ingress &&
		slices.Equal(n.Aliases, o.Aliases) && slices.Equal(n.VIPs, o.VIPs)
}

func (t Task) equal(o Task) bool {
	return t.ID == o.ID && t.Slot == o.Slot && t.Node == o.Node && t.Container == o.Container && t.HostNetwork == o.HostNetwork &&
		slices.EqualFunc(t.Connections, o.Connections, TaskConnection.Equal) && slices.Equal(t.Ports, o.Ports)
}

// Equal reports whether c and o are the same facts.
func (c TaskConnection) Equal(o TaskConnection) bool {
	return c.Network == o.Network && c.ID == o.ID && slices.Equal(c.Addrs, o.Addrs)
}

// Equal reports whether a and o are the same facts.
func (a Attached) Equal(o Attached) bool {
	return a.Swarm == o.Swarm && a.Name == o.Name && a.Node == o.Node && a.TaskConnection.Equal(o.TaskConnection)
}

// Short returns the service's name in its stack, "" if it is in none.
func (s *Service) Short() string {
	if short, ok := strings.CutPrefix(s.Name, s.Stack+"_"); ok && s.Stack != "" {
		return short
	}
	return ""
}

// VIPs returns the virtual addresses at which the service's neighbours reach it.
func (s *Service) VIPs() (vips []netip.Addr) {
	for i := range s.Networks {
		if !s.Networks[i].Ingress {
			vips = append(vips, s.Networks[i].VIPs...)
		}
	}
	return vips
}

// Mesh reports whether the service publishes ports in the routing mesh.
func (s *Service) Mesh() bool {
	return slices.ContainsFunc(s.Ports, func(p ServicePort) bool { return p.Mesh })
}
