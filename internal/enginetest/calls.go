package enginetest

import (
	"context"
	"sync"
)

// counters counts by key and lets others wait for a change.
type counters struct {
	mu      sync.Mutex // guards what follows
	counts  map[string]int
	changed chan struct{} // closed at the next change; nil while nobody waits
}

func (c *counters) add(key string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[key] += n
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

func (c *counters) get(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[key]
}

func (c *counters) wait(ctx context.Context, key string, n int) error {
	for {
		c.mu.Lock()
		if c.counts[key] >= n {
			c.mu.Unlock()
			return nil
		}
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// streamsKey counts open event streams beside the calls; ResetCalls leaves it.
const streamsKey = "\x00streams"

// Calls is how often a kind of call was made: "ping", "version", "info", "events", "list", "inspect", "networks",
// "network", "services", "tasks", "nodes", "libpod" (Podman's own list of networks), "unknown" (answered 404), "forbidden" (not GET or HEAD: whoever only reads never does it).
func (e *Engine) Calls(kind string) int { return e.calls.get(kind) }

// InspectCalls is how often the container was inspected, by id or by name.
func (e *Engine) InspectCalls(id string) int { return e.calls.get("inspect " + e.resolve(id)) }

// ResetCalls sets all counts of calls to zero.
func (e *Engine) ResetCalls() {
	e.calls.mu.Lock()
	defer e.calls.mu.Unlock()
	e.calls.counts = map[string]int{streamsKey: e.calls.counts[streamsKey]}
}

// WaitCalls returns when at least n calls of the kind were made (begun, not answered).
func (e *Engine) WaitCalls(ctx context.Context, kind string, n int) error {
	return e.calls.wait(ctx, kind, n)
}

// WaitInspectCalls returns when the container was inspected at least n times (begun, not answered).
func (e *Engine) WaitInspectCalls(ctx context.Context, id string, n int) error {
	return e.calls.wait(ctx, "inspect "+e.resolve(id), n)
}

// Streams is the number of event streams that are subscribed.
func (e *Engine) Streams() int { return e.calls.get(streamsKey) }

// WaitStreams returns when at least n event streams are subscribed.
func (e *Engine) WaitStreams(ctx context.Context, n int) error {
	return e.calls.wait(ctx, streamsKey, n)
}
