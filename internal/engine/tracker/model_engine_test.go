package tracker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// box is one container: what it is in the engine, what was read of it, and what the sinks have.
type box struct {
	truth
	book
	sink

	id      string
	tracker *Tracker // nil while the shell has none
	call    *call    // the inspect in flight
	wake    time.Time
	turns   int // deliveries that the reconciliation under way waits for
}

// truth is the container in the engine.
type truth struct {
	exists, locked   bool // locked while it is being started: inspects wait
	running, paused  bool
	stopping         bool // Podman's status, from a signal to stop on
	renamed          int
	health           container.Health
	run              int // the ordinal of its present or last run
	started, ended   time.Time
	first, second    netip.Addr // on these networks; the zero Addr if on none
	firstID, otherID string     // of the endpoints there
}

// happening is an event, and what it is of.
type happening struct {
	Event
	of     *box
	run    int
	lostIP netip.Addr // of Disconnected: the address that it has there no more
}

func (h *happening) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s%s", h.of.id, h.Action, h.Signal, h.Network)) + fmt.Sprint(" of run ", h.run)
}

// clock is the engine's time, later with each call.
func (w *world) clock() time.Time {
	now := w.now.Add(w.skew)
	if !now.After(w.last) {
		now = w.last.Add(1)
	}
	w.last = now
	return now
}

func (w *world) find(id string) *box {
	for _, b := range w.boxes {
		if b.id == id {
			return b
		}
	}
	return nil
}

func (w *world) create(id string) *box {
	b := &box{id: id}
	b.exists = true
	w.boxes = append(w.boxes, b)
	w.emit(b, Created, "create", "")
	return b
}

// ops returns what may happen to the container next.
func (b *box) ops() []string {
	switch {
	case !b.exists:
		return nil
	case b.locked:
		return []string{"started", "started", "not started"}
	case !b.running:
		return []string{"connecting", "connecting", "connecting", "rename", "destroy", "stopped"}
	}
	ops := []string{"die", "die", "kill TERM", "kill HUP", "rename", "health", "restart"}
	if b.second.IsValid() {
		ops = append(ops, "disconnect")
	} else {
		ops = append(ops, "connect")
	}
	if b.paused {
		return append(ops, "unpause")
	}
	return append(ops, "pause")
}

// do has something happen to the container, as an engine does: it changes, then the event is written. Podman tells nothing of
// the networks of a start or an end.
func (w *world) do(b *box, op string) {
	switch op {
	case "connecting": // a start, of which this is told first
		b.locked = true
		w.attach(&b.first, &b.firstID)
		if !w.podman {
			w.emit(b, Connected, "connect", "first")
		}
	case "started":
		w.launch(b)
		w.emit(b, Started, "start", "")
	case "not started":
		b.locked = false
		w.leave(b, &b.first, "first", !w.podman)
	case "die":
		w.end(b)
	case "stopped":
		w.emit(b, Lessened, "stop", "")
	case "restart": // as fast as can be
		w.end(b)
		w.attach(&b.first, &b.firstID)
		w.launch(b)
		w.emit(b, Started, "start", "")
	case "kill TERM", "kill HUP":
		b.stopping = b.stopping || w.podman && op == "kill TERM"
		w.emit(b, Signalled, "kill", "")
		w.log[len(w.log)-1].Signal = strings.TrimPrefix(op, "kill ")
	case "destroy":
		b.exists = false
		w.emit(b, Removed, "destroy", "")
	case "rename":
		b.renamed++
		w.emit(b, Changed, "rename", "")
	case "pause":
		b.paused = true
		w.emit(b, Lessened, op, "")
	case "unpause":
		b.paused = false
		w.emit(b, Changed, op, "")
	case "health":
		b.health = b.health%3 + 1
		w.emit(b, Changed, "health_status", "")
	case "connect":
		w.attach(&b.second, &b.otherID)
		w.emit(b, Connected, op, "second")
	case "disconnect":
		w.leave(b, &b.second, "second", true)
	default:
		panic(op)
	}
}

