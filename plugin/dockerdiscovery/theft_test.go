package dockerdiscovery

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

var thieves = flag.Int("theft.seeds", 40, "random thieves for TestRandomThefts")

// own are the residents' own names and the host's, at and below which nobody else has names of his choice, and projects' what is made of
// projects and networks, at which nobody else has.
var (
	own = strings.Fields(`web side rabbit_1 rabbit-1 gitea gitea-db-1 traefik who shop-web-1 shop-db-1 web000000000 rabbit_10000 side00000000
		gitea0000000 traefik00000 who000000000 shop-web-100 gitea-db-100 shop-db-1000 nas`)
	projects = strings.Fields("db.gitea whoami.traefik web.shop db.shop")
)

// TestRandomThefts has random containers claim names at, below and beside the residents': what is not theirs stays as it is for
// everybody else.
func TestRandomThefts(t *testing.T) {
	without := [2]peace{newPeace(nil), newPeace(nil)}
	without[1].remove(mortals()...)
	for seed := range *thieves {
		rnd := rand.New(rand.NewPCG(uint64(seed), 14))
		w := newTown(nil)
		thief, claims := randomThief(rnd)
		byHost := strings.ToLower(thief.Name) + ".nas" // which is its own
		names := append(residentNames(), claims...)
		for _, name := range claims {
			for off, end := dns.NextLabel(name, 0); !end && name[off:] != "docker."; off, end = dns.NextLabel(name, off) {
				names = append(names, name[off:], "nope."+name[off:])
			}
		}
		names = slices.DeleteFunc(names, func(name string) bool {
			return slices.ContainsFunc(claims, func(claim string) bool { return lawful(claim) && concerns(claim, name) }) ||
				slices.ContainsFunc([]string{".docker.", ".sub.docker."}, func(z string) bool {
					return concerns(byHost+z, name) || concerns(strings.ReplaceAll(byHost, "_", "-")+z, name)
				})
		})
		w.set(thief)
		w.set(residents()...)
		what := fmt.Sprintf("seed %d, %s", seed, strings.Join(claims, " "))
		without[0].same(t, what, w, names)
		w.remove(mortals()...)
		without[1].same(t, what+", they are held", w, names)
		if t.Failed() {
			return
		}
	}
}

// lawful reports whether the name that a thief claims is its to have.
func lawful(claim string) bool {
	claim = strings.TrimSuffix(strings.TrimSuffix(claim, ".docker."), ".sub")
	return !slices.Contains(projects, claim) && !slices.ContainsFunc(own, func(name string) bool { return claim == name || strings.HasSuffix(claim, "."+name) })
}

// concerns reports whether a claim may change what is answered for the name: for itself, for those above it and, if it is a
// wildcard, for those below.
func concerns(claim, name string) bool {
	return dns.IsSubDomain(name, claim) || strings.HasPrefix(claim, "*.") && dns.IsSubDomain(claim[2:], name)
}

