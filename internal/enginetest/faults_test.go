package enginetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	networktypes "github.com/docker/docker/api/types/network"
)

func TestHangInspect(t *testing.T) {
	e := New(t)
	ctx, c := dial(t, e)
	id := e.Run(Spec{Name: "web"})
	release := e.HangInspect("web")
	given, giveUp := context.WithCancel(ctx)
	done := make(chan error, 2)
	inspect := func(ctx context.Context, running bool) {
		got, err := c.ContainerInspect(ctx, id)
		if err == nil && got.State.Running != running {
			err = fmt.Errorf("running is %v", got.State.Running)
		}
		done <- err
	}
	go inspect(given, true)
	check(t, e.WaitInspectCalls(ctx, id, 1))
	giveUp()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	go inspect(ctx, false)
	check(t, e.WaitInspectCalls(ctx, "web", 2))
	if _, err := c.ContainerInspect(ctx, e.Run(Spec{})); err != nil {
		t.Errorf("another one's inspect: %v", err)
	}
	e.Stop(id) // the answer is what is true at the release
	release()
	release()
	check(t, <-done)
	check(t, ctx.Err())

	_ = e.HangCalls("list")
	go func() { _, err := c.ContainerList(ctx, container.ListOptions{}); done <- err }()
	check(t, e.WaitCalls(ctx, "list", 1))
	e.ClearFaults()
	check(t, <-done)
}

func TestFailCalls(t *testing.T) {
	e := New(t)
	ctx, c := dial(t, e)
	list := func() error { _, err := c.ContainerList(ctx, container.ListOptions{}); return err }
	e.FailCalls("list", 2, 503)
	for i, fails := range []bool{true, true, false} {
		if err := list(); (err != nil) != fails {
			t.Errorf("call %d: %v", i, err)
		}
	}
	e.FailCalls("list", -1, 0)
	for range 3 {
		if list() == nil {
			t.Error("no failure")
		}
	}
	e.ClearFaults()
	check(t, list())
}

func TestSpoiltInspect(t *testing.T) {
	e := New(t)
	ctx, c := dial(t, e)
	id := e.Run(Spec{})
	inspect := func() error { _, err := c.ContainerInspect(ctx, id); return err }
	e.TruncateInspect(id, 100)
	if inspect() == nil {
		t.Error("truncated answer accepted")
	}
	e.TruncateInspect(id, -1)
	e.RawInspect(id, []byte(`{"Id":7}`))
	if inspect() == nil {
		t.Error("malformed answer accepted")
	}
	e.RawInspect(id, nil)
	check(t, inspect())
}

func TestStreamFaults(t *testing.T) {
	e := New(t)
	ctx, c := dial(t, e)
	messages, errs := watch(t, ctx, e, c, events.ListOptions{})

	e.DropEvents(true)
	e.Run(Spec{Name: "unseen"})
	e.DropEvents(false)
	e.Emit("container", "first", "x", nil)
	if m := next(t, ctx, messages, errs); m.Action != "first" {
		t.Errorf("dropped event %+v came", m)
	}

	e.StallStreams(true)
	begun := time.Now()
	for i := range 3 * queued {
		e.Emit("container", fmt.Sprint("n", i), "x", nil)
	}
	if waited := time.Since(begun); waited < patience || waited > deadline/2 {
		t.Errorf("a slow reader held the driver for %v", waited)
	}
	select {
	case m := <-messages:
		t.Errorf("%+v came through a stalled stream", m)
	default:
	}
	e.StallStreams(false)
	for i := range queued {
		if m := next(t, ctx, messages, errs); string(m.Action) != fmt.Sprint("n", i) {
			t.Fatalf("event %d is %s", i, m.Action)
		}
	}

	e.CutStreams()
	if e.Streams() != 0 {
		t.Error("cut stream counts")
	}
	for err := error(nil); err == nil; {
		select {
		case <-messages: // at most one more was queued
		case err = <-errs:
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("cut: %v", err)
			}
		}
	}

	messages, errs = watch(t, ctx, e, c, events.ListOptions{})
	e.EmitRaw([]byte("{\"Type\":\"container\",\"Action\":\"raw\"}\n{\"Ty"))
	if m := next(t, ctx, messages, errs); m.Action != "raw" {
		t.Errorf("raw event %+v", m)
	}
	e.EmitRaw([]byte("pe\":]\n"))
	if err := <-errs; err == nil {
		t.Error("garbage accepted")
	}
}

// TestCutAtOnce checks that a stream is cut whose headers are all that was sent.
func TestCutAtOnce(t *testing.T) {
	e := New(t)
	ctx, c := dial(t, e)
	for i := range 500 {
		_, errs := c.Events(ctx, events.ListOptions{}) // returns when it has the headers
		e.CutStreams()
		select {
		case err := <-errs:
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("stream %d: %v", i, err)
			}
		case <-ctx.Done():
			t.Fatalf("stream %d goes on", i)
		}
	}
}

