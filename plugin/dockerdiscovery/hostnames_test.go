package dockerdiscovery

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
)

// namedHosts returns a plugin of this machine, which the Corefile calls nas, and of a remote host, which it calls box. Both have
// a container web, and one of their own that is called as the host is.
func namedHosts(change func(*config)) *Docker {
	d := emptyDocker(func(c *config) {
		c.endpoints = []endpoint{{name: "nas"}, {name: "box"}}
		if change != nil {
			change(c)
		}
	})
	d.hosts[1].id = "box"
	far := d.sink(d.hosts[1])
	h := containertest.Host()
	h.Peer = netip.MustParseAddr("203.0.113.5")
	far.askers.EngineAt([]netip.Addr{h.Peer})
	far.Host(h)
	far.Synced()
	on := func(name, ip, published string) *container.Container {
		c := facts(name, "a="+ip)
		c.Ports = []container.Port{{Number: 80, Proto: "tcp", Published: []netip.AddrPort{netip.MustParseAddrPort(published)}}}
		return c
	}
	d.set(on("web", "10.1.0.2", "0.0.0.0:8080"), on("my_nas", "10.1.0.3", "0.0.0.0:8081"))
	for _, c := range []*container.Container{on("web", "10.1.0.2", "0.0.0.0:9090"), on("box", "10.1.0.3", "0.0.0.0:9091")} {
		c.ID = "f" + c.ID[1:]
		far.Apply([]container.Change{{ID: c.ID, Container: c}})
	}
	return d
}

// TestHostNames asks for hosts, and for their containers below them.
func TestHostNames(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*config)
		want   map[string]string // by who asks and the name
	}{
		{"published", func(c *config) { c.publish = true }, map[string]string{
			fromHost + " nas": "10.1.0.1", fromHost + " box": "203.0.113.5",
			fromHost + " web": "10.1.0.2", fromHost + " web.nas": "10.1.0.2", fromHost + " web.box": "203.0.113.5",
			fromHost + " box.box": "203.0.113.5", fromHost + " fox000000000": "203.0.113.5",
			fromHost + " my_nas.nas": "10.1.0.3", fromHost + " my-nas.nas": "10.1.0.3",
			fromHost + " my_nas.box": "NXDOMAIN", fromHost + " nope.nas": "NXDOMAIN", fromHost + " web.other": "NXDOMAIN",
			"10.1.0.2 nas": "10.1.0.1", "10.1.0.2 box": "203.0.113.5", "10.1.0.2 web.nas": "10.1.0.2", "10.1.0.2 web.box": "203.0.113.5",
			fromLAN + " nas": "192.0.2.1", fromLAN + " box": "203.0.113.5", fromLAN + " web": "192.0.2.1 203.0.113.5",
			fromLAN + " web.nas": "192.0.2.1", fromLAN + " web.box": "203.0.113.5", fromLAN + " box.box": "203.0.113.5",
			"203.0.113.5 box": "203.0.113.5", "203.0.113.5 nas": "192.0.2.1",
		}},
		{"not published", nil, map[string]string{
			fromHost + " nas": "10.1.0.1", fromHost + " box": "203.0.113.5", fromHost + " web.nas": "10.1.0.2", fromHost + " web.box": "none",
			fromLAN + " nas": "192.0.2.1", fromLAN + " box": "203.0.113.5", fromLAN + " web.nas": "none",
		}},
		{"isolated", func(c *config) { c.zone.Isolate = true }, map[string]string{
			fromHost + " nas": "10.1.0.1", "10.1.0.2 nas": "none", "10.1.0.2 web.nas": "10.1.0.2",
			"10.3.0.9 nas": "NXDOMAIN", "10.3.0.9 box": "NXDOMAIN", "10.3.0.9 web.nas": "NXDOMAIN",
		}},
		{"without the source", func(c *config) { c.sources = []naming.Source{naming.Container} }, map[string]string{
			fromHost + " nas": "NXDOMAIN", fromHost + " web.nas": "NXDOMAIN", fromHost + " web": "10.1.0.2",
		}},
	} {
		d := namedHosts(c.change)
		for who, want := range c.want {
			from, name, _ := strings.Cut(who, " ")
			addrs := strings.Fields(dig(t, d, from, name+".docker.", dns.TypeA))
			slices.Sort(addrs)
			if got := strings.Join(addrs, " "); got != want {
				t.Errorf("%s: %s asks for %s: %s, want %s", c.what, from, name, got, want)
			}
		}
	}
}

