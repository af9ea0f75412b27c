package enginetest

import (
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/docker/api/types/events"
)

const (
	remembered = 256                    // past events that a daemon can replay
	queued     = 1024                   // events that wait for one reader
	patience   = 100 * time.Millisecond // with a reader whose queue is full, before its event is dropped
)

// broker hands events to readers, each in the order in which they happened.
type broker struct {
	mu      sync.Mutex // guards what follows; held while an event is handed out, so that all readers see one order
	past    []message
	readers map[*reader]struct{}
	last    int64 // nanoseconds of the last event: no two are alike
	drop    bool
	cuts    int // how often streams were cut

	stalled atomic.Pointer[gate] // streams wait at it; nil: they flow
}

// message is an event with the fields of old, which engines still send, and what Podman adds.
type message struct {
	Status string `json:"status,omitempty"`
	ID     string `json:"id,omitempty"`
	From   string `json:"from,omitempty"`
	events.Message
	HealthStatus string `json:",omitempty"`
}

// reader is one event stream's end of the broker.
type reader struct {
	queue  chan []byte
	cut    chan struct{} // closed: end the connection
	accept func(*events.Message) bool
	slow   bool // let its patience run out and has not caught up: the next events wait no longer
}

// opened returns what subscribe wants to know of the moment before a stream's headers are sent.
func (b *broker) opened() (cuts int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cuts
}

// subscribe also returns what happened since. A stream is cut at once if streams were since it was opened: who has its headers counts on that.
func (e *Engine) subscribe(opened int, since time.Time, accept func(*events.Message) bool) (r *reader, past [][]byte) {
	r = &reader{queue: make(chan []byte, queued), cut: make(chan struct{}), accept: accept}
	b := &e.events
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.past {
		if m := &b.past[i]; !since.IsZero() && m.TimeNano >= since.UnixNano() && accept(&m.Message) {
			past = append(past, line(m))
		}
	}
	if b.cuts != opened {
		close(r.cut)
		return r, past
	}
	if b.readers == nil {
		b.readers = map[*reader]struct{}{}
	}
	b.readers[r] = struct{}{}
	e.calls.add(streamsKey, 1)
	return r, past
}

func (e *Engine) leaveStream(r *reader) {
	e.events.mu.Lock()
	defer e.events.mu.Unlock()
	if _, in := e.events.readers[r]; in { // it may have been cut, and is then no longer counted
		delete(e.events.readers, r)
		e.calls.add(streamsKey, -1)
	}
}

func (b *broker) publish(m message, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drop {
		return
	}
	b.last = max(b.last+1, now.UnixNano())
	m.Time, m.TimeNano = b.last/int64(time.Second), b.last
	if len(b.past) == remembered {
		b.past = b.past[1:]
	}
	b.past = append(b.past, m)
	b.hand(line(&m), func(r *reader) bool { return r.accept(&m.Message) })
}

// hand is to be called with mu held.
func (b *broker) hand(line []byte, to func(*reader) bool) {
	for r := range b.readers {
		if !to(r) {
			continue
		}
		select {
		case r.queue <- line:
			r.slow = false
			continue
		default:
		}
		if r.slow {
			continue
		}
		select {
		case r.queue <- line:
		case <-time.After(patience):
			r.slow = true
		}
	}
}

func (b *broker) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.past = nil
}

func line(m *message) []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers
	}
	return append(b, '\n')
}

// DropEvents keeps events from everybody, past ones' memory included, while drop is set: changes go on silently.
func (e *Engine) DropEvents(drop bool) {
	e.events.mu.Lock()
	defer e.events.mu.Unlock()
	e.events.drop = drop
}

// CutStreams ends the event streams' connections in the middle, as a crash does.
func (e *Engine) CutStreams() {
	e.events.mu.Lock()
	defer e.events.mu.Unlock()
	e.events.cuts++
	for r := range e.events.readers {
		close(r.cut)
		delete(e.events.readers, r)
		e.calls.add(streamsKey, -1)
	}
}

// StallStreams leaves event streams open but silent while stall is set. Afterwards come the events that were queued
// meanwhile: 1,024, the rest is lost, as with any slow reader.
func (e *Engine) StallStreams(stall bool) {
	e.events.mu.Lock()
	defer e.events.mu.Unlock()
	switch g := e.events.stalled.Load(); {
	case stall && g == nil:
		e.events.stalled.Store(newGate())
	case !stall && g != nil:
		e.events.stalled.Store(nil)
		g.release()
	}
}

// Emit sends any event to the streams.
func (e *Engine) Emit(typ, action, actorID string, attrs map[string]string) {
	e.emit(typ, action, actorID, attrs, "")
}

func (e *Engine) emit(typ, action, actorID string, attrs map[string]string, health string) {
	m := message{HealthStatus: health, Message: events.Message{
		Type: events.Type(typ), Action: events.Action(action), Scope: "local",
		Actor: events.Actor{ID: actorID, Attributes: maps.Clone(attrs)},
	}}
	if m.Actor.Attributes == nil {
		m.Actor.Attributes = map[string]string{}
	}
	if typ == "container" || e.flavour == Podman {
		m.Status, m.ID, m.From = action, actorID, attrs["image"]
	}
	e.events.publish(m, e.now())
}

// EmitRaw sends bytes into the streams as they are: half a message, garbage, a message of another time.
func (e *Engine) EmitRaw(line []byte) {
	e.events.mu.Lock()
	defer e.events.mu.Unlock()
	e.events.hand(line, func(*reader) bool { return true })
}

// publish tells of a container; extra are pairs of attributes.
func (e *Engine) publish(c *snapshot, action string, extra ...string) {
	attrs := make(map[string]string, len(c.Labels)+len(extra)/2+3)
	maps.Copy(attrs, c.Labels)
	attrs["image"], attrs["name"] = c.Image, c.Name
	if e.flavour == Podman {
		attrs["podId"] = ""
	}
	for i := 0; i+1 < len(extra); i += 2 {
		attrs[extra[i]] = extra[i+1]
	}
	health := ""
	if before, after, ok := strings.Cut(action, ": "); ok && e.flavour == Podman {
		action, health = before, after // it has the outcome in a field of its own
	}
	e.emit("container", action, c.id, attrs, health)
}

// publishEndpoint tells of a container's coming to or leaving a network. Podman has it the other way round: the actor is
// the container, the network an attribute.
func (e *Engine) publishEndpoint(c *snapshot, n *network, action string) {
	if e.flavour == Podman {
		e.Emit("network", action, c.id, map[string]string{"image": "", "name": c.Name, "network": n.Name, "podId": ""})
		return
	}
	e.Emit("network", action, n.id, map[string]string{"container": c.id, "name": n.Name, "type": n.Driver})
}

func (e *Engine) publishNetwork(n *network, action string) {
	if e.flavour == Podman {
		e.Emit("network", strings.Replace(action, "destroy", "remove", 1), n.id, map[string]string{"driver": n.Driver, "image": "", "name": "", "network": n.Name, "podId": ""})
		return
	}
	e.Emit("network", action, n.id, map[string]string{"name": n.Name, "type": n.Driver})
}
