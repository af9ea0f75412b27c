package tracker

import (
	"cmp"
	"slices"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// About is what an event tells of its container.
type About struct {
	Name, Image string
	Labels      map[string]string
}

// maxStartNetworks bounds the networks that are remembered of a container that starts.
const maxStartNetworks = 64

// starting is what is known of the container's next run before the engine has told its facts.
type starting struct {
	about     About                // by the newest event
	last      *container.Container // of its last run, nil if that is not known
	networks  []string             // that it has joined
	at        time.Time            // when the event of the start was read, by our clock
	announced bool                 // the sinks have been told that it starts
	cause     string               // the newest event's action by which they have
}

// announced reports whether the sinks have been told that the container starts.
func (t *Tracker) announced() bool { return t.starting != nil && t.starting.announced }

// learn remembers what an event tells of a container that does not run.
func (t *Tracker) learn(e Event) {
	if e.About == nil || t.run.facts != nil {
		return
	}
	if t.starting == nil {
		t.starting = &starting{}
	}
	s := t.starting
	s.about = *e.About
	t.name = cmp.Or(e.About.Name, t.name)
	if s.last != nil && e.About.Name != "" && e.About.Name != s.last.Name { // it was renamed
		last := *s.last
		last.Name = e.About.Name
		s.last = &last
	}
}

// startEnds notes that the container has started, or does not start after all. What events have told of it is of use only while
// it waits for its first start.
func (t *Tracker) startEnds() {
	s := t.starting
	switch {
	case s == nil:
	case t.run.facts != nil || s.last == nil && t.pending() == nil:
		t.starting = nil
	case t.pending() == nil:
		t.starting = &starting{last: s.last}
	default:
		t.starting = &starting{last: s.last, about: s.about}
	}
}

// starts delivers that the container starts, if the event says so.
func (t *Tracker) starts(e Event, m Moment, f *Effects) {
	if t.starting == nil {
		t.starting = &starting{}
	}
	s := t.starting
	joined := slices.Index(s.networks, e.Network)
	switch {
	case e.Kind == Connected && joined < 0 && e.Network != "" && len(s.networks) < maxStartNetworks:
		s.networks = append(slices.Clip(s.networks), e.Network)
	case e.Kind == Connected && s.announced:
		return // nothing is new
	case e.Kind == Connected:
	case e.Kind == Disconnected && joined >= 0:
		s.networks = slices.Delete(slices.Clone(s.networks), joined, joined+1)
		if !s.announced {
			return
		}
	case e.Kind.starts() && s.at.IsZero():
		s.at = m.Now
	default:
		return
	}
	s.announced, s.cause = true, e.Action
	t.tellStarting(e.Action, f)
}

func (t *Tracker) tellStarting(cause string, f *Effects) {
	t.deliver(f, Delivery{Change: container.Change{ID: t.id, Starting: t.Starting(), Cause: cause}, Changed: true})
}

// Starting returns what is known of the container while it starts, nil if it does not as far as the sinks have been told.
func (t *Tracker) Starting() *container.Starting {
	if !t.announced() {
		return nil
	}
	s := t.starting
	known := cmp.Or(t.pending(), s.last)
	c := &container.Container{ID: t.id, Name: s.about.Name, Image: s.about.Image, Labels: s.about.Labels}
	if known != nil {
		facts := *known
		c = &facts
		c.Name = cmp.Or(s.about.Name, c.Name)
		c.Started, c.Paused, c.Health, c.Stopping = time.Time{}, false, container.HealthNone, false
		c.Endpoints = slices.Clone(c.Endpoints)
		for i := range c.Endpoints { // another run has other addresses
			c.Endpoints[i].ID, c.Endpoints[i].Addrs, c.Endpoints[i].Gateways = "", nil, nil
		}
	}
	for _, name := range s.networks {
		if !slices.ContainsFunc(c.Endpoints, func(ep container.Endpoint) bool { return ep.Network == name }) {
			c.Endpoints = append(c.Endpoints, container.Endpoint{Network: name})
		}
	}
	return &container.Starting{Container: c, Complete: known != nil, At: s.at}
}
