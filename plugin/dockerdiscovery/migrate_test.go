package dockerdiscovery

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin/metrics/vars"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
)

const migratePage = "../../docs/migrate.md"

// comingOver is a row of a table in docs/migrate.md: what somebody has, and what he is to write here.
type comingOver struct {
	section      string // the headings above the table
	theirs, ours string
}

var code = regexp.MustCompile("``(.+?)``|`([^`]+)`")

// writtenAsCode returns what stands in a cell as code.
func writtenAsCode(cell string) string {
	m := code.FindStringSubmatch(cell)
	if m == nil {
		return strings.TrimSpace(cell)
	}
	return m[1] + m[2]
}

// comingsOver reads the rows of all tables in docs/migrate.md.
func comingsOver(t *testing.T) (rows []comingOver) {
	t.Helper()
	text, err := os.ReadFile(migratePage)
	if err != nil {
		t.Fatal(err)
	}
	var section, sub string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "## "):
			section, sub = line[3:], ""
		case strings.HasPrefix(line, "### "):
			sub = line[4:]
		case strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| theirs") && !strings.HasPrefix(line, "| ---"):
			// A bar in code is no end of a cell.
			bare := code.ReplaceAllStringFunc(line, func(s string) string { return strings.ReplaceAll(s, "|", "\x00") })
			cells := strings.Split(bare, "|")
			for i := range cells {
				cells[i] = strings.ReplaceAll(cells[i], "\x00", "|")
			}
			if len(cells) != 5 {
				t.Fatalf("docs/migrate.md: want three cells in %s", line)
			}
			rows = append(rows, comingOver{strings.TrimSpace(section + " " + sub), writtenAsCode(cells[1]), writtenAsCode(cells[2])})
		}
	}
	return rows
}

// comingTools are the tools whose labels the property labels reads, by the sections about them.
var comingTools = map[string]string{
	"coredns-dockerdiscovery (kevinjqiu) Labels": "kevinjqiu", "coredns-docker (dokku) Labels": "dokku", "dnsdock Labels": "dnsdock",
}

