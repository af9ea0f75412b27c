package engine

import (
	"context"
	"errors"
	"time"
)

const (
	// A stream may look open and carry nothing for ever: a stalled proxy, a peer that is
	// gone without a word. Nothing can be sent on it to find out, and an engine on which
	// nothing happens is as silent. So streams are not trusted for longer than this.
	streamAge = 20 * time.Second
	// openTimeout bounds how long an engine may take to begin a stream.
	openTimeout = 5 * time.Second
	// overlap is how far back a stream begins before the last event of the one before:
	// events of one moment may come in any order.
	overlap = time.Second
)

// follower gives an engine's events, from streams that are renewed from time to time. The
// engine remembers the last few hundred events, so none is lost in between, and none is
// given twice.
type follower struct {
	api api
	age time.Duration // of a stream

	stream stream
	ctx    context.Context // the stream's
	end    context.CancelFunc

	began time.Time // of the engine's clock, as the following
	last  time.Time // the last event, zero if there was none yet
	seen  seen
}

// follow begins at the given time of the engine's clock. If that is zero, not known, it begins when the engine says that it has
// accepted the stream. The caller must stop it.
func follow(ctx context.Context, api api, since time.Time, age time.Duration) (*follower, error) {
	f := &follower{api: api, age: age, began: since, end: func() {}}
	if err := f.open(ctx, since); err != nil || !since.IsZero() {
		return f, err
	}
	if f.began = f.stream.began(); f.began.IsZero() {
		return f, nil // what comes before the engine has subscribed us is found by the next reconciliation
	}
	f.end()
	return f, f.open(ctx, f.began)
}

func (f *follower) stop() { f.end() }

// open begins a stream. When it returns, the engine notes events for us.
func (f *follower) open(ctx context.Context, since time.Time) error {
	streamCtx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(openTimeout, cancel)
	stream, err := f.api.events(streamCtx, since)
	if !timer.Stop() && ctx.Err() == nil {
		err = errors.New("the engine does not begin an event stream")
	}
	if err != nil {
		cancel()
		return err
	}
	timer = time.AfterFunc(f.age, cancel)
	f.stream, f.ctx = stream, streamCtx
	f.end = func() {
		timer.Stop()
		cancel()
	}
	return nil
}

// renew begins the next stream where the one before has ended.
func (f *follower) renew(ctx context.Context) error {
	f.end()
	ended := time.Now()
	since := f.began
	if !f.last.IsZero() {
		since = f.last.Add(-overlap)
		if since.Before(f.began) && !f.last.Before(f.began) { // whoever follows knows what was before
			since = f.began
		}
	}
	if err := f.open(ctx, since); err != nil {
		return err
	}
	// An engine whose clock was set back would give nothing of what came meanwhile: for it that was before since.
	now := f.stream.began()
	if now.IsZero() || since.Before(now.Add(time.Second)) {
		return nil
	}
	f.end()
	return f.open(ctx, now.Add(-overlap-time.Since(ended)))
}

// next waits for an event. An error is final.
func (f *follower) next(ctx context.Context) (event, error) {
	for {
		e, err := f.stream.next(f.ctx)
		switch {
		case err == nil && e.At.IsZero(): // cut off
			return e, nil
		case err == nil && f.seen.add(e):
			f.last = e.At
			return e, nil
		case err == nil:
		case ctx.Err() != nil:
			return event{}, context.Cause(ctx)
		case f.ctx.Err() == nil:
			return event{}, err
		default: // its time is over
			if err := f.renew(ctx); err != nil {
				return event{}, err
			}
		}
	}
}

// maxSeen is how many events are remembered: more than engines do (Docker 256), which could give them again. What Podman
// gives again of a storm of more is harmless.
const maxSeen = 1024

// seen remembers the last events.
type seen struct {
	events map[event]bool
	order  []event // the same, oldest first, from next on around
	next   int
}

// add reports whether the event is new.
func (s *seen) add(e event) bool {
	e.About = nil // is a place in memory of its own each time
	if s.events[e] {
		return false
	}
	if len(s.order) < maxSeen {
		s.order = append(s.order, e)
	} else {
		delete(s.events, s.order[s.next])
		s.order[s.next] = e
		s.next = (s.next + 1) % maxSeen
	}
	if s.events == nil {
		s.events = map[event]bool{}
	}
	s.events[e] = true
	return true
}
