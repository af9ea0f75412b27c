package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
)

// keysOf names the keys by the containers that there are, sorted; a host by itself, and all as "all".
func keysOf(c Changes, of ...*container.Container) string {
	if c.All {
		return "all"
	}
	var names []string
	for _, key := range c.Keys {
		name := string(key.Host)
		for _, o := range of {
			if o.ID == key.ID {
				name = o.Name
			}
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// TestChanges checks whose the changes are of which the catalog tells, and that it does so when the catalog has them.
func TestChanges(t *testing.T) {
	web, app := facts("web", "a=10.1.0.2"), facts("app", "")
	app.NetworkMode = "container:" + web.ID
	paused := *web
	paused.Paused = true
	next := of(facts("next", ""), "shop", "web")
	for name, c := range map[string]struct {
		before, do func(f *Feed, clock *clock)
		want       string
	}{
		"a start":                {nil, func(f *Feed, _ *clock) { set(f, web) }, "web"},
		"two changes of one":     {nil, func(f *Feed, _ *clock) { set(f, web); set(f, &paused) }, "web"},
		"who has joined another": {func(f *Feed, _ *clock) { set(f, web, app) }, func(f *Feed, _ *clock) { set(f, &paused) }, "app web"},
		"only starting": {nil, func(f *Feed, _ *clock) {
			f.Apply([]container.Change{{ID: web.ID, Starting: &container.Starting{Container: web}}})
		}, ""},
		"created":                  {nil, func(f *Feed, _ *clock) { create(f, next) }, "next"},
		"facts that can't be read": {func(f *Feed, _ *clock) { set(f, web) }, func(f *Feed, _ *clock) { f.Apply([]container.Change{{ID: web.ID, Unread: fmt.Errorf("no")}}) }, "web"},
		"an end":                   {func(f *Feed, _ *clock) { set(f, web) }, func(f *Feed, _ *clock) { ends(f, web, true) }, "web"},
		"the end of a hold": {func(f *Feed, _ *clock) { set(f, web); ends(f, web, true) },
			func(_ *Feed, clock *clock) { clock.wait(hold) }, "web"},
		"the host is away": {func(f *Feed, _ *clock) { set(f, web) }, func(f *Feed, clock *clock) { f.Current(false, clock.now) }, string(here)},
		"the host is aside": {func(f *Feed, _ *clock) { set(f, web) },
			func(f *Feed, _ *clock) { f.SetAside(true) }, "all"},
		"more than can be told": {nil, func(f *Feed, _ *clock) {
			for range maxChanges + 1 {
				set(f, web)
			}
		}, "all"},
		"as many as can be told": {nil, func(f *Feed, _ *clock) {
			for range maxChanges {
				set(f, web)
			}
		}, "web"},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			cat, _ := newCatalog(clock, hold)
			f := cat.Feed(here)
			f.Host(containertest.Host())
			f.Synced()
			if c.before != nil {
				c.before(f, clock)
			}
			begin := cat.Changes(0)
			if !begin.All {
				t.Errorf("who asks first is told %q, want all", keysOf(begin, web, app, next))
			}
			c.do(f, clock)
			got := cat.Changes(begin.Last)
			if keysOf(got, web, app, next) != c.want {
				t.Errorf("%q, want %q", keysOf(got, web, app, next), c.want)
			}
			select {
			case <-begin.Next:
				if c.want == "" {
					t.Error("woken by nothing")
				}
			default:
				if c.want != "" {
					t.Error("who waits is not woken")
				}
			}
			if again := cat.Changes(got.Last); keysOf(again) != "" || again.Last != got.Last {
				t.Errorf("without a change: %q and number %d, want nothing and %d", keysOf(again, web, app, next), again.Last, got.Last)
			}
			if other := cat.Changes(got.Last + 1); !other.All {
				t.Error("a number that was never given is taken for one")
			}
		})
	}
}
