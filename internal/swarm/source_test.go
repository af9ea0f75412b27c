package swarm

import (
	"context"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// silent is an engine.Observer that nobody reads.
type silent struct{}

func (silent) Connected(engine.Source, string)                  {}
func (silent) Disconnected(engine.Source, error)                {}
func (silent) Event(engine.Source, string, string)              {}
func (silent) Call(engine.Source, string, time.Duration, error) {}
func (silent) Unreadable(engine.Source, string, error)          {}
func (silent) Reconciled(engine.Source, time.Duration, int)     {}
func (silent) InspectFailed(engine.Source, string, error)       {}
func (silent) LeftOut(engine.Source, string, error)             {}
func (silent) Applied(engine.Source, time.Duration)             {}

// follow has a source for the engines, which ends with the test.
func follow(t testing.TB, tm times, engines ...*enginetest.Engine) *Source {
	var members []Member
	for _, e := range engines {
		w := engine.Watch(engine.Endpoint{Host: e.Host()}, silent{})
		t.Cleanup(w.Release)
		members = append(members, Member{Engine: w, Host: container.HostID(e.Host()), At: "at " + e.Host()})
	}
	s := begin(tm, members, func(string, ...any) {})
	t.Cleanup(s.end)
	return s
}

// TestWorkerSource has a worker alone tell of its networks. One that is listed, and has gone since, is none.
func TestWorkerSource(t *testing.T) {
	e := enginetest.New(t)
	e.Join(enginetest.NewSwarm("swarm"), "node", false)
	e.RawAnswer("networks", recorded(t, "networks-worker.json"))
	e.RawAnswer("network yvuiyy3p8s3xariru7i3ny20z", recorded(t, "network-worker.json"))
	w := newWatcher()
	w.moments = []moment{{right: map[string]string{
		"worker:node/web": "3 tasks\n stack= rr=false task[1 s9b9i1   [10.0.1.3]]\n stack= rr=false task[2 eefcq5   [10.0.1.4]]\n stack= rr=false task[3 ppgs7y   [10.0.1.5]]",
		"worker:node/rr":  "2 tasks\n stack= rr=false task[1 nkxa3y   [10.0.1.8]]\n stack= rr=false task[2 jjz3fv   [10.0.1.9]]",
	}}}
	w.current["swarm"] = true // nobody tells of a Swarm that no manager speaks for
	s := follow(t, fast, e)
	s.Subscribe(w)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := w.wait(ctx, "swarm"); err != nil {
		t.Error(err)
	}
	select {
	case <-s.Settled():
	case <-ctx.Done():
		t.Error("it is not settled")
	}
	for _, kind := range []string{"services", "tasks", "nodes", "forbidden"} {
		if n := e.Calls(kind); n > 0 {
			t.Errorf("%d calls %s of a worker", n, kind)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, wrong := range w.wrong {
		t.Error(wrong)
	}
}

// TestSettled has an engine connect late: a source is not settled before it knows the services.
func TestSettled(t *testing.T) {
	r := readRecordings(t)
	sw := enginetest.NewSwarm("swarm")
	sw.Set(enginetest.SwarmState{Services: r.services, Nodes: r.nodes})
	e := enginetest.New(t)
	e.Join(sw, "node", true)
	undo := e.HangCalls("info")
	s := follow(t, usual, e)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := e.WaitCalls(ctx, "info", 1); err != nil {
		t.Error(err)
	}
	undo()
	select {
	case <-s.Settled():
	case <-ctx.Done():
		t.Fatal("it is not settled")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.core.swarms["swarm"]; k == nil || len(k.services) != len(r.services) {
		t.Errorf("settled with %+v, want %d services", k, len(r.services))
	}
}
