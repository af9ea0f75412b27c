package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/sshtest"
)

// bySSH returns the endpoint of the engine that is reached by the server.
func bySSH(s *sshtest.Server, e *enginetest.Engine) Endpoint {
	return Endpoint{Host: s.URL(e.Host()), SSHKeys: s.Key, KnownHosts: s.KnownHosts}
}

// watchSSH watches the endpoint.
func watchSSH(t *testing.T, e Endpoint) *recorder {
	t.Helper()
	r := newRecorder()
	w := Watch(e, r)
	t.Cleanup(w.Release)
	w.Subscribe(r, time.Hour)
	return r
}

// TestSSH checks that an engine by SSH is watched as any other, over one connection, and that its peer is the host.
func TestSSH(t *testing.T) {
	s := sshtest.New(t)
	e := enginetest.New(t)
	for range 64 {
		e.Run(enginetest.Spec{})
	}
	e.Run(enginetest.Spec{Name: "web"})
	r := watchSSH(t, bySSH(s, e))
	synced(t, r)
	r.note(func() {
		if len(r.containers) != 65 || r.host.Peer.String() != "127.0.0.1" {
			t.Errorf("%d containers, peer %s", len(r.containers), r.host.Peer)
		}
	})
	awaitOneConnection(t, s)
	e.Run(enginetest.Spec{Name: "later"})
	r.wait(t, "a container that starts", func() bool { return len(r.containers) == 66 })
}

// awaitOneConnection waits until the server has one connection: those of before may be about to end.
func awaitOneConnection(t *testing.T, s *sshtest.Server) {
	t.Helper()
	n := 0
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if n = s.Connections(); n == 1 {
			return
		}
	}
	t.Errorf("%d connections", n)
}

// ask asks the endpoint's engine once.
func ask(t *testing.T, e Endpoint) error {
	t.Helper()
	d, err := dial(e, "", newRecorder())
	if err != nil {
		return err
	}
	defer d.close()
	_, err = d.info(t.Context())
	return err
}