// comingAnswers are what is asked after a row's words are followed, and the right answers: FROM NAME TYPE -> ANSWER, where who asks is the
// Docker host if FROM is left out. On networks a and backend there is the container site, which has the labels and publishes a port; on
// network b there is the container beside, and one of the image redis.
var comingAnswers = map[string][]string{
	// coredns-dockerdiscovery
	"docker unix:///var/run/docker.sock":       {"site.docker A -> 10.1.0.2 10.9.0.2"},
	"domain docker.loc":                        {"site.docker.loc A -> 10.1.0.2 10.9.0.2"},
	"hostname_domain host.loc":                 {"apphost.host.loc A -> 10.1.0.2 10.9.0.2", "site.host.loc A -> NXDOMAIN"},
	"compose_domain compose.loc":               {"web.shop.compose.loc A -> 10.1.0.2 10.9.0.2", "site.compose.loc A -> NXDOMAIN"},
	"network_aliases backend":                  {"payment.docker A -> 10.9.0.2", "site.docker A -> NXDOMAIN"},
	"label com.example.host":                   {"labelled.docker A -> 10.1.0.2 10.9.0.2"},
	"ttl 3600":                                 {"site.docker A -> 10.1.0.2 10.9.0.2, TTL 3600"},
	"unknown names go on":                      {"nobody.docker A -> on"},
	"coredns.dockerdiscovery.host: nginx.loc":  {"nginx.loc A -> 10.1.0.2 10.9.0.2"},
	"coredns.dockerdiscovery.network: backend": {"site.docker A -> 10.9.0.2"},
	// coredns-docker
	"zone docker. test.":           {"site.docker A -> 10.1.0.2 10.9.0.2", "site.test A -> 10.1.0.2 10.9.0.2"},
	"ttl 30":                       {"site.docker A -> 10.1.0.2 10.9.0.2, TTL 30"},
	"label_prefix com.example.dns": {"prefixed.docker A -> 10.1.0.2 10.9.0.2"},
	"networks backend":             {"site.docker A -> 10.1.0.2 10.9.0.2", "beside.docker A -> NXDOMAIN"},
	"fallthrough":                  {"nobody.docker A -> on"},
	"host_mode":                    {"lan site.docker A -> 127.0.0.1", "lan _http._tcp.site.docker SRV -> 0 0 8080 site.docker.", "lan beside.docker A -> none"},
	"name_from_labels \"{{label `com.example.app`}}\"":            {"called.docker A -> 10.1.0.2 10.9.0.2"},
	"name_from_labels \"{{labelOr `com.example.none` `spare`}}\"": {"spare.docker A -> 10.1.0.2 10.2.0.2 10.2.0.3 10.9.0.2"},
	"com.dokku.coredns-docker/hostname: myapp, www":               {"myapp.docker A -> 10.1.0.2 10.9.0.2", "www.docker A -> 10.1.0.2 10.9.0.2"},
	"com.dokku.coredns-docker/wildcard: true":                     {"x.site.docker A -> 10.1.0.2 10.9.0.2", "site.docker A -> 10.1.0.2 10.9.0.2"},
	"com.dokku.coredns-docker/cname: external.example.com":        {"site.docker CNAME -> external.example.com."},
	"com.dokku.coredns-docker/txt: v=spf1 -all":                   {"site.docker TXT -> v=spf1 -all"},
	"com.dokku.coredns-docker/txt.info: version=1":                {"info.site.docker TXT -> version=1"},
	"com.dokku.coredns-docker/srv._tcp._https: 8443":              {"_https._tcp.site.docker SRV -> 10 10 8443 site.docker."},
	// dnsdock
	"--domain=docker":                         {"site.docker A -> 10.1.0.2 10.9.0.2"},
	"--environment=dev":                       {"site.dev.docker A -> 10.1.0.2 10.9.0.2"},
	"--ttl=0":                                 {"site.docker A -> 10.1.0.2 10.9.0.2, TTL 0"},
	"--docker=tcp://192.0.2.1:2375":           {"site.docker A -> 10.1.0.2 10.9.0.2"},
	"--nameserver=8.8.8.8:53":                 {"beside docker"},
	"--http=:80":                              {"site.docker A -> 10.1.0.2 10.9.0.2"},
	"redis.docker":                            {"redis.docker A -> 10.2.0.3"},
	"redis1.redis.docker":                     {"redis1.redis.docker A -> 10.2.0.3"},
	"com.dnsdock.alias: db.docker,sql.docker": {"db.docker A -> 10.1.0.2 10.9.0.2", "sql.docker A -> 10.1.0.2 10.9.0.2"},
	"com.dnsdock.ttl: 10":                     {"site.docker A -> 10.1.0.2 10.9.0.2, TTL 10"},
	"com.dnsdock.ignore: true":                {"site.docker A -> NXDOMAIN"},
	"com.dnsdock.ip_addr: 192.0.2.80":         {"site.docker A -> 192.0.2.80", "lan site.docker A -> 192.0.2.80"},
	// dns-proxy-server
	"HOSTNAMES=nginx1.dev,nginx1.docker":  {"nginx1.dev A -> 10.1.0.2 10.9.0.2", "nginx1.docker A -> 10.1.0.2 10.9.0.2"},
	"--hostname nginx1.app":               {"nginx1.app A -> 10.2.0.2"},
	"MG_REGISTER_CONTAINER_NAMES=1":       {"site.docker A -> 10.1.0.2 10.9.0.2"},
	"MG_DOMAIN=lab":                       {"site.lab A -> 10.1.0.2 10.9.0.2"},
	"MG_HOST_MACHINE_HOSTNAME=nas.docker": {"nas.docker A -> 10.1.0.1", "site.nas.docker A -> 10.1.0.2 10.9.0.2"},
	"MG_DOCKER_HOST=tcp://192.0.2.1:2375": {"site.docker A -> 10.1.0.2 10.9.0.2"},
	// registrator and Consul
	"redis.service.consul": {"redis.docker A -> 10.2.0.3"},
	"SERVICE_NAME=db":      {"db.docker A -> 10.1.0.2 10.9.0.2"},
	"SERVICE_TAGS=master":  {"master.db.docker A -> 10.1.0.2 10.9.0.2"},
	"SERVICE_IGNORE=true":  {"beside.docker A -> NXDOMAIN", "site.docker A -> 10.1.0.2 10.9.0.2"},
	"-ip 192.0.2.1":        {"lan site.docker A -> 192.0.2.1", "lan _http._tcp.site.docker SRV -> 0 0 8080 site.docker."},
	"-internal":            {"site.service.consul A -> 10.1.0.2 10.9.0.2", "10.9.0.2 site.service.consul A -> 10.1.0.2 10.9.0.2"},
	"-resync 600":          {"site.docker A -> 10.1.0.2 10.9.0.2"},
	// scripts
	"172.17.0.2 web":           {"site A -> 10.1.0.2 10.9.0.2"},
	"172.17.0.2 web.docker":    {"site.docker A -> 10.1.0.2 10.9.0.2"},
	"172.17.0.2 www.shop.test": {"www.shop.test A -> 10.1.0.2 10.9.0.2"},
}

