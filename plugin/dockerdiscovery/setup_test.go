package dockerdiscovery

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin/test"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming/dialect"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// parseText parses a Corefile's docker directive in a server block with the keys.
func parseText(text string, keys ...string) (config, error) {
	c := caddy.NewTestController("dns", text)
	c.ServerBlockKeys = keys
	return parse(c)
}

func TestParse(t *testing.T) {
	defaults := func(change func(*config)) config {
		c := config{
			zone:    zone.Config{Zones: []string{"docker."}, TTL: 5, NegativeTTL: 5},
			resync:  time.Minute,
			startup: 30 * time.Second, forget: 24 * time.Hour,
			sources: naming.Sources(),
			health:  naming.PreferHealth, hold: 5 * time.Second, labelPrefix: "coredns.dockerdiscovery",
		}
		change(&c)
		return c
	}
	for _, c := range []struct {
		text string
		keys []string
		want config
	}{
		{"docker", []string{"docker:1053"}, defaults(func(*config) {})},
		{"docker", []string{"dns://docker.:1053", "10.0.0.0/24:1053"}, defaults(func(c *config) {
			c.zone.Zones = []string{"docker.", "0.0.10.in-addr.arpa."}
		})},
		{"docker Docker lan. docker. 10.0.0.0/23 {\n}", []string{"."}, defaults(func(c *config) {
			c.zone.Zones = []string{"docker.", "lan.", "0.0.10.in-addr.arpa.", "1.0.10.in-addr.arpa."}
		})},
		{"docker .", []string{"docker."}, defaults(func(c *config) { c.zone.Zones = []string{"."} })},
		{"docker {\n endpoint unix:///run/engine.sock\n}", []string{"docker."}, defaults(func(c *config) {
			c.endpoints = []endpoint{{Endpoint: engine.Endpoint{Host: "unix:///run/engine.sock"}, at: "Testfile:2"}}
		})},
		{"docker {\n names container compose\n}", []string{"docker."}, defaults(func(c *config) {
			c.sources = []naming.Source{naming.Container, naming.Compose}
		})},
		{"docker {\n names alias\n ttl 30\n names compose id\n}", []string{"docker."}, defaults(func(c *config) {
			c.sources, c.zone.TTL = []naming.Source{naming.Alias, naming.Compose, naming.ID}, 30
		})},
		{"docker {\n template \"{{.Service}}-{{.Number}}.{{.Project}}\"\n template {{.Name}}.x\n}", []string{"docker."}, defaults(func(c *config) {
			c.templates = templates(t, "{{.Service}}-{{.Number}}.{{.Project}}", "{{.Name}}.x")
		})},
		{"docker {\n template \"{{ $x := .Label `a.b` }}{{replace \\\"_\\\" `-` $x}}\"\n}", []string{"docker."}, defaults(func(c *config) {
			c.templates = templates(t, "{{ $x := .Label `a.b` }}{{replace \"_\" `-` $x}}")
		})},
		{"docker {\n label_prefix org.example\n}", []string{"docker."}, defaults(func(c *config) { c.labelPrefix = "org.example" })},
		{"docker {\n labels traefik caddy\n labels kevinjqiu {\n key org.example.host a.b\n key c\n }\n proxy traefik edge.web 192.0.2.80\n proxy 2001:db8::80\n}", []string{"docker."}, defaults(func(c *config) {
			c.tools.Read = []dialect.Tool{dialect.Traefik, dialect.Caddy, dialect.Kevinjqiu}
			c.tools.Options.Keys = []string{"org.example.host", "a.b", "c"}
			c.tools.Proxies, c.tools.Addrs = []string{"traefik", "edge.web"}, []netip.Addr{netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("2001:db8::80")}
		})},
		{"docker {\n labels traefik {\n exposed_by_default false\n }\n}", []string{"docker."}, defaults(func(c *config) {
			c.tools.Read, c.tools.Options.Unexposed = []dialect.Tool{dialect.Traefik}, true
		})},
		{"docker {\n opt_in\n}", []string{"docker."}, defaults(func(c *config) { c.optIn = true })},
		{"docker {\n ttl 30\n}", []string{"docker."}, defaults(func(c *config) { c.zone.TTL = 30 })},
		{"docker {\n ttl 0 3600\n}", []string{"docker."}, defaults(func(c *config) { c.zone.TTL, c.zone.NegativeTTL = 0, 3600 })},
		{"docker {\n resync 90s\n}", []string{"docker."}, defaults(func(c *config) { c.resync = 90 * time.Second })},
		{"docker {\n startup 5s\n forget 168h\n}", []string{"docker."}, defaults(func(c *config) {
			c.startup, c.forget = 5*time.Second, 7*24*time.Hour
		})},
		{"docker {\n network front back\n}", []string{"docker."}, defaults(func(c *config) { c.networks = []string{"front", "back"} })},
		{"docker {\n network front\n network back mid\n}", []string{"docker."}, defaults(func(c *config) { c.networks = []string{"front", "back", "mid"} })},
		{"docker {\n health require\n}", []string{"docker."}, defaults(func(c *config) { c.health = naming.RequireHealth })},
		{"docker {\n hold 0s\n}", []string{"docker."}, defaults(func(c *config) { c.hold = 0 })},
		{"docker {\n isolate\n}", []string{"docker."}, defaults(func(c *config) { c.zone.Isolate = true })},
		{"docker {\n swarm\n}", []string{"docker."}, defaults(func(c *config) { c.swarm = true })},
		{"docker {\n publish\n}", []string{"docker."}, defaults(func(c *config) { c.publish = true })},
		{"docker {\n forwarders 127.0.0.1 10.1.2.3/8\n forwarders 2001:db8::/32 ::1\n}", []string{"docker."}, defaults(func(c *config) {
			for _, p := range []string{"127.0.0.1/32", "10.0.0.0/8", "2001:db8::/32", "::1/128"} {
				c.forwarders = append(c.forwarders, netip.MustParsePrefix(p))
			}
		})},
		{"docker {\n filter label=a name=^web$\n filter label!=b=c network=front project=shop\n}", []string{"docker."}, defaults(func(c *config) {
			c.filters = filters(t, "label=a", "name=^web$", "label!=b=c", "network=front", "project=shop")
		})},
		{"docker {\n addresses 192.0.2.7\n addresses 2001:db8::1/32\n}", []string{"docker."}, defaults(func(c *config) {
			c.addresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")}
		})},
		{"docker {\n publish 192.0.2.1 2001:db8::1\n}", []string{"docker."}, defaults(func(c *config) {
			c.publish, c.publishAddrs = true, []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
		})},
		{"docker {\n fallthrough\n}", []string{"docker."}, defaults(func(c *config) { c.fall.SetZonesFromArgs(nil) })},
		{"docker {\n fallthrough lab.docker\n}", []string{"docker."}, defaults(func(c *config) { c.fall.SetZonesFromArgs([]string{"lab.docker"}) })},
	} {
		got, err := parseText(c.text, c.keys...)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if fmt.Sprint(got.templates) != fmt.Sprint(c.want.templates) {
			t.Errorf("%q: templates %v, want %v", c.text, got.templates, c.want.templates)
		}
		got.templates, c.want.templates = nil, nil // they hold functions, which do not compare
		got.at = ""
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q:\n%+v, want\n%+v", c.text, got, c.want)
		}
	}
}

