package naming

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Surroundings are what is known around the services of a Swarm.
type Surroundings struct {
	By    container.HostID           // stands for the Swarm
	Nodes map[string]*container.Node // by ID
	Mesh  []zone.MeshNode            // that take the ports of the routing mesh
	// Seen returns the task's container, and the networks of its host, if an engine has told of it; else nil.
	Seen func(*container.Task) (*container.Networks, *container.Container)
	// Network returns the network of the ID as a host's engine has it, nil if none has told of it.
	Network func(id string) *container.Network
}

// service is the service that is being named, with what its names need.
type service struct {
	*container.Service
	*Surroundings
	rules  *Rules
	labels *labels
	own    zone.Part // with what the service itself answers for its names
}

// Service returns what the service and each of its tasks contribute to the zones, the service first, none if it is to be left out,
// why it has no names, if it has none, and the names that it does not get, with the reasons.
func (r *Rules) Service(s *container.Service, around *Surroundings) ([]*zone.Entry, LeftOut, []Skipped) {
	var refused refusals
	labels := maps.Clone(s.ContainerLabels)
	if labels == nil {
		labels = map[string]string{}
	}
	delete(labels, r.labelPrefix()+labelHost) // are names of the tasks' containers
	delete(labels, r.labelPrefix()+labelRecords)
	maps.Copy(labels, s.Labels)
	l := r.labels(labels, &refused)
	if l.leftOut != LetIn {
		return nil, l.leftOut, refused.all()
	}
	of := &service{Service: s, Surroundings: around, rules: r, labels: l, own: zone.NoPart}
	if len(s.VIPs()) > 0 || s.Mesh() {
		of.own = zone.Whole
	}
	entries := []*zone.Entry{of.entry(&refused)}
	for i := range s.Tasks {
		var known refusals // with the service's
		entries = append(entries, of.task(&s.Tasks[i], &known))
	}
	left := LetIn
	if len(entries[0].Claims) == 0 {
		left = NoName
	}
	return entries, left, refused.all()
}

// base is what the entries of the service and of its tasks have in common.
func (s *service) base() *zone.Entry {
	return &zone.Entry{
		Project: s.Stack, RequireWell: s.labels.health == RequireHealth, TTL: s.labels.ttl, OwnTTL: s.labels.ownTTL,
		Swarm: &zone.Member{By: s.By, Service: s.ID},
	}
}

// entry is the service's own. Its addresses are those behind which its tasks stand, as long as one serves.
func (s *service) entry(refused *refusals) *zone.Entry {
	e := s.base()
	e.Key, e.Name = zone.Key{Host: s.By, ID: s.ID}, s.Name
	e.Swarm.Idle = len(s.Tasks) == 0
	for i := range s.Networks {
		n := &s.Networks[i]
		id := container.SpanningNetwork(n.ID)
		if n.Ingress || !s.wanted(n) {
			continue
		}
		e.Networks = append(e.Networks, id)
		for _, ip := range n.VIPs {
			if !e.Swarm.Idle {
				e.Addresses = append(e.Addresses, zone.Address{IP: ip, Network: id, Reach: s.reach(n.ID, ip)})
			}
		}
	}
	if s.Service.Mesh() && !e.Swarm.Idle {
		e.Swarm.Mesh = s.Surroundings.Mesh
	}
	all := namer{rules: s.rules, refused: refused}
	if s.counts(Swarm) {
		s.addNames(&all, s.own)
		s.addTaskNames(&all, zone.NoPart, missing(s.Service)...)
	}
	if s.counts(Label) {
		s.addHosts(&all, s.labels.host, s.own)
	}
	c := &subject{Container: &container.Container{Name: s.Name}, rules: s.rules, labels: s.labels, refused: refused}
	claims := all.claims().list
	var ports []port
	for _, p := range s.Ports {
		ports = addPort(ports, p, p.Mesh)
	}
	e.Claims = append(claims, s.services(ports, claims)...)
	if s.counts(Label) {
		e.Claims = append(e.Claims, s.rules.records(c, claims)...)
	}
	return e
}

