package dockerdiscovery

import (
	"fmt"
	"io"
	golog "log"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/time/rate"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// theft is a container that claims what is others'.
type theft struct {
	what  string
	thief func(*container.Container) *container.Container
	lost  string // the names that it does not get
	// more is how many claims beyond one it has lost at a name, skipped of how many names it is refused.
	more, skipped int
	// apart is set where it is no theft among neighbours, whose names come first and who share the network's.
	apart bool
}

func host(names string) func(*container.Container) *container.Container {
	return func(c *container.Container) *container.Container { return labelled(c, "host="+names) }
}

func records(text string) func(*container.Container) *container.Container {
	return func(c *container.Container) *container.Container { return labelled(c, "records="+text) }
}

func called(name string) func(*container.Container) *container.Container {
	return func(c *container.Container) *container.Container { return named(c, name) }
}

func hostname(name string) func(*container.Container) *container.Container {
	return func(c *container.Container) *container.Container { return hostnamed(c, name) }
}

func alias(names ...string) func(*container.Container) *container.Container {
	return func(c *container.Container) *container.Container { return aliased(c, names...) }
}

var thefts = []theft{
	{what: "a name like a project's", thief: called("shop")},
	{what: "a name like a service's", thief: called("web.shop"), lost: "web.shop.docker. web.shop.sub.docker."},
	{what: "a name like a service's, with its zone", thief: called("web.shop.docker"), lost: "web.shop.docker."},
	{what: "a name like a service's, in capitals and with a dot", thief: called("Web.Shop."), lost: "web.shop.docker. web.shop.sub.docker."},
	{what: "a host name like a service's", thief: hostname("web.shop"), lost: "web.shop.docker. web.shop.sub.docker."},
	{what: "a host name like a service's below a container", thief: hostname("db.gitea"), lost: "db.gitea.docker. db.gitea.sub.docker."},
	{what: "a host name like an alias's", thief: hostname("whoami.traefik"), lost: "whoami.traefik.docker. whoami.traefik.sub.docker.", apart: true},
	{what: "a host name like a container's", thief: hostname("web"), lost: "web.docker. web.sub.docker."},
	{what: "a host name like an ID", thief: hostname("web000000000"), lost: "web000000000.docker. web000000000.sub.docker."},
	{what: "a host name like a twin", thief: hostname("rabbit-1"), lost: "rabbit-1.docker. rabbit-1.sub.docker."},
	{what: "a host name below a container", thief: hostname("api.web"), lost: "api.web.docker. api.web.sub.docker."},
	{what: "a label below a container", thief: host("api.web"), lost: "api.web.docker. api.web.sub.docker."},
	{what: "a label below a container, absolute", thief: host("api.web.docker., api.web.sub.docker"), lost: "api.web.docker. api.web.sub.docker."},
	{what: "a label in the inner zone", thief: host("web.sub, web.sub.docker."), lost: "web.sub.docker."},
	{what: "a wildcard below a container", thief: host("*.web"), lost: "*.web.docker. *.web.sub.docker."},
	{what: "a wildcard far below a container", thief: host("*.a.b.gitea"), lost: "*.a.b.gitea.docker. *.a.b.gitea.sub.docker."},
	{what: "far below a container", thief: host("a.b.c.web, a.b.c.gitea"), lost: "a.b.c.web.docker. a.b.c.web.sub.docker. a.b.c.gitea.docker. a.b.c.gitea.sub.docker."},
	{what: "a label below a twin", thief: host("x.rabbit-1, *.rabbit-1"), lost: "x.rabbit-1.docker. *.rabbit-1.docker. x.rabbit-1.sub.docker. *.rabbit-1.sub.docker."},
	{what: "a label below a name with a twin", thief: host("x.rabbit_1"), lost: "x.rabbit_1.docker. x.rabbit-1.docker. x.rabbit_1.sub.docker. x.rabbit-1.sub.docker."},
	{what: "a label below an ID", thief: host("x.web000000000"), lost: "x.web000000000.docker. x.web000000000.sub.docker."},
	{what: "an address below a container", thief: records("sip.web.docker. A 192.0.2.66"), lost: "sip.web.docker."},
	{what: "an address at a resident's record", thief: records("mail.web.docker. A 192.0.2.66"), lost: "mail.web.docker."},
	{what: "an address at a container", thief: records("web.docker. A 192.0.2.66\ngitea.docker. TXT stolen"), lost: "web.docker. gitea.docker."},
	{what: "an address at a service", thief: records("web.shop.docker. A 192.0.2.66\ndb.gitea.docker. A 192.0.2.66"), lost: "web.shop.docker. db.gitea.docker."},
	{what: "an alias like a container's that is a CNAME", thief: func(c *container.Container) *container.Container {
		return labelled(aliased(c, "web"), "cname=www.example.org")
	}, lost: "web.docker. web.sub.docker.", apart: true},
	{what: "a host name like a service's that is a CNAME", thief: func(c *container.Container) *container.Container {
		return labelled(hostnamed(c, "web.shop"), "cname=www.example.org")
	}, lost: "web.shop.docker. web.shop.sub.docker."},
	{what: "wildcards below a label like a container's", thief: func(c *container.Container) *container.Container {
		return labelled(c, "host=web", "wildcard=true")
	}, lost: "web.docker. web.sub.docker. *.web.docker. *.web.sub.docker."},
	{what: "a CNAME at a container", thief: records("web.docker. CNAME thief.docker."), lost: "web.docker."},
	{what: "a CNAME below a container", thief: records("api.web.docker. CNAME thief.docker."), lost: "api.web.docker."},
	{what: "a CNAME at a service", thief: records("db.gitea.docker. CNAME thief.docker."), lost: "db.gitea.docker."},
	{what: "a service's port", thief: records("_http._tcp.web.docker. SRV 0 0 1 thief.docker."), lost: "_http._tcp.web.docker."},
	{what: "another port", thief: records("_sip._tcp.web.docker. SRV 0 0 1 thief.docker.\n_sip._tcp.rabbit-1.docker. SRV 0 0 1 thief.docker."), lost: "_sip._tcp.web.docker. _sip._tcp.rabbit-1.docker."},
	{what: "an address's name", thief: records("2.0.1.10.in-addr.arpa. PTR thief.docker."), skipped: 1},
	{what: "the zone", thief: records("docker. A 192.0.2.66\n*.docker. A 192.0.2.66"), skipped: 2},
	{what: "an alias below a container", thief: alias("api.web"), lost: "api.web.docker. api.web.sub.docker."},
	{what: "an alias like a service's", thief: alias("db.gitea"), lost: "db.gitea.docker. db.gitea.sub.docker."},
	{what: "an alias like a container's", thief: alias("web"), lost: "web.docker. web.sub.docker.", apart: true},
	{what: "a label of who has joined the container's network", thief: func(c *container.Container) *container.Container {
		c.Endpoints, c.NetworkMode = nil, "container:"+facts("web", "").ID
		return labelled(c, "host=api.web, db.gitea")
	}, lost: "api.web.docker. api.web.sub.docker. db.gitea.docker. db.gitea.sub.docker.", apart: true},
	{what: "the name of a host", thief: called("NAS"), lost: "nas.docker. nas.sub.docker."},
	{what: "a host name like the host's", thief: hostname("nas"), lost: "nas.docker. nas.sub.docker."},
	{what: "an alias like the host's name", thief: alias("nas"), lost: "nas.docker. nas.sub.docker."},
	{what: "an address at a host", thief: records("nas.docker. A 192.0.2.66\nnas.sub.docker. CNAME thief.docker."), lost: "nas.docker. nas.sub.docker."},
	{what: "labels at and below a host", thief: host("nas, x.nas, *.nas.docker."), lost: "nas.docker. nas.sub.docker. x.nas.docker. x.nas.sub.docker. *.nas.docker."},
	{what: "a name below a host", thief: called("web.nas"), lost: "web.nas.docker. web.nas.sub.docker."},
	{what: "a host name below a host", thief: hostname("rabbit-1.nas"), lost: "rabbit-1.nas.docker. rabbit-1.nas.sub.docker."},
	{what: "an alias below a host", thief: alias("x.nas.docker"), lost: "x.nas.docker."},
	{what: "a port below a host", thief: records("_http._tcp.web.nas.docker. SRV 0 0 1 thief.docker."), lost: "_http._tcp.web.nas.docker."},
	{what: "a service of a project that is called as a host", thief: func(c *container.Container) *container.Container {
		return labelled(c, "project=nas", "service=web")
	}, lost: "web.nas.docker. web.nas.sub.docker."},
	{what: "a name above the name server's", thief: called("dns")},
	{what: "the name server's name", thief: host("ns.dns, ns.dns.sub.docker."), skipped: 2},
	{what: "two claims at one name", thief: func(c *container.Container) *container.Container {
		return labelled(aliased(c, "api.web.docker"), "host=api.web.docker", "records=api.web.docker. TXT stolen")
	}, lost: "api.web.docker.", more: 1},
	{what: "a project's name in two projects", apart: true, thief: func(c *container.Container) *container.Container {
		return labelled(hostnamed(c, "db"), "project=other", "service=db")
	}},
}

// on returns the thief on the network.
func (of theft) on(network string) *container.Container {
	c := of.thief(facts("thief", map[string]string{"a": "a=10.1.0.66", "b": "b=10.2.0.66"}[network]))
	c.Created = time.Unix(200, 0)
	return c
}

// names are all at which the theft may be seen: the residents' and those at and above the ones that it does not get.
func (of theft) names() []string {
	names := residentNames()
	for lost := range strings.FieldsSeq(of.lost) {
		lost = strings.Replace(lost, "*", "x", 1)
		for off, end := 0, false; !end && lost[off:] != "docker."; off, end = dns.NextLabel(lost, off) {
			names = append(names, lost[off:], "nope."+lost[off:])
		}
	}
	return names
}

// warnLog is what is logged. Other tests' containers may end meanwhile.
type warnLog struct {
	mu   sync.Mutex // guards the following
	text strings.Builder
}

func (l *warnLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *warnLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// warned has all warnings about containers be logged, however many, until the test's end.
func warned(t *testing.T) *warnLog {
	out := &warnLog{}
	aboutContainers.limiter.SetLimit(rate.Inf)
	golog.SetOutput(out)
	t.Cleanup(func() {
		aboutContainers.limiter.SetLimit(warningsASecond)
		golog.SetOutput(io.Discard)
	})
	return out
}

// TestTheft checks that a claim that is not the claimant's by right costs nobody else anything: all others get what they would
// without it, whatever becomes of those to whom the names belong. Each loss is logged once and counted.
func TestTheft(t *testing.T) {
	for _, c := range []struct {
		network  string
		isolate  bool
		comeLast bool
	}{{"a", false, true}, {"b", false, false}, {"a", true, true}} {
		change := func(cfg *config) { cfg.zone.Isolate = c.isolate }
		without := [2]peace{newPeace(change), newPeace(change)}
		without[1].remove(mortals()...)
		for _, of := range thefts {
			if c.network == "a" && of.apart {
				continue
			}
			t.Run(fmt.Sprintf("%s, on %s, isolate %t", of.what, c.network, c.isolate), func(t *testing.T) {
				out := warned(t)
				w, thief := newTown(change), of.on(c.network)
				both := [][]*container.Container{{thief}, residents()}
				if c.comeLast {
					slices.Reverse(both)
				}
				w.set(both[0]...)
				w.set(both[1]...)
				without[0].same(t, "all run", w, of.names())
				without[0].sameTransfer(t, w, of.names())
				if got, want := w.store.Snapshot().Lost()[w.hosts[0].id]-without[0].store.Snapshot().Lost()[without[0].hosts[0].id], len(strings.Fields(of.lost))+of.more; got != want {
					t.Errorf("%d claims are lost, want %d", got, want)
				}
				if got := w.catalog.Skipped()[w.hosts[0].id]; got != of.skipped {
					t.Errorf("%d names are skipped, want %d", got, of.skipped)
				}
				w.remove(mortals()...)
				without[1].same(t, "they have ended, and are held", w, of.names())
				w.set(mortals()...)
				without[0].same(t, "they run again", w, of.names())
				w.sink(w.hosts[0]).Apply([]container.Change{{ID: thief.ID, Gone: true}})
				without[0].same(t, "the thief is gone", w, of.names())
				of.logged(t, thief.Name, out.String())
			})
		}
	}
}

// logged checks what the log says of the thief.
func (of theft) logged(t *testing.T, thief, text string) {
	for lost := range strings.FieldsSeq(of.lost) {
		if n := strings.Count(text, "Container "+thief+" does not get the name "+lost+": "); n != 1 {
			t.Errorf("the log says %d times that %s is lost:\n%s", n, lost, text)
		}
	}
	about := strings.Count(text, "Container "+thief+" ") + strings.Count(text, "Container "+thief+": ")
	if want := len(strings.Fields(of.lost)) + of.skipped; about != want {
		t.Errorf("the log has %d lines about the thief, want %d:\n%s", about, want, text)
	}
}

// TestAfterTheft checks that a claim that lost takes effect when nobody has the better right any more, and no longer.
func TestAfterTheft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(func(c *config) { c.hold = 10 * time.Second })
		t.Cleanup(w.catalog.Close)
		w.set(residents()...)
		thief := labelled(hostnamed(facts("thief", "b=10.2.0.66"), "web.shop"), "host=api.gitea", "records=sip.web.docker. A 192.0.2.66")
		thief.Created = time.Unix(200, 0)
		w.set(thief)
		check := func(what string, want map[string]string) {
			t.Helper()
			for name, want := range want {
				if got := dig(t, w.Docker, fromHost, name, dns.TypeA); got != want {
					t.Errorf("%s: %s is %q, want %q", what, name, got, want)
				}
			}
		}
		const wildcard = "10.1.0.2" // *.web is web's
		check("all run", map[string]string{"web.shop.docker.": "10.1.0.20", "api.gitea.docker.": "NXDOMAIN", "sip.web.docker.": wildcard})
		gone := func(name string) {
			w.sink(w.hosts[0]).Apply([]container.Change{{ID: facts(name, "").ID, Gone: true}})
		}
		gone("gitea")
		gone("web")
		gone("shop-web-1")
		// What is Compose's may be about to be made anew.
		check("they are removed", map[string]string{"web.shop.docker.": "none", "api.gitea.docker.": "10.2.0.66", "sip.web.docker.": "192.0.2.66"})
		time.Sleep(11 * time.Second)
		check("the hold is over", map[string]string{"web.shop.docker.": "10.2.0.66", "api.gitea.docker.": "10.2.0.66", "sip.web.docker.": "192.0.2.66"})
		w.set(residents()...)
		check("they are back", map[string]string{"web.shop.docker.": "10.1.0.20", "api.gitea.docker.": "NXDOMAIN", "sip.web.docker.": wildcard})
		w.remove(mortals()...)
		time.Sleep(5 * time.Second)
		check("they are held", map[string]string{"web.shop.docker.": "none", "api.gitea.docker.": "NXDOMAIN", "sip.web.docker.": "none"})
		time.Sleep(6 * time.Second)
		check("that is over too", map[string]string{"web.shop.docker.": "10.2.0.66", "api.gitea.docker.": "NXDOMAIN", "sip.web.docker.": "192.0.2.66"})
	})
}