// TestParseTLS checks the forms that other plugins take too, from the server block's root.
func TestParseTLS(t *testing.T) {
	dir, err := test.WritePEMFiles(t)
	if err != nil {
		t.Fatal(err)
	}
	at := func(file string) string { return filepath.Join(dir, file) }
	for args, want := range map[string]engine.Endpoint{
		"":                                     {},
		"ca.pem":                               {CACert: at("ca.pem")},
		"cert.pem key.pem":                     {Cert: at("cert.pem"), Key: at("key.pem")},
		"cert.pem key.pem ca.pem":              {Cert: at("cert.pem"), Key: at("key.pem"), CACert: at("ca.pem")},
		at("ca.pem"):                           {CACert: at("ca.pem")},
		"../" + filepath.Base(dir) + "/ca.pem": {CACert: at("ca.pem")},
	} {
		c := caddy.NewTestController("dns", "docker docker. {\n tls "+args+"\n endpoint tcp://engine.example:2376\n}")
		dnsserver.GetConfig(c).Root = dir
		cfg, err := parse(c)
		want.Host, want.TLS = "tcp://engine.example:2376", true
		if err != nil || len(cfg.endpoints) != 1 || cfg.endpoints[0].Endpoint != want {
			t.Errorf("tls %s: %+v, %v; want %+v", args, cfg.endpoints, err, want)
		}
	}
}

