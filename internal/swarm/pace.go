package swarm

import "time"

// times are how long things take and last.
type times struct {
	// every is how often a Swarm is read of which nothing is heard: no event tells of a task.
	every time.Duration
	// full is how often all is read, and not the tasks alone: of services and nodes events tell, and these may get lost.
	full time.Duration
	// While events come, and stirFor after the last, it is read this soon again: tasks change without events of their own. A
	// service's update is followed by its tasks' within some 50 ms, a container's start by its task's within 150 ms.
	soon, stirFor time.Duration
	// restMost bounds how long an engine rests after a read.
	restMost time.Duration
	// An engine that has not answered for so long may hang: another one is asked besides.
	hedge time.Duration
	// retry is for how long one that has failed is left alone.
	retry time.Duration
	// look is how often who is no manager is asked what it is: it may have become one.
	look time.Duration
	// away is for how long no manager may answer until what is known counts as of before.
	away time.Duration
	// A leader that others have deposed may not know it for some ten seconds. When answers are older for longer than this, the
	// Swarm itself was set back, to a backup.
	older time.Duration
}

var usual = times{
	every: time.Second, full: 10 * time.Second, soon: 100 * time.Millisecond, stirFor: 500 * time.Millisecond,
	restMost: 2 * time.Second, hedge: time.Second, retry: time.Second, look: 10 * time.Second, away: 5 * time.Second, older: 15 * time.Second,
}

// restFor is how many times what a read has taken an engine rests before the next.
const restFor = 4

// pace says when to read next.
type pace struct {
	asked, ended time.Time // the last read that was good
	stirred      time.Time // until then there may be changes of which no event tells
}

func (p *pace) due(t *times, now time.Time) time.Time {
	wait := t.every
	if now.Before(p.stirred) {
		wait = t.soon
	}
	due := p.asked.Add(wait)
	if rested := p.ended.Add(min(restFor*p.ended.Sub(p.asked), t.restMost)); rested.After(due) {
		due = rested
	}
	return due
}
