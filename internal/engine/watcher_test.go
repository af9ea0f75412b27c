package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// deadline bounds waits for what should come within milliseconds.
const deadline = 20 * time.Second

// recorder is a sink and an observer that remembers all.
type recorder struct {
	mu         sync.Mutex
	changed    sync.Cond
	containers map[string]*container.Container
	created    map[string]*container.Container
	ended      map[string]*container.Container // as they were last
	begun      map[string]bool                 // who is said to start
	unread     map[string]string               // who can't be read, and its name then
	last       []container.Change              // of who had ended before
	host       container.Host
	gone       []string
	history    []string // the changes, in order: "+NAME" or "-ID"
	synced     int
	connected  int
	current    bool
	since      time.Time                 // when that has become so
	seam       []string                  // the calls of a sink's methods but Apply, and the changes with their causes
	starting   func(*container.Starting) // if not nil, called for each
	errors     []error
	rounds     int
	failed     int // inspects that failed in the last round
	lags       []time.Duration
	unreadable []string // "CALL: ERROR"
	leftOut    []string // "ID: ERROR"
}

func newRecorder() *recorder {
	r := &recorder{containers: map[string]*container.Container{}, created: map[string]*container.Container{}, ended: map[string]*container.Container{}, begun: map[string]bool{}, unread: map[string]string{}}
	r.changed.L = &r.mu
	return r
}

func (r *recorder) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	r.changed.Broadcast()
}

// network returns the host's network of the name, nil if there is none. The caller holds mu.
func (r *recorder) network(name string) *container.Network {
	for i := range r.host.Networks {
		if r.host.Networks[i].Name == name {
			return &r.host.Networks[i]
		}
	}
	return nil
}

func (r *recorder) Apply(changes []container.Change) {
	r.note(func() {
		for _, c := range changes {
			delete(r.begun, c.ID)
			delete(r.unread, c.ID)
			switch {
			case c.Starting != nil:
				r.begun[c.ID] = true
				r.seam = append(r.seam, "starting by "+c.Cause)
				if r.starting != nil {
					r.starting(c.Starting)
				}
				continue
			case c.Unread != nil:
				r.unread[c.ID] = c.Name
				r.seam = append(r.seam, "unread by "+c.Cause)
				continue
			case c.Container != nil:
				r.seam = append(r.seam, "runs by "+c.Cause)
			case c.Created == nil && c.Last == nil:
				r.seam = append(r.seam, "off by "+c.Cause)
			}
			delete(r.created, c.ID)
			if c.Created != nil {
				r.created[c.ID] = c.Created
				continue
			}
			if c.Last != nil {
				r.last = append(r.last, c)
				continue
			}
			if c.Container == nil {
				r.ended[c.ID] = cmp.Or(r.containers[c.ID], r.ended[c.ID])
				delete(r.containers, c.ID)
				if c.Gone {
					r.gone = append(r.gone, c.ID)
				}
				r.history = append(r.history, "-"+c.ID)
			} else {
				r.containers[c.ID] = c.Container
				r.history = append(r.history, "+"+c.Container.Name)
			}
		}
	})
}
func (r *recorder) Host(h container.Host) {
	r.note(func() { r.host = h; r.seam = append(r.seam, "host") })
}
func (r *recorder) Synced() { r.note(func() { r.synced++; r.seam = append(r.seam, "synced") }) }
func (r *recorder) Current(current bool, since time.Time) {
	r.note(func() { r.current, r.since = current, since; r.seam = append(r.seam, fmt.Sprint("current ", current)) })
}
func (r *recorder) Connected(Source, string)                  { r.note(func() { r.connected++ }) }
func (r *recorder) Disconnected(_ Source, e error)            { r.note(func() { r.errors = append(r.errors, e) }) }
func (r *recorder) Event(Source, string, string)              {}
func (r *recorder) Call(Source, string, time.Duration, error) {}
func (r *recorder) LeftOut(_ Source, id string, err error) {
	r.note(func() { r.leftOut = append(r.leftOut, fmt.Sprint(id, ": ", err)) })
}
func (r *recorder) InspectFailed(Source, string, error) {}
func (r *recorder) Unreadable(_ Source, call string, err error) {
	r.note(func() { r.unreadable = append(r.unreadable, fmt.Sprint(call, ": ", err)) })
}
func (r *recorder) Applied(_ Source, lag time.Duration) {
	r.note(func() { r.lags = append(r.lags, lag) })
}
func (r *recorder) Reconciled(_ Source, _ time.Duration, failed int) {
	r.note(func() { r.rounds++; r.failed = failed })
}

// wait returns when the condition holds, which is evaluated with mu held.
func (r *recorder) wait(t *testing.T, what string, cond func() bool) {
	t.Helper()
	timeout := time.AfterFunc(deadline, func() { r.note(func() {}) })
	defer timeout.Stop()
	end := time.Now().Add(deadline)
	r.mu.Lock()
	defer r.mu.Unlock()
	for !cond() {
		if !time.Now().Before(end) {
			t.Fatalf("not seen within %s: %s; have %v, errors %v", deadline, what, r.names(), r.errors)
		}
		r.changed.Wait()
	}
}

