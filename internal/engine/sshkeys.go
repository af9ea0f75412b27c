package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// maxAgentKeys is how many of an agent's keys are tried: servers take no more than six.
const maxAgentKeys = 6

// keys are the private keys with which a host is asked to let us in.
type keys struct {
	signers []ssh.Signer
	told    []string // what they are, and why others are none, for messages
	agent   net.Conn // nil without one
}

// String says which keys there are, by their public halves.
func (k *keys) String() string { return strings.Join(k.told, ", ") }

// close must be called when the keys are not used any more.
func (k *keys) close() {
	if k.agent != nil {
		k.agent.Close()
	}
}

func (k *keys) add(what string, signers ...ssh.Signer) {
	k.signers = append(k.signers, signers...)
	k.told = append(k.told, fmt.Sprintf("%s (%s)", what, fingerprint(signers[len(signers)-1].PublicKey())))
}

// loadKeys returns the keys in the written files. If none is written they are those in the usual files and the agent's.
func loadKeys(written string) (*keys, error) {
	if written != "" {
		return writtenKeys(written)
	}
	k := &keys{}
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		file := filepath.Join(sshDir(), name)
		switch signers, err := readKey(file); {
		case err == nil:
			k.add(file, signers...)
		case !errors.Is(err, fs.ErrNotExist):
			k.told = append(k.told, err.Error())
		}
	}
	if err := k.ask(os.Getenv("SSH_AUTH_SOCK")); err != nil {
		k.told = append(k.told, fmt.Sprintf("the SSH agent: %v", err))
	}
	if len(k.signers) == 0 {
		k.close()
		return nil, fmt.Errorf("there is no key for SSH, in an agent (SSH_AUTH_SOCK) or in %s/id_ed25519, id_ecdsa or id_rsa: write 'ssh_key FILE' with a private key's file: %s", sshDir(), cmp.Or(k.String(), "none exists"))
	}
	return k, nil
}

// ask adds the keys of the agent that listens at the socket, if there is one.
func (k *keys) ask(socket string) error {
	if socket == "" {
		return nil
	}
	conn, err := net.DialTimeout("unix", socket, sshTimeout)
	if err != nil {
		return err
	}
	k.agent = conn
	if err := conn.SetDeadline(time.Now().Add(sshTimeout)); err != nil {
		return err
	}
	signers, err := agent.NewClient(conn).Signers()
	for _, s := range signers[:min(len(signers), maxAgentKeys)] {
		k.add("the SSH agent's key", s)
	}
	return err
}

// writtenKeys returns the keys in the files, of which one stands in each line.
func writtenKeys(files string) (*keys, error) {
	k := &keys{}
	if files == "" {
		return k, nil
	}
	for file := range strings.SplitSeq(files, "\n") {
		signers, err := readKey(file)
		if err != nil {
			return nil, fmt.Errorf("ssh_key %w", err)
		}
		k.add(file, signers...)
	}
	return k, nil
}

// readKey returns the private key in the file, before it the same with its certificate if FILE-cert.pub has one. An error
// begins with the file and tells nothing of its content.
func readKey(file string) ([]ssh.Signer, error) {
	text, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s can't be read: %w", file, err)
	}
	key, err := ssh.ParsePrivateKey(text)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, fmt.Errorf("%s has a passphrase, which nobody could type here: use a key without one, or an agent (ssh-add, SSH_AUTH_SOCK) and no ssh_key", file)
	case err != nil:
		return nil, fmt.Errorf("%s is not a private key for SSH (as ssh-keygen -t ed25519 makes one): %w", file, err)
	}
	signers := []ssh.Signer{key}
	text, err = readFile(file + "-cert.pub")
	if errors.Is(err, fs.ErrNotExist) {
		return signers, nil
	} else if err != nil {
		return nil, fmt.Errorf("%s-cert.pub can't be read: %w", file, err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s-cert.pub is not a certificate: %w", file, err)
	}
	certificate, ok := public.(*ssh.Certificate)
	if !ok {
		return nil, fmt.Errorf("%s-cert.pub is a key, not a certificate", file)
	}
	certified, err := ssh.NewCertSigner(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("%s-cert.pub is not the certificate of this key: %w", file, err)
	}
	return []ssh.Signer{certified, key}, nil
}

// readFile returns what stands in a file of SSH's.
func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxConfig))
}

// sshDir is where OpenSSH keeps a user's files. Services may be run without HOME.
func sshDir() string {
	home, err := os.UserHomeDir()
	if err != nil {
		if u, err := userCurrent(); err == nil {
			home = u.HomeDir
		}
	}
	return filepath.Join(home, ".ssh")
}

// fingerprint tells a public key from others, as ssh-keygen -l does.
func fingerprint(key ssh.PublicKey) string { return key.Type() + " " + ssh.FingerprintSHA256(key) }
