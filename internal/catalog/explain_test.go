package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
)

var words = map[What]string{
	Created: "created", Runs: "runs", Changed: "changed", Ended: "ended", Removed: "removed", Unread: "unread",
	NetworkChanged: "network changed", ProviderChanged: "provider changed",
	HoldOver: "hold over", TakenOver: "taken over", SuccessorGone: "successor gone",
}

// describe writes a container's changes as WHAT(CAUSE) SECONDS, these since the beginning of the clock.
func describe(events []Event) string {
	var all []string
	for _, e := range events {
		what := words[e.What]
		if e.Cause != "" {
			what += "(" + e.Cause + ")"
		}
		all = append(all, fmt.Sprintf("%s %.0f", what, e.At.Sub(newClock().now).Seconds()))
	}
	return strings.Join(all, ", ")
}

// changed checks the last changes of a container.
func (r *rig) changed(t *testing.T, id, want string) {
	t.Helper()
	got := "nothing"
	if all := r.Explain(here, id); len(all) == 1 {
		got = describe(all[0].Events)
	} else if len(all) > 1 {
		got = fmt.Sprintf("%d containers", len(all))
	}
	if got != want {
		t.Errorf("%.8s: %s, want %s", id, got, want)
	}
}

// TestLastChanges checks what is remembered of containers, and for how long.
func TestLastChanges(t *testing.T) {
	web := facts("web", "a=10.1.0.2")
	next := of(facts("2", ""), "shop", "web")
	old := of(facts("1", "a=10.1.0.2"), "shop", "web")
	app := facts("app", "")
	app.NetworkMode = "container:" + web.ID
	called := *app
	called.Name = "called"
	paused := *web
	paused.Paused = true
	moved := facts("web", "a=10.1.0.3")
	step := func(d *rig, changes ...container.Change) {
		d.Apply(changes)
		d.wait(time.Second)
	}
	ran := func(d *rig, c *container.Container) {
		d.set(c)
		step(d, container.Change{ID: c.ID, Cause: "die"})
	}
	runs := func(c *container.Container, cause string) container.Change {
		return container.Change{ID: c.ID, Container: c, Cause: cause}
	}
	for name, c := range map[string]struct {
		do   func(d *rig)
		id   string
		want string
	}{
		"a life": {func(d *rig) {
			step(d, runs(web, "start"))
			step(d, runs(&paused, "pause"))
			step(d, container.Change{ID: web.ID, Cause: "die"})
			d.wait(hold)
			step(d, container.Change{ID: web.ID, Gone: true, Cause: "destroy"})
		}, web.ID, "runs(start) 0, changed(pause) 1, ended(die) 2, hold over 12, removed(destroy) 13"},
		"what is told again": {func(d *rig) {
			same := *web
			step(d, runs(web, "start"), runs(&same, "list"))
			step(d, container.Change{ID: web.ID, Cause: "die"}, container.Change{ID: web.ID, Cause: "list"})
			step(d, container.Change{ID: web.ID, Cause: "list"})
			d.wait(hold)
			step(d, container.Change{ID: web.ID, Cause: "start"})
		}, web.ID, "runs(start) 0, ended(die) 1, hold over 11"},
		"a start that fails": {func(d *rig) {
			step(d, d.created(next))
			step(d, container.Change{ID: next.ID, Cause: "die"}, container.Change{ID: next.ID, Cause: "list"})
			step(d, container.Change{ID: next.ID, Gone: true, Cause: "destroy"}, container.Change{ID: next.ID, Gone: true})
		}, next.ID, "created 0, ended(die) 1, removed(destroy) 2"},
		"a restart in one batch": {func(d *rig) {
			step(d, runs(web, "list"))
			step(d, container.Change{ID: web.ID, Cause: "die"}, runs(moved, "start"))
		}, web.ID, "runs(list) 0, ended(die) 1, runs(start) 1"},
		"a start after the hold": {func(d *rig) {
			ran(d, web)
			d.wait(hold)
			step(d, runs(web, "start"))
		}, web.ID, "runs 0, ended(die) 0, hold over 10, runs(start) 11"},
		"many changes": {func(d *rig) {
			step(d, runs(web, "start"))
			for range 5 {
				step(d, runs(&paused, "pause"), runs(web, "unpause"))
			}
		}, web.ID, "changed(pause) 2, changed(unpause) 2, changed(pause) 3, changed(unpause) 3, changed(pause) 4, changed(unpause) 4, changed(pause) 5, changed(unpause) 5"},
		"who has ended long ago": {func(d *rig) {
			ran(d, web)
			d.wait(hold + container.KeepNames)
		}, web.ID, "nothing"},
		"who is not known": {func(d *rig) { step(d, container.Change{ID: web.ID, Gone: true}) }, web.ID, "nothing"},
		"one whose provider is paused, and gets other addresses": {func(d *rig) {
			step(d, runs(web, "start"), runs(app, "start"))
			step(d, runs(&paused, "pause"))
			step(d, runs(moved, "unpause"))
		}, app.ID, "runs(start) 0, provider changed 2"},
		"one whose provider ends while it changes itself": {func(d *rig) {
			step(d, runs(web, "start"), runs(app, "start"))
			step(d, container.Change{ID: web.ID}, runs(&called, "rename"))
		}, app.ID, "runs(start) 0, changed(rename) 1"},
		"a network that spans hosts, as it turns out": {func(d *rig) {
			step(d, runs(web, "start"), runs(app, "start"))
			d.Host(container.Host{Networks: []container.Network{{ID: "n", Name: "a", Spans: true}}})
		}, web.ID, "runs(start) 0, network changed 1"},
		"who has joined one on it": {func(d *rig) {
			step(d, runs(web, "start"), runs(app, "start"))
			d.Host(container.Host{Networks: []container.Network{{ID: "n", Name: "a", Spans: true}}})
		}, app.ID, "runs(start) 0, provider changed 1"},
		"who was created": {func(d *rig) {
			step(d, d.created(next))
			again := *next
			again.Name = "other"
			for _, c := range []*container.Container{&again, &again} {
				d.Apply([]container.Change{{ID: c.ID, Created: c, Since: newClock().now, Cause: "rename"}})
			}
			d.wait(time.Second)
			step(d, runs(next, "start"))
		}, next.ID, "created 0, created(rename) 1, runs(start) 2"},
		"who is taken over by a successor": {func(d *rig) {
			ran(d, old)
			step(d, d.created(next))
			d.wait(hold)
			step(d, runs(next, "start"))
		}, old.ID, "runs 0, ended(die) 0, hold over 10, taken over 12"},
		"whose successor is removed": {func(d *rig) {
			ran(d, old)
			step(d, d.created(next))
			d.wait(hold)
			step(d, container.Change{ID: next.ID, Gone: true})
		}, old.ID, "runs 0, ended(die) 0, hold over 10, successor gone 12"},
		"whose successor waits for too long": {func(d *rig) {
			ran(d, old)
			step(d, d.created(next))
			d.wait(container.KeepNames)
		}, old.ID, "runs 0, ended(die) 0, hold over 10, successor gone 601"},
		"who had ended before": {func(d *rig) {
			d.wait(time.Minute)
			step(d, container.Change{ID: web.ID, Last: web, Since: newClock().now.Add(55 * time.Second), Cause: "list"})
			step(d, runs(web, "start"))
		}, web.ID, "ended(list) 55, runs(start) 61"},
		"who can't be read": {func(d *rig) {
			step(d, container.Change{ID: web.ID, Unread: errors.New("x"), Cause: "start"})
			d.wait(container.KeepNames)
		}, web.ID, "unread(start) 0"},
	} {
		d := newRig(newClock(), hold)
		c.do(d)
		t.Run(name, func(t *testing.T) { d.changed(t, c.id, c.want) })
		if got := d.look("nobody.docker.", 1); got != "NXDOMAIN" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestPastIsBounded checks that containers which come and go leave the last of them.
func TestPastIsBounded(t *testing.T) {
	d := newRig(newClock(), 0)
	for i := range 2 * maxPast {
		c := facts(fmt.Sprintf("c%dx", i), "a=10.1.0.2")
		d.set(c)
		d.wait(time.Millisecond)
		d.Apply([]container.Change{{ID: c.ID, Gone: true}})
	}
	if n := len(d.past); n != maxPast {
		t.Errorf("%d are remembered, want %d", n, maxPast)
	}
	for i, want := range map[int]int{0: 0, maxPast - 1: 0, maxPast: 1, 2*maxPast - 1: 1} {
		if got := len(d.Explain(here, fmt.Sprintf("c%dx", i))); got != want {
			t.Errorf("of container %d there are %d, want %d", i, got, want)
		}
	}
	d.wait(container.KeepNames)
	d.set(facts("last", ""))
	d.Apply([]container.Change{{ID: facts("last", "").ID}})
	if n := len(d.past); n != 1 {
		t.Errorf("%d are remembered later, want 1", n)
	}
}

// TestExplain checks what there is to know of containers that run, that have ended, and that have no names.
func TestExplain(t *testing.T) {
	unread := errors.New("too large")
	labeled := func(name string, labels ...string) *container.Container {
		c := told(name, labels...)
		c.Endpoints = facts("", "a=10.1.0.2").Endpoints
		return c
	}
	web, old := facts("web", "a=10.1.0.2"), facts("web", "a=10.1.0.3")
	old.ID = strings.Repeat("0123456789abcdef", 4)
	all := []*container.Container{
		web, old, labeled("off", "coredns.dockerdiscovery.enable=false"), labeled("bad", "coredns.dockerdiscovery.host=x..y"), labeled("large"),
	}
	d := newRig(newClock(), hold)
	for _, f := range []*Feed{d.Feed, d.Catalog.Feed(there)} {
		for _, c := range all {
			f.Apply([]container.Change{{ID: c.ID, Container: c}})
		}
		f.Apply([]container.Change{{ID: old.ID}, {ID: all[4].ID, Unread: unread}})
	}
	d.Catalog.Feed(there).Apply([]container.Change{{ID: web.ID, Gone: true}})
	for ref, want := range map[string]string{
		"web": "web runs as web.docker. | web held until 10", web.ID: "web runs as web.docker.", old.ID: "web held until 10", "0123456789ab": "web held until 10",
		"off": "off runs, left out 2", "bad": "bad runs as bad.docker., 1 skipped", "large": "large runs as large.docker., unread too large",
		"0123": "", "we": "",
	} {
		if got := describeAll(d.Explain(here, ref)); got != want {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
	}
	if got := d.Explain("nowhere", "web"); got != nil {
		t.Errorf("on a host that is not known: %v", got)
	}
	var names []string
	for e := range d.All() {
		names = append(names, fmt.Sprintf("%s/%s", e.Host, e.Name))
	}
	want := strings.Fields("here/bad here/large here/off here/web here/web there/bad there/large there/off there/web there/web")
	if !slices.Equal(names, want) {
		t.Errorf("all are %v, want %v", names, want)
	}
	again := *all[4]
	d.Apply([]container.Change{{ID: all[4].ID, Container: &again}})
	if got, want := describeAll(d.Explain(here, "large")), "large runs as large.docker."; got != want {
		t.Errorf("after it was read: %s, want %s", got, want)
	}
	for range d.All() {
		break
	}
	if naming.Disabled != 2 {
		t.Error("this test's words for reasons are not the reasons'")
	}
}

func describeAll(all []Explanation) string {
	var out []string
	for _, e := range all {
		s := e.Name
		if e.Facts != nil {
			s += " runs"
		}
		if !e.HeldUntil.IsZero() {
			s += fmt.Sprintf(" held until %.0f", e.HeldUntil.Sub(newClock().now).Seconds())
		}
		if e.Facts != nil && e.Entry != nil {
			s += " as " + e.Entry.Claims[0].Name
		}
		if e.LeftOut != naming.LetIn {
			s += fmt.Sprintf(", left out %d", e.LeftOut)
		}
		if len(e.Skipped) > 0 {
			s += fmt.Sprintf(", %d skipped", len(e.Skipped))
		}
		if e.Unread != nil {
			s += ", unread " + e.Unread.Error()
		}
		out = append(out, s)
	}
	return strings.Join(out, " | ")
}
