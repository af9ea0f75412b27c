package container

import "time"

// KeepNames bounds for how long a container that does not run is of interest.
const KeepNames = 10 * time.Minute

// Change is the new state of one container of a host.
type Change struct {
	ID string
	// Container is nil when it does not run.
	Container *Container
	// Gone is set when it has been removed.
	Gone bool
	// Created are the facts of a container that has been created, and has not been started yet: it may be about to
	// take names over. A later change of the container ends that.
	Created *Container
	// Last is given to a new sink alone: the facts of when a container ran that has ended lately.
	Last *Container
	// Since is when it was created, or ended, by our clock. It is set with Created or Last.
	Since time.Time
	// Starting is set while the container starts: it does not run as far as is known, but events say that it may
	// by now, and the engine is being asked. A later change of the container ends that, also if it does not run after all.
	Starting *Starting
	// Unread is why the container's facts could not be read. What was known of it stands, but for one that is left out
	// for its size. A later change of the container ends that.
	Unread error
	// Name is given with Unread: what events or a list call a container whose facts never could be read, "" if none has.
	Name string
	// Cause is what has led to the change: the action of the engine's event, or "list" for a reconciliation.
	Cause string
}

// Starting is what is known of a container before the engine has told its facts.
type Starting struct {
	// Container has what events tell: the ID, and the name, image, labels and networks as far as they have told
	// them.
	Container *Container
	// Complete is set if it has all facts, of its last run or its creation: its host name and aliases too.
	Complete bool
	// At is when the event of its start was read, by our clock, the zero time before that.
	At time.Time
}

// Ran reports whether the change says anew whether the container runs, and by which facts.
func (c *Change) Ran() bool {
	return c.Created == nil && c.Last == nil && c.Starting == nil && c.Unread == nil
}
