package dockerdiscovery

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

// halfKnown has two parts of a host's containers: the second is not known yet, and has the better right to names of the first.
func halfKnown() (known, unknown []*container.Container) {
	side := facts("side", "")
	side.NetworkMode = "container:" + facts("web", "").ID
	known = []*container.Container{
		serving(labelled(facts("web", "a=10.1.0.2"), "host=*.web, www", "records=@ TXT web\nmail A 192.0.2.25\ncdn CNAME www"), 80),
		labelled(hostnamed(facts("thief", "b=10.2.0.66"), "db"), "host=api.web, *.apps, *.db"),
		serving(aliased(labelled(facts("one", "a=10.1.0.3"), "project=one", "service=cache"), "cache"), 80),
		facts("a_b", "a=10.1.0.4"), side,
	}
	unknown = []*container.Container{
		serving(facts("db", "a=10.1.0.10"), 5432),
		aliased(labelled(facts("two", "b=10.2.0.3"), "project=two", "service=cache"), "cache"),
		facts("a-b", "a=10.1.0.5"), facts("www", "a=10.1.0.6"), facts("apps", "a=10.1.0.7"),
	}
	for i, c := range slices.Concat(known, unknown) {
		c.Created = time.Unix(int64(100-i), 0)
	}
	return known, unknown
}

