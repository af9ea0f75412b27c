package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// secondary is a name server that takes zone docker. over from a primary.
type secondary struct {
	name    string
	program string   // "" is our own binary
	args    []string // the configuration's path follows
	config  string   // of DIR, the PORT to listen on and the PRIMARY's port
}

var secondaries = []secondary{
	{"NSD", "nsd", []string{"-d", "-c"}, `
server:
	ip-address: 127.0.0.1@PORT
	username: ""
	chroot: ""
	pidfile: ""
	database: ""
	xfrdfile: ""
	zonesdir: "DIR"
	zonelistfile: "DIR/zones"
	xfrdir: "DIR"
	server-count: 1
remote-control:
	control-enable: no
zone:
	name: docker.
	zonefile: docker.zone
	allow-notify: 127.0.0.1 NOKEY
	request-xfr: 127.0.0.1@PRIMARY NOKEY
`},
	{"BIND", "named", []string{"-g", "-n", "1", "-c"}, bindConfig("")},
	{"Knot", "knotd", []string{"-c"}, `
server:
    listen: 127.0.0.1@PORT
    rundir: DIR
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
control:
    listen: DIR/control
log:
  - target: stderr
    any: info
database:
    storage: DIR
remote:
  - id: primary
    address: 127.0.0.1@PRIMARY
acl:
  - id: notify
    address: 127.0.0.1
    action: notify
zone:
  - domain: docker.
    storage: DIR
    master: primary
    acl: notify
`},
	{"CoreDNS", "", []string{"-conf"}, `
docker.:PORT {
	bind 127.0.0.1
	errors
	secondary {
		transfer from 127.0.0.1:PRIMARY
	}
}
`},
}

// bindConfig is a configuration for BIND, which signs what it asks if a key is given.
func bindConfig(secret string) string {
	key, use := "", ""
	if secret != "" {
		key, use = fmt.Sprintf("key %q { algorithm hmac-sha256; secret %q; };", transferKey, secret), "key "+transferKey
	}
	return key + `
options {
	directory "DIR";
	pid-file none;
	lock-file none;
	session-keyfile none;
	listen-on port PORT { 127.0.0.1; };
	listen-on-v6 { none; };
	recursion no;
	dnssec-validation no;
	empty-zones-enable no;
	notify no;
};
controls { };
zone "docker" {
	type secondary;
	primaries { 127.0.0.1 port PRIMARY ` + use + `; };
	file "docker.zone";
	masterfile-format text;
};
`
}

// start starts the secondary. It skips the test where the program is not installed.
func (n secondary) start(t *testing.T, port int, primary *server) *server {
	t.Helper()
	dir := filepath.Join(folder, "secondary-"+suffix())
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := binary
	if n.program != "" {
		// A copy, since a distribution's AppArmor profile goes by the path and allows
		// the distribution's folders alone.
		installed := installed(t, n.program)
		program = filepath.Join(dir, n.program)
		if out, err := exec.Command("cp", installed, program).CombinedOutput(); err != nil {
			t.Fatalf("cp: %v: %s", err, out)
		}
	}
	_, primaryPort, _ := net.SplitHostPort(primary.Addr)
	config := strings.NewReplacer("DIR", dir, "PORT", fmt.Sprint(port), "PRIMARY", primaryPort).Replace(n.config)
	path := filepath.Join(dir, "config")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return spawn(t, loopback(port), program, append(n.args, path)...)
}

// installed returns the path of another project's program, without which the test is skipped.
func installed(t *testing.T, program string) string {
	t.Helper()
	for _, path := range []string{program, "/usr/sbin/" + program, "/usr/bin/" + program} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Skipf("%s is not installed (test/with-engine installs it for root on Debian or Ubuntu)", program)
	return ""
}

// Name servers of other makes take the zone over and follow it.
func TestSecondaries(t *testing.T) {
	t.Parallel()
	for _, other := range secondaries {
		t.Run(other.name, func(t *testing.T) {
			t.Parallel()
			port := freePort(t, "127.0.0.1")
			primary := serve(t, config{Keys: "docker.", Body: transferTo("to "+loopback(port)) + "\ndocker"})
			web := "web-" + suffix()
			id := machine.run(t, "--name", web, "--label", "coredns.dockerdiscovery.records="+allRecords())
			addr := machine.addr(t, id)
			primary.soon(web+".docker.", dns.TypeTXT, `"hello world" "second"`)

			s := other.start(t, port, primary)
			for _, c := range recordCases {
				s.takes(inZone(c.name, web), c.qtype, forContainer(c.want, web, addr)...)
			}
			s.follows()
		})
	}
}

