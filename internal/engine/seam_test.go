package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// calls returns what the sink was told since it was last asked.
func (r *recorder) calls() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := strings.Join(r.seam, ", ")
	r.seam = nil
	return calls
}

// TestOrderOfCalls checks what a sink is told from its subscription over a fault to the next connection, and in which order.
func TestOrderOfCalls(t *testing.T) {
	e := enginetest.New(t)
	id := e.Run(enginetest.Spec{Name: "web"})
	thaw := e.Freeze() // until the sink is there
	w, r := watch(t, e, time.Hour)
	thaw()
	synced(t, r)
	if got := r.calls(); got != "current false, host, runs by list, current true, synced" {
		t.Errorf("the first connection: %s", got)
	}
	e.Rename(id, "shop")
	r.waitNames(t, "shop")
	e.Stop(id)
	r.waitNames(t)
	if got := r.calls(); got != "runs by rename, runs by kill, off by die" {
		t.Errorf("changes: %s", got)
	}
	e.Start(id)
	r.waitNames(t, "shop")
	if got := r.calls(); !strings.HasPrefix(got, "starting by connect, ") || !strings.HasSuffix(got, "runs by start") && got != "starting by connect, runs by connect" {
		t.Errorf("a start: %s", got)
	}
	e.Down()
	r.wait(t, "the fault", func() bool { return len(r.errors) > 0 && !r.current })
	later := newRecorder()
	w.Subscribe(later, time.Hour)
	away, whenAway := r.since, later.since
	e.Up()
	r.wait(t, "the next connection", func() bool { return r.current })
	if got := r.calls(); got != "current false, current true" {
		t.Errorf("a fault: %s", got)
	}
	later.wait(t, "the next connection", func() bool { return later.current })
	if got := later.calls(); got != "host, runs by , synced, current false, current true" {
		t.Errorf("who subscribes meanwhile: %s", got)
	}
	if !away.Equal(whenAway) || !later.since.After(away) {
		t.Errorf("away since %v, as %v for the later one, until %v", away, whenAway, later.since)
	}
	w.Unsubscribe(later)
}

// TestStartsAreTold checks what a sink is told of a container while it starts.
func TestStartsAreTold(t *testing.T) {
	for _, flavour := range []enginetest.Flavour{enginetest.Docker2010, enginetest.Docker28, enginetest.Podman} {
		e := enginetest.New(t, enginetest.WithFlavour(flavour))
		e.AddNetwork("front")
		_, r := watch(t, e, time.Hour)
		synced(t, r)
		var starts []container.Starting
		r.starting = func(s *container.Starting) { starts = append(starts, *s) }
		release := e.BlockStarts()
		id := e.Create(enginetest.Spec{Name: "web", Hostname: "www", Labels: map[string]string{"a": "b"}, Networks: []enginetest.Attachment{{Network: "front"}}})
		before := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			e.Start(id)
		}()
		if flavour != enginetest.Podman { // which tells of nothing before a start is done
			r.wait(t, "the beginning of a start", func() bool { return len(starts) > 0 })
			r.note(func() {
				s := starts[0]
				if c := s.Container; c.ID != id || c.Name != "web" || c.Labels["a"] != "b" || len(c.Endpoints) != 1 || c.Endpoints[0].Network != "front" || !s.At.IsZero() {
					t.Errorf("%s: at the beginning %+v, %+v", flavour, s, *c)
				}
			})
		}
		release()
		<-done
		r.waitNames(t, "web")
		e.Kill(id, "KILL")
		r.waitNames(t)
		starts = nil
		hang := e.HangInspect(id)
		e.Start(id)
		r.wait(t, "the event of the start", func() bool { return len(starts) > 0 && !starts[len(starts)-1].At.IsZero() })
		r.note(func() {
			s := starts[len(starts)-1]
			if c := s.Container; !s.Complete || c.Name != "web" || c.Hostname != "www" || len(c.Endpoints) != 1 || len(c.Endpoints[0].Addrs) != 0 || s.At.Before(before) {
				t.Errorf("%s: anew %+v, %+v", flavour, s, *c)
			}
		})
		hang()
		r.waitNames(t, "web")
		if calls := r.calls(); !strings.HasSuffix(calls, "runs by start") {
			t.Errorf("%s: the calls were %s", flavour, calls)
		}
	}
}

// TestUnreadIsTold checks that a sink is told of a container that can't be inspected, and of its facts then.
func TestUnreadIsTold(t *testing.T) {
	e := enginetest.New(t)
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	r.calls()
	id := e.Create(enginetest.Spec{Name: "web"})
	e.FailCalls("inspect", 3, 500)
	e.Start(id)
	r.waitNames(t, "web")
	calls := strings.Split(r.calls(), ", ")
	told := map[string]int{}
	for _, call := range calls {
		how, _, _ := strings.Cut(call, " by ")
		told[how]++
	}
	// Each start that is told of ends, if by nothing else then by this.
	if told["unread"] < 1 || told["unread"] > told["starting"] || told["runs"] != 1 || !strings.HasPrefix(calls[len(calls)-1], "runs by ") {
		t.Errorf("the calls were %q", calls)
	}
}

// TestUnreadBefore checks that a sink which subscribes later knows as well who can't be inspected.
func TestUnreadBefore(t *testing.T) {
	e := enginetest.New(t)
	db := e.Run(enginetest.Spec{Name: "db"})
	w, r := watch(t, e, time.Hour)
	synced(t, r)
	r.waitNames(t, "db")
	e.RawInspect(db, []byte("{"))
	e.Rename(db, "store") // it stays db until it can be read
	web := e.Create(enginetest.Spec{Name: "web"})
	e.RawInspect(web, []byte("{"))
	e.Start(web)
	r.wait(t, "who can't be read", func() bool { return len(r.unread) == 2 })
	later := newRecorder()
	w.Subscribe(later, time.Hour)
	later.waitNames(t, "db")
	for _, r := range []*recorder{r, later} {
		r.note(func() {
			if r.unread[db] != "db" || r.unread[web] != "web" || len(r.unread) != 2 {
				t.Errorf("who can't be read: %q", r.unread)
			}
		})
	}
	e.RawInspect(db, nil)
	e.RawInspect(web, nil)
	for _, r := range []*recorder{r, later} {
		r.waitNames(t, "store", "web")
		r.wait(t, "who can be read", func() bool { return len(r.unread) == 0 })
	}
	w.Unsubscribe(later)
}
