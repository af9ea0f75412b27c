package convergence

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"github.com/docker/go-connections/nat"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

func TestRealEngine(t *testing.T) {
	t.Parallel()
	onRealEngines(t, sequence(*realSeeds), client.FromEnv)
}

// TestTwoRealEngines has two hosts with equal names, networks and addresses, the second one's engine being that of -convergence.second.
func TestTwoRealEngines(t *testing.T) {
	if *second == "" {
		t.Skip("no -convergence.second")
	}
	t.Parallel()
	onRealEngines(t, sequence(*realSeeds), client.FromEnv, client.WithHost(*second))
}

// onRealEngines tests the seeds on engines, each of which an option of its client finds.
func onRealEngines(t *testing.T, all []uint64, finds ...client.Opt) {
	if len(all) == 0 {
		t.Skip("no seeds")
	}
	tarball, err := rig.BuildImage(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run, image := rig.NewRun(), "dockerdiscovery-convergence:"+rig.Suffix()
	var engines []real
	for _, find := range finds {
		c, err := client.NewClientWithOpts(find, client.WithAPIVersionNegotiation())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := c.Ping(t.Context()); err != nil || !strings.HasPrefix(c.DaemonHost(), "unix://") {
			if os.Getenv("CI") == "" {
				t.Skipf("no engine on a unix socket: %s: %v", c.DaemonHost(), err)
			}
			t.Fatalf("no engine on a unix socket: %s: %v", c.DaemonHost(), err)
		}
		e := real{client: c, ctx: context.Background(), run: run, image: image}
		t.Cleanup(func() { e.removeImage(t) }) // even after the test's deadline
		if out, err := rig.Docker(append([]string{"--host", c.DaemonHost()}, run.ImportImage(tarball, image)...)...); err != nil {
			t.Fatalf("docker import: %v: %s", err, out)
		}
		engines = append(engines, e)
	}
	var took times
	go took.watchDelay(t.Context())
	for _, seed := range all {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { realSeed(t, slices.Clone(engines), seed, &took) })
	}
	took.report(t)
}

func (e *real) removeImage(t *testing.T) {
	if _, err := e.client.ImageRemove(e.ctx, e.image, image.RemoveOptions{Force: true}); err != nil {
		t.Error(err)
	}
}

func realSeed(t *testing.T, engines []real, seed uint64, took *times) {
	suffix := rig.Suffix()
	networks := []string{"front-" + suffix, "back_end-" + suffix, "six-" + suffix}
	// Of several engines they are equal, and nobody else's.
	subnets := []string{fmt.Sprintf("10.%d.%d.0/25", 100+mathrand.N(100), mathrand.N(256)), "", ""}
	subnets[1] = strings.Replace(subnets[0], ".0/", ".128/", 1)
	subnets[2] = fmt.Sprintf("fd00:%x:%x::/64", mathrand.N(1<<16), mathrand.N(1<<16))
	hosts := []*host{{}}
	if len(engines) > 1 {
		hosts = severalHosts(fmt.Sprint("real-", seed))
	}
	r := &run{
		seed: seed, suffix: suffix, networks: networks, took: took,
		pause: 50 * time.Millisecond, probeEvery: 2 * time.Millisecond,
	}
	for i := range engines {
		e := &engines[i]
		e.labels = map[string]string{rig.Mark: e.run.ID}
		t.Cleanup(func() { e.clean(t, suffix, networks) })
		for i, name := range networks {
			o := network.CreateOptions{Labels: e.labels}
			six := i == 2
			if six || len(engines) > 1 {
				o.IPAM = &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnets[i]}}}
			}
			if six {
				o.EnableIPv6 = &six
			}
			if _, err := e.client.NetworkCreate(t.Context(), name, o); err != nil {
				t.Fatal(err)
			}
		}
		if len(engines) > 1 { // a host of which no container is on a bridge may be this machine
			id, err := e.create(enginetest.Spec{Name: "anchor." + suffix, Networks: []enginetest.Attachment{{Network: networks[0]}}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.remove(id) })
			if err := e.start(id); err != nil {
				t.Fatal(err)
			}
		}
		e.labels = map[string]string{mark: suffix, rig.Mark: e.run.ID}
		r.places = append(r.places, place{e, hosts[i]})
	}
	r.test(t, orElse(*ops, 25))
}

// real is an operator of a Docker Engine.
type real struct {
	client *client.Client
	ctx    context.Context // the test's may be done when something is to be removed
	image  string
	run    rig.Run
	labels map[string]string // of the seed's networks and containers
}

