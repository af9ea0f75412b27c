package dockerdiscovery

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// emptyDocker returns a plugin that knows the networks a, b, c (bridges) and lan (macvlan),
// and no container. This machine has the address 192.0.2.1.
func emptyDocker(change func(*config)) *Docker {
	d := unreconciledDocker(change)
	d.sink(d.hosts[0]).Synced()
	return d
}

// unreconciledDocker is emptyDocker before the first reconciliation.
func unreconciledDocker(change func(*config)) *Docker {
	d := unheardDocker(change)
	machine("eth0 192.0.2.1/24", "br-a 10.1.0.1/16", "br-b 10.2.0.1/16", "br-c 10.3.0.1/16").at(&d.own)
	d.hear(containertest.Host())
	return d
}

// unheardDocker is a plugin that has heard of no network.
func unheardDocker(change func(*config)) *Docker {
	cfg := config{endpoints: make([]endpoint, 1), sources: naming.Sources(), health: naming.PreferHealth, hold: 10 * time.Second, startup: defaultStartup, forget: defaultForget}
	cfg.zone = zone.Config{Zones: []string{"docker.", "10.in-addr.arpa."}, TTL: 5, NegativeTTL: 5}
	if change != nil {
		change(&cfg)
	}
	d := newDocker(cfg, &instance{})
	d.block.keys = []string{"docker.:53"}
	return d
}

// facts makes a container of the name with addresses NETWORK=IP.
var facts = containertest.New

func (d *Docker) set(cs ...*container.Container) {
	var changes []container.Change
	for _, c := range cs {
		changes = append(changes, container.Change{ID: c.ID, Container: c})
	}
	d.apply(changes)
}

func (d *Docker) remove(c *container.Container) { d.apply([]container.Change{{ID: c.ID}}) }

// dig asks from the address and returns the data of the answer or its rcode; NODATA is
// "none".
func dig(t *testing.T, d *Docker, from, name string, qtype uint16) string {
	t.Helper()
	rec := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: from})
	rcode, err := d.ServeDNS(t.Context(), rec, new(dns.Msg).SetQuestion(name, qtype))
	switch {
	case err != nil || rec.Msg == nil:
		return fmt.Sprintf("%s, %v", dns.RcodeToString[rcode], err)
	case len(rec.Msg.Answer) == 0 && rec.Msg.Rcode == dns.RcodeSuccess:
		return "none"
	case rec.Msg.Rcode != dns.RcodeSuccess:
		return dns.RcodeToString[rec.Msg.Rcode]
	}
	var out []string
	for _, rr := range rec.Msg.Answer {
		out = append(out, dns.Field(rr, 1))
	}
	return strings.Join(out, " ")
}

// expect checks what somebody gets for a name's A record, or an address's PTR.
func expect(t *testing.T, d *Docker, from, name, want string) {
	t.Helper()
	qtype := dns.TypeA
	if zone.IsReverse(name) {
		qtype = dns.TypePTR
	}
	if got := dig(t, d, from, name, qtype); got != want {
		t.Errorf("%s asks for %s: %q, want %q", from, name, got, want)
	}
}

const (
	fromHost = "127.0.0.1"
	fromLAN  = "198.51.100.9"
)

// TestWhoAsks checks how the asker's address decides.
func TestWhoAsks(t *testing.T) {
	d := emptyDocker(nil)
	hostnet := facts("hostnet", "")
	hostnet.NetworkMode = "host"
	d.set(facts("web", "a=10.1.0.2 b=10.2.0.2"), facts("onb", "b=10.2.0.3"), facts("onlan", "lan=192.0.2.33 a=10.1.0.7"), hostnet)
	for _, c := range []struct{ from, name, want string }{
		{"10.1.0.9", "web.docker.", "10.1.0.2"},               // on a, not known yet
		{"10.2.0.3", "web.docker.", "10.2.0.2"},               // onb
		{"10.3.0.9", "web.docker.", "none"},                   // on c, from which Docker leads nowhere
		{"10.1.0.2", "web.docker.", "10.1.0.2 10.2.0.2"},      // itself
		{fromHost, "web.docker.", "10.1.0.2 10.2.0.2"},        //
		{"192.0.2.1", "web.docker.", "10.1.0.2 10.2.0.2"},     // an address of this machine
		{"10.1.0.1", "web.docker.", "10.1.0.2 10.2.0.2"},      // the gateway, seen from within a container
		{fromLAN, "web.docker.", "none"},                      //
		{"192.0.2.77", "web.docker.", "none"},                 // on the LAN, not a container
		{"192.0.2.77", "onlan.docker.", "192.0.2.33"},         //
		{fromLAN, "onlan.docker.", "192.0.2.33"},              //
		{"10.2.0.3", "hostnet.docker.", "10.2.0.1"},           // the gateway of its network
		{"192.0.2.33", "hostnet.docker.", "10.1.0.1"},         // the LAN's gateway is not the host
		{"10.3.0.9", "hostnet.docker.", "10.3.0.1"},           //
		{fromHost, "hostnet.docker.", "10.1.0.1"},             // a bridge of its
		{fromLAN, "hostnet.docker.", "192.0.2.1"},             //
		{fromLAN, "2.0.1.10.in-addr.arpa.", "web.docker."},    //
		{"10.3.0.9", "2.0.1.10.in-addr.arpa.", "web.docker."}, //
		{"2001:db8::9", "web.docker.", "none"},                //
		{"::1", "web.docker.", "10.1.0.2 10.2.0.2"},           //
		{"::ffff:10.2.0.3", "web.docker.", "10.2.0.2"},        // IPv4 on an IPv6 socket
	} {
		expect(t, d, c.from, c.name, c.want)
	}
}

