package naming

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming/dialect"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// reading are rules that read all tools' labels, in the zones, with the sources container and alias.
func reading(zones ...string) *Rules {
	r := rules(zones...)
	r.Sources = []Source{Container, Alias, Label}
	r.Tools.Read = dialect.Tools()
	return r
}

// TestTools has a row for how what other tools' labels say goes with all else that gives names.
func TestTools(t *testing.T) {
	rule := func(rule string) map[string]string {
		return map[string]string{"traefik.http.routers.x.rule": rule}
	}
	addrs := reading("docker.")
	addrs.Tools.Addrs = []netip.Addr{netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("2001:db8::80")}
	for _, c := range []struct {
		what      string
		rules     *Rules
		container container.Container
		want      string
		skipped   string
	}{
		{"a name of its own", reading("docker."), container.Container{Name: "app", Labels: rule("Host(`www.docker`)")}, "app.docker. name\nwww.docker. shared no part proxied", ""},
		{"its container name", reading("docker."), container.Container{Name: "app", Labels: rule("Host(`APP.docker`)")}, "app.docker. name no part proxied", ""},
		{"its name in another zone alone", reading("docker.", "lan."), container.Container{Name: "app", Labels: rule("Host(`app.lan`)")}, "app.docker. name\napp.lan. name no part proxied", ""},
		{
			"its alias", reading("docker."), container.Container{Name: "app", Labels: rule("Host(`www.docker`)"), Endpoints: []container.Endpoint{{Network: "n", Aliases: []string{"www"}}}},
			"app.docker. name\nwww.n.docker. project n\napp.n.docker. project n\nwww.docker. shared no part proxied", "",
		},
		{"with an underscore", reading("docker."), container.Container{Name: "app", Labels: rule("Host(`my_app.docker`)")}, "app.docker. name\nmy_app.docker. shared no part proxied\nmy-app.docker. shared no part proxied", ""},
		{"a wildcard", reading("docker."), container.Container{Name: "app", Labels: rule("Host(`*.app.docker`)")}, "app.docker. name\n*.app.docker. shared no part proxied", ""},
		{"a label that gives it too", reading("docker."), container.Container{Name: "app", Labels: map[string]string{"traefik.http.routers.x.rule": "Host(`www.docker`)", "coredns.dockerdiscovery.host": "www"}}, "app.docker. name\nwww.docker. shared no part proxied", ""},
		{"outside all zones", reading("docker."), container.Container{Name: "app", Labels: rule("Host(`app.example.org`) || Host(`docker.example.org`)")}, "app.docker. name", "traefik name \"app.example.org.\": it lies in none of the zones docker.; for it, add example.org. to these\ntraefik name \"docker.example.org.\": it lies in none of the zones docker.; for it, add example.org. to these"},
		{"the apex, and all of the zone", reading("docker."), container.Container{Name: "app", Labels: rule("Host(`docker`) || Host(`*.docker`) || Host(`ns.dns.docker`)")}, "app.docker. name", "traefik name \"docker.\": it is the apex of the zone docker., which is the server's own\ntraefik name \"*.docker.\": a wildcard of the whole zone would answer for what is other containers'\ntraefik name \"ns.dns.docker.\": ns.dns.docker. is the name server's own"},
		{"no name", reading("docker."), container.Container{Name: "app", Labels: rule("Host(`a b.docker`)")}, "app.docker. name", "traefik name \"a b.docker.\": character ' '; letters, digits, hyphens and underscores are possible"},
		{"in zone .", reading("."), container.Container{Name: "app", Labels: rule("Host(`www`) || Host(`www.example.org`)")}, "app. name\nwww. shared no part proxied", "traefik name \"www.example.org.\": zone . is shared with the Internet; a container's names have one label in it"},
		{"Caddy's", reading("docker."), container.Container{Name: "app", Labels: map[string]string{"caddy": "www.docker"}}, "app.docker. name\nwww.docker. shared no part proxied", ""},
		{"its own address", reading("docker."), container.Container{Name: "app", Labels: map[string]string{"dev.orbstack.domains": "www.docker,*.www.docker"}}, "app.docker. name\nwww.docker. shared\n*.www.docker. shared", ""},
		{"its own address and the proxy's", reading("docker."), container.Container{Name: "app", Labels: map[string]string{"dev.orbstack.domains": "www.docker", "caddy": "www.docker"}}, "app.docker. name\nwww.docker. shared no part proxied", ""},
		{"a proxy's address", addrs, container.Container{Name: "app", Labels: rule("Host(`www.docker`)")}, "app.docker. name\nwww.docker. shared no part proxied\nwww.docker. shared no part proxied", ""},
		{"left out", reading("docker."), container.Container{Name: "app", Labels: map[string]string{"caddy": "www.docker", "coredns.dockerdiscovery.enable": "false"}}, "left out", ""},
	} {
		c.container.ID = id
		e, _, skipped := c.rules.Entry(here, &c.container, &c.container)
		got := "left out"
		if e != nil {
			got = describe(e.Claims)
		}
		var lines []string
		for _, s := range skipped {
			lines = append(lines, s.String())
		}
		if got != c.want || strings.Join(lines, "\n") != c.skipped {
			t.Errorf("%s:\n%s\nwant\n%s\nskipped\n%s\nwant\n%s", c.what, got, c.want, strings.Join(lines, "\n"), c.skipped)
		}
	}
}

