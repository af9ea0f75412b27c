package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// onNetwork returns the container's addresses on a network, IPv4 only.
func onNetwork(t *testing.T, id, network string) string {
	t.Helper()
	addr := machine.inspect(t, id).NetworkSettings.Networks[network].IPAddress
	if addr == "" {
		t.Fatalf("container %.12s has no address on %s", id, network)
	}
	return addr
}

// sorted joins addresses as ask returns them.
func sorted(addrs ...string) string {
	slices.Sort(addrs)
	return strings.Join(addrs, " ")
}

// asks checks what a container gets, through its own resolver and directly, once it is so.
func (s *server) asks(t *testing.T, id, name, want string) {
	t.Helper()
	for _, server := range []string{"", s.Addr} {
		eventually(t, func() error {
			if got := machine.ask(id, server, name); got != want && (want != "" || !strings.HasPrefix(got, "error")) {
				return fmt.Errorf("container %.12s asks server %q for %s: got %q, want %q", id, server, name, got, want)
			}
			return nil
		})
	}
}

// A container gets the addresses on the networks that it shares with the target. If it shares none, it gets those to which its
// host leads: Podman does from all networks that are made as these.
func TestSharedNetworks(t *testing.T) {
	t.Parallel()
	a, b, c := machine.servedNetwork(t), machine.servedNetwork(t), machine.servedNetwork(t)
	us := machine.gateway(t, a).String()
	s := serve(t, config{IP: us, Port: 53, Body: "docker " + zones + "\ncache"})
	name := "web-" + suffix()
	web := machine.run(t, "--name", name, "--network", a)
	machine.do(t, "network", "connect", b, web)
	onA, onB := onNetwork(t, web, a), onNetwork(t, web, b)

	askers := map[string]string{} // by the networks that they are on
	for _, n := range []string{a, b, c} {
		askers[n] = machine.run(t, "--dns", us, "--network", n)
	}
	both := machine.run(t, "--dns", us, "--network", a)
	machine.do(t, "network", "connect", b, both)

	fqdn := name + ".docker."
	s.asks(t, askers[a], fqdn, onA)
	s.asks(t, askers[b], fqdn, onB)
	s.asks(t, both, fqdn, sorted(onA, onB))
	stranger, afterwards := "", ""
	if podman {
		stranger, afterwards = sorted(onA, onB), onA
	}
	s.asks(t, askers[c], fqdn, stranger)
	s.soon(fqdn, dns.TypeA, onA, onB)

	machine.do(t, "network", "disconnect", b, web)
	s.soon(fqdn, dns.TypeA, onA)
	s.asks(t, askers[a], fqdn, onA)
	s.asks(t, askers[b], fqdn, afterwards) // shares none any more
	s.asks(t, both, fqdn, onA)
}

// Two projects call a service alike: each has its own, and nobody gets both.
func TestTwoProjects(t *testing.T) {
	t.Parallel()
	db := "db" + suffix()
	var projects, networks, askers, ids []string
	for range 2 {
		projects = append(projects, "shop"+suffix())
		networks = append(networks, machine.servedNetwork(t))
	}
	us := machine.gateway(t, networks[0]).String()
	s := serve(t, config{IP: us, Port: 53, Body: "docker " + zones + "\ncache"})
	for i, p := range projects {
		labels := []string{"--label", "com.docker.compose.project=" + p, "--network", networks[i]}
		ids = append(ids, machine.run(t, append(labels, "--network-alias", db, "--label", "com.docker.compose.service="+db)...))
		askers = append(askers, machine.run(t, append(labels, "--dns", us)...))
	}
	for i, p := range projects {
		s.soon(db+"."+p+".docker.", dns.TypeA, machine.addr(t, ids[i]))
		s.asks(t, askers[i], db+".docker.", machine.addr(t, ids[i]))
	}
	s.soon(db+".docker.", dns.TypeA, nodata)
	machine.do(t, "rm", "-f", ids[1])
	s.soon(db+".docker.", dns.TypeA, machine.addr(t, ids[0]))
}

