package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// docker is an engine as the docker command reaches it.
type docker struct {
	host string // as in DOCKER_HOST; "" is what the environment says
}

// machine is the engine that most tests share.
var machine docker

func (d docker) command(args ...string) *exec.Cmd {
	cmd := exec.Command("docker", args...)
	if d.host != "" {
		cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.host)
	}
	return cmd
}

// output runs a docker command and returns what it prints, or else its complaint.
func (d docker) output(args ...string) (string, error) {
	return rig.Output(d.command(args...))
}

// do is output for commands that must work.
func (d docker) do(t *testing.T, args ...string) string {
	t.Helper()
	out, err := d.output(args...)
	if err != nil {
		t.Fatalf("docker %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// run starts a container of our image that lives until the test's end. The options are
// docker run's.
func (d docker) run(t *testing.T, options ...string) (id string) {
	t.Helper()
	return d.runAs(t, options, image)
}

// runAs is run with the image and what it does.
func (d docker) runAs(t *testing.T, options []string, program ...string) (id string) {
	t.Helper()
	id = d.do(t, slices.Concat([]string{"run", "-d"}, options, program)...)
	t.Cleanup(func() { d.output("rm", "-f", id) })
	return id
}

// ask has the container ask, the server if one is given, else its own resolver, and
// returns the addresses, sorted, or the complaint.
func (d docker) ask(id, server, name string) string {
	args := []string{"exec", id, "/image", "resolve", name}
	if server != "" {
		args = []string{"exec", id, "/image", "ask", server, name}
	}
	out, err := d.output(args...)
	return asked(out, err)
}

// asked makes one string of what the image's program said when asked to resolve.
func asked(out string, err error) string {
	if err != nil {
		return "error: " + out
	}
	addrs := strings.Fields(out)
	slices.Sort(addrs)
	return strings.Join(addrs, " ")
}

// network makes a network that lives until the test's end.
func (d docker) network(t *testing.T, options ...string) (name string) {
	t.Helper()
	name = "net-" + suffix()
	d.do(t, slices.Concat([]string{"network", "create", "--label", theRun.Label()}, options, []string{name})...)
	t.Cleanup(func() { d.output("network", "rm", name) })
	return name
}

// servedNetwork makes a network at whose gateway a coredns of the test can serve DNS until the test's
// end. Podman (5.4) serves DNS there itself, unless it is told not to, for which the Docker API has no word.
func (d docker) servedNetwork(t *testing.T) (name string) {
	t.Helper()
	if !podman {
		return d.network(t)
	}
	name = "net-" + suffix()
	podmanCall(t, http.MethodPost, "networks/create", map[string]any{
		"name": name, "driver": "bridge", "dns_enabled": false, "labels": map[string]string{rig.Mark: theRun.ID},
	})
	t.Cleanup(func() { d.output("network", "rm", name) })
	return name
}

// podmanCall makes a call of Podman's own API to the machine's engine.
func podmanCall(t *testing.T, method, path string, body any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://engine/v5.0.0/libpod/"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	socket := machineSocket(t)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s: %s", method, path, resp.Status, said)
	}
}

// gateway is the host's own address on a network. Podman (5.4) makes the bridge, and so the host has
// the address, only when the network gets its first container, and until the last has left.
func (d docker) gateway(t *testing.T, network string) netip.Addr {
	t.Helper()
	if podman && d == machine {
		d.run(t, "--network", network)
	}
	out := d.do(t, "network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", network)
	addr, err := netip.ParseAddr(out)
	if err != nil {
		t.Fatalf("gateway of network %s: %v", network, err)
	}
	return addr
}

func (d docker) importImage(tarball string) error {
	out, err := d.output(theRun.ImportImage(tarball, image)...)
	if err != nil {
		return fmt.Errorf("docker import: %w: %s", err, out)
	}
	return nil
}

// inspection is the part of docker inspect's report that DNS shows.
type inspection struct {
	ID    string
	Name  string // with a leading slash
	State struct {
		Running    bool
		Restarting bool
		Pid        int
		StartedAt  time.Time
		FinishedAt time.Time // of the last time that it ran
	}
	Config struct {
		Hostname string
	}
	NetworkSettings struct {
		Networks map[string]struct {
			IPAddress         string
			GlobalIPv6Address string
		}
	}
}

func (d docker) inspect(t *testing.T, id string) inspection {
	t.Helper()
	var found []inspection
	out := d.do(t, "inspect", "--type", "container", id)
	if err := json.Unmarshal([]byte(out), &found); err != nil || len(found) != 1 {
		t.Fatalf("docker inspect %s: %v: %s", id, err, out)
	}
	return found[0]
}

func (c inspection) name() string    { return strings.TrimPrefix(c.Name, "/") }
func (c inspection) shortID() string { return c.ID[:12] }

// addrs returns the running container's addresses on all networks.
func (c inspection) addrs() (v4, v6 []string) {
	if !c.State.Running {
		return nil, nil
	}
	for _, n := range c.NetworkSettings.Networks {
		if n.IPAddress != "" {
			v4 = append(v4, n.IPAddress)
		}
		if n.GlobalIPv6Address != "" {
			v6 = append(v6, n.GlobalIPv6Address)
		}
	}
	return v4, v6
}

// addr is the only IPv4 address of a container on one network.
func (d docker) addr(t *testing.T, id string) string {
	t.Helper()
	v4, _ := d.inspect(t, id).addrs()
	if len(v4) != 1 {
		t.Fatalf("container %s has addresses %q, want one", id, v4)
	}
	return v4[0]
}