func (r *recorder) names() []string {
	var names []string
	for _, c := range r.containers {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

func (r *recorder) waitNames(t *testing.T, names ...string) {
	t.Helper()
	slices.Sort(names)
	r.wait(t, fmt.Sprint(names), func() bool { return slices.Equal(r.names(), names) })
}

// watch watches the engine until the test ends, and then checks that nothing is left.
func watch(t *testing.T, e *enginetest.Engine, resync time.Duration) (*Watcher, *recorder) {
	t.Helper()
	r := newRecorder()
	w := Watch(Endpoint{Host: e.Host()}, r)
	t.Cleanup(w.Release)
	t.Cleanup(func() { noStarts(t, r) })
	w.Subscribe(r, resync)
	return w, r
}

// starts reports whether the container starts, as far as the sink has been told.
func (r *recorder) starts(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begun[id]
}

// noStarts checks that in the end nothing is said to start.
func noStarts(t *testing.T, r *recorder) {
	t.Helper()
	r.wait(t, "the end of all starts", func() bool { return len(r.begun) == 0 })
}

func synced(t *testing.T, r *recorder) {
	t.Helper()
	r.wait(t, "first reconciliation", func() bool { return r.synced == 1 && r.rounds >= 1 })
}

// waitStream returns when the engine has subscribed us: it answers before, as Docker
// does.
func waitStream(t *testing.T, e *enginetest.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := e.WaitStreams(ctx, 1); err != nil {
		t.Fatal(err)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLifecycle(t *testing.T) {
	for _, flavour := range []enginetest.Flavour{enginetest.Docker2010, enginetest.Docker28, enginetest.Podman} {
		t.Run(flavour.String(), func(t *testing.T) {
			e := enginetest.New(t, enginetest.WithFlavour(flavour))
			e.AddNetwork("back", "10.9.0.0/16", "fd00:9::/64")
			old := e.Run(enginetest.Spec{Name: "old"})
			w, r := watch(t, e, time.Hour)
			synced(t, r)
			r.waitNames(t, "old")
			if !w.connected.Load() || !w.Current() || w.Containers() != 1 {
				t.Errorf("connected %v, current %v, %d containers", w.connected.Load(), w.Current(), w.Containers())
			}

			id := e.Run(enginetest.Spec{Name: "web", Hostname: "www", Domainname: "example.org", Labels: map[string]string{"a": "b"}})
			r.waitNames(t, "old", "web")
			c := r.get(id)
			network, domain := "bridge", "example.org"
			if flavour == enginetest.Podman { // it knows no domain name
				network, domain = "podman", ""
			}
			if c.Hostname != "www" || c.Domainname != domain || c.Labels["a"] != "b" || c.ShortID() != id[:12] || c.Created.IsZero() {
				t.Errorf("facts %+v", c)
			}
			if got, want := addrs(c), network+"="+e.IP(id, network).String(); got != want {
				t.Errorf("addresses %s, want %s", got, want)
			}

			e.Connect(id, enginetest.Attachment{Network: "back", Aliases: []string{"db"}})
			r.wait(t, "connect", func() bool { return len(r.containers[id].Endpoints) == 2 })
			if got := r.get(id).Endpoints[0]; got.Network != "back" || !slices.Contains(got.Aliases, "db") ||
				!slices.Equal(got.Addrs, []netip.Addr{e.IP(id, "back"), e.IPv6(id, "back")}) {
				t.Errorf("endpoint %+v", got)
			}
			e.Disconnect(id, "back")
			r.wait(t, "disconnect", func() bool { return len(r.containers[id].Endpoints) == 1 })
			e.Rename(id, "shop")
			r.waitNames(t, "old", "shop")
			e.Pause(id)
			r.wait(t, "pause", func() bool { return r.containers[id].Paused })
			e.Unpause(id)
			r.wait(t, "unpause", func() bool { return !r.containers[id].Paused })
			e.Stop(id)
			r.waitNames(t, "old")
			e.Start(id)
			r.waitNames(t, "old", "shop")
			e.Restart(id)
			e.Kill(old, "KILL")
			r.waitNames(t, "shop")
			e.Remove(id)
			r.waitNames(t)
			if n := e.Calls("forbidden") + e.Calls("unknown"); n != 0 {
				t.Errorf("%d calls that an engine behind a proxy would refuse", n)
			}
		})
	}
}

func (r *recorder) get(id string) *container.Container {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.containers[id]
}

func addrs(c *container.Container) string {
	var out []string
	for _, ep := range c.Endpoints {
		for _, ip := range ep.Addrs {
			out = append(out, ep.Network+"="+ip.String())
		}
	}
	return strings.Join(out, " ")
}

func TestHealth(t *testing.T) {
	e := enginetest.New(t)
	id := e.Run(enginetest.Spec{Name: "web", Health: "starting"})
	_, r := watch(t, e, time.Hour)
	r.wait(t, "starting", func() bool { return r.containers[id] != nil && r.containers[id].Health == container.HealthStarting })
	for text, want := range map[string]container.Health{"healthy": container.Healthy, "unhealthy": container.Unhealthy} {
		e.SetHealth(id, text)
		r.wait(t, text, func() bool { return r.containers[id].Health == want })
	}
}

func TestIPv6Only(t *testing.T) {
	e := enginetest.New(t)
	e.AddNetwork("six", "fd00:6::/64")
	id := e.Run(enginetest.Spec{Name: "web", NetworkMode: "six"})
	_, r := watch(t, e, time.Hour)
	r.waitNames(t, "web")
	if got, want := addrs(r.get(id)), "six="+e.IPv6(id, "six").String(); got != want {
		t.Errorf("addresses %s, want %s", got, want)
	}
}

// TestCallsOfAStart counts what a start costs the engine.
func TestCallsOfAStart(t *testing.T) {
	e := enginetest.New(t, enginetest.WithStartDelay(50*time.Millisecond))
	e.AddNetwork("front")
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	e.ResetCalls()
	id := e.Run(enginetest.Spec{Name: "web", Networks: []enginetest.Attachment{{Network: "front"}}})
	r.waitNames(t, "web")
	// Whatever follows from the start's events is done when a later container is known.
	e.Run(enginetest.Spec{Name: "later"})
	r.waitNames(t, "later", "web")
	if n := e.InspectCalls(id); n != 1 {
		t.Errorf("%d inspects, want 1: of the network's event, which knows of the start by the time it is answered", n)
	}
	if n := e.Calls("list"); n != 0 {
		t.Errorf("%d lists, want none", n)
	}
}

// TestBurst sends many events of one container at once.
func TestBurst(t *testing.T) {
	e := enginetest.New(t)
	running, stopped := e.Run(enginetest.Spec{Name: "web"}), e.Create(enginetest.Spec{Name: "stopped"})
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	for _, id := range []string{running, stopped} {
		e.ResetCalls()
		began := time.Now()
		for range 50 {
			e.Emit("container", "start", id, nil)
			e.Emit("container", "die", id, nil)
		}
		e.Rename(running, "after-"+id[:12])
		r.waitNames(t, "after-"+id[:12])
		last := e.Run(enginetest.Spec{Name: "last"})
		r.waitNames(t, "after-"+id[:12], "last")
		await(t, func(ctx context.Context) error { return e.WaitInspectCalls(ctx, id, 1) })
		// Two at once and the last, and where the events take longer to be read, as many as the pace allows.
		most := 3 + tracker.PaceCalls*int(time.Since(began)/tracker.PaceWindow)
		if n := e.InspectCalls(id); n < 1 || n > most {
			t.Errorf("%d inspects for 100 events, want at most %d", n, most)
		}
		e.Remove(last)
		r.waitNames(t, "after-"+id[:12])
	}
}

// TestHungInspect has more inspects hang than may run at once.
func TestHungInspect(t *testing.T) {
	e := enginetest.New(t)
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	var releases []func()
	var names []string
	for i := range eventCalls + 10 {
		names = append(names, fmt.Sprint("hung-", i))
		id := e.Create(enginetest.Spec{Name: names[i]})
		releases = append(releases, e.HangInspect(id))
		e.Start(id)
	}
	e.Run(enginetest.Spec{Name: "web"})
	r.waitNames(t, "web")
	for _, release := range releases {
		release()
	}
	r.waitNames(t, append(names, "web")...)
}

// TestHungInspectAtStart checks that the first reconciliation ends although a
// container can't be inspected, and that this one is found later.
func TestHungInspectAtStart(t *testing.T) {
	e := enginetest.New(t)
	e.Populate(100, func(i int) enginetest.Spec { return enginetest.Spec{Name: fmt.Sprint("c", i)} })
	hung := e.Run(enginetest.Spec{Name: "hung"})
	release := e.HangInspect(hung)
	_, r := watch(t, e, time.Hour)
	r.wait(t, "the others", func() bool { return len(r.containers) == 100 })
	synced(t, r) // after inspectTimeout
	if r.failed != 1 {
		t.Errorf("%d failed inspects, want 1", r.failed)
	}
	release()
	r.wait(t, "the hung one", func() bool { return r.containers[hung] != nil })
}

func TestFailedInspectIsRetried(t *testing.T) {
	e := enginetest.New(t)
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	for name, fault := range map[string]struct {
		set   func(id string)
		lasts bool
	}{
		"500":       {func(string) { e.FailCalls("inspect", 2, 500) }, false},
		"cut":       {func(string) { e.FailCalls("inspect", 2, 0) }, false},
		"malformed": {func(id string) { e.RawInspect(id, []byte(`{"Id":3}`)) }, true},
		"empty":     {func(id string) { e.RawInspect(id, []byte(`{}`)) }, true},
		"other":     {func(id string) { e.RawInspect(id, []byte(`{"Id":"x","State":{},"Config":{},"HostConfig":{}}`)) }, true},
		"truncated": {func(id string) { e.TruncateInspect(id, 100) }, true},
	} {
		id := e.Create(enginetest.Spec{Name: "web"})
		fault.set(id)
		e.ResetCalls()
		e.Start(id)
		if fault.lasts {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			if err := e.WaitInspectCalls(ctx, id, 2); err != nil {
				t.Errorf("%s: not tried again: %v", name, err)
			}
			cancel()
		}
		e.RawInspect(id, nil)
		e.TruncateInspect(id, -1)
		r.waitNames(t, "web")
		e.Remove(id)
		r.waitNames(t)
	}
}

// TestReconnect takes the engine away, changes what runs, and brings it back.
func TestReconnect(t *testing.T) {
	for name, fault := range map[string]func(e *enginetest.Engine) (undo func() error){
		"engine restarts": func(e *enginetest.Engine) func() error { e.Down(); return e.Up },
		"stream is cut": func(e *enginetest.Engine) func() error {
			e.DropEvents(true)
			e.FailCalls("info", -1, 500)
			e.CutStreams()
			return func() error { e.DropEvents(false); e.ClearFaults(); return nil }
		},
		"stream is garbage": func(e *enginetest.Engine) func() error {
			e.FailCalls("info", -1, 503)
			e.EmitRaw([]byte("{]"))
			return func() error { e.ClearFaults(); return nil }
		},
		"list fails": func(e *enginetest.Engine) func() error {
			e.FailCalls("list", -1, 500)
			e.CutStreams()
			return func() error { e.ClearFaults(); return nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := enginetest.New(t)
			stays, goes := e.Run(enginetest.Spec{Name: "stays"}), e.Run(enginetest.Spec{Name: "goes"})
			w, r := watch(t, e, time.Hour)
			synced(t, r)
			waitStream(t, e)
			e.ResetCalls()
			undo := fault(e)
			r.wait(t, "disconnection", func() bool { return len(r.errors) > 0 })
			if w.Current() {
				t.Error("current while the engine is away")
			}
			if got := len(r.get(stays).Endpoints); got != 1 {
				t.Errorf("%d endpoints while the engine is away", got)
			}
			e.Remove(goes)
			e.Run(enginetest.Spec{Name: "comes"})
			if err := undo(); err != nil {
				t.Fatal(err)
			}
			r.waitNames(t, "stays", "comes")
			r.wait(t, "reconciliation", func() bool { return r.rounds >= 2 })
			if !w.Current() || r.synced != 1 {
				t.Errorf("current %v, synced %d times", w.Current(), r.synced)
			}
			if n := e.InspectCalls(stays); n != 0 {
				t.Errorf("%d inspects of the unchanged container, want none", n)
			}
		})
	}
}

// TestStalledStream has a stream stay open and carry nothing. The changes are found by the
// next stream, without a new list, and no event is taken twice.
func TestStalledStream(t *testing.T) {
	e := enginetest.New(t)
	old := e.Run(enginetest.Spec{Name: "old"})
	r := newRecorder()
	endpoint := Endpoint{Host: e.Host()}
	w := start(endpoint, "", r, 50*time.Millisecond, jitter, func() (api, error) { return dial(endpoint, "", r) })
	defer w.stop()
	w.Subscribe(r, time.Hour)
	synced(t, r)
	waitStream(t, e)
	for i := range 5 {
		e.StallStreams(true)
		id := e.Run(enginetest.Spec{Name: fmt.Sprint("new", i)})
		e.Rename(old, fmt.Sprint("old", i))
		streams := e.Calls("events")
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		if err := e.WaitCalls(ctx, "events", streams+1); err != nil {
			t.Fatal(err)
		}
		cancel()
		e.StallStreams(false)
		r.waitNames(t, fmt.Sprint("new", i), fmt.Sprint("old", i))
		e.Remove(id)
		r.waitNames(t, fmt.Sprint("old", i))
	}
	more := func(n int) { // streams, each of which repeats the last events
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		if err := e.WaitCalls(ctx, "events", e.Calls("events")+n); err != nil {
			t.Fatal(err)
		}
	}
	more(8) // what the last removal has caused is done meanwhile
	inspects := e.Calls("inspect")
	more(5)
	if n := e.Calls("inspect") - inspects; n != 0 {
		t.Errorf("%d inspects for events that were given before", n)
	}
	if len(r.errors) != 0 || e.Calls("list") != 1 {
		t.Errorf("%d lists, errors %v", e.Calls("list"), r.errors)
	}
}

// TestHungStream has the engine not begin a stream.
func TestHungStream(t *testing.T) {
	e := enginetest.New(t)
	release := e.HangCalls("events")
	_, r := watch(t, e, time.Hour)
	r.wait(t, "error", func() bool { return len(r.errors) > 0 })
	if got := r.errors[0].Error(); got != "the engine does not begin an event stream" {
		t.Errorf("error %q", got)
	}
	release()
	synced(t, r)
}

// TestEngineAppearsLater starts without an engine.
func TestEngineAppearsLater(t *testing.T) {
	e := enginetest.New(t)
	e.Down()
	e.Run(enginetest.Spec{Name: "web"})
	w, r := watch(t, e, time.Hour)
	<-w.Settled()
	r.wait(t, "error", func() bool { return len(r.errors) > 0 })
	if !strings.Contains(r.errors[0].Error(), strings.TrimPrefix(e.Host(), "unix://")) {
		t.Errorf("the error does not name the socket: %v", r.errors[0])
	}
	if err := e.Up(); err != nil {
		t.Fatal(err)
	}
	r.waitNames(t, "web")
	synced(t, r)
}

// TestResync loses events and finds the changes by the periodic list, which asks for
// nothing else.
func TestResync(t *testing.T) {
	e := enginetest.New(t)
	ids := e.Populate(50, func(i int) enginetest.Spec { return enginetest.Spec{Name: fmt.Sprint("c", i)} })
	_, r := watch(t, e, 50*time.Millisecond) // sooner than a Corefile may ask for
	synced(t, r)
	e.ResetCalls()
	r.wait(t, "two more rounds", func() bool { return r.rounds >= 3 })
	if n := e.Calls("inspect"); n != 0 {
		t.Errorf("%d inspects although nothing has changed", n)
	}
	e.AddNetwork("back")
	e.DropEvents(true)
	e.Remove(ids[0])
	e.Rename(ids[1], "renamed")
	e.Connect(ids[2], enginetest.Attachment{Network: "back"})
	e.Pause(ids[3])
	e.Restart(ids[4])
	id := e.Run(enginetest.Spec{Name: "new"})
	r.wait(t, "all changes", func() bool {
		c := r.containers
		return c[ids[0]] == nil && c[ids[1]].Name == "renamed" && len(c[ids[2]].Endpoints) == 2 && c[ids[3]].Paused && c[id] != nil
	})
	if n := e.Calls("inspect"); n > 20 {
		t.Errorf("%d inspects for 6 changes", n)
	}
}

// TestResyncOfAliases loses the events of a container that leaves a network and comes again
// under another alias, at the same address. Podman's list has no endpoint IDs, which would
// tell of it, but the aliases.
func TestResyncOfAliases(t *testing.T) {
	for _, flavour := range []enginetest.Flavour{enginetest.Docker2010, enginetest.Docker28, enginetest.Podman} {
		t.Run(flavour.String(), func(t *testing.T) {
			e := enginetest.New(t, enginetest.WithFlavour(flavour))
			e.AddNetwork("back")
			id := e.Run(enginetest.Spec{Name: "web", Networks: []enginetest.Attachment{{Network: "back", Aliases: []string{"old"}}}})
			_, r := watch(t, e, 50*time.Millisecond)
			synced(t, r)
			e.ResetCalls()
			r.wait(t, "two more rounds", func() bool { return r.rounds >= 3 })
			if n := e.Calls("inspect"); n != 0 {
				t.Errorf("%d inspects although nothing has changed", n)
			}
			e.DropEvents(true)
			e.Disconnect(id, "back")
			e.Connect(id, enginetest.Attachment{Network: "back", Aliases: []string{"new"}})
			r.wait(t, "the new alias", func() bool {
				eps := r.containers[id].Endpoints
				return len(eps) == 1 && slices.Contains(eps[0].Aliases, "new") && !slices.Contains(eps[0].Aliases, "old")
			})
		})
	}
}

// TestEventsDuringList changes containers while the first list is under way.
func TestEventsDuringList(t *testing.T) {
	e := enginetest.New(t)
	gone := e.Run(enginetest.Spec{Name: "gone"})
	release := e.HangCalls("list")
	_, r := watch(t, e, time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := e.WaitCalls(ctx, "list", 1); err != nil {
		t.Fatal(err)
	}
	e.Run(enginetest.Spec{Name: "new"})
	e.Remove(gone)
	r.waitNames(t, "new")
	release()
	synced(t, r)
	r.waitNames(t, "new")
}

// TestInspectAtConnect checks that a start is known from its network's event alone:
// the inspect that this causes waits in the engine until the start is done.
func TestInspectAtConnect(t *testing.T) {
	e := enginetest.New(t)
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	release := e.BlockStarts()
	id := e.Create(enginetest.Spec{Name: "web"})
	var started sync.WaitGroup
	started.Go(func() { e.Start(id) })
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := e.WaitInspectCalls(ctx, id, 1); err != nil {
		t.Fatalf("no inspect before the start is done: %v", err)
	}
	r.wait(t, "that the container starts", func() bool { return r.begun[id] }) // its creation may have had it inspected
	release()
	started.Wait()
	r.waitNames(t, "web")
}

// bareSession is a session that reads no events and compares nothing, and its sink.
func bareSession(ctx context.Context, a api) (*session, *recorder) {
	r := newRecorder()
	w := &Watcher{tracked: map[string]*tracked{}, waiting: map[string]*tracked{}, observer: r, sinks: []Sink{r}, host: &container.Host{}}
	w.idle.L = &w.mu
	return &session{Watcher: w, ctx: ctx, api: a, calls: newGate(1)}, r
}

// onceAPI answers one inspect, with a container that runs, and no further one.
type onceAPI struct {
	api
	asked atomic.Int32
	ready chan struct{}
}

func (a *onceAPI) inspect(ctx context.Context, id string) (tracker.Answer, error) {
	if a.asked.Add(1) > 1 {
		<-ctx.Done()
		return tracker.Answer{}, ctx.Err()
	}
	<-a.ready
	return tracker.Answer{Facts: &container.Container{ID: id, Name: id}}, nil
}

// TestFirstAnswer checks that the sink is told of the first answer, though an event that came meanwhile has the container
// inspected once more.
func TestFirstAnswer(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	once := &onceAPI{ready: make(chan struct{})}
	s, r := bareSession(ctx, once)
	tell := func(kind tracker.Kind, at int64) {
		s.event(event{container: "web", Event: tracker.Event{Kind: kind, At: time.Unix(at, 0)}})
	}
	tell(tracker.Connected, 1) // inspects, which takes a lock that is held
	tell(tracker.Started, 2)
	if !r.starts("web") {
		t.Error("it is not said to start")
	}
	close(once.ready)
	r.waitNames(t, "web")
	if r.starts("web") {
		t.Error("it is said to start, and runs")
	}
	end()
	s.end()
}

// TestDisconnectIsImmediate checks that a network's addresses go before an inspect tells that they have,
// and that an old event takes none away.
func TestDisconnectIsImmediate(t *testing.T) {
	e := enginetest.New(t)
	e.AddNetwork("front", "172.18.0.0/16")
	id := e.Run(enginetest.Spec{Name: "web", Networks: []enginetest.Attachment{{Network: "bridge"}, {Network: "front"}}})
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	before := time.Now()
	release := e.HangInspect(id)
	e.Disconnect(id, "bridge")
	r.wait(t, "disconnect", func() bool { return addrs(r.containers[id]) == "front=172.18.0.2" })
	release()
	r.wait(t, "the inspect", func() bool { return len(r.containers[id].Endpoints) == 1 })
	e.Rename(id, "web2")
	r.waitNames(t, "web2")
	e.EmitRaw(fmt.Appendf(nil, `{"Type":"network","Action":"disconnect","Actor":{"ID":"n","Attributes":{"container":%q,"name":"front"}},"time":%d,"timeNano":%d}`+"\n",
		id, before.Unix(), before.UnixNano()))
	e.Rename(id, "web3")
	r.waitNames(t, "web3")
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := strings.Join(r.history, " "); got != "+web +web +web +web2 +web3" {
		t.Errorf("the changes were %s", got)
	}
}

// TestShared checks that one watcher serves all who watch the same engine, and that
// who comes later gets what is known, also while the engine is away.
func TestShared(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "web"})
	w, r := watch(t, e, time.Hour)
	synced(t, r)
	e.Down()
	r.wait(t, "disconnection", func() bool { return len(r.errors) > 0 })
	second, late := watch(t, e, time.Hour)
	if second != w {
		t.Fatal("a second watcher for the same endpoint")
	}
	if late.synced != 1 || !slices.Equal(late.names(), []string{"web"}) {
		t.Errorf("the second sink has %v, synced %d", late.names(), late.synced)
	}
	second.Unsubscribe(late)
	if err := e.Up(); err != nil {
		t.Fatal(err)
	}
	e.Run(enginetest.Spec{Name: "more"})
	r.waitNames(t, "web", "more")
	if !slices.Equal(late.names(), []string{"web"}) {
		t.Errorf("an unsubscribed sink got %v", late.names())
	}
	waitStream(t, e)
	if n := e.Streams(); n != 1 {
		t.Errorf("%d event streams, want 1", n)
	}
}

func TestOrder(t *testing.T) {
	e := enginetest.New(t)
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	id := e.Run(enginetest.Spec{Name: "n0"})
	for i := range 50 {
		e.Rename(id, fmt.Sprint("n", i+1))
	}
	r.waitNames(t, "n50")
	e.Remove(id)
	r.waitNames(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	last := -1
	for _, h := range r.history {
		var n int
		if _, err := fmt.Sscanf(h, "+n%d", &n); err == nil {
			if n < last {
				t.Errorf("n%d after n%d", n, last)
			}
			last = n
		}
	}
	if h := r.history[len(r.history)-1]; h != "-"+id {
		t.Errorf("the last change is %s", h)
	}
}

func TestLag(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "old"})
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	if len(r.lags) != 0 {
		t.Errorf("lags %v of what ran before us", r.lags)
	}
	e.Run(enginetest.Spec{Name: "new"})
	r.wait(t, "a lag", func() bool { return len(r.lags) == 1 && r.lags[0] < deadline })
}

// TestClockAhead checks what is taken for the difference of the engine's clock from ours.
func TestClockAhead(t *testing.T) {
	began := time.Now()
	ended := began.Add(10 * time.Millisecond)
	for clock, want := range map[time.Duration]time.Duration{
		0: 0, 4 * time.Millisecond: 0, 10 * time.Millisecond: 0, 11 * time.Millisecond: time.Millisecond,
		time.Hour: time.Hour - 10*time.Millisecond, -time.Hour: -time.Hour, -time.Millisecond: -time.Millisecond,
	} {
		if got := clockAhead(began.Add(clock).Round(0).UTC(), began, ended); got != want {
			t.Errorf("%s after the question: ahead by %s, want %s", clock, got, want)
		}
	}
	// Whatever the clocks say, the lag is the time that went by.
	for _, ahead := range []time.Duration{-time.Hour, 0, time.Hour} {
		ctx, end := context.WithCancel(t.Context())
		s, r := bareSession(ctx, &onceAPI{ready: make(chan struct{})})
		s.ahead = ahead
		engine := func() time.Time { return time.Now().Round(0).Add(ahead) }
		s.mu.Lock()
		web := s.track("web")
		web.Listed(&tracker.Summary{ID: "web"}, 1)
		web.Turn(1, s.moment())
		s.perform(web, web.Answer(tracker.Answer{Facts: &container.Container{ID: "web"}, Since: engine().Add(-time.Minute)}, s.moment()), nil)
		s.mu.Unlock()
		s.event(event{container: "web", Event: tracker.Event{Kind: tracker.Ended, At: engine().Add(-time.Second)}})
		if lags := r.lags; len(lags) != 1 || lags[0] < time.Second || lags[0] > time.Second+deadline {
			t.Errorf("the engine's clock is ahead by %s: lags %v", ahead, lags)
		}
		end()
		s.end()
	}
}

func TestTCP(t *testing.T) {
	e := enginetest.New(t, enginetest.WithTCP())
	e.Run(enginetest.Spec{Name: "web"})
	_, r := watch(t, e, time.Hour)
	r.waitNames(t, "web")
}

func TestValidHost(t *testing.T) {
	for host, valid := range map[string]bool{
		"unix:///var/run/docker.sock": true, "tcp://127.0.0.1:2375": true, "tcp://[::1]:2375": true, "tcp://engine.example:2376": true,
		"unix://": false, "unix:///": false, "unix://var/run/docker.sock": false, "tcp://127.0.0.1": false, "tcp://:2375": false,
		"/var/run/docker.sock": false, "http://127.0.0.1:2375": false, "": false, "tcp://a b:1": false,
		"unix:/run/docker.sock": false, "tcp://h:0": false, "tcp://h:65536": false, "tcp://me@h:1": false,
		"ssh://h": true, "ssh://me@h:22/run/docker.sock": true, "ssh://": false, "ssh://me:secret@h": false, "ssh://h:0": false, "ssh://h:ssh": false,
		"ssh://h?x": false, "ssh://h#x": false, "ssh:h": false,
	} {
		if err := ValidHost(host); (err == nil) != valid {
			t.Errorf("%q: %v, want valid: %v", host, err, valid)
		} else if err != nil && !strings.Contains(err.Error(), HostForms) {
			t.Errorf("%q: the error does not say what is accepted: %v", host, err)
		}
	}
}

func TestManyContainers(t *testing.T) {
	e := enginetest.New(t)
	e.AddNetwork("wide", "10.0.0.0/8")
	ids := e.Populate(2000, func(i int) enginetest.Spec { return enginetest.Spec{Name: fmt.Sprint("c", i), NetworkMode: "wide"} })
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	if got := slices.Collect(maps.Keys(r.containers)); len(got) != len(ids) {
		t.Errorf("%d containers after the first reconciliation, want %d", len(got), len(ids))
	}
	if n := e.Calls("inspect"); n != len(ids) {
		t.Errorf("%d inspects for %d containers", n, len(ids))
	}
}

// TestNetworks checks that the networks are known before the first containers, and
// followed.
func TestNetworks(t *testing.T) {
	e := enginetest.New(t)
	e.AddNetwork("front", "10.1.0.0/16", "fd00:1::/64")
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	r.mu.Lock()
	front := r.network("front")
	r.mu.Unlock()
	if front == nil || front.Driver != "bridge" || fmt.Sprint(front.Subnets) != "[10.1.0.0/16 fd00:1::/64]" {
		t.Errorf("front is %+v", front)
	}
	lists := e.Calls("list")
	e.AddNetwork("back", "10.2.0.0/16")
	r.wait(t, "back", func() bool { return r.network("back") != nil })
	e.RemoveNetwork("front")
	r.wait(t, "no front", func() bool { return r.network("front") == nil })
	if n := e.Calls("list") - lists; n != 0 {
		t.Errorf("%d lists of containers for changes of networks", n)
	}
}

// TestRouted checks on which engines the host reaches containers by their addresses.
func TestRouted(t *testing.T) {
	for name, c := range map[string]struct {
		key   string
		value any
		want  bool
	}{
		"plain":          {"Name", "host", true},
		"rootless":       {"SecurityOptions", []string{"name=seccomp,profile=default", "name=rootless"}, false},
		"Docker Desktop": {"OperatingSystem", "Docker Desktop", false},
	} {
		e := enginetest.New(t, enginetest.WithInfo(func(info map[string]any) { info[c.key] = c.value }))
		_, r := watch(t, e, time.Hour)
		synced(t, r)
		if r.host.Routed != c.want {
			t.Errorf("%s: routed %v, want %v", name, r.host.Routed, c.want)
		}
	}
}

// TestStopSignal checks that a stop is seen at the signal, while the process lives on,
// and is over when the container has started anew.
func TestStopSignal(t *testing.T) {
	e := enginetest.New(t)
	id := e.Run(enginetest.Spec{Name: "web", StopSignal: "SIGUSR1"})
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	stopping := func() bool { return r.containers[id] != nil && r.containers[id].Stopping }
	e.Kill(id, "HUP")
	e.Rename(id, "web2") // comes after, and is not hidden by a stop that isn't one
	r.waitNames(t, "web2")
	if r.get(id).Stopping {
		t.Error("HUP is taken for a stop")
	}
	inspects := e.InspectCalls(id)
	e.Kill(id, "USR1")
	r.wait(t, "stopping", stopping)
	if n := e.InspectCalls(id) - inspects; n != 0 {
		t.Errorf("%d inspects for a signal", n)
	}
	e.Rename(id, "web3")
	r.wait(t, "web3, still stopping", func() bool { return stopping() && r.containers[id].Name == "web3" })
	e.Restart(id)
	r.wait(t, "a new start", func() bool { return r.containers[id] != nil && !r.containers[id].Stopping })
}

// TestOldSignal checks that a signal that comes late, or twice, is not taken for one to
// what has started since.
func TestOldSignal(t *testing.T) {
	e := enginetest.New(t)
	before := time.Now()
	id := e.Run(enginetest.Spec{Name: "web"})
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	e.EmitRaw(fmt.Appendf(nil, `{"Type":"container","Action":"kill","Actor":{"ID":%q,"Attributes":{"signal":"15"}},"time":%d,"timeNano":%d}`+"\n",
		id, before.Unix(), before.UnixNano()))
	e.Run(enginetest.Spec{Name: "last"})
	r.waitNames(t, "last", "web")
	if r.get(id).Stopping {
		t.Error("a signal from before the start stops it")
	}
}

// TestEarlySignal checks that a stop is seen although the signal comes before the container's
// facts are known: before the first list, and while they are read.
func TestEarlySignal(t *testing.T) {
	e := enginetest.New(t)
	old := e.Run(enginetest.Spec{Name: "old"})
	release := e.HangCalls("list")
	_, r := watch(t, e, time.Hour)
	stopping := func(id string) func() bool {
		return func() bool { return r.containers[id] != nil && r.containers[id].Stopping }
	}
	await(t, func(ctx context.Context) error { return e.WaitCalls(ctx, "list", 1) })
	e.Kill(old, "TERM")
	r.wait(t, "stopping before the list", stopping(old))
	release()
	synced(t, r)

	id := e.Create(enginetest.Spec{Name: "web"})
	release = e.HangInspect(id)
	e.Start(id)
	e.Kill(id, "TERM")
	e.Kill(id, "HUP") // is none
	e.Run(enginetest.Spec{Name: "later"})
	r.waitNames(t, "later", "old")
	release()
	r.wait(t, "stopping since it was first known", stopping(id))
	if got := r.get(old); got == nil || !got.Stopping {
		t.Errorf("old is %+v", got)
	}
}

// TestMissedRestart checks that a stop is over when the container was started anew and
// nobody has told, even where a list shows nothing of it: a container in another's network
// has no endpoint of its own.
func TestMissedRestart(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "web"})
	id := e.Run(enginetest.Spec{Name: "sidecar", NetworkMode: "container:web"})
	_, r := watch(t, e, 20*time.Millisecond)
	synced(t, r)
	e.Kill(id, "TERM")
	r.wait(t, "stopping", func() bool { return r.containers[id].Stopping })
	e.DropEvents(true)
	e.Restart(id)
	r.wait(t, "the new start", func() bool { return !r.containers[id].Stopping })
}

