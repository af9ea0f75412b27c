package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
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
		other := start(endpoint, "", later, streamAge, jitter, func() (api, error) { return dial(endpoint, "", later) }) // one of its own
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

// TestAliasesOfTheLast checks that a container has its aliases to its end, whatever an engine tells first; of addresses it has
// those of the networks that it has not left.
func TestAliasesOfTheLast(t *testing.T) {
	for _, flavour := range []enginetest.Flavour{enginetest.Docker2010, enginetest.Docker28, enginetest.Podman} {
		for name, end := range map[string]func(*enginetest.Engine, string){
			"stop": (*enginetest.Engine).Stop, "remove": (*enginetest.Engine).Remove,
			"exit": func(e *enginetest.Engine, id string) { e.Exit(id, 1) },
			"kill": func(e *enginetest.Engine, id string) { e.Kill(id, "KILL") },
		} {
			e := enginetest.New(t, enginetest.WithFlavour(flavour))
			e.AddNetwork("front")
			e.AddNetwork("back")
			id := e.Run(enginetest.Spec{Name: "web", Networks: []enginetest.Attachment{{Network: "back", Aliases: []string{"db"}}, {Network: "front", Aliases: []string{"db"}}}})
			_, r := watch(t, e, time.Hour)
			synced(t, r)
			end(e, id)
			r.waitNames(t)
			r.wait(t, "aliases on both networks", func() bool {
				var on []string
				for _, ep := range r.ended[id].Endpoints {
					if slices.Contains(ep.Aliases, "db") {
						on = append(on, ep.Network)
					}
				}
				return slices.Equal(on, []string{"back", "front"})
			})
			if _, later := watch(t, e, time.Hour); len(later.last) != 1 || later.last[0].ID != id || len(later.last[0].Last.Endpoints) != 2 || time.Since(later.last[0].Since) > deadline {
				t.Errorf("%s %s: a new sink is told of %+v", flavour, name, later.last)
			}
		}
	}
}

// TestDisconnectOfOne has a container with the name of one network leave another one.
func TestDisconnectOfOne(t *testing.T) {
	for _, flavour := range []enginetest.Flavour{enginetest.Docker2010, enginetest.Docker28, enginetest.Podman} {
		e := enginetest.New(t, enginetest.WithFlavour(flavour))
		e.AddNetwork("front")
		e.AddNetwork("back")
		id := e.Run(enginetest.Spec{Name: "back", Networks: []enginetest.Attachment{{Network: "front"}, {Network: "back"}}})
		_, r := watch(t, e, time.Hour)
		synced(t, r)
		want := "back=" + e.IP(id, "back").String()
		release := e.HangInspect(id)
		e.Disconnect(id, "front")
		r.wait(t, "disconnect", func() bool { return addrs(r.containers[id]) == want })
		release()
		r.wait(t, "the inspect", func() bool { return len(r.containers[id].Endpoints) == 1 })
	}
}

// TestCreated follows containers that are created, and started or removed later.
func TestCreated(t *testing.T) {
	for _, flavour := range []enginetest.Flavour{enginetest.Docker2010, enginetest.Docker28, enginetest.Podman} {
		e := enginetest.New(t, enginetest.WithFlavour(flavour))
		e.AddNetwork("front")
		before := e.Create(enginetest.Spec{Name: "before"})
		_, r := watch(t, e, time.Hour)
		synced(t, r)
		waitStream(t, e)
		spec := enginetest.Spec{Name: "1234_web", Hostname: "www", Networks: []enginetest.Attachment{{Network: "front", Aliases: []string{"db"}}}}
		id := e.Create(spec)
		r.wait(t, "created", func() bool { return r.created[id] != nil })
		if c := r.created[id]; c.Name != "1234_web" || c.Hostname != "www" || len(c.Endpoints) != 1 || !slices.Contains(c.Endpoints[0].Aliases, "db") {
			t.Errorf("%s: created: %+v", flavour, c)
		}
		if r.starts(id) {
			t.Errorf("%s: a created container is said to start", flavour)
		}
		e.Rename(id, "web")
		r.wait(t, "rename", func() bool { return r.created[id].Name == "web" })
		_, later := watch(t, e, time.Hour)
		if c := later.created[id]; c == nil || c.Name != "web" {
			t.Errorf("%s: a new sink is told of %+v", flavour, later.created)
		}
		e.Start(id)
		r.waitNames(t, "web")
		id = e.Create(enginetest.Spec{Name: "other"})
		r.wait(t, "created", func() bool { return r.created[id] != nil })
		// A connection that is lost changes nothing of it, but for what went on meanwhile.
		e.CutStreams()
		r.wait(t, "reconciliation", func() bool { return r.rounds == 2 })
		r.wait(t, "created", func() bool { return r.created[id] != nil })
		e.Remove(id)
		r.wait(t, "removal", func() bool { return r.created[id] == nil })
		e.Start(before)
		r.waitNames(t, "before", "web")
		if len(r.created) != 0 {
			t.Errorf("%s: still created: %v", flavour, r.created)
		}
	}
}

// TestEnds checks what is kept of containers that have ended.
func TestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all past
		ids := func() string {
			var ids []string
			for _, e := range all {
				if e.recent() {
					ids = append(ids, e.id)
				}
			}
			return strings.Join(ids, " ")
		}
		for _, id := range []string{"a", "b", "c", "a"} {
			time.Sleep(time.Minute)
			all.add(id, &container.Container{ID: id})
		}
		all.gone("c")
		if got := ids(); got != "b c a" || !all[1].gone || all[2].gone {
			t.Errorf("have %s", got)
		}
		all.remove("b")
		time.Sleep(container.KeepNames - time.Minute)
		if got := ids(); got != "a" {
			t.Errorf("after a while %s", got)
		}
		time.Sleep(container.KeepNames)
		if all.last("a") == nil {
			t.Error("it is not known what a was like, which may start anew")
		}
		for i := range 2 * maxEnded {
			all.add(fmt.Sprint(i), nil)
		}
		if len(all) != maxEnded || all[0].id != fmt.Sprint(maxEnded) {
			t.Errorf("%d, the first %s", len(all), all[0].id)
		}
	})
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
