package dockerdiscovery

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/asker"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
)

// besideAnother has each host of which a plugin hears in a test stand beside another one, of equal networks, names and
// addresses, whose engine is remote. Its containers may ask, and have no names.
var besideAnother bool

var anotherAt = netip.MustParseAddr("203.0.113.77")

// another is the host beside, nil if there is none.
func (d *Docker) another() *asker.Feed {
	if !besideAnother {
		return nil
	}
	f := d.askers.Feed("another")
	f.EngineAt([]netip.Addr{anotherAt})
	return f
}

// hear has the plugin hear of what its host is.
func (d *Docker) hear(h container.Host) {
	if f := d.another(); f != nil {
		like := h
		like.Peer = anotherAt
		f.Host(like)
	}
	d.sink(d.hosts[0]).Host(h)
}

// apply has the plugin hear of changes of its host's containers.
func (d *Docker) apply(changes []container.Change) {
	d.sink(d.hosts[0]).Apply(changes)
	f := d.another()
	if f == nil {
		return
	}
	like := slices.Clone(changes)
	for i := range like {
		if c := like[i].Container; c != nil {
			facts := *c
			facts.Endpoints = slices.Clone(c.Endpoints)
			for j := range facts.Endpoints {
				if e := &facts.Endpoints[j]; e.Network == "lan" { // where each address is one host's
					e.Addrs = []netip.Addr{e.Addrs[0].Next().Next().Next()}
				}
			}
			like[i].Container = &facts
		}
	}
	f.Apply(like)
}

// TestBesideAnother runs tests of who asks beside another host: its engine is remote, and nothing changes.
func TestBesideAnother(t *testing.T) {
	besideAnother = true
	defer func() { besideAnother = false }()
	for name, test := range map[string]func(*testing.T){
		"WhoAsks": TestWhoAsks, "HostNetwork": TestHostNetwork, "DirectNetworkLast": TestDirectNetworkLast, "PublishedBesideLAN": TestPublishedBesideLAN,
		"Peers": TestPeers, "Publish": TestPublish, "Isolate": TestIsolate, "NeighbourRestarts": TestNeighbourRestarts, "Vantage": TestVantage,
		"ServerInContainer": TestServerInContainer, "HostAddrs": TestHostAddrs, "HostAddrsOnce": TestHostAddrsOnce, "Forwarders": TestForwarders,
		"Metadata": TestMetadata, "Transfer": TestTransfer, "ServerAddrs": TestServerAddrs, "Allocations": TestAllocations,
	} {
		t.Run(name, test)
	}
}

// TestFamilyWithoutRoute asks on machines that have a route to one of another host's addresses, or to none.
func TestFamilyWithoutRoute(t *testing.T) {
	for lan, want := range map[string]string{
		"eth0 2001:db8::9/64": "none 2001:db8::5", "eth0 198.51.100.9/24": "203.0.113.5 none",
		"eth0 198.51.100.9/24 2001:db8::9/64": "203.0.113.5 2001:db8::5", "eth0": "203.0.113.5 2001:db8::5",
	} {
		d := emptyDocker(func(c *config) {
			c.endpoints = append(c.endpoints, endpoint{name: "far", addrs: []netip.Addr{netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("2001:db8::5")}})
		})
		machine(lan).at(&d.own)
		d.hosts[1].id = "far"
		far := d.sink(d.hosts[1])
		far.askers.EngineAt([]netip.Addr{netip.MustParseAddr("203.0.113.5")})
		far.Synced()
		got := dig(t, d, "127.0.0.1", "far.docker.", dns.TypeA) + " " + dig(t, d, "127.0.0.1", "far.docker.", dns.TypeAAAA)
		if got != want {
			t.Errorf("on %q the other host is %s, want %s", lan, got, want)
		}
		if got := dig(t, d, "198.51.100.77", "far.docker.", dns.TypeA) + dig(t, d, "198.51.100.77", "far.docker.", dns.TypeAAAA); got != "203.0.113.52001:db8::5" {
			t.Errorf("on %q the LAN gets %s", lan, got)
		}
	}
}

