package catalog

import (
	"net/netip"
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

// hold is for how long a rig holds names.
const hold = 10 * time.Second

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

// rig is a host's feed of a catalog, and the zones to which it publishes: docker and a reverse one.
type rig struct {
	*Catalog
	*Feed
	*clock
	zones *zone.Store
}

func newRig(c *clock, hold time.Duration) *rig {
	cfg := zone.Config{Zones: []string{"docker.", "10.in-addr.arpa."}, TTL: 5, NegativeTTL: 5}
	r := &rig{clock: c, zones: zone.NewStore(cfg)}
	r.Catalog = New(Config{
		Rules: naming.Rules{Zones: cfg.Zones[:1], Sources: naming.Sources(), Reserved: cfg.Reserved, TTL: cfg.TTL},
		Hold:  hold, Store: r.zones, Now: func() time.Time { return c.now }, AfterFunc: c.afterFunc,
	})
	r.Feed = r.Catalog.Feed("here")
	return r
}

// facts makes a container of the name with addresses NETWORK=IP.
var facts = containertest.New

func (r *rig) set(c *container.Container) { r.Apply([]container.Change{{ID: c.ID, Container: c}}) }

// created returns the change that a container has been created now.
func (r *rig) created(c *container.Container) container.Change {
	return container.Change{ID: c.ID, Created: c, Since: r.clock.now}
}

// look returns what the host gets for a name: the data of the records, NXDOMAIN, or none if there are no records.
func (r *rig) look(name string, qtype uint16) string {
	var res zone.Result
	r.zones.Snapshot().Lookup(&zone.Query{Name: name, Asked: name, Type: qtype}, &res)
	if res.Outcome == zone.NameError {
		return "NXDOMAIN"
	}
	if len(res.Answer) == 0 {
		return "none"
	}
	var data []string
	for _, rr := range res.Answer {
		data = append(data, dns.Field(rr, 1))
	}
	return strings.Join(data, " ")
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
		if n := d.Skipped(); n != 2 {
			t.Errorf("%d skipped, want 2", n)
		}
	}
	d.Apply([]container.Change{{ID: bad.ID, Gone: true}})
	if n := d.Skipped(); n != 0 {
		t.Errorf("%d skipped after its end", n)
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
