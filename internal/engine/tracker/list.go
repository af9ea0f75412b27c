package tracker

import (
	"net/netip"
	"slices"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Summary is what a list tells of a running container: enough to see whether it has changed, too little for its names (no
// host name, no aliases).
type Summary struct {
	ID, Name  string
	Paused    bool
	Health    container.Health
	Endpoints []container.Endpoint // as in container.Container, maybe without aliases
	GWBridge  *container.Endpoint  // likewise; nil if it is not known
}

// Matches reports whether the list shows nothing that differs from the facts. The facts that a list leaves out change only
// together with one that it has: aliases with the endpoint, the host name with the container's ID. Where endpoints have
// no ID the address must do, and the aliases, which the list has there.
func (s *Summary) Matches(c *container.Container) bool {
	return s.Name == c.Name && s.Paused == c.Paused && s.Health == c.Health &&
		slices.EqualFunc(s.Endpoints, c.Endpoints, func(a, b container.Endpoint) bool {
			return a.ID == b.ID && a.Network == b.Network && sameAddrs(a.Addrs, b.Addrs, c.IPv6Off) &&
				(a.ID != "" || slices.Equal(a.Aliases, b.Aliases))
		}) &&
		(s.GWBridge == nil || s.GWBridge.ID == c.GWBridge.ID && sameAddrs(s.GWBridge.Addrs, c.GWBridge.Addrs, c.IPv6Off))
}

// sameAddrs reports whether a list's addresses are those of the facts, which lack IPv6 addresses if IPv6 is switched off.
func sameAddrs(listed, known []netip.Addr, ipv6Off bool) bool {
	if ipv6Off {
		listed = slices.DeleteFunc(slices.Clone(listed), netip.Addr.Is6)
	}
	return slices.Equal(listed, known)
}

// Listed is the input that a reconciliation's list has the container. One that matches is not touched, but for one that was
// told to stop: a list does not show whether it has started anew; and one of which the sinks know that it could not be read.
// The list may be older than what is known: it decides
// only whether to ask.
func (t *Tracker) Listed(s *Summary, reconciliation int) Effects {
	var f Effects
	if t.run.facts == nil {
		t.name = s.Name
	}
	if t.run.facts == nil || t.run.facts.Stopping || t.calls.unread != nil || !s.Matches(t.run.facts) {
		t.look(reconciliation, &f)
	}
	f.Wake = t.wake()
	return f
}

// Unlisted is the input that a reconciliation's list does not have the container.
func (t *Tracker) Unlisted(reconciliation int, m Moment) Effects {
	var f Effects
	switch {
	case t.run.facts != nil, t.waits(m), t.calls.unread != nil:
		t.look(reconciliation, &f)
	case t.pending() != nil: // for too long
		t.waiting = nil
	case t.Idle():
		f.Forget = true
	}
	f.Wake = t.wake()
	return f
}

func (t *Tracker) look(reconciliation int, f *Effects) {
	if t.due == nil {
		t.due = &due{cause: byList}
	}
	t.due.reconciliation, t.due.since = reconciliation, time.Time{} // nobody knows since when
	f.Turn = true
}

// Turn is the input that it is the container's turn among those that the reconciliation has inspected. It does nothing where an
// event was faster; where an inspect is in flight, the one for the reconciliation follows it.
func (t *Tracker) Turn(reconciliation int, m Moment) Effects {
	var f Effects
	if t.due != nil && t.due.reconciliation == reconciliation && t.inflight == nil {
		t.begin(m, &f)
	}
	f.Wake = t.wake()
	return f
}