// TestHostNetwork asks for what uses the host's network, as who counts as the host: a container
// that comes masqueraded does so too.
func TestHostNetwork(t *testing.T) {
	hostnet := facts("hostnet", "")
	hostnet.NetworkMode = "host"
	hostnet.Ports = []container.Port{{Number: 80, Proto: "tcp"}}
	for _, c := range []struct {
		what, own, from, a, aaaa string
	}{
		{"no bridge of ours", "192.0.2.1/24", fromHost, "127.0.0.1", "::1"},
		{"no bridge of ours", "192.0.2.1/24", "192.0.2.1", "none", "none"},    // not from loopback
		{"no bridge of ours", "192.0.2.1/24", "10.2.0.1", "10.2.0.1", "none"}, // we run in a container
		{"one bridge", "192.0.2.1/24 10.2.0.1/24", fromHost, "10.2.0.1", "none"},
		{"one bridge", "192.0.2.1/24 10.2.0.1/24", "::1", "10.2.0.1", "none"},
		{"one bridge", "192.0.2.1/24 10.2.0.1/24", "192.0.2.1", "10.2.0.1", "none"},
		{"Docker's own", "10.1.0.1/24 10.2.0.1/24 172.17.0.1/24", fromHost, "172.17.0.1", "none"},
		{"Docker's own", "10.1.0.1/24 10.2.0.1/24 172.17.0.1/24", "10.2.0.1", "10.2.0.1", "none"}, // through its gateway
		{"IPv6", "172.17.0.1/24 fd03::1/64", fromHost, "172.17.0.1", "fd03::1"},
		{"IPv6, from a bridge with both", "172.17.0.1/24 10.4.0.1/16 fd04::1/64", "fd04::1", "10.4.0.1", "fd04::1"},
		{"IPv6, we run in a container", "192.0.2.1/24", "fd04::1", "10.4.0.1", "fd04::1"},
	} {
		d := emptyDocker(nil)
		host := containertest.Host()
		host.Networks = append(slices.Clone(host.Networks),
			container.Network{ID: "x", Name: "bridge", Subnets: []netip.Prefix{netip.MustParsePrefix("172.17.0.0/16")}, Gateways: []netip.Addr{netip.MustParseAddr("172.17.0.1")}},
			container.Network{ID: "z", Name: "dual", Subnets: []netip.Prefix{netip.MustParsePrefix("10.4.0.0/16"), netip.MustParsePrefix("fd04::/64")}, Gateways: []netip.Addr{netip.MustParseAddr("10.4.0.1"), netip.MustParseAddr("fd04::1")}},
			container.Network{ID: "y", Name: "v6", Subnets: []netip.Prefix{netip.MustParsePrefix("fd03::/64")}, Gateways: []netip.Addr{netip.MustParseAddr("fd03::1")}})
		d.hear(host)
		machine("eth0 " + c.own).at(&d.own)
		d.set(hostnet)
		d.set(facts("six", "v6=fd03::2"))
		for qtype, want := range map[uint16]string{dns.TypeA: c.a, dns.TypeAAAA: c.aaaa} {
			if got := dig(t, d, c.from, "hostnet.docker.", qtype); got != want {
				t.Errorf("%s, from %s: %s %q, want %q", c.what, c.from, dns.TypeToString[qtype], got, want)
			}
		}
		rec := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: c.from})
		if _, err := d.ServeDNS(t.Context(), rec, new(dns.Msg).SetQuestion("_http._tcp.hostnet.docker.", dns.TypeSRV)); err != nil {
			t.Fatal(err)
		}
		var extra []string
		for _, rr := range rec.Msg.Extra {
			extra = append(extra, dns.Field(rr, 1))
		}
		want := strings.TrimSpace(strings.ReplaceAll(c.a+" "+c.aaaa, "none", ""))
		if got := strings.Join(extra, " "); got != want {
			t.Errorf("%s, from %s: SRV with %q, want %q", c.what, c.from, got, want)
		}
	}
}