// TestDeathWhileInspectHangs checks that a restarting container has no records although
// the engine does not let it be inspected, and that an old death does not end it.
func TestDeathWhileInspectHangs(t *testing.T) {
	e := enginetest.New(t)
	id := e.Run(enginetest.Spec{Name: "web"})
	w, r := watch(t, e, time.Hour)
	synced(t, r)
	release := e.HangInspect(id)
	e.Emit("container", "die", id, nil)
	e.Emit("container", "start", id, nil)
	r.waitNames(t)
	if w.Containers() != 0 {
		t.Errorf("%d containers", w.Containers())
	}
	release()
	r.waitNames(t, "web")
	if w.Containers() != 1 {
		t.Errorf("%d containers", w.Containers())
	}
	at := time.Now().Add(-time.Hour)
	e.EmitRaw(fmt.Appendf(nil, `{"Type":"container","Action":"die","Actor":{"ID":%q},"time":%d,"timeNano":%d}`+"\n", id, at.Unix(), at.UnixNano()))
	e.Rename(id, "web2")
	r.waitNames(t, "web2")
	r.mu.Lock()
	defer r.mu.Unlock()
	ends := 0
	for _, h := range r.history {
		if h == "-"+id {
			ends++
		}
	}
	if ends != 1 {
		t.Errorf("it has ended %d times: %v", ends, r.history)
	}
}

