package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// config is how a test wants its coredns. The program and its folder are the same for all.
type config = rig.Config

// server is a running coredns, or another name server in its place. What goes wrong with it fails the test.
type server struct {
	*rig.Server
	t *testing.T
}

// serve starts a coredns that runs until the test's end, and waits until it is ready.
func serve(t *testing.T, c config) *server {
	t.Helper()
	s := launch(t, c)
	if err := s.AwaitReady(patience); err != nil {
		t.Fatal(err)
	}
	return s
}

// launch is serve without waiting for readiness, which needs an engine.
func launch(t *testing.T, c config) *server {
	t.Helper()
	s := start(t, c)
	s.StopAfter(t, patience)
	return s
}

// start starts a coredns, and leaves its end to the caller.
func start(t *testing.T, c config) *server {
	t.Helper()
	c.Binary, c.Dir = binary, t.TempDir()
	if c.As != nil { // others may not enter the test's folder
		if err := os.Chmod(filepath.Dir(c.Dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s, err := rig.Serve(c)
	if err != nil {
		t.Fatal(err)
	}
	return &server{s, t}
}

// spawn starts a name server of another make, which runs until the test's end.
func spawn(t *testing.T, addr, program string, args ...string) *server {
	t.Helper()
	p, err := rig.Start(exec.Command(program, args...))
	if err != nil {
		t.Fatal(err)
	}
	p.StopAfter(t, patience)
	return &server{&rig.Server{Process: p, Addr: addr}, t}
}

// refused runs a coredns that must end by itself with a failure, and returns what it says and its Corefile's path.
func refused(t *testing.T, c config) (said, corefile string) {
	t.Helper()
	s := start(t, c)
	defer s.Kill()
	eventually(t, func() error {
		if s.Alive() == nil {
			return errors.New("coredns runs with what it must refuse")
		}
		return nil
	})
	if s.Cmd.ProcessState.Success() {
		t.Error("ended with code 0")
	}
	return s.Log.String(), s.Corefile
}

// isReady asks the ready endpoint.
func (s *server) isReady() error {
	s.t.Helper()
	if err := s.Alive(); err != nil {
		s.t.Fatal(err)
	}
	return s.IsReady()
}

// wantMetric is Metric for eventually.
func (s *server) wantMetric(name string, want float64) error {
	got, err := s.Metric(name)
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
