package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// place is where somebody asks from.
type place struct {
	who      string
	netns    string // its path, "" for this machine
	at       string // the server's address as it is asked from there
	gateways []string
}

func (p place) ask(t *testing.T, name string, qtype uint16) string {
	t.Helper()
	enter := []string{"env"}
	if p.netns != "" {
		enter = []string{"nsenter", "--net=" + p.netns}
	}
	return askIn(t, enter, p.at, name, qtype)
}

// answers returns what says a word at the address, "" if nothing does.
func (p place) answers(t *testing.T, ip, port string) string {
	return p.answersWithin(t, patience, ip, port)
}

// answersWithin is answers with the time that each, the connection and the word, may take.
func (p place) answersWithin(t *testing.T, limit time.Duration, ip, port string) string {
	addr := net.JoinHostPort(ip, port)
	var conn net.Conn
	var err error
	if p.netns == "" {
		conn, err = net.DialTimeout("tcp", addr, limit)
	} else {
		conn, err = dialWithin(t, limit, p.netns, "tcp", addr)
	}
	if err != nil {
		return ""
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limit))
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	last := ""
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		last = lines.Text()
	}
	return last
}

// hasWay reports whether who says the word is met at the address all the time. Once would not do: as Docker makes a network, which
// another test may have it do, it takes the rule away that keeps networks apart, and puts it back as the first. Each try is too short for TCP to
// begin once more, which may fall into the next such moment.
func (p place) hasWay(t *testing.T, ip, port, says string) bool {
	return until(time.Second, func() error {
		if p.answersWithin(t, 900*time.Millisecond, ip, port) == says {
			return errors.New("it is met")
		}
		return nil
	}) != nil
}

// target is a container that serves HTTP.
type target struct {
	what, name string
	says       string   // its host name
	service    string   // its port's
	own        []string // its addresses
	port       string   // of its own
	published  string   // the port at the host, "" if there is none
}

// newTarget runs a container that serves HTTP at the port.
func newTarget(t *testing.T, what, port string, options ...string) target {
	t.Helper()
	name := "web-" + suffix()
	id := machine.runAs(t, append(options, "--name", name, "--expose", port), image, "http", ":"+port)
	c := machine.inspect(t, id)
	v4, v6 := c.addrs()
	w := target{what: what, name: name + ".docker.", says: c.shortID(), service: "_http._tcp.", own: append(v4, v6...), port: port}
	if port != "80" {
		w.service = "_" + port + "._tcp."
		w.says, _ = os.Hostname()
	}
	w.published = machine.do(t, "inspect", "-f", `{{range (index .NetworkSettings.Ports "80/tcp")}}{{println .HostPort}}{{end}}`, id)
	w.published, _, _ = strings.Cut(w.published, "\n")
	return w
}

// Every address that somebody is given is reached by TCP, at the port that goes with it; and who is given none of a family
// reaches the container at no address of that.
func TestGivenIsReached(t *testing.T) {
	t.Parallel()
	near, other, four := machine.networkIPv6(t), machine.networkIPv6(t), machine.network(t)
	inside := machine.network(t, "--internal")
	lan := newLAN(t)
	at := machine.gateway(t, inside).String() // which an internal network's containers reach too
	s := serve(t, config{IP: at, Also: lan.Host.String(), Body: "docker " + zones + " {\npublish\n}\ncache"})

	var places []place
	enter := func(who, id string) {
		c := machine.inspect(t, id)
		p := place{who: who, netns: fmt.Sprintf("/proc/%d/ns/net", c.State.Pid), at: s.Addr}
		for network := range c.NetworkSettings.Networks {
			p.gateways = append(p.gateways, machine.gateways(t, network)...)
		}
		places = append(places, p)
	}
	for who, network := range map[string]string{"a neighbour": near, "on another network": other, "without IPv6": four, "on an internal network": inside, "on the default network": "bridge"} {
		enter(who, machine.run(t, "--network", network))
	}
	both := machine.run(t, "--network", inside)
	machine.do(t, "network", "connect", other, both)
	enter("on an internal network and another", both)
	_, port, _ := net.SplitHostPort(s.Addr)
	places = append(places, place{"the host", "", s.Addr, nil}, place{"the LAN", "/var/run/netns/" + lan.Netns, net.JoinHostPort(lan.Host.String(), port), []string{lan.Host.String()}})

	var targets []target
	serving := func(what, port string, options ...string) {
		targets = append(targets, newTarget(t, what, port, options...))
	}
	serving("plain", "80", "--network", near)
	serving("published", "80", "--network", near, "-p", "80")
	serving("published over IPv4", "80", "--network", near, "-p", "0.0.0.0::80")
	serving("published on one address", "80", "--network", near, "-p", lan.Host.String()+"::80")
	serving("published on a bridge", "80", "--network", near, "-p", machine.gateway(t, four).String()+"::80")
	serving("on an internal network", "80", "--network", inside)
	serving("without icc", "80", "--network", machine.network(t, "--opt", "com.docker.network.bridge.enable_icc=false"), "-p", "80")
	serving("on the host's network", fmt.Sprint(freePort(t, "0.0.0.0")), "--network", "host")

	firewall6 := machine.do(t, "version", "-f", "{{.Server.Version}}") >= "27" // by default
	var checks sync.WaitGroup
	for _, w := range targets {
		places[len(places)-2].awaitTarget(t, w)
		for _, p := range places {
			checks.Go(func() { p.check(t, w, lan.Host.String(), firewall6) })
		}
	}
	checks.Wait()
}

