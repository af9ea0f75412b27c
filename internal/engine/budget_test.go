package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// TestCallsOfEvents counts what each kind of event costs the engine: inspects, and lists of networks.
// Nothing but a reconciliation lists the containers.
func TestCallsOfEvents(t *testing.T) {
	// others are events of no container's start or end that tools and people make.
	others := func(e *enginetest.Engine, id string, actions ...string) {
		for _, a := range actions {
			for range 20 {
				e.Emit("container", a, id, nil)
			}
		}
	}
	for _, c := range []struct {
		name                                  string
		do                                    func(e *enginetest.Engine, web, ended string)
		fewest, most /* inspects */, networks int
	}{
		{"create", func(e *enginetest.Engine, _, _ string) { e.Create(enginetest.Spec{}) }, 0, 1, 0},
		{"start", func(e *enginetest.Engine, _, ended string) { e.Start(ended) }, 1, 1, 0},
		{"stop", func(e *enginetest.Engine, web, _ string) { e.Stop(web) }, 0, 0, 0},
		{"restart", func(e *enginetest.Engine, web, _ string) { e.Restart(web) }, 1, 1, 0},
		{"exit", func(e *enginetest.Engine, web, _ string) { e.Exit(web, 1) }, 0, 0, 0},
		{"kill", func(e *enginetest.Engine, web, _ string) { e.Kill(web, "KILL") }, 0, 0, 0},
		{"stop signal", func(e *enginetest.Engine, web, _ string) { e.Kill(web, "TERM") }, 0, 0, 0},
		{"other signal", func(e *enginetest.Engine, web, _ string) { e.Kill(web, "HUP") }, 0, 0, 0},
		{"remove", func(e *enginetest.Engine, web, _ string) { e.Remove(web) }, 0, 0, 0},
		{"remove what has ended", func(e *enginetest.Engine, _, ended string) { e.Remove(ended) }, 0, 0, 0},
		{"pause", func(e *enginetest.Engine, web, _ string) { e.Pause(web) }, 1, 1, 0},
		{"rename", func(e *enginetest.Engine, web, _ string) { e.Rename(web, "shop") }, 1, 1, 0},
		{"health", func(e *enginetest.Engine, web, _ string) { e.SetHealth(web, "unhealthy") }, 1, 1, 0},
		{"connect", func(e *enginetest.Engine, web, _ string) { e.Connect(web, enginetest.Attachment{Network: "back"}) }, 1, 1, 0},
		{"disconnect", func(e *enginetest.Engine, web, _ string) { e.Disconnect(web, "front") }, 1, 2, 0}, // the event comes twice
		{"exec and others", func(e *enginetest.Engine, web, _ string) {
			others(e, web, "exec_create: /check", "exec_start: /check", "exec_die", "attach", "resize", "top", "copy", "export", "commit")
		}, 0, 0, 0},
		{"late endings", func(e *enginetest.Engine, _, ended string) { others(e, ended, "die", "stop", "oom") }, 0, 0, 0},
		{"network created", func(e *enginetest.Engine, _, _ string) { e.AddNetwork("more") }, 0, 0, 1},
		{"network removed", func(e *enginetest.Engine, _, _ string) { e.RemoveNetwork("back") }, 0, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			e.AddNetwork("front")
			e.AddNetwork("back")
			web := e.Run(enginetest.Spec{Name: "web", Health: "healthy", Networks: []enginetest.Attachment{{Network: "front"}}})
			ended := e.Create(enginetest.Spec{Name: "ended"})
			w, r := watch(t, e, time.Hour)
			synced(t, r)
			waitStream(t, e)
			e.ResetCalls()
			c.do(e, web, ended)
			later := e.Run(enginetest.Spec{Name: "later"})
			r.wait(t, "a later container", func() bool { return r.containers[later] != nil })
			waitIdle(t, w)
			if n := e.Calls("inspect") - e.InspectCalls(later); n < c.fewest || n > c.most {
				t.Errorf("%d inspects, want %d to %d", n, c.fewest, c.most)
			}
			await(t, func(ctx context.Context) error { return e.WaitCalls(ctx, "networks", c.networks) })
			if n := e.Calls("networks"); n != c.networks {
				t.Errorf("%d lists of networks, want %d", n, c.networks)
			}
			for _, kind := range []string{"list", "info", "version", "network", "unknown", "forbidden"} {
				if n := e.Calls(kind); n != 0 {
					t.Errorf("%d calls %s, want none", n, kind)
				}
			}
		})
	}
}

// waitIdle returns when nothing is to be asked of the engine any more.
func waitIdle(t *testing.T, w *Watcher) {
	t.Helper()
	idle := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, t := range w.tracked {
			if !t.Quiet() {
				return false
			}
		}
		return true
	}
	for end := time.Now().Add(deadline); !idle(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still busy after %s", deadline)
		}
	}
}

// TestCallsOfReconciliations counts those of the first and of later ones: an inspect for each
// container that is new or has changed, and none for the others.
func TestCallsOfReconciliations(t *testing.T) {
	const n = 200
	e := enginetest.New(t)
	ids := e.Populate(n, func(i int) enginetest.Spec { return enginetest.Spec{Name: fmt.Sprint("c", i)} })
	_, r := watch(t, e, time.Second)
	synced(t, r)
	check := func(what string, fewest, most, inspects int) {
		t.Helper()
		if got := e.Calls("list"); got < fewest || got > most {
			t.Errorf("%s: %d lists, want %d to %d", what, got, fewest, most)
		}
		if got := e.Calls("inspect"); got != inspects {
			t.Errorf("%s: %d inspects, want %d", what, got, inspects)
		}
	}
	check("first", 1, 2, n) // the next may have begun

	r.mu.Lock()
	rounds, changes := r.rounds, len(r.history)
	r.mu.Unlock()
	e.ResetCalls()
	r.wait(t, "two more reconciliations", func() bool { return r.rounds >= rounds+2 })
	check("nothing changed", 1, 3, 0) // the first list may have been before, and the next have begun
	r.mu.Lock()
	if len(r.history) != changes {
		t.Errorf("%d changes although nothing has changed", len(r.history)-changes)
	}
	rounds = r.rounds
	r.mu.Unlock()

	e.DropEvents(true)
	e.ResetCalls()
	for _, id := range ids[:n/100] {
		e.Rename(id, "renamed-"+id[:12])
	}
	r.wait(t, "the changes", func() bool { return len(r.history) == changes+n/100 })
	r.wait(t, "one more reconciliation", func() bool { return r.rounds > rounds })
	if got := e.Calls("inspect"); got != n/100 {
		t.Errorf("1 %% changed: %d inspects, want %d", got, n/100)
	}
}
