package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/socket"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

// setUp is a machine and a server for doctor, on which all is well until a test changes it.
type setUp struct {
	machine
	off      bool // no server can be asked
	overview status.Overview
	hosts    status.HostPage
	names    []status.NamePage // each leads to the next
	zone     map[string]string // address by name, of the server
	system   map[string]string // likewise, of the system's resolver
	silent   []string          // where no DNS server answers
	held     []socket.Holder   // port 53
	links    map[string][]netip.Addr
	files    fstest.MapFS
}

func wellSetUp() *setUp {
	s := &setUp{
		overview: status.Overview{Blocks: []status.Info{
			{Key: "docker.:53", Zones: []string{"docker.", "17.172.in-addr.arpa."}, Listen: []string{"dns://127.0.0.1:53", "dns://172.17.0.1:53"}},
			{Key: "tls://lan.:853", Zones: []string{"lan."}, Listen: []string{"tls://:853"}},
		}},
		hosts: status.HostPage{Rows: []status.HostRow{
			{Block: "docker.:53", Host: status.Host{ID: "nas", Endpoint: "unix:///run/docker.sock", Engine: "28.5.2 (API 1.51)", State: "current", Containers: 2}},
			{Block: "tls://lan.:853", Host: status.Host{ID: "nas", Endpoint: "unix:///run/docker.sock", Engine: "28.5.2 (API 1.51)", State: "current", Containers: 2}},
		}},
		names: []status.NamePage{namePage("next", "_http._tcp.web.docker. 5 IN SRV 0 0 80 web.docker.", "*.app.docker. 5 IN A 172.17.0.9"), namePage("", "4f66ad9a0b2e.docker. 5 IN A 172.17.0.2", "six.docker. 5 IN AAAA fd00::2", "web.docker. 5 IN A 172.17.0.2")},
		zone:  map[string]string{"web.docker.": "172.17.0.2"}, system: map[string]string{"web.docker.": "172.17.0.2"},
		held:  []socket.Holder{holder("127.0.0.1:53", "dns"), holder("172.17.0.1:53", "dns")},
		links: map[string][]netip.Addr{"lo": {netip.MustParseAddr("127.0.0.1")}, docker0: {netip.MustParseAddr("fe80::1"), netip.MustParseAddr("172.17.0.1")}},
		files: fstest.MapFS{resolvConf: file("nameserver 127.0.0.53\n"), resolvedConf: file("nameserver 192.0.2.1\n")},
	}
	s.machine = machine{
		system: "linux",
		endpoint: func(func(error)) (engine.Endpoint, error) {
			return engine.Endpoint{Host: "unix:///var/run/docker.sock"}, nil
		},
		ping:       func(context.Context, engine.Endpoint) (string, error) { return "28.5.2 (API 1.51)", nil },
		holders:    func(string, string) []socket.Holder { return s.held },
		processes:  func(string) []int { return nil },
		interfaces: func() (map[string][]netip.Addr, error) { return s.links, nil },
		exchange: func(_ context.Context, server, name string, qtype uint16) (*dns.Msg, error) {
			if slices.Contains(s.silent, server) {
				return nil, errors.New("i/o timeout")
			}
			m := new(dns.Msg)
			if ip := s.zone[name]; ip != "" && qtype == dns.TypeA {
				m.Answer = []dns.RR{&dns.A{A: net.ParseIP(ip)}}
			}
			return m, nil
		},
		resolve: func(_ context.Context, name string) ([]netip.Addr, error) {
			switch ip := s.system[name]; ip {
			case "":
				return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
			case "timeout":
				return nil, &net.DNSError{Err: "i/o timeout", Name: name, IsTimeout: true}
			default:
				return []netip.Addr{netip.MustParseAddr("::ffff:" + ip)}, nil
			}
		},
	}
	return s
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func holder(addr, process string) socket.Holder {
	return socket.Holder{Addr: netip.MustParseAddrPort(addr), Process: process, ID: 7}
}

// namePage is a page of names, of records as in zone files.
func namePage(next string, records ...string) (p status.NamePage) {
	for _, r := range records {
		name, record, _ := strings.Cut(r, " ")
		p.Rows = append(p.Rows, status.NameRow{Block: "docker.:53", Name: status.Name{Zone: "docker.", Name: name, Owners: []string{"web"}, Records: []string{record}}})
	}
	p.Next = next
	return p
}

// examine has doctor look at the set-up.
func (s *setUp) examine(t *testing.T, args ...string) (printed string, code int) {
	t.Helper()
	s.machine.files = s.files
	server := map[string]any{"/": s.overview, "/hosts": s.hosts}
	after := ""
	for _, page := range s.names {
		server[strings.TrimSpace("/names "+after)], after = page, page.Next
	}
	at := serveJSON(t, server)
	if s.off {
		at = nobodyAt(t)
	}
	var out, errs strings.Builder
	c := &call{program: "dns", out: &out, err: &errs}
	if err := c.parse(append([]string{"doctor", "--status", at}, args...)); err != nil {
		t.Fatal(err)
	}
	client, err := newClient(at)
	if err != nil {
		t.Fatal(err)
	}
	code = c.examine(t.Context(), client, &s.machine)
	if errs.Len() > 0 {
		t.Errorf("prints as error: %s", errs.String())
	}
	return strings.ReplaceAll(out.String(), at, "STATUS"), code
}

// Where nothing is wrong each check says what it has looked at.
func TestDoctorWell(t *testing.T) {
	printed, code := wellSetUp().examine(t)
	const want = `
ok       status      the server answers at STATUS for docker. lan.
ok       engine      host nas at unix:///run/docker.sock: 28.5.2 (API 1.51), 2 containers
ok       corefile    no warnings, as of a cache above docker
ok       dns         answers at 127.0.0.1:53
ok       dns         answers at 172.17.0.1:53
ok       port53      the server has 127.0.0.1:53 172.17.0.1:53
ok       resolver    web.docker. is 172.17.0.2 for the server and for this machine's programs; a browser with DNS over HTTPS asks neither
ok       containers  docker run --dns 172.17.0.1 leads to the server, unless a firewall keeps containers from this machine, which can't be seen from here
ok       resolvconf  /run/systemd/resolve/resolv.conf names no loopback address
`
	if printed != want[1:] || code != exitWell {
		t.Errorf("code %d\n%s\nwant\n%s", code, printed, want[1:])
	}
}

// What is wrong on real machines is told with what to do.
func TestDoctor(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*setUp)
		code   int
		want   []string
	}{
		{"status off, and nobody runs", func(s *setUp) { s.off = true }, exitFound,
			[]string{"problem  status ", "connection refused; no process called dns runs", "→ It has to run, with the property status in its docker block:\n                           docker docker. {\n                               status\n", "ok       engine      28.5.2 (API 1.51) at unix:///var/run/docker.sock answers this user"}},
		{"status off, and the server runs", func(s *setUp) {
			s.off = true
			s.processes = func(string) []int { return []int{12, 34} }
		}, exitFound, []string{"; dns runs as process 12 34"}},
		{"no socket", func(s *setUp) {
			s.off = true
			s.ping = func(context.Context, engine.Endpoint) (string, error) {
				return "", &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.ENOENT)}
			}
		}, exitFound, []string{"problem  engine      the engine at unix:///var/run/docker.sock can't be asked by this user: dial unix", "→ there is no such socket: start or install Docker"}},
		{"forbidden socket", func(s *setUp) {
			s.off = true
			s.ping = func(context.Context, engine.Endpoint) (string, error) {
				return "", &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}
			}
		}, exitFound, []string{"problem  engine ", "→ add the user to the socket's group, docker"}},
		{"bad context", func(s *setUp) {
			s.off = true
			s.endpoint = func(warn func(error)) (engine.Endpoint, error) {
				warn(errors.New("config.json can't be read"))
				return engine.Endpoint{}, errors.New("the Docker context 'x', which DOCKER_CONTEXT names: there is no such context")
			}
		}, exitFound, []string{"note     engine      config.json can't be read", "problem  engine      the Docker context 'x'", "→ mend it, or write the engine's address with the property endpoint"}},
		{"host away", func(s *setUp) {
			s.hosts.Rows[0].State, s.hosts.Rows[0].LastError, s.hosts.Rows[0].Cure = "away", "dial unix: connection refused", "start Docker"
			s.hosts.Rows[0].Since = time.Date(2026, 11, 29, 1, 2, 3, 0, time.UTC)
		}, exitFound, []string{"problem  engine      host nas at unix:///run/docker.sock is away since 2026-11-29 01:02:03: dial unix: connection refused\n                     → start Docker\n"}},
		{"cache above docker", func(s *setUp) {
			s.overview.Blocks[0].Warnings = []string{"The cache plugin stands above docker in this build"}
		}, exitFound, []string{"problem  corefile    server block docker.:53: The cache plugin stands above docker"}},
		{"no answer", func(s *setUp) { s.silent = []string{"127.0.0.1:53"} }, exitFound,
			[]string{"problem  dns         no answer at 127.0.0.1:53: i/o timeout", "'ss -lntup sport = :53'", "ok       dns         answers at 172.17.0.1:53"}},
		{"port 53 is another's, no server", func(s *setUp) {
			s.off, s.held = true, []socket.Holder{holder("127.0.0.53:53", "systemd-resolve"), holder("0.0.0.0:53", "dnsmasq"), holder("192.0.2.1:53", "")}
		}, exitFound, []string{
			"problem  port53      systemd-resolve (process 7) has 127.0.0.53:53\n                     → systemd-resolved has it at 127.0.0.53 and 127.0.0.54 alone: name the addresses",
			"problem  port53      dnsmasq (process 7) has 0.0.0.0:53\n", "server=/docker/127.0.0.1#1053",
			"problem  port53      another user's process has 192.0.2.1:53\n                     → 'ss -lntup sport = :53' as root tells which"}},
		{"port 53 is Docker Desktop's beside the server", func(s *setUp) { s.held = append(s.held, holder("192.0.2.1:53", "com.docker.back")) }, exitWell,
			[]string{"note     port53      com.docker.back (process 7) has 192.0.2.1:53\n                     → a container publishes the port", "ok       port53      the server has 127.0.0.1:53"}},
		{"nobody has port 53", func(s *setUp) { s.off, s.held = true, nil }, exitFound, []string{"ok       port53      nobody has it"}},
		{"not Linux", func(s *setUp) { s.machine.system = "darwin" }, exitWell, []string{"note     port53      who has port 53 can't be seen here: 'sudo lsof"}},
		{"split DNS is not set up", func(s *setUp) {
			s.system, s.files = nil, fstest.MapFS{resolvConf: file("nameserver 127.0.0.1\n"), daemonConf: file(`{"dns": ["172.17.0.1"]}`)}
			s.overview.Blocks[0].Listen = []string{"dns://:1053"}
		}, exitFound, []string{
			"problem  resolver    web.docker. is 172.17.0.2 for the server, and unknown to this machine's programs: their resolver does not ask the server\n                     → 'dns docker resolver install --zone docker --server 127.0.0.1:1053' has it ask the server, ",
			"ok       resolvconf  /etc/resolv.conf names 127.0.0.1, but /etc/docker/daemon.json gives containers 172.17.0.1"}},
		{"split DNS is not set up, all names", func(s *setUp) { s.system, s.overview.Blocks[0].Zones = nil, []string{"."} }, exitFound,
			[]string{"→ have it ask the server, as the README's section \"Who uses it as resolver\" shows\n"}},
		{"another answer", func(s *setUp) { s.system["web.docker."] = "192.0.2.9" }, exitFound,
			[]string{"web.docker. is 172.17.0.2 for the server, but 192.0.2.9 for this machine's programs\n"}},
		{"the resolver fails", func(s *setUp) { s.system["web.docker."] = "timeout" }, exitFound,
			[]string{"this machine's resolver fails: lookup web.docker.: i/o timeout"}},
		{"no container", func(s *setUp) { s.names = s.names[:1]; s.names[0].Next = "" }, exitWell,
			[]string{"note     resolver    no container has an address now", "→ docker run -d --name web nginx"}},
		{"containers don't reach it", func(s *setUp) {
			s.overview.Blocks[0].Listen = []string{"dns://127.0.0.1:1053", "dns://172.17.0.1:1053"}
		}, exitWell,
			[]string{"note     containers  the server does not listen at 172.17.0.1:53: docker run --dns can't lead to it\n                     → to have containers ask it, have it serve port 53 of that address, as a server block of that port does with bind 127.0.0.1 172.17.0.1\n"}},
		{"containers get no answer", func(s *setUp) { s.silent = []string{"172.17.0.1:53"} }, exitFound,
			[]string{"problem  containers  no answer at 172.17.0.1:53, where docker run --dns 172.17.0.1 leads to: i/o timeout"}},
		{"all addresses", func(s *setUp) { s.overview.Blocks[0].Listen = []string{"dns://[::]:53"} }, exitWell,
			[]string{"answers at 127.0.0.1:53", "docker run --dns 172.17.0.1 leads to the server"}},
		{"no bridge", func(s *setUp) { s.links = nil }, exitWell, []string{"note     containers  no interface docker0 with an IPv4 address is here"}},
		{"resolv.conf names loopback", func(s *setUp) { s.files[resolvConf] = file("nameserver 127.0.0.1\nnameserver 192.0.2.1\n") }, exitWell,
			[]string{"note     resolvconf  /etc/resolv.conf names 127.0.0.1: Docker's own resolver asks it from this machine", `→ give containers the address of a bridge at which the server listens: {"dns": ["172.17.0.1"]} in /etc/docker/daemon.json`}},
		{"an empty daemon.json", func(s *setUp) { s.files[resolvConf], s.files[daemonConf] = file("nameserver ::1\n"), file("") }, exitWell,
			[]string{"note     resolvconf  /etc/resolv.conf names ::1: "}},
		{"a broken daemon.json", func(s *setUp) { s.files[resolvConf], s.files[daemonConf] = file("nameserver ::1\n"), file("{") }, exitFound,
			[]string{"problem  resolvconf  /etc/docker/daemon.json can't be read: "}},
		{"a terminal's commands", func(s *setUp) { s.hosts.Rows[0].State, s.hosts.Rows[0].LastError = "away", "\x1b[2J" }, exitFound, []string{": \ufffd[2J\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := wellSetUp()
			c.change(s)
			printed, code := s.examine(t)
			if code != c.code {
				t.Errorf("code %d, want %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(printed, want) {
					t.Errorf("no %q in\n%s", want, printed)
				}
			}
		})
	}
}

// What is skipped is not looked at, and --json gives the same to programs.
func TestDoctorJSON(t *testing.T) {
	s := wellSetUp()
	s.system = nil
	printed, code := s.examine(t, "--json", "--skip", "containers,dns,port53,resolvconf")
	var got []finding
	if err := json.Unmarshal([]byte(printed), &got); err != nil {
		t.Fatal(err)
	}
	var checks []string
	for _, f := range got {
		checks = append(checks, fmt.Sprint(f.Check, " ", f.Result))
	}
	if want := []string{"status ok", "engine ok", "corefile ok", "resolver problem"}; !slices.Equal(checks, want) || code != exitFound {
		t.Errorf("code %d, findings %q, want %q", code, checks, want)
	}
	if cure := got[len(got)-1].Cure; !strings.Contains(cure, "resolver install --zone docker") {
		t.Errorf("cure %q", cure)
	}
	if _, code := s.examine(t, "--skip", "resolver"); code != exitWell {
		t.Errorf("code %d without the problem", code)
	}
}
