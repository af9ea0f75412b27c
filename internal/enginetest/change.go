package enginetest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"
)

// hold finds a container and keeps other drivers off it: the caller unlocks its op.
func (e *Engine) hold(ref string) *slot {
	e.mu.RLock()
	s := e.find(ref)
	e.mu.RUnlock()
	if s == nil {
		panic(fmt.Sprintf("enginetest: no container %q", ref))
	}
	s.op.Lock()
	if s.now == nil {
		s.op.Unlock()
		panic(fmt.Sprintf("enginetest: container %q was removed meanwhile", ref))
	}
	return s
}

// update replaces the container's snapshot by one that f has changed; f runs with mu held.
func (e *Engine) update(s *slot, f func(c *snapshot)) {
	e.locked(func() {
		c := *s.now
		c.endpoints = slices.Clone(c.endpoints)
		f(&c)
		s.now = &c
	})
}

func (e *Engine) set(id, action string, f func(c *snapshot)) {
	s := e.hold(id)
	defer s.op.Unlock()
	if !s.now.running() {
		panic(fmt.Sprintf("enginetest: container %q is not running", id))
	}
	e.update(s, f)
	e.publish(s.now, action)
}

// launch makes a snapshot that is in nobody's hands a running container's.
func (e *Engine) launch(c *snapshot) {
	e.joinAll(c)
	e.awake(c)
}

func (e *Engine) awake(c *snapshot) {
	if c.Health != "" && !c.started.IsZero() {
		c.Health = container.Starting
	}
	c.status, c.started, c.exitCode = container.StateRunning, e.now(), 0
}

// start is launch with its events, and with the wait in between that a real start takes.
func (e *Engine) start(s *slot) {
	blocked := e.startGate.Load()
	slow := e.startDelay > 0 || blocked != nil
	e.update(s, func(c *snapshot) {
		e.joinAll(c)
		if slow {
			s.starting = newGate()
			return
		}
		e.awake(c)
	})
	if e.flavour == Podman {
		e.publish(s.now, "init")
	} else {
		for _, p := range s.now.endpoints {
			e.publishEndpoint(s.now, p.net, "connect")
		}
	}
	if slow {
		time.Sleep(e.startDelay)
		if blocked != nil {
			<-blocked.open
		}
		e.update(s, func(c *snapshot) {
			e.awake(c)
			s.starting.release()
			s.starting = nil
		})
	}
	e.publish(s.now, "start")
}

// end makes the container exit; why it ends decides which events tell of it.
func (e *Engine) end(s *slot, code int, cause string) {
	e.update(s, func(c *snapshot) {
		for i := range c.endpoints {
			e.leave(c, &c.endpoints[i])
		}
		e.route(c, false)
		c.status, c.exitCode, c.finished = container.StateExited, code, e.now()
		if cause == "crash" && e.flavour != Podman {
			c.status = container.StateRestarting
		}
	})
	c := s.now
	disconnect := func() {
		for _, p := range c.endpoints {
			e.publishEndpoint(c, p.net, "disconnect")
		}
	}
	stop := func() {
		if cause == "stop" || cause == "restart" {
			e.publish(c, "stop")
		}
	}
	exit := strconv.Itoa(code)
	switch e.flavour {
	case Podman: // its stop event is missing at times, and comes when the container has ended
		if cause == "stop" {
			stop()
		}
		e.publish(c, "die", "exitCode", exit, "containerExitCode", exit)
		if cause == "stop" || cause == "kill" || cause == "exit" {
			e.publish(c, "cleanup")
		}
	case Docker28:
		disconnect()
		stop()
		e.publish(c, "die", "exitCode", exit, "execDuration", strconv.Itoa(int(c.finished.Sub(c.started).Seconds())))
	default:
		e.publish(c, "die", "exitCode", exit)
		disconnect()
		stop()
	}
}

// publishKill tells of the engine's own signals; Podman does not.
func (e *Engine) publishKill(c *snapshot, signal int) {
	if e.flavour != Podman {
		e.publish(c, "kill", e.signalAttribute(signal)...)
	}
}

func (e *Engine) signalAttribute(signal int) []string {
	if e.flavour == Podman {
		return nil
	}
	return []string{"signal", strconv.Itoa(signal)}
}

func stopSignal(c *snapshot) int {
	if c.StopSignal == "" {
		return int(unix.SIGTERM)
	}
	return signalNumber(c.StopSignal)
}

// signalNumber understands "9", "KILL" and "SIGKILL"; 0: none of these.
func signalNumber(s string) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return int(unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(s), "SIG")))
}