// TestNamesakes checks that a container that is called nearly like an older one does not get its name while that restarts, or
// is made anew; nor what lies below it.
func TestNamesakes(t *testing.T) {
	for _, name := range []string{"WEB", "web.docker", "web.docker.", "web."} {
		synctest.Test(t, func(t *testing.T) {
			w := newTown(func(c *config) { c.hold, c.routed = 10*time.Second, true })
			t.Cleanup(w.catalog.Close)
			web := labelled(facts("web", "a=10.1.0.2"), "project=p", "service=s")
			web.Created = time.Unix(100, 0)
			namesake := labelled(named(facts("thief", "a=10.1.0.66"), name), "host=api.web")
			namesake.Created = time.Unix(200, 0)
			w.set(web, namesake)
			check := func(what, want, below string) {
				t.Helper()
				for _, from := range []string{fromHost, "10.1.0.200", "10.3.0.9"} {
					if got := dig(t, w.Docker, from, "web.docker.", dns.TypeA); got != want {
						t.Errorf("%s beside web, %s: %s gets %q, want %q", name, what, from, got, want)
					}
					if got := dig(t, w.Docker, from, "api.web.docker.", dns.TypeA); got != below {
						t.Errorf("%s beside web, %s: %s gets %q below, want %q", name, what, from, got, below)
					}
				}
				if got := dig(t, w.Docker, fromHost, "66.0.1.10.in-addr.arpa.", dns.TypePTR); want != "10.1.0.66" && got != "thief0000000.docker." {
					t.Errorf("%s beside web, %s: its address is %q", name, what, got)
				}
			}
			check("both run", "10.1.0.2", "NXDOMAIN")
			w.remove(web)
			check("web has ended", "none", "NXDOMAIN")
			w.set(web)
			check("web runs again", "10.1.0.2", "NXDOMAIN")
			w.sink(w.hosts[0]).Apply([]container.Change{{ID: web.ID, Gone: true}})
			check("web is removed, and may be made anew", "none", "NXDOMAIN")
			anew := labelled(named(facts("anew", "a=10.1.0.3"), "web"), "project=p", "service=s")
			anew.Created = time.Unix(300, 0)
			w.set(anew)
			check("it is made anew", "10.1.0.3", "NXDOMAIN")
			w.remove(anew)
			time.Sleep(11 * time.Second)
			check("the hold is over", "10.1.0.66", "10.1.0.66")
		})
	}
}

