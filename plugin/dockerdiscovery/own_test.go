package dockerdiscovery

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
)

// interfaces are a machine's, each as "NAME ADDRESS/BITS...". The first leads to where no other does.
type interfaces []string

func machine(list ...string) interfaces { return append([]string{"lo 127.0.0.1/8 ::1/128"}, list...) }

func (m interfaces) addrs(name string) (prefixes []netip.Prefix, err error) {
	for _, i := range m {
		f := strings.Fields(i)
		for _, s := range f[1:] {
			if name == "" || name == f[0] {
				prefixes = append(prefixes, netip.MustParsePrefix(s))
			}
		}
	}
	if prefixes == nil {
		err = errors.New("no such interface")
	}
	return prefixes, err
}

// calls are how often the machine was asked. Expire has the addresses be old.
type calls struct {
	read, beside, route int
	expire              func()
}

// at has the addresses be this machine's.
func (m interfaces) at(o *ownAddrs) *calls {
	made := &calls{}
	o.now, o.after = time.Now, func(age time.Duration, expire func()) {
		if age == ownAddrsAge {
			made.expire = expire
		}
	}
	m.readBy(o, made)
	o.current.Store(nil)
	return made
}

// readBy has the addresses be read when they are read the next time.
func (m interfaces) readBy(o *ownAddrs, made *calls) {
	list := func(prefixes []netip.Prefix, err error) (all []net.Addr, _ error) {
		for _, p := range prefixes {
			all = append(all, &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())})
		}
		return all, err
	}
	o.read = func() ([]net.Addr, error) { made.read++; return list(m.addrs("")) }
	o.beside = func(ip netip.Addr) ([]net.Addr, error) {
		made.beside++
		for _, i := range m {
			name, _, _ := strings.Cut(i, " ")
			prefixes, err := m.addrs(name)
			if name == ip.Zone() || ip.Zone() == "" && slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Addr() == ip }) {
				return list(prefixes, err)
			}
		}
		return nil, errors.New("no such address")
	}
	o.route = func(remote netip.Addr) (netip.Addr, error) {
		made.route++
		best := netip.Addr{}
		for _, i := range m {
			name, _, _ := strings.Cut(i, " ")
			prefixes, _ := m.addrs(name)
			for _, p := range prefixes {
				switch {
				case remote.Zone() == name && p.Addr().IsLinkLocalUnicast():
					return p.Addr().WithZone(name), nil
				case p.Contains(remote):
					return p.Addr(), nil
				case !best.IsValid() && p.Addr().IsGlobalUnicast() && p.Addr().Is4() == remote.Is4():
					best = p.Addr()
				}
			}
		}
		if !best.IsValid() {
			return best, errors.New("network is unreachable")
		}
		return best, nil
	}
}

func TestOwnAddrs(t *testing.T) {
	var o ownAddrs
	calls := machine("eth0 192.0.2.1/24").at(&o)
	has := func(ip string) bool { return o.Has(netip.MustParseAddr(ip)) }
	if !has("192.0.2.1") || has("192.0.2.2") || !has("127.0.0.8") || !has("::1") || calls.read != 1 {
		t.Errorf("wrong, after %d reads", calls.read)
	}
	calls.read = 0
	machine("eth0 192.0.2.2/24").readBy(&o, calls)
	if has("192.0.2.2") {
		t.Error("the addresses are read again before they are old")
	}
	calls.expire()
	if has("192.0.2.1") || !has("192.0.2.2") || calls.read != 1 {
		t.Errorf("the change is not seen, after %d reads", calls.read)
	}
}

// address makes a transport's address of an IP with a zone.
func address(network, ip string) net.Addr {
	at := netip.AddrPortFrom(netip.MustParseAddr(ip), 53)
	if network == "tcp" {
		return net.TCPAddrFromAddrPort(at)
	}
	return net.UDPAddrFromAddrPort(at)
}

// digOver asks for both families over a connection and returns the addresses.
func digOver(t *testing.T, d *Docker, name string, remote, local net.Addr) string {
	t.Helper()
	var got []string
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		rec := dnstest.NewRecorder(&transportWriter{remote: remote, local: local})
		if _, err := d.ServeDNS(t.Context(), rec, new(dns.Msg).SetQuestion(name, qtype)); err != nil {
			t.Fatal(err)
		}
		for _, rr := range rec.Msg.Answer {
			got = append(got, dns.Field(rr, 1))
		}
	}
	return strings.Join(got, " ")
}

