package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// loadImage makes our image, has the engine load it, and returns its name.
var loadImage = sync.OnceValues(func() (name string, err error) {
	archive, name, err := theRun.BuildServerImage("../..")
	if err != nil {
		return "", err
	}
	if said, err := machine.output("load", "-i", archive); err != nil {
		return "", fmt.Errorf("docker load: %w: %s", err, said)
	}
	return name, nil
})

// lockedDown are the options of a container that may do nothing but what its server needs.
var lockedDown = []string{"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}

// runImage starts a container of our image, locked down, with the engine's socket, until the test's end. Without a Corefile it
// serves the image's own.
func runImage(t *testing.T, corefile string, options ...string) (id string) {
	t.Helper()
	if podman {
		t.Skip("the engine is Podman: the image is tried beside Docker alone")
	}
	name, err := loadImage()
	if err != nil {
		t.Fatal(err)
	}
	// A read-only root takes no files, and an engine with a root of its own has not ours: so the Corefile is in a volume.
	id = machine.do(t, slices.Concat([]string{"create", "-v", socketInside(t) + ":/var/run/docker.sock", "-v", "/etc/dockerdiscovery"}, lockedDown, options, []string{name})...)
	t.Cleanup(func() { machine.output("rm", "-f", "-v", id) })
	if corefile != "" {
		file := filepath.Join(t.TempDir(), "Corefile")
		if err := os.WriteFile(file, []byte(corefile), 0o644); err != nil {
			t.Fatal(err)
		}
		machine.do(t, "cp", file, id+":/etc/dockerdiscovery/Corefile")
	}
	machine.do(t, "start", id)
	return id
}

// socketGroup is the option by which a container's user is in the group of the engine's socket.
func socketGroup(t *testing.T) []string {
	t.Helper()
	info, err := os.Stat(machineSocket(t))
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--group-add", fmt.Sprint(info.Sys().(*syscall.Stat_t).Gid)}
}

// imageServer is the server of a container, which says so often at its start that it is in one without the host's network.
func imageServer(t *testing.T, id, at string, warnings int) *server {
	t.Helper()
	s := &server{&rig.Server{Addr: at}, t}
	within(t, 2*patience, func() error {
		m, err := rig.Ask("udp", at, "docker.", dns.TypeSOA)
		if err == nil && m.Rcode != dns.RcodeSuccess {
			err = fmt.Errorf("%s", dns.RcodeToString[m.Rcode])
		}
		if err != nil {
			said, _ := machine.command("logs", id).CombinedOutput()
			return fmt.Errorf("%w\n%s", err, said)
		}
		return nil
	})
	eventually(t, func() error { // what it says is a moment on its way
		said, err := machine.command("logs", id).CombinedOutput()
		if n := strings.Count(string(said), "without the host's network"); err != nil || n != warnings {
			return fmt.Errorf("it says %d times, want %d, that it has not the host's network (%v):\n%s", n, warnings, err, said)
		}
		return nil
	})
	return s
}

// On a network of its own our image needs nothing but the socket's group. Its neighbours and the host are given what they reach.
func TestImageOnBridge(t *testing.T) {
	t.Parallel()
	near := machine.network(t)
	id := runImage(t, ".:53 {\ndocker docker. {\nisolate\n}\nerrors\n}\n", slices.Concat(socketGroup(t), []string{"--network", near})...)
	s := imageServer(t, id, net.JoinHostPort(machine.addr(t, id), "53"), 1)
	if got := machine.do(t, "inspect", "-f", "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}", id); got != "65532:65532 true [ALL]" {
		t.Errorf("it runs as %s", got)
	}
	places := map[string]place{"the host": {}, "a neighbour": inside(t, machine.run(t, "--network", near))}
	var tries sync.WaitGroup
	for what, options := range map[string][]string{"plain": nil, "published": {"-p", "80"}} {
		s.reaches(t, &tries, what, append(options, "--network", near), places, []string{"the host", "a neighbour"}, nil)
	}
	tries.Wait()
	// Who is on another network does not get there.
	stranger := machine.run(t, "--network", machine.network(t))
	if got := machine.ask(stranger, s.Addr, "ns.dns.docker."); !strings.HasPrefix(got, "error: ") {
		t.Errorf("a stranger is answered %s", got)
	}
}

// Where it publishes its port, all but its neighbours are hidden by the gateway, which is named as a forwarder: they are given
// what everybody reaches.
func TestImagePublished(t *testing.T) {
	t.Parallel()
	near, lan := machine.network(t), newLAN(t)
	gateway, host, port := machine.gateway(t, near).String(), lan.Host.String(), strconv.Itoa(freePort(t, lan.Host.String()))
	corefile := ".:53 {\ndocker docker. {\npublish " + host + "\nforwarders " + gateway + "\n}\nerrors\n}\n"
	id := runImage(t, corefile, slices.Concat(socketGroup(t), []string{"--network", near, "-p", host + ":" + port + ":53/udp"})...)
	s := imageServer(t, id, net.JoinHostPort(machine.addr(t, id), "53"), 1)
	published := net.JoinHostPort(host, port)
	stranger := inside(t, machine.run(t, "--network", machine.network(t)))
	stranger.at = published
	places := map[string]place{"a neighbour": inside(t, machine.run(t, "--network", near)), "a stranger": stranger}
	var tries sync.WaitGroup
	s.reaches(t, &tries, "plain", []string{"--network", near}, places, []string{"a neighbour"}, nil)
	// The host reaches what is not published too, and before 28 the LAN does, which has a route here.
	places["the host"], places["the LAN"] = place{at: published}, place{netns: rig.NetnsPath(lan.Netns), at: published}
	s.reaches(t, &tries, "published", []string{"--network", near, "-p", "80"}, places, []string{"a neighbour"}, []string{"the host", "a stranger", "the LAN"})
	tries.Wait()
}

// With the host's network everybody is known. The port of DNS needs root with one capability, others need nothing.
func TestImageOnHostNetwork(t *testing.T) {
	t.Parallel()
	near, other, lan := machine.network(t), machine.network(t), newLAN(t)
	listens := map[string]string{"host": ownLoopback(), "near": machine.gateway(t, near).String(), "other": machine.gateway(t, other).String(), "lan": lan.Host.String()}
	corefile := func(port string) string {
		bind := fmt.Sprintln("bind", listens["host"], listens["near"], listens["other"], listens["lan"])
		return ".:" + port + " {\n" + bind + "docker docker. {\npublish\n}\nerrors\n}\n"
	}
	neighbour, stranger := inside(t, machine.run(t, "--network", near)), inside(t, machine.run(t, "--network", other))
	high := strconv.Itoa(freePort(t, "0.0.0.0"))
	for port, options := range map[string][]string{
		"53": {"--user", "0", "--cap-add", "NET_BIND_SERVICE"},
		high: socketGroup(t),
	} {
		id := runImage(t, corefile(port), append(options, "--network", "host")...)
		s := imageServer(t, id, net.JoinHostPort(listens["near"], port), 0)
		neighbour.at, stranger.at = s.Addr, net.JoinHostPort(listens["other"], port)
		places := map[string]place{
			"the host": {at: net.JoinHostPort(listens["host"], port)}, "a neighbour": neighbour, "a stranger": stranger,
			"the LAN": {netns: rig.NetnsPath(lan.Netns), at: net.JoinHostPort(listens["lan"], port)},
		}
		var tries sync.WaitGroup
		s.reaches(t, &tries, "published", []string{"--network", near, "-p", "80"}, places, []string{"the host", "a neighbour"}, []string{"a stranger", "the LAN"})
		tries.Wait()
		machine.do(t, "rm", "-f", "-v", id)
	}

	// The engine gives a capability to root alone.
	id := runImage(t, corefile("53"), append(socketGroup(t), "--network", "host", "--cap-add", "NET_BIND_SERVICE")...)
	eventually(t, func() error {
		if machine.inspect(t, id).State.Running {
			return fmt.Errorf("a user without the capability serves port 53")
		}
		return nil
	})
	if said, _ := machine.command("logs", id).CombinedOutput(); !strings.Contains(string(said), "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE") {
		t.Errorf("it says: %s", said)
	}
}

// The image's health check finds a server that hangs, which serves the image's own Corefile.
func TestImageHangs(t *testing.T) {
	t.Parallel()
	options := append(socketGroup(t), "--network", machine.network(t), "--health-interval", "1s", "--health-retries", "2")
	id := runImage(t, "", options...)
	pid := machine.inspect(t, id).State.Pid
	for _, step := range []struct {
		signal syscall.Signal
		health string
	}{{syscall.SIGCONT, "healthy"}, {syscall.SIGSTOP, "unhealthy"}, {syscall.SIGCONT, "healthy"}} {
		if err := syscall.Kill(pid, step.signal); err != nil {
			t.Fatal(err)
		}
		took := within(t, 6*patience, func() error {
			if got := machine.do(t, "inspect", "-f", "{{.State.Health.Status}}", id); got != step.health {
				return fmt.Errorf("after %v it is %s: %s", step.signal, got, machine.do(t, "inspect", "-f", "{{json .State.Health.Log}}", id))
			}
			return nil
		})
		t.Logf("after %v it is %s within %v", step.signal, step.health, took)
	}
}
