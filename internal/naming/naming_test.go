package naming

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// here are the networks of a host.
var here = composed(map[string]container.ComposeNetwork{
	"shop_my_net": {Project: "shop", Short: "my_net"}, "back": {Project: "other", Short: "back"},
})

// composed returns a host's networks that are Compose's.
func composed(networks map[string]container.ComposeNetwork) *container.Networks {
	h := container.Host{ID: "here"}
	for name, c := range networks {
		h.Networks = append(h.Networks, container.Network{Name: name, Compose: c})
	}
	return container.NewNetworks(&h)
}

// rules are those of all sources in the zones.
func rules(zones ...string) *Rules {
	return &Rules{Zones: zones, Sources: Sources(), Reserved: zone.Config{Zones: zones}.Reserved}
}

func only(sources ...Source) *Rules {
	r := rules("docker.")
	r.Sources = sources
	return r
}

// describe writes a claim as NAME RANK NETWORK, and what it is besides.
func describe(claims []zone.Claim) string {
	ranks := [...]string{zone.ByHost: "host", zone.ByName: "name", zone.ByID: "id", zone.ByTwin: "twin", zone.ByService: "service", zone.ByTask: "task", zone.ByProject: "project", zone.Shared: "shared"}
	var out []string
	for _, c := range claims {
		fields := []string{c.Name, ranks[c.Rank]}
		if c.Network != noNetwork {
			fields = append(fields, c.Network.String())
		}
		switch c.Part {
		case zone.HostPart:
			fields = append(fields, "host's part")
		case zone.NoPart:
			fields = append(fields, "no part")
		}
		if c.Proxied {
			fields = append(fields, "proxied")
		}
		if c.Bare {
			fields = append(fields, "bare")
		}
		if c.Scoped {
			fields = append(fields, "scoped")
		}
		out = append(out, strings.Join(fields, " "))
	}
	return strings.Join(out, "\n")
}

