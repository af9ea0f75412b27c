package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// config is how a test wants its coredns.
type config struct {
	keys string // the server block's zones, "." by default
	ip   string // where to listen, 127.0.0.1 by default
	also string // where else
	port int    // a free one by default
	body string // the server block's content beyond what all tests have

	as  *syscall.SysProcAttr // who runs it: nil for the user who runs the tests
	env []string             // beside the tests' own environment
}

// server is a running coredns.
type server struct {
	t        *testing.T
	corefile string // path
	addr     string // of DNS
	ready    string // URL
	metrics  string // URL
	as       *syscall.SysProcAttr
	env      []string

	log    *rig.Log
	cmd    *exec.Cmd
	exited chan struct{} // closed once cmd.ProcessState is set
}

// serve starts a coredns that runs until the test's end, and waits until it is ready.
func serve(t *testing.T, c config) *server {
	t.Helper()
	s := launch(t, c)
	eventually(t, s.isReady)
	eventually(t, s.isServing)
	return s
}

// launch is serve without waiting for readiness, which needs an engine.
func launch(t *testing.T, c config) *server {
	t.Helper()
	if c.keys == "" {
		c.keys = "."
	}
	if c.ip == "" {
		c.ip = "127.0.0.1"
	}
	if c.port == 0 {
		c.port = freePort(t, c.ip)
	}
	s := &server{t: t, addr: net.JoinHostPort(c.ip, strconv.Itoa(c.port)), as: c.as, env: c.env}
	ready, metrics := loopback(freePort(t, "127.0.0.1")), loopback(freePort(t, "127.0.0.1"))
	s.ready, s.metrics = "http://"+ready+"/ready", "http://"+metrics+"/metrics"
	dir := t.TempDir()
	if c.as != nil { // others may not enter the test's folder
		if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.corefile = filepath.Join(dir, "Corefile")
	s.write(fmt.Sprintf("%s {\nbind %s %s\nerrors\nready %s\nprometheus %s\n%s\n}\n", c.keys, c.ip, c.also, ready, metrics, c.body))
	s.start("-dns.port", strconv.Itoa(c.port))
	return s
}

// write replaces the Corefile at once, as an editor does: a reload never sees half of it.
func (s *server) write(corefile string) {
	s.t.Helper()
	if err := os.WriteFile(s.corefile+".new", []byte(corefile), 0o644); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(s.corefile+".new", s.corefile); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) start(args ...string) {
	s.t.Helper()
	s.spawn(binary, append([]string{"-conf", s.corefile}, args...)...)
}

// spawn starts a program that serves at s.addr until the test's end.
func (s *server) spawn(program string, args ...string) {
	s.t.Helper()
	s.log, s.exited = new(rig.Log), make(chan struct{})
	s.cmd = exec.Command(program, args...)
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.SysProcAttr = s.log, s.log, s.as
	s.cmd.Env = append(os.Environ(), s.env...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		s.cmd.Wait()
		close(s.exited)
	}()
	s.t.Cleanup(s.stop)
}

// stop asks the server to end, which it must do soon and without complaint.
func (s *server) stop() {
	name := filepath.Base(s.cmd.Path)
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.cmd.Process.Kill()
		s.t.Errorf("%s did not end within %v of SIGTERM", name, patience)
		<-s.exited
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		s.t.Errorf("%s ended with code %d", name, code)
	}
	if s.t.Failed() {
		s.t.Logf("%s said:\n%s", name, s.log)
	}
}

func (s *server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// isReady asks the ready endpoint.
func (s *server) isReady() error {
	select {
	case <-s.exited:
		s.t.Fatal("coredns ended before it was ready")
	default:
	}
	_, err := rig.Get(s.ready)
	return err
}

// isServing looks for what CoreDNS says when it listens. It is ready a moment before.
func (s *server) isServing() error {
	if len(s.log.Lines("CoreDNS-")) == 0 {
		return errors.New("coredns does not listen yet")
	}
	return nil
}

func (s *server) metric(name string) (float64, error) { return rig.Metric(s.metrics, name) }

// wantMetric is metric for eventually.
func (s *server) wantMetric(name string, want float64) error {
	got, err := s.metric(name)
	if err == nil && got != want {
		err = fmt.Errorf("metric %s is %v, want %v", name, got, want)
	}
	return err
}

// freePort finds a port that is free for UDP and TCP.
func freePort(t *testing.T, ip string) int {
	t.Helper()
	port, err := rig.FreePort(ip)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