func templates(t *testing.T, texts ...string) (all []*naming.NameTemplate) {
	for _, text := range texts {
		tmpl, err := naming.NewTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tmpl)
	}
	return all
}

func filters(t *testing.T, texts ...string) *naming.Filters {
	f := &naming.Filters{}
	for _, text := range texts {
		if err := f.Add(text); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// TestParseErrors checks that an error says what is wrong, where, and what is accepted.
func TestParseErrors(t *testing.T) {
	block := func(property string) string { return "docker docker. {\n    template x\n    " + property + "\n}" }
	for text, want := range map[string][]string{
		block("cache 5"):                                       {":3", "unknown property 'cache'", "addresses, catalog_zone, endpoint, fallthrough, filter, forget, forwarders, health, hold, isolate, label_prefix, labels, names, network, opt_in, proxy, publish, resync, routed, share, startup, status, swarm, template, tls, transfer_view, ttl"},
		block("ttl"):                                           {":3", "ttl has 0 arguments", "ttl SECONDS [NEGATIVE_SECONDS]"},
		block("ttl 5 5 5"):                                     {":3", "ttl has 3 arguments", "ttl SECONDS [NEGATIVE_SECONDS]"},
		block("ttl -1"):                                        {":3", "'-1' is not a TTL", "from 0 to 3600"},
		block("ttl 5s"):                                        {":3", "'5s' is not a TTL", "SECONDS"},
		block("ttl 5 99999999999"):                             {":3", "'99999999999' is not a TTL"},
		block("endpoint"):                                      {":3", "endpoint has 0 arguments", "unix:///PATH|tcp://HOST:PORT|ssh://[USER@]HOST[:PORT][/PATH]"},
		block("endpoint /run/docker.sock"):                     {":3", "'/run/docker.sock' is not an endpoint; want 'endpoint URL [NAME [ADDRESS...]], with URL unix:///PATH|tcp://HOST:PORT|ssh://"},
		block("endpoint ssh://me:secret@host"):                 {":3", "'ssh://me:secret@host' is not an endpoint"},
		block("tls a b c d"):                                   {":3", "tls has 4 arguments", "tls [CERT KEY] [CACERT]"},
		block("tls none.pem"):                                  {":3", "none.pem: no such file", "tls [CERT KEY] [CACERT]"},
		block("tls none.pem none.key"):                         {":3", "none.pem: no such file", "tls [CERT KEY] [CACERT]"},
		block("tls"):                                           {":4", "tls in line 3 needs an endpoint tcp://HOST:PORT"},
		block("ttl 5\n ttl 7"):                                 {":4", "ttl stands in line 3 already", "'ttl SECONDS [NEGATIVE_SECONDS], each from 0 to 3600' once"},
		block("isolate\n isolate"):                             {":4", "isolate stands in line 3 already"},
		block("fallthrough a\n fallthrough b"):                 {":4", "fallthrough stands in line 3 already"},
		block("names container id container"):                  {":3", "'container' stands there twice", "names SOURCE..."},
		block("names container\n names id container"):          {":4", "'container' stands there twice", "names SOURCE..."},
		block("network a\n network b a"):                       {":4", "'a' stands there twice", "network NAME..."},
		block("names"):                                         {":3", "names has 0 arguments", "container, id, host, hostname, compose, swarm, alias, label, template"},
		block("names container label_x"):                       {":3", "'label_x' is not a source of names", "container, id, host, hostname, compose, swarm, alias, label, template"},
		block("template"):                                      {":3", "template has 0 arguments", "template TEMPLATE, a Go template in quotes"},
		block("template {{.Name}} {{.ID}}"):                    {":3", "template has 2 arguments", "in quotes"},
		block("template {{.Name"):                              {":3", "'{{.Name' is not a template", "template TEMPLATE"},
		block("template {{.Nmae}}"):                            {":3", "'{{.Nmae}}' is not a template", "Nmae", "{{.Service}}-{{.Number}}.{{.Project}}"},
		block("template {{upper}}"):                            {":3", "function \"upper\" not defined", "template TEMPLATE"},
		block("label_prefix"):                                  {":3", "label_prefix has 0 arguments", "label_prefix PREFIX"},
		block("label_prefix org.example."):                     {":3", "'org.example.' is not a label prefix", "without the last dot"},
		block("labels"):                                        {":3", "labels has 0 arguments", "labels TOOL..., with tools traefik, caddy"},
		block("labels haproxy"):                                {":3", "'haproxy' is not a tool", "with tools traefik, caddy"},
		block("labels nginx-proxy"):                            {":3", "'nginx-proxy' takes names from the environment alone (VIRTUAL_HOST), which is not read", "labels TOOL..."},
		block("labels traefik\n labels caddy traefik"):         {":4", "'traefik' stands there twice"},
		block("labels traefik {\n rule x\n }"):                 {":4", "unknown property 'rule': want one of default_rule, exposed_by_default, key"},
		block("labels traefik {\n default_rule \"Host(\"\n }"): {":4", "'Host(' is not a default rule: no rule", "default_rule RULE, a Go template"},
		block("labels traefik {\n default_rule {{.Nmae}}\n }"): {":4", "'{{.Nmae}}' is not a default rule", "Nmae"},
		block("labels caddy {\n exposed_by_default false\n }"): {":4", "exposed_by_default is for 'labels traefik'"},
		block("labels traefik {\n exposed_by_default 1\n }"):   {":4", "'1' is neither true nor false", "exposed_by_default true|false"},
		block("labels traefik {\n key a\n }"):                  {":4", "key is for 'labels kevinjqiu'"},
		block("proxy"):                                         {":3", "proxy has 0 arguments", "proxy CONTAINER|SERVICE.PROJECT|ADDRESS..."},
		block("proxy a/b"):                                     {":3", "'a/b' is neither a name nor an address: character '/'", "proxy CONTAINER|SERVICE.PROJECT|ADDRESS..."},
		block("proxy traefik\n proxy Traefik"):                 {":4", "'Traefik' stands there twice"},
		block("proxy 0.0.0.0"):                                 {":3", "'0.0.0.0' is not an address at which anybody reaches a proxy"},
		block("proxy fe80::1%eth0"):                            {":3", "'fe80::1%eth0' is not an address"},
		block("opt_in yes"):                                    {":3", "opt_in has 1 arguments", "want 'opt_in'"},
		block("resync"):                                        {":3", "resync has 0 arguments", "resync DURATION"},
		block("resync 5"):                                      {":3", "'5' is not a duration", "at least 1s"},
		block("resync 10ms"):                                   {":3", "'10ms' is not a duration", "at least 1s"},
		block("startup"):                                       {":3", "startup has 0 arguments", "startup DURATION"},
		block("startup 0s"):                                    {":3", "'0s' is not a duration", "startup DURATION, from 1s to 1h0m0s"},
		block("startup 2h"):                                    {":3", "'2h' is not a duration", "from 1s to 1h0m0s"},
		block("startup 5s\n startup 6s"):                       {":4", "startup stands in line 3 already"},
		block("forget never"):                                  {":3", "'never' is not a duration", "forget DURATION, at least 1m0s"},
		block("forget 59s"):                                    {":3", "'59s' is not a duration", "at least 1m0s"},
		block("forget 1h\n forget 2h"):                         {":4", "forget stands in line 3 already"},
		block("network"):                                       {":3", "network has 0 arguments", "network NAME..."},
		block("health good"):                                   {":3", "'good' is not a way to treat health", "health prefer|require|ignore"},
		block("hold"):                                          {":3", "hold has 0 arguments", "hold DURATION"},
		block("hold -1s"):                                      {":3", "'-1s' is not a duration", "from 0s to 10m0s"},
		block("hold 1h"):                                       {":3", "'1h' is not a duration", "from 0s to 10m0s"},
		block("isolate yes"):                                   {":3", "isolate has 1 arguments", "want 'isolate'"},
		block("publish eth0"):                                  {":3", "'eth0' is not an address", "publish [ADDRESS...]"},
		block("forwarders"):                                    {":3", "forwarders has 0 arguments", "forwarders CIDR..."},
		block("forwarders pi.hole"):                            {":3", "'pi.hole' is neither an address nor a range", "forwarders CIDR..."},
		block("forwarders 127.0.0.1\n forwarders 10.0.0.0/33"): {":4", "'10.0.0.0/33' is neither"},
		block("forwarders fe80::1%eth0"):                       {":3", "'fe80::1%eth0' is neither"},
		block("forwarders ::ffff:10.0.0.0/120"):                {":3", "'::ffff:10.0.0.0/120' is neither"},
		block("addresses"):                                     {":3", "addresses has 0 arguments", "addresses CIDR..."},
		block("addresses proxy"):                               {":3", "'proxy' is neither an address nor a range", "addresses CIDR..."},
		block("filter"):                                        {":3", "filter has 0 arguments", "filter KEY=VALUE..., with keys label, label!, name, network, project"},
		block("filter status=running"):                         {":3", "'status=running' is not a filter: there is no key 'status'", "with keys label, label!, name, network, project"},
		block("filter web"):                                    {":3", "'web' is not a filter: there is no key 'web'", "filter KEY=VALUE..."},
		block("filter name"):                                   {":3", "'name' is not a filter: it has no value", "filter KEY=VALUE..."},
		block("filter name="):                                  {":3", "'name=' is not a filter: it has no value"},
		block("filter label!="):                                {":3", "'label!=' is not a filter: it has no value"},
		block("filter label=="):                                {":3", "'label==' is not a filter: it has no value"},
		block("filter name=a("):                                {":3", "'name=a(' is not a filter: error parsing regexp: missing closing )", "filter KEY=VALUE..."},
		block("filter name=a\n filter name=b name=a"):          {":4", "'name=a' stands there twice"},
		block("publish 0.0.0.0"):                               {":3", "'0.0.0.0' is not an address"},
		block("publish fe80::1"):                               {":3", "'fe80::1' is not an address"},
		"docker a..b":                                          {":1", "'a..b' is not a zone", "empty label", "a domain name or a CIDR"},
		"docker 10.0.0.0/33":                                   {":1", "'10.0.0.0/33' is not a zone", "a domain name or a CIDR"},
		"docker do$cker":                                       {":1", "'do$cker' is not a zone", "letters, digits"},
		"docker docker.:1053":                                  {":1", "'docker.:1053' is not a zone"},
		"docker " + strings.Repeat("a", 64):                    {":1", "is not a zone", "63 octets"},
		"docker " + strings.Repeat("a.", 130):                  {":1", "is not a zone"},
		"docker 10.0.0.0/8":                                    {":1", "all zones are reverse zones", "docker docker. 172.16.0.0/12"},
		"docker unix:///run/docker.sock":                       {":1", "'unix:///run/docker.sock' is not a zone but an engine's endpoint", "write endpoint", "endpoint URL [NAME [ADDRESS...]]"},
		"docker docker. tcp://[::1]:2376":                      {":1", "'tcp://[::1]:2376' is not a zone", "write endpoint"},
		"docker ./docker.sock":                                 {":1", "write endpoint"},
		"docker localhost:2375":                                {":1", "write endpoint"},
		"docker /var/run/docker.sock":                          {":1", "'/var/run/docker.sock' is not a zone", "write endpoint"},
		"docker docker.\ndocker lan.":                          {":2", "docker stands in this server block already; want it once"},
	} {
		parseFails(t, text, want)
	}
}

// parseFails checks that the text is refused, with an error that has all of what is wanted.
func parseFails(t *testing.T, text string, want []string) {
	t.Helper()
	_, err := parseText(text, ".")
	if err == nil {
		t.Errorf("%q is accepted", text)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q: the error lacks %q: %v", text, w, err)
		}
	}
}

// TestPropertiesAreDocumented keeps the list of forms and the README's syntax alike.
func TestPropertiesAreDocumented(t *testing.T) {
	readme := readFile(t, "README.md")
	all := slices.AppendSeq(slices.Collect(maps.Keys(properties)), maps.Keys(endpointProperties))
	all = slices.AppendSeq(all, maps.Keys(shareProperties))
	for _, property := range all {
		if !strings.Contains(readme, "    "+property+" ") && !strings.Contains(readme, "    "+property+"\n") {
			t.Errorf("README.md's syntax lacks %s", property)
		}
	}
	for _, s := range naming.Sources() {
		if !strings.Contains(readme, "`"+string(s)+"`") {
			t.Errorf("README.md lacks the source %s", s)
		}
	}
}
