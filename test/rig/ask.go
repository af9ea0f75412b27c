package rig

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// askTimeout is how long an answer may take.
const askTimeout = 5 * time.Second

// Ask asks a server one question over "udp", "tcp" or "tcp-tls". There is no second try: an answer lost is a fault.
func Ask(network, server, name string, qtype uint16) (*dns.Msg, error) {
	client := &dns.Client{Net: network, Timeout: askTimeout}
	m, _, err := client.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype), server)
	return m, err
}

// AskEDNS asks a server one question over UDP as Ask does, but by EDNS.
func AskEDNS(server, name string, qtype uint16) (*dns.Msg, error) {
	client := &dns.Client{Timeout: askTimeout}
	m, _, err := client.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype).SetEdns0(1232, false), server)
	return m, err
}

// Asker asks a server many questions over UDP, a hundred from each socket: the machine's connection tracking has an
// entry for each socket, and room for only so many. As Ask, it does not try again.
type Asker struct {
	Server string
	From   net.Addr  // the source address; nil is any
	conn   *dns.Conn // nil before the first question and after a failure
	left   int       // questions to be asked from conn
}

// Ask asks one question.
func (a *Asker) Ask(name string, qtype uint16) (*dns.Msg, error) {
	client := &dns.Client{Timeout: askTimeout, Dialer: &net.Dialer{Timeout: askTimeout, LocalAddr: a.From}}
	if a.left == 0 {
		a.Close()
		conn, err := client.Dial(a.Server)
		if err != nil {
			return nil, err
		}
		a.conn, a.left = conn, 100
	}
	a.left--
	m, _, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype), a.conn)
	if err != nil {
		a.Close() // a late answer must not be taken for the next question's
	}
	return m, err
}

// Close closes the asker's socket. It may be used again.
func (a *Asker) Close() {
	if a.conn != nil {
		a.conn.Close()
		a.conn, a.left = nil, 0
	}
}

// Data returns the data of the records, sorted.
func Data(rrs []dns.RR) (data []string) {
	for _, rr := range rrs {
		data = append(data, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(data)
	return data
}

// ServeDNS has the handler answer at the address, over "udp" or "tcp", until the test's end.
func ServeDNS(t *testing.T, network, addr string, handler dns.HandlerFunc) {
	t.Helper()
	listening := make(chan error, 1)
	server := &dns.Server{Addr: addr, Net: network, Handler: handler, NotifyStartedFunc: func() { listening <- nil }}
	go func() { listening <- server.ListenAndServe() }()
	if err := <-listening; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Shutdown() })
}
