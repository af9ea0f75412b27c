package rig

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Etcd is a cluster of etcd on loopback, to be ended and started as a test likes. Its members' data last as long as the test.
type Etcd struct {
	Members []*EtcdMember
	IP      string
}

// EtcdMember is one member.
type EtcdMember struct {
	*Process // nil while it does not run
	URL      string
	args     []string
	via      []string
}

// NewEtcd starts a cluster that lasts until the test's end. The test is skipped where there is no etcd. The flags are those that all have
// beside the usual ones.
func NewEtcd(t *testing.T, members int, flags ...string) *Etcd {
	t.Helper()
	return NewEtcdVia(t, nil, "127.0.0.1", members, flags...)
}

// NewEtcdVia is NewEtcd at another address, which the command that starts it leads to, if there is one.
func NewEtcdVia(t *testing.T, via []string, ip string, members int, flags ...string) *Etcd {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Skip("no etcd: test/with-engine installs it on Debian or Ubuntu")
	}
	e := &Etcd{IP: ip}
	var cluster, peers []string
	for i := range members {
		client, err := FreePort("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		peer, err := FreePort("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		e.Members = append(e.Members, &EtcdMember{URL: fmt.Sprintf("http://%s:%d", ip, client), via: via})
		peers = append(peers, fmt.Sprintf("http://%s:%d", ip, peer))
		cluster = append(cluster, fmt.Sprintf("m%d=%s", i, peers[i]))
	}
	dir, token := t.TempDir(), Suffix()
	for i, m := range e.Members {
		m.args = append([]string{
			"--name", fmt.Sprint("m", i), "--data-dir", filepath.Join(dir, fmt.Sprint("m", i)), "--logger", "zap", "--log-outputs", "stderr",
			"--listen-client-urls", m.URL, "--advertise-client-urls", m.URL, "--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(cluster, ","), "--initial-cluster-token", token,
		}, flags...)
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
	return e
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
	for _, m := range e.Members {
		if m.Process != nil {
			continue
		}
		command := append(append([]string{}, m.via...), append([]string{"etcd"}, m.args...)...)
		var err error
		if m.Process, err = Start(exec.Command(command[0], command[1:]...)); err != nil {
			t.Fatal(err)
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
			t.Fatal(err)
		}
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