func TestClaims(t *testing.T) {
	compose := map[string]string{composeProject: "shop", composeService: "web"}
	for _, c := range []struct {
		name      string
		rules     *Rules
		container container.Container
		want      string
		skipped   string
	}{
		{
			"all sources", rules("docker."),
			container.Container{
				Name: "shop_web_1", Hostname: "0123456789ab", Labels: compose,
				Endpoints: []container.Endpoint{{Network: "shop_default", Aliases: []string{"web", "0123456789ab"}}},
			},
			`shop_web_1.docker. name
0123456789ab.docker. id
web.shop.docker. project
web.docker. shared shop_default bare
web.shop_default.docker. project shop_default
shop_web_1.shop_default.docker. project shop_default
shop-web-1.docker. twin
web.shop-default.docker. project shop_default
shop-web-1.shop-default.docker. project shop_default`, "",
		},
		{
			"Compose v2", rules("docker."),
			container.Container{Name: "shop-web-1", Hostname: "0123456789ab", Labels: compose},
			"shop-web-1.docker. name\n0123456789ab.docker. id\nweb.shop.docker. project", "",
		},
		{
			"compose run does not serve", only(Compose),
			container.Container{Name: "x", Labels: map[string]string{composeProject: "shop", composeService: "web", composeOneoff: "True"}},
			"", "",
		},
		{
			"case", only(Container, Hostname), container.Container{Name: "WEB", Hostname: "Db"},
			"web.docker. name\ndb.docker. shared bare", "",
		},
		{
			"domain name", rules("docker.", "example.org."),
			container.Container{Name: "x", Hostname: "www", Domainname: "shop.example.org"},
			`x.docker. name
x.example.org. name
0123456789ab.docker. id
0123456789ab.example.org. id
www.docker. shared bare
www.example.org. shared bare
www.shop.example.org. shared bare`, "",
		},
		{
			"the order of the sources is that of the names", only(Hostname, ID, Container),
			container.Container{Name: "x", Hostname: "www", Domainname: "docker"},
			"www.docker. shared bare\n0123456789ab.docker. id\nx.docker. name", "",
		},
		{
			"a better right to a name leaves its place", only(Hostname, Container, ID),
			container.Container{Name: "x", Hostname: "0123456789ab", Domainname: "docker"},
			"0123456789ab.docker. id\nx.docker. name", "",
		},
		{
			"host name with domain", only(Hostname), container.Container{Hostname: "www.docker"},
			"www.docker. shared bare", "",
		},
		{
			"names in a zone", rules("lab.test.", "lan."),
			container.Container{
				Name: "Git_1.Lab.test", Hostname: "sso.lab.test",
				Endpoints: []container.Endpoint{{Network: "n", Aliases: []string{"auth_1.lab.test", "a.b.lan", "lab.test", "x.org"}}},
			},
			`git_1.lab.test. name
0123456789ab.lab.test. id
0123456789ab.lan. id
sso.lab.test. shared bare
auth_1.lab.test. shared n bare
a.b.lan. shared n bare
lab.test.lab.test. shared n bare
lab.test.lan. shared n bare
lab.test.n.lab.test. project n
lab.test.n.lan. project n
x.org.lab.test. shared n bare
x.org.lan. shared n bare
x.org.n.lab.test. project n
x.org.n.lan. project n
git-1.lab.test. twin
auth-1.lab.test. shared n bare`, "",
		},
		{
			"of zones in each other the innermost counts", rules("docker.", "sub.docker."),
			container.Container{Name: "a_1.sub.docker", Hostname: "b.c.docker"},
			"a_1.sub.docker. name\n0123456789ab.docker. id\n0123456789ab.sub.docker. id\nb.c.docker. shared bare\na-1.sub.docker. twin", "",
		},
		{
			"a dotted name is nobody's alone", only(Container), container.Container{Name: "a_b.c"}, "a_b.c.docker. shared\na-b.c.docker. shared", "",
		},
		{
			"so is it in the zone", only(Container), container.Container{Name: "a_b.c.docker"}, "a_b.c.docker. shared\na-b.c.docker. shared", "",
		},
		{
			"projects and networks that are called as zones", rules("docker.", "sub.docker."),
			container.Container{
				Name: "x", Labels: map[string]string{composeProject: "docker", composeService: "web"},
				Endpoints: []container.Endpoint{{Network: "sub", Aliases: []string{"db"}}},
			},
			`x.docker. name
x.sub.docker. name
0123456789ab.docker. id
0123456789ab.sub.docker. id
web.docker.docker. project
web.docker.sub.docker. project
db.docker. shared sub bare
db.sub.docker. shared sub bare
db.sub.sub.docker. project sub
x.sub.sub.docker. project sub`, "",
		},
		{
			"the host's own name", only(Hostname), container.Container{Hostname: "laptop", NetworkMode: "host"}, "", "",
		},
		{
			"zone .", rules("."), container.Container{Name: "rabbit_1", Hostname: "rabbit_1"},
			"rabbit_1. name\n0123456789ab. id\nrabbit-1. twin", "",
		},
		{
			"of the Internet's names zone . gives none", rules("."),
			container.Container{
				Name: "github.com", Hostname: "mail.example.org", Domainname: "example.org",
				Endpoints: []container.Endpoint{{Network: "n", Aliases: []string{"example.org", "localhost", "db"}}},
			},
			"0123456789ab. id\nlocalhost.n. project n scoped\ndb. shared n bare\ndb.n. project n scoped",
			`container name "github.com": zone . is shared with the Internet; a container's names have one label in it
hostname name "mail.example.org": zone . is shared with the Internet; a container's names have one label in it
alias name "example.org": zone . is shared with the Internet; a container's names have one label in it
alias name "localhost": localhost is everybody's own`,
		},
		{
			"a name of the Internet's by two sources", rules("."),
			container.Container{Name: "x", Hostname: "mail.example.org", Endpoints: []container.Endpoint{{Network: "n", Aliases: []string{"mail.example.org"}}}},
			"x. name\n0123456789ab. id\nx.n. project n scoped",
			`hostname name "mail.example.org": zone . is shared with the Internet; a container's names have one label in it`,
		},
		{
			"projects and networks in zone .", rules("."),
			container.Container{
				Name: "localhost", Labels: map[string]string{composeProject: "shop", composeService: "web_1"}, Ports: []container.Port{{Number: 80, Proto: "tcp"}},
				Endpoints: []container.Endpoint{{Network: "n.org", Aliases: []string{"db"}}},
			},
			`0123456789ab. id
web_1.shop. project scoped
db. shared n.org bare
web-1.shop. project scoped
_http._tcp.web_1.shop. project scoped
_http._tcp.web-1.shop. project scoped`,
			`container name "localhost": localhost is everybody's own`,
		},
		{
			"zone . and another", rules(".", "docker."), container.Container{Name: "github.com", Labels: map[string]string{composeProject: "docker", composeService: "web"}},
			"github.com.docker. shared\n0123456789ab. id\n0123456789ab.docker. id\nweb.docker.docker. project", "",
		},
		{
			"an alias on two networks", only(Alias),
			container.Container{Name: "x", Endpoints: []container.Endpoint{{Network: "a", Aliases: []string{"db"}}, {Network: "b", Aliases: []string{"db"}}}},
			"db.docker. shared a bare\ndb.a.docker. project a\ndb.docker. shared b bare\ndb.b.docker. project b\nx.a.docker. project a\nx.b.docker. project b", "",
		},
		{
			"an alias on Compose's networks", only(Alias),
			container.Container{Name: "x", Endpoints: []container.Endpoint{
				{Network: "shop_my_net", Aliases: []string{"db"}},
				{Network: "back", Aliases: []string{"db"}},
			}},
			`db.docker. shared shop_my_net bare
db.shop_my_net.docker. project shop_my_net
db.my_net.docker. project shop_my_net bare
db.docker. shared back bare
db.back.docker. project back
x.shop_my_net.docker. project shop_my_net
x.my_net.docker. project shop_my_net bare
x.back.docker. project back
db.shop-my-net.docker. project shop_my_net
db.my-net.docker. project shop_my_net bare
x.shop-my-net.docker. project shop_my_net
x.my-net.docker. project shop_my_net bare`, "",
		},
		{
			"a host name is for all networks, so the alias adds nothing", only(Hostname, Alias),
			container.Container{Hostname: "db", Endpoints: []container.Endpoint{{Network: "a", Aliases: []string{"db"}}}},
			"db.docker. shared bare\ndb.a.docker. project a", "",
		},
		{
			"a label is for all", only(Hostname, Alias, Label),
			container.Container{Hostname: "db", Labels: label("host", "db,www"), Endpoints: []container.Endpoint{{Network: "a", Aliases: []string{"www"}}}},
			"db.docker. shared\nwww.docker. shared\nwww.a.docker. project a", "",
		},
		{
			"an alias is more than the host name where it says its network", only(Hostname, Alias),
			container.Container{Hostname: "db.a", Endpoints: []container.Endpoint{{Network: "a", Aliases: []string{"db"}}}},
			"db.a.docker. project a\ndb.docker. shared a bare", "",
		},
		{
			"compose run does not have the service's host name", only(Container, ID, Hostname, Alias),
			container.Container{Name: "x", Hostname: "db", Labels: map[string]string{composeOneoff: "True"}, Endpoints: []container.Endpoint{{Network: "a", Aliases: []string{"web", "db"}}}},
			"x.docker. name\n0123456789ab.docker. id\nweb.docker. shared a bare\nweb.a.docker. project a\nx.a.docker. project a", "",
		},
		{
			"compose run with a host name of its own", only(Hostname),
			container.Container{Name: "x", Hostname: "0123456789ab", Labels: map[string]string{composeOneoff: "True"}},
			"0123456789ab.docker. shared bare", "",
		},
		{
			"its twin is stronger than the alias", rules("docker."),
			container.Container{Name: "my_db", Hostname: "0123456789ab", Endpoints: []container.Endpoint{{Network: "a", Aliases: []string{"my-db"}}}},
			"my_db.docker. name\n0123456789ab.docker. id\nmy-db.docker. twin\nmy-db.a.docker. project a\nmy_db.a.docker. project a", "",
		},
		{
			"zone with an underscore", &Rules{Zones: []string{"my_zone."}, Sources: []Source{Container}, Reserved: func(string) bool { return false }},
			container.Container{Name: "a_b"}, "a_b.my_zone. name\na-b.my_zone. twin", "",
		},
		{
			"names that end with a dot", rules("lab.test."),
			container.Container{
				Name: "git.lab.test.", Hostname: "sso.", Domainname: "lab.test.",
				Endpoints: []container.Endpoint{{Network: "n", Aliases: []string{"auth.lab.test.", "db."}}},
			},
			"git.lab.test. name\n0123456789ab.lab.test. id\nsso.lab.test. shared bare\nauth.lab.test. shared n bare\ndb.lab.test. shared n bare\ndb.n.lab.test. project n", "",
		},
		{
			"invalid names", only(Container, Alias),
			container.Container{Name: strings.Repeat("x", 64), Endpoints: []container.Endpoint{{Network: "n", Aliases: []string{"a b", "a..b", "ok"}}}},
			"ok.docker. shared n bare\nok.n.docker. project n",
			`container name "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": label longer than 63 octets
alias name "a b": character ' '; letters, digits, hyphens and underscores are possible
alias name "a b.n": character ' '; letters, digits, hyphens and underscores are possible
alias name "a..b": empty label
alias name "a..b.n": empty label`,
		},
		{
			"the server's own names", only(Container), container.Container{Name: "ns.dns"}, "",
			`container name "ns.dns": ns.dns.docker. is the name server's own`,
		},
		{
			"addresses' names", &Rules{Zones: []string{"."}, Sources: []Source{Container}, Reserved: func(string) bool { return false }},
			container.Container{Name: "1.0.0.127.in-addr.arpa"}, "",
			`container name "1.0.0.127.in-addr.arpa": names under arpa. stand for addresses`,
		},
		{
			"too long", only(Container), container.Container{Name: strings.Repeat("a.", 124) + "a"}, "",
			fmt.Sprintf("container name %q: longer than 255 octets in zone docker.", strings.Repeat("a.", 124)+"a"),
		},
	} {
		c.container.ID = id
		e, _, skipped := c.rules.Entry(here, &c.container, &c.container)
		if got := describe(e.Claims); got != c.want {
			t.Errorf("%s: claims\n%s\nwant\n%s", c.name, got, c.want)
		}
		var reasons []string
		for _, s := range skipped {
			reasons = append(reasons, s.String())
		}
		if got := strings.Join(reasons, "\n"); got != c.skipped {
			t.Errorf("%s: skipped\n%s\nwant\n%s", c.name, got, c.skipped)
		}
	}
}

