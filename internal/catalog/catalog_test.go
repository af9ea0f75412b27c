package catalog

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

const (
	hold    = 10 * time.Second // for how long a rig holds names
	startup = 30 * time.Second
	forget  = time.Hour
)

// clock is one that tests drive.
type clock struct {
	now    time.Time
	timers []*timer
}

type timer struct {
	at time.Time
	f  func() // nil when it has been called, or called off
}

// Stop implements Timer.
func (t *timer) Stop() bool {
	pending := t.f != nil
	t.f = nil
	return pending
}

func newClock() *clock { return &clock{now: time.Unix(1e9, 0)} }

func (c *clock) afterFunc(d time.Duration, f func()) Timer {
	t := &timer{c.now.Add(d), f}
	c.timers = append(c.timers, t)
	return t
}

// wait has so much time go by.
func (c *clock) wait(d time.Duration) {
	end := c.now.Add(d)
	for {
		c.timers = slices.DeleteFunc(c.timers, func(t *timer) bool { return t.f == nil })
		if len(c.timers) == 0 {
			break
		}
		next := slices.MinFunc(c.timers, func(a, b *timer) int { return a.at.Compare(b.at) })
		if next.at.After(end) {
			break
		}
		c.now = next.at
		f := next.f
		next.f = nil
		f()
	}
	c.now = end
}

// rig is a host's feed of a catalog, and the zones to which it publishes: docker and a reverse one. All that the feed is told
// goes to catalogs of two hosts too: there the host must have what it has alone.
type rig struct {
	*Catalog
	*Feed
	*clock
	zones  *zone.Store
	shared []*shared
}

// negativeTTL is that of rigs' zones, in seconds.
const negativeTTL = 30

// here and there are the hosts of rigs.
const here, there container.HostID = "here", "there"

// shared is a catalog that a rig's host shares with another one, whose containers have the same names, IDs, networks and fates.
type shared struct {
	*Catalog
	zones *zone.Store
	other func(container.Change) container.Change // what the other host is told
}

func newRig(c *clock, hold time.Duration) *rig {
	alone, zones := newCatalog(c, hold)
	r := &rig{Catalog: alone, Feed: alone.Feed(here), clock: c, zones: zones}
	r.Feed.Synced()
	for _, other := range []func(container.Change) container.Change{
		func(c container.Change) container.Change { return c },
		elsewhere,
	} {
		cat, zones := newCatalog(c, hold)
		cat.Feed(here).Synced()
		cat.Feed(there).Synced()
		r.shared = append(r.shared, &shared{cat, zones, other})
	}
	return r
}

func newCatalog(c *clock, hold time.Duration) (*Catalog, *zone.Store) {
	cfg := zone.Config{Zones: []string{"docker.", "10.in-addr.arpa."}, TTL: 5, NegativeTTL: negativeTTL}
	zones := zone.NewStore(cfg)
	return New(Config{
		Rules: naming.Rules{Zones: cfg.Zones[:1], Sources: naming.Sources(), Reserved: cfg.Reserved, TTL: cfg.TTL},
		Hold:  hold, Startup: startup, Forget: forget, Store: zones, Now: func() time.Time { return c.now }, AfterFunc: c.afterFunc,
	}), zones
}

// elsewhere returns the change with other addresses: 10.101.0.2 for 10.1.0.2.
func elsewhere(c container.Change) container.Change {
	for _, facts := range []**container.Container{&c.Container, &c.Created, &c.Last} {
		if *facts == nil {
			continue
		}
		moved := **facts
		moved.Endpoints = slices.Clone(moved.Endpoints)
		for i := range moved.Endpoints {
			ep := &moved.Endpoints[i]
			ep.Addrs = slices.Clone(ep.Addrs)
			for j, ip := range ep.Addrs {
				b := ip.As4()
				b[1] += 100
				ep.Addrs[j] = netip.AddrFrom4(b)
			}
		}
		*facts = &moved
	}
	return c
}

