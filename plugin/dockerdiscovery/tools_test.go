package dockerdiscovery

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming/dialect"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

// tooled is a plugin that reads all tools' labels in the zones docker. and test., with the front proxies, and publishes.
func tooled(proxies ...string) *Docker {
	return emptyDocker(func(c *config) {
		c.zone.Zones = []string{"docker.", "test.", "10.in-addr.arpa."}
		c.publish, c.tools.Read, c.tools.Proxies = true, dialect.Tools(), proxies
	})
}

// tagged gives the container labels of KEY=VALUE.
func tagged(c *container.Container, labels ...string) *container.Container {
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	for _, l := range labels {
		key, value, _ := strings.Cut(l, "=")
		c.Labels[key] = value
	}
	return c
}

// proxyOn is the front proxy traefik on networks a and b. It publishes its ports.
func proxyOn() *container.Container {
	c := facts("traefik", "a=10.1.0.9 b=10.2.0.9")
	c.Ports = published("0.0.0.0:80")
	return c
}

// TestProxyAnswers checks who is given which address of a name that a proxy serves, of the containers app on networks a and c, and
// who asks from there.
func TestProxyAnswers(t *testing.T) {
	d := tooled("traefik")
	app := tagged(facts("app", "a=10.1.0.2 c=10.3.0.2"), "traefik.http.routers.app.rule=Host(`www.test`) || Host(`app.test`)")
	app.Ports = published("0.0.0.0:8080")
	d.set(app, facts("ona", "a=10.1.0.3"), facts("onb", "b=10.2.0.3"), facts("onc", "c=10.3.0.3"))
	for _, from := range []string{fromHost, fromLAN, "10.1.0.3", "10.3.0.3"} {
		expect(t, d, from, "www.test.", "none") // there is no proxy yet
	}
	d.set(proxyOn())
	for _, name := range []string{"www.test.", "app.test."} {
		expect(t, d, fromHost, name, "10.1.0.9 10.2.0.9")
		expect(t, d, "10.1.0.3", name, "10.1.0.9")
		expect(t, d, "10.2.0.3", name, "10.2.0.9")
		expect(t, d, "10.3.0.3", name, "10.3.0.1") // the proxy's ports, at the gateway
		expect(t, d, fromLAN, name, "192.0.2.1")
		expect(t, d, "10.1.0.2", name, "10.1.0.9") // the container itself
	}
	expect(t, d, fromHost, "app.docker.", "10.1.0.2 10.3.0.2") // which no rule names
	expect(t, d, "10.3.0.3", "app.docker.", "10.3.0.2")
	expect(t, d, fromHost, "2.0.1.10.in-addr.arpa.", "app.docker.")
	if got := dig(t, d, fromHost, "_http._tcp.app.test.", dns.TypeSRV); got != "NXDOMAIN" {
		t.Errorf("SRV of a name that a proxy serves: %s", got)
	}
	d.remove(proxyOn())
	expect(t, d, fromHost, "www.test.", "none") // it is held
}

// TestProxyExplained checks what is said of names that a proxy is to serve.
func TestProxyExplained(t *testing.T) {
	app := tagged(facts("app", "a=10.1.0.2"), "traefik.http.routers.app.rule=Host(`www.test`) && !Host(`no.test`) || HostRegexp(`.*`) || Host(`www.example.org`)")
	proxy := facts("traefik", "a=10.1.0.9")
	for _, c := range []struct {
		what        string
		docker      *Docker
		containers  []*container.Container
		name, from  string
		cause       status.Cause
		summary     string
		withoutCure bool
	}{
		{"it answers", tooled("traefik"), []*container.Container{app, proxy}, "www.test.", "", status.Answered, "", true},
		{"none is named", tooled(), []*container.Container{app, proxy}, "www.test.", "", status.NoProxy, "container app leaves the answer to its proxy, and the Corefile names none", false},
		{"none runs", tooled("traefik", "web.edge"), []*container.Container{app}, "www.test.", "", status.NoProxy, "container app leaves the answer to its proxy, and none runs that is called traefik, web.edge", false},
		{"it is not reached", tooled("traefik"), []*container.Container{app, proxy}, "www.test.", "lan", status.NotPublished, "container traefik publishes no port: who is elsewhere gets no address", false},
		{"behind a negation", tooled("traefik"), []*container.Container{app, proxy}, "no.test.", "", status.LabelRefused, "container app's labels for traefik ask for no.test, which is refused: it stands behind ! in the rule", false},
		{"outside all zones", tooled("traefik"), []*container.Container{app, proxy}, "www.example.org.", "", status.LabelRefused, "container app's labels for traefik ask for www.example.org., which is refused: it lies in none of the zones docker., ...", false},
		{"not read", emptyDocker(nil), []*container.Container{tagged(facts("app", "a=10.1.0.2"), "caddy=www.docker")}, "www.docker.", "", status.SourceOff, "container app would have the name by its labels for caddy, which are not read", false},
	} {
		c.docker.set(c.containers...)
		q := status.Question{Name: c.name, Type: dns.TypeA, From: c.from}
		x := explain(t, c.docker, q)
		if x.Cause != c.cause || x.Short() != c.summary || (x.Cure() == "") != c.withoutCure {
			t.Errorf("%s: cause %s, %q; cure %q", c.what, x.Cause, x.Short(), x.Cure())
		}
		sameAsServed(t, c.docker, q, x)
	}
}

// TestProxyAddress checks a proxy that is no container: all are given its address.
func TestProxyAddress(t *testing.T) {
	d := emptyDocker(func(c *config) {
		c.zone.Isolate, c.tools.Read = true, []dialect.Tool{dialect.Caddy}
		c.tools.Addrs = []netip.Addr{netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("2001:db8::80")}
	})
	d.set(tagged(facts("app", "a=10.1.0.2"), "caddy=www.docker"), facts("onb", "b=10.2.0.3"))
	for _, from := range []string{fromHost, fromLAN, "10.2.0.3", "10.1.0.2"} {
		expect(t, d, from, "www.docker.", "192.0.2.80")
		if got := dig(t, d, from, "www.docker.", dns.TypeAAAA); got != "2001:db8::80" {
			t.Errorf("%s: AAAA %s", from, got)
		}
	}
	expect(t, d, "10.2.0.3", "app.docker.", "NXDOMAIN") // isolate hides the container
}
