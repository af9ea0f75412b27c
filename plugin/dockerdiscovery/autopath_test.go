package dockerdiscovery

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin/autopath"
	_ "github.com/coredns/coredns/plugin/template"
	"github.com/coredns/coredns/plugin/test"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

var _ autopath.AutoPather = (*Docker)(nil)

// ofProject is a container of Compose's project, which has the search list, and none that it tells if that is nil.
func ofProject(project, name, addrs string, search ...string) *container.Container {
	c := facts(name, addrs)
	c.Search = search
	if project != "" {
		c.Labels = map[string]string{"com.docker.compose.project": project}
	}
	return c
}

func TestSearchPath(t *testing.T) {
	d := emptyDocker(func(c *config) { c.zone.Zones = []string{"docker.", "lab.docker.", "lan.", "10.in-addr.arpa."} })
	root := emptyDocker(func(c *config) { c.zone.Zones = []string{"."} })
	for _, d := range []*Docker{d, root} {
		d.set(
			ofProject("shop", "told", "a=10.1.0.2", "shop.docker", "Docker.", "corp.example"),
			ofProject("shop", "one", "a=10.1.0.3", "corp.example", "shop.docker", "shop.lan"),
			ofProject("shop", "untold", "a=10.1.0.4"),
			ofProject("", "plain", "a=10.1.0.5"),
			ofProject("", "apex", "a=10.1.0.6", "docker", "bad..name", strings.Repeat("a.", 128)),
			ofProject("shop", "none", "a=10.1.0.7", "."),
			ofProject("not a name", "odd", "a=10.1.0.8"),
			ofProject(strings.Repeat("x", 64), "long", "a=10.1.0.9"),
		)
	}
	for _, c := range []struct {
		from, name string
		want       []string
	}{
		{"10.1.0.2", "db.shop.docker.", []string{"shop.docker.", "docker.", "corp.example.", ""}},
		{"10.1.0.2", "example.org.SHOP.docker.", []string{"shop.docker.", "docker.", "corp.example.", ""}},
		{"10.1.0.2", "shop.docker.", nil},                                                     // not looked for in the domain
		{"10.1.0.2", "db.docker.", nil},                                                       // the second domain: the path was gone already, or somebody has written it out
		{"10.1.0.2", "db.other.docker.", nil},                                                 //
		{"10.1.0.2", "db.corp.example.", nil},                                                 // not ours
		{"10.1.0.2", "db.shop.lan.", nil},                                                     // no domain of its
		{"10.1.0.2", "2.0.1.10.in-addr.arpa.", nil},                                           //
		{"10.1.0.3", "db.shop.docker.", []string{"shop.docker.", "docker.", "shop.lan.", ""}}, // the others were asked before
		{"10.1.0.3", "db.shop.lan.", []string{"shop.lan.", "lan.", ""}},                       //
		{"10.1.0.4", "db.shop.docker.", []string{"shop.docker.", "docker.", ""}},              //
		{"10.1.0.4", "db.shop.lan.", []string{"shop.lan.", "lan.", ""}},                       //
		{"10.1.0.4", "db.shop.lab.docker.", []string{"shop.lab.docker.", "lab.docker.", ""}},  // the narrower zone
		{"10.1.0.4", "db.docker.", nil},                                                       //
		{"10.1.0.5", "db.docker.", nil},                                                       //
		{"10.1.0.6", "db.docker.", []string{"docker.", ""}},                                   //
		{"10.1.0.6", "docker.", nil},                                                          //
		{"10.1.0.7", "db.shop.docker.", nil},                                                  // it looks nowhere
		{"10.1.0.8", "db.docker.", nil},                                                       //
		{"10.1.0.9", "db." + strings.Repeat("x", 60) + ".docker.", nil},                       //
		{"10.1.0.99", "db.shop.docker.", nil},                                                 // a container that is not known yet
		{fromHost, "db.shop.docker.", nil},                                                    //
		{fromLAN, "db.shop.docker.", nil},                                                     //
		{"192.0.2.1", "db.shop.docker.", nil},                                                 // the host
	} {
		if got := d.AutoPath(asking(c.from, c.name)); !slices.Equal(got, c.want) {
			t.Errorf("%s asks for %s: the path is %q, want %q", c.from, c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		from, name string
		want       []string
	}{
		{"10.1.0.2", "db.shop.docker.", []string{"shop.docker.", "docker.", "corp.example.", ""}},
		{"10.1.0.3", "db.corp.example.", []string{"corp.example.", "shop.docker.", "shop.lan.", ""}},
		{"10.1.0.4", "db.shop.", nil}, // com could be a project's name
		{"10.1.0.5", "db.", nil},
		{"10.1.0.2", "2.0.1.10.in-addr.arpa.", nil},
	} {
		if got := root.AutoPath(asking(c.from, c.name)); !slices.Equal(got, c.want) {
			t.Errorf("in zone ., %s asks for %s: the path is %q, want %q", c.from, c.name, got, c.want)
		}
	}

	behind := emptyDocker(func(c *config) { c.forwarders = []netip.Prefix{netip.MustParsePrefix("10.1.0.4/32")} })
	behind.set(ofProject("shop", "untold", "a=10.1.0.4"))
	early := unreconciledDocker(nil)
	early.set(ofProject("shop", "untold", "a=10.1.0.4"))
	for what, d := range map[string]*Docker{"a forwarder": behind, "a container, while not all are known": early} {
		if got := d.AutoPath(asking("10.1.0.4", "db.shop.docker.")); got != nil {
			t.Errorf("%s has the path %q, want none", what, got)
		}
	}

	state := asking("10.1.0.2", "db.shop.docker.")
	who := testing.AllocsPerRun(100, func() { d.askers.Who(addr(state.W.RemoteAddr())) })
	if n := testing.AllocsPerRun(100, func() { d.AutoPath(state) }) - who; n > 20 { // mostly for comparing names with four zones
		t.Errorf("a path takes %v allocations beside those of finding out who asks, want 20 at most", n)
	}
}

func asking(from, name string) request.Request {
	return request.Request{W: &test.ResponseWriter{RemoteIP: from}, Req: new(dns.Msg).SetQuestion(name, dns.TypeA)}
}

// One query finds what a container would find by several, and nobody else is led on.
func TestAutoPath(t *testing.T) {
	e := enginetest.New(t)
	project := func(name, service string) map[string]string {
		return map[string]string{"com.docker.compose.project": name, "com.docker.compose.service": service}
	}
	db := e.IP(e.Run(enginetest.Spec{Name: "one", Labels: project("shop", "db")}), "bridge").String()
	e.Run(enginetest.Spec{Name: "two", Labels: project("other", "db")})
	web := e.IP(e.Run(enginetest.Spec{Name: "web"}), "bridge").String()
	held := e.Run(enginetest.Spec{Name: "held"})
	told := e.IP(e.Run(enginetest.Spec{Name: "told", Labels: project("shop", "app"), DNSSearch: []string{"shop.docker"}}), "bridge")
	none := e.IP(e.Run(enginetest.Spec{Name: "none", Labels: project("shop", "app"), DNSSearch: []string{"example.com"}}), "bridge")
	port := freePort(t)
	s := inprocess.Serve(t, fmt.Sprintf(`.:%s {
 proxyproto {
  allow 127.0.0.1/32
 }
 autopath @docker
 docker docker. {
  endpoint %s
  hold 1m
 }
 template ANY A example.org {
  answer "{{ .Name }} 60 IN A 198.51.100.80"
 }
 template ANY ANY {
  rcode NXDOMAIN
 }
}`, port, e.Host()))
	defer stop(t, s)
	ask := func(from netip.Addr, name string) string {
		r, err := askProxied("udp", map[string]string{"dns": port}, new(dns.Msg).SetQuestion(name, dns.TypeA), proxyHeader(false, from, ""))
		if err != nil {
			t.Fatal(err)
		}
		return cmp.Or(strings.Join(rig.Data(r.Answer), " "), dns.RcodeToString[r.Rcode])
	}
	e.Kill(held, "KILL")
	eventually(t, "the container's end", func() bool { return ask(none, "held.docker.") == "NOERROR" })
	for _, c := range []struct {
		from netip.Addr
		name string
		want string
	}{
		{told, "db.shop.docker.", db},
		{told, "web.shop.docker.", web + " web.docker."},
		{told, "WEB.shop.docker.", web + " WEB.docker."},
		{told, "example.org.shop.docker.", "198.51.100.80 example.org."},
		{told, "held.shop.docker.", "NOERROR"}, // it exists, and is looked for no further
		{told, "nobody.shop.docker.", "NXDOMAIN"},
		{told, "shop.docker.", "NOERROR"},
		{told, "example.org.docker.", "NXDOMAIN"},
		{none, "web.shop.docker.", "NXDOMAIN"},
		{none, "db.shop.docker.", db},
		{netip.MustParseAddr(fromLAN), "web.shop.docker.", "NXDOMAIN"},
		{netip.MustParseAddr(fromHost), "web.shop.docker.", "NXDOMAIN"},
	} {
		if got := ask(c.from, c.name); got != c.want {
			t.Errorf("%s asks for %s: %s, want %s", c.from, c.name, got, c.want)
		}
	}
}
