package dockerdiscovery

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/coredns/coredns/plugin/pkg/proxyproto"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/asker"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// exchange is one query's asker and its reply, in one allocation. It implements zone.Server.
type exchange struct {
	*Docker
	w      dns.ResponseWriter
	client *asker.Client // nil unless a container asks
	masked bool          // others may ask from the Docker host's address

	machineAddrs []netip.Addr // at which elsewhere reaches this machine, if found is set
	found        bool

	answer   dns.Msg
	question [1]dns.Question // of answer
}

// query makes the store's query of the question.
func (e *exchange) query(q *zone.Query, asked *dns.Question) {
	q.Spelled, q.Type = dns.Name(asked.Name).String(), asked.Qtype // as request.Request has it
	q.Name = strings.ToLower(q.Spelled)
	e.look(&q.View)
}

// look finds out who asks.
func (e *exchange) look(v *zone.View) {
	v.Server = e
	who := e.askers.Who(addr(e.w.RemoteAddr()))
	v.Asker, v.Hosts, e.client, e.masked = who.Kind, e.ownHosts(who.Kind, who.Hosts), who.Client, who.Masked
	if who.Here && e.several() {
		v.Outside = e.outside()
	}
	if e.client != nil {
		v.Networks, v.Self, v.Isolate = e.client.Networks, e.client.Self, e.config.zone.Isolate
		v.Outbound, v.Families = e.client.Outbound, e.client.Families
		v.Project, v.Service, v.Stack = e.client.Project, e.client.Service, e.client.Stack
	}
}

// ownHosts returns the asker's own hosts for zone.View. Beside a Swarm these are never all: it has nodes that are not asked.
func (d *Docker) ownHosts(who zone.Asker, hosts []container.HostID) []container.HostID {
	if hosts != nil || who == zone.Elsewhere || !d.catalog.HasSwarm() {
		return hosts
	}
	hosts = make([]container.HostID, len(d.hosts))
	for i, h := range d.hosts {
		hosts[i] = h.id
	}
	return hosts
}

// reply makes answer a reply to the query, without records, as its SetReply does.
func (e *exchange) reply(r *dns.Msg) *dns.Msg {
	m := &e.answer
	m.Id, m.Response = r.Id, true
	m.RecursionDesired, m.CheckingDisabled = r.RecursionDesired, r.CheckingDisabled
	e.question[0] = r.Question[0]
	m.Question = e.question[:]
	return m
}

// Addrs implements zone.Server: those of the interface on which the query came in, whatever the
// family that carried it. On a container's network they are those of the gateway. Who asks through a
// forwarder is not told how the forwarder reaches us.
func (e *exchange) Addrs() []netip.Addr {
	from, ip := addr(e.w.RemoteAddr()), e.local()
	switch {
	case e.askers.Forwards(from), !ip.IsValid():
		return e.serverAddrs()
	case ip.IsLoopback() && from.IsLoopback():
		return []netip.Addr{ip}
	case ip.IsLoopback(): // a proxy asks there, or a rule of the firewall leads there, for who does not reach it
		return e.serverAddrs()
	}
	if n := e.askers.Network(ip); n != nil && slices.Contains(n.Gateways, ip) {
		return n.Gateways
	}
	switch addrs := e.own.interfaceOf(ip); {
	case len(addrs) > 0:
		return addrs
	case ip.IsLinkLocalUnicast():
		return e.serverAddrs()
	default: // a proxy's, where the query came in there
		return []netip.Addr{ip}
	}
}

// local returns the address on which the query came in, with its zone. A socket that is bound to all
// addresses does not tell: then it is the one from which the answer will go out.
func (e *exchange) local() netip.Addr {
	if ip := zonedAddr(e.w.LocalAddr()); ip.IsValid() && !ip.IsUnspecified() {
		return ip
	}
	if remote := zonedAddr(e.w.RemoteAddr()); remote.IsValid() {
		return e.own.towards(remote)
	}
	return netip.Addr{}
}

// Gateways implements zone.Server: those of a network of the container that asks, or the host's on a bridge.
func (e *exchange) Gateways(host container.HostID) []netip.Addr {
	if e.client == nil {
		return e.askers.BridgeAddrs(addr(e.w.RemoteAddr()), host)
	}
	return e.askers.Gateways(e.client, host)
}

// HostAddrs implements zone.Server. All of the answer's containers ask for them.
func (e *exchange) HostAddrs(host container.HostID) []netip.Addr {
	addrs, unknown := e.hostAddrs(host)
	if unknown != nil {
		e.warnOfUnknownHost(unknown)
	}
	return addrs
}

// hostAddrs returns the addresses at which the host is reached from elsewhere, or the container in which we run, so that they
// can't be known.
func (e *exchange) hostAddrs(host container.HostID) (addrs []netip.Addr, unknown *container.Container) {
	if h := e.host(host); h != nil && len(h.addrs) > 0 {
		return h.addrs, nil
	}
	switch v := e.askers.Vantage(host); {
	case v.Remote != nil:
		return v.Remote, nil
	case v.Inside != nil:
		return nil, v.Inside
	case !e.found:
		e.machineAddrs, e.found = e.findMachineAddrs(), true
	}
	return e.machineAddrs, nil
}

// warnOfUnknownHost warns, once, that the host's addresses can't be known from inside the container.
func (d *Docker) warnOfUnknownHost(inside *container.Container) {
	d.hostUnknown.Do(func() {
		d.warnf("The server runs in container %s and can't know the host's address, at which published ports are reached: name it, as in 'publish 192.0.2.1', or after the endpoint's NAME", inside.Name)
	})
}

// findMachineAddrs returns the addresses of the interface on which the query came in. If that does not lead
// elsewhere (it is loopback, or a container's network), or if the query was passed on, they are all
// that lead there.
func (e *exchange) findMachineAddrs() []netip.Addr {
	from, ip := addr(e.w.RemoteAddr()), e.local()
	switch {
	case e.askers.Forwards(from):
	case ip.IsLoopback() && from.IsLoopback(): // the host itself, whose engine's networks it does not reach
		return zone.Loopback
	default:
		addrs := e.own.interfaceOf(ip)
		if len(addrs) > 0 && !slices.ContainsFunc(addrs, func(ip netip.Addr) bool { return e.askers.Network(ip) != nil }) {
			return addrs
		}
	}
	return e.globalAddrs()
}

// Publish implements zone.Server.
func (e *exchange) Publish() bool { return e.config.publish }

// OnBridge implements zone.Server.
func (e *exchange) OnBridge(host container.HostID, ip netip.Addr) bool {
	return e.askers.OnBridge(host, ip)
}

// addr returns the IP of a transport's address, the zero Addr if it has none.
func addr(a net.Addr) netip.Addr { return zonedAddr(a).WithZone("") }

// zonedAddr is addr with the zone of a link-local address. Behind a proxy that speaks the PROXY protocol
// the transport's address holds the asker's.
func zonedAddr(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	case *proxyproto.Addr:
		return zonedAddr(a.Unwrap())
	}
	return netip.Addr{}
}