// Apply tells the host of the changes, and the other ones.
func (r *rig) Apply(changes []container.Change) {
	r.Feed.Apply(changes)
	for i, s := range r.shared {
		others := make([]container.Change, len(changes))
		for j, c := range changes {
			others[j] = s.other(c)
		}
		if i == 0 {
			s.Feed(there).Apply(others)
		}
		s.Feed(here).Apply(changes)
		if i > 0 {
			s.Feed(there).Apply(others)
		}
	}
}

// Host tells the host of its networks, and the other ones.
func (r *rig) Host(h container.Host) {
	r.Feed.Host(h)
	for _, s := range r.shared {
		s.Feed(there).Host(h)
		s.Feed(here).Host(h)
	}
}

// facts makes a container of the name with addresses NETWORK=IP.
var facts = containertest.New

func (r *rig) set(c *container.Container) { r.Apply([]container.Change{{ID: c.ID, Container: c}}) }

// created returns the change that a container has been created now.
func (r *rig) created(c *container.Container) container.Change {
	return container.Change{ID: c.ID, Created: c, Since: r.clock.now}
}

// look returns what the host gets for a name: the data of the records, NXDOMAIN, or none if there are no records. Where it gets
// something else while there is another host, that is part of the answer.
func (r *rig) look(name string, qtype uint16) string {
	answer := look(r.zones, name, qtype, zone.View{})
	for _, s := range r.shared {
		answer += s.look(r, name, qtype, answer)
		if diff := differ(r.Feed, s.Feed(here)); diff != "" {
			answer += ", beside another host there is " + diff
		}
		n := r.Skipped()[here]
		if got, want := s.Skipped(), (map[container.HostID]int{here: n, there: n}); !maps.Equal(got, want) {
			answer += fmt.Sprintf(", %v skipped on two hosts, want %v", got, want)
		}
	}
	return answer
}

// look says what is answered otherwise than to the rig's host without the other one. To the host itself a bare name may be ambiguous
// then; its containers have those of their own networks.
func (s *shared) look(r *rig, name string, qtype uint16, alone string) (diff string) {
	own := []container.HostID{here}
	if got := look(s.zones, name, qtype, zone.View{Hosts: own}); got != alone && got != "none" {
		diff += ", beside another host " + got
	}
	for _, project := range []string{"", "shop"} {
		v := zone.View{Asker: zone.Container, Hosts: own, Networks: []container.NetworkID{container.LocalNetwork(here, "a")}, Project: project}
		if want, got := look(r.zones, name, qtype, v), look(s.zones, name, qtype, v); got != want {
			diff += fmt.Sprintf(", on network a, in project %q, %s alone, and beside another host %s", project, want, got)
		}
	}
	return diff
}

func look(zones *zone.Store, name string, qtype uint16, view zone.View) string {
	var res zone.Result
	zones.Snapshot().Lookup(&zone.Query{Name: name, Spelled: name, Type: qtype, View: view}, &res)
	switch {
	case res.Outcome == zone.NameError:
		return "NXDOMAIN"
	case res.Outcome == zone.NotReady:
		return "not ready"
	case len(res.Answer) == 0:
		return "none"
	}
	var data []string
	for _, rr := range res.Answer {
		data = append(data, dns.Field(rr, 1))
	}
	return strings.Join(data, " ")
}

