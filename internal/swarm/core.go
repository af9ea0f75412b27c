package swarm

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
)

// This file, with plan.go, is the part of a Source without goroutines, clock and calls: what comes in is told with the time, and
// what is to be done is returned as effects.

// kind is a kind of reading.
type kind uint8

const (
	look      kind = iota // what the engine is to its Swarm
	readLists             // what a manager knows
	readTasks             // its tasks alone
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
	told    bool              // likewise: the log has what it can't know, since no manager speaks for it
}

// reads reports whether it was asked last for what a manager knows.
func (m *member) reads() bool { return m.kind == readLists || m.kind == readTasks }

// known is what is known of a Swarm that has managers among the members.
type known struct {
	facts
	pace
	last    int // the member that has answered last
	lists   lists
	full    time.Time // when all of it was asked for last, and answered; zero if it is to be
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
	case m.reads():
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
	if m.reads() && errors.Is(err, engine.ErrNoManager) {
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
	m.settled = m.settled || m.role == none || m.role == manager && !c.swarms[m.swarm].ended.IsZero()
	if m.role != before {
		m.told = false
		if m.role == none {
			e.notes = append(e.notes, fmt.Sprintf("Docker Engine %s is in no Swarm, so that 'swarm' finds none there", m.at))
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
	if m.kind == readTasks {
		if l.tasks != k.lists.tasks && k.strange(l.tasks) {
			k.full = time.Time{}
			return
		}
		l.services, l.nodes = k.lists.services, k.lists.nodes
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
		k.full = time.Time{}
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
	for _, o := range c.members { // its other managers would say the same
		o.settled = o.settled || o.swarm == m.swarm
	}
	k.lists, k.tasks, k.svcs, k.nods, k.last = l, tasks, services, nodes, i
	k.asked, k.ended = m.asked, now
	if m.kind == readLists {
		k.full = m.asked
	}
	k.failure = nil
	if !k.current {
		k.current, k.since = true, now
		e.states = append(e.states, k.state(m.swarm))
	}
}

// strange reports whether one of the tasks is of a service, or on a node, that is not known. Who is attached to a network without a
// service is a task of none.
func (k *known) strange(tasks *list[jsonTask]) bool {
	return slices.ContainsFunc(tasks.all, func(t jsonTask) bool {
		return t.ServiceID != "" && k.services[t.ServiceID] == nil ||
			t.NodeID != "" && !slices.ContainsFunc(k.nodes, func(n container.Node) bool { return n.ID == t.NodeID })
	})
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
