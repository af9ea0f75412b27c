package rig

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

// Sshd is OpenSSH's server. It must be started by its whole path, by which it runs itself again.
const Sshd = "/usr/sbin/sshd"

// NewSSHKey makes an Ed25519 key in the file, in place of one that is there, and its public half beside it.
func NewSSHKey(t *testing.T, file string) {
	t.Helper()
	os.Remove(file)
	if out, err := Output(exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file)); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
}

// StartSSH starts OpenSSH's server with the configuration in the file, by a command that runs another one where the server is
// to be.
func (r Run) StartSSH(t *testing.T, config string, where ...string) *Process {
	t.Helper()
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // as the system's start does
		t.Fatal(err)
	}
	command := append(slices.Clone(where), Sshd, "-D", "-e", "-f", config)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), r.Environ())
	p, err := Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
