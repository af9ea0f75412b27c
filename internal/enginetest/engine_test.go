package enginetest

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	networktypes "github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
)

const deadline = 20 * time.Second

// dial is a real client of the engine, and a context that ends a hung test.
func dial(t testing.TB, e *Engine) (context.Context, *client.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	c, err := client.NewClientWithOpts(client.WithHost(e.Host()), client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return ctx, c
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// watch is a subscribed event stream.
func watch(t testing.TB, ctx context.Context, e *Engine, c *client.Client, o events.ListOptions) (<-chan events.Message, <-chan error) {
	t.Helper()
	n := e.Streams()
	messages, errs := c.Events(ctx, o)
	check(t, e.WaitStreams(ctx, n+1))
	return messages, errs
}

func next(t testing.TB, ctx context.Context, messages <-chan events.Message, errs <-chan error) events.Message {
	t.Helper()
	select {
	case m := <-messages:
		return m
	case err := <-errs:
		t.Fatal(err)
	case <-ctx.Done():
		t.Fatal("no event")
	}
	return events.Message{}
}

// until reads events to the one with that action and returns all actions.
func until(t testing.TB, ctx context.Context, messages <-chan events.Message, errs <-chan error, last string) []string {
	t.Helper()
	var actions []string
	for {
		m := next(t, ctx, messages, errs)
		actions = append(actions, string(m.Action))
		if string(m.Action) == last {
			return actions
		}
	}
}

func TestListAndInspect(t *testing.T) {
	for _, opts := range [][]Option{nil, {WithTCP()}, {WithFlavour(Docker28)}, {WithFlavour(Podman)}} {
		e := New(t, opts...)
		ctx, c := dial(t, e)
		front := e.AddNetwork("front", "10.1.0.0/24", "fd00:1::/64")
		id := e.Run(Spec{Name: "web", Networks: []Attachment{{Network: "front", Aliases: []string{"shop"}}}, Labels: map[string]string{"a": "b"}, Health: "healthy"})
		stopped := e.Run(Spec{Name: "gone"})
		e.Stop(stopped)
		e.Create(Spec{Name: "new"})

		list, err := c.ContainerList(ctx, container.ListOptions{})
		check(t, err)
		if len(list) != 1 || list[0].ID != id || list[0].Names[0] != "/web" || list[0].NetworkSettings.Networks["front"].IPAddress != "10.1.0.2" || strings.Contains(list[0].Status, "(healthy)") != (e.flavour != Podman) {
			t.Errorf("%v: list = %+v", e.flavour, list)
		}
		list, err = c.ContainerList(ctx, container.ListOptions{All: true})
		check(t, err)
		if len(list) != 3 {
			t.Errorf("%v: list of all = %+v", e.flavour, list)
		}
		for _, ref := range []string{id, "web", id[:12]} {
			got, err := c.ContainerInspect(ctx, ref)
			check(t, err)
			p := got.NetworkSettings.Networks["front"]
			if got.ID != id || got.Config.Hostname != id[:12] || p.IPAddress != "10.1.0.2" || p.GlobalIPv6Address != "fd00:1::2" || p.NetworkID != front || got.State.Health.Status != "healthy" {
				t.Errorf("%v: inspect %s = %+v", e.flavour, ref, got)
			}
		}
		if n := e.InspectCalls(id); n != 3 {
			t.Errorf("%d inspects counted", n)
		}
		if _, err = c.ContainerInspect(ctx, "nobody"); !errdefs.IsNotFound(err) {
			t.Errorf("inspect of nobody: %v", err)
		}
		n, err := c.NetworkInspect(ctx, "front", networktypes.InspectOptions{})
		check(t, err)
		if n.Containers[id].IPv4Address != "10.1.0.2/24" {
			t.Errorf("network = %+v", n)
		}
		networks, err := c.NetworkList(ctx, networktypes.ListOptions{})
		check(t, err)
		if want := map[Flavour]int{Docker2010: 4, Docker28: 4, Podman: 2}[e.flavour]; len(networks) != want {
			t.Errorf("networks = %+v", networks)
		}
		if e.IP(id, "front") != netip.MustParseAddr("10.1.0.2") || e.IPv6(id, front) != netip.MustParseAddr("fd00:1::2") || e.IP(stopped, "bridge").IsValid() {
			t.Error("wrong addresses")
		}
		info, err := c.Info(ctx)
		check(t, err)
		if at, err := time.Parse(time.RFC3339Nano, info.SystemTime); err != nil || time.Since(at) > deadline {
			t.Errorf("system time %q", info.SystemTime)
		}
		version, err := c.ServerVersion(ctx)
		check(t, err)
		if version.APIVersion != e.flavour.about().api || c.ClientVersion() != version.APIVersion {
			t.Errorf("version %s, negotiated %s", version.APIVersion, c.ClientVersion())
		}
	}
}

func TestOnlyReading(t *testing.T) {
	e := New(t)
	id := e.Run(Spec{Name: "web"})
	ctx, c := dial(t, e)
	if err := c.ContainerStop(ctx, id, container.StopOptions{}); err == nil {
		t.Error("stop went through")
	}
	if e.Calls("forbidden") != 1 || e.Calls("ping") != 1 {
		t.Errorf("%d forbidden, %d pings", e.Calls("forbidden"), e.Calls("ping"))
	}
	if _, err := c.ImageList(ctx, image.ListOptions{}); err == nil || e.Calls("unknown") != 1 {
		t.Errorf("image list: %v", err)
	}
	e.ResetCalls()
	if e.Calls("forbidden") != 0 {
		t.Error("count stays")
	}
}

func TestVersionRange(t *testing.T) {
	e := New(t)
	ctx, _ := dial(t, e)
	c, err := client.NewClientWithOpts(client.WithHost(e.Host()), client.WithVersion("1.51"))
	check(t, err)
	defer c.Close()
	if _, err := c.Info(ctx); err == nil || !strings.Contains(err.Error(), "too new") {
		t.Errorf("version 1.51 on 1.41: %v", err)
	}
}

// The engine gives a freed address to the next container.
func TestAddressReuse(t *testing.T) {
	e := New(t)
	a, b := e.Run(Spec{}), e.Run(Spec{})
	first := e.IP(a, "bridge")
	e.Stop(a)
	if e.IP(e.Run(Spec{}), "bridge") != first {
		t.Error("lowest free address not taken")
	}
	e.Start(a)
	if ip := e.IP(a, "bridge"); ip == first || ip == e.IP(b, "bridge") {
		t.Errorf("address %v given twice", ip)
	}
	e.AddNetwork("six", "fd00::/64")
	six := e.Run(Spec{Networks: []Attachment{{Network: "six"}}})
	if e.IP(six, "six") != netip.MustParseAddr("fd00::2") {
		t.Error("no IPv6-only network")
	}
	e.AddNetwork("dual", "10.2.0.0/24", "fd00:2::/64")
	fixed := e.Run(Spec{Networks: []Attachment{{Network: "dual", IPv4: "none", IPv6: "fd00:2::99"}}})
	if e.IP(fixed, "dual") != netip.MustParseAddr("fd00:2::99") {
		t.Error("no endpoint without IPv4")
	}
}

func TestReplay(t *testing.T) {
	e := New(t)
	ctx, c := dial(t, e)
	e.Run(Spec{Name: "before"})
	messages, errs := watch(t, ctx, e, c, events.ListOptions{Since: "1"})
	var seen []events.Message
	for range 3 {
		seen = append(seen, next(t, ctx, messages, errs))
	}
	since := seen[1].TimeNano
	again, errs := watch(t, ctx, e, c, events.ListOptions{
		Since:   time.Unix(0, since).UTC().Format(time.RFC3339Nano),
		Filters: filters.NewArgs(filters.Arg("type", "container")),
	})
	if m := next(t, ctx, again, errs); m.TimeNano != seen[2].TimeNano || m.Action != "start" {
		t.Errorf("replayed %+v", m)
	}
	for range 300 {
		e.Emit("container", "exec_die", "x", nil)
	}
	full, errs := watch(t, ctx, e, c, events.ListOptions{Since: "1"})
	e.Emit("container", "last", "x", nil)
	if got := until(t, ctx, full, errs, "last"); len(got) != 257 {
		t.Errorf("%d events, the last 256 and a new one wanted", len(got))
	}
}

// While a container starts, its network has it already, the list not yet, and inspect waits.
func TestSlowStart(t *testing.T) {
	for _, opts := range [][]Option{nil, {WithStartDelay(50 * time.Millisecond)}} {
		e := New(t, opts...)
		ctx, c := dial(t, e)
		messages, errs := watch(t, ctx, e, c, events.ListOptions{})
		release := e.BlockStarts()
		done := make(chan string, 1)
		go func() { done <- e.Run(Spec{Name: "web"}) }()
		until(t, ctx, messages, errs, "connect")
		bridge, err := c.NetworkInspect(ctx, "bridge", networktypes.InspectOptions{})
		check(t, err)
		list, err := c.ContainerList(ctx, container.ListOptions{})
		check(t, err)
		if len(bridge.Containers) != 1 || len(list) != 0 {
			t.Errorf("during start: network has %v, list has %v", bridge.Containers, list)
		}
		inspected := make(chan container.InspectResponse, 1)
		go func() {
			got, err := c.ContainerInspect(ctx, "web")
			if err != nil {
				t.Error(err)
			}
			inspected <- got
		}()
		check(t, e.WaitInspectCalls(ctx, "web", 1))
		select {
		case <-inspected:
			t.Error("inspect does not wait for the start")
		default:
		}
		release()
		got := <-inspected
		if !got.State.Running || got.NetworkSettings.Networks["bridge"].IPAddress == "" || got.ID != <-done {
			t.Errorf("inspect during start = %+v", got.State)
		}
		until(t, ctx, messages, errs, "start")
	}
}

func TestScale(t *testing.T) {
	const n = 20_000 // 100,000 in BenchmarkList
	e := New(t)
	e.AddNetwork("wide", "10.0.0.0/8")
	ids := e.Populate(n, func(int) Spec { return Spec{Networks: []Attachment{{Network: "wide"}}} })
	ctx, c := dial(t, e)
	list, err := c.ContainerList(ctx, container.ListOptions{})
	check(t, err)
	if len(list) != n || list[0].ID != ids[n-1] {
		t.Errorf("%d containers listed", len(list))
	}
	for _, id := range ids[:n*3/4] {
		e.Remove(id)
	}
	if left := e.all(); len(left) != n/4 || len(e.order) > n/2 {
		t.Errorf("%d left, %d places", len(left), len(e.order))
	}
}

func BenchmarkList(b *testing.B) {
	e := New(b)
	e.AddNetwork("wide", "10.0.0.0/8")
	at := time.Now()
	ids := e.Populate(100_000, func(int) Spec {
		return Spec{Networks: []Attachment{{Network: "wide", Aliases: []string{"web"}}}, Labels: map[string]string{"com.docker.compose.service": "web"}}
	})
	b.Logf("populated in %v", time.Since(at))
	get := func(b *testing.B, path string) {
		b.Helper()
		_, c := dial(b, e)
		r, err := c.HTTPClient().Get("http://d" + path)
		check(b, err)
		_, err = io.Copy(io.Discard, r.Body)
		check(b, err)
		check(b, r.Body.Close())
		if r.StatusCode != http.StatusOK {
			b.Fatal(r.Status)
		}
	}
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			get(b, "/containers/json")
		}
	})
	b.Run("inspect", func(b *testing.B) {
		for b.Loop() {
			get(b, "/containers/"+ids[77_777]+"/json")
		}
	})
}
