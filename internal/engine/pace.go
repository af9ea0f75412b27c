package engine

import (
	"context"
	"sync"
	"time"
)

const (
	// The engine holds a container's lock while it starts or stops it, and inspects
	// wait. A call that waits so long costs the engine nothing and leaves its place.
	slowCall = 100 * time.Millisecond
	// A container is inspected at most paceCalls times in a paceWindow, so that one
	// that crashes in a loop, or many events at once, cost little. A start needs one, or
	// two where the first does not wait for it: when its network is connected, and when it
	// has started.
	paceCalls  = 2
	paceWindow = 100 * time.Millisecond
)

// pace remembers the last inspects of a container.
type pace struct{ last [paceCalls]time.Time }

// next returns how long the next inspect has to wait.
func (p *pace) next(now time.Time) time.Duration { return p.last[0].Add(paceWindow).Sub(now) }

func (p *pace) note(now time.Time) {
	copy(p.last[:], p.last[1:])
	p.last[paceCalls-1] = now
}

// gate bounds the calls that keep the engine busy.
type gate chan struct{}

func newGate(n int) gate { return make(gate, n) }

// enter waits for a place. The place is free again when release is called, or after
// slowCall: who takes longer is waiting for a lock, and must not delay others.
func (g gate) enter(ctx context.Context) (release func()) {
	select {
	case g <- struct{}{}:
	case <-ctx.Done():
		return func() {}
	}
	leave := sync.OnceFunc(func() { <-g })
	timer := time.AfterFunc(slowCall, leave)
	return func() {
		timer.Stop()
		leave()
	}
}