// randomThief returns a container that asks for names of all kinds, and what they are in full.
func randomThief(rnd *rand.Rand) (c *container.Container, claims []string) {
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	name := func() string {
		n := pick(slices.Concat(own, projects, []string{"shop", "a", "db", "www", "mail.web", "x.mail.web", "_http._tcp.web", "b", "traefik", "other", "web.nas", "x.nas"})...)
		for range rnd.IntN(3) {
			n = pick("x", "a_b", "web", "db", "_sip._tcp", "*") + "." + n
		}
		return n
	}
	in := func(name string) string { // the zone, as it is or written
		full := strings.ToLower(name) + pick(".docker.", ".docker.", ".sub.docker.")
		claims = append(claims, full, strings.ReplaceAll(full, "_", "-"))
		return full
	}
	plain := func(name string) string { // as a program may call itself
		return strings.ReplaceAll(strings.ReplaceAll(name, "*", "y"), "_sip.", "sip.")
	}
	c = facts("thief", pick("b=10.2.0.66", "b=10.2.0.66", ""))
	c.Created = time.Unix(200, 0)
	relative := func(name string) string {
		for _, z := range []string{".docker.", ".sub.docker."} {
			claims = append(claims, strings.ToLower(name)+z, strings.ReplaceAll(strings.ToLower(name), "_", "-")+z)
		}
		return name
	}
	if len(c.Endpoints) == 0 {
		c.NetworkMode = "host"
	}
	var hosts, records []string
	for range 1 + rnd.IntN(4) {
		switch rnd.IntN(6) {
		case 0:
			if n := plain(name()); strings.Contains(n, ".") { // Docker has each name once
				c.Name = relative(strings.ToUpper(n[:1]) + n[1:])
			}
		case 1:
			c.Hostname = relative(plain(name()))
		case 2:
			if len(c.Endpoints) > 0 {
				alias := relative(plain(name()))
				aliased(c, alias)
				relative(alias + ".b")
			}
		case 3:
			hosts = append(hosts, relative(name()))
		case 4:
			hosts = append(hosts, in(name()))
		case 5:
			records = append(records, in(name())+" "+pick("A 192.0.2.66", "TXT stolen", "CNAME thief.docker.", "SRV 0 0 1 thief.docker.", "MX 1 thief.docker."))
		}
	}
	relative(c.ShortID())
	if c.Name == "thief" {
		relative("thief")
	}
	return labelled(c, "host="+strings.Join(hosts, ","), "records="+strings.Join(records, "\n")), claims
}

// TestRootZoneThefts checks that what may be the Internet's goes on in zone ., whatever containers are called, and that there
// too nobody loses what is his.
func TestRootZoneThefts(t *testing.T) {
	change := func(c *config) { c.zone.Zones = []string{"."} }
	without := newPeace(change)
	names := strings.Fields(`web. side. rabbit_1. rabbit-1. www. db.gitea. whoami.traefik. web.shop. db.shop. shopweb. _http._tcp.web. _sip._tcp.web. _90._tcp.side. nas. web.nas. x.nas.
		github.com. www.github.com. com. x.com. example.org. mail.example.org. org. localhost. x.localhost. api.web. x.web. sip.web. x.rabbit-1. shop. x.web.shop. . nope.`)
	for _, of := range []struct {
		what  string
		thief func(*container.Container) *container.Container
		// lost and skipped are what is logged and counted.
		lost, skipped string
		gets          string
	}{
		{what: "a name of the Internet", thief: called("github.com"), skipped: "github.com"},
		{what: "with a dot", thief: called("github.com."), skipped: "github.com"},
		{what: "a wildcard", thief: host("*.com"), skipped: "*.com"},
		{what: "a wildcard of all", thief: host("*"), skipped: "*"},
		{what: "a wildcard below a container", thief: host("*.web"), skipped: "*.web"},
		{what: "a label", thief: host("github.com"), skipped: "github.com"},
		{what: "an alias", thief: alias("example.org"), skipped: "example.org"},
		{what: "an alias with a dot", thief: alias("example.org."), skipped: "example.org"},
		{what: "an alias below a container", thief: alias("api.web"), skipped: "api.web"},
		{what: "a host name", thief: hostname("mail.example.org"), skipped: "mail.example.org"},
		{what: "a host name like a service's", thief: hostname("web.shop"), skipped: "web.shop"},
		{what: "a name like a service's", thief: called("db.gitea"), skipped: "db.gitea"},
		{what: "everybody's own", thief: called("localhost"), skipped: "localhost"},
		{what: "a record of the Internet's", thief: records("example.org. A 192.0.2.66"), skipped: "example.org. A"},
		{what: "a record below a container", thief: records("sip.web. A 192.0.2.66"), skipped: "sip.web. A"},
		{what: "a record at a service", thief: records("web.shop. A 192.0.2.66"), skipped: "web.shop. A"},
		{what: "a port of a container", thief: records("_sip._tcp.web. SRV 0 0 1 thief."), lost: "_sip._tcp.web."},
		{what: "its own port", thief: records("_http._tcp.web. SRV 0 0 1 thief."), lost: "_http._tcp.web."},
		{what: "a container's name", thief: hostname("web"), lost: "web."},
		{what: "a host's name", thief: called("nas"), lost: "nas."},
		{what: "a name below a host", thief: host("x.nas"), skipped: "x.nas"},
		{what: "a name like a project's", thief: called("shop"), gets: "shop."},
		{what: "a top-level domain", thief: called("com"), gets: "com."},
	} {
		for _, network := range []string{"a", "b"} {
			t.Run(of.what+" on "+network, func(t *testing.T) {
				out := warned(t)
				w := newTown(change)
				w.set(residents()...)
				thief := theft{thief: of.thief}.on(network)
				w.set(thief)
				names := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == of.gets })
				without.same(t, of.what, w, names)
				if got, want := w.store.Snapshot().Lost()[w.hosts[0].id]-without.store.Snapshot().Lost()[without.hosts[0].id], len(strings.Fields(of.lost)); got != want {
					t.Errorf("%d claims are lost, want %d", got, want)
				}
				want := without.catalog.Skipped()[without.hosts[0].id]
				if of.skipped != "" {
					want++
					if n := strings.Count(out.String(), fmt.Sprintf("Container %s: skipped", thief.Name)); n != 1 || !strings.Contains(out.String(), fmt.Sprintf("%q: ", of.skipped)) {
						t.Errorf("the log says %d times that %s is skipped:\n%s", n, of.skipped, out)
					}
				}
				if got := w.catalog.Skipped()[w.hosts[0].id]; got != want {
					t.Errorf("%d names are skipped, want %d", got, want)
				}
			})
		}
	}
}

