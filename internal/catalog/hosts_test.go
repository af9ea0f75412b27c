package catalog

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// hosts is a catalog of the hosts here and there.
type hosts struct {
	*Catalog
	*clock
	zones       *zone.Store
	here, there *Feed
}

func newHosts() *hosts {
	h := &hosts{clock: newClock()}
	h.Catalog, h.zones = newCatalog(h.clock, hold)
	h.here, h.there = h.Feed(here), h.Feed(there)
	h.here.Synced()
	h.there.Synced()
	return h
}

func set(f *Feed, all ...*container.Container) {
	for _, c := range all {
		f.Apply([]container.Change{{ID: c.ID, Container: c}})
	}
}

func ends(f *Feed, c *container.Container, gone bool) {
	f.Apply([]container.Change{{ID: c.ID, Gone: gone}})
}

func create(f *Feed, c *container.Container) {
	f.Apply([]container.Change{{ID: c.ID, Created: c, Since: f.cat.now()}})
}

// states says what the hosts have of a container: its addresses, none if it runs without any, held, or - for nothing.
func (h *hosts) states(c *container.Container) string {
	var all []string
	for _, f := range []*Feed{h.here, h.there} {
		state := "-"
		if k := f.listings[c.ID]; k != nil && !f.dropped {
			var ips []string
			for _, a := range k.entry.Addresses {
				ips = append(ips, a.IP.String())
			}
			switch {
			case k.entry.Key != zone.Key{Host: f.host, ID: c.ID}:
				state = fmt.Sprintf("%v's", k.entry.Key)
			case k.entry.Held:
				state = "held"
			case len(ips) == 0:
				state = "none"
			default:
				state = strings.Join(ips, "+")
			}
		}
		all = append(all, state)
	}
	return strings.Join(all, " ")
}

