package tracker

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// at is a time by the engine's clock.
func at(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }

// now is a moment by our clock, which is an hour behind.
func now(ms int) Moment { return Moment{Now: at(ms).Add(-time.Hour)} }

// runs returns the tracker of a container that runs by the facts since 0, and for which nothing is to be found out.
func runs(facts container.Container) *Tracker {
	t := New("web", nil)
	facts.ID = "web"
	t.Listed(&Summary{ID: "web"}, 1)
	t.Turn(1, now(0))
	t.Answer(Answer{Facts: &facts, Since: at(0)}, now(0))
	return &t
}

// TestIncludesStart checks which events of a start facts include.
func TestIncludesStart(t *testing.T) {
	started := time.Unix(1000, 0)
	for after, want := range map[time.Duration]bool{-time.Nanosecond: false, 0: true, 100 * time.Millisecond: true, StartTakes: false} {
		if got := includesStart(started, started.Add(after)); got != want {
			t.Errorf("an event %v after the start: %t", after, got)
		}
	}
	if includesStart(time.Time{}, time.Time{}) {
		t.Error("facts that do not tell when the container was started include its start")
	}
}

// TestNewsOfEvents checks after which ends and starts the engine is asked for more.
func TestNewsOfEvents(t *testing.T) {
	for name, c := range map[string]struct {
		facts  container.Container // that started at 0
		late   bool                // events are
		events []Event
		ended  bool
		asked  bool
	}{
		"death":                               {events: []Event{{Kind: Ended, At: at(300)}}, ended: true},
		"death where events are late":         {late: true, events: []Event{{Kind: Ended, At: at(300)}}, ended: true, asked: true},
		"death and removal":                   {events: []Event{{Kind: Ended, At: at(300)}, {Kind: Removed, At: at(301)}}, ended: true},
		"removal":                             {events: []Event{{Kind: Removed, At: at(300)}}, ended: true},
		"death before the start":              {events: []Event{{Kind: Ended, At: at(-1)}}, asked: true},
		"new start told before the death":     {events: []Event{{Kind: Started, At: at(200)}, {Kind: Ended, At: at(100)}}, ended: true, asked: true},
		"its start":                           {events: []Event{{Kind: Started, At: at(4)}}},
		"its start told twice":                {events: []Event{{Kind: Started, At: at(4)}, {Kind: Started, At: at(4)}}},
		"a restart, told by two events":       {events: []Event{{Kind: Started, At: at(4)}, {Kind: Restarted, At: at(5)}}},
		"two starts":                          {events: []Event{{Kind: Started, At: at(4)}, {Kind: Started, At: at(100)}}, asked: true},
		"start of what was stopping":          {facts: container.Container{Stopping: true}, events: []Event{{Kind: Started, At: at(4)}}, asked: true},
		"start long after that which we know": {events: []Event{{Kind: Started, At: at(300)}}, asked: true},
	} {
		web := runs(c.facts)
		asked := false
		for _, e := range c.events {
			m := now(1000)
			m.Late = c.late
			asked = web.Event(e, m).Inspect || asked
		}
		if ended := web.Facts() == nil; ended != c.ended || asked != c.asked {
			t.Errorf("%s: ended %t, the engine is asked %t", name, ended, asked)
		}
	}
}

// on returns a container's endpoints on networks.
func on(networks ...string) (eps []container.Endpoint) {
	for _, n := range networks {
		eps = append(eps, container.Endpoint{Network: n, Addrs: []netip.Addr{netip.IPv6Loopback()}, Aliases: []string{"db"}})
	}
	return eps
}

// addressedOn returns the networks on which a container has addresses.
func addressedOn(c *container.Container) string {
	var got []string
	for _, ep := range c.Endpoints {
		if len(ep.Addrs) > 0 {
			got = append(got, ep.Network)
		}
	}
	return strings.Join(got, " ")
}

