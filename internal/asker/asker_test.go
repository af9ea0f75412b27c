package asker

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// own are a machine's addresses.
type own struct {
	addrs   []netip.Addr
	reading uint64
}

func (o *own) Has(ip netip.Addr) bool        { return ip.IsLoopback() || slices.Contains(o.addrs, ip) }
func (o *own) Addrs() ([]netip.Addr, uint64) { return o.addrs, o.reading }
func (o *own) Forget()                       { o.reading++ }

func machine(addrs ...string) *own { return &own{addrs: ips(addrs...)} }

func ips(all ...string) (addrs []netip.Addr) {
	for _, s := range all {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return addrs
}

func newIndex(o Own, forwarders ...netip.Prefix) *Index {
	x := New(o, forwarders, nil)
	x.Host(containertest.Host())
	return x
}

func set(x *Index, c *container.Container)    { x.Apply([]container.Change{{ID: c.ID, Container: c}}) }
func remove(x *Index, c *container.Container) { x.Apply([]container.Change{{ID: c.ID}}) }

// TestWho checks how an address decides.
func TestWho(t *testing.T) {
	x := newIndex(machine("192.0.2.1", "10.1.0.1"), netip.MustParsePrefix("10.3.0.9/32"), netip.MustParsePrefix("127.0.0.53/32"))
	web, shared := containertest.New("web", "a=10.1.0.2 b=10.2.0.2"), containertest.New("lo", "a=127.0.0.2")
	web.Labels = map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "front"}
	set(x, web)
	set(x, shared)
	x.Apply([]container.Change{{ID: "new", Created: containertest.New("new", "a=10.1.0.5")}})
	for from, want := range map[string]string{
		"10.1.0.2":    "container web of shop front on [a b] by [10.1.0.1]",
		"10.2.0.2":    "container web of shop front on [a b] by [10.2.0.1]",
		"10.1.0.5":    "container  of   on [a] by [10.1.0.1]", // is not known yet
		"10.3.0.7":    "container  of   on [c] by [10.3.0.1]",
		"10.3.0.9":    "elsewhere", // a forwarder
		"127.0.0.53":  "elsewhere",
		"127.0.0.2":   "host", // which no container has for others
		"::1":         "host",
		"192.0.2.1":   "host",
		"10.2.0.1":    "host",      // the gateway, for us who run in a container
		"192.0.2.77":  "elsewhere", // on a direct network
		"203.0.113.1": "elsewhere",
	} {
		got := ""
		switch who, c := x.Who(netip.MustParseAddr(from)); who {
		case zone.Container:
			got = fmt.Sprintf("container %s of %s %s on %s by %s", c.Name, c.Project, c.Service, c.Networks, x.Gateways(c))
		case zone.Host:
			got = "host"
		case zone.Elsewhere:
			got = "elsewhere"
		}
		if got != want {
			t.Errorf("%s is %s, want %s", from, got, want)
		}
	}
}

// TestVantage lets the server stand at different places. Each vantage is told once.
func TestVantage(t *testing.T) {
	for name, c := range map[string]struct {
		own       *own
		running   *container.Container
		engineAt  []netip.Addr
		elsewhere bool
		remote    []netip.Addr
		inside    string
	}{
		"on the host":          {machine("192.0.2.1", "10.1.0.1"), containertest.New("web", "a=10.1.0.2"), nil, false, nil, ""},
		"beside a machine":     {machine("192.0.2.1"), containertest.New("web", "a=10.1.0.2"), nil, true, nil, ""},
		"in a container":       {machine("10.1.0.9"), containertest.New("us", "a=10.1.0.9"), nil, false, nil, "us"},
		"of a remote engine":   {machine("192.0.2.1"), containertest.New("web", "a=10.1.0.2"), ips("203.0.113.5"), true, ips("203.0.113.5"), ""},
		"of an engine unknown": {machine("192.0.2.1"), containertest.New("web", "a=10.1.0.2"), []netip.Addr{}, true, []netip.Addr{}, ""},
		"behind a proxy":       {machine("192.0.2.1", "10.1.0.1"), containertest.New("proxy", "a=10.1.0.2"), ips("10.1.0.2"), false, nil, ""},
	} {
		var told []*Vantage
		x := New(c.own, nil, func(v *Vantage) { told = append(told, v) })
		x.EngineAt(c.engineAt)
		x.Host(containertest.Host())
		set(x, c.running)
		v := x.Vantage()
		inside := ""
		if v.Inside != nil {
			inside = v.Inside.Name
		}
		if v.Elsewhere != c.elsewhere || fmt.Sprint(v.Remote == nil, v.Remote) != fmt.Sprint(c.remote == nil, c.remote) || inside != c.inside {
			t.Errorf("%s: elsewhere %v, remote %v, inside %q; want %v, %v, %q", name, v.Elsewhere, v.Remote, inside, c.elsewhere, c.remote, c.inside)
		}
		if x.Vantage(); len(told) != 1 || told[0] != v {
			t.Errorf("%s: %d vantages are told, want one", name, len(told))
		}
		c.own.Forget()
		if x.Vantage(); len(told) != 2 {
			t.Errorf("%s: %d vantages are told after the addresses were read anew, want two", name, len(told))
		}
	}
}

// TestClientAddressPassesOn gives a dead container's address to another one, in either
// order of the changes.
func TestClientAddressPassesOn(t *testing.T) {
	x := newIndex(&own{})
	first, second := containertest.New("first", "a=10.1.0.2"), containertest.New("second", "a=10.1.0.2")
	set(x, first)
	set(x, second)
	remove(x, first)
	if c := x.get(netip.MustParseAddr("10.1.0.2")); c == nil || c.Name != "second" {
		t.Errorf("the address is %+v's", c)
	}
	remove(x, second)
	if c := x.get(netip.MustParseAddr("10.1.0.2")); c != nil {
		t.Errorf("the address is still %s's", c.Name)
	}
}
