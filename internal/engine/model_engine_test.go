package engine

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"
)

// modelEngine is an engine that changes, answers and tells of events when a schedule says
// so. It keeps book of what the watcher has read: from this follows which changes the sink
// must get, in their order, and none besides.
type modelEngine struct {
	podman bool          // other names of actions, and endpoints without IDs
	skew   time.Duration // of the engine's clock

	mu         sync.Mutex        // guards the following
	last       time.Time         // what the clock said last: no two things happen at once
	containers []*modelContainer // in the order of their creation
	networks   int
	endpoints  int           // that were made
	log        []*modelEvent // all events, for new streams
	stream     *modelStream  // the last that was opened
	calls      []*modelCall  // unanswered
	policies   map[string]policy
	prompt     bool          // events are read as they come
	asked      chan struct{} // has an item when there is a new call

	broken []string // what should not be

	dials    []time.Time
	closed   int // connections
	streams  int // that were asked for, as lists
	lists    int
	listed   int // lists that were answered, the last
	lastList time.Time
	told     time.Time // of the last event that was read, or the session's beginning
	failure  bool      // an inspect has failed
	lost     time.Time // a network's event, as modelContainer's

	host                *container.Host // the sink's
	synced              int
	current, subscribed bool // the sink's, and that it was told so
	applies             int
}

// modelContainer is one container in the engine, and what is known of it elsewhere.
type modelContainer struct {
	id              string
	exists, locked  bool // locked while it is being started: inspects wait
	running, paused bool
	renamed         int
	health          container.Health
	run             int // the ordinal of its present or last run
	started, ended  time.Time
	own, second     string // IDs of endpoints; "" for none
	ownIP, secondIP netip.Addr
	facts           *container.Container // nil unless it runs

	// What the watcher has read: its last inspect's answer, and of which run that is; the
	// last runs of whose end or stop signal an event has told.
	told       *container.Container
	toldRun    int
	over, stop int
	stopAt     time.Time // the last stop signal's
	stopUntil  time.Time // by then it must have ended, or it does not stop
	recovered  bool      // it has not, as is known

	want    *container.Container   // follows from it
	changes []*container.Container // to want, which the sink has not got yet
	has     *container.Container   // the sink
	gone    bool                   // the sink knows
	waits   bool                   // for its first start, the sink knows
	starts  bool                   // as the sink has been told
	unread  bool                   // likewise

	// lost is when an event was written that is not read, if nothing newer has been read since.
	lost     time.Time
	events   int         // read, of those that are worth an inspect
	failures int         // of inspects
	asked    []time.Time // inspects
	asking   int
}

// modelEvent is an event and the run of the container that it is of.
type modelEvent struct {
	event
	of  *modelContainer // nil for a network's
	run int
}

func (ev *modelEvent) String() string {
	if ev.of == nil {
		return ev.kind + " " + ev.Action
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", ev.of.id, ev.Action, ev.Signal)) + fmt.Sprint(" of run ", ev.run)
}

func newModelEngine() *modelEngine {
	return &modelEngine{networks: 1, asked: make(chan struct{}, 1), policies: map[string]policy{"dial": answer, "info": answer, "networks": answer, "events": answer}}
}

// breaks notes that a property does not hold.
func (e *modelEngine) breaks(format string, args ...any) {
	e.broken = append(e.broken, fmt.Sprintf(format, args...))
}

// failed reports whether a property does not hold.
func (e *modelEngine) failed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.broken != nil
}

// takes and ends report what an event means for a container that runs.
func takes(ev *modelEvent) bool {
	return ends(ev) || ev.Kind == tracker.Lessened || ev.Kind == tracker.Disconnected
}
func ends(ev *modelEvent) bool { return ev.Kind == tracker.Ended || ev.Kind == tracker.Removed }

func same(a, b *container.Container) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(b)
}

// clock is the engine's time, later with each call.
func (e *modelEngine) clock() time.Time {
	now := time.Now().Add(e.skew)
	if !now.After(e.last) {
		now = e.last.Add(1)
	}
	e.last = now
	return now
}

func (e *modelEngine) find(id string) *modelContainer {
	for _, c := range e.containers {
		if c.id == id {
			return c
		}
	}
	return nil
}

func (e *modelEngine) create() *modelContainer {
	c := &modelContainer{id: string(rune('a' + len(e.containers))), exists: true}
	e.containers = append(e.containers, c)
	e.emit(c, "container", "create", "")
	return c
}