// TestLeftDuringInspect checks that an inspect that may have been answered before the container left a network does not bring the
// network back; if it is back there, the inspect that follows does, and a new start does at once.
func TestLeftDuringInspect(t *testing.T) {
	for name, c := range map[string]struct {
		again bool // it has joined the network again, as an event tells
		since int  // of the run in the answer; it was 0
		want  string
	}{
		"gone":         {false, 0, "front"},
		"joined again": {true, 0, "front"},
		"restarted":    {true, 20, "back front"},
	} {
		facts := func() *container.Container { return &container.Container{ID: "web", Endpoints: on("back", "front")} }
		web := runs(*facts())
		web.Event(Event{Kind: Changed, At: at(9)}, now(900))
		web.Event(Event{Kind: Disconnected, Network: "back", At: at(10)}, now(901))
		if c.again {
			web.Event(Event{Kind: Connected, Network: "back", At: at(11)}, now(902))
		}
		f := web.Answer(Answer{Facts: facts(), Since: at(c.since)}, now(903))
		if got := addressedOn(web.Facts()); got != c.want || !f.Inspect {
			t.Errorf("%s: it is on %v, want %s; inspected again: %t", name, got, c.want, f.Inspect)
		}
		web.Answer(Answer{Facts: facts(), Since: at(c.since)}, now(904))
		if got := addressedOn(web.Facts()); got != "back front" {
			t.Errorf("%s: then it is on %v", name, got)
		}
	}
}

// TestLeftNetwork checks that a network's addresses go with the event, and that an event from before the facts were asked for
// takes none away.
func TestLeftNetwork(t *testing.T) {
	for name, c := range map[string]struct {
		at   time.Time
		want string
	}{"new": {at(20), "back"}, "old": {at(10), "back front"}} {
		web := New("web", nil)
		m := now(0)
		m.Newest = at(10) // another container's event
		web.Event(Event{Kind: Started, At: at(0)}, m)
		web.Answer(Answer{Facts: &container.Container{ID: "web", Endpoints: on("back", "front")}, Since: at(0)}, m)
		f := web.Event(Event{Kind: Disconnected, Network: "front", At: c.at}, m)
		if got := addressedOn(web.Facts()); got != c.want || !f.Inspect {
			t.Errorf("%s: it is on %s, want %s; it is inspected: %t", name, got, c.want, f.Inspect)
		}
		if !slices.Equal(web.Facts().Endpoints[1].Aliases, []string{"db"}) {
			t.Errorf("%s: the aliases are gone", name)
		}
	}
}

// TestStarting checks what is told of a container that starts, from its creation to its second run.
func TestStarting(t *testing.T) {
	about := &About{Name: "web", Image: "nginx", Labels: map[string]string{"a": "b"}}
	web := New("web", nil)
	check := func(what string, f Effects, name, image string, networks string, complete bool, at time.Time) {
		t.Helper()
		if len(f.Deliver) != 1 || f.Deliver[0].Change.Starting == nil {
			t.Fatalf("%s: delivered %+v", what, f.Deliver)
		}
		s := f.Deliver[0].Change.Starting
		var on []string
		for _, ep := range s.Container.Endpoints {
			on = append(on, ep.Network)
		}
		if c := s.Container; c.ID != "web" || c.Name != name || c.Image != image || len(c.Labels) != len(image)/5 ||
			strings.Join(on, " ") != networks || addressedOn(c) != "" || s.Complete != complete || !s.At.Equal(at) {
			t.Errorf("%s: it starts as %+v, %+v", what, *s, *c)
		}
	}
	web.Event(Event{Kind: Created, About: about, At: at(0)}, now(0))
	check("connected", web.Event(Event{Kind: Connected, Network: "front", At: at(10)}, now(10)), "web", "nginx", "front", false, time.Time{})
	if f := web.Event(Event{Kind: Connected, Network: "front", At: at(11)}, now(11)); len(f.Deliver) != 0 {
		t.Errorf("connected again: delivered %+v", f.Deliver)
	}
	check("another network", web.Event(Event{Kind: Connected, Network: "back", At: at(12)}, now(12)), "web", "nginx", "front back", false, time.Time{})
	check("started", web.Event(Event{Kind: Started, Action: "start", About: about, At: at(20)}, now(20)), "web", "nginx", "front back", false, now(20).Now)
	f := web.Answer(Answer{}, now(21)) // from before the start
	if s := web.Starting(); s == nil || len(f.Deliver) != 0 && f.Deliver[len(f.Deliver)-1].Change.Starting == nil {
		t.Errorf("it starts no more although there is another answer to come: %+v", f.Deliver)
	}
	if !f.Inspect {
		t.Fatalf("not inspected again: %+v", f)
	}
	facts := &container.Container{ID: "web", Name: "web", Image: "nginx", Hostname: "www", Labels: about.Labels, Endpoints: on("back", "front"), Started: at(20)}
	f = web.Answer(Answer{Facts: facts, Since: at(20)}, now(101))
	if len(f.Deliver) != 1 || f.Deliver[0].Change.Container == nil || f.Deliver[0].Change.Cause != "start" || web.Starting() != nil {
		t.Errorf("runs: delivered %+v", f.Deliver)
	}
	web.Event(Event{Kind: Ended, At: at(500)}, now(500))
	f = web.Event(Event{Kind: Connected, Network: "new", At: at(600)}, now(600))
	check("started anew", f, "web", "nginx", "back front new", true, time.Time{})
	if c := f.Deliver[0].Change.Starting.Container; c.Hostname != "www" || !slices.Equal(c.Endpoints[0].Aliases, []string{"db"}) {
		t.Errorf("started anew: as %+v", *c)
	}
	f = web.Answer(Answer{Since: at(500)}, now(601))
	if len(f.Deliver) != 1 || !f.Deliver[0].Changed || !f.Deliver[0].Change.Ran() || f.Deliver[0].Change.Container != nil || web.Starting() != nil {
		t.Errorf("did not start: delivered %+v", f.Deliver)
	}
	check("renamed", web.Event(Event{Kind: Started, About: &About{Name: "web2", Image: "nginx"}, At: at(700)}, now(700)), "web2", "nginx", "back front", true, now(700).Now)
	if f = web.SessionEnded(now(701)); len(f.Deliver) != 1 || !f.Deliver[0].Changed || !f.Deliver[0].Change.Ran() || web.Starting() != nil {
		t.Errorf("the session has ended: delivered %+v", f.Deliver)
	}
	if other := New("web", facts); other.Starting() != nil {
		t.Error("a container starts of which no event tells")
	}
}