// TestTwoHosts asks two hosts for their containers, one on this machine and a remote one, which have equal networks, names and
// addresses beside some of their own.
func TestTwoHosts(t *testing.T) {
	d := emptyDocker(func(c *config) { c.publish = true })
	far := d.sink(&watchedHost{id: "far"})
	h := containertest.Host()
	h.Peer = netip.MustParseAddr("203.0.113.5")
	h.Networks = append(slices.Clone(h.Networks), container.Network{
		ID: "x", Name: "x", Driver: "bridge", Subnets: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}, Gateways: []netip.Addr{netip.MustParseAddr("10.9.0.1")},
	})
	far.askers.EngineAt([]netip.Addr{h.Peer})
	far.Host(h)
	far.Synced()
	onHost := func(name string) *container.Container {
		c := facts(name, "")
		c.NetworkMode = "host"
		return c
	}
	serving := func(name, addrs string) *container.Container {
		c := facts(name, addrs)
		c.Ports = published("0.0.0.0:80")
		return c
	}
	d.set(serving("web", "a=10.1.0.2"), facts("mine", "a=10.1.0.3"), onHost("hostnet"), facts("p", "lan=192.0.2.33"))
	var changes []container.Change
	for _, c := range []*container.Container{
		serving("web", "a=10.1.0.2"), serving("theirs", "a=10.1.0.3"), facts("hidden", "b=10.2.0.2"), facts("asker", "x=10.9.0.2"),
		onHost("hostnet"), onHost("theirnet"), facts("q", "lan=192.0.2.34"),
	} {
		changes = append(changes, container.Change{ID: c.ID, Container: c})
	}
	far.Apply(changes)
	const both = "192.0.2.1 203.0.113.5"
	for _, c := range []struct{ from, web, mine, theirs, hidden, hostnet, theirnet, p, q string }{
		{fromHost, "10.1.0.2", "10.1.0.3", "203.0.113.5", "none", "10.1.0.1", "203.0.113.5", "192.0.2.33", "192.0.2.34"},
		{"10.1.0.2", "10.1.0.2", "10.1.0.3", "203.0.113.5", "none", "10.1.0.1", "203.0.113.5", "none", "192.0.2.34"},           // web of this machine
		{"10.2.0.9", "10.2.0.1", "none", "203.0.113.5", "none", "10.2.0.1", "203.0.113.5", "none", "192.0.2.34"},               // is not known yet
		{"192.0.2.33", "203.0.113.5", "none", "203.0.113.5", "none", "203.0.113.5", "203.0.113.5", "192.0.2.33", "192.0.2.34"}, // does not reach its host
		{"10.9.0.2", "10.9.0.1", "none", "10.9.0.1", "none", "10.9.0.1", "10.9.0.1", "192.0.2.33", "none"},                     // its own host's, routed to us
		{"192.0.2.34", "192.0.2.1", "none", "none", "none", "192.0.2.1", "none", "192.0.2.33", "192.0.2.34"},
		{fromLAN, both, "none", "203.0.113.5", "none", both, "203.0.113.5", "192.0.2.33", "192.0.2.34"},
		{"203.0.113.5", both, "none", "203.0.113.5", "none", both, "203.0.113.5", "192.0.2.33", "192.0.2.34"},
	} {
		for name, want := range map[string]string{"web": c.web, "mine": c.mine, "theirs": c.theirs, "hidden": c.hidden, "hostnet": c.hostnet, "theirnet": c.theirnet, "p": c.p, "q": c.q} {
			addrs := strings.Fields(dig(t, d, c.from, name+".docker.", dns.TypeA))
			slices.Sort(addrs)
			if got := strings.Join(addrs, " "); got != want {
				t.Errorf("%s asks for %s: %s, want %s", c.from, name, got, want)
			}
		}
	}
	for from, want := range map[string]string{fromHost: "mine.docker.", "10.2.0.9": "mine.docker.", "10.9.0.2": "theirs.docker."} {
		expect(t, d, from, "3.0.1.10.in-addr.arpa.", want)
	}
	for as, want := range map[transferAsker]map[string]string{
		transferHost:  {"web": "10.1.0.2", "mine": "10.1.0.3", "theirs": "203.0.113.5", "hidden": "", "hostnet": "10.1.0.1", "theirnet": "203.0.113.5", "p": "192.0.2.33", "q": "192.0.2.34"},
		transferUsual: {"web": both, "mine": "", "theirs": "203.0.113.5", "hidden": "", "hostnet": both, "theirnet": "203.0.113.5", "p": "192.0.2.33", "q": "192.0.2.34"},
	} {
		d.config.transferAsker = as
		text, _ := dump(t, d, "docker.")
		for owner, want := range want {
			var got []string
			for line := range strings.SplitSeq(text, "\n") {
				if f := strings.Fields(line); len(f) == 5 && f[0] == owner+".docker." && f[3] == "A" {
					got = append(got, f[4])
				}
			}
			slices.Sort(got)
			if strings.Join(got, " ") != want {
				t.Errorf("%s is transferred with %s, want %s", owner, got, want)
			}
		}
	}
	if got := fmt.Sprint(d.serverAddrs()); got != "[192.0.2.1]" {
		t.Errorf("the server is at %s", got)
	}
}

