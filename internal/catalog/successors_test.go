package catalog

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// of makes a container one of a Compose service, with the service as its alias on network a.
func of(c *container.Container, project, service string) *container.Container {
	c.Labels = map[string]string{"com.docker.compose.project": project, "com.docker.compose.service": service}
	if c.Endpoints == nil {
		c.Endpoints = []container.Endpoint{{Network: "a"}}
	}
	c.Endpoints[0].Aliases = []string{service}
	return c
}

// TestSuccessor has a service's container made anew as Compose does, which waits for something else before it starts the new
// one.
func TestSuccessor(t *testing.T) {
	for name, c := range map[string]struct {
		before, after func(d *rig, old, next *container.Container) []container.Change // the old one's end
	}{
		"Compose v2": { // the new one is created first, and gets its name when the old one's is free
			func(d *rig, _, next *container.Container) []container.Change {
				first := *next
				first.Name = "0123_shop-web-1"
				return []container.Change{d.created(&first)}
			},
			func(d *rig, _, next *container.Container) []container.Change {
				return []container.Change{d.created(next)}
			},
		},
		"Compose v1": {
			func(_ *rig, _, _ *container.Container) []container.Change { return nil },
			func(d *rig, _, next *container.Container) []container.Change {
				return []container.Change{d.created(next)}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newRig(newClock(), hold)
			old, next := of(facts("1", "a=10.1.0.2"), "shop", "web"), of(facts("2", ""), "shop", "web")
			old.Name, next.Name = "shop-web-1", "shop-web-1"
			old.Hostname, next.Hostname = "www", "www"
			next.Endpoints[0].Aliases = append(next.Endpoints[0].Aliases, "new")
			names := []string{"shop-web-1", "www", "web", "web.a", "web.shop", "new", old.ShortID(), next.ShortID()}
			kept := names[:5]
			d.set(old)
			d.Apply(c.before(d, old, next))
			d.wait(time.Second)
			d.Apply([]container.Change{{ID: old.ID}})
			d.Apply([]container.Change{{ID: old.ID, Gone: true}})
			d.Apply(c.after(d, old, next))
			d.wait(9 * time.Second)
			d.exist(t, "in the hold", names, append(slices.Clone(kept), old.ShortID())...)
			d.wait(2 * time.Second)
			d.exist(t, "after it", names, kept...)
			d.wait(9 * time.Minute)
			d.exist(t, "long after it", names, kept...)

			reloaded := newRig(d.clock, hold)
			reloaded.Apply([]container.Change{
				{ID: old.ID, Last: old, Since: d.clock.now.Add(-9*time.Minute - 11*time.Second), Gone: true},
				{ID: next.ID, Created: next, Since: d.clock.now.Add(-9*time.Minute - 12*time.Second)},
			})
			reloaded.exist(t, "after a reload", names, kept...)

			started := *next
			started.Endpoints = facts("2", "a=10.1.0.3").Endpoints
			started.Endpoints[0].Aliases = next.Endpoints[0].Aliases
			d.set(&started)
			for _, n := range append(kept, "new") {
				if got := d.look(n+".docker.", dns.TypeA); got != "10.1.0.3" {
					t.Errorf("after the start %s is %q", n, got)
				}
			}
			d.Apply([]container.Change{{ID: next.ID}})
			d.wait(11 * time.Second)
			d.exist(t, "after its end", names)

			d.wait(time.Minute)
			reloaded.exist(t, "after ten minutes", names)
		})
	}
}