// TestOldDeathDuringInspect checks that a death from before the start is none for what an
// inspect under way says.
func TestOldDeathDuringInspect(t *testing.T) {
	e := enginetest.New(t)
	before := time.Now()
	id := e.Run(enginetest.Spec{Name: "web"})
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	inspects := e.InspectCalls(id)
	release := e.HangInspect(id)
	e.Rename(id, "renamed")
	await(t, func(ctx context.Context) error { return e.WaitInspectCalls(ctx, id, inspects+1) })
	e.EmitRaw(fmt.Appendf(nil, `{"Type":"container","Action":"die","Actor":{"ID":%q},"time":%d,"timeNano":%d}`+"\n", id, before.Unix(), before.UnixNano()))
	e.Run(enginetest.Spec{Name: "later"})
	r.waitNames(t, "later", "web")
	release()
	r.waitNames(t, "later", "renamed")
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(r.history, "-"+id) {
		t.Errorf("it has ended meanwhile: %v", r.history)
	}
}

// TestDestroyWithoutDeath checks that a container whose removal is told ends at once, although
// its death was not told and no inspect is answered.
func TestDestroyWithoutDeath(t *testing.T) {
	for _, action := range []string{"destroy", "remove"} { // Docker's and Podman's
		e := enginetest.New(t)
		id := e.Run(enginetest.Spec{Name: "web"})
		_, r := watch(t, e, time.Hour)
		synced(t, r)
		release := e.HangInspect(id)
		e.Emit("container", action, id, nil)
		r.waitNames(t)
		release()
	}
}

