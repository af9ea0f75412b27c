package catalog

import (
	"cmp"
	"time"
	"unique"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// What says what has happened to a container.
type What uint8

// What happens to a container. The engine tells the first ones.
const (
	_               What = iota
	Created              // it waits to be started
	Runs                 // it has begun to run
	Changed              // it runs by other facts
	Ended                // it does not run any more
	Removed              // nor will it again
	Unread               // its facts can't be read
	NetworkChanged       // a network of its is known as another one: as another name's, as Compose's, as one that spans hosts
	ProviderChanged      // it is reached elsewhere, since the container whose network it uses has changed
	HoldOver             // its hold is over: its names have gone, but for those that a successor will have
	TakenOver            // a successor has started, and has these
	SuccessorGone        // they have gone too, since the successor was removed or did not start in time
)

// Event is one of a container's last changes.
type Event struct {
	At   time.Time // by our clock
	What What
	// Cause is the action of the engine's event that led to it, or "list" for a reconciliation; "" if the engine did not
	// tell the change.
	Cause string
}

// event is an Event. Each container has some, so it is small.
type event struct {
	at    int64 // nanoseconds since 1970
	cause unique.Handle[string]
	what  What
}

const (
	// maxEvents is how many of its changes a container has at most: the last ones.
	maxEvents = 8
	// maxPast is of how many containers without a listing a feed keeps the changes.
	maxPast = 256
)

// history is what is remembered of a container, whether it runs or not.
type history struct {
	name   string
	unread error   // why its facts can't be read
	events []event // the last one last
}

// add notes a change.
func (h *history) add(at time.Time, what What, cause string) {
	e := event{at.UnixNano(), unique.Make(cause), what}
	if len(h.events) < maxEvents {
		h.events = append(h.events, e)
		return
	}
	copy(h.events, h.events[1:])
	h.events[maxEvents-1] = e
}

// last returns when the last change was.
func (h *history) last() time.Time {
	if len(h.events) == 0 {
		return time.Time{}
	}
	return time.Unix(0, h.events[len(h.events)-1].at)
}

// lastWhat returns what the last change was.
func (h *history) lastWhat() What {
	if len(h.events) == 0 {
		return noted
	}
	return h.events[len(h.events)-1].what
}

// over reports whether the history of a container without a listing is of no more interest.
func (h *history) over(now time.Time) bool {
	return h.unread == nil && now.Sub(h.last()) >= container.KeepNames
}

// list returns the changes, the last one last.
func (h *history) list() []Event {
	events := make([]Event, len(h.events))
	for i, e := range h.events {
		events[i] = Event{At: time.Unix(0, e.at), What: e.what, Cause: e.cause.Value()}
	}
	return events
}

// of returns the container's history, begun if there is none. The caller holds mu.
func (f *Feed) of(id string) *history {
	if k := f.listings[id]; k != nil {
		return &k.history
	}
	h := f.past[id]
	if h == nil {
		h = &history{}
		f.keep(id, h)
	}
	return h
}

// keep keeps the history of a container that has no listing, in place of those that are over, or of the oldest. The caller
// holds mu.
func (f *Feed) keep(id string, h *history) {
	now, oldest := f.cat.now(), ""
	for other, o := range f.past {
		switch {
		case o.over(now):
			delete(f.past, other)
		case oldest == "" || o.last().Before(f.past[oldest].last()):
			oldest = other
		}
	}
	if len(f.past) >= maxPast {
		f.read(f.past[oldest], nil)
		delete(f.past, oldest)
	}
	f.past[id] = h
}

// list begins the container's listing, with the history that it has. The caller holds mu.
func (f *Feed) list(id string) *listing {
	k := &listing{}
	if h := f.past[id]; h != nil {
		k.history = *h
		delete(f.past, id)
	}
	f.listings[id] = k
	return k
}

// unlist ends the container's listing. The caller holds mu.
func (f *Feed) unlist(id string, k *listing) {
	delete(f.listings, id)
	h := k.history
	f.keep(id, &h)
}

// note notes what the engine has told of a container. The caller holds mu.
func (f *Feed) note(c *container.Change, what What) {
	h := f.of(c.ID)
	for _, facts := range []*container.Container{c.Container, c.Created, c.Last} {
		if facts != nil {
			h.name = facts.Name
		}
	}
	h.name = cmp.Or(h.name, c.Name)
	f.read(h, c.Unread)
	at := f.cat.now()
	if len(h.events) == 0 && !c.Since.IsZero() { // later changes have the time of the first
		at = c.Since
	}
	h.add(at, what, c.Cause)
}

// read notes that a container's facts could be read, or why they could not. The caller holds mu.
func (f *Feed) read(h *history, err error) {
	switch {
	case h.unread == nil && err != nil:
		f.left.unread.Add(1)
	case h.unread != nil && err == nil:
		f.left.unread.Add(-1)
	}
	h.unread = err
}

// ending says how a container ends that does not run any more.
func ending(c *container.Change) What {
	if c.Gone {
		return Removed
	}
	return Ended
}

// noteCreated notes that a container waits to be started, unless that is noted already. The caller holds mu.
func (f *Feed) noteCreated(c *container.Change) {
	if h := f.past[c.ID]; h == nil || h.lastWhat() != Created || h.name != c.Created.Name {
		f.note(c, Created)
	}
}

// notePast notes that a container without a listing does not run, if there is something to remember of it that says otherwise.
// The caller holds mu.
func (f *Feed) notePast(c *container.Change) {
	h := f.past[c.ID]
	if h == nil {
		return
	}
	last := h.lastWhat()
	if c.Gone && last != Removed || !c.Gone && (last == Created || last == Unread) {
		f.note(c, ending(c))
	}
}
