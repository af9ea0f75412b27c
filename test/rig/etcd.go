package rig

import (
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Etcd is a cluster of etcd, to be ended and started as a test likes. Its members' data last when they are ended.
type Etcd struct {
	Members []*EtcdMember
	segment *Segment // that joins the members if each is in a namespace of its own
	tls     bool
}

// EtcdMember is one member.
type EtcdMember struct {
	*Process // nil while it does not run
	URL      string
	Netns    string // the file of the network namespace in which it is asked, "" for the tests' own
	via      []string
	ip       string
	port     string // of the segment
	args     []string
}

// NewEtcd starts a cluster that lasts until the test's end. The test is skipped where there is no etcd. The flags are those that all have
// beside the usual ones.
func NewEtcd(t *testing.T, members int, flags ...string) *Etcd {
	t.Helper()
	return NewEtcdVia(t, nil, "127.0.0.1", members, flags...)
}

// NewEtcdTLS is NewEtcd with a CA whose certificates its members have, and ask of all others.
func NewEtcdTLS(t *testing.T, ca *Authority, members int, flags ...string) *Etcd {
	t.Helper()
	cert, key := WriteCertificate(t, ca.Issue(t, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}))
	e := &Etcd{tls: true}
	for range members {
		e.Members = append(e.Members, &EtcdMember{ip: "127.0.0.1"})
	}
	e.begin(t, append([]string{
		"--cert-file", cert, "--key-file", key, "--client-cert-auth", "--trusted-ca-file", ca.File,
		"--peer-cert-file", cert, "--peer-key-file", key, "--peer-client-cert-auth", "--peer-trusted-ca-file", ca.File,
	}, flags...))
	return e
}

// NewEtcdVia is NewEtcd at another address, which the command that starts it leads to, if there is one.
func NewEtcdVia(t *testing.T, via []string, ip string, members int, flags ...string) *Etcd {
	t.Helper()
	e := &Etcd{}
	for range members {
		e.Members = append(e.Members, &EtcdMember{via: via, ip: ip})
	}
	e.begin(t, flags)
	return e
}

// NewEtcdSlow is NewEtcd on disks that take so long to write. The test is skipped where there is no strace.
func NewEtcdSlow(t *testing.T, members int, delay time.Duration) *Etcd {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("no strace, by which disks are slow: test/with-engine installs it on Debian or Ubuntu")
	}
	// -D has it be etcd's child, so that etcd's process is the one that is started.
	slow := []string{"strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync",
		"-e", fmt.Sprint("inject=fsync,fdatasync:delay_enter=", delay.Microseconds())}
	return NewEtcdVia(t, slow, "127.0.0.1", members)
}

// NewEtcdApart is NewEtcd with members that are computers of their own: Cut cuts one off from the others. Who asks a member does so
// Within its Netns, which no cut concerns. The test is skipped for who is not root.
func (r Run) NewEtcdApart(t *testing.T, members int, flags ...string) *Etcd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: can't make network namespaces for the members of etcd")
	}
	e := &Etcd{segment: r.NewSegment(t)}
	for i := range members {
		netns, ip := r.Netns("etcd-"+Suffix()), fmt.Sprint("198.18.0.", i+1)
		t.Cleanup(func() { RemoveNetns(netns) })
		commands(t, "ip netns add "+netns)
		e.Members = append(e.Members, &EtcdMember{
			via: []string{"nsenter", "--net=" + NetnsPath(netns)}, ip: ip, Netns: NetnsPath(netns), port: e.segment.Join(t, netns, ip+"/24"),
		})
	}
	e.begin(t, flags)
	return e
}

// Cut cuts a member off from the others, or ends that.
func (e *Etcd) Cut(t *testing.T, m *EtcdMember, cut bool) {
	t.Helper()
	e.segment.Cut(t, m.port, cut)
}