// ops returns what may happen to the container next.
func (c *modelContainer) ops() []string {
	switch {
	case !c.exists:
		return nil
	case c.locked:
		return []string{"started", "not started"}
	case !c.running:
		return []string{"connecting", "connecting", "connecting", "rename", "destroy", "stopped"}
	}
	ops := []string{"die", "die", "kill TERM", "kill HUP", "rename", "exec", "health", "restart"}
	if c.second == "" {
		ops = append(ops, "connect")
	} else {
		ops = append(ops, "disconnect")
	}
	if c.paused {
		return append(ops, "unpause")
	}
	return append(ops, "pause")
}

// do has something happen to the container, as an engine does: it changes, then the event
// is written.
func (e *modelEngine) do(c *modelContainer, op string) {
	switch op {
	case "connecting": // a start, of which this is told first
		c.locked = true
		e.attach(&c.own, &c.ownIP)
		e.emit(c, "network", "connect", "")
	case "started":
		e.launch(c)
		e.emit(c, "container", "start", "")
	case "not started":
		c.locked, c.own = false, ""
		e.emit(c, "network", "disconnect", "")
	case "die":
		e.end(c)
		e.emit(c, "container", "die", "")
		e.emit(c, "network", "disconnect", "")
	case "stopped":
		e.emit(c, "container", "stop", "")
	case "restart": // as fast as can be
		e.end(c)
		e.emit(c, "container", "die", "")
		e.attach(&c.own, &c.ownIP)
		e.launch(c)
		e.emit(c, "container", "start", "")
	case "kill TERM", "kill HUP":
		e.emit(c, "container", "kill", strings.TrimPrefix(op, "kill "))
	case "destroy":
		c.exists = false
		e.emit(c, "container", "destroy", "")
	case "rename":
		c.renamed++
		e.changed(c)
		e.emit(c, "container", "rename", "")
	case "pause", "unpause":
		c.paused = op == "pause"
		e.changed(c)
		e.emit(c, "container", op, "")
	case "health":
		c.health = c.health%3 + 1
		e.changed(c)
		e.emit(c, "container", "health_status", "")
	case "connect":
		e.attach(&c.second, &c.secondIP)
		e.changed(c)
		e.emit(c, "network", "connect", "")
	case "disconnect":
		c.second = ""
		e.changed(c)
		e.emit(c, "network", "disconnect", "")
		e.emit(c, "network", "disconnect", "") // Docker tells it twice
	case "exec":
		e.emit(c, "container", "exec_start", "")
	default:
		panic(op)
	}
}

// attach makes an endpoint, with an ID and an address that no other has had.
func (e *modelEngine) attach(id *string, ip *netip.Addr) {
	e.endpoints++
	*id = fmt.Sprint("endpoint-", e.endpoints)
	*ip = netip.AddrFrom4([4]byte{10, 0, byte(e.endpoints >> 8), byte(e.endpoints)})
}

func (e *modelEngine) launch(c *modelContainer) {
	c.running, c.locked, c.paused, c.health = true, false, false, container.HealthNone
	c.run++
	c.started = e.clock()
	e.changed(c)
}

func (e *modelEngine) end(c *modelContainer) {
	c.running, c.own = false, ""
	c.ended = e.clock()
	e.changed(c)
}

// changed makes the container's facts anew.
func (e *modelEngine) changed(c *modelContainer) {
	if c.facts = nil; !c.running {
		return
	}
	c.facts = &container.Container{
		ID: c.id, Name: fmt.Sprint(c.id, "-", c.renamed), Hostname: c.id, Paused: c.paused, Health: c.health,
		Started: c.started, StopTimeout: c.stopTimeout(),
	}
	if c.id == "d" { // it uses the host's network: a list shows nothing of its restart
		return
	}
	c.facts.Endpoints = []container.Endpoint{e.endpoint(c, c.own, "first", c.ownIP)}
	if c.second != "" {
		c.facts.Endpoints = append(c.facts.Endpoints, e.endpoint(c, c.second, "second", c.secondIP))
	}
}

// stopTimeout is what the container declares: it is another one for each, and none for one of them.
func (c *modelContainer) stopTimeout() time.Duration {
	return map[string]time.Duration{"a": defaultStopTimeout, "b": time.Second, "c": -1, "d": 20 * time.Second}[c.id]
}

