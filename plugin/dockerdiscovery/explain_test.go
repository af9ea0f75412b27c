package dockerdiscovery

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

func explain(t *testing.T, d *Docker, q status.Question) *status.Explanation {
	t.Helper()
	x, err := d.Explain(q)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// sameAsServed checks that the explanation has the answer that who asks gets.
func sameAsServed(t *testing.T, d *Docker, q status.Question, x *status.Explanation) {
	t.Helper()
	if got, want := explainedAnswer(x), servedAnswer(t, d, q); got != want {
		t.Errorf("%s %s from %q is explained with\n%s\nand answered with\n%s", q.Name, dns.Type(q.Type), q.From, got, want)
	}
}

// explainedAnswer writes what is compared of an explanation's answer.
func explainedAnswer(x *status.Explanation) string {
	if x.Passed {
		return "passed on"
	}
	return answerText(x.Answer)
}

func answerText(m *dns.Msg) string {
	m = m.Copy()
	m.Id = 0
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if ede, ok := o.(*dns.EDNS0_EDE); ok && ede.ExtraText != "" {
				ede.ExtraText = "a text" // which says how long ago something was
			}
		}
	}
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			soa.Serial = 0
		}
	}
	return m.String()
}

// servedAnswer asks the plugin from where the question comes, and writes what is compared of the answer.
func servedAnswer(t *testing.T, d *Docker, q status.Question) string {
	t.Helper()
	from, err := d.questioner(q.From)
	if err != nil {
		t.Fatal(err)
	}
	r, err := message(q)
	if err != nil {
		t.Fatal(err)
	}
	rec := dnstest.NewRecorder(from.writer())
	rcode, err := d.ServeDNS(t.Context(), rec, r)
	switch {
	case errors.Is(err, errNext) || err != nil && d.Next == nil: // the fuzz target has none
		return "passed on"
	case err != nil:
		t.Fatal(err)
	case rec.Msg == nil:
		return answerText(new(dns.Msg).SetRcode(r, rcode))
	}
	return answerText(rec.Msg)
}

// writer is a transport's writer that takes the answer.
func (q questioner) writer() dns.ResponseWriter {
	return &transportWriter{remote: q.RemoteAddr(), local: q.LocalAddr()}
}

// situation is one in which somebody misses a name.
type situation struct {
	what     string
	zones    string                                   // docker. if empty
	block    string                                   // properties
	make     func(t *testing.T, e *enginetest.Engine) // before the start
	then     func(t *testing.T, e *enginetest.Engine) // after it
	name     string
	qtype    uint16 // A if none
	from     string
	cause    status.Cause
	says     []string // what the text has
	answered string   // how the answer begins: its rcode, as dig writes it
}

func containers(specs ...enginetest.Spec) func(*testing.T, *enginetest.Engine) {
	return func(t *testing.T, e *enginetest.Engine) {
		for _, s := range specs {
			e.Run(s)
		}
	}
}

func attached(networks ...string) []enginetest.Attachment {
	var all []enginetest.Attachment
	for _, n := range networks {
		network, alias, _ := strings.Cut(n, "/")
		a := enginetest.Attachment{Network: network}
		if alias != "" {
			a.Aliases = []string{alias}
		}
		all = append(all, a)
	}
	return all
}

// down takes the engine away.
func down(t *testing.T, e *enginetest.Engine) {
	if err := e.Down(); err != nil {
		t.Fatal(err)
	}
}

const enableLabel = "coredns.dockerdiscovery.enable"

func composed(project, service string) map[string]string {
	return map[string]string{"com.docker.compose.project": project, "com.docker.compose.service": service}
}