// A secondary that does not run, or can't be reached, while the last of a burst of changes is told
// has it soon after it is back.
func TestSecondaryDown(t *testing.T) {
	t.Parallel()
	const down, limit = 20 * time.Second, 20 * time.Second
	for _, other := range secondaries {
		for _, unreachable := range []bool{false, true} {
			if other.name != "BIND" && other.name != "NSD" {
				continue
			}
			t.Run(fmt.Sprintf("%s unreachable %v", other.name, unreachable), func(t *testing.T) {
				t.Parallel()
				port := freePort(t, "127.0.0.1")
				link := newLink(t, loopback(port))
				primary := serve(t, config{Keys: "docker.", Body: transferTo("to "+link.addr) + "\ndocker"})
				first := "first-" + suffix()
				id := machine.run(t, "--name", first)
				s := other.start(t, port, primary)
				s.takes(first+".docker.", dns.TypeA, machine.addr(t, id))

				link.down.Store(true)
				if !unreachable {
					if err := s.Stop(patience); err != nil {
						t.Error(err)
					}
				}
				back := time.After(down)
				machine.do(t, "rm", "-f", id)
				var last string
				for range 5 {
					last = "last-" + suffix()
					id = machine.run(t, "--name", last)
				}
				addr := machine.addr(t, id)
				<-back
				link.down.Store(false)
				if !unreachable {
					s = spawn(t, s.Addr, s.Cmd.Path, s.Cmd.Args[1:]...)
				}
				took := within(t, limit, func() error {
					return errors.Join(s.hasTaken(last+".docker.", dns.TypeA, addr), s.hasTaken(first+".docker.", dns.TypeA, nxdomain))
				})
				t.Logf("right %v after it is back", took.Round(time.Millisecond))
				// It may have failed once before, while the secondary had not begun to listen.
				if lines := primary.Log.Lines(link.addr); len(lines) > 4 {
					t.Errorf("logged, want a line for a failure and one for its end, twice at most:\n%s", strings.Join(lines, "\n"))
				}
			})
		}
	}
}

// link is a way to a secondary, for NOTIFY.
type link struct {
	addr, to string
	down     atomic.Bool
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	l := &link{addr: loopback(freePort(t, "127.0.0.1")), to: to}
	rig.ServeDNS(t, "udp", l.addr, l.ServeDNS)
	return l
}

// ServeDNS passes a message on unless the link is down.
func (l *link) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	if l.down.Load() {
		return
	}
	if reply, err := dns.Exchange(req, l.to); err == nil { // else it is lost, as on any link
		w.WriteMsg(reply)
	}
}

// A secondary that is down delays no other.
func TestSecondaryBesideDead(t *testing.T) {
	t.Parallel()
	dead, err := net.ListenPacket("udp", "127.0.0.1:0") // which never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dead.Close() })
	port := freePort(t, "127.0.0.1")
	primary := serve(t, config{Keys: "docker. 172.16.0.0/12", Body: transferTo("to "+dead.LocalAddr().String()+" "+loopback(port)) + "\ndocker"})
	for _, other := range secondaries {
		if other.name == "BIND" {
			s := other.start(t, port, primary)
			s.takes("docker.", dns.TypeNS, "ns.dns.docker.")
			for range 3 {
				s.follows()
			}
		}
	}
}

// takes waits until the secondary has an answer from its primary.
func (s *server) takes(name string, qtype uint16, want ...string) time.Duration {
	s.t.Helper()
	slices.Sort(want)
	return within(s.t, 2*patience, func() error { return s.hasTaken(name, qtype, want...) })
}

// hasTaken says whether the secondary has an answer, sorted, from its primary.
func (s *server) hasTaken(name string, qtype uint16, want ...string) error {
	s.t.Helper()
	if got := s.told(name, qtype); got != strings.Join(want, " ") {
		return fmt.Errorf("%s %s: got %s, want %q", name, dns.TypeToString[qtype], got, want)
	}
	return nil
}

// told is the outcome of a query to a secondary. It may be in vain: NSD loses queries
// while a new process of its takes over with a new zone.
func (s *server) told(name string, qtype uint16) string {
	s.t.Helper()
	if err := s.Alive(); err != nil {
		s.t.Fatal(err)
	}
	client := &dns.Client{Timeout: 200 * time.Millisecond}
	m, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, qtype), s.Addr)
	if err != nil {
		return err.Error()
	}
	return outcome(m)
}

// follows measures how far the secondary is behind the engine.
func (s *server) follows() {
	s.t.Helper()
	const limit = 5 * time.Second // 2 s are promised; one of ours and, with NSD, one of its own come together on a busy machine
	var run, rm time.Duration
	for range 3 { // a NOTIFY may be lost, as NSD loses one while it loads a zone, and is repeated
		late := "late-" + suffix()
		id := machine.run(s.t, "--name", late)
		run = s.takes(late+".docker.", dns.TypeA, machine.addr(s.t, id))
		machine.do(s.t, "rm", "-f", id)
		rm = s.takes(late+".docker.", dns.TypeA, nxdomain)
		s.t.Logf("right %v after docker run and %v after docker rm", run.Round(time.Millisecond), rm.Round(time.Millisecond))
		if run <= limit && rm <= limit {
			return
		}
	}
	s.t.Errorf("behind by %v and %v, want at most %v", run, rm, limit)
}