// TestWithinRights checks what a container may do to names that others have no right of their own to: docs/security.md tells it.
func TestWithinRights(t *testing.T) {
	for _, c := range []struct {
		what  string
		thief func(*container.Container) *container.Container
		name  string
		want  map[string]string // by who asks
	}{
		{"nobody's name", records("free.docker. A 192.0.2.66"), "free.docker.",
			map[string]string{"the host": "192.0.2.66", "a neighbour": "192.0.2.66", "a stranger": "192.0.2.66"}},
		{"the label's name of another", records("www.docker. A 192.0.2.66"), "www.docker.",
			map[string]string{"the host": "10.1.0.2 192.0.2.66", "a neighbour": "10.1.0.2 192.0.2.66"}},
		{"an alias on the network", alias("db"), "db.docker.",
			map[string]string{"a neighbour": "10.1.0.11 10.1.0.66", "a member of project shop": "10.1.0.11 10.1.0.66", "a member of project gitea": "10.1.0.11"}},
		{"an alias on the network, as a project of its own", func(c *container.Container) *container.Container {
			return labelled(aliased(c, "db"), "project=thieves", "service=db")
		}, "db.docker.", map[string]string{"a neighbour": "none", "a member of project gitea": "10.1.0.11"}},
		{"nothing", alias(), "whoami.docker.", map[string]string{"the host": "10.4.0.3"}},
		{"an alias on another network", alias("whoami"), "whoami.docker.",
			map[string]string{"the host": "none", "a stranger": "none", "a member of network traefik": "10.4.0.3"}},
		{"a project's name, by its labels", func(c *container.Container) *container.Container {
			return labelled(c, "project=gitea", "service=db")
		}, "db.gitea.docker.", map[string]string{"the host": "10.1.0.11 10.1.0.66", "a member of project gitea": "10.1.0.11 10.1.0.66"}},
	} {
		w := newTown(nil)
		w.set(residents()...)
		w.set(theft{thief: c.thief}.on("a"))
		for who, want := range c.want {
			if got := dig(t, w.Docker, askers[who], c.name, dns.TypeA); got != want {
				t.Errorf("%s: %s gets %q, want %q", c.what, who, got, want)
			}
		}
	}
}