func TestIsolate(t *testing.T) {
	t.Parallel()
	a, b := machine.servedNetwork(t), machine.servedNetwork(t)
	us := machine.gateway(t, a).String()
	up := startUpstream(t)
	s := serve(t, config{IP: us, Port: 53, Body: "docker " + zones + " {\nisolate\n}\ncache"})
	onwards := serve(t, config{IP: us, Body: "docker " + zones + " {\nisolate\nfallthrough\n}\ncache\nforward . " + up.addr})
	name := "web-" + suffix()
	web := machine.run(t, "--name", name, "--network", a, "--expose", "5432", "--label", "coredns.dockerdiscovery.records=sub.up TXT hello")
	neighbour, stranger := machine.run(t, "--network", a, "--dns", us), machine.run(t, "--network", b, "--dns", us)
	// It has the name below web's for its own network alone, where web is not.
	side := "side-" + suffix()
	below := machine.run(t, "--name", side, "--network", b, "--label", "coredns.dockerdiscovery.host=below.side."+name+".docker.")
	addr := machine.addr(t, web)
	for _, s := range []*server{s, onwards} {
		s.soon(name+".docker.", dns.TypeA, addr)
		s.soon(side+".docker.", dns.TypeA, machine.addr(t, below))
	}
	s.check("below.side."+name+".docker.", dns.TypeA, nxdomain)
	s.check(reverse(t, addr), dns.TypePTR, name+".docker.")
	s.asks(t, neighbour, name+".docker.", addr)
	s.asks(t, stranger, name+".docker.", "")
	for _, q := range []struct {
		name                string
		qtype               uint16
		neighbour, stranger string
	}{
		{name + ".docker.", dns.TypeA, addr, nodata}, // since side is below it
		{"side." + name + ".docker.", dns.TypeA, nxdomain, nodata},
		{"below.side." + name + ".docker.", dns.TypeA, nxdomain, machine.addr(t, below)},
		{"_postgresql._tcp." + name + ".docker.", dns.TypeSRV, "0 0 5432 " + name + ".docker.", nxdomain},
		{"_tcp." + name + ".docker.", dns.TypeA, nodata, nxdomain},
		{"sub.up." + name + ".docker.", dns.TypeTXT, `"hello"`, nxdomain},
		{"up." + name + ".docker.", dns.TypeA, nodata, nxdomain},
		{reverse(t, addr), dns.TypePTR, name + ".docker.", nxdomain},
	} {
		for who, want := range map[string]string{neighbour: q.neighbour, stranger: q.stranger} {
			if got := s.from(t, who, q.name, q.qtype); got != want {
				t.Errorf("%.12s asks for %s %s: %s, want %s", who, q.name, dns.TypeToString[q.qtype], got, want)
			}
		}
	}
	machine.do(t, "rm", "-f", below)
	for _, hidden := range []string{name + ".docker.", "_tcp." + name + ".docker."} {
		eventually(t, func() error {
			if got := s.from(t, stranger, hidden, dns.TypeA); got != nxdomain {
				return fmt.Errorf("a stranger asks for %s: %s, want %s", hidden, got, nxdomain)
			}
			return nil
		})
		eventually(t, func() error { // the other server's hold ends a moment later
			if got := onwards.from(t, stranger, hidden, dns.TypeA); got != nxdomain || up.count(hidden) == 0 {
				return fmt.Errorf("a stranger asks for %s: %s, and upstream was asked %d times", hidden, got, up.count(hidden))
			}
			return nil
		})
	}
}

// knows waits until the server has heard of the container, which has a name by its ID. Before that, it is answered as somebody whom
// nobody knows.
func (s *server) knows(t *testing.T, id string) {
	t.Helper()
	eventually(t, func() error {
		for _, name := range []string{id[:12] + ".docker.", id[:12] + "."} {
			if s.ask(name, dns.TypeA).Rcode == dns.RcodeSuccess {
				return nil
			}
		}
		return fmt.Errorf("container %.12s is not known", id)
	})
}

// inside is the place within the container's network, from which the server is asked.
func (s *server) inside(t *testing.T, id string) place {
	t.Helper()
	p := inside(t, id)
	p.at = s.Addr
	return p
}

// from asks from within the container's network, and returns the outcome.
func (s *server) from(t *testing.T, id, name string, qtype uint16) string {
	t.Helper()
	s.knows(t, id)
	return s.inside(t, id).ask(t, name, qtype)
}

// askIn asks from a network namespace that the command enters. The test itself is run there
// once more, as the client.
func askIn(t *testing.T, enter []string, server, name string, qtype uint16) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: can't ask from another network namespace")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(enter[0], append(enter[1:], self)...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", clientEnv+"="+server+" "+name+" "+dns.TypeToString[qtype])
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", enter, err, out)
	}
	return strings.TrimSpace(string(out))
}

const clientEnv = "DOCKERDISCOVERY_E2E_CLIENT" // SERVER NAME TYPE

// askAndPrint is the test program as a mere client: it prints one outcome.
func askAndPrint(question string) error {
	f := strings.Fields(question)
	m, err := rig.Ask("udp", f[0], f[1], dns.StringToType[f[2]])
	if err == nil {
		fmt.Println(outcome(m))
	}
	return err
}

// lan is a host beyond the Docker host.
type lan struct{ rig.LAN }

func newLAN(t *testing.T) lan { t.Helper(); return lan{theRun.NewLAN(t)} }