// TestSuccessorsRights has a service with a container name made anew, while another one has that name as an alias: it does not
// get it, whether the new container is known by then or not.
func TestSuccessorsRights(t *testing.T) {
	old, next, other := of(facts("cache", "a=10.1.0.2"), "shop", "web"), of(facts("2", ""), "shop", "web"), of(facts("other", "a=10.1.0.9"), "shop", "db")
	other.Endpoints[0].Aliases = []string{"cache"}
	next.Name = "cache"
	c := newClock()
	d, reloaded := newRig(c, hold), newRig(c, hold)
	d.set(old)
	d.set(other)
	d.Apply([]container.Change{{ID: old.ID}})
	d.Apply([]container.Change{{ID: old.ID, Gone: true}})
	reloaded.Apply([]container.Change{{ID: other.ID, Container: other}, {ID: old.ID, Last: old, Since: c.now, Gone: true}})
	check := func(what, want string) {
		t.Helper()
		for _, r := range []*rig{d, reloaded} {
			if got := r.look("cache.docker.", dns.TypeA); got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
	}
	check("the old one is removed", "none")
	for _, r := range []*rig{d, reloaded} {
		r.Apply([]container.Change{r.created(next)})
	}
	c.wait(time.Minute)
	check("the new one waits", "none")
	for _, r := range []*rig{d, reloaded} {
		r.Apply([]container.Change{{ID: next.ID, Gone: true}})
	}
	check("the new one is removed", "10.1.0.9")
}

// TestSuccessorOfNobody checks what a created container does not bring about.
func TestSuccessorOfNobody(t *testing.T) {
	names := []string{"web", "web.shop"}
	for name, c := range map[string]struct {
		next   *container.Container
		before time.Duration // from the old one's end to its creation
		end    bool          // it is removed
	}{
		"of another project":   {of(facts("2", ""), "blue", "web"), 0, false},
		"another service":      {of(facts("2", ""), "shop", "db"), 0, false},
		"too late":             {of(facts("2", ""), "shop", "web"), 11 * time.Second, false},
		"removed":              {of(facts("2", ""), "shop", "web"), time.Second, true},
		"without a network":    {facts("2", ""), time.Second, false},
		"the names of nothing": {of(facts("2", ""), "other", "thing"), time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newRig(newClock(), hold)
			old := of(facts("1", "a=10.1.0.2"), "shop", "web")
			d.set(old)
			d.Apply([]container.Change{{ID: old.ID}})
			d.wait(c.before)
			d.Apply([]container.Change{d.created(c.next)})
			if c.end {
				d.wait(11 * time.Second)
				d.exist(t, "before the removal", names, names...)
				d.Apply([]container.Change{{ID: c.next.ID, Gone: true}})
			}
			d.wait(max(0, 11*time.Second-c.before))
			d.exist(t, "without it", append(names, "thing", "thing.other", "2", c.next.ShortID()))
		})
	}
}

// TestEndedBefore tells a catalog of containers that have ended before it began, as a reload does: their names are held for what
// is left of its hold.
func TestEndedBefore(t *testing.T) {
	d := newRig(newClock(), hold)
	ended := func(name string, ago time.Duration) container.Change {
		c := facts(name, "a=10.1.0.2")
		return container.Change{ID: c.ID, Last: c, Since: d.clock.now.Add(-ago)}
	}
	names := []string{"a", "b", "c"}
	d.Apply([]container.Change{ended("a", time.Second), ended("b", 9*time.Second), ended("c", 11*time.Second)})
	d.exist(t, "at once", names, "a", "b")
	if got := d.look("2.0.1.10.in-addr.arpa.", dns.TypePTR); strings.HasPrefix(got, "a.") {
		t.Errorf("the address resolves to %s", got)
	}
	d.wait(2 * time.Second)
	d.exist(t, "soon", names, "a")
	d.set(facts("b", "net=10.1.0.3"))
	if got := d.look("b.docker.", dns.TypeA); got != "10.1.0.3" {
		t.Errorf("b has started: %q", got)
	}
	d.wait(time.Minute)
	d.exist(t, "later", []string{"a", "c"})
	none := newRig(d.clock, 0)
	none.Apply([]container.Change{ended("a", 0)})
	none.exist(t, "without a hold", names)
}
