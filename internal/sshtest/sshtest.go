// Package sshtest runs OpenSSH's server for tests, as the tests' own user and with files of its own.
package sshtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

const deadline = 10 * time.Second

// Server is a server at a port of the loopback. It has an Ed25519 and an RSA key, and lets its own user in with Key.
type Server struct {
	User, Port string
	// Key is the file of a private key. KnownHosts is a file that has the server's Ed25519 key alone.
	Key, KnownHosts string
	// AuthorizedKeys is the file with the keys that are let in. It may be changed.
	AuthorizedKeys string

	t      testing.TB
	dir    string
	server *exec.Cmd
}

// New starts a server that ends with the test. The lines come first in its configuration, and so count. In them DIR is
// the folder in which Keygen makes its files.
func New(t testing.TB, lines ...string) *Server {
	t.Helper()
	if _, err := sshd(); err != nil {
		t.Skipf("OpenSSH's server is missing: %v", err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &Server{
		User: me.Username, Port: freePort(t), t: t, dir: dir, Key: filepath.Join(dir, "id"),
		KnownHosts: filepath.Join(dir, "known_hosts"), AuthorizedKeys: filepath.Join(dir, "authorized_keys"),
	}
	s.write("sshd_config", strings.ReplaceAll(strings.Join(lines, "\n"), "DIR", dir)+"\n"+strings.Join([]string{
		"ListenAddress 127.0.0.1:" + s.Port,
		"HostKey " + s.HostKey("ed25519"),
		"HostKey " + s.HostKey("rsa"),
		"AuthorizedKeysFile " + s.AuthorizedKeys,
		"PasswordAuthentication no", "KbdInteractiveAuthentication no", "StrictModes no", "PidFile none", "LogLevel VERBOSE",
	}, "\n")+"\n")
	s.Keygen("id", "-t", "ed25519")
	s.write("authorized_keys", s.read("id.pub"))
	s.makeRSA()
	s.NewHostKey()
	s.Trust()
	s.Start()
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("sshd: %s", s.Log())
		}
	})
	return s
}

// sshd returns where the server is: administrators' programs are not on everybody's path.
func sshd() (string, error) {
	if path, err := exec.LookPath("sshd"); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/sshd")
}

func freePort(t testing.TB) string {
	t.Helper()
	port, err := rig.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}

// URL is the endpoint of the engine that has the socket, reached by the server.
func (s *Server) URL(socket string) string {
	return fmt.Sprintf("ssh://%s@127.0.0.1:%s%s", s.User, s.Port, strings.TrimPrefix(socket, "unix://"))
}

// HostKey is the file of the server's private key of the kind.
func (s *Server) HostKey(kind string) string { return filepath.Join(s.dir, "host_"+kind) }

// NewHostKey gives the server another Ed25519 key, and so ends its connections.
func (s *Server) NewHostKey() {
	s.t.Helper()
	os.Remove(s.HostKey("ed25519"))
	s.Keygen("host_ed25519", "-t", "ed25519")
	if s.server != nil {
		s.Restart()
	}
}

// rsa is the RSA key of all servers, in both halves: to make one takes long.
var rsa struct {
	sync.Once
	private, public string
}

func (s *Server) makeRSA() {
	s.t.Helper()
	rsa.Do(func() {
		s.Keygen("host_rsa", "-t", "rsa", "-b", "2048")
		rsa.private, rsa.public = s.read("host_rsa"), s.read("host_rsa.pub")
	})
	s.write("host_rsa", rsa.private)
	s.write("host_rsa.pub", rsa.public)
}

// Trust writes KnownHosts with the server's Ed25519 key.
func (s *Server) Trust() {
	s.t.Helper()
	s.write("known_hosts", s.Line("ed25519"))
}

// Line is what a file of known hosts says of the server's key of the kind.
func (s *Server) Line(kind string) string {
	s.t.Helper()
	return fmt.Sprintf("[127.0.0.1]:%s %s", s.Port, s.read("host_"+kind+".pub"))
}

// Keygen makes a key, or does what else ssh-keygen's arguments say, and returns the file.
func (s *Server) Keygen(name string, args ...string) string {
	s.t.Helper()
	file := filepath.Join(s.dir, name)
	if !slices.Contains(args, "-s") {
		args = append([]string{"-q", "-f", file}, args...)
		if !slices.Contains(args, "-N") {
			args = append(args, "-N", "")
		}
	}
	if out, err := exec.CommandContext(s.t.Context(), "ssh-keygen", args...).CombinedOutput(); err != nil {
		s.t.Fatalf("ssh-keygen %q: %v: %s", args, err, out)
	}
	return file
}

// Start starts the server, and waits until it can be reached.
func (s *Server) Start() {
	s.t.Helper()
	if os.Getuid() == 0 { // where it locks itself in before a login
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	path, err := sshd()
	if err != nil {
		s.t.Fatal(err)
	}
	s.server = exec.Command(path, "-D", "-f", filepath.Join(s.dir, "sshd_config"), "-E", filepath.Join(s.dir, "log"))
	if err := s.server.Start(); err != nil {
		s.t.Fatal(err)
	}
	for begun := time.Now(); ; {
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.Port)
		if err == nil {
			conn.Close()
			return
		}
		if time.Since(begun) > deadline {
			s.t.Fatalf("sshd can't be reached: %v\n%s", err, s.Log())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Restart ends the server and all its connections, and starts it again.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.Start()
}

// Kill ends the server and all its connections, at once.
func (s *Server) Kill() {
	if s.server == nil {
		return
	}
	s.Signal(syscall.SIGKILL)
	s.server.Wait() //nolint:errcheck // it was killed
	s.server = nil
}

// Signal sends the signal to the server and to the processes that have its connections.
func (s *Server) Signal(signal syscall.Signal) {
	for _, pid := range append([]int{s.server.Process.Pid}, descendants(s.server.Process.Pid)...) {
		syscall.Kill(pid, signal) //nolint:errcheck // it may have ended
	}
}

// Connections is the number of connections that are logged in or logging in.
func (s *Server) Connections() int {
	n := 0
	for pid, parent := range parents() {
		if parent == s.server.Process.Pid && pid != parent {
			n++
		}
	}
	return n
}

// Log is what the server has logged.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (s *Server) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func (s *Server) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// descendants returns the processes that come from one.
func descendants(pid int) (all []int) {
	for child, parent := range parents() {
		if parent == pid {
			all = append(append(all, child), descendants(child)...)
		}
	}
	return all
}

// parents returns each process's parent.
func parents() map[int]int {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	all := map[int]int{}
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ") // the name before may have anything in it but this
		fields := strings.Fields(rest)
		pid, pidErr := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if len(fields) < 2 || pidErr != nil {
			continue
		}
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			all[pid] = parent
		}
	}
	return all
}
