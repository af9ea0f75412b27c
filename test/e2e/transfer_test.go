package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

const transferKey = "transfer.key."

// transferTo is the transfer plugin's block.
func transferTo(lines string) string { return "transfer {\n" + lines + "\n}" }

// transfer asks for a zone transfer and returns its records.
func (s *server) transfer(m *dns.Msg, secrets map[string]string) (records []dns.RR, err error) {
	in := &dns.Transfer{TsigSecret: secrets}
	envelopes, err := in.In(m, s.Addr)
	if err != nil {
		return nil, err
	}
	for e := range envelopes {
		records, err = append(records, e.RR...), errors.Join(err, e.Error)
	}
	return records, err
}

// axfr is transfer of the whole zone docker.
func (s *server) axfr() []dns.RR {
	s.t.Helper()
	records, err := s.transfer(new(dns.Msg).SetAxfr("docker."), nil)
	if err != nil {
		s.t.Fatalf("AXFR: %v", err)
	}
	if err := framed(records); err != nil {
		s.t.Fatalf("AXFR: %v", err)
	}
	return records
}

// framed says whether the records are a zone between one SOA and the same again.
func framed(records []dns.RR) error {
	if len(records) < 3 {
		return fmt.Errorf("%d records", len(records))
	}
	for i, rr := range records {
		if _, is := rr.(*dns.SOA); is != (i == 0 || i == len(records)-1) {
			return fmt.Errorf("record %d of %d is %v", i+1, len(records), rr)
		}
	}
	if first, last := records[0].String(), records[len(records)-1].String(); first != last {
		return fmt.Errorf("begins with %s, ends with %s", first, last)
	}
	return nil
}

// data returns what transferred records hold for a name and a type, as outcome tells it.
func data(records []dns.RR, name string, qtype uint16) []string {
	var found []string
	for _, rr := range records {
		if h := rr.Header(); h.Name == name && h.Rrtype == qtype {
			found = append(found, strings.TrimPrefix(rr.String(), h.String()))
		}
	}
	slices.Sort(found)
	return found
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Keys: "docker. 172.16.0.0/12", Body: transferTo("to *") + "\ndocker"})
	web := "web-" + suffix()
	id := machine.run(t, "--name", web, "--hostname", "host-"+web, "--label", "coredns.dockerdiscovery.records="+allRecords())
	addr := machine.addr(t, id)
	s.soon(web+".docker.", dns.TypeTXT, `"hello world" "second"`)

	records := s.axfr()
	for _, want := range []struct {
		name  string
		qtype uint16
		data  []string
	}{
		{"docker.", dns.TypeNS, []string{"ns.dns.docker."}},
		{id[:12] + ".docker.", dns.TypeA, []string{addr}},
		{"host-" + web + ".docker.", dns.TypeA, []string{addr}},
		{web + ".docker.", dns.TypeA, []string{"192.0.2.1", addr}},
		{web + ".docker.", dns.TypeMX, []string{"10 mail." + web + ".docker."}},
		{"*.wild." + web + ".docker.", dns.TypeTXT, []string{`"any"`}},
		{"www." + web + ".docker.", dns.TypeCNAME, []string{web + ".docker."}},
		{"_sip._tcp." + web + ".docker.", dns.TypeSRV, []string{"0 0 5060 " + web + ".docker."}},
	} {
		slices.Sort(want.data)
		if got := data(records, want.name, want.qtype); !slices.Equal(got, want.data) {
			t.Errorf("AXFR, %s %s: got %q, want %q", want.name, dns.TypeToString[want.qtype], got, want.data)
		}
	}
	if len(data(records, "ns.dns.docker.", dns.TypeA)) == 0 {
		t.Error("AXFR: no address of the name server")
	}
	seen := map[string]bool{}
	for _, rr := range records[1:] {
		if seen[rr.String()] {
			t.Errorf("twice in AXFR: %v", rr)
		}
		seen[rr.String()] = true
		if !dns.IsSubDomain("docker.", rr.Header().Name) {
			t.Errorf("in AXFR of docker.: %v", rr)
		}
	}

	pointers, err := s.transfer(new(dns.Msg).SetAxfr("16.172.in-addr.arpa."), nil)
	if err == nil {
		err = framed(pointers)
	}
	if err != nil {
		t.Errorf("AXFR of a reverse zone: %v", err)
	}
	t.Logf("%d records in docker., %d in 16.172.in-addr.arpa.", len(records), len(pointers))

	// Other tests' containers come and go, and each time the serial grows.
	eventually(t, func() error {
		serial := s.serial()
		got, err := s.transfer(new(dns.Msg).SetIxfr("docker.", serial, "ns.dns.docker.", "hostmaster.docker."), nil)
		if err != nil {
			return err
		}
		if len(got) != 1 || got[0].(*dns.SOA).Serial != serial {
			return fmt.Errorf("IXFR from the present serial %d: got %d records, first %v", serial, len(got), got[0])
		}
		return nil
	})
	const before = 1_000_000 // hours ago: none of ours
	got, err := s.transfer(new(dns.Msg).SetIxfr("docker.", s.serial()-before, "ns.dns.docker.", "hostmaster.docker."), nil)
	if err == nil {
		err = framed(got)
	}
	if err != nil {
		t.Errorf("IXFR from a serial that is not known: %v", err)
	}
	serial := s.serial()
	late := machine.run(t)
	s.soon(late[:12]+".docker.", dns.TypeA, machine.addr(t, late))
	got, err = s.transfer(new(dns.Msg).SetIxfr("docker.", serial, "ns.dns.docker.", "hostmaster.docker."), nil)
	if err != nil || len(got) < 5 || framed(got) == nil || got[1].(*dns.SOA).Serial != serial || !slices.Equal(data(got, late[:12]+".docker.", dns.TypeA), []string{machine.addr(t, late)}) {
		t.Errorf("IXFR from serial %d, before a container was started: %v\n%v", serial, err, got)
	}
}

