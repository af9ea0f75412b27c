package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// TestStartup checks that a host which has not been reconciled in time counts as empty, and that what is told of it later is no
// more certain for that.
func TestStartup(t *testing.T) {
	h := &hosts{clock: newClock()}
	h.Catalog, h.zones = newCatalog(h.clock, hold)
	h.here, h.there = h.Feed(here), h.Feed(there)
	var logged []string
	h.warnf = func(format string, args ...any) { logged = append(logged, fmt.Sprintf(format, args...)) }
	web, db := facts("web", "a=10.1.0.2"), facts("db", "a=10.1.0.3")
	web.Endpoints[0].Aliases = []string{"www"}
	db.Endpoints[0].Aliases = []string{"www", "sql"}
	view := zone.View{Asker: zone.Container, Hosts: []container.HostID{there}, Networks: []container.NetworkID{container.LocalNetwork(there, "a")}}
	for i, s := range []struct {
		do       func()
		complete bool
		want     string // who is asked for on the host there: web, www, sql
	}{
		{func() { h.here.Current(false, h.clock.now); h.there.Current(false, h.clock.now) }, false, "NXDOMAIN, NXDOMAIN, NXDOMAIN"},
		{func() { h.here.Current(true, h.clock.now); h.here.Synced() }, false, "NXDOMAIN, NXDOMAIN, NXDOMAIN"},
		{func() { h.wait(startup - 1) }, false, "NXDOMAIN, NXDOMAIN, NXDOMAIN"},
		{func() { h.wait(1) }, true, "NXDOMAIN, NXDOMAIN, NXDOMAIN"},
		{func() { set(h.there, web) }, true, "10.1.0.2, not ready, NXDOMAIN"},
		{func() { set(h.there, db) }, true, "10.1.0.2, not ready, not ready"},
		{func() { h.there.Current(true, h.clock.now) }, true, "10.1.0.2, not ready, not ready"},
		{func() { h.there.Synced() }, true, "10.1.0.2, 10.1.0.3 10.1.0.2, 10.1.0.3"},
		{func() { h.there.Current(false, h.clock.now); h.wait(forget - 1) }, true, "10.1.0.2, 10.1.0.3 10.1.0.2, 10.1.0.3"},
	} {
		s.do()
		if got := h.Complete(); got != s.complete {
			t.Errorf("step %d: complete is %t", i+1, got)
		}
		var got []string
		for _, name := range []string{"web", "www", "sql"} {
			got = append(got, look(h.zones, name+".docker.", dns.TypeA, view))
		}
		if got := strings.Join(got, ", "); got != s.want {
			t.Errorf("step %d: %s, want %s", i+1, got, s.want)
		}
	}
	if want := []string{"Host there has not told its containers in 30s: names that no other host has are denied until it does"}; !slices.Equal(logged, want) {
		t.Errorf("logged are %q, want %q", logged, want)
	}
}

// TestAwaited checks what is logged of a host that stands for others: once that they are not known, and never that it is away.
func TestAwaited(t *testing.T) {
	var logged []string
	h := newHosts()
	h.warnf = func(format string, args ...any) { logged = append(logged, fmt.Sprintf(format, args...)) }
	h.Await("etcd /p", "etcd").Current(false, h.clock.now)
	h.wait(startup)
	h.wait(forget)
	if want := []string{"Of other hosts nothing is known by etcd in 30s: names that only they have are denied until it is"}; !slices.Equal(logged, want) {
		t.Errorf("logged are %q, want %q", logged, want)
	}
}

// TestStartupBegan checks that the time counts from when the engine's watch began, and not from a reload's subscription.
func TestStartupBegan(t *testing.T) {
	for ago, want := range map[time.Duration]bool{startup - 1: false, startup: true} {
		clock := newClock()
		cat, _ := newCatalog(clock, hold)
		cat.Feed(here).Current(false, clock.now.Add(-ago))
		if got := cat.Complete(); got != want {
			t.Errorf("after %s: complete is %t", ago, got)
		}
	}
}

