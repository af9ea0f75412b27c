package dockerdiscovery

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/fall"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// staleTTL is the longest TTL, in seconds, of what may no longer be so: answers while
// the engine is away.
const staleTTL = 5

// Docker answers for the names of an engine's running containers.
type Docker struct {
	Next plugin.Handler
	Fall fall.F

	config   config
	rules    naming.Rules
	store    *zone.Store
	instance *instance

	watcher *engine.Watcher // nil before startup
	synced  atomic.Bool     // the store has been complete once

	skipped skips
}

// Name implements plugin.Handler.
func (d *Docker) Name() string { return pluginName }

// ServeDNS implements plugin.Handler.
func (d *Docker) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	next := func() (int, error) { return plugin.NextOrFailure(d.Name(), d.Next, ctx, w, r) }

	state := request.Request{W: w, Req: r}
	if len(r.Question) == 0 || state.QClass() != dns.ClassINET {
		return next()
	}
	switch state.QType() {
	case dns.TypeAXFR, dns.TypeIXFR: // transfer stands below us and asks us itself
		return next()
	}

	res := d.lookup(&state)
	switch res.Outcome {
	case zone.NotOurs:
		return next()
	case zone.NameError, zone.EmptyNonTerminal:
		// Zone . is shared with the Internet: what is not ours there is not for us to
		// deny, and names below a name of ours must not hide it.
		if res.Zone == "." && d.Next != nil || res.Outcome == zone.NameError && d.Fall.Through(state.Name()) {
			return next()
		}
		// A name that is not known yet may exist.
		if !d.synced.Load() {
			return dns.RcodeServerFailure, nil
		}
	}

	m := new(dns.Msg)
	m.SetReply(r)
	m.Authoritative = true
	m.Answer, m.Ns, m.Extra = res.Answer, res.Ns, res.Extra
	if res.Outcome == zone.NameError {
		m.Rcode = dns.RcodeNameError
	}
	if err := w.WriteMsg(m); err != nil {
		log.Debugf("Answering %s: %v", state.Name(), err)
	}
	// Not m.Rcode: NXDOMAIN has been written as well.
	return dns.RcodeSuccess, nil
}

func (d *Docker) lookup(state *request.Request) zone.Result {
	q := zone.Query{
		Name: state.Name(), Asked: state.QName(), Type: state.QType(),
		View: zone.View{Server: func() netip.Addr { return serverAddr(state.W) }},
	}
	if d.watcher == nil || !d.watcher.Current() {
		q.MaxTTL = staleTTL
	}
	return d.store.Snapshot().Lookup(q)
}

// serverAddr returns the address on which the query came in. A UDP socket that is
// bound to all addresses does not tell: then it is the one from which the answer
// will go out.
func serverAddr(w dns.ResponseWriter) netip.Addr {
	if ip := addr(w.LocalAddr()); ip.IsValid() && !ip.IsUnspecified() {
		return ip
	}
	remote, ok := w.RemoteAddr().(*net.UDPAddr)
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

// addr returns the IP of a transport's address, the zero Addr if it has none.
func addr(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
