package e2e

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// serveExample serves Corefile.example as it is, but for its fixed ports and the host's
// resolvers.
func serveExample(t *testing.T, up *upstream) *server {
	t.Helper()
	example, err := os.ReadFile("../../Corefile.example")
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t, "0.0.0.0")
	ready, metrics := loopback(freePort(t, "127.0.0.1")), loopback(freePort(t, "127.0.0.1"))
	text := string(example)
	for old, new := range map[string]string{
		".:1053 {":            fmt.Sprintf(".:%d {", port),
		"/etc/resolv.conf":    up.addr,
		"\n\t\tstatus\n":      "\n\t\tstatus " + loopback(freePort(t, "127.0.0.1")) + "\n",
		"\n\tready ":          "\n\tready " + ready + " ",
		"\n\tprometheus loca": "\n\tprometheus " + metrics + " # loca",
	} {
		if strings.Count(text, old) != 1 {
			t.Fatalf("Corefile.example holds %q %d times, want once", old, strings.Count(text, old))
		}
		text = strings.Replace(text, old, new, 1)
	}
	s := launch(t, config{Port: port, Text: text})
	s.Ready, s.Metrics = "http://"+ready+"/ready", "http://"+metrics+"/metrics"
	eventually(t, s.isReady)
	return s
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	s := serveExample(t, up)
	web := "web-" + suffix()
	addr := machine.addr(t, machine.run(t, "--name", web))
	zone := web + ".docker."
	s.soon(zone, dns.TypeA, addr)

	for _, q := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{zone, dns.TypeA, addr},
		{reverse(t, addr), dns.TypePTR, zone},
		{zone, dns.TypeAAAA, nodata},
		{zone, dns.TypeHTTPS, nodata},
		{zone, dns.TypeMX, nodata},
		{"nope-" + zone, dns.TypeA, nxdomain},
		// Nothing is below a container's name, and so nothing between either.
		{"_x._tcp." + zone, dns.TypeSRV, nxdomain},
		{"_tcp." + zone, dns.TypeA, nxdomain},
		{reverse(t, "172.31.255.254"), dns.TypePTR, nxdomain},
		{"example.org.", dns.TypeA, exampleOrg},
		{"docker.", dns.TypeA, nodata},
		{"docker.", dns.TypeNS, "ns.dns.docker."},
		{"dns.docker.", dns.TypeA, nodata}, // an empty non-terminal
		{"ns.dns.docker.", dns.TypeA, "127.0.0.1"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			m, err := rig.Ask(network, s.Addr, q.name, q.qtype)
			if err != nil {
				t.Errorf("%s %s over %s: %v", q.name, dns.TypeToString[q.qtype], network, err)
			} else if got := outcome(m); got != q.want {
				t.Errorf("%s %s over %s: got %s, want %s", q.name, dns.TypeToString[q.qtype], network, got, q.want)
			}
		}
	}
}

// The zone's start of authority, its name as asked, and an authoritative answer.
func TestAuthority(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Keys: zones, Body: "docker"})
	web := "web-" + suffix()
	addr := machine.addr(t, machine.run(t, "--name", web))

	asked := strings.ToUpper(web[:2]) + web[2:] + ".DoCkEr."
	s.soon(asked, dns.TypeA, addr)
	m := s.ask(asked, dns.TypeA)
	if got := outcome(m); got != addr || m.Answer[0].Header().Name != asked || !m.Authoritative {
		t.Errorf("%s: got\n%v\nwant the authoritative answer %s with the name as asked", asked, m, addr)
	}
	m = s.ask("docker.", dns.TypeSOA)
	if len(m.Answer) != 1 {
		t.Fatalf("SOA: got\n%v", m)
	}
	soa, ok := m.Answer[0].(*dns.SOA)
	if !ok || soa.Hdr.Name != "docker." || soa.Ns != "ns.dns.docker." || soa.Serial == 0 {
		t.Errorf("SOA: got %v", m.Answer[0])
	}
	s.check(reverse(t, addr), dns.TypePTR, web+".docker.")
}

// The name server's address is the one that was asked. Bound to all addresses, a UDP
// socket does not tell which it was; a query by loopback came to loopback.
func TestNameServerAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, config{IP: "0.0.0.0", Body: "docker docker."})
	_, port, _ := net.SplitHostPort(s.Addr)
	gateway := machine.gateway(t, machine.network(t)).String()
	for _, test := range []struct{ network, ip string }{
		{"udp", "127.0.0.1"}, {"tcp", "127.0.0.1"}, {"tcp", "127.0.0.2"}, {"tcp", gateway},
	} {
		m, err := rig.Ask(test.network, net.JoinHostPort(test.ip, port), "ns.dns.docker.", dns.TypeA)
		if err != nil {
			t.Errorf("asking %s over %s: %v", test.ip, test.network, err)
		} else if got := outcome(m); got != test.ip {
			t.Errorf("asking %s over %s: got %s, want the address asked", test.ip, test.network, got)
		}
	}
}
