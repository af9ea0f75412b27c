package e2e

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// transports are those that CoreDNS has, and its plugins as their clients. It has none for DoH3.
var transports = []struct {
	name, scheme string
	client       string // with the server's address, which has no scheme
	options      string // the client's
}{
	{"UDP", "dns", "forward . %s", ""},
	{"TCP", "dns", "forward . %s", "force_tcp"},
	{"DoT", "tls", "forward . tls://%s", "tls"},
	{"DoH", "https", "forward . https://%s", "tls"},
	{"DoQ", "quic", "forward . quic://%s", "tls"},
	{"gRPC", "grpc", "grpc . %s", ""},
}

// Whatever carries a query, the answer is for who asks: a container, the host, and the LAN.
func TestTransports(t *testing.T) {
	t.Parallel()
	lan := newLAN(t)
	own, other := machine.servedNetwork(t), machine.servedNetwork(t)
	name := "web-" + suffix()
	web := machine.run(t, "--name", name, "--network", other, "-p", "80")
	machine.do(t, "network", "connect", own, web)
	gateway := machine.gateway(t, own).String()

	// The server listens on all addresses, so that its sockets don't tell on which one a query comes in.
	cert, key := rig.NewCertificate(t)
	ports := map[string]int{}
	var blocks []string
	for _, tr := range transports {
		if ports[tr.scheme] > 0 {
			continue
		}
		ports[tr.scheme] = freePort(t, "::")
		options := ""
		if tr.options == "tls" {
			options = "tls " + cert + " " + key + "\n"
		}
		blocks = append(blocks, fmt.Sprintf("%s://.:%d {\n%sdocker %s {\npublish\n}\n", tr.scheme, ports[tr.scheme], options, zones))
	}
	s := serve(t, config{IP: "::", Body: strings.Join(append([]string{"docker " + zones + "\n"}, blocks...), "}\n")})
	s.soon(name+".docker.", dns.TypeA, onNetwork(t, web, own), onNetwork(t, web, other))

	// A client listens on a port for each transport.
	const firstPort = 5301
	client := func(server, ca string, port func(int) int) string {
		var corefile strings.Builder
		for i, tr := range transports {
			options := tr.options
			if options == "tls" {
				options = "tls " + ca + "\ntls_servername " + rig.ServerName
			}
			fmt.Fprintf(&corefile, ".:%d {\n"+tr.client+" {\n%s\n}\n}\n", port(i), net.JoinHostPort(server, strconv.Itoa(ports[tr.scheme])), options)
		}
		return corefile.String()
	}
	inOrder := func(i int) int { return firstPort + i }
	run := func(corefile string, via ...string) {
		c := launch(t, config{Text: corefile, Via: via})
		if err := c.AwaitReady(patience); err != nil {
			t.Fatal(err)
		}
	}
	inContainer := runCoreDNS(t, own, client(gateway, "/cert.pem", inOrder), cert)
	run(client(lan.Host.String(), cert, inOrder), "ip", "netns", "exec", lan.Netns)
	var hostPorts []int
	for range transports {
		hostPorts = append(hostPorts, freePort(t, "127.0.0.1"))
	}
	run(client("127.0.0.1", cert, func(i int) int { return hostPorts[i] }))

	for i, tr := range transports {
		check := func(asker, want string, ask func() (string, error)) {
			t.Helper()
			eventually(t, func() error {
				if got, err := ask(); err != nil || got != want {
					return fmt.Errorf("%s asks by %s: got %s (%v), want %s", asker, tr.name, got, err, want)
				}
				return nil
			})
		}
		exchanged := func(server string) func() (string, error) {
			return func() (string, error) {
				m, err := rig.Ask("udp", server, name+".docker.", dns.TypeA)
				if err != nil {
					return "", err
				}
				return outcome(m), nil
			}
		}
		check("a container", onNetwork(t, web, own), exchanged(net.JoinHostPort(inContainer, strconv.Itoa(inOrder(i)))))
		check("the host", sorted(onNetwork(t, web, own), onNetwork(t, web, other)), exchanged(loopback(hostPorts[i])))
		check("the LAN", lan.Host.String(), func() (string, error) {
			return askIn(t, []string{"ip", "netns", "exec", lan.Netns}, loopback(inOrder(i)), name+".docker.", dns.TypeA), nil
		})
	}
}