// task is a task's own entry: it is reached where its container is.
func (s *service) task(t *container.Task, refused *refusals) *zone.Entry {
	e := s.base()
	e.ID, e.Name = t.ID, s.Name
	if name := slot(t); name != "" {
		e.Name += "." + name
	}
	e.Swarm.Task, e.HostNetwork = true, t.HostNetwork
	on, c := s.Seen(t)
	if c != nil {
		e.Host = on.Host()
		e.Networks, e.Addresses = s.rules.addresses(on, c, s.labels, refused)
		e.Sick, e.Draining = s.labels.health != IgnoreHealth && c.Health == container.Unhealthy, c.Paused || c.Stopping
	} else {
		s.place(e, t)
	}
	if len(t.Ports) > 0 {
		e.Published = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	part := zone.HostPart
	if s.own == zone.NoPart {
		part = zone.Whole
	}
	all := namer{rules: s.rules, refused: refused}
	if s.counts(Swarm) {
		s.addTaskNames(&all, zone.Whole, slot(t))
		s.addNames(&all, part)
	}
	if s.counts(Label) {
		s.addHosts(&all, s.labels.host, part)
		if c == nil { // else the container has the names
			s.addHosts(&all, s.ContainerLabels[s.rules.labelPrefix()+labelHost], zone.Whole)
		}
	}
	claims := all.claims().list
	var ports []port
	for _, p := range s.Ports {
		ports = addPort(ports, p, false)
	}
	for _, p := range t.Ports {
		ports = addPort(ports, p, true)
	}
	e.Claims = append(claims, s.services(ports, claims)...)
	return e
}

// place notes where a task is whose container no engine has told of.
func (s *service) place(e *zone.Entry, t *container.Task) {
	node := cmp.Or(s.Nodes[t.Node], &container.Node{ID: t.Node})
	if e.Host = node.Host; e.Host == "" {
		e.Host = "node:" + container.HostID(node.ID)
		if node.Addr.IsValid() {
			e.Swarm.Node = []netip.Addr{node.Addr}
		}
	}
	s.connect(e, t.Connections)
}

// connect gives the entry the addresses of the connections.
func (s *service) connect(e *zone.Entry, connections []container.TaskConnection) {
	for _, to := range connections {
		i := slices.IndexFunc(s.Networks, func(n container.ServiceNetwork) bool { return n.ID == to.Network })
		if i >= 0 && (s.Networks[i].Ingress || !s.wanted(&s.Networks[i])) {
			continue
		}
		id := container.SpanningNetwork(to.Network)
		e.Networks = append(e.Networks, id)
		for _, ip := range to.Addrs {
			e.Addresses = append(e.Addresses, zone.Address{IP: ip, Network: id, Reach: s.reach(to.Network, ip)})
		}
	}
}

// reach returns who reaches an address on the network. One that no engine has told of is an overlay.
func (s *service) reach(network string, ip netip.Addr) container.Reach {
	if n := s.Network(network); n != nil {
		return n.Reach(ip)
	}
	return container.OffHost
}

// wanted reports whether addresses on the network count: where the label names one of the service's, that alone; else those of the
// Corefile, or all.
func (s *service) wanted(n *container.ServiceNetwork) bool {
	is := func(name string) bool { return n.Name == name || s.Stack != "" && n.Name == s.Stack+"_"+name }
	if chosen := s.labels.network; chosen != nil && slices.ContainsFunc(s.Networks, func(o container.ServiceNetwork) bool {
		return o.Name == *chosen || s.Stack != "" && o.Name == s.Stack+"_"+*chosen
	}) {
		return is(*chosen)
	}
	return len(s.rules.Networks) == 0 || slices.ContainsFunc(s.rules.Networks, is)
}

func (s *service) counts(source Source) bool { return slices.Contains(s.rules.Sources, source) }

// addNames adds the names of the service, and its aliases on each network, as those of containers.
func (s *service) addNames(all *namer, part zone.Part) {
	all.add(Swarm, name{text: s.Name, rank: zone.ByService, part: part})
	if short := s.Short(); short != "" {
		all.add(Swarm, name{text: short + "." + s.Stack, rank: zone.ByService, composed: true, part: part})
	}
	n := 0
	for i := range s.Networks {
		on := &s.Networks[i]
		network := container.SpanningNetwork(on.ID)
		for _, alias := range on.Aliases {
			if n++; n > maxAliases {
				all.refused.add(Skipped{Source: Swarm, Name: alias, Reason: "more than " + strconv.Itoa(maxAliases) + " aliases"})
				return
			}
			all.add(Swarm, name{text: unrooted(alias), rank: zone.Shared, network: network, bare: true, part: part})
			if on.Name != "" {
				all.add(Swarm, name{text: unrooted(alias) + "." + on.Name, rank: zone.ByProject, network: network, composed: true, part: part})
			}
		}
	}
}

// addTaskNames adds the names of all tasks, and of those in the slots.
func (s *service) addTaskNames(all *namer, part zone.Part, slots ...string) {
	bases := []string{s.Name}
	if short := s.Short(); short != "" {
		bases = append(bases, short+"."+s.Stack)
	}
	for _, of := range bases {
		for _, slot := range slots {
			if slot != "" {
				all.add(Swarm, name{text: slot + "." + of, rank: zone.ByTask, composed: true, part: part})
			}
		}
		all.add(Swarm, name{text: "tasks." + of, rank: zone.ByTask, composed: true, part: part})
	}
}

// addHosts adds the names of a label.
func (s *service) addHosts(all *namer, label string, part zone.Part) {
	for _, n := range all.refused.written(Label, hosts(label)) {
		n.part = part
		all.add(Label, n)
	}
}

// slot is what the task is called below its service: the number of its slot, or for one of a global service its node's ID, as
// {{.Task.Slot}} has it; "" if that is not known.
func slot(t *container.Task) string {
	if t.Slot == 0 {
		return t.Node
	}
	return strconv.Itoa(t.Slot)
}

// maxSlots bounds the slots whose names stay while they have no task that serves.
const maxSlots = 256

// missing are the slots that are to have a task, and of which none serves. Their names stay: another one is about to begin.
func missing(s *container.Service) (slots []string) {
	if len(s.Tasks) >= s.Replicas {
		return nil
	}
	for n := 1; n <= min(s.Replicas, maxSlots); n++ {
		if !slices.ContainsFunc(s.Tasks, func(t container.Task) bool { return t.Slot == n }) {
			slots = append(slots, strconv.Itoa(n))
		}
	}
	return slots
}

// port is a port of a service's, or of a task's, with its number at the nodes, 0 if it is not published there.
type port struct {
	container.Port
	at uint16
}

// addPort adds the port, or where it is published.
func addPort(ports []port, p container.ServicePort, published bool) []port {
	i := slices.IndexFunc(ports, func(o port) bool { return o.Number == p.Number && o.Proto == p.Proto })
	if i < 0 {
		i, ports = len(ports), append(ports, port{Port: container.Port{Number: p.Number, Proto: p.Proto}})
	}
	if published {
		ports[i].at = p.Published
	}
	return ports
}

// services returns the claims to the SRV names of the ports, at each name that stands for the whole service or task, with the
// name's part. The target is the first of these names in the zone that answers with addresses.
func (s *service) services(ports []port, have []zone.Claim) (claims []zone.Claim) {
	targets := map[string][]string{}
	for i := range have {
		if c := &have[i]; plain(c) && c.Part == zone.Whole {
			if z := s.rules.zone(c.Name); len(targets[z]) == 0 {
				targets[z] = []string{c.Name}
			}
		}
	}
	for i := range have {
		c := &have[i]
		if !plain(c) {
			continue
		}
		for _, p := range ports[:min(len(ports), maxPorts)] {
			owner := "_" + portName(p.Port) + "._" + p.Proto + "." + c.Name
			if len(owner)+1 > 255 {
				continue // a name that is long, but good otherwise
			}
			claim := zone.Claim{Name: owner, Rank: c.Rank, Part: zone.NoPart, Bare: c.Bare, Scoped: c.Scoped}
			if to := targets[s.rules.zone(c.Name)]; c.Part != zone.NoPart && len(to) > 0 {
				claim.Part = c.Part
				at := &zone.Service{Targets: to, Port: p.Number, Open: p.at != 0}
				if p.at != 0 {
					at.Published = []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), p.at), netip.AddrPortFrom(netip.IPv6Unspecified(), p.at)}
				}
				claim.Data = &zone.Data{Service: at}
			}
			claims = append(claims, claim)
		}
	}
	return claims
}