// TestDirectNetworkLast checks that the host gets an address on the LAN only if there is no other.
func TestDirectNetworkLast(t *testing.T) {
	d := emptyDocker(nil)
	onlan := facts("onlan", "lan=192.0.2.33 a=10.1.0.7")
	d.set(onlan, facts("only", "lan=192.0.2.34"), facts("asker", "lan=192.0.2.35"))
	for _, c := range []struct{ from, name, want string }{
		{fromHost, "onlan.docker.", "10.1.0.7"}, {"10.3.0.9", "onlan.docker.", "none"}, {"10.1.0.9", "onlan.docker.", "10.1.0.7"},
		{"192.0.2.35", "onlan.docker.", "192.0.2.33"}, {fromLAN, "onlan.docker.", "192.0.2.33"},
		{fromHost, "only.docker.", "192.0.2.34"}, {"10.3.0.9", "only.docker.", "none"},
		{fromHost, "33.2.0.192.in-addr.arpa.", "onlan.docker."},
	} {
		expect(t, d, c.from, c.name, c.want)
	}
	// The zone's transfer is the host's view.
	if zoneText, _ := dump(t, d, "docker."); strings.Contains(zoneText, "onlan.docker.\t5\tIN\tA\t192.0.2.33") || !strings.Contains(zoneText, "10.1.0.7") {
		t.Errorf("transferred:\n%s", zoneText)
	}
}

// TestPublishedBesideLAN has containers with ports asked for from elsewhere: one on the LAN is reached there at its own ports,
// whatever else it publishes.
func TestPublishedBesideLAN(t *testing.T) {
	for _, publish := range []bool{false, true} {
		d := emptyDocker(func(c *config) { c.publish = publish })
		onlan, both, bridged := facts("onlan", "lan=192.0.2.33"), facts("both", "a=10.1.0.7 lan=192.0.2.34"), facts("bridged", "a=10.1.0.8")
		inner := facts("inner", "a=10.1.0.9") // published for containers alone
		inner.Ports = published("10.1.0.1:8082")
		onlan.Ports, both.Ports, bridged.Ports = published(), published("0.0.0.0:8080", "[::]:8080"), published("0.0.0.0:8081")
		d.set(onlan, both, bridged, inner)
		host, port := "none", []uint16(nil)
		if publish {
			host, port = "192.0.2.1", []uint16{8081}
		}
		for _, c := range []struct {
			name, a string
			ports   []uint16
		}{
			{"onlan", "192.0.2.33", []uint16{80}}, {"both", "192.0.2.34", []uint16{80}}, {"bridged", host, port}, {"inner", "none", nil},
		} {
			expect(t, d, fromLAN, c.name+".docker.", c.a)
			rec := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: fromLAN})
			if _, err := d.ServeDNS(t.Context(), rec, new(dns.Msg).SetQuestion("_http._tcp."+c.name+".docker.", dns.TypeSRV)); err != nil {
				t.Fatal(err)
			}
			var got []uint16
			for _, rr := range rec.Msg.Answer {
				got = append(got, rr.(*dns.SRV).Port)
			}
			if !slices.Equal(got, c.ports) {
				t.Errorf("publish %v: SRV of %s has the ports %v, want %v", publish, c.name, got, c.ports)
			}
		}
	}
}

// TestPeers checks that what a container's service is decides what it is given of it.
func TestPeers(t *testing.T) {
	for _, health := range []naming.Health{naming.PreferHealth, naming.RequireHealth, naming.IgnoreHealth} {
		d := emptyDocker(func(c *config) { c.health = health })
		member := func(name, addr, service string, health container.Health) *container.Container {
			c := facts(name, "a="+addr)
			c.Health = health
			c.Labels = map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": service}
			return c
		}
		one, two := member("one", "10.1.0.2", "es", container.Unhealthy), member("two", "10.1.0.3", "es", container.Healthy)
		three := member("three", "10.1.0.4", "es", container.Unhealthy)
		three.Paused = true
		job := member("job", "10.1.0.6", "es", container.HealthNone)
		job.Labels["com.docker.compose.oneoff"] = "True"
		d.set(one, two, three, job, member("web", "10.1.0.5", "web", container.HealthNone))
		others := "10.1.0.3"
		if health == naming.IgnoreHealth {
			others = "10.1.0.2 10.1.0.3"
		}
		for from, want := range map[string]string{
			"10.1.0.2": "10.1.0.2 10.1.0.3", "10.1.0.3": "10.1.0.2 10.1.0.3", "10.1.0.5": others, "10.1.0.6": others, fromHost: others,
		} {
			expect(t, d, from, "es.shop.docker.", want)
		}
	}
}

