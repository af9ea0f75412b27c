package hosts

import (
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// host is a computer with an engine and a CoreDNS.
type host struct {
	engine
	name    string       // in the Corefiles
	addrs   []netip.Addr // on the LAN
	port    string       // of the segment
	targets []*target
	askers  []*asker
	tls     *tlsFront
	ssh     *sshServer
	server  *rig.Server
}

// target is a container that listens.
type target struct {
	host      *host
	name      string
	addrs     []netip.Addr // its own
	published uint16       // the host's port by which it is reached, 0 if there is none
}

// text is what it says to who connects.
func (c *target) text() string { return c.host.name + " " + c.name }

// port is where all targets listen.
const port = 80

// lab is all three hosts.
type lab struct {
	segment *rig.Segment
	hosts   []*host
	lan     *asker // a computer on the LAN
}

// newLab makes the hosts, their containers and, by serve, their servers. All of it lasts until the test's end.
func newLab(t *testing.T, serve func(*host, *testing.T, *lab)) *lab {
	t.Helper()
	l := &lab{segment: theRun.NewSegment(t, "192.0.2.100/24", "2001:db8::100/64")}
	ca := newAuthority(t)
	for i, h := range []*host{
		{name: "alpha", addrs: addrs("192.0.2.1", "2001:db8::1")},
		{name: "beta", addrs: addrs("192.0.2.2", "2001:db8::2")},
		{name: "gamma", addrs: addrs("2001:db8::3")},
	} {
		h.engine = startEngine(t, h.name, append([]string{""}, otherEngines()...)[i], "--live-restore")
		t.Logf("%s has Docker %s", h.name, h.do(t, "version", "--format", "{{.Server.Version}}"))
		var prefixes []string
		for _, addr := range h.addrs {
			prefixes = append(prefixes, netip.PrefixFrom(addr, map[bool]int{true: 24, false: 64}[addr.Is4()]).String())
		}
		h.port = l.segment.Join(t, h.netns, prefixes...)
		h.tls, h.ssh = ca.newFront(t, h), newSSHServer(t, h)
		l.hosts = append(l.hosts, h)
	}
	var populated sync.WaitGroup
	for i, h := range l.hosts {
		populated.Go(func() { h.populate(t, i) })
	}
	populated.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, h := range l.hosts {
		h.awaitAddresses(t)
		serve(h, t, l)
	}
	l.lan = &asker{name: "LAN", kind: "LAN", netns: rig.NetnsPath(l.segment.Netns)}
	l.findServers()
	return l
}

func addrs(list ...string) (parsed []netip.Addr) {
	for _, addr := range list {
		parsed = append(parsed, netip.MustParseAddr(addr))
	}
	return parsed
}

// populate gives the host containers, with the same names and addresses as the others'.
func (h *host) populate(t *testing.T, number int) {
	h.do(t, theRun.ImportImage(tarball, image)...)
	h.makeNetwork(t, "back", "10.77.0.0/24", "fd77::/64")
	h.makeNetwork(t, "other", "10.79.0.0/24", "fd79::/64")
	h.makeNetwork(t, "inside", "10.78.0.0/24", "fd78::/64", "--internal")
	h.do(t, "network", "create", "--label", theRun.Label(), "--driver", "macvlan", "--opt", "parent=eth0",
		"--subnet", "192.0.2.0/24", "--gateway", "192.0.2.100", "--ipv6", "--subnet", "2001:db8::/64", "--gateway", "2001:db8::100", "lan")

	back := []string{"--network", "back"}
	h.run(t, "web", 8080, append(back, "--ip", "10.77.0.10", "--ip6", "fd77::10", "--publish", "8080:80")...)
	h.run(t, "db", 0, append(back, "--ip", "10.77.0.11", "--ip6", "fd77::11")...)
	h.run(t, "plain", 0)
	h.run(t, "pub", 8081, "--publish", "8081:80")
	h.run(t, "v4only", 8082, append(back, "--publish", "0.0.0.0:8082:80")...)
	h.run(t, "looped", 8083, append(back, "--publish", "127.0.0.1:8083:80")...)
	h.run(t, "oneaddr", 8084, append(back, "--publish", netip.AddrPortFrom(h.addrs[0], 8084).String()+":80")...)
	h.run(t, "inner", 0, "--network", "inside")
	h.run(t, "hostnet", port, "--network", "host", "--expose", "80")
	h.run(t, "direct", 0, "--network", "lan", "--ip", fmt.Sprint("192.0.2.1", number+1), "--ip6", fmt.Sprint("2001:db8::1", number+1))
	h.run(t, "solo-"+h.name, 8085, append(back, "--publish", "8085:80")...)

	h.ask(t, "same network", "back", "10.77.0.1", "fd77::1")
	h.ask(t, "other network", "other", "10.79.0.1", "fd79::1")
	h.ask(t, "default bridge", "bridge", "172.17.0.1")
	h.askers = append(h.askers, &asker{host: h, name: h.name, kind: "host", netns: rig.NetnsPath(h.netns),
		own: append(slices.Clone(h.addrs), addrs("127.0.0.1")...)})
}

func (h *host) makeNetwork(t *testing.T, name, v4, v6 string, options ...string) {
	t.Helper()
	args := []string{"network", "create", "--label", theRun.Label(), "--ipv6"}
	for _, subnet := range []string{v4, v6} {
		gateway := netip.MustParsePrefix(subnet).Addr().Next().String()
		args = append(args, "--subnet", subnet, "--gateway", gateway)
	}
	h.do(t, slices.Concat(args, options, []string{name})...)
}

// awaitAddresses waits until the host has all of its addresses: the kernel looks first whether somebody else has those of a bridge on
// which the first container has just started, RFC 4862 §5.4.
func (h *host) awaitAddresses(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		tentative, err := rig.Output(exec.Command("ip", "-netns", h.netns, "-6", "-oneline", "address", "show", "tentative"))
		if err == nil && tentative == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not have its addresses yet: %v: %s", h.name, err, tentative)
		}
	}
}

