package engine

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// systemKnownHosts is the file of known hosts that all users of a machine have.
var systemKnownHosts = "/etc/ssh/ssh_known_hosts"

// hosts are the keys of known hosts, for one of these.
type hosts struct {
	callback   ssh.HostKeyCallback
	host, port string
	file       string // where a key is added
}

// knownHosts reads the file of known hosts, if none is written the usual ones that exist.
func knownHosts(written, host, port string) (*hosts, error) {
	h := &hosts{host: host, port: port, file: written}
	files := []string{written}
	if written == "" {
		h.file = filepath.Join(sshDir(), "known_hosts")
		files = slices.DeleteFunc([]string{h.file, systemKnownHosts}, func(file string) bool {
			_, err := os.Stat(file)
			return errors.Is(err, fs.ErrNotExist)
		})
	}
	var err error
	if h.callback, err = knownhosts.New(files...); err != nil {
		return nil, fmt.Errorf("the file of known hosts: %w", err)
	}
	return h, nil
}

func (h *hosts) addr() string { return net.JoinHostPort(h.host, h.port) }

// known returns the host's keys, and those of the authorities that sign its keys.
func (h *hosts) known() []knownhosts.KnownKey {
	nobodys, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		return nil
	}
	var unlike *knownhosts.KeyError
	errors.As(h.callback(h.addr(), &net.TCPAddr{}, nobodys), &unlike)
	if unlike == nil {
		return nil
	}
	return unlike.Want
}

// algorithms returns the kinds of keys with which the host may show who it is: first those of its known keys, since it
// may have others too. What it has none of comes last, so that a key that is not known can be told.
func (h *hosts) algorithms() []string {
	var first []string
	supported := ssh.SupportedAlgorithms().HostKeys
	certificates := slices.DeleteFunc(slices.Clone(supported), func(a string) bool { return !strings.Contains(a, "-cert-") })
	plain := slices.DeleteFunc(slices.Clone(supported), func(a string) bool { return strings.Contains(a, "-cert-") })
	slices.Reverse(plain) // Ed25519 is the first one that people compare
	for _, k := range h.known() {
		switch {
		case isAuthority(k):
			first = append(first, certificates...)
		case k.Key.Type() == ssh.KeyAlgoRSA:
			first = append(first, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			first = append(first, k.Key.Type())
		}
	}
	return append(first, plain...)
}

// isAuthority reports whether the line is one of an authority, of which the library tells no more.
func isAuthority(k knownhosts.KnownKey) bool {
	text, err := os.ReadFile(k.Filename)
	lines := bytes.Split(text, []byte("\n"))
	return err == nil && k.Line <= len(lines) && bytes.HasPrefix(bytes.TrimSpace(lines[k.Line-1]), []byte("@cert-authority"))
}

// check says what is wrong with the host's key, nil if nothing is.
func (h *hosts) check(addr string, remote net.Addr, key ssh.PublicKey) error {
	err := h.callback(addr, remote, key)
	var unlike *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	port := ""
	if h.port != SSHPort {
		port = " -p " + h.port
	}
	add := fmt.Sprintf("compare the fingerprint with what 'ssh-keygen -lf' says there of the files /etc/ssh/ssh_host_*_key.pub, and then 'ssh-keyscan -H%s %s >>%s'", port, h.host, h.file)
	switch {
	case errors.As(err, &revoked):
		return fmt.Errorf("the host key of %s, %s, is revoked by %s:%d: the host needs a new one", h.host, fingerprint(key), revoked.Revoked.Filename, revoked.Revoked.Line)
	case errors.As(err, &unlike) && len(unlike.Want) == 0:
		return fmt.Errorf("the host key of %s, %s, is not known in %s: %s", h.host, fingerprint(key), h.file, add)
	case errors.As(err, &unlike):
		var wanted []string
		for _, k := range unlike.Want {
			wanted = append(wanted, fmt.Sprintf("%s by %s:%d", fingerprint(k.Key), k.Filename, k.Line))
		}
		return fmt.Errorf("the host key of %s has changed: it shows %s, and should have %s: somebody may pretend to be this host; if it was set up anew: 'ssh-keygen -R %s -f %s', %s",
			h.host, fingerprint(key), strings.Join(wanted, ", "), knownhosts.Normalize(h.addr()), unlike.Want[0].Filename, add)
	case err != nil:
		return fmt.Errorf("the host certificate of %s, %s: %w", h.host, fingerprint(key), err)
	}
	return nil
}