// TestHostIsElsewhere has the host ask where it does not reach containers.
func TestHostIsElsewhere(t *testing.T) {
	web := facts("web", "a=10.1.0.2")
	web.Ports = published("0.0.0.0:8080")
	for name, change := range map[string]func(*Docker){
		"not routed": func(d *Docker) { h := containertest.Host(); h.Routed = false; d.hear(h) },
		"remote engine": func(d *Docker) {
			d.askers.Feed(d.hosts[0].id).EngineAt([]netip.Addr{netip.MustParseAddr("203.0.113.5")})
		},
		"remote unknown": func(d *Docker) { d.askers.Feed(d.hosts[0].id).EngineAt([]netip.Addr{}) },
	} {
		want := map[string][2]string{ // by loopback, and by the network's gateway
			"not routed": {"127.0.0.1", "192.0.2.1"}, "remote engine": {"203.0.113.5", "203.0.113.5"}, "remote unknown": {"none", "none"},
		}[name]
		d := emptyDocker(func(c *config) { c.publish = true })
		change(d)
		d.set(web)
		for i, from := range []string{fromHost, "10.1.0.1"} {
			if got := dig(t, d, from, "web.docker.", dns.TypeA); got != want[i] {
				t.Errorf("%s, from %s: %q, want %q", name, from, got, want[i])
			}
		}
		if got := dig(t, d, "10.1.0.9", "web.docker.", dns.TypeA); got != "10.1.0.2" {
			t.Errorf("%s: a container gets %q", name, got)
		}
	}
}

func TestPublish(t *testing.T) {
	web := facts("web", "a=10.1.0.2")
	web.Ports = published("0.0.0.0:8080", "[::]:8080")
	for _, c := range []struct {
		addrs   string
		a, aaaa string
	}{{"", "192.0.2.1", "none"}, {"192.0.2.1 2001:db8::1", "192.0.2.1", "2001:db8::1"}} {
		d := emptyDocker(func(cfg *config) {
			cfg.publish = true
			cfg.publishAddrs, _ = parseAddrs(strings.Fields(c.addrs))
		})
		d.set(web)
		if got := dig(t, d, fromLAN, "web.docker.", dns.TypeA); got != c.a {
			t.Errorf("publish %s: A %q, want %q", c.addrs, got, c.a)
		}
		if got := dig(t, d, fromLAN, "web.docker.", dns.TypeAAAA); got != c.aaaa {
			t.Errorf("publish %s: AAAA %q, want %q", c.addrs, got, c.aaaa)
		}
		if got := dig(t, d, fromHost, "web.docker.", dns.TypeA); got != "10.1.0.2" {
			t.Errorf("publish %s: the host gets %q", c.addrs, got)
		}
	}
	// We run in a container: the addresses on which queries come in are not the host's.
	d := emptyDocker(func(cfg *config) { cfg.publish = true })
	machine("eth0 10.1.0.9/16").at(&d.own)
	us := facts("us", "a=10.1.0.9")
	d.set(web, us)
	if got := dig(t, d, fromLAN, "web.docker.", dns.TypeA); got != "none" {
		t.Errorf("in a container: %q", got)
	}
}

func TestIsolate(t *testing.T) {
	d := emptyDocker(func(c *config) { c.zone.Isolate = true })
	web := facts("web", "a=10.1.0.2")
	web.Ports = []container.Port{{Number: 5432, Proto: "tcp"}}
	d.set(web, facts("onb", "b=10.2.0.3"), facts("ona", "a=10.1.0.3"))
	for _, c := range []struct{ from, name, want string }{
		{"10.2.0.3", "_tcp.web.docker.", "NXDOMAIN"}, {"10.1.0.3", "_tcp.web.docker.", "none"}, {fromHost, "_tcp.web.docker.", "none"},
		{"10.2.0.3", "web.docker.", "NXDOMAIN"}, {"10.2.0.3", "2.0.1.10.in-addr.arpa.", "NXDOMAIN"},
		{"10.1.0.3", "web.docker.", "10.1.0.2"}, {"10.1.0.3", "2.0.1.10.in-addr.arpa.", "web.docker."},
		{fromHost, "web.docker.", "10.1.0.2"}, {fromHost, "2.0.1.10.in-addr.arpa.", "web.docker."},
	} {
		expect(t, d, c.from, c.name, c.want)
	}
}

