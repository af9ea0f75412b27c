package dockerdiscovery

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/naming/dialect"
)

// labelSet is what a container has of labels for another tool, as projects' documentation and Compose files show them.
type labelSet struct {
	what   string
	labels string // KEY=VALUE, a line each
	proxy  string // names that the proxy serves
	own    string // names that lead to the container
	none   string // names that nobody has
}

// labelSets are of the container app of the image registry.example.org/team/site:1.2, on network a.
var labelSets = []labelSet{
	// Traefik, version 2
	{what: "whoami", labels: "traefik.enable=true\ntraefik.http.routers.whoami.rule=Host(`whoami.test`)\ntraefik.http.routers.whoami.entrypoints=web", proxy: "whoami.test."},
	{what: "chat behind TLS", labels: "traefik.enable=true\ntraefik.http.routers.chat.rule=Host(`chat.test`)\ntraefik.http.services.chat.loadbalancer.server.port=3000\ntraefik.http.routers.chat.entrypoints=websecure\ntraefik.http.routers.chat.tls.certresolver=le", proxy: "chat.test."},
	{what: "a redirection to HTTPS", labels: "traefik.enable=true\ntraefik.docker.network=traefik-public\ntraefik.http.routers.app-http.rule=Host(`app.test`)\ntraefik.http.routers.app-http.middlewares=https-redirect\ntraefik.http.routers.app-https.rule=Host(`app.test`)\ntraefik.http.routers.app-https.tls=true\ntraefik.http.middlewares.https-redirect.redirectscheme.scheme=https", proxy: "app.test."},
	{what: "with www and without", labels: "traefik.http.routers.site.rule=Host(`site.test`) || Host(`www.site.test`)\ntraefik.http.routers.site.middlewares=to-www\ntraefik.http.middlewares.to-www.redirectregex.regex=^https://site\\.test/(.*)", proxy: "site.test. www.site.test."},
	{what: "several arguments", labels: "traefik.http.routers.cloud.rule=Host(`cloud.test`,`files.test`)\ntraefik.http.middlewares.dav.redirectregex.permanent=true", proxy: "cloud.test. files.test."},
	{what: "an API below a path", labels: "traefik.http.routers.api.rule=Host(`shop.test`) && PathPrefix(`/api`)\ntraefik.http.routers.api.priority=20", proxy: "shop.test."},
	{what: "the dashboard", labels: "traefik.http.routers.dashboard.rule=Host(`traefik.test`) && (PathPrefix(`/api`) || PathPrefix(`/dashboard`))\ntraefik.http.routers.dashboard.service=api@internal\ntraefik.http.middlewares.auth.basicauth.users=admin:$apr1$x$y", proxy: "traefik.test."},
	{what: "any host", labels: "traefik.http.routers.catchall.rule=HostRegexp(`{host:.+}`)\ntraefik.http.routers.catchall.priority=1", none: "catchall.test. host.test."},
	{what: "sub-domains by an expression, and the domain", labels: "traefik.http.routers.tenants.rule=Host(`crm.test`) || HostRegexp(`{tenant:[a-z]+}.crm.test`)", proxy: "crm.test.", none: "a.crm.test."},
	{what: "a database by TCP", labels: "traefik.tcp.routers.db.rule=HostSNI(`db.test`)\ntraefik.tcp.routers.db.entrypoints=postgres\ntraefik.tcp.routers.db.tls.passthrough=true\ntraefik.tcp.services.db.loadbalancer.server.port=5432", proxy: "db.test."},
	{what: "mail by TCP without names", labels: "traefik.tcp.routers.smtp.rule=HostSNI(`*`)\ntraefik.tcp.routers.smtp.entrypoints=smtp\ntraefik.http.routers.mail.rule=Host(`mail.test`)", proxy: "mail.test."},
	{what: "git with a port by TCP", labels: "traefik.http.routers.git.rule=Host(`git.test`)\ntraefik.http.services.git.loadbalancer.server.port=3000\ntraefik.tcp.routers.git-ssh.rule=HostSNI(`*`)\ntraefik.tcp.routers.git-ssh.entrypoints=ssh", proxy: "git.test."},
	{what: "two services of one container", labels: "traefik.http.routers.console.rule=Host(`console.test`)\ntraefik.http.routers.console.service=console\ntraefik.http.services.console.loadbalancer.server.port=9001\ntraefik.http.routers.s3.rule=Host(`s3.test`)\ntraefik.http.routers.s3.service=s3", proxy: "console.test. s3.test."},
	{what: "in double quotes", labels: "traefik.http.routers.q.rule=Host(\"quoted.test\") && Method(\"GET\", \"POST\")", proxy: "quoted.test."},
	{what: "a router named by a template", labels: "traefik.http.routers.shop{app}.entrypoints=443\ntraefik.http.routers.shop{app}.rule=Host(`tpl.test`)", proxy: "tpl.test."},
	{what: "left out", labels: "traefik.enable=false\ntraefik.http.routers.x.rule=Host(`off.test`)", none: "off.test."},
	// Traefik, version 3
	{what: "a negated client", labels: "traefik.http.routers.in.rule=Host(`intra.test`) && !ClientIP(`198.51.100.0/24`)", proxy: "intra.test."},
	{what: "all but one name", labels: "traefik.http.routers.rest.rule=Host(`a.rest.test`) && !Host(`b.rest.test`)", proxy: "a.rest.test.", none: "b.rest.test."},
	{what: "a wildcard", labels: "traefik.http.routers.apps.rule=Host(`*.apps.test`)\ntraefik.http.routers.apps.tls.domains[0].main=apps.test", proxy: "x.apps.test. y.apps.test.", none: "apps2.test."},
	{what: "an expression of Go's", labels: "traefik.http.routers.re.rule=HostRegexp(`^.+\\.re\\.test$`) && PathRegexp(`^/(a|b)$`)", none: "x.re.test."},
	{what: "the older syntax of rules", labels: "traefik.http.routers.old.rulesyntax=v2\ntraefik.http.routers.old.rule=Host(`old.test`, `older.test`)", proxy: "old.test. older.test."},
	{what: "a header and a query", labels: "traefik.http.routers.h.rule=Host(`hdr.test`) && Header(`X-Beta`, `1`) && Query(`v`, `2`)", proxy: "hdr.test."},
	{what: "in lines", labels: "traefik.http.routers.l.rule=Host(`l1.test`)  ||  (Host(`l2.test`) && Path(`/x`))  ", proxy: "l1.test. l2.test."},
	{what: "a name outside of the zones, beside one of ours", labels: "traefik.http.routers.pub.rule=Host(`www.example.org`) || Host(`pub.test`)", proxy: "pub.test.", none: "www.test."},
	{what: "the container's own name", labels: "traefik.http.routers.app.rule=Host(`app.docker`)", proxy: "app.docker."},
	// Caddy (caddy-docker-proxy)
	{what: "a site of Caddy's", labels: "caddy=whoami0.test\ncaddy.reverse_proxy={{upstreams 80}}\ncaddy.tls=internal", proxy: "whoami0.test."},
	{what: "two sites", labels: "caddy_0=one.test\ncaddy_0.reverse_proxy={{upstreams 8080}}\ncaddy_1=two.test\ncaddy_1.reverse_proxy={{upstreams 8081}}", proxy: "one.test. two.test."},
	{what: "several addresses", labels: "caddy=a.sites.test, b.sites.test c.sites.test\ncaddy.reverse_proxy={{upstreams}}", proxy: "a.sites.test. b.sites.test. c.sites.test."},
	{what: "schemes and ports", labels: "caddy=http://plain.test:8080\ncaddy_1=https://tls.test/path*", proxy: "plain.test. tls.test."},
	{what: "a wildcard's certificate", labels: "caddy=*.wild.test\ncaddy.1_@app=host app.wild.test\ncaddy.1_handle=@app", proxy: "app.wild.test. other.wild.test."},
	{what: "global options and a snippet", labels: "caddy.email=you@example.org\ncaddy_1=(encode)\ncaddy_1.encode=zstd gzip\ncaddy_2=:80", none: "encode.test. email.test."},
	{what: "an environment's name", labels: "caddy={$DOMAIN}\ncaddy.reverse_proxy={{upstreams}}", none: "domain.test."},
	// dokku/coredns-docker
	{what: "host names of dokku's", labels: "com.dokku.coredns-docker/hostname=myapp,www", own: "myapp.docker. www.docker. myapp.test. www.test."},
	{what: "a service of dokku's", labels: "com.dokku.coredns-docker/srv._tcp._http=80\ncom.dokku.coredns-docker/txt=v=spf1 -all\ncom.dokku.coredns-docker/hostname=svc", own: "svc.docker. app.docker."},
	{what: "a wildcard of dokku's", labels: "com.dokku.coredns-docker/wildcard=true\ncom.dokku.coredns-docker/hostname=tenants", own: "a.app.docker. b.tenants.docker. app.docker."},
	// dnsdock
	{what: "dnsdock's name and image", labels: "com.dnsdock.name=master\ncom.dnsdock.image=mysql\ncom.dnsdock.ttl=10", own: "mysql.docker. master.mysql.docker."},
	{what: "dnsdock's aliases", labels: "com.dnsdock.alias=sql.docker,store.test", own: "sql.docker. store.test. site.docker. app.site.docker.", none: "sql.test."},
	{what: "registrator's tags", labels: "com.dnsdock.tags=primary\ncom.dnsdock.name=pg\ncom.dnsdock.region=us2", own: "primary.pg.us2.docker. pg.us2.docker."},
	{what: "ignored by dnsdock", labels: "com.dnsdock.ignore=yes\ncom.dnsdock.alias=ign.docker", none: "ign.docker. app.docker."},
	{what: "dnsdock's prefix", labels: "com.dnsdock.prefix=10.1.\ncom.dnsdock.alias=pre.docker", own: "pre.docker."},
	// kevinjqiu/coredns-dockerdiscovery
	{what: "kevinjqiu's host", labels: "coredns.dockerdiscovery.host=nginx.test", own: "nginx.test."},
	{what: "kevinjqiu's label of another key", labels: "org.example.host=other.test", own: "other.test."},
	// OrbStack
	{what: "OrbStack's domains", labels: "dev.orbstack.domains=foo.test,*.bar.test\ndev.orbstack.http-port=8080", own: "foo.test. x.bar.test.", none: "bar2.test."},
}