// TestStartEndsWithSession checks that nothing is said to start after the session in which it did, even if a list came in
// between.
func TestStartEndsWithSession(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	s, r := bareSession(ctx, failingAPI{})
	end() // before it is answered
	s.event(event{container: "web", Event: tracker.Event{Kind: tracker.Connected, At: time.Unix(1, 0)}})
	if !r.starts("web") {
		t.Error("the container is not said to start")
	}
	s.compare(&reconciliation{session: s}, nil)
	s.end()
	if r.starts("web") {
		t.Error("the container is still said to start")
	}
}

// failingAPI has no answer to an inspect.
type failingAPI struct{ api }

func (failingAPI) inspect(context.Context, string) (tracker.Answer, error) {
	return tracker.Answer{}, context.Canceled
}

// TestStreamsBeginWithSession checks that events from before the list are not asked for when a
// stream is renewed.
func TestStreamsBeginWithSession(t *testing.T) {
	e := enginetest.New(t)
	id := e.Run(enginetest.Spec{Name: "web"})
	r := newRecorder()
	endpoint := Endpoint{Host: e.Host()}
	w := start(endpoint, "", r, 20*time.Millisecond, jitter, func() (api, error) { return dial(endpoint, "", r) })
	defer w.stop()
	w.Subscribe(r, time.Hour)
	synced(t, r)
	await(t, func(ctx context.Context) error { return e.WaitCalls(ctx, "events", e.Calls("events")+5) })
	if n := e.InspectCalls(id); n != 1 {
		t.Errorf("%d inspects, want the list's", n)
	}
}