// TestJoined follows the container whose network others use.
func TestJoined(t *testing.T) {
	d := emptyDocker(func(c *config) { c.hold = 0 })
	vpn, app, sidecar := facts("vpn", "a=10.1.0.2"), facts("app", ""), facts("sidecar", "")
	app.NetworkMode, sidecar.NetworkMode = "container:"+vpn.ID, "container:"+app.ID
	expect := func(what, want string) {
		t.Helper()
		for _, name := range []string{"app.docker.", "sidecar.docker."} {
			if got := dig(t, d, fromHost, name, dns.TypeA); got != want {
				t.Errorf("%s: %s is %q, want %q", what, name, got, want)
			}
		}
	}
	d.set(app, sidecar)
	expect("before the other", "none")
	d.set(vpn)
	expect("with the other", "10.1.0.2")
	if got := dig(t, d, fromHost, "2.0.1.10.in-addr.arpa.", dns.TypePTR); got != "vpn.docker." {
		t.Errorf("the address resolves to %q", got)
	}
	if got := dig(t, d, "10.1.0.2", "app.docker.", dns.TypeA); got != "10.1.0.2" {
		t.Errorf("among themselves: %q", got)
	}
	d.set(facts("vpn", "b=10.2.0.2"))
	expect("the other has moved", "10.2.0.2")
	d.remove(vpn)
	expect("the other has ended", "none")
	d.set(vpn)
	byName := facts("byname", "")
	byName.NetworkMode = "container:vpn"
	d.set(byName)
	if got := dig(t, d, fromHost, "byname.docker.", dns.TypeA); got != "10.1.0.2" {
		t.Errorf("joined by name: %q", got)
	}
	d.remove(app)
	if got := dig(t, d, fromHost, "sidecar.docker.", dns.TypeA); got != "none" {
		t.Errorf("joined to what has ended: %q", got)
	}
	// A ring ends.
	ring1, ring2 := facts("ring1", ""), facts("ring2", "")
	ring1.NetworkMode, ring2.NetworkMode = "container:"+ring2.ID, "container:"+ring1.ID
	d.set(ring1, ring2)
	if got := dig(t, d, fromHost, "ring1.docker.", dns.TypeA); got != "none" {
		t.Errorf("a ring: %q", got)
	}
}

// TestJoinedBeforeRestart has the container restart whose network others use: these stay in a network that has ended.
func TestJoinedBeforeRestart(t *testing.T) {
	at := func(name, mode string, started int64) *container.Container {
		c := facts(name, "")
		if mode == "" {
			c = facts(name, "a=10.1.0.2")
		}
		c.NetworkMode, c.Started = mode, time.Unix(started, 0)
		if started == 0 {
			c.Started = time.Time{}
		}
		return c
	}
	for name, c := range map[string]struct {
		vpn, app, sidecar *container.Container
		want              string // of app and sidecar
	}{
		"in order":             {at("vpn", "", 1), at("app", "container:vpn", 2), at("sidecar", "container:app", 3), "10.1.0.2 10.1.0.2"},
		"the first restarts":   {at("vpn", "", 4), at("app", "container:vpn", 2), at("sidecar", "container:app", 3), "none none"},
		"then the second":      {at("vpn", "", 4), at("app", "container:vpn", 5), at("sidecar", "container:app", 3), "10.1.0.2 none"},
		"then the third":       {at("vpn", "", 4), at("app", "container:vpn", 5), at("sidecar", "container:app", 6), "10.1.0.2 10.1.0.2"},
		"the third alone":      {at("vpn", "", 4), at("app", "container:vpn", 2), at("sidecar", "container:app", 6), "none none"},
		"the host's network":   {at("vpn", "host", 4), at("app", "container:vpn", 2), at("sidecar", "container:app", 3), "10.1.0.1 10.1.0.1"},
		"no time was told":     {at("vpn", "", 4), at("app", "container:vpn", 0), at("sidecar", "container:vpn", 0), "10.1.0.2 10.1.0.2"},
		"the other has no one": {at("vpn", "", 0), at("app", "container:vpn", 2), at("sidecar", "container:app", 3), "10.1.0.2 10.1.0.2"},
	} {
		d := emptyDocker(nil)
		d.set(c.sidecar, c.app, c.vpn)
		if got := dig(t, d, fromHost, "app.docker.", dns.TypeA) + " " + dig(t, d, fromHost, "sidecar.docker.", dns.TypeA); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestHold drives the clock over a container's end and its next start.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := emptyDocker(nil)
		d.Fall.SetZonesFromArgs(nil)
		d.Next = test.NextHandler(dns.RcodeRefused, errNext)
		web := facts("web", "a=10.1.0.2")
		gone := fmt.Sprintf("REFUSED, %v", errNext) // falls through
		expect := func(what, want string) {
			t.Helper()
			if got := dig(t, d, fromHost, "web.docker.", dns.TypeA); got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		d.set(web)
		d.remove(web)
		expect("ended", "none")
		if got := dig(t, d, fromHost, "2.0.1.10.in-addr.arpa.", dns.TypePTR); got == "web.docker." {
			t.Error("an ended container's address resolves")
		}
		time.Sleep(9 * time.Second) // fake time
		synctest.Wait()
		expect("just before the hold is over", "none")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		expect("the hold is over", gone)

		d.set(web)
		d.remove(web)
		time.Sleep(9 * time.Second)
		d.set(facts("web", "a=10.1.0.3"))
		time.Sleep(time.Minute)
		synctest.Wait()
		expect("started anew", "10.1.0.3")
		d.remove(web)
		d.remove(web) // twice
		d.catalog.Close()
		expect("closed", "none")
	})
}

