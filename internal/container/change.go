package container

import "time"

// KeepNames bounds for how long a container that does not run is of interest.
const KeepNames = 10 * time.Minute

// Change is the new state of one container.
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
}