// slowAPI delays what the next inspect has said, once it is to, until it is released.
type slowAPI struct {
	api
	next              atomic.Bool
	answered, release chan struct{}
}

func (a *slowAPI) inspect(ctx context.Context, id string) (tracker.Answer, error) {
	st, err := a.api.inspect(ctx, id)
	if a.next.CompareAndSwap(true, false) {
		a.answered <- struct{}{}
		<-a.release
	}
	return st, err
}

// TestLateAnswer has an inspect say that a container runs, and be read only after its
// death is known: the dead must not come back.
func TestLateAnswer(t *testing.T) {
	e := enginetest.New(t)
	r := newRecorder()
	endpoint := Endpoint{Host: e.Host()}
	slow := &slowAPI{answered: make(chan struct{}), release: make(chan struct{})}
	w := start(endpoint, "", r, streamAge, jitter, func() (api, error) {
		a, err := dial(endpoint, "", r)
		slow.api = a
		return slow, err
	})
	defer w.stop()
	w.Subscribe(r, time.Hour)
	synced(t, r)
	id := e.Run(enginetest.Spec{Name: "web"})
	r.waitNames(t, "web")
	slow.next.Store(true)
	e.Rename(id, "renamed")
	<-slow.answered // "it runs"
	e.Kill(id, "KILL")
	r.waitNames(t)
	slow.release <- struct{}{}
	e.Run(enginetest.Spec{Name: "other"})
	r.waitNames(t, "other")
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(r.history, "+renamed") {
		t.Errorf("the dead has come back: %v", r.history)
	}
}

