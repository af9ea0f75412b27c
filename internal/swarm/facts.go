package swarm

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// lists is what a manager has answered. They are not of one moment: tasks are asked for first, so that a task's service is known. Where
// tasks alone were asked for, the others are the same manager's, and no event has told of a change since.
type lists struct {
	tasks    *list[jsonTask]
	services *list[jsonService]
	nodes    *list[jsonNode]
}

// facts are what is known of a Swarm. Those that have been handed on are never changed.
type facts struct {
	services map[string]*container.Service // by ID
	nodes    []container.Node              // by ID, but for their Hosts
	networks map[string]network            // that services or tasks tell of, by ID
}

type network struct {
	name    string
	ingress bool
	host    bool // it is the nodes' own
}

// read returns the facts of a Swarm of which these were known before.
func (f facts) read(swarm container.SwarmID, l lists) facts {
	now := facts{
		services: make(map[string]*container.Service, len(l.services.all)),
		nodes:    nodes(swarm, l.nodes, f.nodes),
		networks: networks(l, f.networks),
	}
	down := map[string]bool{}
	for i := range l.nodes.all {
		if n := &l.nodes.all[i]; n.Status.State == "down" {
			down[n.ID] = true
		}
	}
	tasks := map[string][]container.Task{}
	for i := range l.tasks.all {
		if t := &l.tasks.all[i]; t.serves() && !down[t.NodeID] {
			tasks[t.ServiceID] = append(tasks[t.ServiceID], t.facts())
		}
	}
	for i := range l.services.all {
		s := l.services.all[i].facts(swarm, now.networks)
		s.Tasks = tasks[s.ID]
		slices.SortFunc(s.Tasks, func(a, b container.Task) int {
			return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Node, b.Node), cmp.Compare(a.ID, b.ID))
		})
		if before := f.services[s.ID]; before != nil && before.Equal(s) {
			s = before
		}
		now.services[s.ID] = s
	}
	return now
}

// changes returns the changes of services between two states, by ID.
func changes(before, now map[string]*container.Service) (changes []container.ServiceChange) {
	for id := range before {
		if now[id] == nil {
			changes = append(changes, container.ServiceChange{ID: id})
		}
	}
	for id, s := range now {
		if old := before[id]; old != s && (old == nil || !old.Equal(s)) {
			changes = append(changes, container.ServiceChange{ID: id, Service: s})
		}
	}
	slices.SortFunc(changes, func(a, b container.ServiceChange) int { return cmp.Compare(a.ID, b.ID) })
	return changes
}

// serves reports whether the task's container runs, is not ill, and is to go on. Before its check has found it healthy a task
// is starting, and when it finds it ill the task fails.
func (t *jsonTask) serves() bool { return t.DesiredState == "running" && t.Status.State == "running" }

func (t *jsonTask) facts() container.Task {
	c := container.Task{
		ID: t.ID, Slot: t.Slot, Node: t.NodeID, Container: t.Status.ContainerStatus.ContainerID,
		Ports: ports(t.Status.PortStatus.Ports, func(p container.ServicePort) bool { return !p.Mesh }),
	}
	for i := range t.NetworksAttachments {
		a := &t.NetworksAttachments[i]
		if a.hosts() {
			c.HostNetwork = true
		} else if a.Network.ID != "" {
			c.Connections = append(c.Connections, container.TaskConnection{Network: a.Network.ID, Addrs: addrs(a.Addresses...)})
		}
	}
	slices.SortFunc(c.Connections, func(a, b container.TaskConnection) int { return cmp.Compare(a.Network, b.Network) })
	return c
}

// hosts reports whether the network is the nodes' own.
func (a *jsonAttachment) hosts() bool {
	return a.Network.Spec.Name == "host" && a.Network.Spec.DriverConfiguration.Name == "host"
}

// stackLabel is on what a stack has made.
const stackLabel = "com.docker.stack.namespace"

