// Package secondaries has name servers of other makes take our zones over from the real coredns, set up as docs/secondaries.md says.
//
// The engine is an enginetest in the test's process. The test that runs with all others makes a few hundred changes; `make
// test-secondaries` makes ten thousand.
package secondaries

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// patience is how long something may take on a busy machine.
const patience = 2 * time.Minute

var binary string // the coredns under test

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "secondaries")
	if err == nil {
		binary = filepath.Join(dir, "coredns")
		err = rig.Build("../..", binary)
	}
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, "building coredns:", err)
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// serve starts our server, which stays until the test's end.
func serve(t *testing.T, c rig.Config) *rig.Server {
	t.Helper()
	c.Binary, c.Dir = binary, t.TempDir()
	s, err := rig.Serve(c)
	if err != nil {
		t.Fatal(err)
	}
	s.StopAfter(t, patience)
	if err := s.AwaitReady(patience); err != nil {
		t.Fatal(err)
	}
	return s
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := rig.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// kind is a name server of another make.
type kind struct {
	name, program string
	args          []string // the configuration's path follows
	shown         string   // what stands before its configuration in docs/secondaries.md
	config        func(shown, dir string, port, primary int) string
}

var makes = []kind{
	{"BIND", "named", []string{"-g", "-n", "1", "-d", "3", "-c"}, "BIND, from 9.18 on:", func(shown, dir string, port, primary int) string {
		ours := fmt.Sprintf(`options {
	directory %q;
	pid-file none;
	lock-file none;
	session-keyfile none;
	listen-on port %d { 127.0.0.1; };
	listen-on-v6 { none; };
	dnssec-validation no;
	notify no;
	allow-transfer { 127.0.0.1; };`, dir, port)
		return strings.NewReplacer("options {", ours, "192.0.2.1;", fmt.Sprintf("127.0.0.1 port %d;", primary)).Replace(shown) + "controls { };\n"
	}},
	{"Knot", "knotd", []string{"-c"}, "Knot, from 3.1 on:", func(shown, dir string, port, primary int) string {
		ours := fmt.Sprintf(`
server:
    listen: 127.0.0.1@%d
    rundir: %[2]s
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
control:
    listen: %[2]s/control
log:
  - target: stderr
    any: info
database:
    storage: %[2]s
`, port, dir)
		shown = strings.NewReplacer("192.0.2.1", fmt.Sprint("127.0.0.1@", primary), "action: notify", "action: [notify, transfer]",
			"id: member", "id: member\n    storage: "+dir, "catalog.invalid", "catalog.invalid\n    storage: "+dir).Replace(shown)
		return ours + shown
	}},
}

// shown returns the block that stands in the manual after the text.
func shown(t *testing.T, after string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/secondaries.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n"+after+"\n\n```")
	_, rest, opened := strings.Cut(rest, "\n")
	block, _, closed := strings.Cut(rest, "```")
	if !found || !opened || !closed {
		t.Fatalf("docs/secondaries.md shows nothing after %q", after)
	}
	return block
}

// secondary is a running one.
type secondary struct {
	*rig.Process
	kind
	addr string
}

// start starts a secondary of the primary on that port. It returns nil where the program is not installed.
func (m kind) start(t *testing.T, port, primary int) *secondary {
	t.Helper()
	installed := ""
	for _, path := range []string{m.program, "/usr/sbin/" + m.program} {
		if found, err := exec.LookPath(path); err == nil {
			installed = found
		}
	}
	if installed == "" {
		t.Logf("%s is not installed (test/with-engine installs it for root on Debian or Ubuntu)", m.program)
		return nil
	}
	dir := t.TempDir()
	// A copy, since a distribution's AppArmor profile goes by the path and allows the distribution's folders alone.
	program, path := filepath.Join(dir, m.program), filepath.Join(dir, "config")
	if out, err := exec.Command("cp", installed, program).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	if err := os.WriteFile(path, []byte(m.config(shown(t, m.shown), dir, port, primary)), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := rig.Start(exec.Command(program, append(m.args, path)...))
	if err != nil {
		t.Fatal(err)
	}
	p.StopAfter(t, patience)
	return &secondary{p, m, loopback(port)}
}

// link is a way to a secondary, for NOTIFY.
type link struct {
	addr string
	down atomic.Bool
}

func newLink(t *testing.T, to int) *link {
	t.Helper()
	l := &link{addr: loopback(freePort(t))}
	rig.ServeDNS(t, "udp", l.addr, func(w dns.ResponseWriter, r *dns.Msg) {
		if l.down.Load() {
			return
		}
		if reply, err := dns.Exchange(r, loopback(to)); err == nil { // else it is lost, as on any link
			w.WriteMsg(reply)
		}
	})
	return l
}

// replica is a zone's state: the serial and the records but the SOA.
type replica struct {
	serial  uint32
	records map[string]bool
}

// serial asks for a zone's. One that is not from us, as BIND's automatic empty ones, has none.
func serial(addr, zone string) (uint32, error) {
	q := new(dns.Msg).SetQuestion(zone, dns.TypeSOA)
	q.RecursionDesired = false // else BIND asks the Internet for a zone that it does not have
	r, err := dns.Exchange(q, addr)
	if err != nil {
		return 0, err
	}
	if len(r.Answer) == 1 {
		if soa, ok := r.Answer[0].(*dns.SOA); ok && soa.Ns == "ns.dns."+zone {
			return soa.Serial, nil
		}
	}
	return 0, fmt.Errorf("%s has no SOA of our %s: %s", addr, zone, dns.RcodeToString[r.Rcode])
}

// receive returns the records of a transfer.
func receive(addr string, m *dns.Msg) (rrs []dns.RR, err error) {
	ch, err := new(dns.Transfer).In(m, addr)
	if err != nil {
		return nil, err
	}
	for env := range ch {
		rrs, err = append(rrs, env.RR...), errors.Join(err, env.Error)
	}
	return rrs, err
}

// axfr takes the whole zone over.
func axfr(addr, zone string) (replica, error) {
	rrs, err := receive(addr, new(dns.Msg).SetAxfr(zone))
	if err != nil {
		return replica{}, err
	}
	return whole(rrs)
}

func whole(rrs []dns.RR) (replica, error) {
	r := replica{records: map[string]bool{}}
	for i, rr := range rrs {
		soa, is := rr.(*dns.SOA)
		switch {
		case is != (i == 0 || i == len(rrs)-1):
			return r, fmt.Errorf("record %d of %d is %s", i+1, len(rrs), rr)
		case is:
			r.serial = soa.Serial
		default:
			r.records[rr.String()] = true
		}
	}
	return r, nil
}

// follow takes what has changed over, as RFC 1995 says, and reports whether it came as increments.
func (r *replica) follow(addr, zone string) (increments bool, err error) {
	rrs, err := receive(addr, new(dns.Msg).SetIxfr(zone, r.serial, "ns.dns."+zone, "hostmaster."+zone))
	switch {
	case err != nil, len(rrs) == 1:
		return false, err
	}
	if soa, ok := rrs[1].(*dns.SOA); !ok || soa.Serial == rrs[0].(*dns.SOA).Serial {
		*r, err = whole(rrs)
		return false, err
	}
	removing := false
	for _, rr := range rrs[1 : len(rrs)-1] {
		if soa, ok := rr.(*dns.SOA); ok {
			if removing = !removing; removing && soa.Serial != r.serial {
				return true, fmt.Errorf("leads on from %d, want %d", soa.Serial, r.serial)
			}
			r.serial = soa.Serial
			continue
		}
		if r.records[rr.String()] != removing {
			return true, fmt.Errorf("is removed %v, and there %v: %s", removing, !removing, rr)
		}
		if removing {
			delete(r.records, rr.String())
		} else {
			r.records[rr.String()] = true
		}
	}
	return true, nil
}

// differs says how the replica differs from what is right, "" if it does not.
func (r *replica) differs(right *replica) string {
	var lines []string
	for rr := range right.records {
		if !r.records[rr] {
			lines = append(lines, "lacks "+rr)
		}
	}
	for rr := range r.records {
		if !right.records[rr] {
			lines = append(lines, "has "+rr)
		}
	}
	if r.serial != right.serial {
		lines = append(lines, fmt.Sprintf("serial %d, want %d", r.serial, right.serial))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
