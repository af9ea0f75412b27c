package dockerdiscovery

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// transferAsker is as whom secondaries ask.
type transferAsker uint8

const (
	transferUsual transferAsker = iota // as the Docker host, where that is one and nothing is published for others; else as the LAN
	transferHost                       // as the Docker host, over loopback
	transferLAN                        // as somebody elsewhere
)

func (cfg *config) setTransferView(args []string) error {
	switch args[0] {
	case "host":
		cfg.transferAsker = transferHost
	case "lan":
		cfg.transferAsker = transferLAN
	default:
		return fmt.Errorf("'%s' is not a view of a transfer", args[0])
	}
	return nil
}

// transferFrom returns who asks when a zone is transferred.
func (d *Docker) transferFrom() questioner {
	as := d.config.transferAsker
	if as == transferUsual {
		if as = transferHost; d.several() || d.config.publish || d.askers.Vantage(d.hosts[0].id).Remote != nil {
			as = transferLAN
		}
	}
	if as == transferHost {
		return questioner{ip: netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	at := d.boundTo()
	if at.IsLoopback() { // where the secondary asks, and none of its clients
		at = netip.Addr{}
	}
	return questioner{at: at}
}

// transferView returns the view that transfers have. Its Server is the same as long as that says the same. The caller holds
// publishing.
func (d *Docker) transferView() zone.View {
	e := &exchange{Docker: d, w: d.transferFrom()}
	var v zone.View
	e.look(&v)
	now := e.survey()
	if !now.equal(d.surroundings) {
		d.surroundings = now
	}
	v.Server = d.surroundings
	return v
}

// surroundings are what the server knows of itself and of hosts, at one moment and for one asker. They implement zone.Server, and
// must not be changed.
type surroundings struct {
	docker  *Docker
	addrs   []netip.Addr
	publish bool
	hosts   []hostSurroundings
}

// hostSurroundings are those of one host.
type hostSurroundings struct {
	host            container.HostID
	gateways, addrs []netip.Addr
	unknown         *container.Container // in which we run, so that the host's addresses can't be known
	bridges         []netip.Prefix
}

// survey returns what is known now.
func (e *exchange) survey() *surroundings {
	s := &surroundings{docker: e.Docker, addrs: e.serverAddrs(), publish: e.Publish()}
	for _, host := range e.askers.All() {
		at := hostSurroundings{host: host, gateways: e.Gateways(host), bridges: e.askers.Bridges(host)}
		at.addrs, at.unknown = e.hostAddrs(host)
		s.hosts = append(s.hosts, at)
	}
	return s
}

func (s *surroundings) equal(o *surroundings) bool {
	return o != nil && s.publish == o.publish && slices.Equal(s.addrs, o.addrs) && slices.EqualFunc(s.hosts, o.hosts, func(a, b hostSurroundings) bool {
		return a.host == b.host && slices.Equal(a.gateways, b.gateways) && slices.Equal(a.addrs, b.addrs) && a.unknown == b.unknown && slices.Equal(a.bridges, b.bridges)
	})
}

// of returns the host's, empty if it is not known.
func (s *surroundings) of(host container.HostID) hostSurroundings {
	for _, h := range s.hosts {
		if h.host == host {
			return h
		}
	}
	return hostSurroundings{}
}

// Addrs implements zone.Server: all at which secondaries and their clients may reach us.
func (s *surroundings) Addrs() []netip.Addr { return s.addrs }

// Gateways implements zone.Server.
func (s *surroundings) Gateways(host container.HostID) []netip.Addr { return s.of(host).gateways }

// HostAddrs implements zone.Server.
func (s *surroundings) HostAddrs(host container.HostID) []netip.Addr {
	h := s.of(host)
	if h.unknown != nil {
		s.docker.warnOfUnknownHost(h.unknown)
	}
	return h.addrs
}

// Publish implements zone.Server.
func (s *surroundings) Publish() bool { return s.publish }

// OnBridge implements zone.Server.
func (s *surroundings) OnBridge(host container.HostID, ip netip.Addr) bool {
	return slices.ContainsFunc(s.of(host).bridges, func(p netip.Prefix) bool { return p.Contains(ip) })
}