// TestNeighbourRestarts checks that nobody gets another project's address for that of a container that
// restarts, with hold, and that isolation hides it then as before.
func TestNeighbourRestarts(t *testing.T) {
	member := func(name, project, addr string) *container.Container {
		c := facts(name, project[:1]+"="+addr)
		c.Labels = map[string]string{"com.docker.compose.project": project, "com.docker.compose.service": name}
		return c
	}
	for _, source := range []string{"alias", "host name"} {
		for _, isolate := range []bool{false, true} {
			d := emptyDocker(func(c *config) { c.zone.Isolate = isolate })
			a, b := member("adb", "apple", "10.1.0.2"), member("bdb", "berry", "10.2.0.2")
			for _, c := range []*container.Container{a, b} {
				if source == "alias" {
					c.Endpoints[0].Aliases = []string{"db"}
				} else {
					c.Hostname = "db"
				}
			}
			d.set(a, b, member("app", "apple", "10.1.0.5"))
			stranger := "none"
			if isolate {
				stranger = "NXDOMAIN"
			}
			check := func(own string) {
				t.Helper()
				for from, want := range map[string]string{"10.1.0.5": own, "10.1.0.9": own, "10.2.0.9": "10.2.0.2", "10.3.0.9": stranger, fromHost: "none"} {
					expect(t, d, from, "db.docker.", want)
				}
			}
			check("10.1.0.2")
			d.remove(a)
			check("none")
			d.apply([]container.Change{{ID: a.ID, Gone: true}})
			check("none")
			d.set(a)
			check("10.1.0.2")
			d.catalog.Close()
		}
	}
}

