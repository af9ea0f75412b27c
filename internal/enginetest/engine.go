// Package enginetest is a Docker API on a unix socket that tests drive: it speaks the reading half of the Docker Engine
// API, holds a hundred thousand containers, and breaks in every way in which engines and the way to them break.
//
// A test is the engine's operator: it runs, stops, renames and connects containers with calls such as [Engine.Run], and
// the code under test sees the answers and the events that a real engine would give, in that engine's order ([Flavour];
// testdata holds what real engines answered). Misuse, such as stopping an unknown container, panics.
package enginetest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Engine is a fake container engine. All methods may be called from any goroutine. A change is complete before its event
// goes out; changes to one container happen one after the other.
type Engine struct {
	flavour    Flavour
	tcp        bool
	startDelay time.Duration
	now        func() time.Time
	ahead      atomic.Int64 // of the clock, in nanoseconds
	info       func(map[string]any)
	swarm      atomic.Pointer[membership]
	startGate  atomic.Pointer[gate] // starts end when it is open; nil: they need not wait
	serial     uint64               // sets this engine's ids apart from another's in the same process

	events broker
	calls  counters
	faults faults

	mu         sync.RWMutex // guards what follows
	containers map[string]*slot
	names      map[string]*slot
	order      []*slot // oldest first; holds removed slots until they are the majority
	removed    int
	made       uint64 // objects that ever got an id
	networks   map[string]*network
	subnets    int  // default subnets given out
	unnamed    bool // see UnnamedGateways

	life    sync.Mutex // guards what follows: one Down, Up or Close at a time
	network string
	address string
	server  *http.Server
	serving sync.WaitGroup // the accepting goroutine and one for each connection
}

// Option changes what New and Start make.
type Option func(*Engine)

// WithFlavour chooses the engine that is imitated; Docker2010 if not given.
func WithFlavour(f Flavour) Option { return func(e *Engine) { e.flavour = f } }

// WithTCP serves on a TCP port of the loopback instead of a unix socket.
func WithTCP() Option { return func(e *Engine) { e.tcp = true } }

// WithStartDelay makes a container's start take d: its networks' connect events go out first, and inspects of it block
// until it runs, as with a real engine (some 200 to 400 ms there).
func WithStartDelay(d time.Duration) Option { return func(e *Engine) { e.startDelay = d } }

// WithInfo lets f change every answer to GET /info, e.g. to add "name=rootless" to SecurityOptions.
func WithInfo(f func(info map[string]any)) Option { return func(e *Engine) { e.info = f } }

var engines atomic.Uint64

// New starts an engine that ends with the test.
func New(t testing.TB, opts ...Option) *Engine {
	t.Helper()
	dir, err := os.MkdirTemp("", "eng") // t.TempDir's paths may exceed a socket's 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	e, err := Start(filepath.Join(dir, "d.sock"), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return e
}

// Start is New for use outside tests: the caller calls Close. With WithTCP the socket's path is not used.
func Start(socket string, opts ...Option) (*Engine, error) {
	e := &Engine{
		serial:     engines.Add(1),
		containers: map[string]*slot{},
		names:      map[string]*slot{},
		networks:   map[string]*network{},
		network:    "unix",
		address:    socket,
	}
	e.now = func() time.Time { return time.Now().Add(time.Duration(e.ahead.Load())) }
	for _, o := range opts {
		o(e)
	}
	if e.tcp {
		e.network, e.address = "tcp", "127.0.0.1:0"
	}
	e.addNetwork(NetworkSpec{Name: e.flavour.bridge(), Driver: "bridge", Subnets: []string{e.flavour.about().subnet}})
	e.addNetwork(NetworkSpec{Name: "host", Driver: "host"})
	e.addNetwork(NetworkSpec{Name: "none", Driver: "null"})
	return e, e.Up()
}

// Host is the engine's address as in DOCKER_HOST.
func (e *Engine) Host() string {
	e.life.Lock()
	defer e.life.Unlock()
	return e.network + "://" + e.address
}

// Close takes the engine away for good and waits for its goroutines.
func (e *Engine) Close() error { return e.Down() }

// Down takes the listener and all connections away, as a stopped or crashed daemon does. Containers stay and can be
// changed meanwhile; nobody hears of it. Without effect on an engine that is down.
func (e *Engine) Down() error {
	e.life.Lock()
	defer e.life.Unlock()
	if e.server == nil {
		return nil
	}
	err := e.server.Close()
	e.serving.Wait()
	e.events.forget() // a daemon's memory of past events does not outlive it
	e.server = nil
	return err
}

// Up brings the engine back at the same address.
func (e *Engine) Up() error {
	e.life.Lock()
	defer e.life.Unlock()
	if e.server != nil {
		return errors.New("enginetest: engine is up")
	}
	l, err := net.Listen(e.network, e.address)
	if err != nil {
		return fmt.Errorf("enginetest: %w", err)
	}
	e.address = l.Addr().String()
	e.events.forget()
	s := &http.Server{Handler: http.HandlerFunc(e.serve), ReadHeaderTimeout: time.Minute, ConnState: e.track}
	e.server = s
	e.serving.Add(1)
	go func() {
		defer e.serving.Done()
		_ = s.Serve(l) // ends with the server's Close, and then always with an error
	}()
	return nil
}

// track counts connections. New ones are reported by the accepting goroutine, so that none comes after the last is gone.
func (e *Engine) track(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		e.serving.Add(1)
	case http.StateClosed, http.StateHijacked:
		e.serving.Done()
	}
}
