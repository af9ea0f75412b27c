package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// An engine whose networks are not this machine's, as one in a virtual machine, and which is the CLI's current context: the
// host reaches what is published, and nothing else.
func TestEngineInVM(t *testing.T) {
	t.Parallel()
	e := newEngine(t, liveRestore)
	e.start()
	network := e.populateElsewhere()
	dir := t.TempDir()
	cli := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("docker", append([]string{"--config", dir, "context"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("docker context %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	cli("create", "side", "--docker", "host="+e.host)
	e.run(t, "--network", network, "--name", "plain")
	e.run(t, "--network", network, "--name", "web", "-p", "8080:80")
	e.run(t, "--network", "host", "--name", "hostnet")
	env := []string{"DOCKER_CONFIG=" + dir, "DOCKER_HOST="}
	check := func(s *server) {
		t.Helper()
		s.soon("web.docker.", dns.TypeA, "127.0.0.1")
		s.soon("hostnet.docker.", dns.TypeA, "127.0.0.1")
		s.soon("plain.docker.", dns.TypeA, nodata)
		if len(s.Log.Lines("Watching Docker Engine")) != 1 || len(s.Log.Lines(e.Socket())) == 0 {
			t.Errorf("it watches another engine:\n%s", s.Log)
		}
	}
	check(serve(t, config{Env: append(env, "DOCKER_CONTEXT=side"), Body: "docker docker. {\npublish\n}"}))
	cli("use", "side")
	check(serve(t, config{Env: append(env, "DOCKER_CONTEXT="), Body: "docker docker. {\npublish\n}"}))

	// A network of which this machine has the host's address makes it the host.
	s := serve(t, config{Body: "docker docker. {\nendpoint " + e.host + "\npublish\n}"})
	s.soon("web.docker.", dns.TypeA, "127.0.0.1")
	here := e.populate()
	id := e.run(t, "--network", here, "--name", "here")
	s.soon("here.docker.", dns.TypeA, e.addr(t, id))
}

// A context that can't be used ends coredns at once, with what is wrong.
func TestWrongContext(t *testing.T) {
	t.Parallel()
	text := fmt.Sprintf("docker.:%d {\ndocker\n}\n", freePort(t, "127.0.0.1"))
	for _, c := range []struct{ env, want string }{
		{"DOCKER_CONTEXT=nowhere", "the Docker context 'nowhere', which DOCKER_CONTEXT names: there is no such context"},
		{"DOCKER_HOST=ssh://me:secret@host", "'ssh://me:secret@host' is not an endpoint: want unix:///PATH"},
	} {
		if said, _ := refused(t, config{Text: text, Env: []string{"DOCKER_HOST=", c.env}}); !strings.Contains(said, c.want) {
			t.Errorf("%s: no %q in: %s", c.env, c.want, said)
		}
	}
}

// rooted tells that the engine has a root of its own: its files are not the tests'.
func rooted(t *testing.T) bool {
	t.Helper()
	return strings.HasPrefix(machineSocket(t), "/run/engines/")
}

// socketInside is the engine's socket as its containers are given it.
func socketInside(t *testing.T) string {
	t.Helper()
	if rooted(t) {
		return "/run/engine/engine.sock"
	}
	return machineSocket(t)
}

// An engine that is reached through a proxy in one of its containers is on this machine.
func TestProxyInContainer(t *testing.T) {
	t.Parallel()
	socket := socketInside(t)
	behind, other := machine.network(t), machine.network(t)
	proxy := machine.runAs(t, []string{"--network", behind, "-v", socket + ":/engine.sock"}, image, "proxy", ":2375", "/engine.sock")
	at := net.JoinHostPort(machine.addr(t, proxy), "2375")
	s := serve(t, config{Body: "docker " + zones + " {\nendpoint tcp://" + at + "\npublish\n}"})
	web, pub, hostnet := "web-"+suffix(), "pub-"+suffix(), "hostnet-"+suffix()
	onOther := machine.addr(t, machine.run(t, "--name", web, "--network", other))
	published := machine.addr(t, machine.run(t, "--name", pub, "--network", other, "-p", fmt.Sprint(freePort(t, "0.0.0.0"), ":80")))
	machine.run(t, "--name", hostnet, "--network", "host")
	s.soon(web+".docker.", dns.TypeA, onOther)
	s.soon(pub+".docker.", dns.TypeA, published)
	if got := outcome(s.ask(hostnet+".docker.", dns.TypeA)); got == machine.addr(t, proxy) || got == nodata {
		t.Errorf("a container on the host's network is %s to the host", got)
	}
	lan := newLAN(t)
	s = serve(t, config{IP: lan.Host.String(), Body: "docker " + zones + " {\nendpoint tcp://" + at + "\npublish\n}"})
	if got := askIn(t, []string{"ip", "netns", "exec", lan.Netns}, s.Addr, pub+".docker.", dns.TypeA); got != lan.Host.String() {
		t.Errorf("the LAN gets %s, want the host's address %s", got, lan.Host)
	}
}

// An engine that a server in a container reaches at the host's address on its network is on this machine too.
func TestEngineAtGateway(t *testing.T) {
	t.Parallel()
	socket := socketInside(t)
	network, other := machine.network(t), machine.network(t)
	port := freePort(t, "0.0.0.0")
	machine.runAs(t, []string{"-p", fmt.Sprintf("%d:2375", port), "-v", socket + ":/engine.sock"}, image, "proxy", ":2375", "/engine.sock")
	web := "web-" + suffix()
	addr := machine.addr(t, machine.run(t, "--name", web, "--network", other))
	at := net.JoinHostPort(machine.gateway(t, network).String(), fmt.Sprint(port))
	server := net.JoinHostPort(runCoreDNS(t, network, ".:53 {\ndocker docker. {\nendpoint tcp://"+at+"\n}\n}\n"), "53")
	eventually(t, func() error {
		m, err := rig.Ask("udp", server, web+".docker.", dns.TypeA)
		if err == nil && outcome(m) != addr {
			err = fmt.Errorf("the host gets %s, want %s", outcome(m), addr)
		}
		return err
	})
}
