package dockerdiscovery

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/transfer"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// errNotSynced keeps a secondary from taking an incomplete zone.
var errNotSynced = errors.New("not all containers are known yet")

// Transfer implements transfer.Transferer: what has changed since the serial, RFC 1995, or else the whole zone, from one version.
func (d *Docker) Transfer(apex string, serial uint32) (<-chan []dns.RR, error) {
	apex = plugin.Name(apex).Normalize()
	if apex == d.config.catalogZone {
		if z := d.catalogZone.Load(); z != nil {
			return z.transfer(serial), nil
		}
		return nil, errNoMembers
	}
	if apex == "." || !slices.Contains(d.config.zone.Zones, apex) {
		return nil, transfer.ErrNotAuthoritative
	}
	if !d.catalog.Complete() {
		return nil, errNotSynced
	}
	v := d.publish()
	ch := make(chan []dns.RR)
	go func() {
		defer close(ch)
		if serial != 0 && !newer(v.Serial(apex), serial) {
			ch <- []dns.RR{v.SOA(apex)}
			return
		}
		if changes := v.Since(apex, serial); serial != 0 && changes != nil {
			ch <- changes
			return
		}
		v.Walk(apex, func(rrs []dns.RR) { ch <- rrs })
		ch <- []dns.RR{v.SOA(apex)}
	}()
	return ch, nil
}

// publish has secondaries get what is known now.
func (d *Docker) publish() *zone.Version {
	d.publishing.Lock()
	defer d.publishing.Unlock()
	return d.store.Publish(d.transferView())
}

// republish is publish for who asks for a serial. He does not wait for a version that is being made.
func (d *Docker) republish() {
	if d.transfers && d.catalog.Complete() && d.publishing.TryLock() {
		defer d.publishing.Unlock()
		d.store.Publish(d.transferView())
	}
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
	return apex != "" && apex != "." || d.isCatalogs(name)
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
