package enginetest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// NetworkSpec says what network to make. Everything but the name may be left out.
type NetworkSpec struct {
	Name   string
	Driver string // bridge if empty; an overlay spans the hosts of a Swarm
	// Subnets are prefixes such as "10.1.0.0/16", "fd00:1::/64": at most one of each family. The first address is the
	// gateway's, or one that is told, as in "192.0.2.5/24". Without any, an IPv4 subnet is chosen as the engine does; with an
	// IPv6 one alone the network has no IPv4.
	Subnets []string
	// Internal and Ingress are what the engine says of the network: there is no way out of it, a Swarm's published ports lead
	// into it.
	Internal, Ingress bool
	// Options are the driver's. Podman says isolate=true for who leaves them nil, as it does of all networks that are made by
	// Docker's API; its own command makes such as have none.
	Options map[string]string
}

// network is guarded by Engine.mu where it changes.
type network struct {
	NetworkSpec
	id      string
	created time.Time
	auto    bool            // the engine chose the subnet: then it also tells the gateway
	v4, v6  *pool           // nil: not this family
	members map[string]bool // ids of running containers
	ingress netip.Addr      // of a Swarm's own end of docker_gwbridge, through which published ports are reached
}

// pool gives out a subnet's addresses, the lowest free one first: like the engine's, it hands a stopped container's
// address to the next that starts.
type pool struct {
	subnet  netip.Prefix
	gateway netip.Addr // the zero Addr if the host has no address in the subnet
	next    netip.Addr // never given out, nor anything above it but explicit ones
	freed   []netip.Addr
	used    map[netip.Addr]bool
}

// lease is what an endpoint holds while its container runs.
type lease struct{ ip4, ip6 netip.Addr }

func newPool(prefix netip.Prefix, isolated bool) *pool {
	subnet, gateway := prefix.Masked(), prefix.Addr()
	if gateway == subnet.Addr() {
		gateway = gateway.Next()
	}
	if isolated {
		gateway = netip.Addr{}
	}
	used := map[netip.Addr]bool{gateway: true}
	if subnet.Addr().Is4() { // the last address is for broadcasts
		last := subnet.Addr().As4()
		for bit := subnet.Bits(); bit < 32; bit++ {
			last[bit/8] |= 0x80 >> (bit % 8)
		}
		used[netip.AddrFrom4(last)] = true
	}
	return &pool{subnet: subnet, gateway: gateway, next: subnet.Addr().Next(), used: used}
}

func (p *pool) take(want string) netip.Addr {
	switch {
	case p == nil || want == "none":
		return netip.Addr{}
	case want != "":
		ip := netip.MustParseAddr(want)
		if p.used[ip] || !p.subnet.Contains(ip) {
			panic(fmt.Sprintf("enginetest: address %s is in use or outside %s", want, p.subnet))
		}
		p.used[ip] = true
		return ip
	}
	for len(p.freed) > 0 {
		ip := p.freed[0]
		p.freed = p.freed[1:]
		if !p.used[ip] {
			p.used[ip] = true
			return ip
		}
	}
	for p.used[p.next] {
		p.next = p.next.Next()
	}
	ip := p.next
	if !p.subnet.Contains(ip) {
		panic(fmt.Sprintf("enginetest: subnet %s is exhausted: AddNetwork with a wider one", p.subnet))
	}
	p.used[ip], p.next = true, ip.Next()
	return ip
}

func (p *pool) give(ip netip.Addr) {
	if p == nil || !ip.IsValid() {
		return
	}
	delete(p.used, ip)
	if i, found := slices.BinarySearchFunc(p.freed, ip, netip.Addr.Compare); !found && ip.Less(p.next) {
		p.freed = slices.Insert(p.freed, i, ip)
	}
}

// AddNetwork is MakeNetwork for a bridge with these subnets.
func (e *Engine) AddNetwork(name string, subnets ...string) (id string) {
	return e.MakeNetwork(NetworkSpec{Name: name, Subnets: subnets})
}

// MakeNetwork makes a network, with its event, and returns its id. The first overlay brings docker_gwbridge along, of which
// no event tells.
func (e *Engine) MakeNetwork(s NetworkSpec) (id string) {
	var n *network
	e.locked(func() {
		if s.Driver == "" {
			s.Driver = "bridge"
		}
		auto := len(s.Subnets) == 0
		if auto {
			s.Subnets = []string{e.defaultSubnet()}
		}
		if e.flavour == Podman && s.Options == nil {
			s.Options = map[string]string{"isolate": "true"}
		}
		n = e.addNetwork(s)
		n.auto = auto || n.spans()
		if n.spans() && e.networks[gwBridge] == nil {
			gw := e.addNetwork(NetworkSpec{Name: gwBridge, Driver: "bridge", Subnets: []string{e.defaultSubnet()}, Options: map[string]string{
				iccOption: "false", "com.docker.network.bridge.enable_ip_masquerade": "true", "com.docker.network.bridge.name": gwBridge,
			}})
			gw.auto, gw.ingress = true, gw.v4.take("")
		}
	})
	e.publishNetwork(n, "create")
	return n.id
}

