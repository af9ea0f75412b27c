package container

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestStops(t *testing.T) {
	for _, c := range []struct {
		declared, signal string
		want             bool
	}{
		{"", "15", true}, {"", "SIGTERM", true}, {"", "term", true}, {"", "9", true}, {"", "KILL", true},
		{"", "2", false}, {"", "SIGINT", false}, {"", "3", false}, {"", "QUIT", false},
		{"", "1", false}, {"", "SIGHUP", false}, {"", "10", false}, {"", "", false}, {"", "nonsense", false}, {"", "37", false},
		{"SIGUSR1", "10", true}, {"USR1", "SIGUSR1", true}, {"10", "USR1", true}, {"SIGUSR1", "9", true}, {"SIGUSR1", "15", false}, {"SIGUSR1", "12", false},
		{"QUIT", "3", true}, {"QUIT", "15", false}, {"INT", "2", true},
		{"SIGRTMIN+3", "37", true}, {"RTMIN", "34", true}, {"RTMIN+x", "34", false}, {"RTMIN+x", "15", true},
		{"SIGRTMAX-1", "63", true}, {"RTMAX", "64", true}, {"nonsense", "", false}, {"nonsense", "x", false},
	} {
		container := Container{StopSignal: c.declared}
		if got := container.Stops(c.signal); got != c.want {
			t.Errorf("a container with stop signal %q stops at %q: %v, want %v", c.declared, c.signal, got, c.want)
		}
	}
}

// TestEqual changes each fact that decides records, and checks that it is seen.
func TestEqual(t *testing.T) {
	full := func() *Container {
		return &Container{
			ID: "1", Name: "web", Hostname: "h", Domainname: "d", Image: "i", Created: time.Unix(1, 0), Started: time.Unix(2, 0),
			Labels: map[string]string{"a": "b"}, NetworkMode: "net",
			Endpoints: []Endpoint{{ID: "e", Network: "n", Aliases: []string{"x"},
				Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.2")}, Gateways: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}},
			Ports:      []Port{{Number: 80, Proto: "tcp", Published: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8080")}}},
			GWBridge:   Endpoint{Network: "docker_gwbridge", Addrs: []netip.Addr{netip.MustParseAddr("172.18.0.2")}},
			StopSignal: "TERM", StopTimeout: time.Second,
		}
	}
	if !full().Equal(full()) {
		t.Fatal("a container does not equal itself")
	}
	for name, change := range map[string]func(*Container){
		"ID": func(c *Container) { c.ID = "2" }, "Name": func(c *Container) { c.Name = "x" },
		"Hostname": func(c *Container) { c.Hostname = "x" }, "Domainname": func(c *Container) { c.Domainname = "x" },
		"Image": func(c *Container) { c.Image = "x" }, "Created": func(c *Container) { c.Created = time.Unix(2, 0) },
		"Labels": func(c *Container) { c.Labels["a"] = "c" }, "NetworkMode": func(c *Container) { c.NetworkMode = "host" },
		"endpoint": func(c *Container) { c.Endpoints = nil }, "alias": func(c *Container) { c.Endpoints[0].Aliases = nil },
		"address": func(c *Container) { c.Endpoints[0].Addrs = nil }, "gateway": func(c *Container) { c.Endpoints[0].Gateways = nil },
		"Ports": func(c *Container) { c.Ports = nil }, "port": func(c *Container) { c.Ports[0].Number = 81 },
		"open port":   func(c *Container) { c.Ports[0].Open = true },
		"GWBridge":    func(c *Container) { c.GWBridge.Addrs = nil },
		"protocol":    func(c *Container) { c.Ports[0].Proto = "udp" },
		"publication": func(c *Container) { c.Ports[0].Published = nil }, "Paused": func(c *Container) { c.Paused = true },
		"Health": func(c *Container) { c.Health = Healthy }, "StopSignal": func(c *Container) { c.StopSignal = "" },
		"Stopping": func(c *Container) { c.Stopping = true }, "StopTimeout": func(c *Container) { c.StopTimeout = -1 },
		"IPv6Off": func(c *Container) { c.IPv6Off = true },
		"Search":  func(c *Container) { c.Search = []string{"shop.docker"} },
		"Untold":  func(c *Container) { c.Untold = []string{"x"} },
		"Started": func(c *Container) { c.Started = time.Unix(3, 0) },
	} {
		c := full()
		change(c)
		if c.Equal(full()) {
			t.Errorf("a change of %s is not seen", name)
		}
	}
}

func TestPublished(t *testing.T) {
	at := func(texts ...string) (all []netip.AddrPort) {
		for _, s := range texts {
			all = append(all, netip.MustParseAddrPort(s))
		}
		return all
	}
	c := Container{Ports: []Port{
		{Number: 80, Proto: "tcp", Published: at("[::]:80", "0.0.0.0:80")}, {Number: 81, Proto: "tcp"},
		{Number: 53, Proto: "udp", Published: at("192.0.2.1:53", "0.0.0.0:53")},
	}}
	if got, want := fmt.Sprint(c.Published()), "[0.0.0.0 192.0.2.1 ::]"; got != want {
		t.Errorf("published on %s, want %s", got, want)
	}
	c.Endpoints = []Endpoint{{Network: "n"}, {Network: "o", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.2")}}}
	if got := c.Published(); len(got) != 3 {
		t.Errorf("published on %s by way of one of two networks, want the same", got)
	}
	c.Endpoints[1].Addrs = nil
	if got := c.Published(); got != nil {
		t.Errorf("published on %s without an address on a network", got)
	}
}

func TestNetworkMode(t *testing.T) {
	for mode, want := range map[string]struct {
		host   bool
		joined string
	}{"host": {true, ""}, "bridge": {}, "container:abc": {false, "abc"}, "": {}, "shop_default": {}} {
		c := Container{NetworkMode: mode}
		if c.HostNetwork() != want.host || c.Joined() != want.joined {
			t.Errorf("%q: host %v, joined %q", mode, c.HostNetwork(), c.Joined())
		}
	}
	for _, n := range []Network{{Reach4: OnLAN}, {Reach6: OnLAN | OffHost}} {
		if !n.Direct() {
			t.Errorf("%+v is not direct", n)
		}
	}
	if n := (Network{Driver: "overlay", Reach4: OffHost}); n.Direct() {
		t.Error("an overlay is direct")
	}
}