// TestGone checks that a removal is told from an end, and costs no inspect.
func TestGone(t *testing.T) {
	e := enginetest.New(t)
	id := e.Run(enginetest.Spec{Name: "web"})
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	e.Stop(id)
	r.waitNames(t)
	if len(r.gone) != 0 {
		t.Error("a stopped container is gone")
	}
	before := e.InspectCalls(id)
	e.Remove(id)
	r.wait(t, "gone", func() bool { return slices.Equal(r.gone, []string{id}) })
	if n := e.InspectCalls(id) - before; n != 0 {
		t.Errorf("%d inspects for a removal, want none", n)
	}
}

// TestPorts checks which ports a container has, and where they count as published.
func TestPorts(t *testing.T) {
	e := enginetest.New(t)
	want := map[string]string{}
	run := func(name, ports string, spec enginetest.Spec) {
		spec.Name = name
		e.Run(spec)
		want[name] = ports
	}
	run("none", "[]", enginetest.Spec{})
	run("exposed", "[53 sctp [] 53 tcp [] 80 tcp [] 53 udp []]", enginetest.Spec{ExposedPorts: []string{"80/tcp", "53/udp", "53/tcp", "53/sctp"}})
	run("any", "[80 tcp [0.0.0.0:80] 443 tcp [0.0.0.0:81]]", enginetest.Spec{Publish: []string{"80:80/tcp", "81:443/tcp"}})
	run("loopback", "[80 tcp []]", enginetest.Spec{Publish: []string{"127.0.0.1:82:80/tcp"}})
	run("one", "[80 tcp [192.0.2.1:83 192.0.2.2:84] 90 tcp []]",
		enginetest.Spec{ExposedPorts: []string{"90/tcp"}, Publish: []string{"192.0.2.2:84:80/tcp", "192.0.2.1:83:80/tcp"}})
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	for _, c := range r.containers {
		var got []string
		for _, p := range c.Ports {
			got = append(got, fmt.Sprint(p.Number, " ", p.Proto, " ", p.Published))
		}
		if got := fmt.Sprint(got); got != want[c.Name] {
			t.Errorf("%s: ports %s, want %s", c.Name, got, want[c.Name])
		}
	}
}

