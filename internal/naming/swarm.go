package naming

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming/dialect"
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
	in     inPlace   // of its addresses, and of its tasks' at names that it gives
	proxy  bool      // it is a front proxy
	told   []said    // by labels for other tools
}

// Service returns what the service and each of its tasks contribute to the zones, the service first, none if it is to be left out,
// why it has no names, if it has none, and the names that it does not get, with the reasons.
func (r *Rules) Service(s *container.Service, around *Surroundings) ([]*zone.Entry, LeftOut, []Skipped) {
	var refused refusals
	labels := maps.Clone(s.ContainerLabels)
	if labels == nil {
		labels = map[string]string{}
	}
	for _, key := range containersOwn { // they are for names of the tasks' containers
		delete(labels, r.labelPrefix()+key)
	}
	maps.Copy(labels, s.Labels)
	told := r.Tools.read(&dialect.Facts{Name: s.Name, Labels: s.Labels})
	l := r.labels(r.withSettings(labels, told), &refused)
	proxy := r.Tools.isProxy(s.Name, s.Short(), s.Stack)
	if l.leftOut != LetIn && !proxy {
		return nil, l.leftOut, refused.all()
	}
	of := &service{Service: s, Surroundings: around, rules: r, labels: l, own: zone.NoPart, proxy: proxy, told: told}
	if r.Filters.LackOfService(s, func(i int) string { return of.networkName(&s.Networks[i]) }) != "" {
		if !proxy {
			return nil, Filtered, nil
		}
		l.leftOut = Filtered
	}
	if len(s.VIPs()) > 0 || s.Mesh() {
		of.own = zone.Whole
	}
	entries := []*zone.Entry{of.entry(&refused)}
	for i := range s.Tasks {
		var known refusals // with the service's
		entries = append(entries, of.task(&s.Tasks[i], &known))
	}
	left := l.leftOut
	if left == LetIn && len(entries[0].Claims) == 0 {
		left = NoName
	}
	return entries, left, refused.all()
}

// containersOwn are labels that say what is answered for a container's own names.
var containersOwn = []string{labelAddress, labelCNAME, labelHost, labelRecords, labelWildcard}

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
	s.front(e, s.own)
	if s.labels.leftOut != LetIn {
		return e
	}
	all := namer{rules: s.rules, refused: refused}
	for _, source := range s.rules.Sources {
		switch source {
		case Swarm:
			s.addNames(&all, s.own)
			s.addTaskNames(&all, zone.NoPart, missing(s.Service)...)
		case Label:
			s.addHosts(&all, s.labels.host, s.own)
		}
	}
	c := &subject{Container: &container.Container{Name: s.Name}, rules: s.rules, labels: s.labels, told: s.told, refused: refused}
	proxied := s.rules.addTools(&all, s.told, s.own)
	claims := s.rules.fronted(all.labelled(s.labels), proxied, s.labels.ttl)
	var ports []port
	for _, p := range s.Ports {
		ports = addPort(ports, p, p.Mesh)
	}
	s.in = s.rules.inPlace(s.labels, append(slices.Clip(claims), s.tasksClaims()...), refused)
	e.Claims = s.answered(s.in, claims, ports, claims)
	if s.counts(Label) {
		e.Claims = append(e.Claims, s.rules.records(c, claims, s.in.cname != "")...)
	}
	if s.in.cname == "" {
		e.Claims = append(e.Claims, s.rules.toolRecords(c, claims)...)
	}
	return e
}

// tasksClaims returns claims to all names of the tasks that serve.
func (s *service) tasksClaims() []zone.Claim {
	var refused refusals // with the tasks'
	all := namer{rules: s.rules, refused: &refused}
	if s.counts(Swarm) {
		for i := range s.Tasks {
			s.addTaskNames(&all, zone.Whole, slot(&s.Tasks[i]))
		}
	}
	return all.labelled(s.labels)
}

// answered returns the claims with what labels put in place of their addresses, and those to the ports' names where nothing is:
// known are the claims by which the ports' targets are known best.
func (s *service) answered(in inPlace, claims []zone.Claim, ports []port, known []zone.Claim) []zone.Claim {
	all := in.replace(s.rules, claims)
	if !in.any() {
		all = append(all, s.services(ports, claims, known)...)
	}
	return all
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
	s.front(e, part)
	if s.labels.leftOut != LetIn {
		return e
	}
	all := namer{rules: s.rules, refused: refused}
	for _, source := range s.rules.Sources {
		switch source {
		case Swarm:
			s.addTaskNames(&all, zone.Whole, slot(t))
			s.addNames(&all, part)
		case Label:
			s.addHosts(&all, s.labels.host, part)
		}
	}
	s.rules.addTools(&all, s.told, part) // what proxies serve is the service's
	claims := all.labelled(s.labels)
	var ports []port
	for _, p := range s.Ports {
		ports = addPort(ports, p, false)
	}
	for _, p := range t.Ports {
		ports = addPort(ports, p, true)
	}
	e.Claims = s.answered(s.in, claims, ports, claims)
	if c == nil { // else the container has the names
		e.Claims = append(e.Claims, s.containerNames(ports, e.Claims, refused)...)
	}
	return e
}

// front has the entry answer with the part for what others have proxied, if the service is a front proxy.
func (s *service) front(e *zone.Entry, part zone.Part) {
	if s.proxy && part != zone.NoPart {
		e.Front = &zone.Claim{Part: part}
	}
}

// containerNames returns the claims to the names that the labels of its tasks' containers give.
func (s *service) containerNames(ports []port, have []zone.Claim, refused *refusals) []zone.Claim {
	told := s.rules.Tools.read(&dialect.Facts{Name: s.Name, Labels: s.ContainerLabels})
	l := s.rules.labels(s.rules.withSettings(s.ContainerLabels, told), refused)
	all := namer{rules: s.rules, refused: refused}
	if s.counts(Label) {
		s.addHosts(&all, l.host, zone.Whole)
	}
	proxied := s.rules.addTools(&all, told, zone.Whole)
	claims := s.rules.fronted(all.labelled(l), proxied, l.ttl)
	return s.answered(s.rules.inPlace(l, claims, refused), claims, ports, append(slices.Clip(have), claims...))
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
	is := func(o *container.ServiceNetwork, name string) bool {
		full := s.networkName(o)
		return full == name || s.Stack != "" && full == s.Stack+"_"+name
	}
	if chosen := s.labels.network; chosen != nil {
		for i := range s.Networks {
			if is(&s.Networks[i], *chosen) {
				return is(n, *chosen)
			}
		}
	}
	return len(s.rules.Networks) == 0 || slices.ContainsFunc(s.rules.Networks, func(name string) bool { return is(n, name) })
}

func (s *service) counts(source Source) bool { return slices.Contains(s.rules.Sources, source) }

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
// name's part. The target is the first of the known names in the zone that answers with addresses.
func (s *service) services(ports []port, have, known []zone.Claim) (claims []zone.Claim) {
	targets := map[string][]string{}
	for i := range known {
		if c := &known[i]; plain(c) && c.Part == zone.Whole {
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