// write makes a file with the text, in which %s is what that was before.
func write(t *testing.T, file, text string) string {
	t.Helper()
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "%s", string(before))), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestSSHErrors checks what is said of each reason for which an engine can't be reached by SSH, and that the usual files do.
func TestSSHErrors(t *testing.T) {
	e := enginetest.New(t)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("SSH_AUTH_SOCK", "")
	nowhere := filepath.Join(home, "known_hosts")
	defer func(file string) { systemKnownHosts = file }(systemKnownHosts)
	systemKnownHosts = nowhere
	for _, c := range []struct {
		name   string
		config string
		change func(*testing.T, *sshtest.Server, *Endpoint) // after the server has started
		want   []string                                     // of the error; none if there is none
	}{
		{name: "an RSA key is known alone", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { write(t, s.KnownHosts, s.Line("rsa")) }},
		{name: "hashed", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { s.Keygen("known_hosts", "-H", "-N", "") }},
		{name: "not known", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { write(t, s.KnownHosts, "") },
			want: []string{"the host key of 127.0.0.1, ", " SHA256:", "is not known in ", "known_hosts: compare", "ssh-keyscan -H -p ", " 127.0.0.1 >>"}},
		{name: "no file of known hosts", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { e.KnownHosts = "" },
			want: []string{"is not known in " + home + "/.ssh/known_hosts"}},
		{name: "no such file of known hosts", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { e.KnownHosts = nowhere },
			want: []string{"the file of known hosts", nowhere + ": no such file"}},
		{name: "broken file of known hosts", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { write(t, s.KnownHosts, "\n127.0.0.1 ssh-rsa\n") },
			want: []string{"known_hosts:2: "}},
		{name: "another key", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { s.NewHostKey() },
			want: []string{"the host key of 127.0.0.1 has changed: it shows ssh-ed25519 SHA256:", "known_hosts:1", "ssh-keygen -R [127.0.0.1]:"}},
		{name: "revoked", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) {
			write(t, s.KnownHosts, "%s@revoked * "+key(s.Line("ed25519")))
		},
			want: []string{"is revoked by ", "known_hosts:2"}},
		{name: "a key of another kind", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) {
			s.Keygen("host_other", "-t", "ecdsa")
			write(t, s.KnownHosts, s.Line("other"))
		}, want: []string{"has changed: it shows ", "should have ecdsa-sha2-nistp256 SHA256:"}},
		{name: "the key is unknown there", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { write(t, s.AuthorizedKeys, "") },
			want: []string{"does not let ", " in with ", "/id (ssh-ed25519 SHA256:", "add the public key to authorized_keys there"}},
		{name: "a passphrase", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) {
			e.SSHKeys = s.Keygen("locked", "-N", "secret", "-t", "ed25519")
		},
			want: []string{"ssh_key ", "/locked has a passphrase", "ssh-add"}},
		{name: "no such key", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { e.SSHKeys += "\n" + nowhere },
			want: []string{"ssh_key " + nowhere + " can't be read", "no such file"}},
		{name: "the public key", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { e.SSHKeys += ".pub" },
			want: []string{"/id.pub is not a private key"}},
		{name: "no key at all", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { e.SSHKeys = "" },
			want: []string{"there is no key for SSH", "write 'ssh_key FILE'"}},
		{name: "forwarding is forbidden", config: "AllowStreamLocalForwarding no", want: []string{"gets no connection to ", "AllowStreamLocalForwarding"}},
		{name: "all forwarding is forbidden", config: "DisableForwarding yes", want: []string{"gets no connection to ", "DisableForwarding no"}},
		{name: "the key may not forward", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { write(t, s.AuthorizedKeys, "restrict %s") },
			want: []string{"gets no connection to ", "'restrict' in authorized_keys"}},
		{name: "the key may forward alone", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) {
			write(t, s.AuthorizedKeys, `restrict,port-forwarding,command="false" %s`)
		}},
		{name: "no forwarding to TCP", config: "AllowTcpForwarding no", want: []string{"gets no connection to ", "AllowTcpForwarding"}},
		{name: "no forwarding to any TCP port", config: "PermitOpen none", want: []string{"gets no connection to ", "PermitOpen"}},
		{name: "no such socket", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { e.Host += "x" }, want: []string{"gets no connection to ", "d.sockx there: no engine has this socket"}},
		{name: "a host certificate", config: "HostCertificate DIR/host_ed25519-cert.pub", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { certify(t, s, "127.0.0.1", "+1h") }},
		{name: "a host certificate of another host", config: "HostCertificate DIR/host_ed25519-cert.pub", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { certify(t, s, "elsewhere", "+1h") },
			want: []string{"the host certificate of 127.0.0.1, ", "principal"}},
		{name: "an old host certificate", config: "HostCertificate DIR/host_ed25519-cert.pub", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { certify(t, s, "127.0.0.1", "20200101:20200102") },
			want: []string{"the host certificate of 127.0.0.1, ", "expired"}},
		{name: "a certificate", config: "TrustedUserCAKeys DIR/ca.pub", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) {
			write(t, s.AuthorizedKeys, "")
			s.Keygen("", "-s", s.Keygen("ca", "-t", "ed25519"), "-I", "test", "-n", s.User, s.Key+".pub")
		}},
		{name: "the certificate of another key", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) {
			other := s.Keygen("other", "-t", "ed25519")
			s.Keygen("", "-s", s.Keygen("ca", "-t", "ed25519"), "-I", "test", "-n", s.User, other+".pub")
			if err := os.Rename(other+"-cert.pub", s.Key+"-cert.pub"); err != nil {
				t.Fatal(err)
			}
		}, want: []string{"ssh_key ", "id-cert.pub is not the certificate of this key"}},
		{name: "the usual files", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) {
			usual(t, s, home)
			*e = Endpoint{Host: e.Host}
		}},
		{name: "the agent", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) {
			e.SSHKeys = ""
			t.Setenv("SSH_AUTH_SOCK", startAgent(t, s))
		}},
		{name: "no agent", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) {
			e.SSHKeys = ""
			os.RemoveAll(filepath.Join(home, ".ssh"))
			t.Setenv("SSH_AUTH_SOCK", nowhere)
		}, want: []string{"there is no key for SSH", "the SSH agent: dial unix " + nowhere}},
		{name: "no server", change: func(t *testing.T, s *sshtest.Server, e *Endpoint) { s.Kill() }, want: []string{"connection refused"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sshtest.New(t, c.config)
			endpoint := bySSH(s, e)
			if c.change != nil {
				c.change(t, s, &endpoint)
			}
			check(t, ask(t, endpoint), c.want...)
		})
	}
}