// TestHalfReconciled checks what is answered while only some of a host's containers are known, and then.
func TestHalfReconciled(t *testing.T) {
	const onA, onB, stranger, ofOne = "10.1.0.200", "10.2.0.200", "10.3.0.9", "10.1.0.3"
	const servfail = "SERVFAIL, <nil>"
	const goesOn = "REFUSED, next"
	change := func(c *config) { c.publish, c.routed, c.endpoints[0].name = true, true, "nas" }
	known, unknown := halfKnown()
	d := unreconciledDocker(change)
	d.Next = plugin.HandlerFunc(next)
	d.set(known...)
	type query struct {
		from, name string
		qtype      uint16
	}
	type row struct {
		query
		before, after string
	}
	rows := []row{
		// An own name is given to all but containers that are not on its network.
		{query{fromHost, "web.docker.", dns.TypeA}, "10.1.0.2", "10.1.0.2"},
		{query{fromLAN, "web.docker.", dns.TypeA}, "192.0.2.1", "192.0.2.1"},
		{query{onA, "web.docker.", dns.TypeA}, "10.1.0.2", "10.1.0.2"},
		{query{onB, "web.docker.", dns.TypeA}, servfail, "10.1.0.2"},
		{query{stranger, "web.docker.", dns.TypeA}, servfail, "10.1.0.2"},
		{query{onB, "thief.docker.", dns.TypeA}, "10.2.0.66", "10.2.0.66"},
		{query{fromHost, "web.docker.", dns.TypeTXT}, "web", "web"},
		{query{fromHost, "web.docker.", dns.TypeMX}, "none", "none"},
		{query{stranger, "web.docker.", dns.TypeMX}, servfail, "none"},
		{query{fromHost, "_http._tcp.web.docker.", dns.TypeSRV}, "0", "0"},
		{query{stranger, "_http._tcp.web.docker.", dns.TypeSRV}, servfail, "0"},
		{query{fromHost, "a_b.docker.", dns.TypeA}, "10.1.0.4", "10.1.0.4"},
		{query{fromHost, "side.docker.", dns.TypeA}, "10.1.0.2", "10.1.0.2"},
		// An ID is, to all.
		{query{fromHost, "web000000000.docker.", dns.TypeA}, "10.1.0.2", "10.1.0.2"},
		{query{stranger, "web000000000.docker.", dns.TypeA}, "10.1.0.2", "10.1.0.2"},
		{query{onA, "thief0000000.docker.", dns.TypeA}, "10.2.0.66", "10.2.0.66"},
		{query{onA, "db0000000000.docker.", dns.TypeA}, servfail, "10.1.0.10"},
		// So is the host's name, and its containers' below it; a container's project may have something there.
		{query{fromHost, "nas.docker.", dns.TypeA}, "10.1.0.1", "10.1.0.1"},
		{query{fromLAN, "nas.docker.", dns.TypeA}, "192.0.2.1", "192.0.2.1"},
		{query{onA, "nas.docker.", dns.TypeA}, servfail, "10.1.0.1"},
		{query{stranger, "nas.docker.", dns.TypeA}, servfail, "10.3.0.1"},
		{query{fromHost, "web.nas.docker.", dns.TypeA}, "10.1.0.2", "10.1.0.2"},
		{query{onA, "web.nas.docker.", dns.TypeA}, "10.1.0.2", "10.1.0.2"},
		{query{stranger, "web.nas.docker.", dns.TypeA}, servfail, "10.1.0.2"},
		{query{fromHost, "a-b.nas.docker.", dns.TypeA}, servfail, "10.1.0.5"},
		{query{fromHost, "db.nas.docker.", dns.TypeA}, servfail, "10.1.0.10"},
		// Whatever else may be overruled.
		{query{fromHost, "db.docker.", dns.TypeA}, servfail, "10.1.0.10"},
		{query{fromLAN, "db.docker.", dns.TypeA}, servfail, "192.0.2.1"},
		{query{onA, "db.docker.", dns.TypeA}, servfail, "10.1.0.10"},
		{query{onB, "db.docker.", dns.TypeA}, servfail, "10.2.0.66"}, // its own network's
		{query{stranger, "db.docker.", dns.TypeA}, servfail, "10.1.0.10"},
		{query{fromHost, "db.docker.", dns.TypeMX}, servfail, "none"},
		{query{fromHost, "_postgresql._tcp.db.docker.", dns.TypeSRV}, servfail, "0"},
		{query{fromHost, "x.db.docker.", dns.TypeA}, servfail, "NXDOMAIN"},
		{query{fromHost, "a-b.docker.", dns.TypeA}, servfail, "10.1.0.5"}, // a_b's twin
		{query{onA, "a-b.docker.", dns.TypeA}, servfail, "10.1.0.5"},
		{query{fromHost, "cache.docker.", dns.TypeA}, servfail, "none"},
		{query{stranger, "cache.docker.", dns.TypeA}, servfail, "none"},
		{query{ofOne, "cache.docker.", dns.TypeA}, servfail, "10.1.0.3"},
		{query{fromHost, "cache.one.docker.", dns.TypeA}, servfail, "10.1.0.3"},
		{query{ofOne, "cache.one.docker.", dns.TypeA}, servfail, "10.1.0.3"},
		{query{fromHost, "cache.a.docker.", dns.TypeA}, servfail, "10.1.0.3"},
		{query{fromHost, "_http._tcp.cache.one.docker.", dns.TypeSRV}, servfail, "0"},
		{query{fromHost, "x.web.docker.", dns.TypeA}, servfail, "10.1.0.2"},
		{query{fromHost, "mail.web.docker.", dns.TypeA}, servfail, "192.0.2.25"},
		{query{fromHost, "cdn.web.docker.", dns.TypeA}, servfail, "www.web.docker. 10.1.0.2"},
		{query{fromHost, "api.web.docker.", dns.TypeA}, servfail, "10.1.0.2"}, // web's wildcard
		{query{fromHost, "www.docker.", dns.TypeA}, servfail, "10.1.0.6"},
		{query{fromHost, "x.apps.docker.", dns.TypeA}, servfail, "NXDOMAIN"},
		{query{fromHost, "apps.docker.", dns.TypeA}, servfail, "10.1.0.7"},
		{query{fromHost, "one.docker.", dns.TypeANY}, "10.1.0.3", "10.1.0.3"},
		// Nothing is denied.
		{query{fromHost, "nope.docker.", dns.TypeA}, servfail, "NXDOMAIN"},
		{query{stranger, "nope.docker.", dns.TypeA}, servfail, "NXDOMAIN"},
		{query{fromHost, "b.docker.", dns.TypeA}, servfail, "none"}, // cache.b is below
		{query{fromHost, "9.0.1.10.in-addr.arpa.", dns.TypePTR}, servfail, "NXDOMAIN"},
		// An address is the name by which who asks finds it.
		{query{fromHost, "2.0.1.10.in-addr.arpa.", dns.TypePTR}, "web.docker.", "web.docker."},
		{query{fromLAN, "2.0.1.10.in-addr.arpa.", dns.TypePTR}, "web.docker.", "web.docker."},
		{query{onA, "2.0.1.10.in-addr.arpa.", dns.TypePTR}, "web.docker.", "web.docker."},
		{query{onA, "66.0.2.10.in-addr.arpa.", dns.TypePTR}, "thief0000000.docker.", "thief.docker."},
		{query{fromHost, "66.0.2.10.in-addr.arpa.", dns.TypePTR}, "thief.docker.", "thief.docker."},
		// The rest is not ours, or the server's own.
		{query{fromHost, "example.org.", dns.TypeA}, goesOn, goesOn},
		{query{fromHost, "docker.", dns.TypeNS}, "ns.dns.docker.", "ns.dns.docker."},
	}
	check := func(what string, d *Docker, q query, want string) {
		t.Helper()
		if got := dig(t, d, q.from, q.name, q.qtype); got != want {
			t.Errorf("%s: %s asks for %s %s: %q, want %q", what, q.from, q.name, dns.TypeToString[q.qtype], got, want)
		}
	}
	for _, r := range rows {
		check("half is known", d, r.query, r.before)
	}
	d.set(unknown...)
	d.sink(d.hosts[0]).Synced()
	for _, r := range rows {
		check("all is known", d, r.query, r.after)
	}

	// What nobody is known to have goes on where there are others to ask, and what somebody claims does not.
	through, root := unreconciledDocker(change), unreconciledDocker(func(c *config) { c.zone.Zones = []string{"."} })
	through.Fall.SetZonesFromArgs(nil)
	for _, d := range []*Docker{through, root} {
		d.Next = plugin.HandlerFunc(next)
		d.set(known...)
	}
	for name, want := range map[string]string{"nope": goesOn, "web": "10.1.0.2", "db": servfail, "cache": servfail, "cache.one": servfail, "www": servfail, "a-b": servfail} {
		check("fallthrough", through, query{fromHost, name + ".docker.", dns.TypeA}, want)
		check("zone .", root, query{fromHost, name + ".", dns.TypeA}, want)
	}
	check("fallthrough", through, query{fromHost, "x.apps.docker.", dns.TypeA}, servfail)
	for _, from := range []string{stranger, fromLAN} { // it may be the Internet's
		check("zone .", root, query{from, "cache.one.", dns.TypeA}, goesOn)
	}
	check("zone .", root, query{onA, "cache.one.", dns.TypeA}, servfail)
	check("zone .", root, query{fromHost, "x.apps.", dns.TypeA}, goesOn)
	check("zone .", root, query{fromHost, "github.com.", dns.TypeA}, goesOn)
}

