package naming

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// called returns the networks of a host that has the name.
func called(name string) *container.Networks {
	return container.NewNetworks(&container.Host{ID: "here", Name: name})
}

// TestByHost checks what containers of a host with a name are called by it.
func TestByHost(t *testing.T) {
	compose := map[string]string{composeProject: "nas", composeService: "web"}
	for _, c := range []struct {
		what      string
		rules     *Rules
		host      string
		container container.Container
		want      string
		skipped   string
	}{
		{what: "no name of the host's", rules: only(Container, Host), container: container.Container{Name: "web"}, want: "web.docker. name"},
		{what: "below the host's name", rules: only(Container, Host), host: "nas", container: container.Container{Name: "Web"}, want: "web.docker. name\nweb.nas.docker. host"},
		{what: "not among the sources", rules: only(Container), host: "nas", container: container.Container{Name: "web"}, want: "web.docker. name"},
		{
			what: "hyphens for underscores", rules: only(Container, Host), host: "nas", container: container.Container{Name: "my_web"},
			want: "my_web.docker. name\nmy_web.nas.docker. host\nmy-web.docker. twin\nmy-web.nas.docker. twin",
		},
		{
			what: "after ID, before host name and project", rules: rules("docker."), host: "nas",
			container: container.Container{Name: "x", Hostname: "y", Labels: map[string]string{composeProject: "p", composeService: "s"}},
			want:      "x.docker. name\n0123456789ab.docker. id\nx.nas.docker. host\ny.docker. shared bare\ns.p.docker. project",
		},
		{what: "also a project's", rules: only(Host, Compose), host: "nas", container: container.Container{Name: "web", Labels: compose}, want: "web.nas.docker. host"},
		{what: "with dots", rules: only(Host), host: "nas", container: container.Container{Name: "a.b"}, want: "a.b.nas.docker. host"},
		{what: "in the zone", rules: only(Container, Host), host: "nas", container: container.Container{Name: "git_1.docker."}, want: "git_1.docker. name\ngit_1.nas.docker. host\ngit-1.docker. twin\ngit-1.nas.docker. twin"},
		{
			what: "in one of the zones", rules: rules("docker.", "sub.docker.", "lan."), host: "nas", container: container.Container{Name: "git.sub.docker"},
			want: "git.sub.docker. name\n0123456789ab.docker. id\n0123456789ab.sub.docker. id\n0123456789ab.lan. id\ngit.nas.sub.docker. host",
		},
		{what: "a host that is called as a zone within", rules: rules("docker.", "sub.docker."), host: "sub", container: container.Container{Name: "git"}, want: `git.docker. name
git.sub.docker. name
0123456789ab.docker. id
0123456789ab.sub.docker. id
git.sub.sub.docker. host`},
		{
			what: "zone .", rules: rules("."), host: "nas", container: container.Container{Name: "my_web"},
			want: "my_web. name\n0123456789ab. id\nmy_web.nas. host scoped\nmy-web. twin\nmy-web.nas. twin scoped",
		},
		{
			what: "a name of the Internet's", rules: rules("."), host: "nas", container: container.Container{Name: "example.org"}, want: "0123456789ab. id",
			skipped: `container name "example.org": zone . is shared with the Internet; a container's names have one label in it`,
		},
		{
			what: "too long", rules: only(Host), host: strings.Repeat("n", 60), container: container.Container{Name: strings.Repeat("a.", 95) + "a"},
			skipped: fmt.Sprintf("host name %q: longer than 255 octets in zone docker.", strings.Repeat("a.", 95)+"a."+strings.Repeat("n", 60)),
		},
	} {
		c.container.ID = id
		e, _, skipped := c.rules.Entry(called(c.host), &c.container, &c.container)
		if got := describe(e.Claims); got != c.want {
			t.Errorf("%s: claims\n%s\nwant\n%s", c.what, got, c.want)
		}
		if got := texts(skipped); got != c.skipped {
			t.Errorf("%s: skipped %s, want %s", c.what, got, c.skipped)
		}
	}
}

func texts(skipped []Skipped) string {
	var all []string
	for _, s := range skipped {
		all = append(all, s.String())
	}
	return strings.Join(all, "\n")
}

// TestHostEntry checks what a host itself is called.
func TestHostEntry(t *testing.T) {
	for _, c := range []struct {
		what    string
		rules   *Rules
		host    string
		want    string
		skipped string
	}{
		{what: "no name", rules: rules("docker.")},
		{what: "a name", rules: rules("docker.", "lan.", "."), host: "nas", want: "nas.docker. host\nnas.lan. host\nnas. host"},
		{what: "not among the sources", rules: only(Container, ID), host: "nas"},
		{what: "the name of a zone within", rules: rules("docker.", "sub.docker."), host: "sub", want: "sub.sub.docker. host", skipped: `host name "sub": sub.docker. is the name server's own`},
		{what: "everybody's own", rules: rules("."), host: "localhost", skipped: `host name "localhost": localhost is everybody's own`},
	} {
		e, skipped := c.rules.HostEntry(called(c.host))
		switch {
		case e == nil && c.want != "":
			t.Errorf("%s: nothing", c.what)
		case e != nil && (describe(e.Claims) != c.want || e.Key != zone.Key{Host: "here"} || e.Name != c.host || !e.HostNetwork):
			t.Errorf("%s: %+v, want claims\n%s", c.what, e, c.want)
		}
		if got := texts(skipped); got != c.skipped {
			t.Errorf("%s: skipped %s, want %s", c.what, got, c.skipped)
		}
	}
}

// TestTargets checks to which names services lead: what a container is called first, and what no other host has.
func TestTargets(t *testing.T) {
	c := container.Container{ID: id, Name: "my_web", Hostname: "db", Ports: []container.Port{{Number: 80, Proto: "tcp"}}}
	for _, test := range []struct {
		rules *Rules
		host  string
		want  string
	}{
		{rules("docker."), "nas", "my_web.docker. my_web.nas.docker. 0123456789ab.docker."},
		{rules("docker."), "", "my_web.docker. 0123456789ab.docker."},
		{only(Host, Hostname), "nas", "my_web.nas.docker."},
		{only(ID, Hostname), "nas", "0123456789ab.docker."},
		{only(Hostname, Host, ID), "nas", "db.docker. my_web.nas.docker. 0123456789ab.docker."},
		{only(Hostname), "nas", "db.docker."},
		{rules("."), "nas", "my_web. my_web.nas. 0123456789ab."},
	} {
		e, _, _ := test.rules.Entry(called(test.host), &c, &c)
		n := 0
		for _, cl := range e.Claims {
			if s := cl.Service(); s != nil {
				n++
				if got := strings.Join(s.Targets, " "); got != test.want {
					t.Errorf("%v, host %q: %s leads to %s, want %s", test.rules.Sources, test.host, cl.Name, got, test.want)
				}
			}
		}
		if n == 0 {
			t.Errorf("%v, host %q: no services", test.rules.Sources, test.host)
		}
	}
}
