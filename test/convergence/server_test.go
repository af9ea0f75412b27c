package convergence

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/transfer"
	"github.com/miekg/dns"

	_ "github.com/dockerdiscovery/dockerdiscovery/plugin/dockerdiscovery"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

func init() { inprocess.Use("docker") }

// server is a CoreDNS in this process.
type server struct {
	*inprocess.Server
	udp, tcp string
	conn     *dns.Conn // for transfers, nil if there is none
}

var started atomic.Uint32

// elsewhere is the source address of who asks from elsewhere, which the Corefile says to be a forwarder's.
var elsewhere = netip.AddrFrom4([4]byte{127, 255, 0, 1})

// startServer starts a server that watches the engines. Of several each has a host with a name and addresses of its own.
func startServer(sites []*site, hold time.Duration) (*server, error) {
	// Each has an address of its own. CoreDNS shares its ports (SO_REUSEPORT), so that of
	// two on one address the kernel may give both the same one.
	n := started.Add(1)
	ip := netip.AddrFrom4([4]byte{127, byte(1 + os.Getpid()%250), byte(n / 250), byte(1 + n%250)})
	var lines []string
	for _, s := range sites {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("endpoint unix://%s %s %s", s.proxy.socket, s.on.label, strings.Trim(fmt.Sprint(s.on.addrs), "[]"))))
	}
	if len(sites) > 1 {
		lines = append(lines, "publish", "transfer_view host", fmt.Sprint("forwarders ", elsewhere), fmt.Sprint("ttl ", ttl))
	}
	corefile := fmt.Sprintf(`.:0 {
		bind %s
		transfer {
			to *
		}
		docker docker. 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fd00::/8 {
			%s
			resync 1s
			hold %s
		}
	}`, ip, strings.Join(lines, "\n"), hold)
	s, err := inprocess.Start(corefile)
	if err != nil {
		return nil, err
	}
	udp, tcp, err := s.Addrs()
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	up := &server{Server: s, udp: udp.String(), tcp: tcp.String()}
	if err := up.await(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return up, nil
}

// await waits until all engines have told who runs: until then a name that nobody has may be SERVFAIL, and a start does not wait for
// each of several on a busy machine.
func (s *server) await() error {
	for end := time.Now().Add(deadline); ; {
		m, err := rig.Ask("udp", s.udp, "nobody."+zone, dns.TypeA)
		switch {
		case err == nil && m.Rcode == dns.RcodeNameError:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("a name that nobody has is not denied after %s: %v, %v", deadline, m, err)
		}
	}
}

func (s *server) stop(t *testing.T) {
	s.hangUp()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// reverseZone is the zone of the address's PTR record among those that the server has.
func reverseZone(ip netip.Addr) string {
	b := ip.AsSlice()
	switch {
	case ip.Is6():
		return "d.f.ip6.arpa."
	case b[0] == 10:
		return "10.in-addr.arpa."
	case b[0] == 192:
		return "168.192.in-addr.arpa."
	default:
		return fmt.Sprintf("%d.%d.in-addr.arpa.", b[1], b[0])
	}
}

// transfer returns the address and PTR records of the zones.
func (s *server) transfer(zones ...string) (records, error) {
	got := records{}
	for _, apex := range zones {
		if err := s.transferZone(got, apex); err != nil {
			s.hangUp()
			return nil, fmt.Errorf("transfer of %s: %w", apex, err)
		}
	}
	return got, nil
}

// transferZone adds the zone's records. Transfers share one connection: one each would fill the
// machine's connection tracking with closed ones.
func (s *server) transferZone(got records, apex string) error {
	if s.conn == nil {
		conn, err := dns.DialTimeout("tcp", s.tcp, transferTimeout)
		if err != nil {
			return err
		}
		s.conn = conn
	}
	if err := s.conn.SetDeadline(time.Now().Add(transferTimeout)); err != nil {
		return err
	}
	query := new(dns.Msg).SetAxfr(apex)
	if err := s.conn.WriteMsg(query); err != nil {
		return err
	}
	for soas := 0; soas < 2; { // it begins and ends with the SOA, RFC 5936 §2.2
		m, err := s.conn.ReadMsg()
		switch {
		case err != nil:
			return err
		case m.Id != query.Id || m.Rcode != dns.RcodeSuccess || len(m.Answer) == 0:
			return fmt.Errorf("unexpected answer %v", m)
		}
		for _, rr := range m.Answer {
			if rr.Header().Rrtype == dns.TypeSOA {
				soas++
			}
			if owner := rr.Header().Name; owner != "ns.dns."+apex {
				if data := text(rr); data != "" {
					got.add(owner, rr.Header().Rrtype, data)
				}
			}
		}
	}
	return nil
}

const transferTimeout = 2 * time.Second

func (s *server) hangUp() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// text is the data of an address or PTR record, "" of others.
func text(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.A:
		return rr.A.String()
	case *dns.AAAA:
		return rr.AAAA.String()
	case *dns.PTR:
		return rr.Ptr
	}
	return ""
}

// legal is what has been true at any time since the last quiet point.
type legal struct {
	views []view

	mu      sync.Mutex // guards the following
	names   []string   // all that may ever be, relative to the zone
	shorts  []string   // short IDs of all containers that ever were
	addrs   []netip.Addr
	records records // by the view's who and the owner
}

func newLegal(views []view) *legal { return &legal{views: views, records: records{}} }

// know has the prober ask for the names and their twins.
func (l *legal) know(names ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range names {
		for _, n := range []string{n, strings.ReplaceAll(n, "_", "-")} {
			if !slices.Contains(l.names, n) {
				l.names = append(l.names, n)
			}
		}
	}
}