// TestComingOver follows each row of docs/migrate.md, and asks. Labels of other tools are also read as they are.
func TestComingOver(t *testing.T) {
	asked := map[string]bool{}
	for _, row := range comingsOver(t) {
		if strings.HasSuffix(row.section, "Metrics") {
			continue // TestComingMetrics
		}
		asks := comingAnswers[row.theirs]
		if asks == nil {
			t.Errorf("%s: no test asks after the row %s", row.section, row.theirs)
			continue
		}
		asked[row.theirs] = true
		if tool := comingTools[row.section]; tool != "" {
			comeOver(t, row, "docker docker. loc. {\nlabels "+tool+"\naddresses 192.0.2.80\n}", row.theirs, asks)
		}
		switch key, _, isLabel := strings.Cut(row.ours, ": "); {
		case asks[0] == "beside docker":
			if !slices.Contains(dnsserver.Directives, strings.Fields(row.ours)[0]) {
				t.Errorf("%s: there is no directive %s", row.section, row.ours)
			}
		case isLabel && !strings.Contains(key, " "):
			comeOver(t, row, "docker docker. loc. dev. test. {\naddresses 192.0.2.80\n}", row.ours, asks)
		case strings.HasPrefix(row.ours, "docker "):
			comeOver(t, row, strings.NewReplacer("{ ", "{\n", " }", "\n}").Replace(row.ours), "", asks)
		default:
			comeOver(t, row, "docker docker. {\n"+row.ours+"\n}", "", asks)
		}
	}
	for theirs := range comingAnswers {
		if !asked[theirs] {
			t.Errorf("docs/migrate.md has no row %s", theirs)
		}
	}
}