// signalled notes that the watcher gets a signal to stop, of the given run.
func (c *modelContainer) signalled(at time.Time, run int) {
	if at.After(c.stopAt) {
		c.stopAt, c.stopUntil = at, time.Now().Add(c.stopTimeout()+tracker.StopGrace)
	}
	c.stop = max(c.stop, run)
	if c.want == nil || !c.want.Stopping { // else it is looked at later whether it still runs
		c.recovered = c.lasts()
	}
	if c.stopTimeout() >= 0 {
		c.events++ // there is an inspect when it must have ended
	}
}

// lasts reports whether the container runs for longer than it may after a signal to stop.
func (c *modelContainer) lasts() bool { return c.stopTimeout() >= 0 && !time.Now().Before(c.stopUntil) }

func (e *modelEngine) endpoint(c *modelContainer, id, network string, ip netip.Addr) container.Endpoint {
	ep := container.Endpoint{ID: id, Network: network, Addrs: []netip.Addr{ip}, Aliases: []string{"alias-" + c.id}}
	if e.podman {
		ep.ID = ""
	}
	return ep
}

// podmanActions are Podman's names where they differ from Docker's.
var podmanActions = map[string]string{"die": "died", "destroy": "remove"}

// emit writes an event, of the container's present or last run.
func (e *modelEngine) emit(c *modelContainer, kind, action, signal string) {
	ev := &modelEvent{event: event{kind: kind, Event: tracker.Event{Action: action, Signal: signal, At: e.clock()}}, of: c}
	if e.podman {
		ev.Action = cmp.Or(podmanActions[action], action)
	}
	ev.Kind = kindOf(ev.Action)
	if c != nil {
		ev.container, ev.run = c.id, c.run
	}
	e.log = append(e.log, ev)
	if e.stream != nil {
		e.stream.pending = append(e.stream.pending, ev)
		e.pump()
	}
}

// pump lets the watcher read what is pending, if it may at once.
func (e *modelEngine) pump() {
	if s := e.stream; e.prompt && s != nil && s.reading && len(s.pending) > 0 {
		e.tell(s.pending[0])
	}
}

// tell lets the watcher read a pending event, if it still does.
func (e *modelEngine) tell(ev *modelEvent) {
	s := e.stream
	if i := slices.Index(s.pending, ev); i >= 0 && s.reading {
		s.pending = slices.Delete(s.pending, i, i+1)
		e.read(ev)
		s.reading = false
		s.ready <- ev.event
	}
}

// read notes that the watcher gets the event.
func (e *modelEngine) read(ev *modelEvent) {
	e.told = later(e.told, ev.At)
	c := ev.of
	if c == nil {
		e.found(ev.At)
		return
	}
	if !harmless[ev.Action] {
		c.events++
		// Endings are of no interest if it is not known to run, signals if it is, or soon will be.
		if !takes(ev) && (ev.Action != "kill" || c.want == nil && c.asking == 0) {
			c.found(ev.At)
		}
	}
	switch ev.Action {
	case "die", "died", "destroy", "remove":
		c.over = max(c.over, ev.run)
	case "kill":
		if ev.Signal == "TERM" {
			c.signalled(ev.At, ev.run)
		}
	}
	e.expect(c)
}

// lose notes that the watcher won't get the event.
func (e *modelEngine) lose(ev *modelEvent) {
	lost := &e.lost
	if c := ev.of; c != nil {
		if harmless[ev.Action] || ev.Action == "kill" {
			return
		}
		lost = &c.lost
	}
	at := ev.At
	if ends(ev) { // until then a start's event may be taken for that of the start before
		at = at.Add(tracker.StartTakes)
	}
	*lost = later(*lost, at)
}

// found notes that the watcher will know what was at the given time.
func (e *modelEngine) found(at time.Time) {
	if !at.Before(e.lost) {
		e.lost = time.Time{}
	}
}

func (c *modelContainer) found(at time.Time) {
	if !at.Before(c.lost) {
		c.lost = time.Time{}
	}
}

// expect notes the change that must follow from what the watcher has read of the container.
func (e *modelEngine) expect(c *modelContainer) {
	var want *container.Container
	if c.told != nil && c.toldRun > c.over {
		facts := *c.told
		facts.Stopping = c.toldRun <= c.stop && !c.recovered
		want = &facts
	}
	if !same(c.want, want) {
		c.want = want
		c.changes = append(c.changes, want)
	}
}
