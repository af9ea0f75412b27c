package swarm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
)

// This file is the part of a Source without goroutines, clock and calls: what comes in is told with the time, and what is to be done
// is returned as effects.

// times are how long things take and last.
type times struct {
	// every is how often a Swarm is read of which nothing is heard: no event tells of a task.
	every time.Duration
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
	every: time.Second, soon: 100 * time.Millisecond, stirFor: 500 * time.Millisecond, restMost: 2 * time.Second,
	hedge: time.Second, retry: time.Second, look: 10 * time.Second, away: 5 * time.Second, older: 15 * time.Second,
}

// restFor is how many times what a read has taken an engine rests before the next.
const restFor = 4

// kind is a kind of reading.
type kind uint8

const (
	look      kind = iota // what the engine is to its Swarm
	readLists             // what a manager knows
	readView              // what a worker's networks tell
)

// role is what an engine is to its Swarm.
type role uint8

const (
	unknown role = iota
	none
	worker
	manager
)

// member is an engine that may be one of a Swarm's.
type member struct {
	host    container.HostID
	at      string // for messages
	role    role
	node    string            // its own ID
	swarm   container.SwarmID // a manager's; "" if it is none
	busy    bool              // it has not answered what it was asked last
	kind    kind              // of what it was asked last
	asked   time.Time         // when it was
	lookAt  time.Time         // when it is to be asked what it is
	retryAt time.Time         // before that it is asked for nothing else
	settled bool              // it has answered all that it is asked for, or failed
	failing bool              // it has failed the last time, and that was told
	pace    pace              // a worker's
	view    view              // likewise
}

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

// known is what is known of a Swarm that has managers among the members.
type known struct {
	facts
	pace
	last    int // the member that has answered last
	lists   lists
	tasks   marks
	svcs    marks
	nods    marks
	older   time.Time // when an answer was older first, in a row; else zero
	current bool
	since   time.Time
	failure error // the last
}

// core is all that is known of all Swarms.
type core struct {
	times
	members  []*member
	swarms   map[container.SwarmID]*known
	nodes    []container.Node
	attached []container.Attached
	synced   bool
}

// ask is something to be asked.
type ask struct {
	member int
	kind   kind
	node   string // the member's ID
}

// answer is what has become of it.
type answer struct {
	err   error
	about jsonInfo // look's, as the following
	lists lists
	view  view
}

// effects are what is to be done.
type effects struct {
	asks []ask
	wake time.Time // when there is something to do again; zero if that depends on answers

	nodes    bool // they have changed
	services []container.ServiceChange
	attached bool // they have changed
	synced   bool // now
	states   []container.SwarmState
	notes    []string // for the log
}

func newCore(t times, members []*member) *core {
	return &core{times: t, members: members, swarms: map[container.SwarmID]*known{}}
}

// wake does what is due.
func (c *core) wake(now time.Time) (e effects) {
	c.plan(now, &e)
	return e
}

// stir notes that the member's Swarm may have changed, or that it can be asked again.
func (c *core) stir(i int, now time.Time) (e effects) {
	m := c.members[i]
	m.retryAt = time.Time{}
	until := now.Add(c.stirFor)
	if k := c.swarms[m.swarm]; m.role == manager && k != nil {
		k.stirred = until
	} else {
		m.lookAt = time.Time{}
	}
	m.pace.stirred = until
	c.plan(now, &e)
	return e
}

// answered takes a member's answer.
func (c *core) answered(i int, a answer, now time.Time) (e effects) {
	m := c.members[i]
	m.busy = false
	switch {
	case a.err != nil:
		c.failed(m, a.err, now, &e)
	case m.kind == look:
		m.failing = false
		c.looked(m, &a.about, now, &e)
	case m.kind == readLists:
		m.failing = false
		c.listed(i, a.lists, now, &e)
	case m.kind == readView:
		m.failing = false
		m.settled = true
		m.pace.asked, m.pace.ended = m.asked, now
		c.setView(m, a.view, &e)
	}
	c.plan(now, &e)
	return e
}