// differ says in what a host's feed differs from another one of the same host, "" if in nothing.
func differ(want, got *Feed) string {
	ids := map[string]bool{}
	for _, f := range []*Feed{want, got} {
		for id := range f.listings {
			ids[id] = true
		}
	}
	for id := range ids {
		w, g := want.listings[id], got.listings[id]
		switch {
		case w == nil || g == nil:
			return fmt.Sprintf("a listing of %.8s: %t, want %t", id, g != nil, w != nil)
		case !reflect.DeepEqual(w.entry, g.entry):
			return fmt.Sprintf("%.8s as %+v, want %+v", id, g.entry, w.entry)
		case !reflect.DeepEqual(w.history, g.history), w.facts != g.facts, w.left != g.left, !slices.Equal(w.skipped, g.skipped):
			return fmt.Sprintf("the listing %+v, want %+v", g, w)
		case (w.end == nil) != (g.end == nil):
			return fmt.Sprintf("an end of %.8s: %t, want %t", id, g.end != nil, w.end != nil)
		case w.end != nil && (w.end.gone != g.end.gone || !w.end.until.Equal(g.end.until) || w.end.passing != g.end.passing || (w.end.timer == nil) != (g.end.timer == nil)):
			return fmt.Sprintf("the end %+v, want %+v", *g.end, *w.end)
		}
	}
	switch {
	case !reflect.DeepEqual(want.past, got.past):
		return fmt.Sprintf("the past %v, want %v", got.past, want.past)
	case !reflect.DeepEqual(want.successors, got.successors):
		return fmt.Sprintf("successors %v, want %v", got.successors, want.successors)
	case !reflect.DeepEqual(want.joined, got.joined):
		return fmt.Sprintf("joins %v, want %v", got.joined, want.joined)
	default:
		return ""
	}
}

