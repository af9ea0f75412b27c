package engine

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Endpoint is where and how an engine is reached. Two that are equal share one watcher.
type Endpoint struct {
	// Host is unix:///PATH, tcp://HOST:PORT or ssh://[USER@]HOST[:PORT][/PATH], where PATH is the engine's socket on that
	// machine.
	Host string
	// TLS is set for an engine that is reached by TLS, with these files in PEM: the client's certificate and
	// key, if it needs one, and the engine's CA, if that is none of the system's. Each connection reads them anew.
	TLS               bool
	Cert, Key, CACert string
	// SkipVerify accepts any certificate of the engine's.
	SkipVerify bool
	// SSHKeys are the files with the private keys for SSH, one a line, and KnownHosts is that with the keys of hosts. Where
	// they are empty the usual ones count. Each connection reads them anew.
	SSHKeys, KnownHosts string
}

// HostForms are the accepted forms of a Host.
const HostForms = "unix:///PATH|tcp://HOST:PORT|ssh://[USER@]HOST[:PORT][/PATH]"

// ValidHost says what is wrong with a Host, nil if nothing is.
func ValidHost(host string) error {
	if path, ok := strings.CutPrefix(host, "unix://"); ok {
		if isSocketPath(path) {
			return nil
		}
	} else if u, err := url.Parse(host); err == nil && u.Hostname() != "" && u.RawQuery == "" && u.Fragment == "" {
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		hasPort := err == nil && port != 0
		_, password := u.User.Password()
		switch u.Scheme {
		case "tcp":
			if hasPort && u.User == nil {
				return nil
			}
		case "ssh":
			if (hasPort || u.Port() == "") && !password && (strings.Trim(u.Path, "/") == "" || isSocketPath(u.Path)) {
				return nil
			}
		}
	}
	return fmt.Errorf("'%s' is not an endpoint: want %s", host, HostForms)
}

func isSocketPath(path string) bool { return filepath.IsAbs(path) && filepath.Clean(path) != "/" }

// Source returns the engine's address, as all write it who mean the same one.
func (e Endpoint) Source() Source { return Source(e.canonical().Host) }

// canonical returns the endpoint as all write it who mean the same one. Where a path leads through symbolic links it
// is that of the socket itself, so that /var/run/docker.sock is /run/docker.sock.
func (e Endpoint) canonical() Endpoint {
	if path, ok := strings.CutPrefix(e.Host, "unix://"); ok {
		e.Host = "unix://" + realPath(path, maxLinks)
	} else if u, err := url.Parse(e.Host); err == nil {
		e.Host = canonicalURL(u)
	}
	for _, file := range []*string{&e.Cert, &e.Key, &e.CACert, &e.KnownHosts} {
		*file = absolute(*file)
	}
	if e.SSHKeys != "" {
		keys := strings.Split(e.SSHKeys, "\n")
		for i := range keys {
			keys[i] = absolute(keys[i])
		}
		e.SSHKeys = strings.Join(keys, "\n")
	}
	return e
}

// canonicalURL writes the usual port and socket of SSH as none.
func canonicalURL(u *url.URL) string {
	host, port := strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), u.Port()
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		port = strconv.FormatUint(n, 10)
	}
	c := url.URL{Scheme: u.Scheme, User: u.User, Host: host, Path: strings.TrimRight(u.Path, "/")}
	if c.Scheme == "ssh" {
		if port == SSHPort {
			port = ""
		}
		if c.Path != "" {
			c.Path = filepath.Clean(c.Path)
		}
		if c.Path == SSHSocket {
			c.Path = ""
		}
	}
	switch {
	case port != "":
		c.Host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		c.Host = "[" + host + "]"
	}
	return c.String()
}

// What counts where an endpoint by SSH does not say otherwise.
const (
	SSHPort   = "22"
	SSHSocket = "/var/run/docker.sock"
)

// absolute returns the absolute path of a file, "" for none. Without a working directory it is the path as it is.
func absolute(file string) string {
	if file == "" {
		return ""
	}
	if path, err := filepath.Abs(file); err == nil {
		return path
	}
	return file
}

// maxLinks bounds the symbolic links of which one leads to the next.
const maxLinks = 40

// realPath follows the symbolic links of a path. Its last parts need not exist: an engine that is not there yet may
// have its socket anywhere.
func realPath(path string, links int) string {
	path = filepath.Clean(path)
	dir, name := filepath.Split(path)
	if name == "" || links == 0 {
		return path
	}
	path = filepath.Join(realPath(dir, links), name)
	target, err := os.Readlink(path)
	if err != nil { // it is no link
		return path
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(path), target)
	}
	return realPath(target, links-1)
}
