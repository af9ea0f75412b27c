package engine

import (
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// TestRestartBackOff has a container wait to be restarted by its restart policy: nothing runs, whatever an engine counts.
func TestRestartBackOff(t *testing.T) {
	for _, mode := range []string{"bridge", "host"} {
		e := enginetest.New(t)
		id := e.Run(enginetest.Spec{Name: "web", NetworkMode: mode})
		w, r := watch(t, e, 20*time.Millisecond)
		synced(t, r)
		for range 3 {
			e.Crash(id, 1)
			r.waitNames(t)
			e.EmitRaw([]byte(`{"Type":"container","Action":"rename","Actor":{"ID":"` + id + `"},"timeNano":1}` + "\n")) // and is looked at
			rounds := r.roundsDone()
			r.wait(t, "reconciliations", func() bool { return r.rounds >= rounds+3 })
			r.waitNames(t)
			if n := w.Containers(); n != 0 {
				t.Errorf("%s: %d containers, want none", mode, n)
			}
			e.Start(id)
			r.waitNames(t, "web")
		}
		for _, change := range r.changes() {
			if change != "+web" && change != "-"+id {
				t.Errorf("%s: change %q", mode, change)
			}
		}
		if n := len(r.changes()); n != 7 {
			t.Errorf("%s: %d changes, want 7: %q", mode, n, r.changes())
		}
		// Who begins to watch now agrees.
		e.Crash(id, 1)
		later := newRecorder()
		endpoint := Endpoint{Host: e.Host()}
		other := start(endpoint, later, streamAge, jitter, func() (api, error) { return dial(endpoint, later) }) // one of its own
		other.Subscribe(later, time.Hour)
		synced(t, later)
		later.waitNames(t)
		other.stop()
	}
}

// TestPausedAtStart checks that a container that is paused when the watch begins is known, whatever a list has by itself.
func TestPausedAtStart(t *testing.T) {
	for _, flavour := range []enginetest.Flavour{enginetest.Docker2010, enginetest.Docker28, enginetest.Podman} {
		t.Run(flavour.String(), func(t *testing.T) {
			e := enginetest.New(t, enginetest.WithFlavour(flavour))
			id := e.Run(enginetest.Spec{Name: "web"})
			e.Pause(id)
			_, r := watch(t, e, 20*time.Millisecond)
			synced(t, r)
			rounds := r.roundsDone()
			r.wait(t, "reconciliations", func() bool { return r.rounds >= rounds+3 })
			r.waitNames(t, "web")
			if !r.get(id).Paused {
				t.Error("it is not known that it is paused")
			}
		})
	}
}

func (r *recorder) roundsDone() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rounds
}

func (r *recorder) changes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.history...)
}