// failed notes that a member has not answered as it should.
func (c *core) failed(m *member, err error, now time.Time, e *effects) {
	m.settled = true
	m.retryAt = now.Add(c.retry)
	if m.kind == look {
		m.lookAt = m.retryAt
	}
	if m.kind == readLists && errors.Is(err, engine.ErrNoManager) {
		m.lookAt = time.Time{}
	}
	if k := c.swarms[m.swarm]; k != nil {
		k.failure = err
	}
	if !m.failing && !errors.Is(err, engine.ErrAway) && !errors.Is(err, engine.ErrNoManager) { // else another tells
		m.failing = true
		e.notes = append(e.notes, fmt.Sprintf("Docker Engine %s can't be asked about its Swarm, trying again: %v", m.at, err))
	}
}

// looked takes what a member says that it is.
func (c *core) looked(m *member, i *jsonInfo, now time.Time, e *effects) {
	m.lookAt = now.Add(c.look)
	before := m.role
	switch s := &i.Swarm; {
	case s.LocalNodeState == "active" && s.ControlAvailable && s.Cluster.ID != "":
		m.role, m.node, m.swarm = manager, s.NodeID, container.SwarmID(s.Cluster.ID)
		if c.swarms[m.swarm] == nil {
			c.swarms[m.swarm] = &known{since: now}
		}
	case s.LocalNodeState == "active":
		m.role, m.node, m.swarm = worker, s.NodeID, ""
	case s.LocalNodeState == "inactive" || s.LocalNodeState == "":
		m.role, m.node, m.swarm = none, "", ""
	default: // it is about to be something, or can't tell
		m.settled = true
		m.lookAt = now.Add(c.retry)
		return
	}
	m.settled = m.settled || m.role == none
	if m.role != before {
		switch m.role {
		case none:
			e.notes = append(e.notes, fmt.Sprintf("Docker Engine %s is in no Swarm, so that 'swarm' finds none there", m.at))
		case worker:
			e.notes = append(e.notes, fmt.Sprintf("Docker Engine %s is a worker of its Swarm, which knows services by the networks alone that it has: no stacks, labels, aliases, published ports or states of tasks. For these have an endpoint of a manager", m.at))
		}
	}
}

// drop forgets Swarms whose managers all say that they are something else.
func (c *core) drop(e *effects) {
	if slices.ContainsFunc(c.members, func(m *member) bool { return m.role == unknown }) { // which may be one
		return
	}
	for id, k := range c.swarms {
		if !slices.ContainsFunc(c.members, func(o *member) bool { return o.swarm == id }) {
			e.services = append(e.services, changes(k.services, nil)...)
			delete(c.swarms, id)
		}
	}
}

// listed takes what a manager has answered.
func (c *core) listed(i int, l lists, now time.Time, e *effects) {
	m := c.members[i]
	m.settled = true
	k := c.swarms[m.swarm]
	if k == nil || m.asked.Before(k.ended) { // another one's answer is newer, or may be
		return
	}
	tasks, services, nodes := k.tasks, k.svcs, k.nods
	var older [3]bool
	if l.tasks != k.lists.tasks {
		tasks, older[0] = read[jsonTask](tasks, l.tasks)
	}
	if l.services != k.lists.services {
		services, older[1] = read[jsonService](services, l.services)
	}
	if l.nodes != k.lists.nodes {
		nodes, older[2] = read[jsonNode](nodes, l.nodes)
	}
	if older != [3]bool{} {
		if k.older.IsZero() {
			k.older = now
		}
		if now.Before(k.older.Add(c.older)) {
			m.retryAt = now.Add(c.retry)
			k.failure = errors.New("its answer is older than another one's")
			return
		}
		tasks, _ = read[jsonTask](marks{}, l.tasks)
		services, _ = read[jsonService](marks{}, l.services)
		nodes, _ = read[jsonNode](marks{}, l.nodes)
	}
	k.older = time.Time{}
	if l != k.lists {
		before := k.facts
		k.facts = before.read(m.swarm, l)
		e.services = append(e.services, changes(before.services, k.services)...)
	}
	k.lists, k.tasks, k.svcs, k.nods, k.last = l, tasks, services, nodes, i
	k.asked, k.ended = m.asked, now
	k.failure = nil
	if !k.current {
		k.current, k.since = true, now
		e.states = append(e.states, k.state(m.swarm))
	}
}

func (k *known) state(id container.SwarmID) container.SwarmState {
	return container.SwarmState{Swarm: id, Current: k.current, Since: k.since}
}

