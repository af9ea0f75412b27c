package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// onGateway reports whether the container is known at its address on docker_gwbridge, or at none if it has none. The caller
// holds the recorder's mu.
func (r *recorder) onGateway(e *enginetest.Engine, id string) bool {
	c := r.containers[id]
	if c == nil {
		return false
	}
	at, want := c.GWBridge, e.IP(id, gwBridge)
	if !want.IsValid() {
		return at.Network == "" && len(at.Addrs) == 0
	}
	return at.Network == gwBridge && at.ID != "" && len(at.Addrs) == 1 && at.Addrs[0] == want && len(at.Gateways) == 1
}

func swarm(t *testing.T, f enginetest.Flavour) *enginetest.Engine {
	e := enginetest.New(t, enginetest.WithFlavour(f))
	e.MakeNetwork(enginetest.NetworkSpec{Name: "ov", Driver: "overlay"})
	e.AddNetwork("net")
	return e
}

func onOverlay(name string) enginetest.Spec {
	return enginetest.Spec{Name: name, Networks: []enginetest.Attachment{{Network: "ov"}}}
}

func TestGatewayBridge(t *testing.T) {
	for _, f := range []enginetest.Flavour{enginetest.Docker2010, enginetest.Docker28} {
		t.Run(f.String(), func(t *testing.T) {
			e := swarm(t, f)
			before := e.Run(onOverlay("before"))
			bridged := e.Run(enginetest.Spec{Name: "bridged", Networks: []enginetest.Attachment{{Network: "net"}}})
			_, r := watch(t, e, time.Hour)
			synced(t, r)
			after := e.Run(onOverlay("after"))
			for _, id := range []string{before, bridged, after} {
				r.wait(t, "its address", func() bool { return r.onGateway(e, id) })
			}
			e.Connect(after, enginetest.Attachment{Network: "net"})
			r.wait(t, "another gateway", func() bool { return r.onGateway(e, after) && len(r.containers[after].Endpoints) == 2 })
			e.Disconnect(after, "net")
			r.wait(t, "docker_gwbridge again", func() bool { return r.onGateway(e, after) && len(r.containers[after].Endpoints) == 1 })
			e.Stop(before)
			e.Restart(after) // gets before's address
			r.wait(t, "another address", func() bool { return r.onGateway(e, after) })

			calls := e.Calls("network")
			e.Run(enginetest.Spec{Name: "web", Networks: []enginetest.Attachment{{Network: "net"}}})
			r.waitNames(t, "bridged", "after", "web")
			if n := e.Calls("network"); n != calls {
				t.Errorf("%d reads for a container that has no use for them", n-calls)
			}
		})
	}
}

// TestGatewayBridgeAppears has a Swarm made while the engine is watched. No event tells of docker_gwbridge.
func TestGatewayBridgeAppears(t *testing.T) {
	e := enginetest.New(t)
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	e.DropEvents(true)
	e.MakeNetwork(enginetest.NetworkSpec{Name: "ov", Driver: "overlay"})
	e.DropEvents(false)
	id := e.Run(onOverlay("web"))
	r.wait(t, "its address", func() bool { return r.onGateway(e, id) })
	r.wait(t, "the network", func() bool { return r.network(gwBridge) != nil && r.network(gwBridge).Reach4 == container.Unshared })
}

// TestGatewayBridgeAtStart has the container stand under its endpoint's ID for a while, or for too long.
func TestGatewayBridgeAtStart(t *testing.T) {
	e := swarm(t, enginetest.Docker2010)
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	e.UnnamedGateways(true)
	calls := e.Calls("network")
	id := e.Run(onOverlay("web"))
	await(t, func(ctx context.Context) error { return e.WaitCalls(ctx, "network", calls+2) })
	e.UnnamedGateways(false)
	r.wait(t, "its address", func() bool { return r.onGateway(e, id) })

	e.UnnamedGateways(true)
	late := e.Run(onOverlay("late"))
	r.waitNames(t, "web", "late")
	if at := r.get(late).GWBridge; at.Network != "" {
		t.Errorf("it is taken for %v", at)
	}
	e.UnnamedGateways(false)
}

// TestGatewayBridgeFaults has the read fail: the containers are known without it, and with it after the next reconciliation.
func TestGatewayBridgeFaults(t *testing.T) {
	for fault, f := range map[string]func(*enginetest.Engine){
		"forbidden": func(e *enginetest.Engine) { e.FailCalls("network", -1, 403) },
		"broken":    func(e *enginetest.Engine) { e.FailCalls("network", -1, 0) },
		"too large": func(e *enginetest.Engine) {
			e.RawAnswer("network", []byte(`{"Containers":{},"x":"`+strings.Repeat("x", maxAnswer)+`"}`))
		},
		"misshapen": func(e *enginetest.Engine) { e.RawAnswer("network", []byte(`[]`)) },
	} {
		t.Run(fault, func(t *testing.T) {
			e := swarm(t, enginetest.Docker28)
			f(e)
			id := e.Run(onOverlay("web"))
			_, r := watch(t, e, 50*time.Millisecond)
			synced(t, r)
			r.note(func() {
				if c := r.containers[id]; c == nil || c.GWBridge.Network != "" {
					t.Errorf("known as %+v", c)
				}
				if len(r.errors) > 0 || r.failed > 0 {
					t.Errorf("the fault is the engine's or the container's: %v, %d", r.errors, r.failed)
				}
				if !strings.Contains(strings.Join(r.unreadable, "\n"), "network: ") {
					t.Errorf("nothing is said: %q", r.unreadable)
				}
			})
			e.ClearFaults()
			r.wait(t, "its address", func() bool { return r.onGateway(e, id) })
			inspects, rounds := e.InspectCalls(id), r.roundsDone()
			r.wait(t, "reconciliations", func() bool { return r.rounds >= rounds+3 })
			if n := e.InspectCalls(id) - inspects; n > 1 { // the one after the fault may still be to come
				t.Errorf("%d inspects while nothing happens", n)
			}
		})
	}
}

