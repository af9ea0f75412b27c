package engine

import (
	"fmt"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// modelSink is a sink that checks what it gets.
type modelSink struct {
	*modelEngine
	slow bool
}

func (e modelSink) Apply(changes []container.Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.applies++; e.slow {
		took := time.Duration(e.applies%7) * 20 * time.Millisecond
		e.mu.Unlock()
		time.Sleep(took)
		e.mu.Lock()
	}
	if e.host == nil && len(changes) > 0 {
		e.breaks("containers before the host")
	}
	for _, ch := range changes {
		c := e.find(ch.ID)
		ends := c.starts || c.unread // which is a change by itself
		c.starts, c.unread = ch.Starting != nil, ch.Unread != nil
		switch {
		case c.starts && c.has != nil:
			e.breaks("%s is said to start, and runs", c.id)
			continue
		case c.starts, c.unread:
			continue
		case ends && same(c.has, ch.Container):
			c.gone, c.waits = ch.Gone, ch.Created != nil
			continue
		case ch.Gone && (c.exists || ch.Container != nil):
			e.breaks("%s is said to be gone", c.id)
		case c.gone:
			e.breaks("%s was gone, and is said to be %s", c.id, text(ch.Container))
		case ch.Created != nil && (ch.Container != nil || ch.Gone || ch.Since.IsZero()):
			e.breaks("%s is said to have been created", c.id)
		case c.has == nil && ch.Container == nil && !ch.Gone && ch.Created == nil && !c.waits:
			e.breaks("%s is said to have ended again", c.id)
		}
		c.gone, c.waits = ch.Gone, ch.Created != nil
		if c.has == nil && ch.Container == nil {
			continue
		}
		if len(c.changes) == 0 || !same(c.changes[0], ch.Container) {
			e.breaks("the sink gets %s %s, and should get %s", c.id, text(ch.Container), texts(c.changes))
		} else {
			c.changes = c.changes[1:]
		}
		c.has = ch.Container
	}
}

func text(c *container.Container) string {
	if c == nil {
		return "off"
	}
	s := c.Name
	for _, ep := range c.Endpoints {
		s += " " + ep.Addrs[0].String()
	}
	if c.Paused {
		s += " paused"
	}
	if c.Stopping {
		s += " stopping"
	}
	return "{" + s + fmt.Sprint(" health ", c.Health) + "}"
}

func texts(all []*container.Container) string {
	out := []string{}
	for _, c := range all {
		out = append(out, text(c))
	}
	return fmt.Sprint(out)
}

func (e modelSink) Host(h container.Host) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.host = &h
}

func (e modelSink) Synced() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.synced++
}

func (e modelSink) Current(current bool, _ time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current == current && e.subscribed {
		e.breaks("the sink is told twice that current is %v", current)
	}
	e.current, e.subscribed = current, true
}

// The observer's part is of no interest here.
func (modelSink) Connected(Source, string)                  {}
func (modelSink) Disconnected(Source, error)                {}
func (modelSink) Event(Source, string, string)              {}
func (modelSink) Call(Source, string, time.Duration, error) {}
func (modelSink) Reconciled(Source, time.Duration, int)     {}
func (modelSink) LeftOut(Source, string, error)             {}
func (modelSink) InspectFailed(Source, string, error)       {}
func (modelSink) Unreadable(Source, string, error)          {}
func (modelSink) Applied(Source, time.Duration)             {}