func (l lan) ask(t *testing.T, s *server, name string, qtype uint16) string {
	t.Helper()
	return l.askAt(t, s, l.Host.String(), name, qtype)
}

// askAt is ask at another of the Docker host's addresses on the link.
func (l lan) askAt(t *testing.T, s *server, ip, name string, qtype uint16) string {
	t.Helper()
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	return askIn(t, []string{"ip", "netns", "exec", l.Netns}, net.JoinHostPort(ip, port), name, qtype)
}

// Targets without an address of their own, and askers without a way to containers.
func TestReachableAddresses(t *testing.T) {
	t.Parallel()
	lan := newLAN(t)
	network := machine.servedNetwork(t)
	gateway := machine.gateway(t, network).String()
	s := serve(t, config{IP: gateway, Port: 53, Also: lan.Host.String(), Body: "docker " + zones + " {\npublish\n}\ncache"})
	asker := machine.run(t, "--network", network, "--dns", gateway)
	onHost, joined, published, plain := "h-"+suffix(), "j-"+suffix(), "p-"+suffix(), "w-"+suffix()
	machine.run(t, "--name", onHost, "--network", "host")
	p := machine.run(t, "--name", published, "--network", network, "-p", "80")
	machine.run(t, "--name", joined, "--network", "container:"+p)
	w := machine.run(t, "--name", plain, "--network", network)
	pub, web := machine.addr(t, p), machine.addr(t, w)

	bridge := gateway // at which the host reaches itself
	if !podman {      // Docker masquerades what the host sends to itself from a network's gateway
		bridge = machine.do(t, "inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", machine.run(t))
	}
	for _, c := range []struct{ name, container, host, elsewhere string }{
		{onHost, gateway, bridge, lan.Host.String()},
		{published, pub, pub, lan.Host.String()},
		{joined, pub, pub, lan.Host.String()},
		{plain, web, web, nodata},
	} {
		fqdn := c.name + ".docker."
		s.soon(fqdn, dns.TypeA, c.host)
		if got := s.from(t, asker, fqdn, dns.TypeA); got != c.container {
			t.Errorf("%s, asked by a container: %s, want %s", fqdn, got, c.container)
		}
		if got := machine.ask(asker, "", fqdn); got != c.container {
			t.Errorf("%s, asked by a container's resolver: %s, want %s", fqdn, got, c.container)
		}
		if got := lan.ask(t, s, fqdn, dns.TypeA); got != c.elsewhere {
			t.Errorf("%s, asked from elsewhere: %s, want %s", fqdn, got, c.elsewhere)
		}
		if got := lan.ask(t, s, fqdn, dns.TypeAAAA); got != nodata {
			t.Errorf("%s AAAA, asked from elsewhere: %s, want %s", fqdn, got, nodata)
		}
	}
	if got := lan.ask(t, s, reverse(t, web), dns.TypePTR); got != plain+".docker." {
		t.Errorf("PTR, asked from elsewhere: %s", got)
	}
	// The container that lends its network ends; its address goes with it.
	machine.do(t, "stop", "-t", "1", p)
	s.soon(joined+".docker.", dns.TypeA, nodata)
}

// The log says which container asked what, and who answered.
func TestMetadata(t *testing.T) {
	t.Parallel()
	network := machine.servedNetwork(t)
	us := machine.gateway(t, network).String()
	s := serve(t, config{IP: us, Port: 53, Body: "metadata\nlog . \"{/docker/client} of {/docker/client-project} asked for {name}: {/docker/container}\"\ndocker " + zones})
	asker, name := "asker-"+suffix(), "web-"+suffix()
	id := machine.run(t, "--name", asker, "--network", network, "--label", "com.docker.compose.project=shop")
	machine.run(t, "--name", name, "--network", network)
	s.soon(name+".docker.", dns.TypeAAAA, nodata)
	s.knows(t, id)
	if got := machine.ask(id, s.Addr, name+".docker."); strings.HasPrefix(got, "error") {
		t.Fatal(got)
	}
	want := fmt.Sprintf("%s of shop asked for %s.docker.: %s", asker, name, name)
	eventually(t, func() error {
		if len(s.Log.Lines(want)) == 0 {
			return fmt.Errorf("the log lacks %q", want)
		}
		return nil
	})
}