// TestOwnNetworkBeforeRights checks that who asks is given what his own network has at a name, whatever rights strangers have to
// it, and that a name that is held there is there.
func TestOwnNetworkBeforeRights(t *testing.T) {
	d := emptyDocker(func(c *config) { c.hold, c.routed = time.Minute, true })
	t.Cleanup(d.catalog.Close)
	owner := serving(facts("db", "a=10.1.0.2"), 5432)
	own := aliased(labelled(facts("own", "b=10.2.0.2"), "project=blue", "service=db"), "db", "api.web")
	other := aliased(labelled(facts("other", "b=10.2.0.3"), "project=green", "service=db"), "db")
	web := facts("web", "a=10.1.0.4")
	d.set(owner, own, other, web, labelled(facts("blueapp", "b=10.2.0.20"), "project=blue", "service=app"),
		labelled(facts("redapp", "b=10.2.0.21"), "project=red", "service=app"))
	const blue, red, neighbour, stranger = "10.2.0.20", "10.2.0.21", "10.1.0.200", "10.3.0.9"
	check := func(what string, want map[string]string) {
		t.Helper()
		for who, want := range want {
			from, name, _ := strings.Cut(who, " ")
			if got := dig(t, d, from, name, dns.TypeA); got != want {
				t.Errorf("%s: %s: %q, want %q", what, who, got, want)
			}
		}
	}
	strangers := map[string]string{
		fromHost + " db.docker.": "10.1.0.2", neighbour + " db.docker.": "10.1.0.2", stranger + " db.docker.": "10.1.0.2",
		fromHost + " api.web.docker.": "NXDOMAIN", neighbour + " api.web.docker.": "NXDOMAIN", stranger + " api.web.docker.": "NXDOMAIN",
	}
	check("all run", strangers)
	check("all run", map[string]string{blue + " db.docker.": "10.2.0.2", red + " db.docker.": "none", blue + " api.web.docker.": "10.2.0.2"})
	d.remove(own)
	check("its own has ended", strangers)
	check("its own has ended", map[string]string{blue + " db.docker.": "none", blue + " api.web.docker.": "none"})
	d.set(own)
	d.remove(owner)
	check("the stranger has ended", map[string]string{fromHost + " db.docker.": "none", neighbour + " db.docker.": "none", blue + " db.docker.": "10.2.0.2"})
}
