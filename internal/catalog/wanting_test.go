package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
)

// describeLacks writes who could be expected to have a name, and why it does not.
func describeLacks(all []Wanting) string {
	words := map[Lack]string{
		LacksAll: "left out", Refused: "refused", NotNamedSo: "other source", Forgotten: "forgotten", Unreadable: "unreadable", NeverRan: "never ran", Over: "over",
	}
	var out []string
	for _, w := range all {
		text := cmp.Or(w.Name, w.ID[:3]) + " " + words[w.Lack]
		if w.Source != "" && w.Lack != Over {
			text += " by " + string(w.Source)
		}
		if w.Refused != nil {
			text += fmt.Sprintf(" (%.20s)", w.Refused.Reason)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// labelled gives the container one of our labels.
func labelled(c *container.Container, key, value string) *container.Container {
	c.Labels = map[string]string{naming.DefaultLabelPrefix + "." + key: value}
	return c
}

// TestWanting checks who is found that could be expected to have a name.
func TestWanting(t *testing.T) {
	aliased := func(c *container.Container, alias string) *container.Container {
		c.Endpoints[0].Aliases = []string{alias}
		return c
	}
	runs := func(cs ...*container.Container) func(*rig) {
		return func(d *rig) {
			for _, c := range cs {
				d.set(c)
			}
		}
	}
	off := func(name string) *container.Container { return labelled(facts(name, "a=10.1.0.2"), "enable", "false") }
	for _, c := range []struct {
		what, name, want string
		do               func(*rig)
	}{
		{"who has the name", "web.docker.", "", runs(facts("web", "a=10.1.0.2"))},
		{"who is left out", "web.docker.", "web left out by container", runs(off("web"))},
		{"who is left out, by its ID", "web000000000.docker.", "web left out by id", runs(off("web"))},
		{"who is left out, by the hyphens", "my-web.docker.", "my_web left out by container", runs(off("my_web"))},
		{"who is left out, by its alias", "www.docker.", "web left out by alias", runs(aliased(off("web"), "www"))},
		{"who is left out, by its service", "db.shop.docker.", "web left out by compose", runs(func() *container.Container {
			c := of(off("web"), "shop", "db")
			c.Labels[naming.DefaultLabelPrefix+".enable"] = "no"
			return c
		}())},
		{"who is left out, by a service's name", "_http._tcp.web.docker.", "web left out by container", runs(func() *container.Container {
			c := off("web")
			c.Ports = []container.Port{{Number: 80, Proto: "tcp"}}
			return c
		}())},
		{"who is left out, and called otherwise", "app.docker.", "", runs(off("web"))},
		{"a name in no zone", "web.lan.", "", runs(off("web"))},
		{"what can't be a name", `my\032app.docker.`, "web refused by alias (character ' '; lette)", runs(aliased(facts("web", "a=10.1.0.2"), "my app"))},
		{"what looks like what can't be a name", "myapp.docker.", "web refused by alias (character ' '; lette)", runs(aliased(facts("web", "a=10.1.0.2"), "My App"))},
		{"a name that a label has in no zone", "x.example.org.", "web refused by label (it lies in none of t)", runs(labelled(facts("web", "a=10.1.0.2"), "host", "x.example.org."))},
		{"records that can't be read", "x.docker.", "web refused by label (it can't be parsed: )", runs(labelled(facts("web", "a=10.1.0.2"), "records", "x TXT \"open"))},
		{"other records that can't be read", "y.docker.", "", runs(labelled(facts("web", "a=10.1.0.2"), "records", "x TXT \"open"))},
		{"who is held", "web.docker.", "", func(d *rig) {
			d.set(facts("web", "a=10.1.0.2"))
			d.Apply([]container.Change{{ID: facts("web", "").ID}})
		}},
		{"whose hold is over", "web.docker.", "web over", func(d *rig) {
			d.set(facts("web", "a=10.1.0.2"))
			d.Apply([]container.Change{{ID: facts("web", "").ID}})
			d.wait(hold)
		}},
		{"who has ended long ago", "web.docker.", "", func(d *rig) {
			d.set(facts("web", "a=10.1.0.2"))
			d.Apply([]container.Change{{ID: facts("web", "").ID}})
			d.wait(hold + container.KeepNames)
		}},
		{"who was created", "web.docker.", "web never ran by container", func(d *rig) { d.Apply([]container.Change{d.created(facts("web", ""))}) }},
		{"who can't be read", "web.docker.", "web unreadable by container", func(d *rig) {
			d.Apply([]container.Change{{ID: facts("web", "").ID, Name: "web", Unread: errors.New("broken")}})
		}},
		{"who can't be read, of whatever name", "web.docker.", "web left out by container, abc unreadable by container", func(d *rig) {
			d.Apply([]container.Change{{ID: facts("abc", "").ID, Unread: errors.New("broken")}})
			c := off("off")
			c.Name = "web"
			d.set(c)
		}},
		{"whose host is away for too long", "web.docker.", "web forgotten", func(d *rig) {
			d.set(facts("web", "a=10.1.0.2"))
			d.Feed.Current(false, d.clock.now.Add(-2*forget))
		}},
	} {
		d := newRig(newClock(), hold)
		c.do(d)
		if got := describeLacks(d.Wanting(c.name)); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// TestWantingBound checks that but so many containers are named, whatever they are called.
func TestWantingBound(t *testing.T) {
	cat, _ := newCatalog(newClock(), hold)
	var changes []container.Change
	for i := range 2 * maxNamed {
		c := of(facts(fmt.Sprintf("c%07x", i), ""), "shop", "web")
		c.Labels[naming.DefaultLabelPrefix+".enable"] = "false"
		changes = append(changes, container.Change{ID: c.ID, Container: c})
	}
	cat.Feed(here).Apply(changes)
	if got := len(cat.Wanting("web.shop.docker.")); got != maxNamed {
		t.Errorf("%d are found, want %d", got, maxNamed)
	}
}

// BenchmarkWanting looks for who could be expected to have a name among 40,000 containers that are left out.
func BenchmarkWanting(b *testing.B) {
	cat, _ := newCatalog(newClock(), hold)
	var changes []container.Change
	for i := range 40000 {
		c := of(facts(fmt.Sprintf("c%07x", i), fmt.Sprintf("a=10.1.%d.%d", i>>8, i&255)), fmt.Sprint("shop", i/5), "web")
		c.Name, c.Labels[naming.DefaultLabelPrefix+".enable"] = fmt.Sprintf("shop%d-web-1", i), "false"
		changes = append(changes, container.Change{ID: c.ID, Container: c, Since: time.Time{}})
	}
	cat.Feed(here).Apply(changes)
	b.ReportAllocs()
	for b.Loop() {
		if got := describeLacks(cat.Wanting("shop12345-web-1.docker.")); got != "shop12345-web-1 left out by container" {
			b.Fatal(got)
		}
	}
}