var situations = []situation{
	{
		what: "the wrong zone", make: containers(enginetest.Spec{Name: "caddy"}), name: "caddy.docker.loc",
		cause: status.NoZone, says: []string{"did you mean caddy.docker.", "zones are docker."},
	},
	{
		what: "a typo", make: containers(enginetest.Spec{Name: "caddy"}), name: "cady.docker",
		cause: status.NoSuchName, says: []string{"did you mean caddy.docker."}, answered: "NXDOMAIN",
	},
	{
		what: "left out by a label", make: containers(enginetest.Spec{Name: "web", Labels: map[string]string{enableLabel: "false"}}), name: "web.docker",
		cause: status.LeftOutByLabel, says: []string{"Container web is left out by its label " + enableLabel}, answered: "NXDOMAIN",
	},
	{
		what: "left out by opt_in", block: "opt_in", make: containers(enginetest.Spec{Name: "web"}), name: "web.docker",
		cause: status.NotOptedIn, says: []string{"Container web", "opt_in", enableLabel + "=true"}, answered: "NXDOMAIN",
	},
	{
		what: "isolation", block: "isolate", make: containers(enginetest.Spec{Name: "web", Networks: attached("a")}, enginetest.Spec{Name: "app", Networks: attached("b")}), name: "web.docker", from: "app",
		cause: status.Isolated, says: []string{"Container web shares no network with container app", "docker network connect a app"}, answered: "NXDOMAIN",
	},
	{
		what: "on another network", make: containers(enginetest.Spec{Name: "web", Networks: attached("a")}, enginetest.Spec{Name: "app", Networks: attached("b")}), name: "web.docker", from: "app",
		cause: status.OtherNetwork, says: []string{"Container web shares no network with container app", "docker network connect a app", "on a: who asks is not on the network"}, answered: "NOERROR",
	},
	{
		what: "unhealthy, where health is required", block: "health require", name: "web.docker",
		make:  containers(enginetest.Spec{Name: "web", Health: "unhealthy"}),
		cause: status.Unhealthy, says: []string{"Container web is unhealthy", "health=ignore"}, answered: "NOERROR",
	},
	{
		what: "paused", name: "web.docker",
		make:  func(t *testing.T, e *enginetest.Engine) { e.Pause(e.Run(enginetest.Spec{Name: "web"})) },
		cause: status.Paused, says: []string{"Container web is paused, and answers since nobody else does", "docker unpause web"}, answered: "NOERROR",
	},
	{
		what: "stopping", name: "web.docker", block: "health require",
		make: containers(enginetest.Spec{Name: "web"}), then: func(t *testing.T, e *enginetest.Engine) { e.Kill("web", "TERM") },
		cause: status.Stopping, says: []string{"Container web was told to stop"}, answered: "NOERROR",
	},
	{
		what: "held", name: "web.docker", block: "hold 10m",
		make: containers(enginetest.Spec{Name: "web"}), then: func(t *testing.T, e *enginetest.Engine) { e.Stop("web") },
		cause: status.Held, says: []string{"Container web ended a moment ago"}, answered: "NOERROR",
	},
	{
		what: "ended, and not held", name: "web.docker", block: "hold 0s",
		make: containers(enginetest.Spec{Name: "web"}), then: func(t *testing.T, e *enginetest.Engine) { e.Stop("web") },
		cause: status.Ended, says: []string{"Container web ended a moment ago", "docker start web"}, answered: "NXDOMAIN",
	},
	{
		what: "lost to another container's name", name: "db.web.docker",
		make:  containers(enginetest.Spec{Name: "web"}, enginetest.Spec{Name: "other", Labels: map[string]string{"coredns.dockerdiscovery.host": "db.web"}}),
		cause: status.Lost, says: []string{"is container web's, by its container name; container other does not get it"}, answered: "NXDOMAIN",
	},
	{
		what: "lost, and answered by who has it", name: "web.docker",
		make:  containers(enginetest.Spec{Name: "web"}, enginetest.Spec{Name: "other", Hostname: "web"}),
		cause: status.Answered, says: []string{"Container other claims it by an alias, host name, label, template or dotted name, and does not get it: it is container web's, by its container name"}, answered: "NOERROR",
	},
	{
		what: "an ambiguous alias", name: "db.docker",
		make: containers(
			enginetest.Spec{Name: "shop-db-1", Networks: attached("a/db"), Labels: composed("shop", "db")},
			enginetest.Spec{Name: "blog-db-1", Networks: attached("b/db"), Labels: composed("blog", "db")}),
		cause: status.Ambiguous, says: []string{"shop-db-1 of shop", "blog-db-1 of blog", "ask for db.blog.docker., db.shop.docker."}, answered: "NOERROR",
	},
	{
		what: "characters that a name can't have", name: `my\032app.docker`, make: containers(enginetest.Spec{Name: "web", Networks: attached("a/my app")}),
		cause: status.BadName, says: []string{`Container web's alias name "my app" can't be a name`}, answered: "NXDOMAIN",
	},
	{
		what: "the nearest name to one that can't be", name: "my-app.docker", make: containers(enginetest.Spec{Name: "web", Networks: attached("a/my app")}),
		cause: status.BadName, says: []string{`Container web's alias name "my app" can't be a name`}, answered: "NXDOMAIN",
	},
	{
		what: "a refused label", name: "web.example.org", make: containers(enginetest.Spec{Name: "web", Labels: map[string]string{"coredns.dockerdiscovery.host": "web.example.org."}}),
		cause: status.LabelRefused, says: []string{"Container web's label coredns.dockerdiscovery.host is refused for web.example.org.: it lies in none of the zones docker."},
	},
	{
		what: "a refused label with opt_in", block: "opt_in", name: "web.docker", make: containers(enginetest.Spec{Name: "web", Labels: map[string]string{enableLabel: "ture"}}),
		cause: status.LabelRefused, says: []string{"Container web's label " + enableLabel + " is refused: want true or false"}, answered: "NXDOMAIN",
	},
	{
		what: "refused records", name: "web.docker", qtype: dns.TypeTXT, make: containers(enginetest.Spec{Name: "web", Labels: map[string]string{"coredns.dockerdiscovery.records": "TXT \"open"}}),
		cause: status.LabelRefused, says: []string{"Container web's label coredns.dockerdiscovery.records is refused: it can't be parsed"}, answered: "NOERROR",
	},
	{
		what: "not published for the LAN", name: "web.docker", from: "lan", block: "publish", make: containers(enginetest.Spec{Name: "web"}),
		cause: status.NotPublished, says: []string{"Container web publishes no port"}, answered: "NOERROR",
	},
	{
		what: "published, and no publish", name: "web.docker", from: "lan", make: containers(enginetest.Spec{Name: "web", Publish: []string{"80:80"}}),
		cause: status.PublishOff, says: []string{"Container web's ports are published, but the Corefile has no publish"}, answered: "NOERROR",
	},
	{
		what: "published on loopback", name: "web.docker", from: "lan", block: "publish", make: containers(enginetest.Spec{Name: "web", Publish: []string{"127.0.0.1:80:80"}}),
		cause: status.NotPublished, says: []string{"Container web publishes its ports on a loopback address alone"}, answered: "NOERROR",
	},
	{
		what: "an overlay, from the host", name: "web.docker", from: "host",
		make:  containers(enginetest.Spec{Name: "web", Networks: attached("internal-overlay")}),
		cause: status.NotReachable, says: []string{"The Docker host reaches no address of container web", "on internal-overlay, the host has no way into the network"}, answered: "NOERROR",
	},
	{
		what: "an inspect that fails", name: "web.docker",
		make: func(t *testing.T, e *enginetest.Engine) {
			e.RawInspect("web", []byte("{"))
			e.Run(enginetest.Spec{Name: "web"})
		},
		cause: status.Unread, says: []string{"Container web can't be inspected"}, answered: "NXDOMAIN",
	},
	{
		what: "an inspect that fails at a start", name: "web.docker",
		then: func(t *testing.T, e *enginetest.Engine) {
			e.RawInspect("web", []byte("{"))
			e.Run(enginetest.Spec{Name: "web"})
		},
		cause: status.Unread, says: []string{"Container web can't be inspected"}, answered: "NXDOMAIN",
	},
	{
		what: "a resolver in between", name: "web.docker", from: "10.1.0.53", block: "publish\nforwarders 10.1.0.53", make: containers(enginetest.Spec{Name: "web", Networks: attached("a")}),
		cause: status.Forwarded, says: []string{"resolver 10.1.0.53 asks for others", "container web publishes no port"}, answered: "NOERROR",
	},
	{
		what: "what may be a resolver in between", name: "web.docker", from: "pihole",
		make:  containers(enginetest.Spec{Name: "web", Networks: attached("a")}, enginetest.Spec{Name: "pihole", Networks: attached("b"), ExposedPorts: []string{"53/udp"}}),
		cause: status.OtherNetwork, says: []string{"Container web shares no network", "name its address in forwarders"}, answered: "NOERROR",
	},
	{
		what: "created and not started", name: "web.docker", then: func(t *testing.T, e *enginetest.Engine) { e.Create(enginetest.Spec{Name: "web"}) },
		cause: status.NotStarted, says: []string{"Container web was created", "docker start web"}, answered: "NXDOMAIN",
	},
	{
		what: "a source that does not count", name: "db.shop.docker", block: "names container", make: containers(enginetest.Spec{Name: "shop-db-1", Labels: composed("shop", "db")}),
		cause: status.SourceOff, says: []string{"Container shop-db-1 would have the name by the source compose", "add compose to names"}, answered: "NXDOMAIN",
	},
	{
		what: "a name above others", name: "shop.docker", make: containers(enginetest.Spec{Name: "shop-db-1", Labels: composed("shop", "db")}),
		cause: status.NamesBelow, says: []string{"db.shop.docker."}, answered: "NOERROR",
	},
	{
		what: "a name of the Internet's while an engine is away", zones: ".", name: "example.org", make: containers(enginetest.Spec{Name: "web"}), then: down,
		cause: status.Passed, says: []string{"No container has the name", "the next plugin answers"},
	},
	{
		what: "another family", name: "web.docker", qtype: dns.TypeAAAA, make: containers(enginetest.Spec{Name: "web"}),
		cause: status.NoType, says: []string{"no IPv6 address"}, answered: "NOERROR",
	},
	{
		what: "no network", name: "web.docker", make: containers(enginetest.Spec{Name: "web", NetworkMode: "none"}),
		cause: status.NoAddress, says: []string{"Container web is on no network"}, answered: "NOERROR",
	},
	{
		what: "an engine that is away", name: "web.docker", make: containers(enginetest.Spec{Name: "web"}), then: down,
		cause: status.HostAway, says: []string{"The engine of host ", "its last state answers"}, answered: "NOERROR",
	},
	{
		what: "an unknown name while the engine is away", name: "web.docker", make: containers(enginetest.Spec{Name: "other"}), then: down,
		cause: status.HostAway, says: []string{"The engine of host ", "nobody else has the name"}, answered: "NXDOMAIN",
	},
	{
		what: "an engine that has not been reached", name: "web.docker", make: down,
		cause: status.NotReady, says: []string{"has not told its containers yet", "there is no such socket"}, answered: "SERVFAIL",
	},
	{
		what: "a host whose names have gone", name: "web.docker", block: "forget 1m", make: containers(enginetest.Spec{Name: "web"}),
		then: func(t *testing.T, e *enginetest.Engine) {
			down(t, e)
			d := running()[0]
			eventually(t, "the host is away", func() bool { return d.Hosts()[0].State == "away" })
			d.catalog.Feed(d.hosts[0].id).Current(false, time.Now().Add(-time.Hour))
		},
		cause: status.HostForgotten, says: []string{"Container web has lost its names: its host has been away for too long"}, answered: "NXDOMAIN",
	},
	{
		what: "a CNAME to who does not answer", name: "w.www.docker", block: "health require",
		make: containers(enginetest.Spec{Name: "web", Health: "unhealthy"},
			enginetest.Spec{Name: "www", Labels: map[string]string{"coredns.dockerdiscovery.records": "w CNAME web.docker."}}),
		cause: status.Unhealthy, says: []string{"It is another name (CNAME) for web.docker.", "Container web is unhealthy, and has to be well to answer"}, answered: "NOERROR",
	},
}

