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
	e := newEngine(t)
	e.start()
	network, second := e.populate(), e.network(t)
	d := &dam{}
	p := startProxy(t, e.socket(), d.wrap)
	s := serve(t, config{body: fmt.Sprintf("docker docker. 198.18.0.0/15 {\nendpoint unix://%s\nresync %v\n}", p.socket, resync)})
	// All of a container's labels stand in its events: with such a one few of them fill the buffers on the way.
	noisy := e.run(t, "--network", network, "--label", "noise="+strings.Repeat("x", 8<<10))
	for range 3 {
		if dropEvents(t, e, s, d, noisy, network, second, resync) {
			return
		}
	}
	t.Error("the machine is too slow: the plugin renewed its event stream before the engine had to drop events")
}

// dropEvents has the engine drop the events of some changes, looks that they are not known, and that they soon
// are. It reports whether it could.
func dropEvents(t *testing.T, e *privateEngine, s *server, d *dam, noisy, network, second string, resync time.Duration) bool {
	t.Helper()
	known := func(name string) inspection {
		c := e.inspect(t, e.run(t, "--network", network, "--name", name+"-"+suffix()))
		eventually(t, func() error { return s.agrees(c) })
		return c
	}
	// mark waits until all events so far have come through.
	mark := func() {
		t.Helper()
		last := e.do(t, "create", image)
		t.Cleanup(func() { e.output("rm", last) })
		within(t, silence, func() error {
			if !d.saw(last) {
				return errors.New("the last event has not come through")
			}
			return nil
		})
	}
	goes, renamed, moves := known("goes"), known("renamed"), known("moves")
	newName := "after-" + renamed.name()

	// A new stream begins with the last events that the engine remembers, which are 256. Until the
	// next one is the most time directly after one.
	streams := d.count(eventsPath)
	within(t, silence, func() error {
		if d.count(eventsPath) == streams {
			return errors.New("no new event stream")
		}
		return nil
	})
	mark()
	d.close()
	defer d.open(&d.lists)
	defer d.open(&d.events)
	streams, lists := d.count(eventsPath), d.count(listPath)
	// The engine's queue holds 1,024 events; for one more it waits 100 ms and then drops it.
	e.noise(t, noisy, 1024+300)
	begin := time.Now()
	e.do(t, "rm", "-f", goes.ID)
	e.do(t, "rename", renamed.ID, newName)
	e.do(t, "network", "connect", second, moves.ID)
	comes := e.inspect(t, e.run(t, "--network", network, "--name", "comes-"+suffix()))
	changed := []string{goes.ID, renamed.ID, moves.ID, comes.ID}
	d.open(&d.events)
	e.noise(t, noisy, 300) // so that the changes are not among those that it remembers
	mark()
	for _, id := range changed {
		if d.saw(id) {
			t.Logf("an event of %.12s came through, on the %d. stream since", id, 1+d.count(eventsPath)-streams)
			return false
		}
	}

	// What was known is answered still: the test proves something.
	for _, err := range []error{
		s.agrees(goes), s.agrees(renamed), s.agrees(moves),
		s.wants(newName+".docker.", dns.TypeA, nxdomain), s.wants(comes.name()+".docker.", dns.TypeA, nxdomain),
	} {
		if err != nil {
			t.Errorf("known without an event: %v", err)
		}
	}
	if n := d.count(listPath); n != lists {
		t.Fatalf("%d lists went on to the engine", n-lists)
	}
	reconciled := s.value(lastReconcile)
	stale := time.Since(begin)
	d.open(&d.lists)
	released := time.Now()

	goes.State.Running = false
	within(t, resync+recovery, func() error {
		if err := s.agrees(goes); err != nil {
			return err
		}
		if err := s.wants(renamed.name()+".docker.", dns.TypeA, nxdomain); err != nil {
			return err
		}
		for _, id := range changed[1:] {
			if err := s.agrees(e.inspect(t, id)); err != nil {
				return err
			}
		}
		return nil
	})
	t.Logf("no event of four changes came through; %v after the first nothing was known of them, all %v later, with a resync of %v",
		stale.Round(time.Millisecond), time.Since(released).Round(time.Millisecond), resync)
	eventually(t, func() error {
		if s.value(lastReconcile) == reconciled {
			return errors.New("all is right without a comparison")
		}
		return nil
	})
	return true
}

// noise makes events that change nothing.
func (e *privateEngine) noise(t *testing.T, id string, n int) {
	t.Helper()
	api, err := dockerclient.NewClientWithOpts(dockerclient.WithHost(e.host), dockerclient.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	// Several at a time, since the engine has each wait that it is about to drop.
	const parallel = 16
	var makers sync.WaitGroup
	for i := range parallel {
		makers.Go(func() {
			for range (n + i) / parallel {
				if _, err := api.ContainerExecCreate(t.Context(), id, container.ExecOptions{Cmd: []string{"/image"}}); err != nil {
					t.Errorf("making an event: %v", err)
					return
				}
			}
		})
	}
	makers.Wait()
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
	d.mu.Lock()
	d.calls[path]++
	d.mu.Unlock()
	response, err := d.engine.RoundTrip(r)
	if err == nil && path == eventsPath {
		response.Body = &dammed{response.Body, r.Context(), d}
	}
	return response, err
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
