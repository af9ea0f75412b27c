// Package engine watches a Docker Engine and tells what its running containers are.
//
// The watch is level-triggered: an event says only which container to look at again,
// and the truth is what inspect then says. What takes something away is taken from the
// event, since nothing that is asked later could say otherwise: an end, a stop signal, a
// network left. A lost, doubled or reordered event can make us late, never wrong.
package engine

import (
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/joint"
)

// Sink takes what a [Watcher] finds. Its methods are called one at a time.
type Sink interface {
	// Apply takes changes in their order. It must not keep the slice. A new sink is told first of who has ended lately, then
	// of who runs, who was created and who is starting.
	Apply([]container.Change)
	// Host is called with what is known of the engine's host, before the first Apply and
	// when it has changed.
	Host(container.Host)
	// Synced is called once, after Apply has had all containers that ran when the
	// watcher first reconciled.
	Synced()
	// Current is called with true after Apply has had all that a connection's first reconciliation has found, so that what
	// the sink has is what the engine says, and with false after that connection has ended. A new sink is told first
	// how it is now. Since is when that has become so, or when the watcher began.
	Current(current bool, since time.Time)
}

// Source is the engine of which an [Observer] is told: its address, written as [Endpoint.Source] does.
type Source string

// Observer is told what an operator may want to know. Its methods are called from any
// goroutine and must return soon.
type Observer interface {
	// Connected is called when the events of an engine are subscribed to, and its networks and containers have been
	// listed.
	Connected(from Source, description string)
	// Disconnected is called when an engine can't be reached or its event stream ends.
	Disconnected(from Source, err error)
	// Event is called for each event. The action has no arguments.
	Event(from Source, kind, action string)
	// Call is called after each API call.
	Call(from Source, name string, took time.Duration, err error)
	// Unreadable is called when part of the answer to an API call can't be read, and is
	// done without.
	Unreadable(from Source, call string, err error)
	// Reconciled is called after each reconciliation. Failed is the number of
	// containers that could not be inspected.
	Reconciled(from Source, took time.Duration, failed int)
	// InspectFailed is called when a container could not be inspected, the first time
	// in a row. It will be tried again.
	InspectFailed(from Source, id string, err error)
	// LeftOut is called when a container is left out for what it is, as if it did not run.
	LeftOut(from Source, id string, err error)
	// Applied is called for each applied change with the time since it became true in the engine: since the event, the
	// container's start or its end. The engine's clock is reckoned to be ahead of ours by as much as it has shown to
	// be when the connection began.
	Applied(from Source, lag time.Duration)
}

// watchers are the running watchers by canonical endpoint. Those who watch the same engine
// share one, however they name it: so do the server blocks of a Corefile, and so does a reloaded
// configuration with the one before, which then has all containers at once even when
// the engine is away.
var watchers joint.Table[Endpoint, *Watcher]

// Watch returns the watcher of the endpoint, started if it does not run yet. The
// caller must [Watcher.Release] it. Only the first one's observer is used.
func Watch(e Endpoint, o Observer) *Watcher {
	e = e.canonical()
	return watchers.Join(e, func() *Watcher {
		from := Source(e.Host)
		return start(e, from, o, streamAge, jitter, func() (api, error) { return dial(e, from, o) })
	})
}

// Release ends the use of the watcher. It returns after the last user's watcher has
// ended.
func (w *Watcher) Release() {
	if watchers.Leave(w.endpoint) {
		w.stop()
	}
}

// State is what watchers say of an engine now.
type State struct {
	Connected  bool
	Containers int
	// Reconciled is when a reconciliation ended last in which no container failed, the zero time before the first.
	Reconciled time.Time
}

// States returns the state of each engine that is watched. While a reload changes how an address is
// reached, two watchers have it: then it is the better state of the two.
func States() map[Source]State {
	states := map[Source]State{}
	for _, w := range watchers.All() {
		s := states[w.from]
		s.Connected = s.Connected || w.connected.Load()
		s.Containers = max(s.Containers, w.Containers())
		s.Reconciled = later(s.Reconciled, w.reconciled())
		states[w.from] = s
	}
	return states
}
