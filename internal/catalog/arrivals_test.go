package catalog

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
)

// told is what events tell of a container before the engine does.
func told(name string, labels ...string) *container.Container {
	c := &container.Container{ID: facts(name, "").ID, Name: name, Labels: map[string]string{}}
	for _, l := range labels {
		key, value, _ := strings.Cut(l, "=")
		c.Labels[key] = value
	}
	return c
}

// begins has a container begin to start.
func (r *rig) begins(s container.Starting) {
	r.Apply([]container.Change{{ID: s.Container.ID, Starting: &s}})
}

// over reports whether the channel is closed.
func over(news <-chan struct{}) bool {
	select {
	case <-news:
		return true
	default:
		return false
	}
}

// TestExpect checks for which names queries wait while a container starts of which events have told all that they do.
func TestExpect(t *testing.T) {
	d := newRig(newClock(), hold)
	web := told("web_1", "com.docker.compose.project=shop", "com.docker.compose.service=web",
		"coredns.dockerdiscovery.host=www, *.apps, deep.er", "coredns.dockerdiscovery.records=mail IN MX 10 www")
	for _, name := range []string{"web_1", "www"} {
		if news, _ := d.Arrivals().Expect(name+".docker.", true); news != nil {
			t.Errorf("nothing starts: %s is expected", name)
		}
	}
	before := d.zones.Snapshot()
	d.begins(container.Starting{Container: web})
	if d.zones.Snapshot() != before {
		t.Error("the zones have changed although it only starts")
	}
	for name, want := range map[string]bool{
		"web_1": true, "web-1": true, "web_100000000": false, web.ShortID(): true,
		"web.shop": true, "www": true, "deep.er": true, "mail.web_1": true,
		"x.apps": true, "y.x.apps": true, "apps": false, "*.apps": true,
		"_80._tcp.web_1": true, "_http._tcp.web.shop": true, "_http._tcp.x.apps": true, "_80._tcp": false, "_80._tcp.x.www": false, "_80._tcp.nope": false,
		"er": false, "shop": false, "nope": false, "db.shop": false, "x.www": false, "web": false,
	} {
		if news, until := d.Arrivals().Expect(name+".docker.", true); (news != nil) != want || !until.IsZero() {
			t.Errorf("%s is expected: %t, want %t; until %v", name, news != nil, want, until)
		}
	}
	for _, name := range []string{"docker.", ".", "web_1.", "1.0.0.10.in-addr.arpa."} {
		if news, _ := d.Arrivals().Expect(name, true); news != nil {
			t.Errorf("%s is expected", name)
		}
	}
}

// TestExpectBelowHost checks that a query for a starting container's name below its host's waits, and not for one below another's.
func TestExpectBelowHost(t *testing.T) {
	cat, _ := newCatalog(newClock(), hold)
	cat.hostName = func(id container.HostID) string { return "named-" + string(id) }
	cat.Feed(there)
	cat.Feed(here).Apply([]container.Change{{ID: told("web").ID, Starting: &container.Starting{Container: told("web")}}})
	for name, want := range map[string]bool{"web.named-here": true, "_http._tcp.web.named-here": true, "web.named-there": false, "named-here": false} {
		if news, _ := cat.Arrivals().Expect(name+".docker.", true); (news != nil) != want {
			t.Errorf("%s is expected: %t, want %t", name, news != nil, want)
		}
	}
}

// TestUnforeseen checks how long a container that starts may turn out to have any name.
func TestUnforeseen(t *testing.T) {
	first, left := facts("web", "a=10.1.0.2"), told("web", "coredns.dockerdiscovery.enable=false")
	first.Hostname = "www"
	large := told("web")
	large.Labels = nil
	for what, c := range map[string]struct {
		starting container.Starting
		any      bool // the name may be an unforeseen one
		open     bool
	}{
		"the start is not told yet":    {container.Starting{Container: told("web")}, true, false},
		"it is":                        {container.Starting{Container: told("web"), At: newClock().now}, true, true},
		"a name that can't be":         {container.Starting{Container: told("web"), At: newClock().now}, false, false},
		"all is known":                 {container.Starting{Container: first, At: newClock().now, Complete: true}, true, false},
		"it has no names":              {container.Starting{Container: left, At: newClock().now}, true, false},
		"its labels can't be read":     {container.Starting{Container: large, At: newClock().now}, true, true},
		"its start was told long ago":  {container.Starting{Container: told("web"), At: newClock().now.Add(-unforeseenWait)}, true, false},
		"its start was told lately":    {container.Starting{Container: told("web"), At: newClock().now.Add(1 - unforeseenWait)}, true, true},
		"its start and last names are": {container.Starting{Container: first, At: newClock().now}, true, true},
	} {
		d := newRig(newClock(), hold)
		d.begins(c.starting)
		news, until := d.Arrivals().Expect("nope.docker.", c.any)
		if want := c.starting.At.Add(unforeseenWait); (news != nil) != c.open || c.open && until != want {
			t.Errorf("%s: expected is %t, want %t; until %v, want %v", what, news != nil, c.open, until, want)
		}
		if news, until := d.Arrivals().Expect("web.docker.", true); c.starting.Container != left && (news == nil || !until.IsZero()) {
			t.Errorf("%s: its name is expected: %t, until %v", what, news != nil, until)
		}
	}
	d := newRig(newClock(), hold)
	wait := func(what string, open bool) {
		t.Helper()
		if news, _ := d.Arrivals().Expect("nope.docker.", true); (news != nil) != open {
			t.Errorf("%s: expected is %t", what, !open)
		}
	}
	d.begins(container.Starting{Container: told("a"), At: d.clock.now})
	d.wait(unforeseenWait / 2)
	d.begins(container.Starting{Container: told("b"), At: d.clock.now})
	wait("two start", true)
	news, _ := d.Arrivals().Expect("nope.docker.", true)
	d.wait(unforeseenWait - 1)
	wait("the second is expected yet", true)
	d.wait(1)
	wait("neither is", false)
	if over(news) {
		t.Error("there is news although none has started")
	}
	only := naming.Rules{Sources: []naming.Source{naming.Container, naming.ID, naming.Compose, naming.Label}}
	if unforeseen(&only) {
		t.Error("with sources that events tell of there are unforeseen names")
	}
}