// serial is the zone's.
func (s *server) serial() uint32 {
	s.t.Helper()
	m := s.ask("docker.", dns.TypeSOA)
	if len(m.Answer) == 1 {
		if soa, ok := m.Answer[0].(*dns.SOA); ok {
			return soa.Serial
		}
	}
	s.t.Fatalf("no SOA: %v", m)
	return 0
}

// A serial never goes back, over a restart either.
func TestSerialAfterRestart(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Body: "docker docker."})
	before := s.serial()
	for range 3 {
		id := machine.run(t)
		s.soon(id[:12]+".docker.", dns.TypeA, machine.addr(t, id))
		after := s.serial()
		if int32(after-before) <= 0 {
			t.Fatalf("serial %d after %d and a change", after, before)
		}
		before = after
	}
	again := serve(t, config{Body: "docker docker."})
	if after := again.serial(); int32(after-before) <= 0 {
		t.Errorf("serial %d after %d and a restart", after, before)
	}
}

// Changes are told, but at most one a second.
func TestNotify(t *testing.T) {
	t.Parallel()
	n := listenForNotify(t)
	begin := time.Now()
	s := serve(t, config{Keys: "docker.", Body: transferTo("to "+n.addr) + "\ndocker"})
	for range 4 {
		before := time.Now()
		id := machine.run(t)
		s.soon(id[:12]+".docker.", dns.TypeA, machine.addr(t, id))
		eventually(t, func() error {
			if n.last().Before(before) {
				return fmt.Errorf("no NOTIFY of serial %d", s.serial())
			}
			return nil
		})
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	took := time.Since(begin)
	if most := int(took/time.Second) + 1; len(n.times) > most { // some may be late, and come close to the next
		t.Errorf("%d NOTIFYs in %v, want %d at most", len(n.times), took, most)
	}
	t.Logf("%d NOTIFYs in %v", len(n.times), took.Round(time.Millisecond))
}

// notified is a secondary that does no more than hear of changes to zone docker.
type notified struct {
	addr string

	mu    sync.Mutex // guards times
	times []time.Time
}

func listenForNotify(t *testing.T) *notified {
	t.Helper()
	n := &notified{addr: loopback(freePort(t, "127.0.0.1"))}
	rig.ServeDNS(t, "udp", n.addr, n.ServeDNS)
	return n
}

// ServeDNS takes note of a NOTIFY.
func (n *notified) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	if req.Opcode == dns.OpcodeNotify && req.Question[0].Name == "docker." {
		n.mu.Lock()
		n.times = append(n.times, time.Now())
		n.mu.Unlock()
	}
	w.WriteMsg(new(dns.Msg).SetReply(req))
}

