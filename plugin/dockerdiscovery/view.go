package dockerdiscovery

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/coredns/coredns/plugin/metadata"
	"github.com/coredns/coredns/plugin/pkg/proxyproto"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// asking is who asks a query, and the answer: one allocation for both. It implements
// zone.Server.
type asking struct {
	*Docker
	w      dns.ResponseWriter
	client *client // nil unless a container asks

	answer   dns.Msg
	question [1]dns.Question // of answer
	room     zone.Room       // for its record
}

// query makes the store's query of the question.
func (a *asking) query(q *zone.Query, asked *dns.Question) {
	q.Name, q.Asked, q.Type = asked.Name, asked.Name, asked.Qtype
	if !plain(asked.Name) {
		q.Asked = dns.Name(asked.Name).String() // as request.Request has it
		q.Name = strings.ToLower(q.Asked)
	}
	q.Room = &a.room
	q.View.Server = a
	q.View.Asker, a.client = a.classify(addr(a.w.RemoteAddr()))
	if a.client != nil {
		q.View.Networks, q.View.Isolate = a.client.networks, a.config.isolate
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

// reply makes answer a reply to the request, without records, as its SetReply does.
func (a *asking) reply(r *dns.Msg) *dns.Msg {
	m := &a.answer
	m.Id, m.Response, m.Opcode = r.Id, true, r.Opcode
	if m.Opcode == dns.OpcodeQuery {
		m.RecursionDesired, m.CheckingDisabled = r.RecursionDesired, r.CheckingDisabled
	}
	a.question[0] = r.Question[0]
	m.Question = a.question[:]
	return m
}

// Addr implements zone.Server. A UDP socket that is bound to all addresses does not
// tell: then it is the one from which the answer will go out.
func (a *asking) Addr() netip.Addr {
	if ip := addr(a.w.LocalAddr()); ip.IsValid() && !ip.IsUnspecified() {
		return ip
	}
	remote, ok := a.w.RemoteAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}
	}
	conn, err := net.DialUDP("udp", nil, remote) // sends nothing
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	return addr(conn.LocalAddr())
}

// Gateways implements zone.Server: those of the network from which the container asks,
// or of another one. On a direct network the gateway is the LAN's and not the host.
func (a *asking) Gateways() []netip.Addr {
	c := a.client
	if c == nil {
		return nil
	}
	for i := range c.Endpoints {
		e := &c.Endpoints[(c.own+i)%len(c.Endpoints)]
		if len(e.Gateways) > 0 && !a.direct(e.Network) {
			return e.Gateways
		}
	}
	return nil
}

// HostAddrs implements zone.Server.
func (a *asking) HostAddrs() []netip.Addr {
	switch {
	case len(a.config.publishAddrs) > 0:
		return a.config.publishAddrs
	case a.remote != nil:
		return a.remote
	}
	ip := a.Addr()
	if !ip.IsValid() {
		return nil
	}
	if c := a.clients.get(ip); c != nil { // it is our own, in a container
		a.hostUnknown.Do(func() {
			log.Warningf("The server runs in container %s and can't know the host's address, at which published ports are reached: name it, as in 'publish 192.0.2.1'", c.Name)
		})
		return nil
	}
	return []netip.Addr{ip}
}

// Publish implements zone.Server.
func (a *asking) Publish() bool { return a.config.publish }

// Direct implements zone.Server.
func (a *asking) Direct(network string) bool { return a.direct(network) }

// addr returns the IP of a transport's address, the zero Addr if it has none. Behind a proxy that
// speaks the PROXY protocol the transport's address holds the asker's.
func addr(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	case *proxyproto.Addr:
		return addr(a.Unwrap())
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
		if ip = ip.Unmap(); own.has(ip) {
			return nil
		}
		addrs = append(addrs, ip)
	}
	return addrs
}

// lookupTimeout bounds the look-up of a remote engine's address at the start.
const lookupTimeout = 2 * time.Second

// Metadata implements metadata.Provider.
func (d *Docker) Metadata(ctx context.Context, state request.Request) context.Context {
	who := sync.OnceValue(func() *container.Container {
		if _, c := d.classify(addr(state.W.RemoteAddr())); c != nil {
			return c.Container
		}
		return &container.Container{}
	})
	metadata.SetValueFunc(ctx, "docker/client", func() string { return who().Name })
	metadata.SetValueFunc(ctx, "docker/client-project", func() string { return naming.Project(who()) })
	metadata.SetValueFunc(ctx, "docker/container", func() string {
		if len(state.Req.Question) == 0 {
			return ""
		}
		a := &asking{Docker: d, w: state.W}
		var q zone.Query
		a.query(&q, &state.Req.Question[0])
		return strings.Join(d.store.Snapshot().Owners(&q), ",")
	})
	return ctx
}