// knowID is know for a container's short ID.
func (l *legal) knowID(short string) {
	l.know(short)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shorts = append(l.shorts, short)
}

// ids returns the short IDs of all containers that ever were.
func (l *legal) ids() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.shorts)
}

// everything returns all names and addresses that there ever were.
func (l *legal) everything() ([]string, []netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.names), slices.Clone(l.addrs)
}

// known returns all addresses that ever were a container's.
func (l *legal) known() []netip.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.addrs)
}

// add lets the container's addresses answer for all of its names.
func (l *legal) add(f *facts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range l.views {
		for _, c := range f.claims() {
			for _, ip := range v.reached(claimed{c, f}) {
				l.records.add(v.who+c.name+"."+zone, addressType(ip), ip.String())
			}
		}
		if v.own != nil && v.own != f.on {
			continue
		}
		for _, ip := range f.addrs("") {
			for _, name := range []string{f.name, f.name + "." + f.on.label, f.id[:12]} { // these for as long as another is taken to have the name
				l.records.add(v.who+reverse(ip), dns.TypePTR, name+"."+zone)
			}
		}
	}
	for _, ip := range f.addrs("") {
		if !slices.Contains(l.addrs, ip) {
			l.addrs = append(l.addrs, ip)
		}
	}
}

// restart begins a new time at a quiet point.
func (l *legal) restart(now []facts) {
	l.mu.Lock()
	l.records = records{}
	l.mu.Unlock()
	for i := range now {
		l.add(&now[i])
	}
}

// question returns something to ask.
func (l *legal) question(r *rand.Rand) (v view, name string, qtype uint16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v = l.views[0]; len(l.views) > 1 {
		v = l.views[r.IntN(len(l.views))]
	}
	if len(l.addrs) > 0 && r.IntN(5) == 0 {
		return v, reverse(l.addrs[r.IntN(len(l.addrs))]), dns.TypePTR
	}
	return v, l.names[r.IntN(len(l.names))] + "." + zone, []uint16{dns.TypeA, dns.TypeA, dns.TypeAAAA}[r.IntN(3)]
}

// answers are what a prober got: by who asked, owner and type the different contents of answers, each
// with its records' data in order. A failure is told as such.
type answers map[string]map[string]bool

// inFlight is how many questions are asked at a time. Some of the names that nobody has wait for an engine to say so.
const inFlight = 100

// ask returns the records of the names and addresses as the view has them.
func (s *server) ask(v view, names []string, addrs []netip.Addr) (records, error) {
	dialer := net.Dialer{LocalAddr: v.from()}
	c, err := dialer.Dial("udp", s.udp)
	if err != nil {
		return nil, err
	}
	conn := &dns.Conn{Conn: c}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(deadline)); err != nil {
		return nil, err
	}
	var questions []dns.Question
	for _, name := range names {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			questions = append(questions, dns.Question{Name: name + "." + zone, Qtype: qtype, Qclass: dns.ClassINET})
		}
	}
	for _, ip := range addrs {
		questions = append(questions, dns.Question{Name: reverse(ip), Qtype: dns.TypePTR, Qclass: dns.ClassINET})
	}
	got := records{}
	for asked, answered := 0, 0; answered < len(questions); answered++ {
		for ; asked < min(answered+inFlight, len(questions)); asked++ {
			m := &dns.Msg{MsgHdr: dns.MsgHdr{Id: uint16(asked)}, Question: questions[asked : asked+1]}
			if err := conn.WriteMsg(m); err != nil {
				return nil, err
			}
		}
		m, err := conn.ReadMsg()
		if err != nil {
			return nil, err
		}
		q := questions[m.Id]
		if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
			return nil, fmt.Errorf("%s%s %s: %s", v.who, q.Name, dns.TypeToString[q.Qtype], dns.RcodeToString[m.Rcode])
		}
		for _, rr := range m.Answer {
			data := text(rr)
			if v.ttls && q.Qtype != dns.TypePTR {
				data = fmt.Sprintf("%s TTL=%d", data, rr.Header().Ttl)
			}
			got.add(q.Name, q.Qtype, data)
		}
	}
	return got, nil
}

// from is the source address of the view's questions, nil for any.
func (v view) from() net.Addr {
	if v.own != nil {
		return nil
	}
	return &net.UDPAddr{IP: elsewhere.AsSlice()}
}

// probe asks until the context's end.
func probe(ctx context.Context, s *server, l *legal, r *rand.Rand, every time.Duration) answers {
	got := answers{}
	askers := map[view]*rig.Asker{}
	for _, v := range l.views {
		askers[v] = &rig.Asker{Server: s.udp, From: v.from()}
		defer askers[v].Close()
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return got
		case <-tick.C:
		}
		v, name, qtype := l.question(r)
		m, err := askers[v].Ask(name, qtype)
		if err != nil {
			continue // a datagram may be lost
		}
		content := ""
		if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
			content = "! " + dns.RcodeToString[m.Rcode]
		} else {
			var data []string
			for _, rr := range m.Answer {
				data = append(data, text(rr))
			}
			slices.Sort(data)
			content = strings.Join(data, " ")
		}
		key := v.who + name + " " + dns.TypeToString[qtype]
		if got[key] == nil {
			got[key] = map[string]bool{}
		}
		got[key][content] = true
	}
}

// wrong returns the answers that were never right since the last quiet point.
func (l *legal) wrong(got answers) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	wrong := map[string]bool{}
	for key, contents := range got {
		for content := range contents {
			if strings.HasPrefix(content, "!") {
				wrong[key+" "+content] = true
				continue
			}
			for _, data := range strings.Fields(content) {
				if !l.records[key+" "+data] {
					wrong[key+" "+data] = true
				}
			}
		}
	}
	return sorted(wrong)
}