// TestRefresh checks that an engine whose events are late is asked when somebody wants to know, and
// no other.
func TestRefresh(t *testing.T) {
	prompt := enginetest.New(t)
	w, r := watch(t, prompt, time.Hour)
	synced(t, r)
	if w.Refresh(deadline) != nil {
		t.Error("an engine whose events are prompt is asked")
	}

	e := enginetest.New(t, enginetest.WithFlavour(enginetest.Podman))
	w, r = watch(t, e, time.Hour)
	synced(t, r)
	e.DropEvents(true)
	for i := range 5 {
		e.Run(enginetest.Spec{Name: fmt.Sprint("web", i)})
		refreshed := w.Refresh(deadline)
		if refreshed == nil {
			t.Fatal("not asked")
		}
		select {
		case <-refreshed:
		case <-time.After(deadline):
			t.Fatalf("no answer within %v", deadline)
		}
		r.mu.Lock()
		known := len(r.containers)
		r.mu.Unlock()
		if known != i+1 {
			t.Errorf("%d containers known after the answer, want %d", known, i+1)
		}
	}
	if n := e.Calls("inspect"); n != 5 {
		t.Errorf("%d inspects, want one of each new container", n)
	}

	// Those who ask while a list is under way wait for the next, and for one.
	lists := e.Calls("list")
	release := e.HangCalls("list")
	defer release()
	first := w.Refresh(deadline)
	await(t, func(ctx context.Context) error { return e.WaitCalls(ctx, "list", lists+1) })
	second := w.Refresh(deadline)
	if first == second || second != w.Refresh(deadline) {
		t.Error("who asks while a list is under way does not wait for the next one alone")
	}
	release()
	<-first
	<-second
	if n := e.Calls("list") - lists; n != 2 {
		t.Errorf("%d lists, want 2", n)
	}
}

// TestRefreshRests checks that those who ask leave the engine its rest, and don't wait in vain.
func TestRefreshRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const took, patience = 10 * time.Millisecond, 250 * time.Millisecond
		r := newRefresher()
		busy, began := time.Duration(0), time.Now()
		reconcile := func(took time.Duration) {
			asked := r.begin()
			time.Sleep(took)
			busy += took
			r.listed()
			r.end(asked)
		}
		for range 100 {
			refreshed := r.ask(patience)
			if refreshed == nil {
				t.Fatal("not asked")
			}
			<-r.due
			reconcile(took)
			<-refreshed
		}
		if share := float64(busy) / float64(time.Since(began)); share > 0.21 || share < 0.19 {
			t.Errorf("the engine is kept busy for %.0f%% of the time, want a fifth", 100*share)
		}

		time.Sleep(time.Hour)
		for range 3 { // one that takes long is asked, but not waited for in its rest
			refreshed := r.ask(patience)
			if refreshed == nil {
				t.Fatal("not asked after its rest")
			}
			<-r.due
			reconcile(100 * time.Millisecond)
			if r.ask(patience) != nil {
				t.Error("asked in its rest, longer than anybody waits")
			}
			time.Sleep(400 * time.Millisecond)
		}

		asked := r.begin() // which hangs
		time.Sleep(2 * patience)
		if r.ask(patience) != nil {
			t.Error("somebody waits for what comes after a reconciliation that hangs")
		}
		r.end(asked)
		time.Sleep(time.Hour)
		if r.ask(patience) == nil {
			t.Error("not asked after its rest")
		}
		time.Sleep(2 * patience) // the engine hangs before it can begin
		if r.ask(patience) != nil {
			t.Error("somebody waits for a reconciliation that does not begin")
		}
		r.end(r.begin())
		if r.cost > slowCall {
			t.Errorf("one that waited for a lock counts as %v of work", r.cost)
		}
	})
}

// TestCatchingUp checks that nobody waits any longer for an engine that is connected anew, and hangs, however often it is.
func TestCatchingUp(t *testing.T) {
	e := enginetest.New(t)
	w, r := watch(t, e, time.Hour)
	synced(t, r)
	waitStream(t, e)
	if w.CatchingUp() != nil {
		t.Error("it catches up before it was away")
	}
	e.ResetCalls()
	release := e.HangCalls("list")
	e.CutStreams()
	await(t, func(ctx context.Context) error { return e.WaitCalls(ctx, "list", 1) })
	catching := w.CatchingUp()
	if catching == nil {
		t.Fatal("it does not catch up")
	}
	select {
	case <-catching:
	case <-time.After(deadline):
		t.Fatal("the wait for an engine that hangs does not end")
	}
	e.CutStreams()
	await(t, func(ctx context.Context) error { return e.WaitCalls(ctx, "list", 2) })
	if w.CatchingUp() != nil {
		t.Error("it is waited for again, and still hangs")
	}
	release()
	r.wait(t, "the list", func() bool { return r.current && r.rounds == 2 })
	e.ResetCalls()
	defer e.HangCalls("list")()
	e.CutStreams()
	await(t, func(ctx context.Context) error { return e.WaitCalls(ctx, "list", 1) })
	if w.CatchingUp() == nil {
		t.Error("it does not catch up after the next fault")
	}
}

// TestStoppingStatus checks that a container that Podman is stopping still runs, told to stop.
func TestStoppingStatus(t *testing.T) {
	e := enginetest.New(t, enginetest.WithFlavour(enginetest.Podman))
	id := e.Run(enginetest.Spec{Name: "web"})
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	var inspect map[string]any
	fetch(t, e, "/containers/"+id+"/json", &inspect)
	state := inspect["State"].(map[string]any)
	state["Status"], state["Running"] = "stopping", false // as recorded from Podman 5.4.2
	e.RawInspect(id, encode(t, inspect))
	e.Rename(id, "web2") // something makes us look
	r.wait(t, "web, stopping", func() bool { return r.containers[id] != nil && r.containers[id].Stopping })
	e.RawInspect(id, nil)
	e.Stop(id)
	r.waitNames(t)
}

// TestInspectAnswers checks which failures of an inspect say that the container is gone.
func TestInspectAnswers(t *testing.T) {
	id := strings.Repeat("a", 64)
	for _, test := range []struct {
		status  int
		message string
		gone    bool
	}{
		{404, "No such container: " + id, true},
		{404, `no container with name or ID "` + id + `" found: no such container`, true},
		{500, "no container with ID " + id + " found in database: no such container", true}, // Podman 5.4.2, at the moment of the removal
		{500, "no such network", false},
		{503, "no such container", false},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(test.status)
			json.NewEncoder(w).Encode(map[string]any{"message": test.message, "cause": "c", "response": test.status})
		}))
		api, err := dial(Endpoint{Host: "tcp://" + srv.Listener.Addr().String()}, "", &recorder{})
		if err != nil {
			t.Fatal(err)
		}
		now, err := api.inspect(t.Context(), id)
		if now.Gone != test.gone || (err == nil) != test.gone {
			t.Errorf("%d %s: gone %v, error %v; want gone %v", test.status, test.message, now.Gone, err, test.gone)
		}
		api.close()
		srv.Close()
	}
}