// TestUnread checks what is told of a container whose facts can't be read.
func TestUnread(t *testing.T) {
	failed := errors.New("failed")
	told := func(f Effects) string {
		var all []string
		for _, d := range f.Deliver {
			switch c := d.Change; {
			case !d.Changed:
				all = append(all, "nothing") // for a reconciliation
			case c.Unread != nil:
				all = append(all, "unread")
			case c.Starting != nil:
				all = append(all, "starting")
			case c.Container == nil:
				all = append(all, "off")
			default:
				all = append(all, c.Container.Name)
			}
		}
		return strings.Join(all, " ")
	}
	large := Answer{Err: failed, TooLarge: true}
	web := runs(container.Container{Name: "web"})
	facts := func(name string) Answer {
		return Answer{Facts: &container.Container{ID: "web", Name: name}, Since: at(0)}
	}
	next := 1000
	for i, step := range []struct {
		answer Answer
		want   string
		report bool
		facts  bool
	}{
		{Answer{Err: failed}, "unread", true, true},
		{Answer{Err: failed}, "", false, true}, // the second time in a row
		{facts("web"), "web", false, true},     // what it was, which ends that
		{facts("web"), "", false, true},
		{large, "off unread", true, false},
		{large, "", false, false},
		{facts("web"), "web", false, true},
	} {
		if f := web.Event(Event{Kind: Changed, At: at(next)}, now(next)); !f.Inspect {
			t.Fatalf("step %d: not inspected", i)
		}
		f := web.Answer(step.answer, now(next+1))
		if got := told(f); got != step.want || (f.Failed != nil || f.LeftOut != nil) != step.report || (web.Facts() != nil) != step.facts {
			t.Errorf("step %d: delivered %q, failed %v, left out %v, facts %v; want %q", i, got, f.Failed, f.LeftOut, web.Facts(), step.want)
		}
		next += 10000
	}
	// A retry that a session's end has cut off is made up for by the next one's list, though that shows nothing new.
	for name, listed := range map[string]bool{"runs": true, "does not": false} {
		web = runs(container.Container{Name: "web"})
		if !listed {
			web.Event(Event{Kind: Ended, At: at(100)}, now(100))
		}
		web.Event(Event{Kind: Changed, At: at(next)}, now(next))
		web.Answer(Answer{Err: failed}, now(next+1))
		web.SessionEnded(now(next + 2))
		var f Effects
		if listed {
			f = web.Listed(&Summary{ID: "web", Name: "web"}, 1)
		} else {
			f = web.Unlisted(1, now(next+3))
		}
		if !f.Turn {
			t.Errorf("%s: it stays as unreadable", name)
		}
	}
	// One that starts and can't be inspected does not start as far as is known.
	web = runs(container.Container{Name: "web"})
	web.Event(Event{Kind: Ended, At: at(100)}, now(100))
	for range 2 {
		if got := told(web.Event(Event{Kind: Started, At: at(next)}, now(next))); got != "starting" {
			t.Errorf("at the start: delivered %q", got)
		}
		if got := told(web.Answer(Answer{Err: failed}, now(next+1))); got != "unread" {
			t.Errorf("failed at the start: delivered %q", got)
		}
		next += 10000
	}
}