func (n *notified) last() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.times) == 0 {
		return time.Time{}
	}
	return n.times[len(n.times)-1]
}

// Other projects' checkers have nothing against the zone.
func TestZoneCheckers(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Keys: "docker.", Body: transferTo("to *") + "\ndocker"})
	web := "web-" + suffix()
	machine.run(t, "--name", web, "--label", "coredns.dockerdiscovery.records="+allRecords())
	s.soon(web+".docker.", dns.TypeTXT, `"hello world" "second"`)
	text := &strings.Builder{}
	records := s.axfr()
	for _, rr := range records[:len(records)-1] {
		fmt.Fprintln(text, rr)
	}
	path := filepath.Join(t.TempDir(), "docker.zone")
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, checker := range [][]string{
		{"named-checkzone", "-i", "local", "docker.", path}, // local: no other zones' servers are asked
		{"kzonecheck", "-o", "docker.", path},
		{"nsd-checkzone", "docker.", path},
	} {
		t.Run(checker[0], func(t *testing.T) {
			out, err := exec.Command(installed(t, checker[0]), checker[1:]...).CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s\nof\n%s", err, out, text)
			}
		})
	}
}

// Where a key is required, who has it gets the zone and nobody else.
func TestTransferKey(t *testing.T) {
	t.Parallel()
	raw := make([]byte, 32)
	rand.Read(raw)
	secret := base64.StdEncoding.EncodeToString(raw)
	port := freePort(t, "127.0.0.1")
	s := serve(t, config{Keys: "docker.", Body: fmt.Sprintf("tsig {\nsecret %s %s\nrequire AXFR IXFR\n}\n", transferKey, secret) +
		transferTo("to "+loopback(port)) + "\ndocker"})
	web := "web-" + suffix()
	id := machine.run(t, "--name", web)
	addr := machine.addr(t, id)
	s.soon(web+".docker.", dns.TypeA, addr)

	signed := func(secret string) ([]dns.RR, error) {
		m := new(dns.Msg).SetAxfr("docker.")
		m.SetTsig(transferKey, dns.HmacSHA256, 300, time.Now().Unix())
		return s.transfer(m, map[string]string{transferKey: secret})
	}
	records, err := signed(secret)
	if err == nil {
		err = framed(records)
	}
	if err != nil || !slices.Equal(data(records, web+".docker.", dns.TypeA), []string{addr}) {
		t.Errorf("AXFR with the key: %v, %d records", err, len(records))
	}
	if records, err := signed(base64.StdEncoding.EncodeToString(raw[1:])); err == nil {
		t.Errorf("AXFR with another key: got %d records", len(records))
	}
	if records, err := s.transfer(new(dns.Msg).SetAxfr("docker."), nil); err == nil {
		t.Errorf("AXFR without a key: got %d records", len(records))
	}

	t.Run("BIND", func(t *testing.T) {
		bind := secondary{"BIND", "named", []string{"-g", "-n", "1", "-c"}, bindConfig(secret)}.start(t, port, s)
		bind.takes(web+".docker.", dns.TypeA, addr)
		bind.follows()
	})
}
