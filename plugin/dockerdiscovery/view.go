package dockerdiscovery

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/coredns/coredns/plugin/pkg/proxyproto"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/asker"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// asking is who asks a query, and the answer: one allocation for both. It implements
// zone.Server.
type asking struct {
	*Docker
	w      dns.ResponseWriter
	client *asker.Client // nil unless a container asks

	hostAddrs []netip.Addr // if hostKnown
	hostKnown bool

	answer   dns.Msg
	question [1]dns.Question // of answer
}

// query makes the store's query of the question.
func (a *asking) query(q *zone.Query, asked *dns.Question) {
	q.Name, q.Asked, q.Type = asked.Name, asked.Name, asked.Qtype
	if !plain(asked.Name) {
		q.Asked = dns.Name(asked.Name).String() // as request.Request has it
		q.Name = strings.ToLower(q.Asked)
	}
	q.View.Server = a
	q.View.Asker, a.client = a.askers.Who(addr(a.w.RemoteAddr()))
	if a.client != nil {
		q.View.Networks, q.View.Isolate = a.client.Networks, a.config.zone.Isolate
		q.View.Project, q.View.Service = a.client.Project, a.client.Service
	}
	if a.watcher == nil || !a.watcher.Current() {
		q.MaxTTL = staleTTL
	}
}

// plain reports whether the name is in lower case, and has no octet that may need escaping: most names do.
func plain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c-'a' > 'z'-'a' && c-'-' > '9'-'-' && c != '_' { // - . / and digits are in a row
			return false
		}
	}
	return true
}

// reply makes answer a reply to the query, without records, as its SetReply does.
func (a *asking) reply(r *dns.Msg) *dns.Msg {
	m := &a.answer
	m.Id, m.Response = r.Id, true
	m.RecursionDesired, m.CheckingDisabled = r.RecursionDesired, r.CheckingDisabled
	a.question[0] = r.Question[0]
	m.Question = a.question[:]
	return m
}

// Addrs implements zone.Server: those of the interface on which the query came in, whatever the
// family that carried it. On a container's network they are those of the gateway. Who asks through a
// forwarder is not told how the forwarder reaches us.
func (a *asking) Addrs() []netip.Addr {
	from, ip := addr(a.w.RemoteAddr()), a.local()
	switch {
	case a.askers.Forwards(from), !ip.IsValid():
		return a.serverAddrs()
	case ip.IsLoopback() && from.IsLoopback():
		return []netip.Addr{ip}
	case ip.IsLoopback(): // a proxy asks there, or a rule of the firewall leads there, for who does not reach it
		return a.serverAddrs()
	}
	if n := a.askers.Network(ip); n != nil && slices.Contains(n.Gateways, ip) {
		return n.Gateways
	}
	switch addrs := a.own.interfaceOf(ip); {
	case len(addrs) > 0:
		return addrs
	case ip.IsLinkLocalUnicast():
		return a.serverAddrs()
	default: // a proxy's, where the query came in there
		return []netip.Addr{ip}
	}
}

// local returns the address on which the query came in, with its zone. A socket that is bound to all
// addresses does not tell: then it is the one from which the answer will go out.
func (a *asking) local() netip.Addr {
	if ip := zonedAddr(a.w.LocalAddr()); ip.IsValid() && !ip.IsUnspecified() {
		return ip
	}
	if remote := zonedAddr(a.w.RemoteAddr()); remote.IsValid() {
		return a.own.towards(remote)
	}
	return netip.Addr{}
}

// Gateways implements zone.Server: those of a network of the container that asks, or the host's on a bridge.
func (a *asking) Gateways(container.HostID) []netip.Addr {
	if a.client == nil {
		return a.askers.BridgeAddrs(addr(a.w.RemoteAddr()))
	}
	return a.askers.Gateways(a.client)
}

// HostAddrs implements zone.Server. All of the answer's containers ask for them.
func (a *asking) HostAddrs(container.HostID) []netip.Addr {
	switch {
	case len(a.config.publishAddrs) > 0:
		return a.config.publishAddrs
	case !a.hostKnown:
		a.hostAddrs, a.hostKnown = a.findHostAddrs(), true
	}
	return a.hostAddrs
}

// findHostAddrs returns the addresses of the interface on which the query came in. If that does not lead
// elsewhere (it is loopback, or a container's network), or if the query was passed on, they are all
// that lead there.
func (a *asking) findHostAddrs() []netip.Addr {
	v := a.askers.Vantage()
	if v.Remote != nil {
		return v.Remote
	}
	if c := v.Inside; c != nil {
		a.hostUnknown.Do(func() {
			log.Warningf("The server runs in container %s and can't know the host's address, at which published ports are reached: name it, as in 'publish 192.0.2.1'", c.Name)
		})
		return nil
	}
	from, ip := addr(a.w.RemoteAddr()), a.local()
	switch {
	case a.askers.Forwards(from):
	case ip.IsLoopback() && from.IsLoopback(): // the host itself, whose engine's networks it does not reach
		return zone.Loopback
	default:
		addrs := a.own.interfaceOf(ip)
		if len(addrs) > 0 && !slices.ContainsFunc(addrs, func(ip netip.Addr) bool { return a.askers.Network(ip) != nil }) {
			return addrs
		}
	}
	return a.globalAddrs()
}

// Publish implements zone.Server.
func (a *asking) Publish() bool { return a.config.publish }

// Direct implements zone.Server.
func (a *asking) Direct(network container.NetworkID) bool { return a.askers.Direct(network) }

// OnBridge implements zone.Server.
func (a *asking) OnBridge(_ container.HostID, ip netip.Addr) bool { return a.askers.Network(ip) != nil }

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

// remoteAddrs returns the addresses of an engine on another machine, nil if the engine is on
// this one. An unknown address makes an empty list.
func remoteAddrs(host string, own *ownAddrs) []netip.Addr {
	address, ok := strings.CutPrefix(host, "tcp://")
	if !ok {
		return nil
	}
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		log.Warningf("The engine's address: %v; for published ports name it, as in 'publish 192.0.2.1'", err)
		return []netip.Addr{}
	}
	addrs := make([]netip.Addr, 0, len(found))
	for _, ip := range found {
		if ip = ip.Unmap(); own.Has(ip) {
			return nil
		}
		addrs = append(addrs, ip)
	}
	return addrs
}

// lookupTimeout bounds the look-up of a remote engine's address at the start.
const lookupTimeout = 2 * time.Second