// TestTwoHosts checks that what happens on one host leaves containers of the same names, IDs and networks on another alone.
// Each step says what the hosts have of the containers after it.
func TestTwoHosts(t *testing.T) {
	web, web2 := facts("web", "a=10.1.0.2"), facts("web", "a=10.1.0.3")
	byID, byName := facts("app", ""), facts("app", "")
	byID.NetworkMode, byName.NetworkMode = "container:"+web.ID, "container:web"
	renamed := facts("other", "a=10.1.0.6")
	renamed.Name = "web"
	old, next := of(facts("1", "a=10.1.0.4"), "shop", "web"), of(facts("2", ""), "shop", "web")
	old.Name, next.Name = "shop-web-1", "shop-web-1"
	started := of(facts("2", "a=10.1.0.5"), "shop", "web")
	type step struct {
		do   func(h *hosts)
		want string
	}
	second := func(n int) func(h *hosts) { return func(h *hosts) { h.wait(time.Duration(n) * time.Second) } }
	joins := func(app *container.Container) []step {
		return []step{
			{func(h *hosts) { set(h.here, app); set(h.there, web) }, "none -"},
			{func(h *hosts) { set(h.there, app) }, "none 10.1.0.2"},
			{func(h *hosts) { set(h.here, web2) }, "10.1.0.3 10.1.0.2"},
			{func(h *hosts) { ends(h.there, web, false) }, "10.1.0.3 none"},
			{func(h *hosts) { set(h.there, web2); ends(h.here, web2, true) }, "none 10.1.0.3"},
			{func(h *hosts) { set(h.here, web); ends(h.there, app, true) }, "10.1.0.2 held"},
			{func(h *hosts) { h.there.Current(false, h.clock.now); h.wait(forget) }, "10.1.0.2 -"},
		}
	}
	for name, c := range map[string]struct {
		of    *container.Container // the steps tell
		steps []step
	}{
		"joined by ID":   {byID, joins(byID)},
		"joined by name": {byName, joins(byName)},
		"joined by a name that two have": {byName, []step{
			{func(h *hosts) { set(h.here, byName, web, renamed); set(h.there, byName, renamed) }, "none 10.1.0.6"},
			{func(h *hosts) { ends(h.here, web, false); set(h.there, web) }, "10.1.0.6 none"},
		}},
		"holds": {web, []step{
			{func(h *hosts) { set(h.here, web); set(h.there, web) }, "10.1.0.2 10.1.0.2"},
			{func(h *hosts) { ends(h.here, web, false) }, "held 10.1.0.2"},
			{func(h *hosts) { second(5)(h); ends(h.there, web, true) }, "held held"},
			{second(4), "held held"},
			{second(1), "- held"},
			{func(h *hosts) { set(h.here, web2) }, "10.1.0.3 held"},
			{func(h *hosts) { ends(h.here, web2, true) }, "held held"},
			{second(5), "held -"},
			{func(h *hosts) { set(h.there, web) }, "held 10.1.0.2"},
			{second(5), "- 10.1.0.2"},
		}},
		"a host whose names are dropped": {web, []step{
			{func(h *hosts) { set(h.here, web); set(h.there, web); ends(h.there, web, false) }, "10.1.0.2 held"},
			{func(h *hosts) { h.there.Current(false, h.clock.now); h.wait(forget) }, "10.1.0.2 -"},
			{func(h *hosts) { set(h.there, web2) }, "10.1.0.2 -"},
			{func(h *hosts) { h.there.Current(true, h.clock.now) }, "10.1.0.2 10.1.0.3"},
			{func(h *hosts) { h.here.Current(false, h.clock.now); h.wait(forget) }, "- 10.1.0.3"},
		}},
		"a successor on the other": {old, []step{
			{func(h *hosts) { set(h.here, old); set(h.there, old); ends(h.here, old, true); ends(h.there, old, true) }, "held held"},
			{func(h *hosts) { create(h.there, next); second(11)(h) }, "- held"},
			{func(h *hosts) { set(h.here, started) }, "- held"},
			{func(h *hosts) { set(h.there, started) }, "- -"},
		}},
		"successors on both": {old, []step{
			{func(h *hosts) { set(h.here, old); set(h.there, old); ends(h.here, old, true); ends(h.there, old, true) }, "held held"},
			{func(h *hosts) { create(h.here, next); create(h.there, next); second(11)(h) }, "held held"},
			{func(h *hosts) { ends(h.here, next, true) }, "- held"},
			{func(h *hosts) { h.here.Current(false, h.clock.now.Add(-forget)); second(300)(h) }, "- held"},
			{second(300), "- -"},
		}},
		"who had ended before": {old, []step{
			{func(h *hosts) {
				h.here.Apply([]container.Change{{ID: old.ID, Last: old, Since: h.clock.now.Add(-time.Second)}})
				set(h.there, old)
			}, "held 10.1.0.4"},
			{second(9), "- 10.1.0.4"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHosts()
			for i, s := range c.steps {
				s.do(h)
				if got := h.states(c.of); got != s.want {
					t.Errorf("step %d: %s, want %s", i+1, got, s.want)
				}
			}
		})
	}
}

// TestNetworksOfTwoHosts checks that a network belongs to its host, whatever it is called, unless it spans hosts.
func TestNetworksOfTwoHosts(t *testing.T) {
	h := newHosts()
	web := facts("web", "a=10.1.0.2")
	web.Endpoints[0].Aliases = []string{"www"}
	networks := func(f *Feed) string {
		e := f.listings[web.ID].entry
		var claimed []string
		for _, c := range e.Claims {
			claimed = append(claimed, c.Name)
		}
		return fmt.Sprintf("%t %t %t", slices.Contains(e.Networks, container.LocalNetwork(f.host, "a")),
			slices.Contains(e.Networks, container.SpanningNetwork("n")), slices.Contains(claimed, "www.short.docker."))
	}
	set(h.here, web)
	set(h.there, web)
	for i, s := range []struct {
		of          *Feed
		network     container.Network
		here, there string // the network is the host's, spans hosts, and has a Compose name
	}{
		{h.here, container.Network{ID: "x"}, "true false false", "true false false"},
		{h.there, container.Network{ID: "n", Spans: true}, "true false false", "false true false"},
		{h.here, container.Network{ID: "x", Compose: container.ComposeNetwork{Project: "shop", Short: "short"}}, "true false true", "false true false"},
		{h.here, container.Network{ID: "n", Spans: true}, "false true false", "false true false"},
		{h.there, container.Network{ID: "x"}, "false true false", "true false false"},
	} {
		s.network.Name = "a"
		s.of.Host(container.Host{ID: "whoever", Networks: []container.Network{s.network}})
		if here, there := networks(h.here), networks(h.there); here != s.here || there != s.there {
			t.Errorf("step %d: here %s, there %s, want %s, %s", i+1, here, there, s.here, s.there)
		}
	}
}

// TestNetworkIsReachedOtherwise has what is known of the networks of a container change, docker_gwbridge too.
func TestNetworkIsReachedOtherwise(t *testing.T) {
	h := newHosts()
	web := facts("web", "ov=10.0.1.2")
	web.GWBridge = container.Endpoint{Network: "docker_gwbridge", Addrs: []netip.Addr{netip.MustParseAddr("172.18.0.2")}}
	set(h.here, web)
	ov := container.Network{ID: "ov", Name: "ov", Spans: true, Reach4: container.OffHost}
	gw := container.Network{ID: "gw", Name: "docker_gwbridge"}
	for i, s := range []struct {
		ov, gw container.Reach
		want   string
	}{{0, 0, "10.0.1.2 0, 172.18.0.2 1"}, {container.OffHost, 0, "10.0.1.2 2, 172.18.0.2 1"}, {container.OffHost, container.Routed, "10.0.1.2 2, 172.18.0.2 9"}} {
		ov.Reach4, gw.Reach4 = s.ov, s.gw
		h.here.Host(container.Host{Networks: []container.Network{ov, gw}})
		var got []string
		for _, a := range h.here.listings[web.ID].entry.Addresses {
			got = append(got, fmt.Sprint(a.IP, " ", a.Reach))
		}
		if got := strings.Join(got, ", "); got != s.want {
			t.Errorf("step %d: %s, want %s", i+1, got, s.want)
		}
	}
}

// relied says how far the zones rely on what they have of a host, which has the container labeled, and on what they have not.
func relied(zones *zone.Store, host container.HostID) string {
	lookup := func(name string) (res zone.Result) {
		zones.Snapshot().Lookup(&zone.Query{Name: name, Spelled: name, Type: dns.TypeA, View: zone.View{Hosts: []container.HostID{host}}}, &res)
		return res
	}
	all := "all"
	if lookup("nobody.docker.").Ns[0].Header().Ttl < negativeTTL {
		all = "not all"
	}
	switch res := lookup("of-" + string(host) + ".docker."); {
	case res.Outcome == zone.NotReady:
		return "unsynced, " + all
	case len(res.Answer) == 0:
		return "nothing, " + all
	case res.Answer[0].Header().Ttl == 60:
		return "current, " + all
	default:
		return "away, " + all
	}
}

// TestComplete checks that all hosts must have been reconciled before the catalog is complete, and what the zones are told of each.
func TestComplete(t *testing.T) {
	clock := newClock()
	cat, zones := newCatalog(clock, hold)
	feeds := map[string]*Feed{}
	for i, s := range []struct {
		do   string
		want bool
		is   string // how far the zones rely on the host
	}{
		{"here begins", false, "unsynced, not all"},
		{"here connects", false, "unsynced, not all"},
		{"here leaves", false, "unsynced, not all"},
		{"here connects", false, "unsynced, not all"},
		{"here synced", true, "current, all"},
		{"there begins", false, "unsynced, not all"},
		{"there connects", false, "unsynced, not all"},
		{"here leaves", false, "away, not all"},
		{"there synced", true, "current, not all"},
		{"there leaves", true, "away, not all"},
		{"there begins", true, "away, not all"},
		{"there connects", true, "current, not all"},
		{"here connects", true, "current, all"},
		{"third begins", false, "unsynced, not all"},
		{"here leaves", false, "away, not all"},
		{"third is late", true, "unsynced, not all"},
		{"here connects", true, "current, not all"},
		{"third connects", true, "unsynced, not all"},
		{"third leaves", true, "unsynced, not all"},
		{"third connects", true, "unsynced, not all"},
		{"third synced", true, "current, all"},
		{"third leaves", true, "away, not all"},
	} {
		host, what, _ := strings.Cut(s.do, " ")
		switch f := feeds[host]; what {
		case "begins":
			feeds[host] = cat.Feed(container.HostID(host))
			c := told("c"+host, "coredns.dockerdiscovery.ttl=60", "coredns.dockerdiscovery.host=of-"+host)
			c.Endpoints = facts("", "a=10.1.0.2").Endpoints
			set(feeds[host], c)
		case "connects":
			f.Current(true, clock.now)
		case "leaves":
			f.Current(false, clock.now)
		case "synced":
			f.Synced()
		case "is late":
			clock.wait(startup)
		}
		if got := cat.Complete(); got != s.want {
			t.Errorf("step %d, %s: complete is %t", i+1, s.do, got)
		}
		if got := relied(zones, container.HostID(host)); got != s.is {
			t.Errorf("step %d, %s: %s, want %s", i+1, s.do, got, s.is)
		}
	}
}

// TestHostNames checks that a host has its own name whatever its engine does, and that its containers have theirs below it.
func TestHostNames(t *testing.T) {
	clock := newClock()
	cat, zones := newCatalog(clock, hold)
	var logged []string
	cat.warnf = func(format string, args ...any) { logged = append(logged, fmt.Sprintf(format, args...)) }
	cat.hostName = func(id container.HostID) string {
		return map[container.HostID]string{here: "nas", there: "ns.dns"}[id]
	}
	view := zone.View{Hosts: []container.HostID{here}}
	check := func(what, nas, web, other string) {
		t.Helper()
		for name, want := range map[string]string{"nas": nas, "web.nas": web, "ns.dns": "none", "web.ns.dns": other} {
			if got := look(zones, name+".docker.", dns.TypeA, view); got != want {
				t.Errorf("%s: %s is %s, want %s", what, name, got, want)
			}
		}
	}
	check("no host yet", "NXDOMAIN", "NXDOMAIN", "NXDOMAIN")
	f := cat.Feed(here)
	check("not synced", "127.0.0.1", "NXDOMAIN", "NXDOMAIN")
	cat.Feed(there).Synced()
	set(f, facts("web", "a=10.1.0.2"), facts("nas", "a=10.1.0.3"))
	f.Synced()
	f.Host(container.Host{ID: "whoever", Name: "whoever", Networks: []container.Network{{ID: "n", Name: "a", Spans: true}}})
	set(cat.Feed(there), facts("web", "a=10.1.0.2"))
	check("synced", "127.0.0.1", "10.1.0.2", "none")
	for range cat.All() {
	}
	if n := len(cat.Explain(here, "nas")); n != 1 {
		t.Errorf("%d containers are called nas", n)
	}
	if got := zones.Snapshot().Lost(); got[here] != 1 || len(got) != 1 {
		t.Errorf("lost are %v", got)
	}
	f.Current(false, clock.now)
	clock.wait(forget)
	check("away for long", "127.0.0.1", "NXDOMAIN", "none")
	f.Current(true, clock.now)
	check("back", "127.0.0.1", "10.1.0.2", "none")
	const lost = "Container nas on here does not get the name nas.docker.: it is host nas's"
	logged = slices.DeleteFunc(logged, func(text string) bool { return !strings.Contains(text, "name ") })
	want := []string{
		"Host ns.dns: skipped " + naming.Skipped{Source: naming.Host, Name: "ns.dns", Reason: "ns.dns.docker. is the name server's own"}.String(),
		lost, lost,
	}
	if !slices.Equal(logged, want) {
		t.Errorf("logged are %q, want %q", logged, want)
	}
}

// TestWarningsOfTwoHosts checks that messages say on which hosts containers are, if there are several.
func TestWarningsOfTwoHosts(t *testing.T) {
	thief := facts("thief", "a=10.1.0.9")
	thief.Labels = map[string]string{"coredns.dockerdiscovery.host": "db,x..y"}
	skipped := naming.Skipped{Source: naming.Label, Name: "x..y", Reason: "empty label"}.String()
	for on, hosts := range map[string][]container.HostID{"": {here}, " on here": {here, there}} {
		var logged []string
		cat, _ := newCatalog(newClock(), hold)
		cat.warnf = func(format string, args ...any) { logged = append(logged, fmt.Sprintf(format, args...)) }
		for _, host := range hosts {
			cat.Feed(host)
		}
		set(cat.Feed(here), facts("db", "a=10.1.0.2"), thief)
		want := []string{
			"Container thief" + on + ": skipped " + skipped,
			"Container thief" + on + " does not get the name db.docker.: it is container db's" + on,
		}
		if !slices.Equal(logged, want) {
			t.Errorf("logged are %q, want %q", logged, want)
		}
	}
}