func (s *jsonService) facts(swarm container.SwarmID, networks map[string]network) *container.Service {
	c := &container.Service{
		Swarm: swarm, ID: s.ID, Name: s.Spec.Name,
		Labels: labels(s.Spec.Labels), ContainerLabels: labels(s.Spec.TaskTemplate.ContainerSpec.Labels),
		RoundRobin: s.Spec.EndpointSpec.Mode == "dnsrr", Replicas: max(0, s.Spec.Mode.Replicated.Replicas),
		Ports: ports(s.Endpoint.Ports, func(container.ServicePort) bool { return true }),
	}
	if stack := s.Spec.Labels[stackLabel]; stack != "" && strings.HasPrefix(c.Name, stack+"_") {
		c.Stack = stack
	}
	for _, n := range slices.Concat(s.Spec.TaskTemplate.Networks, s.Spec.Networks) {
		on := s.on(c, n.Target, networks)
		if on == nil {
			continue
		}
		for _, alias := range n.Aliases[:min(len(n.Aliases), maxAliases)] {
			if len(alias) <= maxName && !slices.Contains(on.Aliases, alias) {
				on.Aliases = append(on.Aliases, alias)
			}
		}
		slices.Sort(on.Aliases)
	}
	for _, v := range s.Endpoint.VirtualIPs {
		if on := s.on(c, v.NetworkID, networks); on != nil {
			on.VIPs = addrs(append(texts(on.VIPs), v.Addr)...)
		}
	}
	slices.SortFunc(c.Networks, func(a, b container.ServiceNetwork) int { return cmp.Compare(a.ID, b.ID) })
	return c
}

func texts(addrs []netip.Addr) (texts []string) {
	for _, ip := range addrs {
		texts = append(texts, ip.String())
	}
	return texts
}

// on returns the service's connection to the network, nil for the nodes' own or none. It is good until the next call.
func (s *jsonService) on(c *container.Service, id string, networks map[string]network) *container.ServiceNetwork {
	if n, ok := networks[id]; id == "" || ok && n.host {
		return nil
	}
	i := slices.IndexFunc(c.Networks, func(n container.ServiceNetwork) bool { return n.ID == id })
	if i < 0 {
		i = len(c.Networks)
		n := networks[id]
		c.Networks = append(c.Networks, container.ServiceNetwork{ID: id, Name: n.name, Ingress: n.ingress})
	}
	return &c.Networks[i]
}

// networks returns the networks of services. Only tasks tell what they are: of one that has none now what was known counts.
func networks(l lists, before map[string]network) map[string]network {
	now := map[string]network{}
	keep := func(id string) {
		if n, ok := before[id]; ok {
			now[id] = n
		}
	}
	for i := range l.services.all {
		s := &l.services.all[i]
		for _, n := range slices.Concat(s.Spec.TaskTemplate.Networks, s.Spec.Networks) {
			keep(n.Target)
		}
		for _, v := range s.Endpoint.VirtualIPs {
			keep(v.NetworkID)
		}
	}
	for i := range l.tasks.all {
		for j := range l.tasks.all[i].NetworksAttachments {
			a := &l.tasks.all[i].NetworksAttachments[j]
			now[a.Network.ID] = network{a.Network.Spec.Name, a.Network.Spec.Ingress, a.hosts()}
		}
	}
	delete(now, "")
	return now
}

// nodes returns the nodes, by ID. Of one that a new leader has not heard from yet what was known counts.
func nodes(swarm container.SwarmID, l *list[jsonNode], before []container.Node) []container.Node {
	ready := map[string]bool{}
	for i := range before {
		ready[before[i].ID] = before[i].Ready
	}
	all := make([]container.Node, 0, len(l.all))
	for i := range l.all {
		n := &l.all[i]
		was, known := ready[n.ID]
		all = append(all, container.Node{
			Swarm: swarm, ID: n.ID, Name: n.Description.Hostname, Addr: n.addr(),
			Ready: n.Status.State == "ready" || n.Status.State == "unknown" && (was || !known),
		})
	}
	slices.SortFunc(all, func(a, b container.Node) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// addr returns the node's address. A leader may know itself by none, or by its loopback.
func (n *jsonNode) addr() netip.Addr {
	manager, _ := netip.ParseAddrPort(n.ManagerStatus.Addr)
	for _, ip := range addrs(n.Status.Addr, manager.Addr().String()) {
		return ip
	}
	return netip.Addr{}
}

func comparePorts(a, b container.ServicePort) int {
	return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Number, b.Number), cmp.Compare(a.Published, b.Published), cmp.Compare(truth(a.Mesh), truth(b.Mesh)))
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// marks are the versions of what a Swarm's managers have told. They can tell that an answer is older than another.
type marks struct {
	of   map[string]uint64 // by the object's ID
	most uint64
}

// read returns the marks of a list, and whether it is older than that with these: then an object has a version of before, as it
// has if it is unknown and yet not the newest. Each change takes a greater version than all before, and a list has all of a change or nothing.
func read[T any, P interface {
	*T
	object
}](m marks, l *list[T]) (now marks, older bool) {
	now = marks{make(map[string]uint64, len(l.all)), m.most}
	for i := range l.all {
		id, index := P(&l.all[i]).version()
		was, known := m.of[id]
		older = older || known && index < was || !known && index <= m.most
		now.of[id] = index
		now.most = max(now.most, index)
	}
	return now, older
}