// comeOver reads the directive, gives the container site the label KEY: VALUE, and asks.
func comeOver(t *testing.T, row comingOver, directive, label string, asks []string) {
	t.Helper()
	cfg, err := parseText(directive, ".")
	if err != nil {
		t.Errorf("%s, %s: %v", row.section, row.theirs, err)
		return
	}
	d := emptyDocker(func(c *config) {
		endpoints := c.endpoints
		*c = cfg
		if len(c.endpoints) == 0 {
			c.endpoints = endpoints
		}
	})
	d.Next = test.NextHandler(dns.RcodeRefused, nil)
	host := containertest.Host()
	backend := host.Networks[0]
	backend.ID, backend.Name = "backend", "backend"
	backend.Subnets, backend.Gateways = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}, []netip.Addr{netip.MustParseAddr("10.9.0.1")}
	host.Networks = append(host.Networks, backend)
	machine("eth0 192.0.2.1/24", "br-a 10.1.0.1/16", "br-b 10.2.0.1/16", "br-9 10.9.0.1/16").at(&d.own)
	d.hear(host)

	site := facts("site", "a=10.1.0.2 backend=10.9.0.2")
	site.Hostname, site.Ports = "apphost", published("0.0.0.0:8080")
	site.Endpoints[1].Aliases = []string{"payment"}
	site.Labels = map[string]string{
		"com.docker.compose.project": "shop", "com.docker.compose.service": "web", "com.example.host": "labelled", "com.example.app": "called",
		"com.example.dns.host": "prefixed", "SERVICE_NAME": "db", "SERVICE_TAGS": "master",
	}
	if key, value, ok := strings.Cut(label, ": "); ok {
		site.Labels[key] = value
	}
	beside, redis := facts("beside", "b=10.2.0.2"), facts("redis1", "b=10.2.0.3")
	beside.Hostname, beside.Labels = "nginx1.app", map[string]string{"SERVICE_IGNORE": "true"}
	redis.Image = "example.org/library/redis:7"
	d.set(site, beside, redis)

	for _, ask := range asks {
		question, want, _ := strings.Cut(ask, " -> ")
		f := strings.Fields(question)
		from := fromHost
		if len(f) == 3 {
			from, f = f[0], f[1:]
			if from == "lan" {
				from = fromLAN
			}
		}
		if got := comingAnswer(t, d, from, dns.Fqdn(f[0]), f[1], strings.Contains(want, "TTL")); got != want {
			t.Errorf("%s, %s: with %q and the label %q, %s is answered with %s, want %s", row.section, row.theirs, directive, label, question, got, want)
		}
	}
}

// comingAnswer asks, and returns the answer's data, sorted, or its rcode; "on" if the question went to the next plugin.
func comingAnswer(t *testing.T, d *Docker, from, name, qtype string, withTTL bool) string {
	t.Helper()
	rec := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: from})
	rcode, err := d.ServeDNS(t.Context(), rec, new(dns.Msg).SetQuestion(name, dns.StringToType[qtype]))
	switch {
	case err != nil:
		return err.Error()
	case rec.Msg == nil && rcode == dns.RcodeRefused:
		return "on"
	case rec.Msg == nil || rec.Msg.Rcode != dns.RcodeSuccess:
		return dns.RcodeToString[max(rcode, rec.Rcode)]
	case len(rec.Msg.Answer) == 0:
		return "none"
	}
	var out []string
	for _, rr := range rec.Msg.Answer {
		data := strings.TrimPrefix(rr.String(), rr.Header().String())
		out = append(out, strings.Trim(data, `"`))
	}
	slices.Sort(out)
	if withTTL {
		return fmt.Sprintf("%s, TTL %d", strings.Join(out, " "), rec.Msg.Answer[0].Header().Ttl)
	}
	return strings.Join(out, " ")
}

// TestComingMetrics checks that the metrics which docs/migrate.md names are there.
func TestComingMetrics(t *testing.T) {
	manual, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	described := make(chan *prometheus.Desc, 20)
	for _, c := range []prometheus.Collector{vars.ResponseRcode, vars.RequestDuration} {
		c.Describe(described)
	}
	close(described)
	known := string(manual)
	for desc := range described {
		known += desc.String()
	}
	rows := 0
	for _, row := range comingsOver(t) {
		if !strings.HasSuffix(row.section, "Metrics") {
			continue
		}
		if rows++; !regexp.MustCompile(`\b` + row.ours + `\b`).MatchString(known) {
			t.Errorf("there is no metric %s", row.ours)
		}
	}
	if rows == 0 {
		t.Error("docs/migrate.md has no table of metrics")
	}
}