// TestLabelSets checks which names each set of labels gives, and which address who asks is given: on the Docker host, on a network of
// the container's and the proxy's, on another one, and elsewhere.
func TestLabelSets(t *testing.T) {
	if len(labelSets) < 40 {
		t.Errorf("%d sets of labels, want 40", len(labelSets))
	}
	d := emptyDocker(func(c *config) {
		c.zone.Zones = []string{"docker.", "test.", "10.in-addr.arpa."}
		c.publish, c.hold = true, 0
		c.tools.Read, c.tools.Proxies = dialect.Tools(), []string{"traefik"}
		c.tools.Options.Keys = []string{"org.example.host"}
	})
	d.set(proxyOn(), facts("ona", "a=10.1.0.3"), facts("onb", "b=10.2.0.3"), facts("onc", "c=10.3.0.3"))
	type answers struct{ host, onA, onB, onC, lan string }
	for _, set := range labelSets {
		app := tagged(facts("app", "a=10.1.0.2"), strings.Split(set.labels, "\n")...)
		app.Image = "registry.example.org/team/site:1.2"
		d.set(app)
		for names, want := range map[string]answers{
			set.proxy: {"10.1.0.9 10.2.0.9", "10.1.0.9", "10.2.0.9", "10.3.0.1", "192.0.2.1"},
			set.own:   {"10.1.0.2", "10.1.0.2", "none", "none", "none"},
			set.none:  {"NXDOMAIN", "NXDOMAIN", "NXDOMAIN", "NXDOMAIN", "NXDOMAIN"},
		} {
			for name := range strings.FieldsSeq(names) {
				for from, want := range map[string]string{fromHost: want.host, "10.1.0.3": want.onA, "10.2.0.3": want.onB, "10.3.0.3": want.onC, fromLAN: want.lan} {
					if got := dig(t, d, from, name, dns.TypeA); got != want {
						t.Errorf("%s: %s asks for %s: %s, want %s", set.what, from, name, got, want)
					}
				}
			}
		}
		d.remove(app)
	}
}