// TestNoSwarm has a proxy before an engine without a Swarm that forbids what only a Swarm needs.
func TestNoSwarm(t *testing.T) {
	e := enginetest.New(t)
	e.FailCalls("network", -1, 403)
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	e.DropEvents(true)
	e.AddNetwork("new")
	e.DropEvents(false)
	e.Run(enginetest.Spec{Name: "web", Networks: []enginetest.Attachment{{Network: "new"}}})
	r.waitNames(t, "web")
	if len(r.unreadable) > 0 {
		t.Error(r.unreadable)
	}
}

// TestHungGatewayBridge has the read hang: nobody's facts wait for longer than gwPatience.
func TestHungGatewayBridge(t *testing.T) {
	e := swarm(t, enginetest.Docker2010)
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	release := e.HangCalls("network")
	defer release()
	began := time.Now()
	for i := range 20 {
		e.Run(onOverlay(fmt.Sprint("web", i)))
	}
	r.wait(t, "all of them", func() bool { return len(r.containers) == 20 })
	if took := time.Since(began); took > 3*gwPatience {
		t.Errorf("it took %v", took)
	}
}

// TestGatewayReadsAreShared has many ask at once, and each get a read that began after.
func TestGatewayReadsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gwReader{turn: make(chan struct{}, 1)}
		var reads, running atomic.Int64
		fill := func(_ context.Context, r *gateways) {
			began := time.Now()
			if reads.Add(1); running.Add(1) > 1 {
				t.Error("two reads at once")
			}
			time.Sleep(time.Second)
			running.Add(-1)
			r.by = map[string]container.Endpoint{"": {ID: began.Format(time.RFC3339Nano)}}
		}
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond / 2) // while the first read is under way
				called := time.Now()
				began, err := time.Parse(time.RFC3339Nano, g.read(t.Context(), fill).by[""].ID)
				if err != nil || began.Before(called) {
					t.Errorf("who asks at %v gets a read that began at %v: %v", called, began, err)
				}
			})
		}
		all.Wait()
		if n := reads.Load(); n != 2 {
			t.Errorf("%d reads", n)
		}
	})
}

// TestGatewayReadOutlivesItsFirst has who makes a read for all give up.
func TestGatewayReadOutlivesItsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gwReader{turn: make(chan struct{}, 1)}
		fill := func(ctx context.Context, r *gateways) {
			select {
			case <-ctx.Done():
				r.err = ctx.Err()
			case <-time.After(time.Second):
				r.by = map[string]container.Endpoint{"web": {}}
			}
		}
		first, giveUp := context.WithTimeout(t.Context(), time.Second/2)
		defer giveUp()
		queued, leave := context.WithTimeout(t.Context(), time.Second/4)
		defer leave()
		var all sync.WaitGroup
		for at, c := range map[time.Duration]struct {
			ctx  context.Context
			want error
		}{
			0: {first, context.DeadlineExceeded}, 1: {queued, context.DeadlineExceeded}, 2: {t.Context(), nil}, 3: {t.Context(), nil},
		} {
			all.Go(func() {
				time.Sleep(at * time.Millisecond)
				if r := g.read(c.ctx, fill); !errors.Is(r.err, c.want) || c.want == nil && len(r.by) == 0 {
					t.Errorf("number %d gets %v, %v", at, r.by, r.err)
				}
			})
		}
		all.Wait()
	})
}

// TestManyOnOverlays has a Swarm's node with many containers reconciled: not each has docker_gwbridge read for itself.
func TestManyOnOverlays(t *testing.T) {
	const n = 1000
	e := enginetest.New(t)
	e.MakeNetwork(enginetest.NetworkSpec{Name: "ov", Driver: "overlay", Subnets: []string{"10.0.0.0/16"}})
	ids := e.Populate(n, func(i int) enginetest.Spec { return onOverlay(fmt.Sprint("web", i)) })
	began := time.Now()
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	t.Logf("%d reads, %v", e.Calls("network"), time.Since(began))
	if reads := e.Calls("network"); reads > n/2 {
		t.Errorf("%d reads for %d containers", reads, n)
	}
	r.note(func() {
		for _, id := range ids {
			if !r.onGateway(e, id) {
				t.Fatalf("%.12s is known as %+v", id, r.containers[id])
			}
		}
	})
}