// TestForget checks that a host that is away for long has no names, and when it is back those that its containers have by then:
// the engine tells but what has changed.
func TestForget(t *testing.T) {
	h := &hosts{clock: newClock()}
	h.Catalog, h.zones = newCatalog(h.clock, hold)
	h.hostName = func(host container.HostID) string { return string(host) }
	h.here, h.there = h.Feed(here), h.Feed(there)
	h.here.Synced()
	h.there.Synced()
	var logged []string
	h.warnf = func(format string, args ...any) { logged = append(logged, fmt.Sprintf(format, args...)) }
	web, moved, app := facts("web", "a=10.1.0.2"), facts("web", "a=10.1.0.5"), facts("app", "")
	app.NetworkMode = "container:" + web.ID
	old, next := of(facts("1", "a=10.1.0.4"), "shop", "api"), of(facts("2", ""), "shop", "api")
	started := of(facts("2", "a=10.1.0.6"), "shop", "api")
	for i, s := range []struct {
		do   func()
		want string // web, app, api.shop and new there, and mine here
	}{
		{func() { set(h.here, facts("mine", "a=10.1.0.2")); set(h.there, web, app, old) }, "10.1.0.2 10.1.0.2 10.1.0.4 NXDOMAIN 10.1.0.2"},
		{func() { h.there.Current(false, h.clock.now); h.wait(forget - 1) }, "10.1.0.2 10.1.0.2 10.1.0.4 NXDOMAIN 10.1.0.2"},
		{func() { h.there.Current(true, h.clock.now); h.wait(time.Minute) }, "10.1.0.2 10.1.0.2 10.1.0.4 NXDOMAIN 10.1.0.2"},
		{func() { h.there.Current(false, h.clock.now); h.wait(forget - 1) }, "10.1.0.2 10.1.0.2 10.1.0.4 NXDOMAIN 10.1.0.2"},
		{func() { h.wait(1) }, "NXDOMAIN NXDOMAIN NXDOMAIN NXDOMAIN 10.1.0.2"},
		{func() { h.wait(forget) }, "NXDOMAIN NXDOMAIN NXDOMAIN NXDOMAIN 10.1.0.2"},
		// It is connected again, and tells what has changed.
		{func() { set(h.there, moved, facts("new", "a=10.1.0.7")) }, "NXDOMAIN NXDOMAIN NXDOMAIN NXDOMAIN 10.1.0.2"},
		{func() { create(h.there, next); ends(h.there, old, true) }, "NXDOMAIN NXDOMAIN NXDOMAIN NXDOMAIN 10.1.0.2"},
		{func() { h.there.Current(true, h.clock.now) }, "10.1.0.5 10.1.0.5 none 10.1.0.7 10.1.0.2"},
		{func() { h.wait(2 * hold) }, "10.1.0.5 10.1.0.5 none 10.1.0.7 10.1.0.2"}, // for the successor's sake
		{func() { set(h.there, started); ends(h.there, web, false) }, "none none 10.1.0.6 10.1.0.7 10.1.0.2"},
		// What is held goes with the rest, and its hold goes on.
		{func() { h.there.Current(false, h.clock.now.Add(-forget)) }, "NXDOMAIN NXDOMAIN NXDOMAIN NXDOMAIN 10.1.0.2"},
		{func() { h.wait(hold / 2); h.there.Current(true, h.clock.now) }, "none none 10.1.0.6 10.1.0.7 10.1.0.2"},
		{func() { h.there.Current(false, h.clock.now.Add(-forget)); h.wait(hold / 2) }, "NXDOMAIN NXDOMAIN NXDOMAIN NXDOMAIN 10.1.0.2"},
		{func() { h.there.Current(true, h.clock.now) }, "NXDOMAIN none 10.1.0.6 10.1.0.7 10.1.0.2"},
		{func() { h.there.Current(false, h.clock.now); h.Close(); h.wait(forget) }, "NXDOMAIN none 10.1.0.6 10.1.0.7 10.1.0.2"},
	} {
		before := h.zones.Snapshot().Serials()["docker."]
		s.do()
		var got []string
		for _, name := range []string{"web", "app", "api.shop", "new"} {
			got = append(got, h.look(name, there))
		}
		got = append(got, h.look("mine", here))
		if own := h.look("there", there); own != "127.0.0.1" { // the Corefile says it, and no engine
			t.Errorf("step %d: the host's own name is %s", i+1, own)
		}
		if got := strings.Join(got, " "); got != s.want {
			t.Errorf("step %d: %s, want %s", i+1, got, s.want)
		}
		if i == 4 && h.zones.Snapshot().Serials()["docker."] == before {
			t.Error("the zone's serial is that of before")
		}
		if i == 4 {
			for _, e := range h.Explain(there, "web") {
				if e.Facts == nil || e.Entry != nil {
					t.Errorf("explained is %+v", e)
				}
			}
		}
	}
	want := "Host there has been away for 1h0m0s: its containers' names are dropped until it is back"
	if len(logged) == 0 || logged[0] != want {
		t.Errorf("logged are %q, want first %q", logged, want)
	}
}

// look returns what the host gets for the name, by the host's own containers.
func (h *hosts) look(name string, host container.HostID) string {
	return look(h.zones, name+".docker.", dns.TypeA, zone.View{Hosts: []container.HostID{host}})
}
