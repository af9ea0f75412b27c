package dockerdiscovery

import (
	"context"
	"testing"

	"github.com/coredns/coredns/plugin/metadata"
	"github.com/coredns/coredns/plugin/test"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
)

func TestMetadata(t *testing.T) {
	d := emptyDocker(func(c *config) { c.endpoints[0].name = "nas" })
	asker := facts("asker", "a=10.1.0.5")
	asker.Labels = map[string]string{"com.docker.compose.project": "shop"}
	one, two := facts("one", "a=10.1.0.2"), facts("two", "a=10.1.0.3")
	one.Hostname, two.Hostname = "web", "web"
	d.set(asker, one, two)
	for _, c := range []struct{ from, name, client, project, container string }{
		{"10.1.0.5", "one.docker.", "asker", "shop", "one"}, {"10.1.0.5", "web.docker.", "asker", "shop", "one,two"},
		{fromHost, "one.docker.", "", "", "one"}, {fromLAN, "one.docker.", "", "", ""}, {"10.1.0.5", "nope.docker.", "asker", "shop", ""},
		{fromHost, "nas.docker.", "", "", ""}, {fromHost, "one.nas.docker.", "", "", "one"},
	} {
		ctx := metadata.ContextWithMetadata(context.Background())
		state := request.Request{W: &test.ResponseWriter{RemoteIP: c.from}, Req: new(dns.Msg).SetQuestion(c.name, dns.TypeA)}
		ctx = d.Metadata(ctx, state)
		for label, want := range map[string]string{"docker/client": c.client, "docker/client-project": c.project, "docker/container": c.container} {
			f := metadata.ValueFunc(ctx, label)
			if f == nil {
				t.Fatalf("no %s", label)
			}
			if got := f(); got != want {
				t.Errorf("%s asks for %s: %s is %q, want %q", c.from, c.name, label, got, want)
			}
		}
	}
}
