package rig

import (
	"os"
	"regexp"
	"time"
)

// Limit is what something may take: the first on a machine with nothing else to do, and the second in CI, where other tests keep it busy.
func Limit(quiet, busy time.Duration) time.Duration {
	if os.Getenv("CI") != "" {
		return busy
	}
	return quiet
}

// done finds what programs say of that which has been done.
var done = regexp.MustCompile(`already part of a swarm|not part of a swarm|already exists`)

// IsDone reports whether a command that is tried again complains that there is nothing to do: the try before has done it, though it said
// that it had not, as one does whose time was over.
func IsDone(complaint string) bool { return done.MatchString(complaint) }