// Dial connects to the member.
func (m *EtcdMember) Dial() (conn net.Conn, err error) {
	dial := func() (err error) {
		conn, err = net.Dial("tcp", m.URL[strings.LastIndexByte(m.URL, '/')+1:])
		return err
	}
	if m.Netns == "" {
		err = dial()
	} else {
		err = Within(m.Netns, dial)
	}
	return conn, err
}

// begin starts the members, which know where they are.
func (e *Etcd) begin(t *testing.T, flags []string) {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Skip("no etcd: test/with-engine installs it on Debian or Ubuntu")
	}
	if err := e.plan(t.TempDir(), flags); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, m := range e.Members {
			if m.Process == nil {
				continue
			}
			m.Kill()
			if t.Failed() {
				t.Logf("%s said last:\n%s", m.URL, tail(m.Log.String()))
			}
		}
	})
	e.Start(t)
}

// StartEtcd starts a cluster whose members keep their data in the folder, for who is no test. End ends it.
func StartEtcd(dir string, members int, flags ...string) (*Etcd, error) {
	e := &Etcd{}
	for range members {
		e.Members = append(e.Members, &EtcdMember{ip: "127.0.0.1"})
	}
	if err := e.plan(dir, flags); err != nil {
		return nil, err
	}
	if err := e.start(); err != nil {
		e.End()
		return nil, err
	}
	return e, nil
}

// plan makes the members' URLs and arguments.
func (e *Etcd) plan(dir string, flags []string) error {
	var cluster, peers []string
	scheme := "http"
	if e.tls {
		scheme = "https"
	}
	for i, m := range e.Members {
		client, err := FreePort("127.0.0.1")
		if err != nil {
			return err
		}
		peer, err := FreePort("127.0.0.1")
		if err != nil {
			return err
		}
		m.URL = fmt.Sprintf("%s://%s:%d", scheme, m.ip, client)
		peers = append(peers, fmt.Sprintf("%s://%s:%d", scheme, m.ip, peer))
		cluster = append(cluster, fmt.Sprintf("m%d=%s", i, peers[i]))
	}
	token := Suffix()
	for i, m := range e.Members {
		m.args = append([]string{
			"--name", fmt.Sprint("m", i), "--data-dir", filepath.Join(dir, fmt.Sprint("m", i)), "--logger", "zap", "--log-outputs", "stderr",
			"--listen-client-urls", m.URL, "--advertise-client-urls", m.URL, "--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(cluster, ","), "--initial-cluster-token", token,
		}, flags...)
	}
	return nil
}

func tail(s string) string { return s[max(0, len(s)-600):] }

// URLs are where all members are asked.
func (e *Etcd) URLs() string {
	var all []string
	for _, m := range e.Members {
		all = append(all, m.URL)
	}
	return strings.Join(all, " ")
}

// Start starts the members that don't run, and waits until they serve.
func (e *Etcd) Start(t *testing.T) {
	t.Helper()
	if err := e.start(); err != nil {
		t.Fatal(err)
	}
}

func (e *Etcd) start() (err error) {
	for _, m := range e.Members {
		if m.Process != nil {
			continue
		}
		command := append(append([]string{}, m.via...), append([]string{"etcd"}, m.args...)...)
		if m.Process, err = Start(exec.Command(command[0], command[1:]...)); err != nil {
			m.Process = nil
			return err
		}
	}
	for _, m := range e.Members {
		err := m.Await(30*time.Second, func() error {
			if len(m.Log.Lines("serving client traffic")) == 0 { // after it has joined the others
				return fmt.Errorf("%s does not serve yet", m.URL)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// End kills all members.
func (e *Etcd) End() {
	for _, m := range e.Members {
		m.End()
	}
}

// End kills a member.
func (m *EtcdMember) End() {
	if m.Process != nil {
		m.Kill()
		m.Process = nil
	}
}

// Hang stops a member without ending it, or has it go on.
func (m *EtcdMember) Hang(hang bool) error {
	sig := map[bool]syscall.Signal{true: syscall.SIGSTOP, false: syscall.SIGCONT}[hang]
	return m.Signal(sig)
}