// awaitTarget waits until the target is known, and listens.
func (p place) awaitTarget(t *testing.T, w target) {
	t.Helper()
	eventually(t, func() error {
		addr := strings.Fields(p.ask(t, w.name, dns.TypeA))[0]
		if got := p.answers(t, addr, w.port); got != w.says {
			return fmt.Errorf("%s (%s): at %s %s meets %q", w.what, w.name, addr, p.who, got)
		}
		return nil
	})
}

// check compares what is given of the target with what is reached. The LAN is told nothing of the addresses of Docker's
// networks, to which it may have a route; nor are containers, of IPv6 ones where Docker has no firewall for these.
func (p place) check(t *testing.T, w target, host string, firewall6 bool) {
	var ports []string
	if srv := p.ask(t, w.service+w.name, dns.TypeSRV); srv != nodata && srv != nxdomain {
		for f := strings.Fields(srv); len(f) >= 4; f = f[4:] {
			ports = append(ports, f[2])
		}
	}
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		given := strings.Fields(p.ask(t, w.name, qtype))
		if given[0] == nodata || given[0] == nxdomain { // of what a view does not reach a secondary knows nothing
			given = nil
		}
		t.Logf("%s, %s asks for %s: %s, ports %s", w.what, p.who, dns.TypeToString[qtype], given, ports)
		for _, ip := range given {
			reached := func() bool {
				return slices.ContainsFunc(ports, func(port string) bool { return p.answers(t, ip, port) == w.says })
			}
			if reached() {
				continue
			}
			unreached := fmt.Errorf("%s: %s is given %s, and does not reach it at %s", w.what, p.who, ip, ports)
			if qtype == dns.TypeAAAA && len(w.own) == 0 {
				// The host's IPv6 addresses are those of its bridges. Another test's may just have got its first container, so that the
				// kernel still looks whether somebody else has the address; or it has gone since, and a secondary learns that a little later.
				unreached = until(patience, func() error {
					if slices.Contains(strings.Fields(p.ask(t, w.name, qtype)), ip) && !reached() {
						return unreached
					}
					return nil
				})
			}
			if unreached != nil {
				t.Error(unreached)
			}
		}
		if len(given) > 0 {
			continue
		}
		var tries sync.WaitGroup
		try := func(ip, port string) {
			if a, err := netip.ParseAddr(ip); port == "" || err != nil || a.Is4() != (qtype == dns.TypeA) {
				return
			}
			tries.Go(func() {
				if p.hasWay(t, ip, port, w.says) {
					t.Errorf("%s: %s is given nothing, and reaches it at %s, %s", w.what, p.who, ip, port)
				}
			})
		}
		if p.who != "the LAN" && (qtype == dns.TypeA || firewall6) {
			for _, ip := range w.own {
				try(ip, w.port)
			}
		}
		for _, ip := range append([]string{host}, p.gateways...) { // a slice of its own: all targets' checks run at once
			try(ip, w.published)
			if len(w.own) == 0 {
				try(ip, w.port)
			}
		}
		tries.Wait()
	}
}

// gateways are all of the network's.
func (d docker) gateways(t *testing.T, network string) []string {
	t.Helper()
	var all []string
	for f := range strings.FieldsSeq(d.do(t, "network", "inspect", "-f", "{{range .IPAM.Config}}{{println .Subnet .Gateway}}{{end}}", network)) {
		if p, err := netip.ParsePrefix(f); err == nil {
			f = p.Masked().Addr().Next().String() // Docker leaves out its own choice
		}
		all = append(all, f)
	}
	return all
}

// A bridge's IPv6 address is nobody's before there has been a container on the bridge: the host is not given it.
func TestUnusedBridgeIsNotGiven(t *testing.T) {
	t.Parallel()
	machine.networkIPv6(t)
	s := serve(t, config{Body: "docker docker."})
	w := newTarget(t, "on the host's network", fmt.Sprint(freePort(t, "0.0.0.0")), "--network", "host")
	host := place{"the host", "", s.Addr, nil}
	host.awaitTarget(t, w)
	host.check(t, w, "127.0.0.1", false)
}

// What a secondary gives its clients they reach, each as the transfer's view says who they are: those on the LAN, or on the Docker host.
func TestGivenBySecondaryIsReached(t *testing.T) {
	t.Parallel()
	lan := newLAN(t)
	near := machine.network(t)
	targets := []target{
		newTarget(t, "plain", "80", "--network", near),
		newTarget(t, "published", "80", "--network", near, "-p", "80"),
		newTarget(t, "published on one address", "80", "--network", near, "-p", lan.Host.String()+"::80"),
		newTarget(t, "on the host's network", fmt.Sprint(freePort(t, "0.0.0.0")), "--network", "host"),
	}
	for _, view := range []string{"lan", "host"} {
		port := freePort(t, "127.0.0.1")
		body := fmt.Sprintf("%s\ndocker {\npublish %s\ntransfer_view %s\n}", transferTo("to * "+loopback(port)), lan.Host, view)
		primary := serve(t, config{Keys: "docker.", Body: body})
		host := place{"the host", "", primary.Addr, nil}
		for _, w := range targets {
			host.awaitTarget(t, w)
		}
		s := serve(t, config{Port: port, Keys: "docker.", Also: lan.Host.String(), Body: "secondary {\ntransfer from " + primary.Addr + "\n}"})
		s.takes("docker.", dns.TypeNS, "ns.dns.docker.")
		client := place{"the host", "", s.Addr, nil}
		if view == "lan" {
			client = place{"the LAN", "/var/run/netns/" + lan.Netns, net.JoinHostPort(lan.Host.String(), fmt.Sprint(port)), nil}
		}
		for _, w := range targets {
			client.check(t, w, lan.Host.String(), false)
		}
	}
}