// TestSituations checks that the cause is named, and the one who is to blame, and that the answer is the one that is given.
func TestSituations(t *testing.T) {
	for _, s := range situations {
		t.Run(strings.ReplaceAll(s.what, " ", "_"), s.check)
	}
}

func (s *situation) check(t *testing.T) {
	e := enginetest.New(t)
	e.AddNetwork("a", "10.1.0.0/16")
	e.AddNetwork("b", "10.2.0.0/16")
	e.MakeNetwork(enginetest.NetworkSpec{Name: "internal-overlay", Driver: "overlay", Internal: true})
	if s.make != nil {
		s.make(t, e)
	}
	inprocess.Serve(t, fmt.Sprintf(".:%s {\n docker %s {\n endpoint %s\n %s\n }\n}", freePort(t), cmp.Or(s.zones, "docker."), e.Host(), s.block))
	d := running()[0]
	d.Next = plugin.HandlerFunc(next)
	q := status.Question{Name: s.name, Type: s.qtype, From: s.from}
	if s.then != nil {
		s.then(t, e)
		eventually(t, s.what, func() bool { return explain(t, d, q).Cause == s.cause })
	}
	x := explain(t, d, q)
	s.compare(t, d, q, x)
}

func (s *situation) compare(t *testing.T, d *Docker, q status.Question, x *status.Explanation) {
	t.Helper()
	var b strings.Builder
	if err := x.Text(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if x.Cause != s.cause {
		t.Errorf("the cause is %q, want %q:\n%s", x.Cause, s.cause, text)
	}
	for _, says := range s.says {
		if !strings.Contains(text, says) {
			t.Errorf("the text has not %q:\n%s", says, text)
		}
	}
	if s.answered != "" && !strings.Contains(text, "status: "+s.answered) {
		t.Errorf("the answer is not %s:\n%s", s.answered, text)
	}
	if len(x.Short()) > 120 || strings.Contains(x.Short(), "\n") {
		t.Errorf("short is %q", x.Short())
	}
	sameAsServed(t, d, q, x)
}

// TestQuestioners checks who counts as who asks, and what is said where nobody does.
func TestQuestioners(t *testing.T) {
	d := namedHosts(func(c *config) { c.forwarders = []netip.Prefix{netip.MustParsePrefix("10.1.0.53/32")} })
	side, hostnet, old := facts("side", ""), facts("hostnet", ""), facts("old", "a=10.1.0.8")
	side.NetworkMode, hostnet.NetworkMode = "container:my_nas", "host"
	d.set(side, hostnet, old, facts("b.c", "b=10.2.0.7"))
	d.remove(old)
	for _, c := range []struct{ from, ip, is string }{
		{"", "127.0.0.1", "the Docker host (127.0.0.1)"},
		{"host", "127.0.0.1", "the Docker host (127.0.0.1)"},
		{"lan", "invalid IP", "somebody elsewhere, as on the LAN"},
		{"10.1.0.2", "10.1.0.2", "container web (10.1.0.2)"},
		{"::ffff:10.1.0.2", "10.1.0.2", "container web (10.1.0.2)"},
		{"10.1.0.99", "10.1.0.99", "a container that is not known (10.1.0.99)"},
		{"10.1.0.53", "10.1.0.53", "the resolver 10.1.0.53"},
		{"192.0.2.1", "192.0.2.1", "the Docker host (192.0.2.1)"},
		{"198.51.100.9", "198.51.100.9", "198.51.100.9, which is elsewhere"},
		{"nas", "127.0.0.1", "host nas (127.0.0.1)"},
		{"NAS", "127.0.0.1", "host NAS (127.0.0.1)"},
		{"box", "203.0.113.5", "host box (203.0.113.5)"},
		{"my_nas", "10.1.0.3", "container my_nas (10.1.0.3 on a)"},
		{"my_nas000000", "10.1.0.3", "container my_nas (10.1.0.3 on a)"},
		{facts("my_nas", "").ID, "10.1.0.3", "container my_nas (10.1.0.3 on a)"},
		{"web.nas", "10.1.0.2", "container web (10.1.0.2 on a)"},
		{"web.box", "203.0.113.5", "container web, through its host (203.0.113.5)"},
		{"b.c", "10.2.0.7", "container b.c (10.2.0.7 on b)"},
		{"side", "10.1.0.3", "container side (10.1.0.3, in another container's network)"},
		{"hostnet", "127.0.0.1", "container hostnet, through its host (127.0.0.1)"},
	} {
		q, err := d.questioner(c.from)
		if err != nil || q.ip.String() != c.ip || q.is != c.is {
			t.Errorf("%q is %s from %s, %v; want %s from %s", c.from, q.is, q.ip, err, c.is, c.ip)
		}
	}
	for from, want := range map[string]string{
		"web":         `2 containers are called "web"; want one of web.nas, web.box`,
		"old":         `container "old" does not run, so that it can't ask`,
		"my-nas":      `nobody is called "my-nas" who could ask; want an address, a running container's name or ID, a host's NAME, host or lan; did you mean my_nas`,
		"nobody":      `nobody is called "nobody" who could ask; want an address, a running container's name or ID, a host's NAME, host or lan`,
		"\x1b[31mred": `nobody is called "\x1b[31mred" who could ask; want an address, a running container's name or ID, a host's NAME, host or lan`,
	} {
		if _, err := d.Explain(status.Question{Name: "web.docker", From: from}); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", from, err, want)
		}
		if _, err := d.Names(from); err == nil || err.Error() != want {
			t.Errorf("the names for %q: %v, want %s", from, err, want)
		}
	}
	for name, want := range map[string]string{
		"":                        `"" is not a name`,
		"a..b":                    `"a..b" is not a name`,
		strings.Repeat("x", 64):   "want labels of 1 to 63 octets between dots",
		strings.Repeat("x.", 130): "255 octets at most",
	} {
		if _, err := d.Explain(status.Question{Name: name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
	if _, err := d.Explain(status.Question{Name: "docker", Type: dns.TypeAXFR}); err == nil || err.Error() != "AXFR asks for a zone, not for a name; want a type of records" {
		t.Errorf("AXFR: %v", err)
	}
}

// TestExplainBound checks that an explanation counts with the address at which alone the server is asked.
func TestExplainBound(t *testing.T) {
	d := emptyDocker(func(c *config) { c.publish = true })
	machine("eth0 192.0.2.1/24", "eth1 192.0.2.65/26").at(&d.own)
	web := facts("web", "a=10.1.0.2")
	web.Ports = published("0.0.0.0:80")
	d.set(web)
	for _, c := range []struct{ listens, want string }{
		{"", "192.0.2.1 192.0.2.65"},
		{"dns://:53", "192.0.2.1 192.0.2.65"},
		{"dns://192.0.2.65:53", "192.0.2.65"},
		{"dns://192.0.2.65:53 tls://192.0.2.65:853", "192.0.2.65"},
		{"dns://192.0.2.65:53 dns://192.0.2.1:53", "192.0.2.1 192.0.2.65"},
	} {
		d.listens = strings.Fields(c.listens)
		var got []string
		for _, rr := range explain(t, d, status.Question{Name: "web.docker", From: "lan"}).Answer.Answer {
			got = append(got, dns.Field(rr, 1))
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("asked at %q: %s, want %s", c.listens, got, c.want)
		}
	}
}

// TestExplainAddress asks for the name of an address, as people write it.
func TestExplainAddress(t *testing.T) {
	d := emptyDocker(nil)
	d.set(facts("web", "a=10.1.0.2"))
	if x := explain(t, d, status.Question{Name: "10.1.0.2"}); x.Name != "2.0.1.10.in-addr.arpa." || x.Type != dns.TypePTR || len(x.Answer.Answer) != 1 {
		t.Errorf("%s %s:\n%s", x.Name, dns.Type(x.Type), x.Answer)
	}
}

// TestNames checks the names with what answers, as several askers get them.
func TestNames(t *testing.T) {
	d := emptyDocker(func(c *config) {
		c.sources, c.zone.Isolate = []naming.Source{naming.Container, naming.Alias, naming.Label}, true
	})
	db := facts("db", "a=10.1.0.2 b=10.2.0.2")
	db.Endpoints[0].Aliases = []string{"data"}
	db.Labels = map[string]string{"coredns.dockerdiscovery.records": "@ TXT \"a b\""}
	d.set(db, facts("web", "b=10.2.0.3"))
	for from, want := range map[string]string{
		"":         "data.a.docker. db: 5 IN A 10.1.0.2; data.docker. db: 5 IN A 10.1.0.2; db.a.docker. db: 5 IN A 10.1.0.2; db.b.docker. db: 5 IN A 10.2.0.2; db.docker. db: 5 IN A 10.1.0.2, 5 IN A 10.2.0.2, 5 IN TXT \"a b\"; web.b.docker. web: 5 IN A 10.2.0.3; web.docker. web: 5 IN A 10.2.0.3",
		"web":      "data.a.docker. db: ; data.docker. db: ; db.a.docker. db: ; db.b.docker. db: 5 IN A 10.2.0.2; db.docker. db: 5 IN A 10.2.0.2, 5 IN TXT \"a b\"; web.b.docker. web: 5 IN A 10.2.0.3; web.docker. web: 5 IN A 10.2.0.3",
		"lan":      "data.a.docker. db: ; data.docker. db: ; db.a.docker. db: ; db.b.docker. db: ; db.docker. db: 5 IN TXT \"a b\"; web.b.docker. web: ; web.docker. web: ",
		"10.3.0.9": "",
	} {
		names, err := d.Names(from)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for n := range names {
			got = append(got, n.Name+" "+strings.Join(n.Owners, " ")+": "+strings.ReplaceAll(strings.Join(n.Records, ", "), "\t", " "))
		}
		if got := strings.Join(got, "; "); got != want {
			t.Errorf("from %q:\n%s\nwant\n%s", from, got, want)
		}
	}
}

// TestZoneRecords checks that a zone is listed as it is transferred, in order.
func TestZoneRecords(t *testing.T) {
	d := emptyDocker(func(c *config) { c.zone.Zones = append(c.zone.Zones, ".") })
	d.set(facts("web", "a=10.1.0.2"), facts("app", "b=10.2.0.2"))
	for _, apex := range []string{"docker.", "10.in-addr.arpa."} {
		var listed []string
		for rr := range d.ZoneRecords(apex) {
			listed = append(listed, rr.String())
		}
		text, _ := dump(t, d, apex)
		transferred := strings.Split(strings.TrimSpace(text), "\n")
		if len(listed) < 4 || !slices.Equal(listed[:3], transferred[:3]) || !slices.IsSorted(listed[3:]) {
			t.Errorf("%s is listed as\n%s", apex, strings.Join(listed, "\n"))
		}
		slices.Sort(listed)
		slices.Sort(transferred)
		if !slices.Equal(listed, transferred) {
			t.Errorf("%s is listed as\n%s\nand transferred as\n%s", apex, strings.Join(listed, "\n"), strings.Join(transferred, "\n"))
		}
	}
	for rr := range d.ZoneRecords(".") {
		if h := rr.Header(); h.Rrtype != dns.TypeA {
			t.Errorf("zone . has %s", rr)
		}
	}
	if d.ZoneRecords("lan.") != nil {
		t.Error("a zone that is not ours has records")
	}
}

// TestExplanationJSON holds what programs read: its keys and words never change.
func TestExplanationJSON(t *testing.T) {
	d := emptyDocker(func(c *config) { c.labelPrefix = naming.DefaultLabelPrefix })
	web, other, off := facts("web", "a=10.1.0.2 b=10.2.0.2"), facts("other", "a=10.1.0.3"), facts("off", "a=10.1.0.4")
	other.Hostname, off.Labels = "web", map[string]string{enableLabel: "false"}
	d.set(web, other, off, facts("app", "a=10.1.0.9"))
	for _, c := range []struct {
		q    status.Question
		want string
	}{
		{status.Question{Name: "web.docker", From: "app"}, `{"block":"docker.:53","name":"web.docker.","type":"A","from":"container app (10.1.0.9 on a)","zone":"docker.","zones":["docker.","10.in-addr.arpa."],` +
			`"cause":"answered","summary":"","cure":"","steps":["The name lies in the zone docker.",` +
			`"Container web claims it by its container name, and answers: 10.1.0.2 on a; not 10.2.0.2 on b: who asks is not on the network",` +
			`"Container other claims it by an alias, host name, label, template or dotted name, and does not get it: it is container web's, by its container name"],` +
			`"claims":[{"host":"","container":"web","id":"` + web.ID + `","reason":"answers","right":"container_name","state":"well","addresses":[` +
			`{"address":"10.1.0.2","network":"a","reason":"given"},{"address":"10.2.0.2","network":"b","reason":"not_on_network"}]},` +
			`{"host":"","container":"other","id":"` + other.ID + `","reason":"lost_to","right":"shared","winner":"web","state":"well","addresses":[]}],` +
			`"wanting":[],"near":[],"below":[],"hosts":[],"stale":false,"passed":false,` +
			`"answer":{"status":"NOERROR","flags":["qr","aa","rd"],"answer":["web.docker.\t5\tIN\tA\t10.1.0.2"],"authority":[],"additional":[],"ede":[]}}`},
		{status.Question{Name: "off.docker"}, `{"block":"docker.:53","name":"off.docker.","type":"A","from":"the Docker host (127.0.0.1)","zone":"docker.","zones":["docker.","10.in-addr.arpa."],` +
			`"cause":"left_out_label","summary":"container off is left out by its label ` + enableLabel + `","cure":"take the label away, or set it to true","steps":["The name lies in the zone docker.","Nobody has it",` +
			`"Container off is left out by its label ` + enableLabel + `"],"claims":[],"wanting":[{"host":"","container":"off","id":"` + off.ID + `","cause":"left_out_label",` +
			`"summary":"container off is left out by its label ` + enableLabel + `","cure":"take the label away, or set it to true"}],"near":[],"below":[],"hosts":[],"stale":false,"passed":false,` +
			`"answer":{"status":"NXDOMAIN","flags":["qr","aa","rd"],"answer":[],"authority":["docker.\t5\tIN\tSOA\tns.dns.docker. hostmaster.docker. SERIAL 60 15 3600 5"],"additional":[],` +
			`"ede":[{"code":0,"text":"container off is left out by its label ` + enableLabel + `"}]}}`},
	} {
		text, err := json.Marshal(explain(t, d, c.q))
		if err != nil {
			t.Fatal(err)
		}
		got := regexp.MustCompile(`hostmaster\.docker\. \d+`).ReplaceAllString(string(text), "hostmaster.docker. SERIAL")
		if got != c.want {
			t.Errorf("%+v:\n%s\nwant\n%s", c.q, got, c.want)
		}
	}
}