// TestArrivalWakes checks who is woken by what.
func TestArrivalWakes(t *testing.T) {
	d := newRig(newClock(), hold)
	expect := func(name string) <-chan struct{} {
		t.Helper()
		news, _ := d.Arrivals().Expect(name+".docker.", true)
		if news == nil {
			t.Fatalf("%s is not expected", name)
		}
		return news
	}
	host := func(name, of string) *container.Container { return told(name, "coredns.dockerdiscovery.host="+of) }
	d.begins(container.Starting{Container: host("a", "both, last")})
	d.begins(container.Starting{Container: host("b", "both")})
	a, b, both, last := expect("a"), expect("b"), expect("both"), expect("last")
	if again := expect("a"); again != a {
		t.Error("two who wait for one name have two channels")
	}
	d.begins(container.Starting{Container: host("a", "both"), At: d.clock.now}) // a has the label no more
	other := expect("nope")
	if over(a) || over(b) || over(both) || !over(last) || over(other) {
		t.Errorf("more is known of a: news of a %t, b %t, both %t, last %t, others %t", over(a), over(b), over(both), over(last), over(other))
	}
	started := facts("a", "a=10.1.0.2")
	started.Labels = host("a", "both").Labels
	d.set(started)
	if !over(a) || over(b) || !over(both) || !over(other) {
		t.Errorf("a has started: news of a %t, b %t, both %t, others %t", over(a), over(b), over(both), over(other))
	}
	for name, want := range map[string]string{"a": "10.1.0.2", "both": "10.1.0.2"} {
		if got := d.look(name+".docker.", 1); got != want {
			t.Errorf("a has started: %s is %s, want %s", name, got, want)
		}
	}
	if both = expect("both"); over(both) {
		t.Error("who waits on for both is told the same again")
	}
	for what, c := range map[string]container.Change{
		"it does not run":          {},
		"it is removed":            {Gone: true},
		"its facts can't be read":  {Unread: fmt.Errorf("no")},
		"it is only a created one": {Created: facts("b", ""), Since: d.clock.now},
	} {
		b = expect("b")
		c.ID = told("b").ID
		d.Apply([]container.Change{c})
		if !over(b) {
			t.Errorf("%s: no news", what)
		}
		if news, _ := d.Arrivals().Expect("b.docker.", true); news != nil {
			t.Errorf("%s: it is expected", what)
		}
		d.begins(container.Starting{Container: host("b", "both")})
	}
	d.Apply([]container.Change{{ID: told("b").ID}, {ID: told("b").ID, Starting: &container.Starting{Container: told("b")}}})
	if news, _ := d.Arrivals().Expect("b.docker.", true); news == nil {
		t.Error("it has ended and begun to start anew: it is not expected")
	}
	d.Apply([]container.Change{{ID: told("b").ID}})
	d.nothingStarts(t)
}

// nothingStarts checks that no container is noted as starting, and nothing is left of those that were.
func (r *rig) nothingStarts(t *testing.T) {
	t.Helper()
	if all := r.Arrivals(); len(all.starting)+len(all.unnamed)+len(all.names)+len(all.partial)+all.wild > 0 || all.any.Load() {
		t.Fatalf("something is left: %v %v %v", all.starting, all.names, all.partial)
	}
}