// TestLongestName checks RFC 1035's limit to the octet: 255 on the wire.
func TestLongestName(t *testing.T) {
	for n, fits := range map[int]bool{246: true, 247: false} { // with ".docker." 254: one less than on the wire
		text := strings.Repeat("a.", n/2)[:n-1] + "b"
		e, _, _ := only(Container).Entry(here, &container.Container{ID: id, Name: text}, nil)
		if got := len(e.Claims) == 1; got != fits {
			t.Errorf("a name of %d octets is taken: %v, want %v", n, got, fits)
		}
		buf := make([]byte, 300)
		if wire, err := dns.PackDomainName(text+".docker.", buf, 0, nil, false); err != nil || (wire <= 255) != fits {
			t.Errorf("a name of %d octets takes %d on the wire, %v; want that it fits: %v", n, wire, err, fits)
		}
	}
}

func TestEntry(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := container.Container{
		ID: id, Name: "web", Created: at, Health: container.Healthy,
		Endpoints: []container.Endpoint{
			{Network: "a", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")}},
			{Network: "b", Addrs: []netip.Addr{netip.MustParseAddr("10.1.0.2")}},
		},
	}
	e, _, _ := rules("docker.").Entry(here, &c, &c)
	want := []zone.Address{
		{IP: netip.MustParseAddr("10.0.0.2"), Network: here.ID("a")},
		{IP: netip.MustParseAddr("fd00::2"), Network: here.ID("a")},
		{IP: netip.MustParseAddr("10.1.0.2"), Network: here.ID("b")},
	}
	if !slices.Equal(e.Addresses, want) {
		t.Errorf("addresses %v, want %v", e.Addresses, want)
	}
	if e.ID != id || e.Name != "web" || !e.Created.Equal(at) || !slices.Equal(e.Networks, []container.NetworkID{here.ID("a"), here.ID("b")}) {
		t.Errorf("entry %+v", e)
	}
}

// TestHealth checks what health checks decide, by the Corefile and by the container's label.
func TestHealth(t *testing.T) {
	for _, c := range []struct {
		corefile Health
		label    string
		health   container.Health
		want     string // sick, and required to be well
	}{
		{PreferHealth, "", container.HealthNone, "false false"},
		{PreferHealth, "", container.HealthStarting, "false false"},
		{PreferHealth, "", container.Healthy, "false false"},
		{PreferHealth, "", container.Unhealthy, "true false"},
		{RequireHealth, "", container.Unhealthy, "true true"},
		{RequireHealth, "", container.Healthy, "false true"},
		{IgnoreHealth, "", container.Unhealthy, "false false"},
		{PreferHealth, "require", container.Unhealthy, "true true"},
		{PreferHealth, " ignore ", container.Unhealthy, "false false"},
		{RequireHealth, "ignore", container.Unhealthy, "false false"},
		{RequireHealth, "prefer", container.Unhealthy, "true false"},
		{IgnoreHealth, "require", container.Unhealthy, "true true"},
		{RequireHealth, "never", container.Unhealthy, "true true"}, // is refused
	} {
		r := rules("docker.")
		r.Health = c.corefile
		ct := container.Container{ID: id, Name: "web", Health: c.health}
		if c.label != "" {
			ct.Labels = label("health", c.label)
		}
		e, _, _ := r.Entry(here, &ct, &ct)
		if got := fmt.Sprint(e.Sick, e.RequireWell); got != c.want || e.Draining {
			t.Errorf("%s, label %q, health %v: %s, want %s", c.corefile, c.label, c.health, got, c.want)
		}
	}
	for what, c := range map[string]container.Container{
		"stopping": {ID: id, Stopping: true}, "paused": {ID: id, Paused: true, Labels: label("health", "ignore")},
	} {
		if e, _, _ := rules("docker.").Entry(here, &c, &c); !e.Draining || e.Sick {
			t.Errorf("%s: %+v", what, e)
		}
	}
}

func TestNetworks(t *testing.T) {
	c := container.Container{ID: id, Name: "web", Endpoints: []container.Endpoint{
		{Network: "a", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.2")}},
		{Network: "b", Addrs: []netip.Addr{netip.MustParseAddr("10.1.0.2")}},
		{Network: "c", Addrs: []netip.Addr{netip.MustParseAddr("10.2.0.2")}},
	}}
	on := composed(map[string]container.ComposeNetwork{"b": {Project: "shop", Short: "back"}, "c": {Project: "blog", Short: "back"}})
	for networks, want := range map[string]string{
		"": "10.0.0.2 10.1.0.2 10.2.0.2", "c x a": "10.2.0.2 10.0.0.2", "x": "",
		"back": "10.1.0.2 10.2.0.2", "c back": "10.2.0.2 10.1.0.2", // the Corefile is of no project
	} {
		r := rules("docker.")
		r.Networks = strings.Fields(networks)
		e, _, _ := r.Entry(on, &c, &c)
		var got []string
		for _, a := range e.Addresses {
			got = append(got, a.IP.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("networks %s: %v, want %s", networks, got, want)
		}
	}
}

// TestJoined checks what a container has that uses another's network.
func TestJoined(t *testing.T) {
	vpn := container.Container{
		ID: "a" + id[1:], Name: "vpn", Hostname: "gate", Ports: []container.Port{{Number: 80, Proto: "tcp", Published: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:80")}}},
		Endpoints: []container.Endpoint{{Network: "n", Aliases: []string{"out"}, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.2")}}},
	}
	app := container.Container{ID: id, Name: "app", Hostname: "gate", NetworkMode: "container:" + vpn.ID}
	e, _, _ := rules("docker.").Entry(here, &app, &vpn)
	if got, want := describe(e.Claims), "app.docker. name\n0123456789ab.docker. id"; got != want {
		t.Errorf("claims %s, want %s", got, want)
	}
	if len(e.Addresses) != 1 || e.Addresses[0].IP != vpn.Endpoints[0].Addrs[0] || len(e.Published) != 1 || e.HostNetwork {
		t.Errorf("entry %+v", e)
	}
	if gone, _, _ := rules("docker.").Entry(here, &app, nil); len(gone.Addresses) != 0 || describe(gone.Claims) != describe(e.Claims) {
		t.Errorf("without the other: %+v", gone)
	}
	vpn.NetworkMode = "host"
	if e, _, _ := rules("docker.").Entry(here, &app, &vpn); !e.HostNetwork {
		t.Error("joined to one on the host's network, it is not there")
	}
	held := Held(e, false)
	if !held.Held || len(held.Addresses) != 0 || !slices.Equal(held.Networks, []container.NetworkID{here.ID("n")}) || describe(held.Claims) != describe(e.Claims) || held.ID != e.ID {
		t.Errorf("held: %+v", held)
	}
	if held.Gone || !Held(e, true).Gone {
		t.Errorf("gone %t, and %t if it was removed", held.Gone, Held(e, true).Gone)
	}
	e.Service = "app" // which Compose may be making anew
	if Held(e, true).Gone {
		t.Error("a service's counts as gone")
	}
}

// FuzzNames checks that whatever a container is called, its claims are names that can
// go over the wire, in its zone, and none of them the server's own.
func FuzzNames(f *testing.F) {
	f.Add("shop_web_1", "host", "example.org", "alias", "net_work", "svc", "project", "docker.")
	f.Add("ns.dns", "WEB", "docker", "a b", "\x00", "..", "-", ".")
	f.Add(strings.Repeat("a", 64), strings.Repeat("a.", 130), "ä", "\\.", "x.", "*", "\xff", "my_zone.")
	f.Fuzz(func(t *testing.T, name, hostname, domain, alias, network, service, project, origin string) {
		if origin != "." && (!strings.HasSuffix(origin, ".") || Invalid(strings.TrimSuffix(origin, ".")) != "" || len(origin) > 200) {
			return // not a zone that a Corefile can have
		}
		r := rules(origin)
		c := container.Container{
			ID: id, Name: name, Hostname: hostname, Domainname: domain,
			Labels:    map[string]string{composeService: service, composeProject: project},
			Endpoints: []container.Endpoint{{Network: network, Aliases: []string{alias}}},
		}
		e, _, _ := r.Entry(called("my_nas"), &c, &c)
		seen := map[string]bool{}
		for _, claim := range e.Claims {
			buf := make([]byte, 512)
			if wire, err := dns.PackDomainName(claim.Name, buf, 0, nil, false); err != nil || wire > 255 {
				t.Errorf("%q can't go over the wire: %d octets, %v", claim.Name, wire, err)
			}
			labels := slices.DeleteFunc(dns.SplitDomainName(claim.Name), func(label string) bool { return len(label) > 1 && label[0] == '_' })
			if origin == "." && (len(labels) > 1 && !claim.Scoped || len(labels) > 2 || claim.Name == "localhost.") {
				t.Errorf("%q is no name for a container in zone .", claim.Name)
			}
			if claim.Name != strings.ToLower(claim.Name) || !dns.IsSubDomain(origin, claim.Name) || r.Reserved(claim.Name) {
				t.Errorf("%q is no name for a container in zone %q", claim.Name, origin)
			}
			text := describe([]zone.Claim{claim})
			if seen[text] {
				t.Errorf("%s is claimed twice", text)
			}
			seen[text] = true
		}
	})
}

// Whatever number of aliases a container has, it costs others nothing, and is told in few words.
func TestAliasesAreBounded(t *testing.T) {
	aliases := func(n int, form string) []string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf(form, i)
		}
		return all
	}
	for _, c := range []struct {
		name            string
		aliases         []string
		claims, skipped int
	}{
		{"as many as count", aliases(maxAliases, "a%d"), 2*maxAliases + 1, 0},
		{"more", aliases(50000, "a%d"), 2*maxAliases + 1, 1},
		{"more, of one name", slices.Repeat([]string{"a"}, 50000), 3, 1},
		{"none that can be one", aliases(50000, "a %d"), 1, maxSkipped + 1},
	} {
		facts := container.Container{ID: id, Name: "web", Endpoints: []container.Endpoint{{Network: "n", Aliases: c.aliases}}}
		begin := time.Now()
		e, _, skipped := only(Alias).Entry(here, &facts, &facts)
		if len(e.Claims) != c.claims || len(skipped) != c.skipped {
			t.Errorf("%s: %d claims, %d skipped, want %d and %d: %v", c.name, len(e.Claims), len(skipped), c.claims, c.skipped, skipped)
		}
		if took := time.Since(begin); took > time.Second { // it takes about a millisecond
			t.Errorf("%s: it took %s", c.name, took)
		}
	}
}

// TestOnNetworks checks the container's own name with those of its networks.
func TestOnNetworks(t *testing.T) {
	for _, c := range []struct {
		what, name, mode, zones, want string
		networks                      []string
	}{
		{what: "on two networks", name: "web", networks: []string{"a", "bridge"}, want: "web.a.docker. project a\nweb.bridge.docker. project bridge"},
		{what: "on Compose's", name: "Web_1", networks: []string{"shop_my_net"}, want: "web_1.shop_my_net.docker. project shop_my_net\nweb_1.my_net.docker. project shop_my_net bare\nweb-1.shop-my-net.docker. project shop_my_net\nweb-1.my-net.docker. project shop_my_net bare"},
		{what: "in zone .", name: "web", zones: ".", networks: []string{"a"}, want: "web.a. project a scoped"},
		{what: "with dots in zone .", name: "x.y", zones: ".", networks: []string{"a"}},
		{what: "with dots", name: "x.y", networks: []string{"a"}, want: "x.y.a.docker. project a"},
		{what: "in a zone as it stands", name: "git.docker", networks: []string{"a"}},
		{what: "with a dot at the end", name: "web.", networks: []string{"a"}, want: "web.a.docker. project a"},
		{what: "on the host's", name: "web", mode: "host", networks: []string{"host"}},
		{what: "on none", name: "web", mode: "none", networks: []string{"none"}},
		{what: "what can't be a name", name: "a b", networks: []string{"a"}},
		{what: "on a network of a zone's name", name: "web", networks: []string{"docker"}, want: "web.docker.docker. project docker"},
		{what: "of a name that is on its network alone", name: "", networks: []string{"a"}},
	} {
		r := rules(strings.Fields(cmp.Or(c.zones, "docker."))...)
		r.Sources = []Source{Alias}
		ct := container.Container{ID: id, Name: c.name, NetworkMode: c.mode}
		for _, n := range c.networks {
			ct.Endpoints = append(ct.Endpoints, container.Endpoint{Network: n})
		}
		if e, _, skipped := r.Entry(here, &ct, &ct); describe(e.Claims) != c.want || len(skipped) > 0 {
			t.Errorf("%s:\n%s, skipped %v; want\n%s", c.what, describe(e.Claims), skipped, c.want)
		}
	}
	many := container.Container{ID: id, Name: "web"}
	for i := range 1000 {
		many.Endpoints = append(many.Endpoints, container.Endpoint{Network: fmt.Sprint("n", i)})
	}
	if e, _, _ := only(Alias).Entry(here, &many, &many); len(e.Claims) != maxAliases {
		t.Errorf("%d claims of a container on 1000 networks", len(e.Claims))
	}
}
