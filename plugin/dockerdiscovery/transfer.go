package dockerdiscovery

import (
	"context"
	"errors"
	"net/netip"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/transfer"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// errNotSynced keeps a secondary from taking an incomplete zone.
var errNotSynced = errors.New("not all containers are known yet")

// Transfer implements transfer.Transferer: the zone as the Docker host sees it, from one
// snapshot. An IXFR that is behind gets the whole zone (RFC 1995 §4).
func (d *Docker) Transfer(apex string, serial uint32) (<-chan []dns.RR, error) {
	apex = plugin.Name(apex).Normalize()
	snapshot := d.store.Snapshot()
	soa, _ := snapshot.SOA(apex).(*dns.SOA)
	if soa == nil || apex == "." {
		return nil, transfer.ErrNotAuthoritative
	}
	if !d.catalog.Complete() {
		return nil, errNotSynced
	}
	ch := make(chan []dns.RR)
	go func() {
		defer close(ch)
		if serial != 0 && !newer(soa.Serial, serial) {
			ch <- []dns.RR{soa}
			return
		}
		snapshot.Walk(apex, zone.View{Hosts: d.askers.Hosts(), Server: transferring{d}}, func(rrs []dns.RR) { ch <- rrs })
		ch <- []dns.RR{snapshot.SOA(apex)}
	}()
	return ch, nil
}

// transferring is what a transfer shows of the server: what the Docker host sees from loopback.
// It implements zone.Server.
type transferring struct{ *Docker }

// Addrs implements zone.Server.
func (t transferring) Addrs() []netip.Addr { return t.serverAddrs() }

// Gateways implements zone.Server.
func (t transferring) Gateways(host container.HostID) []netip.Addr {
	return t.askers.BridgeAddrs(netip.IPv6Loopback(), host)
}

// HostAddrs implements zone.Server.
func (t transferring) HostAddrs(container.HostID) []netip.Addr { return nil }

// Publish implements zone.Server.
func (t transferring) Publish() bool { return false }

// OnBridge implements zone.Server.
func (t transferring) OnBridge(host container.HostID, ip netip.Addr) bool {
	return t.askers.OnBridge(host, ip)
}

// refuseTransfers stands directly below the plugin transfer. What that does not give of our zones, since it
// does not have them, nobody else may: forward must not ask others for them.
type refuseTransfers struct {
	plugin.Handler // nil if there is none
	docker         *Docker
}

// Name implements plugin.Handler.
func (h refuseTransfers) Name() string {
	if h.Handler == nil {
		return pluginName
	}
	return h.Handler.Name()
}

// ServeDNS implements plugin.Handler.
func (h refuseTransfers) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	if isTransfer(r) && h.docker.has(r.Question[0].Name) {
		return dns.RcodeRefused, nil
	}
	return plugin.NextOrFailure(pluginName, h.Handler, ctx, w, r)
}

func isTransfer(r *dns.Msg) bool {
	qtype := r.Question[0].Qtype
	return r.Opcode == dns.OpcodeQuery && (qtype == dns.TypeAXFR || qtype == dns.TypeIXFR)
}

// has reports whether the name lies in one of our zones other than zone ".".
func (d *Docker) has(name string) bool {
	apex := plugin.Zones(d.config.zone.Zones).Matches(name)
	return apex != "" && apex != "."
}

// newer compares serials, RFC 1982 §3.2.
func newer(a, b uint32) bool { return int32(a-b) > 0 }

// serverAddrs returns the addresses at which secondaries and their clients may reach us: loopback
// if there is no other.
func (d *Docker) serverAddrs() []netip.Addr {
	if addrs := d.globalAddrs(); len(addrs) > 0 {
		return addrs
	}
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
}

// globalAddrs returns this machine's addresses that may be reached from elsewhere: all but those on
// containers' networks and those that count on one link only.
func (d *Docker) globalAddrs() []netip.Addr {
	var addrs []netip.Addr
	own, _ := d.own.Addrs()
	for _, ip := range own {
		if ip.IsGlobalUnicast() && d.askers.Network(ip) == nil {
			addrs = append(addrs, ip)
		}
	}
	return addrs
}