// clean removes all that the seed made.
func (e *real) clean(t *testing.T, suffix string, networks []string) {
	list, err := e.client.ContainerList(e.ctx, container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("label", mark+"="+suffix)),
	})
	if err != nil {
		t.Error(err)
	}
	for i := range list {
		if err := e.remove(list[i].ID); err != nil {
			t.Error(err)
		}
	}
	for _, n := range networks {
		if err := e.client.NetworkRemove(e.ctx, n); err != nil {
			t.Error(err)
		}
	}
}

func (e *real) socket() string { return strings.TrimPrefix(e.client.DaemonHost(), "unix://") }

func (*real) endpoint(a enginetest.Attachment) *network.EndpointSettings {
	return &network.EndpointSettings{Aliases: a.Aliases}
}

func (e *real) create(s enginetest.Spec) (string, error) {
	c := &container.Config{Image: e.image, Hostname: s.Hostname, Labels: e.labels}
	if s.Health != "" {
		c.Healthcheck = &container.HealthConfig{Test: []string{"CMD", "/image", "health"}, Interval: 200 * time.Millisecond, Timeout: 5 * time.Second, Retries: 1}
	}
	first := s.Networks[0]
	hc := &container.HostConfig{NetworkMode: container.NetworkMode(first.Network)}
	if len(s.Publish) > 0 {
		const port = "80/tcp"
		c.ExposedPorts, hc.PortBindings = nat.PortSet{port: {}}, nat.PortMap{}
		for _, ip := range published(s) { // at any port that is free
			hc.PortBindings[port] = append(hc.PortBindings[port], nat.PortBinding{HostIP: ip.String()})
		}
	}
	r, err := e.client.ContainerCreate(e.ctx, c, hc,
		&network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{first.Network: e.endpoint(first)}}, nil, s.Name)
	if err != nil {
		return "", err
	}
	for _, a := range s.Networks[1:] {
		if err := e.connect(r.ID, a); err != nil {
			return "", err
		}
	}
	return r.ID, nil
}

func (e *real) start(id string) error {
	return e.client.ContainerStart(e.ctx, id, container.StartOptions{})
}
func (e *real) stop(id string) error {
	return e.client.ContainerStop(e.ctx, id, container.StopOptions{})
}
func (e *real) restart(id string) error {
	return e.client.ContainerRestart(e.ctx, id, container.StopOptions{})
}
func (e *real) pause(id string) error        { return e.client.ContainerPause(e.ctx, id) }
func (e *real) unpause(id string) error      { return e.client.ContainerUnpause(e.ctx, id) }
func (e *real) rename(id, name string) error { return e.client.ContainerRename(e.ctx, id, name) }
func (e *real) remove(id string) error {
	return e.client.ContainerRemove(e.ctx, id, container.RemoveOptions{Force: true})
}
func (e *real) connect(id string, a enginetest.Attachment) error {
	return e.client.NetworkConnect(e.ctx, a.Network, id, e.endpoint(a))
}
func (e *real) disconnect(id, from string) error {
	return e.client.NetworkDisconnect(e.ctx, from, id, false)
}

// kill returns when the container has ended.
func (e *real) kill(id string) error {
	ended, failed := e.client.ContainerWait(e.ctx, id, container.WaitConditionNotRunning)
	if err := e.client.ContainerKill(e.ctx, id, "KILL"); err != nil {
		return err
	}
	select {
	case <-ended:
		return nil
	case err := <-failed:
		return err
	}
}

// setHealth returns when the engine has seen it.
func (e *real) setHealth(id string, well bool) error {
	command, want := "sicken", container.Unhealthy
	if well {
		command, want = "heal", container.Healthy
	}
	exec, err := e.client.ContainerExecCreate(e.ctx, id, container.ExecOptions{Cmd: []string{"/image", command}})
	if err != nil {
		return err
	}
	if err := e.client.ContainerExecStart(e.ctx, exec.ID, container.ExecStartOptions{}); err != nil {
		return err
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		c, err := e.client.ContainerInspect(e.ctx, id)
		if err != nil {
			return err
		}
		if c.State.Health != nil && c.State.Health.Status == want {
			return nil
		}
	}
	return errors.New("the health check does not see it")
}

func (e *real) addrs(id string) (map[string][]netip.Addr, error) {
	c, err := e.client.ContainerInspect(e.ctx, id)
	if err != nil {
		return nil, err
	}
	addrs := map[string][]netip.Addr{}
	for name, n := range c.NetworkSettings.Networks {
		for _, text := range []string{n.IPAddress, n.GlobalIPv6Address} {
			if ip, err := netip.ParseAddr(text); err == nil {
				addrs[name] = append(addrs[name], ip)
			}
		}
	}
	return addrs, nil
}

// The engine is others' too.
func (*real) down() error { return errors.ErrUnsupported }
func (*real) up() error   { return errors.ErrUnsupported }