// TestHostAddrs checks that the host's addresses depend on the interface on which a query comes in, and
// not on what carries it.
func TestHostAddrs(t *testing.T) {
	d := emptyDocker(func(c *config) { c.publish = true })
	machine("eth0 192.0.2.1/24 2001:db8::1/64 fe80::1/64", "wlan0 198.18.0.1/24", "br-a 10.1.0.1/16 fd00:a::1/64 fe80::1/64", "br-b 10.2.0.1/16", "tun0 fe80::7/64").at(&d.own)
	host := containertest.Host()
	host.Networks = slices.Clone(host.Networks)
	for i := range host.Networks {
		if n := &host.Networks[i]; n.Name == "a" {
			n.Subnets = append(slices.Clone(n.Subnets), netip.MustParsePrefix("fd00:a::/64"))
			n.Gateways = append(slices.Clone(n.Gateways), netip.MustParseAddr("fd00:a::1"))
		}
	}
	d.hear(host)
	web, web4, hostnet := facts("web", "a=10.1.0.2"), facts("web4", "a=10.1.0.3"), facts("hostnet", "")
	web.Ports, web4.Ports = published("0.0.0.0:80", "[::]:80"), published("0.0.0.0:81")
	hostnet.NetworkMode = "host"
	d.set(web, web4, hostnet)

	const (
		eth0, wlan0 = "192.0.2.1 2001:db8::1", "198.18.0.1"
		all         = "192.0.2.1 198.18.0.1 2001:db8::1"
		brA         = "10.1.0.1 fd00:a::1"
	)
	for _, c := range []struct {
		from, local string
		host, ns    string
	}{
		{fromLAN, "192.0.2.1", eth0, eth0},
		{"2001:db8:9::9", "2001:db8::1", eth0, eth0},
		{"fe80::9%eth0", "fe80::1%eth0", eth0, eth0},
		{fromLAN, "::", eth0, eth0},
		{fromLAN, "0.0.0.0", eth0, eth0},
		{"2001:db8:9::9", "::", eth0, eth0},
		{"fe80::9%eth0", "::", eth0, eth0},
		{"198.18.0.9", "198.18.0.1", wlan0, wlan0},
		{"198.18.0.9", "::", wlan0, wlan0},
		{"fe80::9%tun0", "fe80::7%tun0", all, all},     // which has no other
		{"fe80::9%gone", "fe80::7%gone", all, all},     //
		{fromLAN, "127.0.0.1", all, all},               // by a rule of the firewall, or a proxy's
		{"10.1.0.9", "127.0.0.1", "", all},             //
		{fromLAN, "10.1.0.1", all, brA},                // a bridge's address is not for the LAN
		{"fe80::9%br-a", "fe80::1%br-a", all, brA},     // a container, which can't be told from others
		{fromLAN, "203.0.113.80", all, "203.0.113.80"}, // a proxy's
		{"10.1.0.9", "10.1.0.1", "", brA},
		{"10.1.0.9", "::", "", brA},
		{"10.2.0.9", "::", "", "10.2.0.1"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			remote, local := address(network, c.from), address(network, c.local)
			if got := digOver(t, d, "ns.dns.docker.", remote, local); got != c.ns {
				t.Errorf("the name server, from %s to %s by %s: %q, want %q", c.from, c.local, network, got, c.ns)
			}
			if c.host == "" { // it is not elsewhere
				continue
			}
			v4 := strings.Split(c.host, " 2001")[0]
			for name, want := range map[string]string{"web.docker.": c.host, "web4.docker.": v4, "hostnet.docker.": c.host} {
				if got := digOver(t, d, name, remote, local); got != want {
					t.Errorf("%s, from %s to %s by %s: %q, want %q", name, c.from, c.local, network, got, want)
				}
			}
		}
	}

	// Where the engine's networks are not routed the host asks by loopback for what is published there.
	host.Routed = false
	d.hear(host)
	for _, from := range []string{"127.0.0.1", "::1"} {
		if got := digOver(t, d, "web.docker.", address("udp", from), address("udp", from)); got != "127.0.0.1 ::1" {
			t.Errorf("not routed, from %s: %q", from, got)
		}
	}
}

