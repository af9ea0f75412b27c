package e2e

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// The addresses of 600 containers at one name don't fit into a datagram: it says so, and
// over TCP they all come. The engine is a fake, for the machine's sake.
func TestManyAtOneName(t *testing.T) {
	t.Parallel()
	const many = 600
	e, err := enginetest.Start(filepath.Join(folder, "many-"+suffix()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if err := e.RunHere(); err != nil {
		t.Skip(err)
	}
	e.Populate(many, func(int) enginetest.Spec { return enginetest.Spec{Hostname: "many"} })
	s := serve(t, config{Body: "docker docker. {\nendpoint " + e.Host() + "\n}"})

	for _, test := range []struct {
		network string
		edns    uint16 // the size of datagrams that the asker can take; 0 if it does not say
		limit   int
	}{
		{"udp", 0, 512}, {"udp", 512, 512}, {"udp", 1232, 1232}, {"udp", 4096, 4096}, {"tcp", 0, 65535}, {"tcp", 1232, 65535},
	} {
		what := fmt.Sprintf("over %s, EDNS size %d", test.network, test.edns)
		size, m, err := s.askSize(test.network, test.edns, "many.docker.", dns.TypeA)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		t.Logf("%s: %d octets, %d addresses", what, size, len(m.Answer))
		distinct := map[string]bool{}
		for _, rr := range m.Answer {
			distinct[rr.String()] = true
		}
		complete := test.network == "tcp"
		if size > test.limit || m.Truncated == complete || complete && len(distinct) != many || len(distinct) != len(m.Answer) {
			t.Errorf("%s: %d octets, truncated %v, %d addresses, %d of them different", what, size, m.Truncated, len(m.Answer), len(distinct))
		}
	}
}

// askSize asks and tells how long the answer was, too.
func (s *server) askSize(network string, edns uint16, name string, qtype uint16) (size int, m *dns.Msg, err error) {
	conn, err := net.Dial(network, s.Addr)
	if err != nil {
		return 0, nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	c := &dns.Conn{Conn: conn, UDPSize: dns.MaxMsgSize}
	m = new(dns.Msg).SetQuestion(name, qtype)
	if edns > 0 {
		m.SetEdns0(edns, false)
	}
	if err := c.WriteMsg(m); err != nil {
		return 0, nil, err
	}
	octets, err := c.ReadMsgHeader(nil)
	if err != nil {
		return 0, nil, err
	}
	m = new(dns.Msg)
	return len(octets), m, m.Unpack(octets)
}
