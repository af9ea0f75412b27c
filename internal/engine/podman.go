package engine

import (
	"sync"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"
)

// podmanKinds are the actions that Podman calls by another name than Docker.
var podmanKinds = map[string]tracker.Kind{"died": tracker.Ended, "remove": tracker.Removed, "cleanup": tracker.Lessened}

// refreshRest is how many times as long as a reconciliation has taken the engine rests from the next, so that
// questions for names that do not exist keep it busy for at most a fifth of the time.
const refreshRest = 4

// refresher begins reconciliations for those who can't wait for an event.
type refresher struct {
	due chan struct{} // has an item when a reconciliation is asked for

	mu    sync.Mutex    // guards the following
	next  chan struct{} // closed when the reconciliation that begins next has ended; nil if nobody waits for it
	began time.Time     // when the one under way began; zero if none is
	cost  time.Duration // of the last one
	rest  time.Time     // when the next may begin
}

func newRefresher() *refresher { return &refresher{due: make(chan struct{}, 1)} }

// ask is [Watcher.Refresh].
func (r *refresher) ask(patience time.Duration) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil {
		return r.next
	}
	wait := max(0, time.Until(r.rest))
	if wait > 0 && wait+r.cost > patience || !r.began.IsZero() && time.Since(r.began) > patience {
		return nil
	}
	r.next = make(chan struct{})
	time.AfterFunc(wait, func() {
		select {
		case r.due <- struct{}{}:
		default: // somebody's is due already, and not begun
		}
	})
	return r.next
}

// begin notes that a reconciliation begins, and returns what waits for it.
func (r *refresher) begin() (asked chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked, r.next, r.began = r.next, nil, time.Now()
	return asked
}

// listed notes that the engine has answered with a list.
func (r *refresher) listed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spent(time.Since(r.began))
}

// spent has the engine rest from what it was kept busy for.
func (r *refresher) spent(cost time.Duration) {
	r.cost, r.rest = cost, time.Now().Add(refreshRest*cost)
}

// end notes that the reconciliation for which these have waited has ended.
func (r *refresher) end(asked chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Inspects that take longer than slowCall wait for a lock, which costs nothing.
	r.spent(max(r.cost, min(time.Since(r.began), slowCall)))
	r.began = time.Time{}
	if asked != nil {
		close(asked)
	}
}