// TestToolsServices checks that a name which a proxy serves has none of the container's services, and that records stand at a name
// of the container's own.
func TestToolsServices(t *testing.T) {
	c := container.Container{
		ID: id, Name: "app", Ports: []container.Port{{Number: 80, Proto: "tcp"}},
		Labels: map[string]string{"traefik.http.routers.x.rule": "Host(`www.docker`) || Host(`app.docker`)", "coredns.dockerdiscovery.records": "@ TXT x", "coredns.dockerdiscovery.host": "own"},
	}
	e, _, _ := reading("docker.").Entry(here, &c, &c)
	var with []string
	for _, claim := range e.Claims {
		if claim.Data != nil {
			with = append(with, claim.Name)
		}
	}
	if want := []string{"_http._tcp.own.docker.", "own.docker."}; !slices.Equal(with, want) {
		t.Errorf("services and records at %v, want %v", with, want)
	}
}

// TestProxies checks who is a front proxy, be it left out or not.
func TestProxies(t *testing.T) {
	compose := map[string]string{composeProject: "edge", composeService: "web"}
	for _, c := range []struct {
		proxy     string
		container container.Container
		want      bool
	}{
		{"traefik", container.Container{Name: "traefik"}, true},
		{"Traefik", container.Container{Name: "traefik"}, true},
		{"traefik", container.Container{Name: "traefik2"}, false},
		{"traefik", container.Container{Name: "x", Hostname: "traefik"}, false},
		{"web.edge", container.Container{Name: "edge-web-1", Labels: compose}, true},
		{"edge.web", container.Container{Name: "edge-web-1", Labels: compose}, false},
		{"web", container.Container{Name: "edge-web-1", Labels: compose}, false},
		{"web.edge", container.Container{Name: "web.edge"}, true},
		{"web.edge", container.Container{Name: "run", Labels: map[string]string{composeProject: "edge", composeService: "web", composeOneoff: "True"}}, false},
		{".", container.Container{Name: "x"}, false},
		{"traefik", container.Container{Name: "traefik", Labels: map[string]string{"coredns.dockerdiscovery.enable": "false"}}, true},
	} {
		r := reading("docker.")
		r.Tools.Proxies = []string{c.proxy}
		c.container.ID = id
		e, left, _ := r.Entry(here, &c.container, &c.container)
		if got := e != nil && e.Front != nil; got != c.want {
			t.Errorf("proxy %s is %s: %t", c.proxy, c.container.Name, got)
		}
		if left == Disabled && (e == nil || len(e.Claims) > 0) {
			t.Errorf("what is left out contributes %+v", e)
		}
		if e != nil && e.Front != nil && Held(e, false).Front == nil {
			t.Error("a proxy that has ended is none")
		}
	}
}

// TestServiceTools checks labels of a Swarm's services, which Traefik reads there.
func TestServiceTools(t *testing.T) {
	r := reading("docker.")
	r.Sources = append(r.Sources, Swarm)
	r.Tools.Proxies = []string{"traefik.edge"}
	network := container.ServiceNetwork{ID: "over", Name: "over", VIPs: []netip.Addr{netip.MustParseAddr("10.0.1.2")}}
	around := &Surroundings{By: "swarm", Seen: func(*container.Task) (*container.Networks, *container.Container) { return nil, nil }, Network: func(string) *container.Network { return nil }}
	tasks := []container.Task{{ID: "t", Slot: 1}}
	for _, c := range []struct {
		what    string
		service container.Service
		front   []zone.Part // of the service and its task, none if they are no proxies
		want    string      // names that have a proxy
	}{
		{"a service", container.Service{Name: "shop_web", Stack: "shop", Labels: map[string]string{"traefik.http.routers.x.rule": "Host(`www.docker`)"}}, nil, "www.docker."},
		{"its tasks' containers", container.Service{Name: "shop_web", Stack: "shop", ContainerLabels: map[string]string{"caddy": "www.docker"}}, nil, "www.docker."},
		{"a proxy", container.Service{Name: "edge_traefik", Stack: "edge"}, []zone.Part{zone.Whole, zone.HostPart}, ""},
		{"a proxy that is left out", container.Service{Name: "edge_traefik", Stack: "edge", Labels: map[string]string{"coredns.dockerdiscovery.enable": "no"}}, []zone.Part{zone.Whole, zone.HostPart}, ""},
		{"a proxy without a virtual address", container.Service{Name: "edge_traefik", Stack: "edge", RoundRobin: true}, []zone.Part{zone.NoPart, zone.Whole}, ""},
	} {
		c.service.ID, c.service.Tasks = "s", tasks
		n := network
		if c.service.RoundRobin {
			n.VIPs = nil
		}
		c.service.Networks = []container.ServiceNetwork{n}
		entries, _, _ := r.Service(&c.service, around)
		var proxied []string
		for i, e := range entries {
			for _, claim := range e.Claims {
				if claim.Proxied {
					proxied = append(proxied, claim.Name)
				}
			}
			want := c.front != nil && c.front[i] != zone.NoPart
			if got := e.Front != nil; got != want || got && e.Front.Part != c.front[i] {
				t.Errorf("%s: entry %d answers by %+v", c.what, i, e.Front)
			}
		}
		if got := strings.Join(slices.Compact(proxied), " "); got != c.want {
			t.Errorf("%s: proxied names %s, want %s", c.what, got, c.want)
		}
	}
}