// TestVantage has the server stand at different places, seen from the engine.
func TestVantage(t *testing.T) {
	web := facts("web", "a=10.1.0.2")
	web.Ports = published("0.0.0.0:8080")
	reached := func(at string) func(*Docker) {
		return func(d *Docker) {
			h := containertest.Host()
			h.Peer = netip.MustParseAddr(at)
			d.askers.Feed(d.hosts[0].id).EngineAt([]netip.Addr{h.Peer}) // by its name, at the start
			d.hear(h)
		}
	}
	proxy := func(d *Docker) { d.set(facts("proxy", "b=10.2.0.9")) }
	on := func(m interfaces) func(*Docker) { return func(d *Docker) { m.at(&d.own) } }
	for name, c := range map[string]struct {
		changes []func(*Docker)
		want    string // what the host gets by its loopback
	}{
		"on the host":                        {nil, "10.1.0.2"},
		"beside another engine":              {[]func(*Docker){on(machine("eth0 192.0.2.1/24", "docker0 172.17.0.1/16"))}, "127.0.0.1"},
		"without any bridge":                 {[]func(*Docker){on(machine("eth0 192.0.2.1/24"))}, "127.0.0.1"},
		"with one bridge of two":             {[]func(*Docker){on(machine("eth0 192.0.2.1/24", "b 10.2.0.1/16")), proxy}, "10.1.0.2"},
		"the bridge of an unused network":    {[]func(*Docker){on(machine("eth0 192.0.2.1/24", "b 10.2.0.1/16"))}, "127.0.0.1"},
		"an address of a LAN's gateway":      {[]func(*Docker){on(machine("eth0 192.0.2.1/24")), func(d *Docker) { d.set(facts("onlan", "lan=192.0.2.33")) }}, "127.0.0.1"},
		"in a container":                     {[]func(*Docker){on(machine("eth0 10.1.0.9/16")), func(d *Docker) { d.set(facts("us", "a=10.1.0.9")) }}, "10.1.0.2"},
		"remote engine":                      {[]func(*Docker){reached("203.0.113.5")}, "203.0.113.5"},
		"engine at an own address":           {[]func(*Docker){reached("192.0.2.1")}, "10.1.0.2"},
		"at an own address, away":            {[]func(*Docker){func(d *Docker) { d.askers.Feed(d.hosts[0].id).EngineAt([]netip.Addr{netip.MustParseAddr("192.0.2.1")}) }}, "10.1.0.2"},
		"engine by a tunnel":                 {[]func(*Docker){reached("127.0.0.1"), on(machine("eth0 192.0.2.1/24"))}, "127.0.0.1"},
		"through a proxy":                    {[]func(*Docker){reached("10.2.0.9"), proxy}, "10.1.0.2"},
		"through a proxy, not known yet":     {[]func(*Docker){reached("10.2.0.9")}, "10.2.0.9"},
		"through a proxy, in a container":    {[]func(*Docker){reached("10.2.0.9"), proxy, on(machine("eth0 10.2.0.8/16")), func(d *Docker) { d.set(facts("us", "b=10.2.0.8")) }}, "10.1.0.2"},
		"at a bridge of the host, inside":    {[]func(*Docker){reached("10.2.0.1"), on(machine("eth0 10.1.0.9/16")), func(d *Docker) { d.set(facts("us", "a=10.1.0.9")) }}, "10.1.0.2"},
		"at a bridge of another machine":     {[]func(*Docker){reached("10.2.0.1"), on(machine("eth0 192.0.2.1/24"))}, "10.2.0.1"},
		"its name could not be looked up":    {[]func(*Docker){reached("203.0.113.5"), func(d *Docker) { d.askers.Feed(d.hosts[0].id).EngineAt([]netip.Addr{}) }}, "203.0.113.5"},
		"a proxy whose name was not known":   {[]func(*Docker){reached("10.2.0.9"), proxy, func(d *Docker) { d.askers.Feed(d.hosts[0].id).EngineAt([]netip.Addr{}) }}, "10.1.0.2"},
		"away, through a proxy":              {[]func(*Docker){proxy, func(d *Docker) { d.askers.Feed(d.hosts[0].id).EngineAt([]netip.Addr{netip.MustParseAddr("10.2.0.9")}) }}, "10.1.0.2"},
		"the bridge is made with the server": {[]func(*Docker){on(machine("eth0 192.0.2.1/24")), func(d *Docker) { d.askers.Vantage(d.hosts[0].id) }, on(machine("eth0 192.0.2.1/24", "a 10.1.0.1/16"))}, "10.1.0.2"},
	} {
		d := emptyDocker(func(c *config) { c.publish = true })
		for _, change := range c.changes {
			change(d)
		}
		d.set(web)
		if got := dig(t, d, fromHost, "web.docker.", dns.TypeA); got != c.want {
			t.Errorf("%s: the host gets %q, want %q", name, got, c.want)
		}
	}
	// It changes with what is known.
	d := emptyDocker(func(c *config) { c.publish = true })
	d.set(web)
	for i, step := range []struct {
		change func(*Docker)
		want   string
	}{
		{reached("10.2.0.9"), "10.2.0.9"}, {proxy, "10.1.0.2"}, {func(d *Docker) { d.remove(facts("proxy", "b=10.2.0.9")) }, "10.2.0.9"},
		{reached("192.0.2.1"), "10.1.0.2"}, {func(d *Docker) { on(machine("eth0 192.0.2.1/24"))(d); d.own.Forget() }, "127.0.0.1"},
	} {
		step.change(d)
		if got := dig(t, d, fromHost, "web.docker.", dns.TypeA); got != step.want {
			t.Errorf("step %d: the host gets %q, want %q", i, got, step.want)
		}
	}
}

