package hosts

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// sshServer is OpenSSH's server on a host.
type sshServer struct {
	host    *host
	dir     string
	process *rig.Process
}

func newSSHServer(t *testing.T, h *host) *sshServer {
	t.Helper()
	s := &sshServer{host: h, dir: t.TempDir()}
	s.newKey(t, "host_key")
	s.newKey(t, "client_key")
	s.know(t)
	config := "Port 22\nHostKey " + s.path("host_key") + "\nAuthorizedKeysFile " + s.path("client_key.pub") +
		"\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n"
	if err := os.WriteFile(s.path("config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	t.Cleanup(func() { s.end() })
	return s
}

func (s *sshServer) path(file string) string { return filepath.Join(s.dir, file) }

// newKey makes a key and its public half.
func (s *sshServer) newKey(t *testing.T, file string) {
	t.Helper()
	rig.NewSSHKey(t, s.path(file))
}

// know writes the file known_hosts of who trusts the host key that there is.
func (s *sshServer) know(t *testing.T) {
	t.Helper()
	key, err := os.ReadFile(s.path("host_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("known_hosts"), []byte(s.at().String()+" "+string(key)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// at is the address by which all reach it.
func (s *sshServer) at() netip.Addr { return s.host.addrs[len(s.host.addrs)-1] }

func (s *sshServer) start(t *testing.T) {
	t.Helper()
	p := theRun.StartSSH(t, s.path("config"), "nsenter", "--net="+rig.NetnsPath(s.host.netns))
	s.process = p
	err := p.Await(patience, func() error {
		if len(p.Log.Lines("Server listening on")) == 0 {
			return fmt.Errorf("it does not listen")
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Log)
	}
}

// end ends the server and all its connections, which are processes of their own.
func (s *sshServer) end() {
	pid := fmt.Sprint(s.process.Pid())
	if children, err := rig.Output(exec.Command("pgrep", "-P", pid)); err == nil {
		exec.Command("kill", strings.Fields(children)...).Run()
	}
	s.process.Kill()
}

// endpoint is the server in a Corefile. The address by which it is reached is the host's for the LAN.
func (s *sshServer) endpoint(h *host) string {
	return fmt.Sprintf("endpoint ssh://root@[%v]%s %s %s {\nssh_key %s\nknown_hosts %s\n}\n", s.at(), h.socket, h.name, h.addrList(), s.path("client_key"), s.path("known_hosts"))
}