// exist checks which of the names exist. These must have no address.
func (r *rig) exist(t *testing.T, what string, all []string, want ...string) {
	t.Helper()
	var got []string
	for _, name := range all {
		switch answer := r.look(name+".docker.", dns.TypeA); answer {
		case "none":
			got = append(got, name)
		case "NXDOMAIN":
		default:
			t.Errorf("%s: %s is %s", what, name, answer)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: there are %q, want %q", what, got, want)
	}
}

// TestLeftOut checks a container that a label leaves out: from its start to after its end it has no name.
func TestLeftOut(t *testing.T) {
	d := newRig(newClock(), hold)
	left := &container.Container{
		ID: "0123456789abcdef", Name: "secret", Labels: map[string]string{"coredns.dockerdiscovery.enable": "false"},
		Ports: []container.Port{{Number: 80, Proto: "tcp", Published: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:80")}}},
	}
	for _, change := range []container.Change{
		{ID: left.ID, Container: left}, {ID: left.ID}, {ID: left.ID, Container: left}, {ID: left.ID, Gone: true},
	} {
		d.Apply([]container.Change{change})
		if got := d.look("secret.docker.", dns.TypeA); got != "NXDOMAIN" {
			t.Errorf("it is found: %q", got)
		}
	}
	if len(d.listings) != 0 {
		t.Errorf("it is still known: %v", d.listings)
	}
}

// TestSkippedLabelsAreCounted checks that refusals count as long as the container runs.
func TestSkippedLabelsAreCounted(t *testing.T) {
	d := newRig(newClock(), 0)
	bad := &container.Container{ID: "bad", Name: "bad", Labels: map[string]string{
		"coredns.dockerdiscovery.ttl": "x", "coredns.dockerdiscovery.records": "@ NS x\n@ TXT x",
	}}
	for range 2 {
		d.Apply([]container.Change{{ID: bad.ID, Container: bad}})
		if n := d.Skipped()[here]; n != 2 {
			t.Errorf("%d skipped, want 2", n)
		}
	}
	d.Apply([]container.Change{{ID: bad.ID, Gone: true}})
	if n := d.Skipped()[here]; n != 0 {
		t.Errorf("%d skipped after its end", n)
	}
}

// TestLeftOutIsCounted checks that who is left out counts as long as it runs, and who can't be read until it is read or gone.
func TestLeftOutIsCounted(t *testing.T) {
	clock := newClock()
	d := newRig(clock, hold)
	off := facts("off", "")
	off.Labels = map[string]string{"coredns.dockerdiscovery.enable": "false"}
	nameless := &container.Container{ID: "?", Name: "?"}
	web, lost := facts("web", ""), facts("lost", "")
	unread := errors.New("unread")
	for _, step := range []struct {
		what   string
		change container.Change
		want   LeftOut
	}{
		{"one has names", container.Change{ID: web.ID, Container: web}, LeftOut{}},
		{"one is switched off", container.Change{ID: off.ID, Container: off}, LeftOut{By: [5]int{naming.Disabled: 1}}},
		{"it is told again", container.Change{ID: off.ID, Container: off}, LeftOut{By: [5]int{naming.Disabled: 1}}},
		{"one has no name", container.Change{ID: nameless.ID, Container: nameless}, LeftOut{By: [5]int{naming.Disabled: 1, naming.NoName: 1}}},
		{"one that runs can't be read", container.Change{ID: web.ID, Unread: unread}, LeftOut{By: [5]int{naming.Disabled: 1, naming.NoName: 1}, Unread: 1}},
		{"nor one that is not known", container.Change{ID: lost.ID, Unread: unread}, LeftOut{By: [5]int{naming.Disabled: 1, naming.NoName: 1}, Unread: 2}},
		{"nor at the next try", container.Change{ID: lost.ID, Unread: unread}, LeftOut{By: [5]int{naming.Disabled: 1, naming.NoName: 1}, Unread: 2}},
		{"the first is as it was", container.Change{ID: web.ID, Container: web}, LeftOut{By: [5]int{naming.Disabled: 1, naming.NoName: 1}, Unread: 1}},
		{"the one without a name ends", container.Change{ID: nameless.ID}, LeftOut{By: [5]int{naming.Disabled: 1}, Unread: 1}},
		{"the one that is not known is gone", container.Change{ID: lost.ID, Gone: true}, LeftOut{By: [5]int{naming.Disabled: 1}}},
		{"the one that is switched off is gone", container.Change{ID: off.ID, Gone: true}, LeftOut{}},
	} {
		d.Apply([]container.Change{step.change})
		if got := d.LeftOut()[here]; got != step.want {
			t.Errorf("%s: %+v, want %+v", step.what, got, step.want)
		}
	}
	clock.now = clock.now.Add(time.Second) // those of before are forgotten first
	for i := range 2 * maxPast {           // more than are remembered
		d.Apply([]container.Change{{ID: fmt.Sprint("lost", i), Unread: unread}})
	}
	if got := d.LeftOut()[here]; got.Unread != maxPast {
		t.Errorf("%d can't be read, want %d", got.Unread, maxPast)
	}
}

// TestHeldNameOfAnother checks that a restart does not give a name away, and that a removal
// does.
func TestHeldNameOfAnother(t *testing.T) {
	d := newRig(newClock(), hold)
	db, thief := facts("db", "a=10.1.0.2"), facts("thief", "a=10.1.0.9")
	thief.Hostname = "db"
	d.set(db)
	d.set(thief)
	d.Apply([]container.Change{{ID: db.ID}})
	if got := d.look("db.docker.", dns.TypeA); got != "none" {
		t.Errorf("while db restarts: %q", got)
	}
	d.Apply([]container.Change{{ID: db.ID, Gone: true}})
	if got := d.look("db.docker.", dns.TypeA); got != "10.1.0.9" {
		t.Errorf("after db was removed: %q", got)
	}
}

// TestLateTimer has the timer of a hold go off as the container starts: it does not end the next hold.
func TestLateTimer(t *testing.T) {
	d := newRig(newClock(), hold)
	web := facts("web", "a=10.1.0.2")
	d.set(web)
	d.Apply([]container.Change{{ID: web.ID}})
	k := d.listings[web.ID]
	first := k.end
	d.wait(hold - time.Second)
	d.set(web)
	d.Apply([]container.Change{{ID: web.ID}})
	d.wait(time.Second)
	d.expire(web.ID, k, first)
	d.exist(t, "after the first hold's time", []string{"web"}, "web")
	d.wait(hold)
	d.exist(t, "after the second's", []string{"web"})
}
