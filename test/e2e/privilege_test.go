package e2e

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/miekg/dns"
)

// Nothing more is asked of the engine than what the README allows through a socket proxy, and
// no more rights are needed than to open that proxy's socket.
func TestSocketProxy(t *testing.T) {
	t.Parallel()
	p := startProxy(t, machineSocket(t), nil)
	c := config{Body: "docker " + zones + " {\nendpoint unix://" + p.socket + "\n}"}
	if os.Geteuid() == 0 {
		c.As = nobody()
	}
	follows(t, serve(t, c))
	p.report(t)
}

// A member of the socket's group may watch the engine itself, and serve the port of DNS with the one
// capability for that.
func TestUnprivilegedUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: all tests run as an unprivileged user")
	}
	as := nobody()
	info, err := os.Stat(machineSocket(t))
	if err != nil {
		t.Fatal(err)
	}
	as.Credential.Groups = []uint32{info.Sys().(*syscall.Stat_t).Gid}
	if info.Mode().Perm()&0o060 != 0o060 {
		t.Skipf("the engine's socket has mode %v: it is for no group", info.Mode())
	}
	const netBindService = 10 // capability.h
	as.AmbientCaps = []uintptr{netBindService}
	ip := fmt.Sprintf("127.53.%d.%d", os.Getpid()>>8&0xff, os.Getpid()&0xff)
	follows(t, serve(t, config{IP: ip, Port: 53, As: as, Body: "docker " + zones}))
}

// Who may not open the engine's socket, or serve the port of DNS, is told what to do.
func TestForbidden(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: can't run coredns as another user")
	}
	if info, err := os.Stat(machineSocket(t)); err != nil || info.Mode().Perm()&0o006 != 0 {
		t.Skipf("the engine's socket is open to all (%v)", err)
	}
	s := launch(t, config{As: nobody(), Body: "docker docker."})
	eventually(t, func() error {
		if len(s.Log.Lines("add the user to the socket's group, docker, or use a socket proxy")) != 1 {
			return fmt.Errorf("no line of what to do:\n%s", s.Log)
		}
		return nil
	})

	if start, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err == nil && strings.TrimSpace(string(start)) != "1024" {
		t.Logf("anybody may serve ports from %s on: nothing forbidden to try", start)
		return
	}
	said, _ := refused(t, config{As: nobody(), Text: "docker.:53 {\nbind 127.53.53.53\ndocker\n}\n"})
	if !strings.Contains(said, "CAP_NET_BIND_SERVICE") {
		t.Errorf("port 53: %s", said)
	}
}

// nobody is a user who owns nothing and is in no group.
func nobody() *syscall.SysProcAttr {
	const id = 65534
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id, Groups: []uint32{}}}
}

// follows checks that the server follows a container through its life.
func follows(t *testing.T, s *server) {
	t.Helper()
	name, renamed, other := "a-"+suffix(), "b-"+suffix(), machine.network(t)
	id := machine.run(t, "--name", name)
	for _, step := range [][]string{
		nil, // run
		{"network", "connect", other, id},
		{"rename", id, renamed},
		{"stop", id},
		{"start", id},
	} {
		if step != nil {
			machine.do(t, step...)
		}
		took := eventually(t, func() error { return s.agrees(machine.inspect(t, id)) })
		t.Logf("%q: right within %v", step, took)
	}
	s.check(name+".docker.", dns.TypeA, nxdomain)
	last := machine.inspect(t, id)
	machine.do(t, "rm", "-f", id)
	last.State.Running = false
	eventually(t, func() error { return s.agrees(last) })
}

// allowed are the calls that the proxy lets through: GET alone, with or without a version.
var allowed = regexp.MustCompile(`^(/v1\.[0-9]+)?/(_ping|info|events|containers/json|containers/[0-9a-f]{64}/json|networks|networks/docker_gwbridge)$|^/v4\.0\.0/libpod/networks/json$`)

// proxy stands between coredns and an engine, and refuses what is not allowed.
type proxy struct {
	socket string

	mu               sync.Mutex // guards the following
	passed, rejected map[string]int
}

// startProxy starts a proxy to the engine's socket. What it lets through goes through wrap's result,
// if there is a wrap.
func startProxy(t *testing.T, engine string, wrap func(http.RoundTripper) http.RoundTripper) *proxy {
	t.Helper()
	p := &proxy{socket: filepath.Join(folder, "proxy-"+suffix()), passed: map[string]int{}, rejected: map[string]int{}}
	listener, err := net.Listen("unix", p.socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p.socket, 0o666); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", engine)
	}}
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "engine"})
	forward.Transport, forward.FlushInterval = transport, -1 // events go on at once
	forward.ErrorLog = log.New(io.Discard, "", 0)            // calls that coredns gave up
	if wrap != nil {
		forward.Transport = wrap(transport)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !allowed.MatchString(r.URL.Path) {
			p.note(p.rejected, r)
			http.Error(w, "not for you", http.StatusForbidden)
			return
		}
		p.note(p.passed, r)
		forward.ServeHTTP(w, r)
	})}
	go server.Serve(listener)
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return p
}

var (
	versions = regexp.MustCompile(`^/v1\.[0-9]+/`)
	ids      = regexp.MustCompile(`[0-9a-f]{64}`)
)

func (p *proxy) note(calls map[string]int, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls[r.Method+" "+ids.ReplaceAllString(versions.ReplaceAllString(r.URL.Path, "/"), "ID")]++
}

// report tells what was asked of the proxy. Of what it refuses only the client library's first
// try of a ping may be.
func (p *proxy) report(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	t.Logf("passed: %v; refused: %v", p.passed, p.rejected)
	for _, call := range []string{"GET /events", "GET /containers/json", "GET /containers/ID/json"} {
		if p.passed[call] == 0 {
			t.Errorf("no %s has passed the proxy", call)
		}
	}
	for call := range p.rejected {
		if call != "HEAD /_ping" {
			t.Errorf("%s was tried", call)
		}
	}
}

// machineSocket is the socket of the machine's engine.
func machineSocket(t *testing.T) string {
	t.Helper()
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	path, ok := strings.CutPrefix(host, "unix://")
	if !ok {
		t.Skipf("the engine is not at a unix socket but at %s", host)
	}
	return path
}