func TestDownAndUp(t *testing.T) {
	for _, opts := range [][]Option{nil, {WithTCP()}} {
		e := New(t, opts...)
		ctx, c := dial(t, e)
		host := e.Host()
		_ = e.HangCalls("info") // does not keep the engine from going
		go func() { _, _ = c.Info(ctx) }()
		check(t, e.WaitCalls(ctx, "info", 1))
		messages, errs := watch(t, ctx, e, c, events.ListOptions{})
		e.Emit("container", "old", "x", nil)
		next(t, ctx, messages, errs)
		check(t, e.Down())
		if err := <-errs; err == nil || e.Streams() != 0 {
			t.Errorf("stream survives: %v, %d", err, e.Streams())
		}
		if _, err := c.Ping(ctx); err == nil {
			t.Error("ping answered by nobody")
		}
		id := e.Run(Spec{Name: "meanwhile"})
		check(t, e.Up())
		if e.Up() == nil || e.Host() != host {
			t.Error("up twice, or elsewhere")
		}
		if got, err := c.ContainerInspect(ctx, "meanwhile"); err != nil || got.ID != id {
			t.Errorf("inspect after return: %v", err)
		}
		messages, errs = watch(t, ctx, e, c, events.ListOptions{Since: "1"})
		e.Emit("container", "new", "x", nil)
		if m := next(t, ctx, messages, errs); m.Action != "new" {
			t.Errorf("a new daemon remembers %+v", m)
		}
		check(t, e.Down())
		check(t, e.Down())
	}
}

// Everybody at once, for the race detector; and at rest every address is one container's.
func TestConcurrentUse(t *testing.T) {
	e := New(t)
	e.AddNetwork("other", "10.3.0.0/16", "fd00:3::/64")
	ctx, c := dial(t, e)
	messages, errs := watch(t, ctx, e, c, events.ListOptions{})
	var drivers, readers sync.WaitGroup
	for i := range 8 {
		drivers.Go(func() {
			for j := range 20 {
				id := e.Run(Spec{Name: fmt.Sprintf("c%d-%d", i, j), Health: "starting"})
				e.Connect(id, Attachment{Network: "other", Aliases: []string{"all"}})
				e.Rename(id, fmt.Sprintf("r%d-%d", i, j))
				e.SetHealth(id, "healthy")
				e.Restart(id)
				e.Disconnect(id, "other")
				if j%2 == 0 {
					e.Remove(id)
				}
			}
		})
	}
	quit := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				list, err := c.ContainerList(ctx, container.ListOptions{All: true})
				if err != nil {
					t.Error(err)
					return
				}
				for _, row := range list[:min(3, len(list))] {
					_, _ = c.ContainerInspect(ctx, row.ID)
					_, _ = c.NetworkInspect(ctx, "other", networktypes.InspectOptions{})
				}
			}
		})
	}
	ended := make(chan struct{})
	readers.Go(func() {
		defer close(ended)
		until(t, ctx, messages, errs, "end")
	})
	drivers.Wait()
	close(quit)
	for over := false; !over; { // one is dropped for who is behind, as others
		e.Emit("test", "end", "", nil)
		select {
		case <-ended:
			over = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	readers.Wait()
	seen := map[string]bool{}
	list, err := c.ContainerList(ctx, container.ListOptions{})
	check(t, err)
	for _, row := range list {
		ip := row.NetworkSettings.Networks["bridge"].IPAddress
		if seen[ip] || ip == "" {
			t.Errorf("address %q twice or missing", ip)
		}
		seen[ip] = true
	}
	if len(list) != 80 {
		t.Errorf("%d containers", len(list))
	}
}

func TestMisusePanics(t *testing.T) {
	e := New(t)
	e.Run(Spec{Name: "web"})
	for name, f := range map[string]func(){
		"unknown": func() { e.Stop("nobody") },
		"name":    func() { e.Run(Spec{Name: "web"}) },
		"network": func() { e.Run(Spec{NetworkMode: "nowhere"}) },
		"exhausted": func() {
			e.AddNetwork("tiny", "10.0.0.0/30")
			e.Run(Spec{NetworkMode: "tiny"})
			e.Run(Spec{NetworkMode: "tiny"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
	e.Stop("web") // no lock is left behind
}

// TestFreeze checks that a frozen engine accepts calls and answers none until it is thawed, and tells no events.
func TestFreeze(t *testing.T) {
	e := New(t)
	ctx, c := dial(t, e)
	told, _ := c.Events(ctx, events.ListOptions{})
	check(t, e.WaitStreams(ctx, 1))
	thaw := e.Freeze()
	done := make(chan error)
	go func() { _, err := c.ContainerList(ctx, container.ListOptions{}); done <- err }()
	check(t, e.WaitCalls(ctx, "list", 1))
	e.Run(Spec{Name: "web"})
	select {
	case err := <-done:
		t.Errorf("the frozen engine answers: %v", err)
	case ev := <-told:
		t.Errorf("the frozen engine tells of %s", ev.Action)
	default:
	}
	thaw()
	check(t, <-done)
	<-told
}

// TestSetClock checks that all that the engine says of the time is by its clock.
func TestSetClock(t *testing.T) {
	e := New(t)
	ctx, c := dial(t, e)
	told, _ := c.Events(ctx, events.ListOptions{})
	check(t, e.WaitStreams(ctx, 1))
	for _, ahead := range []time.Duration{time.Hour, -time.Hour, 0} {
		e.SetClock(ahead)
		id := e.Run(Spec{})
		info, err := c.Info(ctx)
		check(t, err)
		system, err := time.Parse(time.RFC3339Nano, info.SystemTime)
		check(t, err)
		web, err := c.ContainerInspect(ctx, id)
		check(t, err)
		started, err := time.Parse(time.RFC3339Nano, web.State.StartedAt)
		check(t, err)
		var at time.Time
		for at.IsZero() {
			if ev := <-told; ev.Actor.ID == id && ev.Action == events.ActionStart {
				at = time.Unix(0, ev.TimeNano)
			}
		}
		for what, is := range map[string]time.Time{"info": system, "inspect": started, "event": at} {
			if off := time.Since(is.Add(-ahead)); off < 0 || off > time.Minute {
				t.Errorf("ahead by %s: %s says %s", ahead, what, is)
			}
		}
	}
}