// attach makes an endpoint, with an ID and an address that no other has had.
func (w *world) attach(ip *netip.Addr, id *string) {
	w.endpoints++
	*ip = netip.AddrFrom4([4]byte{10, 0, byte(w.endpoints >> 8), byte(w.endpoints)})
	if !w.podman {
		*id = ip.String()
	}
}

// leave ends an endpoint. Docker tells of it twice.
func (w *world) leave(b *box, ip *netip.Addr, network string, told bool) {
	was := *ip
	*ip = netip.Addr{}
	for range 2 {
		if told {
			w.emit(b, Disconnected, "disconnect", network)
			w.log[len(w.log)-1].lostIP = was
		}
	}
}

func (w *world) launch(b *box) {
	b.running, b.locked, b.paused, b.stopping, b.health = true, false, false, false, container.HealthNone
	b.run++
	b.started = w.clock()
}

func (w *world) end(b *box) {
	b.running, b.stopping = false, false
	b.ended = w.clock()
	w.emit(b, Ended, "die", "")
	w.leave(b, &b.first, "first", !w.podman)
}

// emit writes an event, of the container's present or last run. Without a connection nobody reads it.
func (w *world) emit(b *box, kind Kind, action, network string) {
	h := &happening{Event: Event{Kind: kind, Action: action, At: w.clock(), Network: network}, of: b, run: b.run}
	w.log = append(w.log, h)
	if w.connected {
		w.pending = append(w.pending, h)
	} else {
		w.lose(h)
	}
}

// stopTimeout is what the container declares: it is another one for each, and none for one of them.
func (b *box) stopTimeout() time.Duration {
	return map[string]time.Duration{"a": 10 * time.Second, "b": time.Second, "c": -1, "d": 20 * time.Second}[b.id]
}

// hostNetwork reports whether the container uses the host's network: then a list shows nothing of its restart.
func (b *box) hostNetwork() bool { return b.id == "d" }

// facts are what is true of the container, nil unless it runs. They are never the same twice.
func (b *box) facts() *container.Container {
	if !b.running {
		return nil
	}
	return &container.Container{
		ID: b.id, Name: b.name(), Hostname: b.id, Paused: b.paused, Health: b.health, Started: b.started,
		StopTimeout: b.stopTimeout(), Stopping: b.stopping, Endpoints: b.endpoints(),
	}
}

func (b *box) name() string { return fmt.Sprint(b.id, "-", b.renamed) }

func (b *box) endpoints() (eps []container.Endpoint) {
	if b.hostNetwork() {
		return nil
	}
	add := func(network string, ip netip.Addr, id string) {
		if ip.IsValid() {
			eps = append(eps, container.Endpoint{ID: id, Network: network, Addrs: []netip.Addr{ip}, Aliases: []string{"alias-" + b.id}})
		}
	}
	add("first", b.first, b.firstID)
	add("second", b.second, b.otherID)
	return eps
}

// answer returns what an inspect says, nil while the container is locked.
func (b *box) answer() *Answer {
	switch {
	case b.locked:
		return nil
	case !b.exists:
		return &Answer{Gone: true}
	case b.running:
		return &Answer{Facts: b.facts(), Since: b.started}
	case b.run == 0:
		return &Answer{Created: &container.Container{ID: b.id, Name: b.name()}}
	default:
		return &Answer{Since: b.ended}
	}
}

// list returns what a list says. Podman's has the aliases, and leaves out who is stopping.
func (w *world) list() []Summary {
	all := []Summary{}
	for _, b := range w.boxes {
		if !b.running || b.stopping {
			continue
		}
		s := Summary{ID: b.id, Name: b.name(), Paused: b.paused, Health: b.health, Endpoints: slices.Clone(b.endpoints())}
		for i := range s.Endpoints {
			if !w.podman {
				s.Endpoints[i].Aliases = nil
			}
		}
		all = append(all, s)
	}
	return all
}
