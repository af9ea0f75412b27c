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
	close  context.CancelFunc

	began  time.Time // of the engine's clock, as the following
	since  time.Time // the last event, or when following began
	seen   map[event]bool
	pruned time.Time // what seen had was looked through at this event
}

// follow begins at the given time of the engine's clock. The caller must stop it.
func follow(ctx context.Context, api api, since time.Time, age time.Duration) (*follower, error) {
	f := &follower{api: api, age: age, began: since, since: since, seen: map[event]bool{}, close: func() {}}
	return f, f.open(ctx, since)
}

func (f *follower) stop() { f.close() }

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
	f.close = func() {
		timer.Stop()
		cancel()
	}
	return nil
}

// next waits for an event. An error is final.
func (f *follower) next(ctx context.Context) (event, error) {
	for {
		e, err := f.stream.next(f.ctx)
		switch {
		case err == nil && f.seen[e]:
		case err == nil:
			f.note(e)
			return e, nil
		case ctx.Err() != nil:
			return event{}, context.Cause(ctx)
		case f.ctx.Err() == nil:
			return event{}, err
		default: // its time is over
			f.close()
			since := f.since.Add(-overlap)
			if since.Before(f.began) { // whoever follows knows what was before
				since = f.began
			}
			if err := f.open(ctx, since); err != nil {
				return event{}, err
			}
		}
	}
}

// note remembers the event for as long as a new stream could give it again.
func (f *follower) note(e event) {
	if e.at.After(f.since) {
		f.since = e.at
	}
	f.seen[e] = true
	if f.since.Sub(f.pruned) < overlap {
		return
	}
	f.pruned = f.since
	for o := range f.seen {
		if o.at.Before(f.since.Add(-overlap)) {
			delete(f.seen, o)
		}
	}
}
