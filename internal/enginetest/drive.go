package enginetest

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"
)

// Run creates and starts a container, with the events of both.
func (e *Engine) Run(s Spec) (id string) {
	id = e.Create(s)
	e.Start(id)
	return id
}

// Create makes a container that does not run.
func (e *Engine) Create(s Spec) (id string) {
	var c *snapshot
	e.locked(func() { c = e.add(s).now })
	e.publish(c, "create")
	return c.id
}

// Populate makes n running containers without events; f gives the i-th's Spec. The default network has room for 65,533:
// for more, AddNetwork with a wider subnet.
func (e *Engine) Populate(n int, f func(i int) Spec) []string {
	ids := make([]string, n)
	for first := 0; first < n; first += 1000 { // so that callers of the API get in between
		e.locked(func() {
			for i := first; i < min(n, first+1000); i++ {
				s := e.add(f(i))
				ids[i] = s.now.id
				e.launch(s.now)
			}
		})
	}
	return ids
}

// BlockStarts lets starts begin, but not end before the release: what WithStartDelay does, without a clock.
func (e *Engine) BlockStarts() (release func()) {
	g := newGate()
	e.startGate.Store(g)
	return func() {
		e.startGate.CompareAndSwap(g, nil)
		g.release()
	}
}

// Start starts a container that does not run, and returns when it does.
func (e *Engine) Start(id string) {
	s := e.hold(id)
	defer s.op.Unlock()
	if !s.now.running() {
		e.start(s)
	}
}

// Stop ends a container as docker stop does: the stop signal, then the end.
func (e *Engine) Stop(id string) {
	s := e.hold(id)
	defer s.op.Unlock()
	if !s.now.running() {
		return
	}
	e.publishKill(s.now, stopSignal(s.now))
	e.end(s, 0, "stop")
}

// Restart stops and starts a container in one call.
func (e *Engine) Restart(id string) {
	s := e.hold(id)
	defer s.op.Unlock()
	if e.flavour == Podman {
		e.publish(s.now, "restart")
	}
	if s.now.running() {
		code := 0
		if e.flavour == Podman { // which allows no time for the end here
			code = 137
		}
		e.publishKill(s.now, stopSignal(s.now))
		e.end(s, code, "restart")
	}
	e.start(s)
	if e.flavour != Podman {
		e.publish(s.now, "restart")
	}
}

// Kill sends a signal ("TERM", "SIGKILL", "9") as docker kill does. Only KILL ends the container: of other signals the
// process makes what it will; see Exit.
func (e *Engine) Kill(id, signal string) {
	s := e.hold(id)
	defer s.op.Unlock()
	if !s.now.running() {
		panic(fmt.Sprintf("enginetest: container %q is not running", id))
	}
	n := signalNumber(signal)
	e.publish(s.now, "kill", e.signalAttribute(n)...)
	if n == int(unix.SIGKILL) {
		e.end(s, 137, "kill")
	}
}

// Exit ends a container as its process's end does, with that exit code.
func (e *Engine) Exit(id string, code int) {
	s := e.hold(id)
	defer s.op.Unlock()
	if s.now.running() {
		e.end(s, code, "exit")
	}
}

// Crash ends a container as its process's end does, with that exit code, and has it wait to be restarted by its restart
// policy. Start ends the wait.
func (e *Engine) Crash(id string, code int) {
	s := e.hold(id)
	defer s.op.Unlock()
	if s.now.running() {
		e.end(s, code, "crash")
	}
}

// Remove removes a container, by force if it runs.
func (e *Engine) Remove(id string) {
	s := e.hold(id)
	defer s.op.Unlock()
	if s.now.running() {
		code := 137
		if e.flavour == Podman { // which sends the stop signal
			code = 0
		}
		e.publishKill(s.now, int(unix.SIGKILL))
		e.end(s, code, "remove")
	}
	c := s.now
	e.locked(func() { e.forget(s) })
	if e.flavour == Podman {
		e.publish(c, "remove", "containerExitCode", strconv.Itoa(c.exitCode))
		return
	}
	e.publish(c, "destroy")
}

// Rename gives a container another name.
func (e *Engine) Rename(id, name string) {
	s := e.hold(id)
	defer s.op.Unlock()
	old := s.now.Name
	e.update(s, func(c *snapshot) {
		if e.names[name] != nil {
			panic(fmt.Sprintf("enginetest: the name %q is in use", name))
		}
		delete(e.names, old)
		e.names[name] = s
		c.Name = name
	})
	if e.flavour == Podman {
		e.publish(s.now, "rename")
		return
	}
	e.publish(s.now, "rename", "oldName", "/"+old)
}

// Pause freezes a running container.
func (e *Engine) Pause(id string) {
	e.set(id, "pause", func(c *snapshot) { c.status = container.StatePaused })
}

// Unpause lets a paused container go on.
func (e *Engine) Unpause(id string) {
	e.set(id, "unpause", func(c *snapshot) { c.status = container.StateRunning })
}

// SetHealth is the outcome of a container's health check: "starting", "healthy" or "unhealthy".
func (e *Engine) SetHealth(id, health string) {
	e.set(id, "health_status: "+health, func(c *snapshot) { c.Health = health })
}

// Connect joins a container to one more network.
func (e *Engine) Connect(id string, a Attachment) {
	s := e.hold(id)
	defer s.op.Unlock()
	var n *network
	e.update(s, func(c *snapshot) {
		if n = e.mustFindNetwork(a.Network); c.endpoint(n) != nil {
			panic(fmt.Sprintf("enginetest: container %q is in network %q", id, a.Network))
		}
		c.endpoints = append(c.endpoints, endpoint{Attachment: a, net: n})
		if c.running() {
			e.join(c, c.endpoint(n))
			e.route(c, true)
		}
	})
	if s.now.running() || e.flavour == Podman {
		e.publishEndpoint(s.now, n, "connect")
	}
}

// Disconnect takes a container out of a network.
func (e *Engine) Disconnect(id, from string) {
	s := e.hold(id)
	defer s.op.Unlock()
	var n *network
	e.update(s, func(c *snapshot) {
		n = e.mustFindNetwork(from)
		i := slices.IndexFunc(c.endpoints, func(p endpoint) bool { return p.net == n })
		if i < 0 {
			panic(fmt.Sprintf("enginetest: container %q is not in network %q", id, from))
		}
		e.leave(c, &c.endpoints[i])
		c.endpoints = slices.Delete(c.endpoints, i, i+1)
		e.route(c, c.running())
	})
	times := 1
	switch { // as recorded
	case e.flavour == Docker2010 && s.now.running():
		times = 2
	case e.flavour == Docker28 && !s.now.running():
		times = 0
	}
	for range times {
		e.publishEndpoint(s.now, n, "disconnect")
	}
}
