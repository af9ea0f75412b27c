package engine

import (
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// tracked is what is known about one container.
type tracked struct {
	id      string
	facts   *container.Container // nil while it does not run
	started time.Time            // when, if it runs and the engine has told
	heard   time.Time            // the last event of a start

	stopped  bool // it has ended, and exists as far as is known
	large    bool // it is left out since it is too large
	arriving bool // it counts as arriving

	created time.Time            // when we read of that, by our clock, if it may wait for its first start
	pending *container.Container // the facts while it does, if they are known

	due   bool      // to be inspected
	start time.Time // the event's, if that is all that it is due for
	busy  bool      // being inspected
	asked time.Time // the last event before that
	death time.Time // the last of which an event has told during the inspect under way
	// Networks that it has left during the inspect under way.
	leaves []string
	since  time.Time
	round  *round // waits for an inspect that begins from now on

	// The last signal that was sent to it, when by the engine's clock, and when by ours we have read of it. It
	// may have started anew since.
	signal              string
	signalAt, signalled time.Time
	recovery            *time.Timer // will look whether it still runs, though it was told to stop

	pace  pace
	timer *time.Timer // will start an inspect
	retry *backoff.ExponentialBackOff
}

// idle reports whether nothing is known of the container and nothing is to be found
// out.
func (t *tracked) idle() bool {
	return t.facts == nil && t.pending == nil && !t.busy && !t.due && t.timer == nil && !t.arriving
}