// TestLabelSetRecords checks the records that labels give besides names.
func TestLabelSetRecords(t *testing.T) {
	d := tooled()
	app := tagged(facts("app", "a=10.1.0.2"), "com.dokku.coredns-docker/srv._tcp._http=80", "com.dokku.coredns-docker/txt=v=spf1 -all", "com.dokku.coredns-docker/txt.info=a=\"1\"; b",
		"com.dokku.coredns-docker/hostname=svc", "com.dnsdock.ttl=77")
	d.set(app)
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"app.docker.", dns.TypeTXT, `"v=spf1 -all"`},
		{"svc.test.", dns.TypeTXT, `"v=spf1 -all"`},
		{"info.svc.docker.", dns.TypeTXT, `"a=\"1\"; b"`},
		{"_http._tcp.svc.docker.", dns.TypeSRV, "10 10 80 svc.docker."},
		{"_http._tcp.app.test.", dns.TypeSRV, "10 10 80 app.test."},
	} {
		m := served(t, d, fromHost, new(dns.Msg).SetQuestion(c.name, c.qtype))
		if len(m.Answer) != 1 || !strings.HasSuffix(m.Answer[0].String(), "\t"+c.want) || m.Answer[0].Header().Ttl != 77 {
			t.Errorf("%s: %v, want %s with TTL 77", c.name, m.Answer, c.want)
		}
	}
}

