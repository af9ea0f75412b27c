package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	dockerclient "github.com/docker/docker/client"
	"github.com/miekg/dns"
)

// The engine drops events for a reader that is too slow, and tells nobody. What they were about is found
// at the next comparison with the engine.
func TestDroppedEvents(t *testing.T) {
	t.Parallel()
	const resync = 15 * time.Second
	e := newEngine(t, liveRestore)
	e.start()
	api, err := dockerclient.NewClientWithOpts(dockerclient.WithHost(e.host), dockerclient.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	d := &dam{}
	p := startProxy(t, e.Socket(), d.wrap)
	s := serve(t, config{Body: fmt.Sprintf("docker docker. 198.18.0.0/15 {\nendpoint unix://%s\nresync %v\n}", p.socket, resync)})
	dropping := &dropping{t: t, engine: e, api: api, server: s, dam: d, network: e.populate(), second: e.network(t)}
	// All of a container's labels stand in its events: with this one, few events fill the buffers on the way.
	dropping.noisy = e.run(t, "--network", dropping.network, "--label", "noise="+strings.Repeat("x", 4<<10))
	slow := true // each time
	for range 5 {
		begin := time.Now()
		if dropping.try(resync) {
			return
		}
		slow = slow && time.Since(begin) > 15*time.Second
	}
	const early = "each time, the plugin renewed its event stream before the engine had to drop events"
	if slow {
		t.Skip("the machine is too slow: " + early)
	}
	t.Error(early)
}

// dropping is how an engine is made to drop events.
type dropping struct {
	t               *testing.T
	engine          *privateEngine
	api             *dockerclient.Client
	server          *server
	dam             *dam
	network, second string
	noisy           string // ID of a container that makes events
}

// try has the engine drop the events of some changes, looks that they are not known, and that they are known after
// the next comparison. It reports whether the engine did.
func (d *dropping) try(resync time.Duration) bool {
	t, e, s := d.t, d.engine, d.server
	t.Helper()
	known := func(name string) inspection {
		c := e.inspect(t, e.run(t, "--network", d.network, "--name", name+"-"+suffix()))
		eventually(t, func() error { return s.agrees(c) })
		return c
	}
	goes, renamed, moves := known("goes"), known("renamed"), known("moves")
	newName, comes := "after-"+renamed.name(), "comes-"+suffix()
	comesID := e.do(t, "create", "--network", d.network, "--name", comes, image)
	t.Cleanup(func() { e.output("rm", "-f", comesID) })

	// A new stream begins with the last 256 events, which the engine remembers. Directly after one the time until the
	// next is the longest.
	streams := d.dam.count(eventsPath)
	within(t, silence, func() error {
		if d.dam.count(eventsPath) == streams {
			return errors.New("no new event stream")
		}
		return nil
	})
	d.drain()
	d.dam.close()
	defer d.dam.open(&d.dam.lists)
	defer d.dam.open(&d.dam.events)
	streams, lists := d.dam.count(eventsPath), d.dam.count(listPath)
	begin := time.Now()
	// The engine's queue holds 1,024 events, and some are on the way. For one more it waits 100 ms and then drops it.
	d.noise(1024+200, "noise")
	filled := time.Now()
	for i, err := range d.together(
		func(ctx context.Context) error {
			return d.api.ContainerRemove(ctx, goes.ID, container.RemoveOptions{Force: true})
		},
		func(ctx context.Context) error { return d.api.ContainerRename(ctx, renamed.ID, newName) },
		func(ctx context.Context) error { return d.api.NetworkConnect(ctx, d.second, moves.ID, nil) },
		func(ctx context.Context) error {
			return d.api.ContainerStart(ctx, comesID, container.StartOptions{})
		},
	) {
		if err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
	}
	changed := time.Now()
	d.dam.open(&d.dam.events)
	d.noise(300, "noise") // so that the changes are not among the events that it remembers
	d.drain()
	t.Logf("events made in %v, changes in %v, more events in %v", filled.Sub(begin), changed.Sub(filled), time.Since(changed))
	for _, id := range []string{goes.ID, renamed.ID, moves.ID, comesID} {
		if d.dam.saw(id) {
			t.Logf("an event of %.12s came through, on the %d. stream since", id, 1+d.dam.count(eventsPath)-streams)
			return false
		}
	}

	// What was known is answered still: the test proves something.
	for _, err := range []error{
		s.agrees(goes), s.agrees(renamed), s.agrees(moves),
		s.wants(newName+".docker.", dns.TypeA, nxdomain), s.wants(comes+".docker.", dns.TypeA, nxdomain),
	} {
		if err != nil {
			t.Errorf("known without an event: %v", err)
		}
	}
	if n := d.dam.count(listPath); n != lists {
		t.Fatalf("%d lists went on to the engine", n-lists)
	}
	reconciled := s.value(lastReconcile)
	d.dam.open(&d.dam.lists)
	released := time.Now()

	goes.State.Running = false
	within(t, resync+recovery, func() error {
		if err := s.agrees(goes); err != nil {
			return err
		}
		if err := s.wants(renamed.name()+".docker.", dns.TypeA, nxdomain); err != nil {
			return err
		}
		for _, id := range []string{renamed.ID, moves.ID, comesID} {
			if err := s.agrees(e.inspect(t, id)); err != nil {
				return err
			}
		}
		return nil
	})
	t.Logf("no event of four changes came through, and nothing was known of them %v after the last one; all was %v later, with a resync of %v",
		released.Sub(changed).Round(time.Millisecond), time.Since(released).Round(time.Millisecond), resync)
	eventually(t, func() error {
		if s.value(lastReconcile) == reconciled {
			return errors.New("all is right without a comparison")
		}
		return nil
	})
	return true
}

// drain waits until all events so far that are not dropped have come through.
func (d *dropping) drain() {
	d.t.Helper()
	last := "last-" + suffix()
	d.noise(1, last)
	within(d.t, silence, func() error {
		if !d.dam.saw(last) {
			return errors.New("the last event has not come through")
		}
		return nil
	})
}

// noise makes n events that change nothing and hold the text.
func (d *dropping) noise(n int, text string) {
	d.t.Helper()
	// Several at a time, since the engine has each wait that it is about to drop.
	const parallel = 16
	var makers []func(context.Context) error
	for i := range parallel {
		makers = append(makers, func(ctx context.Context) error {
			for range (n + i) / parallel {
				if _, err := d.api.ContainerExecCreate(ctx, d.noisy, container.ExecOptions{Cmd: []string{text}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := errors.Join(d.together(makers...)...); err != nil {
		d.t.Fatalf("making events: %v", err)
	}
}

// together does all at the same time.
func (d *dropping) together(all ...func(context.Context) error) []error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, do := range all {
		wg.Go(func() { errs[i] = do(d.t.Context()) })
	}
	wg.Wait()
	return errs
}

// dam stands in a proxy. Closed, it reads no events from the engine and lets no list of containers
// through.
type dam struct {
	engine http.RoundTripper

	mu            sync.Mutex     // guards the following
	calls         map[string]int // that went on to the engine
	events, lists chan struct{}  // nil while open, closed at the opening
	through       bytes.Buffer   // the events that came through since it was closed
}

func (d *dam) wrap(engine http.RoundTripper) http.RoundTripper {
	d.engine, d.calls = engine, map[string]int{}
	return d
}

// RoundTrip implements http.RoundTripper.
func (d *dam) RoundTrip(r *http.Request) (*http.Response, error) {
	path := versions.ReplaceAllString(r.URL.Path, "/")
	if path == listPath {
		d.wait(r.Context(), &d.lists)
	}
	if path == eventsPath {
		r = unfiltered(r)
	}
	d.mu.Lock()
	d.calls[path]++
	d.mu.Unlock()
	response, err := d.engine.RoundTrip(r)
	if err == nil && path == eventsPath {
		response.Body = &dammed{response.Body, r.Context(), d}
	}
	return response, err
}

// unfiltered asks for all events: of those that the plugin asks for none can be made by the thousand without a change.
func unfiltered(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	asked := r.URL.Query()
	asked.Del("filters")
	r.URL.RawQuery = asked.Encode()
	return r
}

const (
	listPath   = "/containers/json"
	eventsPath = "/events"
)

// wait waits until the gate is open, or the caller has given up.
func (d *dam) wait(ctx context.Context, gate *chan struct{}) {
	d.mu.Lock()
	opened := *gate
	d.mu.Unlock()
	if opened != nil {
		select {
		case <-opened:
		case <-ctx.Done():
		}
	}
}

func (d *dam) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events, d.lists = make(chan struct{}), make(chan struct{})
	d.through.Reset()
}

func (d *dam) open(gate *chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if *gate != nil {
		close(*gate)
		*gate = nil
	}
}

func (d *dam) count(path string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls[path]
}

// saw reports whether an event with the text came through since the dam was closed.
func (d *dam) saw(text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Contains(d.through.Bytes(), []byte(text))
}

// dammed is a stream of events.
type dammed struct {
	io.ReadCloser
	ctx context.Context // of who reads it
	dam *dam
}

func (b *dammed) Read(p []byte) (int, error) {
	b.dam.wait(b.ctx, &b.dam.events)
	n, err := b.ReadCloser.Read(p)
	b.dam.mu.Lock()
	defer b.dam.mu.Unlock()
	b.dam.through.Write(p[:n])
	return n, err
}
