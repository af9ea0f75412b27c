package dialect

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// texts are the names and what is refused, each as a line.
func texts(said Said) (names, refused string) {
	var ns, rs []string
	for _, n := range said.Names {
		text := n.Text
		if !n.Proxied {
			text += " own"
		}
		if !n.Whole {
			text += " relative"
		}
		ns = append(ns, text)
	}
	for _, r := range said.Refused {
		rs = append(rs, strings.TrimSpace(r.What+" "+r.Text)+": "+r.Reason)
	}
	return strings.Join(ns, ", "), strings.Join(rs, "\n")
}

// labels makes labels of KEY=VALUE lines.
func labels(lines ...string) map[string]string {
	all := map[string]string{}
	for _, line := range lines {
		key, value, _ := strings.Cut(line, "=")
		all[key] = value
	}
	return all
}

// read reads the labels for the tool, of Compose's container shop-web-1.
func read(tool Tool, o Options, lines ...string) Said {
	return Read(tool, &Facts{Name: "shop-web-1", Project: "shop", Service: "web", Labels: labels(lines...)}, &o)
}

// defaultRule is a Traefik's default rule, or fails the test.
func defaultRule(t *testing.T, text string) *RuleTemplate {
	t.Helper()
	rule, err := NewRuleTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

func TestTraefik(t *testing.T) {
	rule := func(rule string) []string { return []string{"traefik.http.routers.web.rule=" + rule} }
	byDefault := Options{DefaultRule: defaultRule(t, "Host(`{{ normalize .Name }}.test`)")}
	unexposed := Options{Unexposed: true}
	const disabled = "its label traefik.enable is false"
	for _, c := range []struct {
		what    string
		labels  []string
		options Options
		want    string
		refused string
	}{
		{"one name", rule("Host(`web.test`)"), Options{}, "web.test", ""},
		{"in double quotes", rule(`Host("web.test")`), Options{}, "web.test", ""},
		{"in single quotes", rule("Host('web.test')"), Options{}, "", "traefik.http.routers.web.rule Host('web.test'): no rule: 1:6: illegal rune literal"},
		{"several names, of version 2", rule("Host(`a.test`, `b.test`)"), Options{}, "a.test, b.test", ""},
		{"and a path", rule("Host(`web.test`) && PathPrefix(`/api`, `/(v1|v2)`)"), Options{}, "web.test", ""},
		{"a path first", rule("PathPrefix(`/api`) && Host(`web.test`)"), Options{}, "web.test", ""},
		{"or", rule("Host(`a.test`) || Host(`b.test`)||Host(`c.test`)"), Options{}, "a.test, b.test, c.test", ""},
		{"parentheses", rule("(Host(`a.test`) || (Host(`b.test`))) && (Path(`/x`) || Method(`GET`))"), Options{}, "a.test, b.test", ""},
		{"any case", rule("host(`a.test`) || HOST(`b.test`) || HostHeader(`c.test`)"), Options{}, "a.test, b.test, c.test", ""},
		{"the same twice", rule("Host(`a.test`) && Path(`/x`) || Host(`a.test`) && Path(`/y`)"), Options{}, "a.test", ""},
		{"a negation", rule("Host(`a.test`) && !Host(`b.test`)"), Options{}, "a.test", "b.test: it stands behind ! in the rule"},
		{"a negation of many", rule("!(Host(`a.test`) || Host(`b.test`))"), Options{}, "", "a.test: it stands behind ! in the rule\nb.test: it stands behind ! in the rule"},
		{"a negated path", rule("Host(`a.test`) && !PathPrefix(`/admin`)"), Options{}, "a.test", ""},
		{"a wildcard", rule("Host(`*.app.test`) || Host(`**.deep.test`)"), Options{}, "*.app.test, *.deep.test", ""},
		{"any host", rule("Host(`*`) || HostSNI(`*`)"), Options{}, "", ""},
		{"a regular expression", rule("HostRegexp(`^.+\\.app\\.test$`) || Host(`a.test`)"), Options{}, "a.test", "regular expression ^.+\\.app\\.test$: it stands for names that nobody can list; write them as Host"},
		{"one of version 2", rule("HostRegexp(`{sub:[a-z]+}.test`)"), Options{}, "", "regular expression {sub:[a-z]+}.test: it stands for names that nobody can list; write them as Host"},
		{"a last dot", rule("Host(`web.test.`)"), Options{}, "web.test", ""},
		{"no host at all", rule("PathPrefix(`/`)"), Options{}, "", ""},
		{"lines", rule("Host(`a.test`) ||\n  Host(`b.test`)\n"), Options{}, "a.test, b.test", ""},
		{"a router of TCP", []string{"traefik.tcp.routers.db.rule=HostSNI(`db.test`)", "traefik.tcp.routers.x.rule=HostSNI(`*`) && ClientIP(`10.0.0.0/8`)"}, Options{}, "db.test", ""},
		{"several routers", []string{"traefik.http.routers.b.rule=Host(`b.test`)", "traefik.http.routers.a.rule=Host(`a.test`)", "traefik.http.routers.a.entrypoints=web"}, Options{}, "a.test, b.test", ""},
		{"keys of any case", []string{"traefik.HTTP.Routers.Web.Rule=Host(`a.test`)", "Traefik.Enable=TRUE"}, Options{}, "a.test", ""},
		{"no rule of a router", []string{"traefik.http.middlewares.web.rule=Host(`a.test`)", "traefik.http.routers.a.b.rule=Host(`b.test`)", "traefik.http.routers.rule=Host(`c.test`)", "xtraefik.http.routers.a.rule=Host(`d.test`)"}, Options{}, "", ""},
		{"of version 1", []string{"traefik.frontend.rule=Host:a.test"}, Options{}, "", ""},
		{"disabled", append(rule("Host(`a.test`)"), "traefik.enable=false"), Options{}, "", "a.test: " + disabled},
		{"neither enabled nor disabled", append(rule("Host(`a.test`)"), "traefik.enable=maybe"), Options{}, "a.test", "traefik.enable maybe: want true or false"},
		{"to be enabled", rule("Host(`a.test`)"), unexposed, "", "a.test: its label traefik.enable is not true, as exposed_by_default false demands"},
		{"enabled", append(rule("Host(`a.test`)"), "traefik.enable=true"), unexposed, "a.test", ""},
		{"by default", nil, byDefault, "web-shop.test", ""},
		{"by default, with a rule", rule("Path(`/x`)"), byDefault, "", ""},
		{"by default, disabled", []string{"traefik.enable=false"}, byDefault, "", "web-shop.test: " + disabled},
		{"by a default of labels", []string{"app=cart"}, Options{DefaultRule: defaultRule(t, "Host(`{{ index .Labels \"app\" }}.test`, `{{ .ContainerName }}.test`)")}, "cart.test, shop-web-1.test", ""},
		{"no rule", rule("Host(`a.test`"), Options{}, "", "traefik.http.routers.web.rule Host(`a.test`: no rule: 1:14: missing ',' before newline in argument list"},
		{"no rule either", rule("Host(a.test)"), Options{}, "", "traefik.http.routers.web.rule Host(a.test): no rule: want strings in backquotes or double quotes in Host()"},
		{"another language", rule("func() { for {} }()"), Options{}, "", "traefik.http.routers.web.rule func() { for {} }(): no rule: a matcher has a name"},
		{"a sum", rule("Host(`a.test`) + Host(`b.test`)"), Options{}, "", "traefik.http.routers.web.rule Host(`a.test`) + Host(`b.test`): no rule: want matchers such as Host(`example.org`), between them && and ||, or a negated one"},
		{"nothing", rule(""), Options{}, "", "traefik.http.routers.web.rule: no rule: 1:1: expected operand, found 'EOF'"},
	} {
		names, refused := texts(read(Traefik, c.options, c.labels...))
		if names != c.want || refused != c.refused {
			t.Errorf("%s: names %s, want %s\nrefused %s\nwant %s", c.what, names, c.want, refused, c.refused)
		}
	}
}

func TestCaddy(t *testing.T) {
	const placeholder = "what its placeholder stands for is known to Caddy alone"
	for _, c := range []struct {
		labels        []string
		want, refused string
	}{
		{[]string{"caddy=web.test", "caddy.reverse_proxy={{upstreams 80}}"}, "web.test", ""},
		{[]string{"caddy_0=a.test", "caddy_1=b.test", "caddy_1.reverse_proxy=x.test", "caddy.tls=internal"}, "a.test, b.test", ""},
		{[]string{"caddy_x=a.test", "caddy_0_1=b.test", "xcaddy=c.test", "caddyfile=d.test"}, "", ""},
		{[]string{"caddy=a.test b.test, c.test,d.test\ne.test"}, "a.test, b.test, c.test, d.test, e.test", ""},
		{[]string{"caddy=http://a.test https://b.test:8443/path c.test:80 d.test/x"}, "a.test, b.test, c.test, d.test", ""},
		{[]string{"caddy=*.app.test", "caddy_1=\"q.test\" `r.test`"}, "*.app.test, q.test, r.test", ""},
		{[]string{"caddy=(snippet)", "caddy_1=", "caddy_2=:80", "caddy_3=http://", "caddy_4=*", "caddy_5=192.0.2.1:80 [::1]:80 http://[2001:db8::1]"}, "", ""},
		{[]string{"caddy={$DOMAIN}", "caddy_1={{.Name}} a.test"}, "a.test", "site address {$DOMAIN}: " + placeholder + "\nsite address {{.Name}}: " + placeholder},
	} {
		names, refused := texts(read(Caddy, Options{}, c.labels...))
		if names != c.want || refused != c.refused {
			t.Errorf("%q: names %s, want %s\nrefused %s\nwant %s", c.labels, names, c.want, refused, c.refused)
		}
	}
}

func TestOthers(t *testing.T) {
	for _, c := range []struct {
		tool   Tool
		labels []string
		want   string
	}{
		{OrbStack, []string{"dev.orbstack.domains=a.test, *.b.test,,c.local", "dev.orbstack.http-port=80"}, "a.test own, *.b.test own, c.local own"},
		{Kevinjqiu, []string{"coredns.dockerdiscovery.host=a.test", "coredns.dockerdiscovery.network=n", "org.example.name=b.test", "x=c.test"}, "a.test own relative, b.test own"},
	} {
		if names, refused := texts(read(c.tool, Options{Keys: []string{"org.example.name"}}, c.labels...)); names != c.want || refused != "" {
			t.Errorf("%s, %q: names %s, want %s; refused %s", c.tool, c.labels, names, c.want, refused)
		}
	}
}

// TestSettings checks what labels say beside names.
func TestSettings(t *testing.T) {
	for _, c := range []struct {
		tool   Tool
		labels []string
		want   string
	}{
		{Dokku, []string{"com.dokku.coredns-docker/hostname=myapp, www", "com.dokku.coredns-docker/wildcard=true"}, "[{myapp false false} {www false false}] map[wildcard:true] []"},
		{Dokku, []string{"com.dokku.coredns-docker/wildcard=yes", "com.dokku.coredns-docker/cname=", "com.dokku.coredns-docker/other=x"}, "[] map[] []"},
		{Dokku, []string{"com.dokku.coredns-docker/cname=db.example.org", "com.dokku.coredns-docker/txt=x"}, "[] map[cname:db.example.org.] []"},
		{Dokku, []string{"com.dokku.coredns-docker/txt=v=spf1 -all", "com.dokku.coredns-docker/txt.Info=a;b", "com.dokku.coredns-docker/txt._acme-challenge=\"a\" \"b\""}, `[] map[] [@ TXT "v=spf1 -all" info TXT "a;b" _acme-challenge TXT "a" "b"]`},
		{Dokku, []string{"com.dokku.coredns-docker/txt="}, `[] map[] [@ TXT ""]`},
		{Dokku, []string{"com.dokku.coredns-docker/txt=" + strings.Repeat("x", 256)}, `[] map[] [@ TXT "` + strings.Repeat("x", 255) + `" "x"]`},
		{Dokku, []string{"com.dokku.coredns-docker/txt=a\\\n$INCLUDE x"}, `[] map[] [@ TXT "a\\\010$INCLUDE x"]`},
		{Dokku, []string{"com.dokku.coredns-docker/srv._tcp._http=80", "com.dokku.coredns-docker/srv._udp._dns=x"}, "[] map[] [_http._tcp SRV 10 10 80 @]"},
		{Dnsdock, []string{"com.dnsdock.name=master", "com.dnsdock.image=mysql", "com.dnsdock.ttl=10"}, "[{mysql false false} {master.mysql false false}] map[ttl:10] []"},
		{Dnsdock, []string{"com.dnsdock.alias=db.docker,sql.docker"}, "[{db.docker true false} {sql.docker true false} {nginx false false} {shop-web-1.nginx false false}] map[] []"},
		{Dnsdock, []string{"com.dnsdock.tags=master,x", "com.dnsdock.name=mysql", "com.dnsdock.region=us2"}, "[{mysql.us2 false false} {master.mysql.us2 false false}] map[] []"},
		{Dnsdock, []string{"com.dnsdock.ignore=", "com.dnsdock.ip_addr=192.0.2.1", "com.dnsdock.prefix=172.18."}, "[{nginx false false} {shop-web-1.nginx false false}] map[address:192.0.2.1 enable:false prefix:172.18.] []"},
		{Dnsdock, nil, "[] map[] []"},
	} {
		said := Read(c.tool, &Facts{Name: "shop-web-1", Image: "nginx", Labels: labels(c.labels...)}, &Options{})
		if got := fmt.Sprint(said.Names, said.Settings, said.Records); got != c.want {
			t.Errorf("%s, %q:\n%s, want\n%s", c.tool, c.labels, got, c.want)
		}
	}
}

// TestUntold checks that labels which a host does not tell are said to be missing, and others are not.
func TestUntold(t *testing.T) {
	said := Read(Traefik, &Facts{Untold: []string{"traefik.http.routers.x.rule", "traefik.http.middlewares.x.basicauth.users", "secret"}}, &Options{})
	if _, refused := texts(said); refused != "label traefik.http.routers.x.rule: its host does not tell it: write 'labels traefik' there too, unless it has more than 4 KiB" {
		t.Errorf("refused: %s", refused)
	}
}

// hostile are labels that are to cost nobody but their container.
func hostile() map[string][]string {
	rule := func(rule string) []string { return []string{"traefik.http.routers.x.rule=" + rule} }
	many := func(format string, n int) (lines []string) {
		for i := range n {
			lines = append(lines, fmt.Sprintf(format, i, i))
		}
		return lines
	}
	return map[string][]string{
		"megabytes":            rule("Host(`" + strings.Repeat("a", 4<<20) + "`)"),
		"megabytes of rules":   many("traefik.http.routers.r%d.rule=Host(`n%d.test`)"+strings.Repeat(" ", 16000), 250),
		"parentheses":          rule(strings.Repeat("(", 10000) + "Host(`a.test`)" + strings.Repeat(")", 10000)),
		"parentheses, within":  rule(strings.Repeat("(", 8000) + "Host(`a.test`)" + strings.Repeat(")", 8000)),
		"open parentheses":     rule(strings.Repeat("(", 16000)),
		"calls":                rule(strings.Repeat("Host(", 3000)),
		"braces":               rule(strings.Repeat("func(){", 2000)),
		"types":                rule(strings.Repeat("[]", 8000)),
		"pointers":             rule(strings.Repeat("*", 16000)),
		"channels":             rule(strings.Repeat("<-", 8000) + "x"),
		"negations":            rule(strings.Repeat("!", 16000) + "Host(`a.test`)"),
		"negations with space": rule(strings.Repeat("! ", 8000) + "Host(`a.test`)"),
		"a long chain":         rule("Host(`a`)" + strings.Repeat("||Host(`a`)", 1400)),
		"thousands of names":   rule("Host(`" + strings.Join(many("n%d-%d.test", 700), "`,`") + "`)"),
		"thousands of routers": many("traefik.http.routers.r%d.rule=Host(`n%d.test`)", 5000),
		"control characters":   rule("Host(`a\x00b\x1b[2J\u202e.test`, \"\\x00\\n\")"),
		"no text":              rule("Host(`\xff\xfe`)\xff"),
		"comments":             rule("/*" + strings.Repeat("*", 16000)),
		"a selector chain":     rule("a" + strings.Repeat(".a", 8000)),
		"an index chain":       rule("a" + strings.Repeat("[a]", 5000)),
		"sites":                {"caddy=" + strings.Repeat("a.test ", 600000), "caddy_1=" + strings.Repeat("{", 16000), "caddy_2=" + strings.Repeat("(x) ", 4000)},
		"thousands of sites":   many("caddy_%d=n%d.test", 5000),
		"commas":               {"dev.orbstack.domains=" + strings.Repeat(",", 16000)},
		"names and commas":     {"dev.orbstack.domains=" + strings.Repeat("a.test,", 2000)},
	}
}

// TestHostile checks that what is made of hostile labels, and the time for it, is bounded.
func TestHostile(t *testing.T) {
	for what, lines := range hostile() {
		all := labels(lines...)
		for _, tool := range Tools() {
			begun := time.Now()
			said := Read(tool, &Facts{Name: "x", Labels: all}, &Options{})
			if took := time.Since(begun); took > 10*time.Second { // a few milliseconds, but for a busy machine and the race detector
				t.Errorf("%s for %s: %s", what, tool, took)
			}
			checkSaid(t, said)
		}
	}
}

// checkSaid checks the bounds of what labels say.
func checkSaid(t *testing.T, said Said) {
	t.Helper()
	if len(said.Names) > maxNames || len(said.Refused) > maxNames {
		t.Errorf("%d names, %d refused", len(said.Names), len(said.Refused))
	}
	for i, n := range said.Names {
		if n.Text == "" || len(n.Text) > maxLabel || slices.Contains(said.Names[:i], n) {
			t.Errorf("name %q", n.Text)
		}
	}
}

// FuzzRead checks that nothing in labels hurts who reads them, and that the keys which are told to others are those that are read.
func FuzzRead(f *testing.F) {
	for _, lines := range hostile() {
		if key, value, _ := strings.Cut(lines[0], "="); len(value) < 1000 { // longer ones are slow to mutate
			f.Add(key, value, "true", "x")
		}
	}
	for _, rule := range []string{"Host(`a.test`, \"b\") && !(Host(`c`) || HostRegexp(`.*`))", "Host(`*.a`)", "HostSNI(`a`)", "Host('a')", "func(){}"} {
		f.Add("traefik.http.routers.x.rule", rule, "false", "web")
	}
	f.Add("caddy_1", "http://a.test:80/x, (s) {$X} [::1]:80 *.b", "", "caddy")
	rule, err := NewRuleTemplate("Host(`{{ normalize .Name }}.test`)")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key, value, enable, name string) {
		o := Options{DefaultRule: rule, Unexposed: len(enable)%2 == 0, Keys: []string{name}}
		all := map[string]string{key: value, "traefik.enable": enable, "traefik.tcp.routers.y.rule": value, "caddy": value, name: value}
		for _, tool := range Tools() {
			said := Read(tool, &Facts{Name: name, Labels: all}, &o)
			checkSaid(t, said)
			told := map[string]string{}
			for key, value := range all {
				if slices.ContainsFunc(Keys(tool, &o), func(p string) bool { return container.MatchesKey(p, key) }) {
					told[key] = value
				}
			}
			again := Read(tool, &Facts{Name: name, Labels: told}, &o)
			if fmt.Sprint(said) != fmt.Sprint(again) {
				t.Errorf("%s says by all labels %v, by those that are told %v", tool, said, again)
			}
		}
	})
}