// TestServerInContainer has the server run in a container without the host's network. What that hides of who asks is said once.
func TestServerInContainer(t *testing.T) {
	at := func(published ...string) []container.Port {
		port := container.Port{Number: 53, Proto: "udp"}
		for _, s := range published {
			port.Published = append(port.Published, netip.MustParseAddrPort(s))
		}
		return []container.Port{port}
	}
	metrics := at("0.0.0.0:9153")
	metrics[0].Number = 9153
	const isolated = "count as the Docker host, so that isolate does not hold for them. docs/container.md"
	for name, c := range map[string]struct {
		own, us string
		ports   []container.Port
		change  func(*config)
		says    string // "" for no line
	}{
		"published":             {own: "eth0 10.1.0.9/16", us: "a=10.1.0.9", ports: at("0.0.0.0:5353"), says: "without the host's network, and publishes its port 53: "},
		"and isolate is void":   {own: "eth0 10.1.0.9/16", us: "a=10.1.0.9", ports: at("0.0.0.0:5353"), says: isolated},
		"not published":         {own: "eth0 10.1.0.9/16", us: "a=10.1.0.9", ports: at(), says: "without the host's network: "},
		"and isolate holds":     {own: "eth0 10.1.0.9/16", us: "a=10.1.0.9", ports: at(), says: "count as the Docker host. docs/container.md"},
		"another port":          {own: "eth0 10.1.0.9/16", us: "a=10.1.0.9", ports: metrics, says: "without the host's network: "},
		"the gateway forwards":  {own: "eth0 10.1.0.9/16", us: "a=10.1.0.9", ports: at("0.0.0.0:5353"), change: forwards("10.1.0.1/32"), says: "count as elsewhere"},
		"one of two forwards":   {own: "eth0 10.1.0.9/16", us: "a=10.1.0.9 b=10.2.0.9", ports: at(), change: forwards("10.1.0.1/32"), says: "count as the Docker host"},
		"on macvlan":            {own: "eth0 192.0.2.9/24", us: "lan=192.0.2.9", ports: at()},
		"on macvlan and bridge": {own: "eth0 192.0.2.9/24", us: "lan=192.0.2.9 b=10.2.0.9", ports: at(), says: "without the host's network: "},
		"on the host's network": {own: "br-a 10.1.0.1/16", us: "a=10.1.0.9", ports: at("0.0.0.0:53")},
	} {
		d := emptyDocker(func(cfg *config) {
			cfg.zone.Isolate = true
			if c.change != nil {
				c.change(cfg)
			}
		})
		machine(c.own).at(&d.own)
		d.port = "53"
		us := facts("us", c.us)
		us.Ports = c.ports
		d.set(us, facts("web", "a=10.1.0.2"))
		lines := logged(func() {
			for range 3 {
				d.askers.Vantage(d.hosts[0].id) // as the start does
				dig(t, d, "10.1.0.1", "web.docker.", dns.TypeA)
				d.set(facts("other", "a=10.1.0.3"))
			}
		})
		if want := min(len(c.says), 1); len(lines) != want || want == 1 && (!strings.Contains(lines[0], "The server runs in container us ") || !strings.Contains(lines[0], c.says)) {
			t.Errorf("%s: %q, want %d lines with %q", name, lines, want, c.says)
		}
	}
}

// An engine on another machine may have a container with the address of ours.
func TestServerBesideItsDouble(t *testing.T) {
	d := emptyDocker(nil)
	machine("eth0 10.1.0.9/16").at(&d.own)
	d.askers.Feed(d.hosts[0].id).EngineAt([]netip.Addr{netip.MustParseAddr("198.51.100.7")})
	if lines := logged(func() { d.set(facts("us", "a=10.1.0.9")); dig(t, d, "10.1.0.1", "us.docker.", dns.TypeA) }); len(lines) != 0 {
		t.Errorf("it says %q", lines)
	}
}

func forwards(prefix string) func(*config) {
	return func(c *config) { c.forwarders = []netip.Prefix{netip.MustParsePrefix(prefix)} }
}

// BenchmarkServeDNS compares an answer for the host, which is ready, with one for a
// container that is found by its address: 1,000 containers on 20 networks.
func BenchmarkServeDNS(b *testing.B) {
	d := emptyDocker(nil)
	for i := range 1000 {
		d.set(facts(fmt.Sprintf("c%03d", i), fmt.Sprintf("net%d=10.%d.1.%d", i%20, i%20+20, i/20+2)))
	}
	for _, v := range []struct{ name, from string }{{"view=host", fromHost}, {"view=container", "10.27.1.3"}} {
		b.Run(v.name, func(b *testing.B) {
			w := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: v.from})
			m := new(dns.Msg).SetQuestion("c007.docker.", dns.TypeA)
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if rcode, err := d.ServeDNS(ctx, w, m); err != nil || rcode != dns.RcodeSuccess {
					b.Fatal(rcode, err)
				}
			}
			if len(w.Msg.Answer) != 1 {
				b.Fatalf("not an answer of one address: %v", w.Msg)
			}
		})
	}
}

// published is port 80, published on the host.
func published(at ...string) []container.Port {
	port := container.Port{Number: 80, Proto: "tcp"}
	for _, s := range at {
		port.Published = append(port.Published, netip.MustParseAddrPort(s))
	}
	return []container.Port{port}
}
