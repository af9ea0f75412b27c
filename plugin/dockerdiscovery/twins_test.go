package dockerdiscovery

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

// detour is another way to an engine.
type detour struct {
	socket string

	mu    sync.Mutex // guards the following
	to    *enginetest.Engine
	conns []net.Conn
}

func newDetour(t *testing.T, to *enginetest.Engine) *detour {
	d := &detour{socket: filepath.Join(t.TempDir(), "detour.sock"), to: to}
	l, err := net.Listen("unix", d.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		d.lead(nil)
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.pass(c)
		}
	}()
	return d
}

func (d *detour) pass(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.to == nil {
		c.Close()
		return
	}
	there, err := net.Dial("unix", strings.TrimPrefix(d.to.Host(), "unix://"))
	if err != nil {
		c.Close()
		return
	}
	d.conns = append(d.conns, c, there)
	for _, way := range [][2]net.Conn{{c, there}, {there, c}} {
		go func() {
			io.Copy(way[0], way[1])
			way[0].Close()
		}()
	}
}

// lead cuts all connections, and has the detour lead to the engine from now on, nowhere if that is nil.
func (d *detour) lead(to *enginetest.Engine) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.to = to
	for _, c := range d.conns {
		c.Close()
	}
	d.conns = nil
}

// TestEngineNamedTwice has two endpoints lead to one engine, in either order, until one of them leads to another one.
func TestEngineNamedTwice(t *testing.T) {
	for _, detourFirst := range []bool{false, true} {
		t.Run(fmt.Sprint("detour first: ", detourFirst), func(t *testing.T) {
			e, other := publishing(t, "web"), publishing(t, "web")
			other.Run(enginetest.Spec{Name: "another", Publish: []string{"80:80"}})
			e.Run(enginetest.Spec{Name: "off", Labels: map[string]string{"coredns.dockerdiscovery.enable": "false"}})
			way := newDetour(t, e)
			endpoints := []string{"endpoint " + e.Host() + " direct 192.0.2.1\n", "endpoint unix://" + way.socket + " detour 192.0.2.2\n"}
			one, two := "direct", "detour"
			first, second := "192.0.2.1", "192.0.2.2"
			if detourFirst {
				slices.Reverse(endpoints)
				one, two, first, second = two, one, second, first
			}
			var d *Docker
			expect := func(name, want string) {
				t.Helper()
				var got string
				eventually(t, name+" is "+want, func() bool {
					addrs := strings.Fields(dig(t, d, fromLAN, name+".docker.", dns.TypeA))
					slices.Sort(addrs)
					got = strings.Join(addrs, " ")
					return got == want
				})
			}
			lines := logged(func() {
				inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n publish\n hold 0s\n %s }\n}", freePort(t), strings.Join(endpoints, " ")))
				d = running()[0]
				expect("web", first)
				expect("web."+two, "NXDOMAIN")
				expect(two, "NXDOMAIN")
				expect(one, first)
				e.Run(enginetest.Spec{Name: "later", Publish: []string{"81:80"}})
				expect("later", first)
				if got := series(t, "containers"); !slices.Contains(got, "containers{"+one+"} 3") || !slices.Contains(got, "containers{"+two+"} 0") {
					t.Errorf("counted: %q", got)
				}
				if left := samples(t, "left_out_containers"); left[one+" disabled"] != 1 || left[two+" disabled"] != 0 {
					t.Errorf("counted as left out: %v", left)
				}
			})
			lines = slices.DeleteFunc(lines, func(l string) bool { return !strings.Contains(l, "is the one") })
			if len(lines) != 1 || !strings.Contains(lines[0], "Docker Engine of "+two+" at unix://") || !strings.Contains(lines[0], "is the one of "+one+" at unix://") {
				t.Errorf("the log says %q", lines)
			}
			way.lead(other)
			expect("web", "192.0.2.1 192.0.2.2")
			expect("another", "192.0.2.2")
			expect("later", "192.0.2.1")
			expect("web.detour", "192.0.2.2")
			expect("web.direct", "192.0.2.1")
			way.lead(e)
			expect("web", first)
			expect("web."+two, "NXDOMAIN")
			expect("another", "NXDOMAIN")
			if !detourFirst { // while the first is away the second stands in
				return
			}
			way.lead(nil)
			expect("web", second)
			way.lead(e)
			expect("web", first)
		})
	}
}

// TestClonedMachines has containers of equal IDs on two hosts, as on a machine and its clone.
func TestClonedMachines(t *testing.T) {
	for _, c := range []struct {
		apart time.Duration // between the starts
		want  string        // who has a container of its own
	}{{0, "[true false]"}, {1, "[true true]"}, {-time.Hour, "[true true]"}} {
		d := newDocker(config{
			zone: zone.Config{Zones: []string{"docker."}}, sources: naming.Sources(), endpoints: []endpoint{{name: "a"}, {name: "b"}},
		}, &instance{})
		machine("eth0 192.0.2.1/24").at(&d.own)
		d.hosts[0].id, d.hosts[1].id = "a", "b"
		began := time.Now()
		for i, h := range d.hosts {
			h.kin.sink = d.sink(h)
			web := facts("web", "a=10.1.0.2")
			web.Started = began.Add(time.Duration(i) * c.apart)
			h.kin.sink.Host(containertest.Host())
			h.kin.sink.Apply([]container.Change{{ID: web.ID, Container: web}})
			h.kin.sink.Synced()
			h.kin.sink.Current(true, began)
		}
		var got []bool
		for _, h := range d.hosts {
			got = append(got, dig(t, d, fromHost, "web."+h.name+".docker.", dns.TypeTXT) == "none")
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("started %v apart: %v, want %v", c.apart, got, c.want)
		}
		// Its address is one container's only where there is one.
		if who := d.askers.Who(netip.MustParseAddr("10.1.0.2")); (who.Client != nil) != (c.apart == 0) {
			t.Errorf("started %v apart: who asks from the address is %v", c.apart, who)
		}
		d.catalog.Close()
	}
}
