package asker

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// computer is a Machine with these addresses.
type computer struct {
	addrs   []netip.Addr
	reading atomic.Uint64
}

func (m *computer) Has(ip netip.Addr) bool        { return ip.IsLoopback() || slices.Contains(m.addrs, ip) }
func (m *computer) Addrs() ([]netip.Addr, uint64) { return m.addrs, m.reading.Load() }
func (m *computer) Forget()                       { m.reading.Add(1) }

func machine(addrs ...string) *computer { return &computer{addrs: ips(addrs...)} }

func ips(all ...string) (addrs []netip.Addr) {
	for _, s := range all {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return addrs
}

// beside has the test run with one host, and then with another one beside it, before or after it, that has the same networks,
// names and addresses, and whose engine is remote.
func beside(t *testing.T, test func(t *testing.T, host func(*Index) feeder)) {
	t.Run("alone", func(t *testing.T) {
		test(t, func(x *Index) feeder { return x.Feed("near") })
	})
	for _, first := range []bool{false, true} {
		t.Run(fmt.Sprint("beside another, first ", first), func(t *testing.T) {
			test(t, func(x *Index) feeder {
				names := []container.HostID{"near", "far"}
				if first {
					slices.Reverse(names)
				}
				for _, name := range names {
					x.Feed(name)
				}
				x.Feed("far").EngineAt(ips("203.0.113.77"))
				return twin{x.Feed("near"), x.Feed("far")}
			})
		})
	}
}

// feeder takes the facts of a host in a test.
type feeder interface {
	Host(container.Host)
	EngineAt([]netip.Addr)
	Apply([]container.Change)
}

// twin gives a remote host the facts of another.
type twin struct {
	*Feed
	far *Feed
}

func (t twin) Host(h container.Host) {
	t.Feed.Host(h)
	h.Peer = netip.MustParseAddr("203.0.113.77")
	t.far.Host(h)
}

func (t twin) Apply(changes []container.Change) {
	t.far.Apply(changes)
	t.Feed.Apply(changes)
}

func set(f feeder, c *container.Container)    { f.Apply([]container.Change{{ID: c.ID, Container: c}}) }
func remove(f feeder, c *container.Container) { f.Apply([]container.Change{{ID: c.ID}}) }

// TestWho checks how an address decides.
func TestWho(t *testing.T) {
	beside(t, func(t *testing.T, host func(*Index) feeder) {
		x := New(machine("192.0.2.1", "10.1.0.1"), []netip.Prefix{netip.MustParsePrefix("10.3.0.9/32"), netip.MustParsePrefix("127.0.0.53/32")}, nil)
		f := host(x)
		f.Host(containertest.Host())
		web, shared := containertest.New("web", "a=10.1.0.2 b=10.2.0.2"), containertest.New("lo", "a=127.0.0.2")
		web.Labels = map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "front"}
		set(f, web)
		set(f, shared)
		f.Apply([]container.Change{{ID: "new", Created: containertest.New("new", "a=10.1.0.5")}})
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
			switch who := x.Who(netip.MustParseAddr(from)); who.Kind {
			case zone.Container:
				c := who.Client
				got = fmt.Sprintf("container %s of %s %s on %s by %s", c.Name, c.Project, c.Service, c.Networks, x.Gateways(c, "near"))
				if far := x.Gateways(c, "far"); len(far) > 0 {
					t.Errorf("%s reaches the host far at %s", from, far)
				}
			case zone.Host:
				got = "host"
			case zone.Elsewhere:
				got = "elsewhere"
			}
			if got != want {
				t.Errorf("%s is %s, want %s", from, got, want)
			}
		}
	})
}

// TestVantage lets the server stand at different places. Each vantage is told once.
func TestVantage(t *testing.T) {
	beside(t, func(t *testing.T, host func(*Index) feeder) {
		for name, c := range map[string]struct {
			own       *computer
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
			x := New(c.own, nil, func(v *Vantage) {
				if v.Host == "near" {
					told = append(told, v)
				}
			})
			f := host(x)
			f.EngineAt(c.engineAt)
			f.Host(containertest.Host())
			set(f, c.running)
			v := x.Vantage("near")
			inside := ""
			if v.Inside != nil {
				inside = v.Inside.Name
			}
			if v.Elsewhere != c.elsewhere || fmt.Sprint(v.Remote == nil, v.Remote) != fmt.Sprint(c.remote == nil, c.remote) || inside != c.inside {
				t.Errorf("%s: elsewhere %v, remote %v, inside %q; want %v, %v, %q", name, v.Elsewhere, v.Remote, inside, c.elsewhere, c.remote, c.inside)
			}
			if x.Vantage("near"); len(told) != 1 || told[0] != v {
				t.Errorf("%s: %d vantages are told, want one", name, len(told))
			}
			c.own.Forget()
			if x.Vantage("near"); len(told) != 2 {
				t.Errorf("%s: %d vantages are told after the addresses were read anew, want two", name, len(told))
			}
			if _, two := f.(twin); two && x.Vantage("far").Remote == nil {
				t.Errorf("%s: the host beside is on this machine", name)
			}
		}
	})
}