// TestHostAddrsOnce counts what the machine is asked for a large pool of published containers.
func TestHostAddrsOnce(t *testing.T) {
	d := emptyDocker(func(c *config) { c.publish = true })
	now := time.Unix(0, 0)
	made := machine("eth0 192.0.2.1/24 2001:db8::1/64").at(&d.own)
	d.own.now = func() time.Time { return now }
	for i := range 600 {
		c := facts(fmt.Sprint("c", i), fmt.Sprintf("a=10.1.%d.%d", i/250, i%250+2))
		c.Hostname, c.Ports = "pool", published("0.0.0.0:80")
		d.set(c)
	}
	ask := func(from string) {
		t.Helper()
		if got := digOver(t, d, "pool.docker.", address("udp", from), address("udp", "::")); got != "192.0.2.1" {
			t.Errorf("from %s: %q", from, got)
		}
	}
	want := func(what string, routes, besides int) {
		t.Helper()
		if made.route != routes || made.beside != besides {
			t.Errorf("%s: %d look-ups of routes and %d of interfaces, want %d and %d", what, made.route, made.beside, routes, besides)
		}
	}
	ask(fromLAN)
	ask(fromLAN)
	want("one asker", 1, 1)
	ask("198.51.100.10")
	want("two askers", 2, 1)
	made.expire()
	ask(fromLAN)
	want("later", 3, 2)

	made = machine("eth0 192.0.2.1/24", "eth1 198.18.0.1/24").at(&d.own)
	d.own.now = func() time.Time { return now }
	ask(fromLAN)
	machine("eth0 192.0.2.1/24", "eth1 198.18.0.1/24", "eth2 198.18.1.1/24").readBy(&d.own, made)
	now = now.Add(2 * newAddrsAge)
	for range 3 {
		if got := digOver(t, d, "pool.docker.", address("tcp", "198.18.1.9"), address("tcp", "198.18.1.1")); got != "198.18.1.1" {
			t.Errorf("at an address that is new: %q", got)
		}
	}
	if made.read != 2 {
		t.Errorf("the addresses were read %d times, want once more for the new one", made.read)
	}
	for i := range 2 * memoSize {
		d.own.towards(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}))
	}
	kept := 0
	d.own.load().routes.found.Range(func(any, any) bool { kept++; return true })
	if kept > memoSize {
		t.Errorf("%d routes are kept, want %d at most", kept, memoSize)
	}
}

// TestForwarders checks that who passes queries on stands for elsewhere, whoever it is itself.
func TestForwarders(t *testing.T) {
	d := emptyDocker(func(c *config) {
		c.publish, c.zone.Isolate = true, true
		if err := c.addForwarders([]string{"10.1.0.9", "10.2.0.1", "10.3.0.0/16", "127.0.0.53", "::1", "192.0.2.1"}); err != nil {
			t.Fatal(err)
		}
	})
	web, hostnet := facts("web", "a=10.1.0.2"), facts("hostnet", "")
	web.Ports, hostnet.NetworkMode = published("0.0.0.0:80"), "host"
	d.set(web, hostnet, facts("pihole", "a=10.1.0.9"), facts("plain", "a=10.1.0.3 b=10.2.0.3"), facts("onlan", "lan=192.0.2.33 a=10.1.0.7"))
	for _, from := range []string{
		"10.1.0.9", "::ffff:10.1.0.9", // a container
		"10.2.0.1",          // a gateway
		"10.3.0.7",          // a container that is not known yet
		"127.0.0.53", "::1", // on the host
		"192.0.2.1", fromLAN, // an own address; nobody's
	} {
		for name, want := range map[string]string{
			"web.docker.": "192.0.2.1", "hostnet.docker.": "192.0.2.1", "plain.docker.": "none", "onlan.docker.": "192.0.2.33", "2.0.1.10.in-addr.arpa.": "web.docker.",
			"ns.dns.docker.": "192.0.2.1",
		} {
			expect(t, d, from, name, want)
		}
		if who := d.askers.Who(netip.MustParseAddr(from).Unmap()); who.Client != nil {
			t.Errorf("%s is %v", from, who.Kind)
		}
	}
	expect(t, d, fromHost, "plain.docker.", "10.1.0.3 10.2.0.3")
	expect(t, d, "10.1.0.8", "web.docker.", "10.1.0.2")
}
