package naming

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// TestReach checks who reaches the addresses on each kind of network, and which networks count as shared.
func TestReach(t *testing.T) {
	h := container.Host{ID: "here", Networks: []container.Network{
		{Name: "bridge"}, {Name: "int", Outbound: container.NoWayOut}, {Name: "icc", Reach4: container.Unshared, Reach6: container.Unshared},
		{Name: "half", Reach4: container.Unshared}, {Name: "lan", Reach4: container.OnLAN}, {Name: "nat", Reach4: container.Routed},
		{Name: "ports", Reach4: container.RoutedPorts}, {Name: "apart", Reach4: container.Forwarded | container.Apart, Outbound: container.ApartOut},
		{Name: "alone", Reach4: container.OffHost, Outbound: container.NoWayOut},
		{Name: "ov", ID: "ov", Spans: true, Reach4: container.OffHost, Reach6: container.OffHost},
		{Name: "ov2", ID: "ov2", Spans: true, Reach4: container.OffHost, Reach6: container.OffHost},
		{Name: "ingress", ID: "ingress", Spans: true, Reach4: container.OffHost | container.Unshared, Reach6: container.OffHost | container.Unshared},
		{Name: "docker_gwbridge", Reach4: container.Unshared},
	}}
	on := container.NewNetworks(&h)
	for _, c := range []struct {
		networks string
		gwbridge bool
		open     bool // a port is
		rules    Rules
		want     string
	}{
		{"bridge icc half", false, false, Rules{}, "bridge icc- half; bridge:0 icc:unshared half:unshared"},
		{"lan nat alone apart", false, false, Rules{}, "lan nat alone apart; lan:lan nat:routed alone:offhost apart:forwarded,apart"},
		{"ports", false, false, Rules{}, "ports; ports:0"},
		{"ports", false, true, Rules{}, "ports; ports:routed,ports,forwarded"},
		{"unknown", false, false, Rules{}, "unknown; unknown:0"},
		{"ov ingress", true, false, Rules{}, "ov ingress-; ov:offhost ov=gw:unshared ingress=gw:unshared"}, // nobody reaches the ingress address
		{"ov ov2", true, false, Rules{}, "ov ov2; ov:offhost ov=gw:unshared ov2:offhost ov2=gw:unshared"},
		{"ov ov2", true, false, Rules{Networks: []string{"ov2"}}, "ov2; ov2:offhost ov2=gw:unshared"},
		{"ov bridge", true, false, Rules{Networks: []string{"bridge"}}, "bridge; bridge:0"},
		{"ov", false, false, Rules{}, "ov; ov:offhost"},
		{"ingress", false, false, Rules{}, "ingress-; "},
		// Without a firewall bridges lead to each other, but for internal ones.
		{"bridge int icc apart ports lan alone", false, false, Rules{Routed: true},
			"bridge int icc- apart ports lan alone; bridge:forwarded int:0 icc:unshared apart:forwarded ports:forwarded lan:lan alone:offhost"},
		{"ov", true, false, Rules{Routed: true}, "ov; ov:offhost ov=gw:unshared"},
	} {
		facts := container.Container{ID: id, Name: "web"}
		var all []string
		for i, network := range strings.Fields(c.networks) {
			ip := netip.AddrFrom4([4]byte{10, 0, byte(i), 2})
			facts.Endpoints = append(facts.Endpoints, container.Endpoint{Network: network, Addrs: []netip.Addr{ip}})
		}
		gw := netip.MustParseAddr("172.18.0.2")
		if c.gwbridge {
			facts.GWBridge = container.Endpoint{Network: "docker_gwbridge", Addrs: []netip.Addr{gw}}
		}
		facts.Ports = []container.Port{{Number: 80, Proto: "tcp"}, {Number: 443, Proto: "tcp", Open: c.open}}
		r := rules("docker.")
		r.Networks, r.Routed = c.rules.Networks, c.rules.Routed
		e, _, _ := r.Entry(on, &facts, &facts)
		for _, ep := range facts.Endpoints {
			id := on.ID(ep.Network)
			shared := false
			for _, n := range e.Networks {
				shared = shared || n == id
			}
			if len(r.Networks) == 0 || r.Networks[0] == ep.Network {
				all = append(all, ep.Network+map[bool]string{false: "-"}[shared])
			}
		}
		var addrs []string
		for _, a := range e.Addresses {
			text := a.Network.String()
			if a.IP == gw {
				text += "=gw"
			}
			addrs = append(addrs, text+":"+reachText(a.Reach))
		}
		if got := strings.Join(all, " ") + "; " + strings.Join(addrs, " "); got != c.want {
			t.Errorf("%s, %+v, open %v:\n%s, want\n%s", c.networks, c.rules, c.open, got, c.want)
		}
	}
}