// TestHostNamesTransferred checks that a transfer has the hosts' names as the view has them.
func TestHostNamesTransferred(t *testing.T) {
	for view, want := range map[transferAsker][]string{
		transferHost: {"nas.docker.\t5\tIN\tA\t10.1.0.1\n", "web.nas.docker.\t5\tIN\tA\t10.1.0.2\n", "_http._tcp.web.nas.docker.\t5\tIN\tSRV\t0 0 80 web.docker.\n",
			"box.docker.\t5\tIN\tA\t203.0.113.5\n", "web.box.docker.\t5\tIN\tA\t203.0.113.5\n"},
		transferUsual: {"nas.docker.\t5\tIN\tA\t192.0.2.1\n", "web.nas.docker.\t5\tIN\tA\t192.0.2.1\n", "_http._tcp.web.nas.docker.\t5\tIN\tSRV\t0 0 8080 web.nas.docker.\n",
			"box.docker.\t5\tIN\tA\t203.0.113.5\n", "web.box.docker.\t5\tIN\tA\t203.0.113.5\n"},
	} {
		text, _ := dump(t, namedHosts(func(c *config) { c.publish, c.transferAsker = true, view }), "docker.")
		for _, want := range want {
			if !strings.Contains("\n"+text, "\n"+want) {
				t.Errorf("%q is not in\n%s", want, text)
			}
		}
		if strings.Contains(text, "10.1.0.") != (view == transferHost) {
			t.Errorf("who is on a bridge is in\n%s", text)
		}
	}
}

// TestHostNamesInRootZone checks that of hosts' names those of one label are anybody's to ask, and others go on but for who
// knows the containers.
func TestHostNamesInRootZone(t *testing.T) {
	d := namedHosts(func(c *config) { c.zone.Zones, c.publish = []string{"."}, true })
	d.Next = plugin.HandlerFunc(next)
	for who, want := range map[string]string{
		fromHost + " nas": "10.1.0.1", fromLAN + " nas": "192.0.2.1", fromLAN + " box": "203.0.113.5", "10.3.0.9 nas": "10.3.0.1",
		fromHost + " web.nas": "10.1.0.2", fromHost + " web.box": "203.0.113.5", "10.1.0.9 web.nas": "10.1.0.2",
		fromLAN + " web.nas": "REFUSED, next", "10.3.0.9 web.nas": "REFUSED, next", "10.1.0.9 nope.nas": "REFUSED, next",
	} {
		from, name, _ := strings.Cut(who, " ")
		if got := dig(t, d, from, name+".", dns.TypeA); got != want {
			t.Errorf("%s asks for %s: %s, want %s", from, name, got, want)
		}
	}
}

// TestHostNamesOfPorts checks that a port which several hosts publish leads to each by a name that is its alone.
func TestHostNamesOfPorts(t *testing.T) {
	for _, c := range []struct {
		what, from, name string
		change           func(*config)
		want             string
	}{
		{"hosts with names", fromLAN, "web", nil, "8080 web.nas.docker. 192.0.2.1, 9090 web.box.docker. 203.0.113.5"},
		{"one host's container", fromLAN, "my_nas", nil, "8081 my_nas.docker. 192.0.2.1"},
		{"below a host", fromLAN, "web.box", nil, "9090 web.box.docker. 203.0.113.5"},
		{"at its host", fromHost, "web", nil, "80 web.docker. 10.1.0.2"},
		{"without the source", fromLAN, "web", func(c *config) { c.sources = []naming.Source{naming.Container, naming.ID} },
			"8080 web000000000.docker. 192.0.2.1, 9090 feb000000000.docker. 203.0.113.5"},
		{"by nothing else", fromLAN, "web", func(c *config) { c.sources = []naming.Source{naming.Container} },
			"8080 web.docker. 203.0.113.5 192.0.2.1, 9090 web.docker. 203.0.113.5 192.0.2.1"},
	} {
		d := namedHosts(func(cfg *config) {
			cfg.publish = true
			if c.change != nil {
				c.change(cfg)
			}
		})
		rec := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: c.from})
		if _, err := d.ServeDNS(t.Context(), rec, new(dns.Msg).SetQuestion("_http._tcp."+c.name+".docker.", dns.TypeSRV)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, rr := range rec.Msg.Answer {
			line := strings.Join([]string{dns.Field(rr, 3), dns.Field(rr, 4)}, " ")
			for _, a := range rec.Msg.Extra {
				if a.Header().Name == dns.Field(rr, 4) {
					line += " " + dns.Field(a, 1)
				}
			}
			got = append(got, line)
		}
		slices.Sort(got)
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("%s: %s gets %s, want %s", c.what, c.from, got, c.want)
		}
	}
}

// TestHostNameHeld checks that a container's name below its host's stays while the container restarts, and that it is a
// project's after it was removed.
func TestHostNameHeld(t *testing.T) {
	d := emptyDocker(func(c *config) { c.endpoints[0].name, c.hold = "nas", time.Hour })
	t.Cleanup(d.catalog.Close)
	web, service := facts("web", "a=10.1.0.2"), labelled(facts("nas-web-1", "a=10.1.0.3"), "project=nas", "service=web")
	d.set(web)
	expect(t, d, fromHost, "web.nas.docker.", "10.1.0.2")
	d.remove(web)
	expect(t, d, fromHost, "web.nas.docker.", "none")
	d.set(service)
	expect(t, d, fromHost, "web.nas.docker.", "none")
	d.apply([]container.Change{{ID: web.ID, Gone: true}})
	expect(t, d, fromHost, "web.nas.docker.", "10.1.0.3")
	d.apply([]container.Change{{ID: service.ID, Gone: true}})
	expect(t, d, fromHost, "web.nas.docker.", "none")
}