// certify has the server show a certificate of its key, which is for the host and for the time, and its authority known alone.
func certify(t *testing.T, s *sshtest.Server, host, valid string) {
	t.Helper()
	s.Keygen("", "-s", s.Keygen("ca", "-t", "ed25519"), "-I", "test", "-h", "-n", host, "-V", valid, s.HostKey("ed25519")+".pub")
	ca, err := os.ReadFile(filepath.Join(filepath.Dir(s.Key), "ca.pub"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, s.KnownHosts, "@cert-authority [127.0.0.1]:"+s.Port+" "+string(ca))
	s.Restart()
}

// usual puts the files that the server takes where OpenSSH's client has its own.
func usual(t *testing.T, s *sshtest.Server, home string) {
	t.Helper()
	dir := filepath.Join(home, ".ssh")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{s.Key: "id_ed25519", s.KnownHosts: "known_hosts"} {
		if err := os.Rename(from, filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	s.Keygen("locked", "-t", "ed25519", "-N", "secret")
	if err := os.Rename(filepath.Join(filepath.Dir(s.Key), "locked"), filepath.Join(dir, "id_rsa")); err != nil {
		t.Fatal(err)
	}
}

// startAgent starts an agent that has the key, and returns its socket.
func startAgent(t *testing.T, s *sshtest.Server) string {
	t.Helper()
	socket := filepath.Join(filepath.Dir(s.Key), "agent")
	agent := exec.CommandContext(t.Context(), "ssh-agent", "-D", "-a", socket)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		agent.Process.Kill()
		agent.Wait()
	})
	add := func() ([]byte, error) {
		c := exec.CommandContext(t.Context(), "ssh-add", s.Key)
		c.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
		return c.CombinedOutput()
	}
	for begun := time.Now(); ; {
		out, err := add()
		if err == nil {
			return socket
		}
		if time.Since(begun) > deadline {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

// key is a line of known hosts without the host.
func key(line string) string {
	_, key, _ := strings.Cut(line, " ")
	return key
}

// check checks that the error has all these in it, that there is none if there are none.
func check(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil && len(want) > 0 || err != nil && len(want) == 0 {
		t.Errorf("%v, want %q", err, want)
	}
	for _, w := range want {
		if err != nil && !strings.Contains(err.Error(), w) {
			t.Errorf("%v, want %q in it", err, w)
		}
	}
	if err != nil && testing.Verbose() {
		t.Log(err)
	}
}

// TestSSHFaults checks that an engine is watched again after what happens to the way to it, and what is said of that.
func TestSSHFaults(t *testing.T) {
	for _, c := range []struct {
		name      string
		fault, up func(*sshtest.Server)
		want      string // of the error
	}{
		{"killed", (*sshtest.Server).Kill, (*sshtest.Server).Start, "connection refused"},
		{"cut", (*sshtest.Server).Restart, func(*sshtest.Server) {}, "the SSH connection to "},
		{"another host key", (*sshtest.Server).NewHostKey, (*sshtest.Server).Trust, "has changed"},
		{"the engine ends", nil, nil, "gets no connection to "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, e := sshtest.New(t), enginetest.New(t)
			if c.fault == nil {
				c.fault, c.up = func(*sshtest.Server) { e.Down() }, func(*sshtest.Server) { e.Up() }
			}
			e.Run(enginetest.Spec{Name: "web"})
			r := watchSSH(t, bySSH(s, e))
			synced(t, r)
			c.fault(s)
			r.wait(t, "the error", func() bool {
				return slices.ContainsFunc(r.errors, func(err error) bool { return strings.Contains(err.Error(), c.want) })
			})
			c.up(s)
			up := time.Now()
			e.Run(enginetest.Spec{Name: "later"})
			r.wait(t, "the next connection", func() bool { return r.current && len(r.containers) == 2 })
			if took := time.Since(up); took > strangerRetry+5*time.Second {
				t.Errorf("%s until all is right again", took)
			}
			awaitOneConnection(t, s)
		})
	}
}

// TestSSHFrozen checks that a server that says nothing more is noticed, before a connection, while it is made, and after.
func TestSSHFrozen(t *testing.T) {
	const silence = 300 * time.Millisecond
	s, e := sshtest.New(t), enginetest.New(t)
	begin := func() *tunnel {
		tunnel, err := newTunnel(bySSH(s, e))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(tunnel.close)
		return tunnel
	}
	tunnel := begin()
	tunnel.silence = silence
	conn, err := tunnel.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	s.Signal(syscall.SIGSTOP)
	_, err = conn.Read(make([]byte, 1))
	check(t, err, "no sign of life by SSH for 300ms")
	_, err = tunnel.dial(t.Context(), "", "")
	check(t, err, "no sign of life")

	tunnel = begin()
	tunnel.patience = silence
	_, err = tunnel.dial(t.Context(), "", "")
	check(t, err, "has not answered by SSH for 300ms")

	s.Signal(syscall.SIGCONT)
	tunnel = begin()
	if _, err = tunnel.dial(t.Context(), "", ""); err != nil {
		t.Fatal(err)
	}
	s.Signal(syscall.SIGSTOP)
	tunnel.patience = silence
	_, err = tunnel.dial(t.Context(), "", "")
	check(t, err, "has given no connection to ", " for 300ms")
}

// TestSSHEnds checks that an end waits for no answer, neither while a connection is made nor after.
func TestSSHEnds(t *testing.T) {
	s, e := sshtest.New(t), enginetest.New(t)
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	endpoint := bySSH(s, e)
	ends := func(w *Watcher) {
		t.Helper()
		begun := time.Now()
		w.Release()
		if took := time.Since(begun); took > sshTimeout/2 {
			t.Errorf("the end took %s", took)
		}
	}
	r := newRecorder()
	w := Watch(endpoint, r)
	w.Subscribe(r, time.Hour)
	synced(t, r)
	s.Signal(syscall.SIGSTOP)
	w.Unsubscribe(r)
	ends(w)

	endpoint.Host = fmt.Sprintf("ssh://%s@%s", s.User, mute.Addr())
	w = Watch(endpoint, newRecorder())
	conn, err := mute.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ends(w)
}

// TestSSHUser checks that who has no name is asked for one.
func TestSSHUser(t *testing.T) {
	defer func(u func() (*user.User, error)) { userCurrent = u }(userCurrent)
	userCurrent = func() (*user.User, error) { return nil, user.UnknownUserIdError(1000) }
	check(t, CheckSSH(Endpoint{Host: "ssh://nas:2222"}), "ssh://nas:2222 says no user", "write ssh://USER@nas:2222")
	check(t, CheckSSH(Endpoint{Host: "ssh://me@nas"}))
	userCurrent = func() (*user.User, error) { return &user.User{Username: "me"}, nil }
	check(t, CheckSSH(Endpoint{Host: "ssh://nas"}))
	check(t, CheckSSH(Endpoint{Host: "ssh://nas", SSHKeys: "/nowhere"}), "ssh_key /nowhere can't be read")
	check(t, CheckSSH(Endpoint{Host: "ssh://nas", KnownHosts: "/nowhere"}), "known hosts: open /nowhere")
}