// TestOpenPorts checks that a service says whether its port is published, by whose network it is.
func TestOpenPorts(t *testing.T) {
	c := container.Container{ID: id, Name: "app", Ports: []container.Port{{Number: 80, Proto: "tcp"}, {Number: 81, Proto: "tcp", Open: true}}}
	vpn := container.Container{Ports: []container.Port{{Number: 80, Proto: "tcp", Open: true}, {Number: 81, Proto: "tcp"}}}
	for _, test := range []struct {
		provider *container.Container
		want     string
	}{{&c, "80:false 81:true"}, {&vpn, "80:true 81:false"}, {nil, "80:false 81:false"}} {
		e, _, _ := only(Container).Entry(here, &c, test.provider)
		var got []string
		for _, claim := range e.Claims {
			if s := claim.Service(); s != nil {
				got = append(got, fmt.Sprintf("%d:%v", s.Port, s.Open))
			}
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("open are %s, want %s", got, test.want)
		}
	}
}

// TestGWBridgeAlias has an alias on an overlay answer the host too.
func TestGWBridgeAlias(t *testing.T) {
	on := container.NewNetworks(&container.Host{ID: "here", Networks: []container.Network{
		{Name: "ov", ID: "ov-id", Spans: true, Reach4: container.OffHost, Reach6: container.OffHost}, {Name: "docker_gwbridge", Reach4: container.Unshared},
	}})
	facts := container.Container{ID: id, Name: "web", Endpoints: []container.Endpoint{{Network: "ov", Aliases: []string{"db"}, Addrs: []netip.Addr{netip.MustParseAddr("10.0.1.2")}}},
		GWBridge: container.Endpoint{Network: "docker_gwbridge", Addrs: []netip.Addr{netip.MustParseAddr("172.18.0.2")}}}
	e, _, _ := only(Alias).Entry(on, &facts, &facts)
	s := zone.NewStore(zone.Config{Zones: []string{"docker."}})
	s.Apply([]zone.Change{{Key: e.Key, Entry: e}})
	for view, want := range map[*zone.View]string{
		{}: "172.18.0.2", {Asker: zone.Container, Networks: []container.NetworkID{container.SpanningNetwork("ov-id")}}: "10.0.1.2",
	} {
		var r zone.Result
		s.Snapshot().Lookup(&zone.Query{Name: "db.ov.docker.", Spelled: "db.ov.docker.", Type: 1, View: *view}, &r)
		if len(r.Answer) != 1 || !strings.HasSuffix(r.Answer[0].String(), "\t"+want) {
			t.Errorf("asker %d gets %v, want %s", view.Asker, r.Answer, want)
		}
	}
}

func reachText(r container.Reach) string {
	var out []string
	for _, bit := range []struct {
		is   container.Reach
		text string
	}{
		{container.Unshared, "unshared"}, {container.OffHost, "offhost"}, {container.OnLAN, "lan"}, {container.Routed, "routed"},
		{container.RoutedPorts, "ports"}, {container.Forwarded, "forwarded"}, {container.Apart, "apart"},
	} {
		if r&bit.is != 0 {
			out = append(out, bit.text)
		}
	}
	if len(out) == 0 {
		return "0"
	}
	return strings.Join(out, ",")
}