// TestLabelSetTargets checks labels that lead away from the container.
func TestLabelSetTargets(t *testing.T) {
	d := emptyDocker(func(c *config) {
		c.tools.Read, c.addresses = dialect.Tools(), []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	d.set(tagged(facts("db", "a=10.1.0.2"), "com.dokku.coredns-docker/cname=db.example.org", "com.dokku.coredns-docker/txt=x"),
		tagged(facts("web", "a=10.1.0.3"), "com.dnsdock.ip_addr=192.0.2.80", "com.dnsdock.alias=www.docker"), facts("onc", "c=10.3.0.3"))
	for name, want := range map[string]string{"db.docker.": "db.example.org.", "www.docker.": "192.0.2.80", "web.docker.": "192.0.2.80"} {
		for _, from := range []string{fromHost, fromLAN, "10.3.0.3"} {
			expect(t, d, from, name, want)
		}
	}
	if got := dig(t, d, fromHost, "db.docker.", dns.TypeTXT); got != "db.example.org." {
		t.Errorf("TXT beside a CNAME: %s", got)
	}
}

// TestHostileLabels checks that labels which are made to hurt cost their container alone: who else is there is answered as before, and
// at once, and hostile names are nobody's.
func TestHostileLabels(t *testing.T) {
	d := tooled("traefik")
	victim := tagged(facts("victim", "a=10.1.0.2"), "traefik.http.routers.v.rule=Host(`www.test`)")
	d.set(proxyOn(), victim, facts("plain", "a=10.1.0.4"))
	rule := func(rule string) string { return "traefik.http.routers.x.rule=" + rule }
	var routers []string
	for i := range 5000 {
		routers = append(routers, fmt.Sprintf("traefik.http.routers.r%d.rule=Host(`n%d.test`)", i, i))
	}
	for i, labels := range [][]string{
		{rule("Host(`" + strings.Repeat("a", 4<<20) + "`)")},
		{rule(strings.Repeat("(", 10000) + "Host(`a.test`)" + strings.Repeat(")", 10000))},
		{rule(strings.Repeat("!", 10000) + "Host(`a.test`)")},
		{rule("Host(`docker`) || Host(`test`) || Host(`*.test`) || Host(`ns.dns.docker`) || Host(`2.0.1.10.in-addr.arpa`) || Host(`*`)")},
		{rule("Host(`victim.docker`) || Host(`plain.docker`) || Host(`*.plain.docker`) || Host(`x.victim.docker`)")},
		{rule("Host(`a\x00b\x1b[2J.test`) || Host(`\u202ea.test`)")},
		routers,
		{"caddy=" + strings.Repeat("a.test ", 600000), "caddy_1=docker test victim.docker *.test"},
		{"dev.orbstack.domains=" + strings.Repeat("plain.docker,", 1200)},
		{"com.dokku.coredns-docker/hostname=plain,victim", "com.dokku.coredns-docker/txt=" + strings.Repeat("x", 16000), "com.dokku.coredns-docker/srv._tcp._x.y=1"},
		{"com.dnsdock.alias=plain.docker,docker,*", "com.dnsdock.image=docker", "com.dnsdock.name=*"},
	} {
		begun := time.Now()
		thief := tagged(facts(fmt.Sprint("thief", i), fmt.Sprintf("a=10.1.1.%d", i+2)), labels...)
		d.set(thief)
		if took := time.Since(begun); took > 20*time.Second { // some milliseconds, but for a busy machine
			t.Errorf("%.60q: %s", labels[0], took)
		}
		for _, from := range []string{fromHost, "10.1.0.4"} {
			want := "10.1.0.9 10.2.0.9"
			if from != fromHost {
				want = "10.1.0.9"
			}
			expect(t, d, from, "www.test.", want)
			expect(t, d, from, "plain.docker.", "10.1.0.4")
			expect(t, d, from, "victim.docker.", "10.1.0.2")
			expect(t, d, from, "x.plain.docker.", "NXDOMAIN")
			expect(t, d, from, "nope.test.", "NXDOMAIN")
			expect(t, d, from, "docker.", "none")
			expect(t, d, from, "2.0.1.10.in-addr.arpa.", "victim.docker.")
		}
		d.remove(thief)
	}
}