// An address on the LAN is given to the host only where there is no other, and to who is on another network not at all: it is
// out of their reach, or may be.
func TestDirectNetworkLast(t *testing.T) {
	t.Parallel()
	if podman {
		t.Skip("Podman (5.4) makes macvlan networks by other options")
	}
	lan := newLAN(t)
	subnet := netip.PrefixFrom(lan.Host, 24).Masked().String()
	direct := machine.network(t, "--driver", "macvlan", "--opt", "parent="+lan.Link, "--subnet", subnet, "--gateway", lan.Host.String(),
		"--ip-range", strings.TrimSuffix(subnet, "0/24")+"128/25")
	bridge, other := machine.servedNetwork(t), machine.servedNetwork(t)
	us := machine.gateway(t, other).String() // which all askers reach, whatever their default route is
	s := serve(t, config{IP: us, Port: 53, Also: lan.Host.String(), Body: "docker " + zones + " " + subnet + " {\npublish\n}\ncache"})
	both, only := "both-"+suffix(), "only-"+suffix()
	b := machine.run(t, "--name", both, "--network", bridge, "-p", "80")
	machine.do(t, "network", "connect", direct, b)
	o := machine.run(t, "--name", only, "--network", direct)
	stranger, onBridge, onBoth := machine.run(t, "--network", other), machine.run(t, "--network", bridge), machine.run(t, "--network", other)
	machine.do(t, "network", "connect", direct, onBoth)
	near, far, alone := onNetwork(t, b, bridge), onNetwork(t, b, direct), onNetwork(t, o, direct)
	apart := us
	if machine.do(t, "port", b) == "" { // of two networks' gateways the engine takes one, and the LAN's publishes nothing
		apart = nodata
	}

	s.soon(both+".docker.", dns.TypeA, near)
	s.soon(only+".docker.", dns.TypeA, alone)
	for who, c := range map[string]struct{ id, both, only string }{
		"on another network": {stranger, apart, nodata}, "on the bridge": {onBridge, near, nodata}, "on the LAN's network": {onBoth, far, alone},
	} {
		for name, want := range map[string]string{both: c.both, only: c.only} {
			if got := s.from(t, c.id, name+".docker.", dns.TypeA); got != want {
				t.Errorf("%s, who is %s asks: %s, want %s", name, who, got, want)
			}
		}
	}
	for name, want := range map[string]string{both: far, only: alone} {
		if got := lan.ask(t, s, name+".docker.", dns.TypeA); got != want {
			t.Errorf("%s, the LAN asks: %s, want %s", name, got, want)
		}
	}
	srv := "_http._tcp." + both + ".docker."
	if got := lan.ask(t, s, srv, dns.TypeSRV); got != "0 0 80 "+both+".docker." {
		t.Errorf("%s, the LAN asks: %s, want its own port, 80", srv, got)
	}
	s.check(reverse(t, far), dns.TypePTR, both+".docker.")
}

// What uses the host's network is at an address that serves the host, and a container whose resolver hands its queries to
// one of the host's, which then asks from loopback.
func TestHostNetworkThroughHost(t *testing.T) {
	t.Parallel()
	network := machine.servedNetwork(t)
	gateway := machine.gateway(t, network).String()
	s := serve(t, config{Body: "docker " + zones + "\ncache"})
	forwarder := serve(t, config{IP: gateway, Port: 53, Body: "forward . " + s.Addr})
	asker := machine.run(t, "--network", network)
	name := "web-" + suffix()
	port := fmt.Sprint(freePort(t, "0.0.0.0"))
	machine.runAs(t, []string{"--name", name, "--network", "host", "--expose", port}, image, "http", ":"+port)
	fqdn := name + ".docker."
	eventually(t, func() error {
		if got := outcome(s.ask(fqdn, dns.TypeA)); net.ParseIP(got) == nil {
			return fmt.Errorf("%s: %s, want one address", fqdn, got)
		}
		return nil
	})
	addr := outcome(s.ask(fqdn, dns.TypeA))
	if net.ParseIP(addr).IsLoopback() {
		t.Errorf("the host is given %s", addr)
	}
	if got := forwarder.from(t, asker, fqdn, dns.TypeA); got != addr {
		t.Errorf("a container behind the host's resolver is given %s, the host %s", got, addr)
	}
	for who, id := range map[string]string{"the host": "", "a container": asker} {
		eventually(t, func() error { // the service may not listen yet
			conn, err := dialFrom(t, id, "tcp", net.JoinHostPort(addr, port))
			if err != nil {
				return fmt.Errorf("%s at %s: %w", who, addr, err)
			}
			return conn.Close()
		})
	}
	if got := outcome(s.ask(fqdn, dns.TypeAAAA)); got != nodata && !strings.Contains(got, ":") || got == "::1" {
		t.Errorf("AAAA: %s", got)
	}
	m := s.ask("_"+port+"._tcp."+fqdn, dns.TypeSRV)
	if len(m.Extra) == 0 || dns.Field(m.Extra[0], 1) != addr {
		t.Errorf("SRV has %v, want the address %s", m.Extra, addr)
	}
}
