package naming

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// services writes the claims to services as NAME RANK TARGET PORT PUBLISHED.
func services(claims []zone.Claim) string {
	var out []string
	for _, c := range claims {
		if s := c.Service(); s != nil {
			name, rank, _ := strings.Cut(describe([]zone.Claim{c}), " ")
			out = append(out, fmt.Sprint(name, " ", rank, " ", s.Targets[0], " ", s.Port, " ", s.Published))
		}
	}
	return strings.Join(out, "\n")
}

func TestServices(t *testing.T) {
	at := []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8080")}
	http := container.Port{Number: 80, Proto: "tcp", Published: at}
	c := container.Container{
		ID: id, Name: "my_web", Hostname: "host", Labels: label("host", "www.lan.,*.w"), Ports: []container.Port{http, {Number: 9200, Proto: "udp"}},
		Endpoints: []container.Endpoint{{Network: "n", Aliases: []string{"alias"}}},
	}
	for _, test := range []struct {
		name  string
		rules *Rules
		owner *container.Container
		want  string
	}{
		{"each name", rules("docker."), &c, `_http._tcp.my_web.docker. name my_web.docker. 80 [0.0.0.0:8080]
_9200._udp.my_web.docker. name my_web.docker. 9200 []
_http._tcp.host.docker. shared bare my_web.docker. 80 [0.0.0.0:8080]
_9200._udp.host.docker. shared bare my_web.docker. 9200 []
_http._tcp.my-web.docker. twin my_web.docker. 80 [0.0.0.0:8080]
_9200._udp.my-web.docker. twin my_web.docker. 9200 []`},
		{"each zone", &Rules{Zones: []string{"docker.", "lan."}, Sources: []Source{Hostname, Label}, Reserved: func(string) bool { return false }}, nil,
			`_http._tcp.host.docker. shared bare host.docker. 80 []
_9200._udp.host.docker. shared bare host.docker. 9200 []
_http._tcp.host.lan. shared bare host.lan. 80 []
_9200._udp.host.lan. shared bare host.lan. 9200 []
_http._tcp.www.lan. shared host.lan. 80 []
_9200._udp.www.lan. shared host.lan. 9200 []`},
		{"no name that stands for the whole container", only(ID, Alias), &c, ""},
		{"published by the other", only(Container), &container.Container{Ports: []container.Port{{Number: 80, Proto: "udp"}, {Number: 9200, Proto: "udp", Published: at}}},
			`_http._tcp.my_web.docker. name my_web.docker. 80 []
_9200._udp.my_web.docker. name my_web.docker. 9200 [0.0.0.0:8080]
_http._tcp.my-web.docker. twin my_web.docker. 80 []
_9200._udp.my-web.docker. twin my_web.docker. 9200 [0.0.0.0:8080]`},
	} {
		e, _, _ := test.rules.Entry(here, &c, test.owner)
		if got := services(e.Claims); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

// TestServiceOfNameInZone checks that the target is not put into the zone twice.
func TestServiceOfNameInZone(t *testing.T) {
	c := container.Container{ID: id, Name: "web.docker", Hostname: "nn.docker", Ports: []container.Port{{Number: 80, Proto: "tcp"}}, Labels: label("host", "www")}
	for _, test := range []struct {
		rules *Rules
		want  string
	}{
		{only(Hostname), "_http._tcp.nn.docker. shared bare nn.docker. 80 []"},
		{only(Container), "_http._tcp.web.docker. name web.docker. 80 []"},
		{only(Label), "_http._tcp.www.docker. shared www.docker. 80 []"},
	} {
		e, _, _ := test.rules.Entry(here, &c, &c)
		if got := services(e.Claims); got != test.want {
			t.Errorf("%v: %s, want %s", test.rules.Sources, got, test.want)
		}
	}
	c.Labels = label("records", "@ TXT x")
	if e, _, _ := only(Label).Entry(here, &c, &c); recordsOf(e.Claims) != `web.docker. 0 TXT "x"` {
		t.Errorf("records %s", recordsOf(e.Claims))
	}
}

// TestServicesAreBounded checks a range of ports, and a name too long for a service's.
func TestServicesAreBounded(t *testing.T) {
	c := container.Container{ID: id, Name: "web", Hostname: strings.Repeat("a.", 118) + "a"}
	for i := range 1000 {
		c.Ports = append(c.Ports, container.Port{Number: uint16(7000 + i), Proto: "tcp"})
	}
	e, _, skipped := only(Container, Hostname).Entry(here, &c, nil)
	if n := strings.Count(services(e.Claims)+"\n", "\n"); n != maxPorts || len(skipped) != 0 {
		t.Errorf("%d services, skipped %v", n, skipped)
	}
}

// TestServiceNames checks that each name can be one: RFC 6335 §5.1.
func TestServiceNames(t *testing.T) {
	for port, service := range serviceNames {
		if len(service) > 15 || Invalid(service) != "" || strings.Contains(service, "_") || strings.Trim(service, "0123456789-") == "" {
			t.Errorf("%s: %q is no service name", port, service)
		}
		number, proto, ok := strings.Cut(port, "/")
		if n, err := netip.ParseAddrPort("10.0.0.1:" + number); err != nil || n.Port() == 0 || !ok || proto != "tcp" && proto != "udp" && proto != "sctp" {
			t.Errorf("%s is no port", port)
		}
	}
	if n := strings.Count(serviceTable, "/"); n != len(serviceNames) || n < 150 {
		t.Errorf("%d ports in the table, %d names: one stands there twice, or some are missing", n, len(serviceNames))
	}
	for port, want := range map[string]string{
		"80/tcp": "http", "5432/tcp": "postgresql", "6379/tcp": "redis", "53/udp": "domain", "11211/tcp": "memcache", "27017/tcp": "mongodb",
	} {
		if serviceNames[port] != want {
			t.Errorf("%s is %q, want %s", port, serviceNames[port], want)
		}
	}
}