// TestArrivalsOfTwoHosts has containers of one name and ID start on two hosts. What ends for one host does not for the other.
func TestArrivalsOfTwoHosts(t *testing.T) {
	d := newRig(newClock(), hold)
	there := rig{Catalog: d.Catalog, Feed: d.Catalog.Feed("there"), clock: d.clock, zones: d.zones}
	for what, end := range map[string]func(){
		"it has started there":            func() { there.set(facts("web", "a=10.1.0.3")) },
		"the engine there can't be asked": func() { there.Current(false, d.clock.now) },
	} {
		d.begins(container.Starting{Container: told("web")})
		there.Feed = d.Catalog.Feed("there")
		there.Apply([]container.Change{{ID: told("web").ID}})
		there.begins(container.Starting{Container: told("web", "coredns.dockerdiscovery.host=www"), At: d.clock.now})
		here, _ := d.Arrivals().Expect("web.docker.", true)
		only, _ := d.Arrivals().Expect("www.docker.", true)
		other, _ := d.Arrivals().Expect("nope.docker.", true)
		end()
		if !over(here) || !over(only) || !over(other) {
			t.Errorf("%s: news of web %t, www %t, others %t", what, over(here), over(only), over(other))
		}
		for name, want := range map[string]bool{"web": true, "www": false, "nope": false} {
			if news, _ := d.Arrivals().Expect(name+".docker.", true); (news != nil) != want {
				t.Errorf("%s: %s is expected: %t", what, name, news != nil)
			}
		}
	}
	d.Current(false, d.clock.now)
	d.nothingStarts(t)
}

// TestManyStarting checks that no more starting containers are noted than may be, and that there is room again.
func TestManyStarting(t *testing.T) {
	d := newRig(newClock(), hold)
	name := func(i int) string { return fmt.Sprintf("c%dx", i) }
	expected := func(i int) bool {
		news, _ := d.Arrivals().Expect(name(i)+".docker.", false)
		return news != nil
	}
	for i := range maxStarting + 1 {
		d.begins(container.Starting{Container: told(name(i))})
	}
	if !expected(0) || !expected(maxStarting-1) || expected(maxStarting) {
		t.Errorf("expected: the first %t, the last of as many as may be %t, the next %t", expected(0), expected(maxStarting-1), expected(maxStarting))
	}
	d.set(facts(name(0), ""))
	d.begins(container.Starting{Container: told(name(maxStarting))})
	d.begins(container.Starting{Container: told(name(1)), At: d.clock.now}) // is noted already
	if !expected(maxStarting) || !expected(1) {
		t.Errorf("after one has started: expected is another %t, one of the others %t", expected(maxStarting), expected(1))
	}
}

// TestArrivalsModel compares arrivals with a model of them: in any order of starts and ends a name is expected as long as a
// container that could have it is starting, and whoever waits is woken when one of these has started.
func TestArrivalsModel(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 14))
		d := newRig(newClock(), 0)
		names := []string{"a", "b", "c", "*.w"}
		starting := map[string]container.Starting{}
		waits := map[<-chan struct{}]func(container.Starting) bool{} // whether a start's end is news
		for step := range 60 {
			c := told(string(rune('p'+r.IntN(4))), "coredns.dockerdiscovery.host="+names[r.IntN(4)]+","+names[r.IntN(4)])
			has := func(s container.Starting, name string) bool {
				return slices.Contains(strings.Split(s.Container.Labels["coredns.dockerdiscovery.host"], ","), name)
			}
			switch r.IntN(4) {
			case 0, 1:
				s := container.Starting{Container: c, Complete: r.IntN(2) == 0}
				if r.IntN(2) == 0 {
					s.At = d.clock.now
				}
				d.begins(s)
				starting[c.ID] = s
			case 2:
				if was, ok := starting[c.ID]; ok {
					d.Apply([]container.Change{{ID: c.ID}})
					delete(starting, c.ID)
					for news, of := range waits {
						if of(was) && !over(news) {
							t.Fatalf("seed %d, step %d: no news of the end of %s", seed, step, c.Name)
						}
					}
				}
			default:
				d.wait(time.Duration(r.IntN(int(unforeseenWait))))
			}
			maps.DeleteFunc(waits, func(news <-chan struct{}, _ func(container.Starting) bool) bool { return over(news) })
			for _, name := range append(names, "nope") {
				owner := strings.Replace(name, "*", "x", 1) + ".docker."
				news, until := d.Arrivals().Expect(owner, true)
				var latest time.Time
				mayBe := map[string]bool{}
				for id, s := range starting {
					switch open := s.At.Add(unforeseenWait); {
					case has(s, name):
						mayBe[id] = true
					case !s.Complete && !s.At.IsZero() && open.After(d.clock.now) && open.After(latest):
						latest = open
					}
				}
				if len(mayBe) > 0 {
					latest = time.Time{}
				}
				if want := len(mayBe) > 0 || !latest.IsZero(); (news != nil) != want || !until.Equal(latest) {
					t.Fatalf("seed %d, step %d: %s is expected: %t until %v, want %t until %v", seed, step, name, news != nil, until, want, latest)
				}
				if len(mayBe) > 0 {
					waits[news] = func(s container.Starting) bool { return mayBe[s.Container.ID] && has(s, name) }
				}
			}
		}
		for id := range starting {
			d.Apply([]container.Change{{ID: id}})
		}
		d.nothingStarts(t)
	}
}