// run starts a target.
func (h *host) run(t *testing.T, name string, published uint16, options ...string) {
	t.Helper()
	c := &target{host: h, name: name, published: published}
	h.do(t, slices.Concat([]string{"run", "-d", "--name", name}, options, []string{image, "tell", fmt.Sprint(":", port), c.text()})...)
	c.addrs = addrs(strings.Fields(h.do(t, "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{end}}", name))...)
	h.targets = append(h.targets, c)
}

// ask starts a container that asks, at the gateways.
func (h *host) ask(t *testing.T, kind, network string, gateways ...string) {
	t.Helper()
	name := "asker-" + network
	h.do(t, "run", "-d", "--name", name, "--network", network, "--dns", gateways[0], image)
	a := &asker{host: h, name: h.name + "'s " + name, kind: kind, netns: "/proc/" + h.do(t, "inspect", "-f", "{{.State.Pid}}", name) + "/ns/net", own: addrs(gateways...)}
	if network != "bridge" {
		a.own = append(a.own, netip.MustParseAddr("127.0.0.11")) // Docker's resolver, which asks the first gateway
	}
	h.askers = append(h.askers, a)
}

// serve starts the host's CoreDNS, which watches its own engine, the next host's by TLS and the one after that by SSH.
func (h *host) serve(t *testing.T, l *lab) {
	t.Helper()
	var endpoints strings.Builder
	for i, other := range l.hosts {
		switch (i - slices.Index(l.hosts, h) + len(l.hosts)) % len(l.hosts) {
		case 0:
			fmt.Fprintf(&endpoints, "endpoint unix://%s %s\n", h.socket, h.name)
		case 1:
			endpoints.WriteString(other.tls.endpoint(other))
		case 2:
			endpoints.WriteString(other.ssh.endpoint(other))
		}
	}
	h.serveBlock(t, "publish\n"+endpoints.String())
}

// serveBlock starts the host's CoreDNS, whose docker block has these lines.
func (h *host) serveBlock(t *testing.T, block string) {
	t.Helper()
	s, err := rig.Serve(rig.Config{Binary: binary, Dir: t.TempDir(), Port: 53, Via: []string{"nsenter", "--net=" + rig.NetnsPath(h.netns)},
		Text: fmt.Sprintf("docker {\nerrors\nready 127.0.0.1:8181\nprometheus 127.0.0.1:9153\nloadbalance\ndocker {\n%s}\n}\n", block)})
	if err != nil {
		t.Fatal(err)
	}
	h.server = s
	s.StopAfter(t, patience)
	if err := s.AwaitReady(patience); err != nil {
		t.Fatal(err)
	}
	if err := s.Await(patience, func() error {
		_, err := h.get("http://127.0.0.1:8181/ready")
		return err
	}); err != nil {
		t.Fatalf("%s's server: %v\n%s", h.name, err, s.Log)
	}
}
