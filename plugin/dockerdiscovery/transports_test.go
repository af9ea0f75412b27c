package dockerdiscovery

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/pkg/proxyproto"
	_ "github.com/coredns/coredns/plugin/proxyproto"
	"github.com/coredns/coredns/plugin/test"
	_ "github.com/coredns/coredns/plugin/tls"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// transportWriter is a transport's writer, as far as it tells of addresses.
type transportWriter struct {
	test.ResponseWriter
	remote, local net.Addr
}

func (w *transportWriter) RemoteAddr() net.Addr { return w.remote }
func (w *transportWriter) LocalAddr() net.Addr  { return w.local }

// TestTransports has a container, the host and the LAN ask over each kind of address that CoreDNS's
// servers give: UDP is that of plain DNS, DoQ and DoH3, TCP that of plain DNS, DoT, DoH and gRPC. The
// sockets of DoH3 and gRPC don't tell on which address a query came in; those of UDP may not.
func TestTransports(t *testing.T) {
	d := emptyDocker(func(c *config) { c.publish = true })
	web := facts("web", "a=10.1.0.2 b=10.2.0.2")
	web.Ports = published("0.0.0.0:80")
	d.set(web, facts("onb", "b=10.2.0.3"))
	udp := func(ip string) net.Addr { return &net.UDPAddr{IP: net.ParseIP(ip), Port: 53} }
	tcp := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 53} }
	proxied := func(transport func(string) net.Addr, tlv string) func(string) net.Addr {
		return func(ip string) net.Addr {
			return proxyproto.NewAddr(transport("203.0.113.80"), transport(ip), []byte(tlv))
		}
	}
	for name, remote := range map[string]func(string) net.Addr{
		"udp": udp, "tcp": tcp, "udp proxied": proxied(udp, ""), "tcp proxied": proxied(tcp, ""), "udp with TLV": proxied(udp, "\xe0\x00\x01x"), "tcp with TLV": proxied(tcp, "\xe0\x00\x01x"),
	} {
		for _, local := range []net.Addr{udp("192.0.2.1"), tcp("192.0.2.1"), udp("::"), tcp("::"), udp("0.0.0.0")} {
			for from, want := range map[string]string{
				"10.2.0.3": "10.2.0.2", fromHost: "10.1.0.2 10.2.0.2", fromLAN: "192.0.2.1", "::ffff:198.51.100.9": "192.0.2.1", "2001:db8::9": "192.0.2.1",
			} {
				rec := dnstest.NewRecorder(&transportWriter{remote: remote(from), local: local})
				if _, err := d.ServeDNS(t.Context(), rec, new(dns.Msg).SetQuestion("web.docker.", dns.TypeA)); err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, rr := range rec.Msg.Answer {
					got = append(got, dns.Field(rr, 1))
				}
				if got := strings.Join(got, " "); got != want {
					t.Errorf("%s, from %s to %s %v: %q, want %q", name, from, local.Network(), local, got, want)
				}
			}
		}
	}
}

// proxyHeader is what a proxy puts in front of a query, PROXY protocol version 2.
func proxyHeader(stream bool, from netip.Addr, tlvs string) []byte {
	family := byte(0x12) // IPv4, datagrams
	if stream {
		family = 0x11
	}
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x21, family)
	b = binary.BigEndian.AppendUint16(b, uint16(12+len(tlvs)))
	b = append(b, from.AsSlice()...)
	b = append(b, 203, 0, 113, 80, 0x30, 0x39, 0, 53) // to whom, and the ports
	return append(b, tlvs...)
}

// TestProxyProtocol asks through the PROXY protocol with real sockets.
func TestProxyProtocol(t *testing.T) {
	e := enginetest.New(t)
	e.AddNetwork("own")
	web := e.Run(enginetest.Spec{Name: "web", Networks: []enginetest.Attachment{{Network: "bridge"}, {Network: "own"}}, Publish: []string{"80:80/tcp"}})
	neighbour := e.Run(enginetest.Spec{Name: "neighbour", NetworkMode: "own"})
	onOwn := e.IP(web, "own").String()

	cert, key := rig.NewCertificate(t)
	for _, tlvs := range []string{"", "\xe0\x00\x01x"} {
		option := ""
		if tlvs != "" {
			option = "tlv_metadata"
		}
		ports := map[string]string{}
		corefile := ""
		for _, scheme := range []string{"dns", "tls", "https"} {
			ports[scheme] = freePort(t)
			corefile += fmt.Sprintf("%s://docker:%s {\n tls %s %s\n proxyproto {\n allow 127.0.0.1/32\n %s\n }\n docker {\n endpoint %s\n publish 192.0.2.1\n }\n}\n",
				scheme, ports[scheme], cert, key, option, e.Host())
		}
		s := inprocess.Serve(t, corefile)
		for _, c := range []struct {
			from netip.Addr
			want []string
		}{
			{e.IP(neighbour, "own"), []string{onOwn}},
			{netip.MustParseAddr(fromHost), []string{e.IP(web, "bridge").String(), onOwn}},
			{netip.MustParseAddr(fromLAN), []string{"192.0.2.1"}},
		} {
			for _, transport := range []string{"udp", "tcp", "tls", "https"} {
				m := new(dns.Msg).SetQuestion("web.docker.", dns.TypeA)
				r, err := askProxied(transport, ports, m, proxyHeader(transport != "udp", c.from, tlvs))
				if err != nil {
					t.Errorf("%s from %s: %v", transport, c.from, err)
					continue
				}
				got := map[string]bool{}
				for _, rr := range r.Answer {
					got[dns.Field(rr, 1)] = true
				}
				if len(got) != len(c.want) || !got[c.want[0]] || !got[c.want[len(c.want)-1]] {
					t.Errorf("%s from %s, TLVs %q: %v, want %v", transport, c.from, tlvs, got, c.want)
				}
			}
		}
		stop(t, s)
	}
}

// askProxied asks as a proxy does: the header stands in front of all else.
func askProxied(transport string, ports map[string]string, m *dns.Msg, header []byte) (*dns.Msg, error) {
	question, err := m.Pack()
	if err != nil {
		return nil, err
	}
	network, port := "tcp", ports[transport]
	if transport == "udp" || transport == "tcp" {
		network, port = transport, ports["dns"]
	}
	conn, err := net.DialTimeout(network, "127.0.0.1:"+port, 5*time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if transport == "udp" {
		if _, err := conn.Write(append(header, question...)); err != nil {
			return nil, err
		}
		return (&dns.Conn{Conn: conn}).ReadMsg()
	}
	if _, err := conn.Write(header); err != nil {
		return nil, err
	}
	if transport != "tcp" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	if transport != "https" {
		c := &dns.Conn{Conn: conn}
		if err := c.WriteMsg(m); err != nil {
			return nil, err
		}
		return c.ReadMsg()
	}
	client := &http.Client{Transport: &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}
	resp, err := client.Post("https://127.0.0.1:"+port+"/dns-query", "application/dns-message", bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	r := new(dns.Msg)
	return r, r.Unpack(answer)
}
