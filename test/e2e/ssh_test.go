package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/sshtest"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// sshBlock is the docker block for the machine's engine, reached by SSH.
func sshBlock(t *testing.T, sshd *sshtest.Server) string {
	t.Helper()
	return fmt.Sprintf("docker %s {\nendpoint %s nas {\nssh_key %s\nknown_hosts %s\n}\nttl 60\n}", zones, sshd.URL(machineSocket(t)), sshd.Key, sshd.KnownHosts)
}

// An engine by SSH is as good as one at a socket, and what happens to the way to it is noticed, told, and got over.
func TestSSH(t *testing.T) {
	t.Parallel()
	sshd := sshtest.New(t)
	s := serve(t, config{Body: sshBlock(t, sshd)})
	network := machine.network(t)
	begin := func() inspection {
		t.Helper()
		return machine.inspect(t, machine.run(t, "--network", network, "--name", "web-"+suffix()))
	}
	stays := begin()
	t.Logf("a container is answered %v after its start", eventually(t, func() error { return s.agrees(stays) }))
	for _, fault := range []struct {
		name     string
		down, up func()
		limit    time.Duration // until it is noticed
		told     string
	}{
		{"frozen", func() { sshd.Signal(syscall.SIGSTOP) }, func() { sshd.Signal(syscall.SIGCONT) }, 25 * time.Second, "no sign of life by SSH"},
		{"killed", sshd.Kill, sshd.Start, recovery, "start the SSH server"},
		{"another host key", sshd.NewHostKey, sshd.Trust, recovery, "has changed: it shows ssh-ed25519 SHA256:"},
	} {
		fault.down()
		noticed := within(t, fault.limit, func() error {
			if v := s.value("coredns_docker_connected"); v != 0 {
				return fmt.Errorf("%s: connected is %v", fault.name, v)
			}
			return nil
		})
		eventually(t, func() error { return s.servesTTL(stays.name()+".docker.", staleTTL) })
		within(t, 2*time.Minute, func() error { // causes that follow each other are told one after the other
			if len(s.Log.Lines(fault.told)) == 0 {
				return fmt.Errorf("%s: not told:\n%s", fault.name, s.Log)
			}
			return nil
		})
		meanwhile := begin()
		fault.up()
		over := within(t, 2*recovery, func() error { return s.agrees(meanwhile) }) // a server that is not ours is tried each 3 s
		t.Logf("%s: noticed after %v, got over in %v", fault.name, noticed.Round(time.Millisecond), over.Round(time.Millisecond))
		eventually(t, func() error { return s.servesTTL(stays.name()+".docker.", 60) })
		eventually(t, func() error { // those of before may be about to end
			if n := sshd.Connections(); n != 1 {
				return fmt.Errorf("%s: %d connections", fault.name, n)
			}
			return nil
		})
	}
	if strings.Contains(s.Log.String(), "PRIVATE") {
		t.Errorf("the log has a private key:\n%s", s.Log)
	}
}

// Neither a shell nor a list of users nor the ssh command is needed.
func TestSSHInEmptyImage(t *testing.T) {
	t.Parallel()
	if rooted(t) {
		t.Skip("the engine has a root of its own, in which its containers can't be given files of the tests'")
	}
	sshd := sshtest.New(t)
	corefile := filepath.Join(t.TempDir(), "Corefile")
	port := freePort(t, "0.0.0.0")
	run := func(block string) (id string) {
		t.Helper()
		if err := os.WriteFile(corefile, fmt.Appendf(nil, ".:%d {\n%s\n}\n", port, block), 0o644); err != nil {
			t.Fatal(err)
		}
		files := filepath.Dir(sshd.Key)
		return machine.runAs(t, []string{"--network", "host", "-v", binary + ":/coredns", "-v", corefile + ":/Corefile", "-v", files + ":" + files, "--entrypoint", "/coredns"}, image, "-conf", "/Corefile")
	}
	web := "web-" + suffix()
	addr := machine.addr(t, machine.run(t, "--name", web))
	id := run(sshBlock(t, sshd))
	eventually(t, func() error {
		m, err := rig.Ask("udp", loopback(port), web+".docker.", dns.TypeA)
		if err == nil && outcome(m) != addr {
			err = fmt.Errorf("got %s, want %s", outcome(m), addr)
		}
		return err
	})
	machine.do(t, "rm", "-f", id)
	nobody := run(strings.Replace(sshBlock(t, sshd), sshd.User+"@", "", 1))
	machine.do(t, "wait", nobody)
	if out, err := machine.command("logs", nobody).CombinedOutput(); err != nil || !strings.Contains(string(out), "says no user") {
		t.Errorf("without a user: %v: %s", err, out)
	}
}