// setView takes what a worker's networks tell.
func (c *core) setView(m *member, v view, e *effects) {
	services, attached := v.since(m.view)
	m.view = v.keep(m.view)
	e.services = append(e.services, services...)
	if attached {
		e.attached = true
	}
}

// plan does what is due, and says when there is more to do.
func (c *core) plan(now time.Time, e *effects) {
	c.drop(e)
	c.renewNodes(e)
	settled := !slices.ContainsFunc(c.members, func(m *member) bool { return !m.settled })
	for i, m := range c.members {
		switch {
		case m.busy:
		case !now.Before(m.lookAt) && (m.role != manager || m.lookAt.IsZero() || c.swarms[m.swarm] == nil):
			c.ask(i, look, now, e)
		case m.role != manager:
			e.wakeAt(m.lookAt)
		}
		switch {
		case m.role != worker || c.covered(m.node):
			c.setView(m, view{}, e) // nobody's, or a manager's
			m.settled = m.settled || m.role == worker
		case m.busy || !settled && c.mayBeCovered(m):
		case now.Before(later(m.pace.due(&c.times, now), m.retryAt)):
			e.wakeAt(later(m.pace.due(&c.times, now), m.retryAt))
		default:
			c.ask(i, readView, now, e)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.swarms)) {
		c.planSwarm(id, now, e)
	}
	if e.attached {
		c.attached = nil
		for _, m := range c.members {
			c.attached = append(slices.Clip(c.attached), m.view.attached...)
		}
	}
	if !c.synced && settled {
		c.synced, e.synced = true, true
	}
}

// planSwarm has one of the Swarm's managers asked when it is time.
func (c *core) planSwarm(id container.SwarmID, now time.Time, e *effects) {
	k := c.swarms[id]
	if k.current {
		if away := k.ended.Add(c.away); now.Before(away) {
			e.wakeAt(away)
		} else {
			k.current, k.since = false, now
			e.states = append(e.states, k.state(id))
			why := ""
			if k.failure != nil {
				why = ": " + k.failure.Error()
			}
			e.notes = append(e.notes, fmt.Sprintf("No manager of Swarm %s answers; serving what was known last%s", id, why))
		}
	}
	due := k.due(&c.times, now)
	if now.Before(due) {
		e.wakeAt(due)
		return
	}
	best := -1
	for i, m := range c.members {
		switch {
		case m.swarm != id:
		case m.busy && m.kind == readLists && now.Before(m.asked.Add(c.hedge)):
			e.wakeAt(m.asked.Add(c.hedge))
			return
		case m.busy:
		case now.Before(m.retryAt):
			e.wakeAt(m.retryAt)
		case best < 0 || i == k.last:
			best = i
		}
	}
	if best >= 0 {
		c.ask(best, readLists, now, e)
		e.wakeAt(now.Add(c.hedge))
	}
}

// covered reports whether a manager speaks for the node.
func (c *core) covered(node string) bool {
	for _, k := range c.swarms {
		if slices.ContainsFunc(k.nodes, func(n container.Node) bool { return n.ID == node }) {
			return true
		}
	}
	return false
}

// mayBeCovered reports whether another member may turn out to be a manager that speaks for the worker.
func (c *core) mayBeCovered(m *member) bool {
	return slices.ContainsFunc(c.members, func(o *member) bool { return o != m && !o.settled && o.role != worker })
}

// renewNodes gathers the nodes of all Swarms.
func (c *core) renewNodes(e *effects) {
	hosts := map[string]container.HostID{}
	for _, m := range c.members {
		if m.node != "" {
			hosts[m.node] = m.host
		}
	}
	var all []container.Node
	for _, id := range slices.Sorted(maps.Keys(c.swarms)) {
		for _, n := range c.swarms[id].nodes {
			n.Host = hosts[n.ID]
			all = append(all, n)
		}
	}
	if !slices.Equal(all, c.nodes) {
		c.nodes, e.nodes = all, true
	}
}

func (c *core) ask(i int, what kind, now time.Time, e *effects) {
	m := c.members[i]
	m.busy, m.kind, m.asked = true, what, now
	e.asks = append(e.asks, ask{i, what, m.node})
}

// wakeAt has the core woken by then.
func (e *effects) wakeAt(at time.Time) {
	if e.wake.IsZero() || at.Before(e.wake) {
		e.wake = at
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