// TestLabels checks that engines at two addresses are of two hosts, however much alike these are called, and that two which use
// one address are of one.
func TestLabels(t *testing.T) {
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	one, two := "unix://"+t.TempDir()+"/one.sock", "unix://"+t.TempDir()+"/two.sock"
	corefile := func(endpoints ...string) *instance {
		i := &instance{}
		for _, e := range endpoints {
			url, name, _ := strings.Cut(e, " ")
			i.endpoints = append(i.endpoints, endpoint{Endpoint: engine.Endpoint{Host: url}, name: name})
		}
		return i
	}
	for what, c := range map[string]struct {
		instances []*instance
		want      map[string]string
	}{
		"usual names": {
			[]*instance{corefile(one, "tcp://engine.example:1", "ssh://me@engine.lan/run/podman.sock", "tcp://[::1]:1")},
			map[string]string{one: machine, "tcp://engine.example:1": "engine.example", "ssh://me@engine.lan/run/podman.sock": "engine.lan", "tcp://[::1]:1": "::1"},
		},
		"the first has it": {
			[]*instance{corefile(one, two, "tcp://127.0.0.1:1", "tcp://127.0.0.1:2")},
			map[string]string{one: machine, two: two, "tcp://127.0.0.1:1": "127.0.0.1", "tcp://127.0.0.1:2": "tcp://127.0.0.1:2"},
		},
		"a NAME has it before": {
			[]*instance{corefile("tcp://nas:1", one, "tcp://192.0.2.1:1 nas", two+" "+machine)},
			map[string]string{"tcp://nas:1": "tcp://nas:1", one: one, "tcp://192.0.2.1:1": "nas", two: machine},
		},
		"with a NAME and without": {
			[]*instance{corefile("tcp://192.0.2.1:1", "tcp://192.0.2.1:1 nas")},
			map[string]string{"tcp://192.0.2.1:1": "nas"},
		},
		"a reload renames, and puts another engine in place of one": {
			[]*instance{corefile(one+" tower", "tcp://b:1 nas"), corefile(one, "tcp://a:1 nas")},
			map[string]string{one: "tower", "tcp://b:1": "nas", "tcp://a:1": "tcp://a:1"},
		},
	} {
		got := map[string]string{}
		for source, l := range labelsOf(c.instances...) {
			got[string(source)] = string(l.host)
		}
		if !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}