// TestFirstReconciliation has an engine with 5,000 containers asked for the first time, and lists who has the name db last: nobody
// gets the address of another one that has it as host name, or as alias, at any time.
func TestFirstReconciliation(t *testing.T) {
	const many = 5000
	e := enginetest.New(t)
	e.AddNetwork("near", "10.9.0.0/16")
	e.AddNetwork("far", "10.8.0.0/16")
	on := func(network string, aliases ...string) []enginetest.Attachment {
		return []enginetest.Attachment{{Network: network, Aliases: aliases}}
	}
	owner := e.Run(enginetest.Spec{Name: "db", Networks: on("near")}) // the newest is listed first
	e.Populate(many-3, func(i int) enginetest.Spec { return enginetest.Spec{Name: fmt.Sprint("c", i)} })
	e.Run(enginetest.Spec{Name: "alias", Networks: on("near", "db")})
	thief := e.Run(enginetest.Spec{Name: "thief", Hostname: "db", Networks: on("near")})
	if err := e.Down(); err != nil {
		t.Fatal(err)
	}
	inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker docker. 10.0.0.0/8 {\n endpoint %s\n routed\n startup 10m\n }\n}", freePort(t), e.Host()))
	d := running()[0]

	right := e.IP(owner, "near").String()
	askers := map[string]struct{ from, want string }{
		"the host": {fromHost, right}, "the LAN": {fromLAN, "none"}, "a neighbour": {e.IP(thief, "near").String(), right}, "a stranger": {"10.8.0.9", right},
	}
	var asking sync.WaitGroup
	done := make(chan struct{})
	var mu sync.Mutex // guards the following
	seen, early := map[string]map[string]int{}, map[string]bool{}
	for who, asker := range askers {
		from := asker.from
		asking.Go(func() {
			for {
				known := dig(t, d, from, thief[:12]+".docker.", dns.TypeA)
				got := dig(t, d, from, "db.docker.", dns.TypeA)
				mu.Lock()
				if seen[who] == nil {
					seen[who] = map[string]int{}
				}
				seen[who][got]++
				early[who] = early[who] || strings.HasPrefix(got, "SERVFAIL") && !strings.HasPrefix(known, "SERVFAIL")
				mu.Unlock()
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
	if err := e.Up(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); !d.catalog.Complete(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the engine is not reconciled")
		}
	}
	for who, asker := range askers {
		if got := dig(t, d, asker.from, "db.docker.", dns.TypeA); got != asker.want {
			t.Errorf("all is known: %s gets %q, want %q", who, got, asker.want)
		}
	}
	close(done)
	asking.Wait()
	for who, outcomes := range seen {
		t.Logf("%s: %v", who, outcomes)
		for got := range maps.Keys(outcomes) {
			if want := askers[who].want; got != want && !strings.HasPrefix(got, "SERVFAIL") {
				t.Errorf("%s gets %q, want %q or SERVFAIL", who, got, want)
			}
		}
		if !early[who] {
			t.Errorf("%s has never asked while only the thief was known", who)
		}
	}
}