// TestClientAddressPassesOn gives a dead container's address to another one, in either
// order of the changes.
func TestClientAddressPassesOn(t *testing.T) {
	beside(t, func(t *testing.T, host func(*Index) feeder) {
		x := New(machine("10.1.0.1"), nil, nil)
		f := host(x)
		f.Host(containertest.Host())
		first, second := containertest.New("first", "a=10.1.0.2"), containertest.New("second", "a=10.1.0.2")
		set(f, first)
		set(f, second)
		remove(f, first)
		if c := x.Who(netip.MustParseAddr("10.1.0.2")).Client; c == nil || c.Name != "second" {
			t.Errorf("the address is %+v's", c)
		}
		remove(f, second)
		if c := x.Who(netip.MustParseAddr("10.1.0.2")).Client; c == nil || c.Name != "" {
			t.Errorf("the address is still %+v's", c)
		}
	})
}

// TestAllocations checks that telling who asks costs no memory, but for a container that is not known yet.
func TestAllocations(t *testing.T) {
	x := New(machine("192.0.2.1", "172.17.0.1"), nil, nil)
	feed(x, "a socket bridge=172.17.0.0/16 lan:macvlan=192.0.2.0/24 | web bridge=172.17.0.2 | p lan=192.0.2.33")
	feed(x, "b 203.0.113.5 bridge=172.17.0.0/16 lan:macvlan=192.0.2.0/24 over:overlay+=10.0.1.0/24 | web bridge=172.17.0.2 | o over=10.0.1.2")
	for ip, want := range map[string]string{
		"172.17.0.2": "a web", "192.0.2.33": "a p", "10.0.1.2": "b o", "172.17.0.1": "host a", "127.0.0.1": "host a", "192.0.2.1": "host a", "198.51.100.9": "elsewhere",
	} {
		if got := who(t, x, ip); got != want {
			t.Errorf("%s is %s, want %s", ip, got, want)
		}
		from := netip.MustParseAddr(ip)
		if n := testing.AllocsPerRun(100, func() { x.Who(from) }); n > 0 {
			t.Errorf("%s: %v allocations", ip, n)
		}
	}
}

// TestChangesBesideQueries has two hosts change while queries come in. It is for the race detector; what is asked for does not
// change.
func TestChangesBesideQueries(t *testing.T) {
	x := New(machine("192.0.2.1", "172.17.0.1", "10.88.0.1"), nil, nil)
	feed(x, "a socket bridge=172.17.0.0/16 | web bridge=172.17.0.2")
	x.Feed("b")
	x.Feed("c")
	var changes sync.WaitGroup
	for _, hosts := range [][]string{
		{"b socket podman=10.88.0.0/16 | web podman=10.88.0.2", "b socket podman=10.88.0.0/16"},
		{"c 203.0.113.5 bridge=172.17.0.0/16 over:overlay=10.0.1.0/24 | web bridge=172.17.0.2", "c 203.0.113.5 bridge=172.17.0.0/16 over:overlay+=10.0.1.0/24 | db bridge=172.17.0.3"},
	} {
		changes.Go(func() {
			for i := range 500 {
				feed(x, hosts[i%2])
			}
		})
	}
	var queries sync.WaitGroup
	ended := make(chan struct{})
	for range 2 {
		queries.Go(func() {
			for {
				if got := who(t, x, "172.17.0.2"); got != "a web" {
					t.Errorf("172.17.0.2 is %s", got)
				}
				if got := x.Who(netip.MustParseAddr("127.0.0.1")); got.Kind != zone.Host {
					t.Errorf("loopback is %v", got)
				}
				x.Network(netip.MustParseAddr("10.88.0.2"))
				select {
				case <-ended:
					return
				default:
				}
			}
		})
	}
	changes.Wait()
	close(ended)
	queries.Wait()
}
