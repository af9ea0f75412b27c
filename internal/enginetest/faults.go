package enginetest

import (
	"context"
	"maps"
	"sync"
	"time"
)

// faults is what goes wrong on purpose. Inspect faults are kept by id where the container is known, else by the name that
// it may get.
type faults struct {
	mu       sync.Mutex // guards what follows
	hang     map[string]map[*gate]struct{}
	fail     map[string]failure
	truncate map[string]int
	raw      map[string][]byte
	cut      map[string]int    // by kind of call: after how many octets its answers end
	answers  map[string][]byte // by kind of call
}

type failure struct{ left, status int }

// gate holds whoever waits at it until it is opened; opening twice does no harm.
type gate struct {
	open chan struct{}
	once sync.Once
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) release() { g.once.Do(func() { close(g.open) }) }

// HangInspect makes inspects of the container block until released or given up by the caller. They then answer what is
// true at the release.
func (e *Engine) HangInspect(id string) (release func()) { return e.hang("inspect " + e.resolve(id)) }

// HangCalls makes all calls of a kind (see Calls) block until released or given up by the caller.
func (e *Engine) HangCalls(kind string) (release func()) { return e.hang(kind) }

// everything stands for all kinds of calls.
const everything = ""

// Freeze makes all calls and event streams block until thawed, as with a process that is stopped. Connections are accepted.
func (e *Engine) Freeze() (thaw func()) {
	e.StallStreams(true)
	release := e.hang(everything)
	return func() {
		release()
		e.StallStreams(false)
	}
}

// SetClock sets the engine's clock ahead of ours, or back if that is negative.
func (e *Engine) SetClock(ahead time.Duration) {
	e.events.mu.Lock()
	defer e.events.mu.Unlock()
	e.ahead.Store(int64(ahead))
	e.events.last = 0 // the events' times follow
}

func (e *Engine) hang(key string) func() {
	g := newGate()
	f := &e.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hang == nil {
		f.hang = map[string]map[*gate]struct{}{}
	}
	if f.hang[key] == nil {
		f.hang[key] = map[*gate]struct{}{}
	}
	f.hang[key][g] = struct{}{}
	return func() {
		f.mu.Lock()
		delete(f.hang[key], g)
		f.mu.Unlock()
		g.release()
	}
}

// FailCalls makes the next n calls of a kind (see Calls) answer with the status and a message; n < 0: all, until
// ClearFaults. Status 0 closes the connection without an answer.
func (e *Engine) FailCalls(kind string, n, status int) {
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	if e.faults.fail == nil {
		e.faults.fail = map[string]failure{}
	}
	e.faults.fail[kind] = failure{n, status}
}

// TruncateInspect makes the answer to inspects of the container end after n bytes, with the connection; n < 0 resets.
func (e *Engine) TruncateInspect(id string, n int) {
	id = e.resolve(id)
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	if e.faults.truncate == nil {
		e.faults.truncate = map[string]int{}
	}
	if e.faults.truncate[id] = n; n < 0 {
		delete(e.faults.truncate, id)
	}
}

// RawInspect makes body the answer to inspects of the container; nil resets.
func (e *Engine) RawInspect(id string, body []byte) {
	id = e.resolve(id)
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	if e.faults.raw == nil {
		e.faults.raw = map[string][]byte{}
	}
	if e.faults.raw[id] = body; body == nil {
		delete(e.faults.raw, id)
	}
}

// CutCalls makes the answers to calls of a kind (see Calls) end after n octets, with the connection; n < 0 resets.
func (e *Engine) CutCalls(kind string, n int) {
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	if e.faults.cut == nil {
		e.faults.cut = map[string]int{}
	}
	if e.faults.cut[kind] = n; n < 0 {
		delete(e.faults.cut, kind)
	}
}

// cutting is after how many octets an answer to the kind of call is to end, if it is.
func (f *faults) cutting(kind string) (n int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, ok = f.cut[kind]
	return n, ok
}

// RawAnswer makes body the answer to all calls of a kind (see Calls), or of one with what it is about as in "network NAME", but
// not to inspects; nil resets.
func (e *Engine) RawAnswer(kind string, body []byte) {
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	if e.faults.answers == nil {
		e.faults.answers = map[string][]byte{}
	}
	if e.faults.answers[kind] = body; body == nil {
		delete(e.faults.answers, kind)
	}
}

// ClearFaults ends all faults: hanging calls go on, streams carry events again.
func (e *Engine) ClearFaults() {
	f := &e.faults
	f.mu.Lock()
	for _, gates := range f.hang {
		for g := range maps.Keys(gates) {
			g.release()
		}
	}
	f.hang, f.fail, f.truncate, f.raw, f.cut, f.answers = nil, nil, nil, nil, nil, nil
	f.mu.Unlock()
	e.DropEvents(false)
	e.StallStreams(false)
}

// wait blocks while one of the keys hangs; false: the caller gave up.
func (f *faults) wait(ctx context.Context, keys ...string) bool {
	for {
		var held *gate
		f.mu.Lock()
		for _, key := range append(keys, everything) {
			for g := range f.hang[key] {
				held = g
			}
		}
		f.mu.Unlock()
		if held == nil {
			return true
		}
		select {
		case <-held.open:
		case <-ctx.Done():
			return false
		}
	}
}

// failing takes one failure of the kind, if one is due.
func (f *faults) failing(kind string) (status int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	due := f.fail[kind]
	if due.left == 0 {
		return 0, false
	}
	if due.left > 0 {
		due.left--
		f.fail[kind] = due
	}
	return due.status, true
}

// answer is what all calls of the kind are answered with, if a test wants so.
func (f *faults) answer(kind, ref string) (body []byte, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if body, ok = f.answers[kind+" "+ref]; !ok {
		body, ok = f.answers[kind]
	}
	return body, ok
}

// inspectBody is what becomes of an inspect's answer, and whether the connection ends with it.
func (f *faults) inspectBody(body []byte, keys ...string) (spoilt []byte, cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range keys {
		if raw, ok := f.raw[key]; ok {
			body = raw
		}
		if n, ok := f.truncate[key]; ok && n < len(body) {
			return body[:n], true
		}
	}
	return body, false
}