// What makes a network another one than the usual bridge.
const (
	gwBridge   = "docker_gwbridge" // the bridge for containers that have no gateway
	iccOption  = "com.docker.network.bridge.enable_icc"
	modeOption = "com.docker.network.bridge.gateway_mode_ipv4" // or …6
)

func (n *network) spans() bool { return n.Driver == "overlay" }

// mode is how the network's addresses of a family are reached; "" if it is as usual.
func (n *network) mode(ipv6 bool) string {
	if ipv6 {
		return n.Options[strings.Replace(modeOption, "ipv4", "ipv6", 1)]
	}
	return n.Options[modeOption]
}

// defaultSubnet is 172.18.0.0/16 to 172.31.0.0/16, then small ones without end.
func (e *Engine) defaultSubnet() string {
	i := e.subnets
	e.subnets++
	if i < 14 {
		return fmt.Sprintf("172.%d.0.0/16", 18+i)
	}
	return fmt.Sprintf("10.%d.%d.0/24", 128+i>>8, i&255)
}

func (e *Engine) addNetwork(s NetworkSpec) *network {
	if e.findNetwork(s.Name) != nil {
		panic(fmt.Sprintf("enginetest: network %q exists", s.Name))
	}
	n := &network{NetworkSpec: s, id: e.nextID("network"), created: e.now(), members: map[string]bool{}}
	switch {
	case e.flavour == Podman && n.Driver != "bridge":
		n.id = n.Name
	case n.spans(): // a Swarm's id
		n.id = n.id[:25]
	}
	for _, text := range s.Subnets {
		prefix := netip.MustParsePrefix(text)
		p := newPool(prefix, n.mode(prefix.Addr().Is6()) == "isolated")
		if p.subnet.Addr().Is4() {
			n.v4 = p
		} else {
			n.v6 = p
		}
	}
	e.networks[n.Name] = n
	return n
}

// RemoveNetwork removes a network that no running container is in, with its event.
func (e *Engine) RemoveNetwork(ref string) {
	var n *network
	e.locked(func() {
		if n = e.mustFindNetwork(ref); len(n.members) > 0 {
			panic(fmt.Sprintf("enginetest: network %q has endpoints", ref))
		}
		delete(e.networks, n.Name)
	})
	e.publishNetwork(n, "destroy")
}

// findNetwork is to be called with mu held.
func (e *Engine) findNetwork(ref string) *network {
	if ref == "bridge" {
		ref = e.flavour.bridge()
	}
	if n := e.networks[ref]; n != nil {
		return n
	}
	for _, n := range e.networks {
		if n.id == ref {
			return n
		}
	}
	return nil
}

func (e *Engine) mustFindNetwork(ref string) *network {
	n := e.findNetwork(ref)
	if n == nil {
		panic(fmt.Sprintf("enginetest: no network %q", ref))
	}
	return n
}

// join takes addresses and an endpoint id; to be called with mu held, on a snapshot that is not yet in its slot.
func (e *Engine) join(c *snapshot, p *endpoint) {
	p.ip4, p.ip6 = p.net.v4.take(p.IPv4), p.net.v6.take(p.IPv6)
	if e.flavour != Podman { // which has no endpoint ids
		p.id = fmt.Sprintf("%016x%016x%016x%016x", rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64())
	}
	p.net.members[c.id] = true
}

// joinAll joins a container that starts to its networks; to be called as join.
func (e *Engine) joinAll(c *snapshot) {
	for i := range c.endpoints {
		e.join(c, &c.endpoints[i])
	}
	e.route(c, true)
}

// route gives a container that runs on none but networks without a gateway one on docker_gwbridge, and takes it from one that
// needs none; to be called with mu held, after its endpoints have changed.
func (e *Engine) route(c *snapshot, runs bool) {
	lost := false
	for i := range c.endpoints {
		p := &c.endpoints[i]
		lost = lost || p.net.spans() && !p.net.Internal
		runs = runs && (p.net.Internal || e.gateway(p, p.net.v4) == "")
	}
	lost = lost && runs
	switch n := e.networks[gwBridge]; {
	case lost && c.exit == nil:
		c.exit = &endpoint{net: n}
		e.join(c, c.exit)
	case !lost && c.exit != nil:
		exit := *c.exit
		e.leave(c, &exit)
		c.exit = nil
	}
}

func (e *Engine) leave(c *snapshot, p *endpoint) {
	p.net.v4.give(p.ip4)
	p.net.v6.give(p.ip6)
	p.id, p.lease = "", lease{}
	delete(p.net.members, c.id)
}

// IP is the container's IPv4 address in the network, its IPv6 address if it has no other; the zero Addr if it has none.
func (e *Engine) IP(id, network string) netip.Addr {
	l := e.lease(id, network)
	if l.ip4.IsValid() {
		return l.ip4
	}
	return l.ip6
}

// IPv6 is the container's IPv6 address in the network; the zero Addr if it has none.
func (e *Engine) IPv6(id, network string) netip.Addr { return e.lease(id, network).ip6 }

func (e *Engine) lease(id, network string) lease {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if p := e.mustFind(id).now.endpoint(e.mustFindNetwork(network)); p != nil {
		return p.lease
	}
	return lease{}
}
