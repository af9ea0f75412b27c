package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// patience is how long a test waits for what should come at once: it is for a machine
// with much else to do. For Podman it is podmanPatience.
var patience = 10 * time.Second

// podmanPatience is as long as ten calls of Podman's info: 5.4 takes a second for one on an idle machine, for
// which it runs other programs, and each coredns begins with one.
const podmanPatience = 30 * time.Second

// eventually waits until check holds and returns how long that took.
func eventually(t *testing.T, check func() error) time.Duration {
	t.Helper()
	return within(t, patience, check)
}

// within is eventually for what takes its time.
func within(t *testing.T, limit time.Duration, check func() error) time.Duration {
	t.Helper()
	begin := time.Now()
	if err := until(limit, check); err != nil {
		t.Fatalf("not within %v: %v", limit, err)
	}
	return time.Since(begin)
}

// until waits until the check has nothing against it, and returns what it has when the time is over.
func until(limit time.Duration, check func() error) error {
	for begin := time.Now(); ; time.Sleep(2 * time.Millisecond) {
		if err := check(); err == nil || time.Since(begin) > limit {
			return err
		}
	}
}

// zones gives the tests' servers the zone docker. and the reverse of Docker's own ranges and Podman's.
const zones = "docker. 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16"

func (s *server) ask(name string, qtype uint16) *dns.Msg {
	s.t.Helper()
	m, err := rig.Ask("udp", s.Addr, name, qtype)
	if err != nil {
		s.t.Fatalf("asking %s %s: %v", name, dns.TypeToString[qtype], err)
	}
	return m
}

// Outcomes of a query that have no answer, as outcome tells them.
const (
	nodata   = "NODATA"
	nxdomain = "NXDOMAIN"
)

// outcome tells a response in short: the data of its answers, sorted, or nodata, or the
// name of its response code. A negative answer without its SOA is told as such.
func outcome(m *dns.Msg) string {
	told := dns.RcodeToString[m.Rcode]
	if m.Rcode == dns.RcodeSuccess {
		told = nodata
	}
	if (told == nodata || told == nxdomain) && len(m.Answer) == 0 {
		if len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != dns.TypeSOA {
			return told + " without SOA"
		}
		return told
	}
	data := rig.Data(m.Answer)
	if m.Rcode != dns.RcodeSuccess || len(data) == 0 {
		data = append([]string{told}, data...)
	}
	return strings.Join(data, " ")
}

// wants says how the answer to a question differs from what is wanted: addresses or
// other data in any order, or an outcome without data.
func (s *server) wants(name string, qtype uint16, want ...string) error {
	s.t.Helper()
	want = slices.Sorted(slices.Values(want))
	m := s.ask(name, qtype)
	if got := outcome(m); got != strings.Join(want, " ") {
		return fmt.Errorf("%s %s: got %s, want %s", name, dns.TypeToString[qtype], got, strings.Join(want, " "))
	}
	return nil
}

// check is wants for what must hold now.
func (s *server) check(name string, qtype uint16, want ...string) {
	s.t.Helper()
	if err := s.wants(name, qtype, want...); err != nil {
		s.t.Error(err)
	}
}

// soon is wants for what must hold within a moment.
func (s *server) soon(name string, qtype uint16, want ...string) time.Duration {
	s.t.Helper()
	return eventually(s.t, func() error { return s.wants(name, qtype, want...) })
}

// wantsNone says whether a name has data of a type. How it has none is left open.
func (s *server) wantsNone(name string, qtype uint16) error {
	s.t.Helper()
	if got := outcome(s.ask(name, qtype)); got != nodata && got != nxdomain {
		return fmt.Errorf("%s %s: got %s, want none", name, dns.TypeToString[qtype], got)
	}
	return nil
}

// agrees says how DNS in zone docker. differs from docker inspect on a container.
func (s *server) agrees(c inspection) error {
	s.t.Helper()
	v4, v6 := c.addrs()
	for _, name := range []string{c.name(), c.shortID(), c.Config.Hostname} {
		if err := s.has(name+".docker.", dns.TypeA, v4); err != nil {
			return err
		}
		if err := s.has(name+".docker.", dns.TypeAAAA, v6); err != nil {
			return err
		}
	}
	for _, addr := range append(v4, v6...) {
		if err := s.wants(reverse(s.t, addr), dns.TypePTR, c.name()+".docker."); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) has(name string, qtype uint16, addrs []string) error {
	s.t.Helper()
	if len(addrs) == 0 {
		return s.wantsNone(name, qtype)
	}
	return s.wants(name, qtype, addrs...)
}

func reverse(t *testing.T, addr string) string {
	t.Helper()
	name, err := dns.ReverseAddr(netip.MustParseAddr(addr).String())
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// upstream is the world beyond, for forward: it knows example.org and counts.
type upstream struct {
	addr string

	mu    sync.Mutex // guards asked
	asked map[string]int
}

const exampleOrg = "198.51.100.80" // what upstream answers for example.org

func startUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{addr: loopback(freePort(t, "127.0.0.1")), asked: map[string]int{}}
	for _, network := range []string{"udp", "tcp"} {
		rig.ServeDNS(t, network, u.addr, u.ServeDNS)
	}
	return u
}

// ServeDNS answers A of example.org, and no other name.
func (u *upstream) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	m := new(dns.Msg).SetReply(req)
	m.RecursionAvailable = true
	name := strings.ToLower(req.Question[0].Name)
	u.mu.Lock()
	u.asked[name]++
	u.mu.Unlock()
	soa, _ := dns.NewRR(". 300 IN SOA up.invalid. up.invalid. 1 1 1 1 300")
	switch {
	case name != "example.org.":
		m.Rcode, m.Ns = dns.RcodeNameError, []dns.RR{soa}
	case req.Question[0].Qtype != dns.TypeA:
		m.Ns = []dns.RR{soa}
	default:
		rr, _ := dns.NewRR("example.org. 300 IN A " + exampleOrg)
		m.Answer = []dns.RR{rr}
	}
	w.WriteMsg(m)
}

func (u *upstream) count(name string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked[name]
}
