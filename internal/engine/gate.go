package engine

import (
	"context"
	"sync"
	"time"
)

// The engine holds a container's lock while it starts or stops it, and inspects
// wait. A call that waits so long costs the engine nothing and leaves its place.
const slowCall = 100 * time.Millisecond

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
