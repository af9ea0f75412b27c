package swarm

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

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
			if !m.told {
				m.told = true
				e.notes = append(e.notes, fmt.Sprintf("Docker Engine %s is a worker of its Swarm, which knows services by the networks alone that it has: no stacks, labels, aliases, published ports or states of tasks. For these have an endpoint of a manager", m.at))
			}
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
		case m.busy && m.reads() && now.Before(m.asked.Add(c.hedge)):
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
		what := readTasks
		if best != k.last || k.full.Before(k.stirred) || !now.Before(k.full.Add(c.full)) {
			what = readLists
		}
		c.ask(best, what, now, e)
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
