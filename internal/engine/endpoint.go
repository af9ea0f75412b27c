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

// Endpoint is where an engine is reached.
type Endpoint struct {
	// Host is unix:///PATH or tcp://HOST:PORT.
	Host string
	// TLS is set for an engine that is reached by TLS, with these files in PEM: the client's certificate and
	// key, if it needs one, and the engine's CA, if that is none of the system's. Each connection reads them anew.
	TLS               bool
	Cert, Key, CACert string
	// SkipVerify accepts any certificate of the engine's.
	SkipVerify bool
}

// ValidHost says what is wrong with a Host, nil if nothing is.
func ValidHost(host string) error {
	if path, ok := strings.CutPrefix(host, "unix://"); ok {
		if filepath.IsAbs(path) && filepath.Clean(path) != "/" {
			return nil
		}
	} else if u, err := url.Parse(host); err == nil && u.Scheme == "tcp" && u.Hostname() != "" && u.RawQuery == "" && u.User == nil {
		if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil && port != 0 {
			return nil
		}
	}
	return fmt.Errorf("'%s' is not an endpoint: want unix:///PATH or tcp://HOST:PORT", host)
}

// Source returns the engine's address, as all write it who mean the same one.
func (e Endpoint) Source() Source { return Source(e.canonical().Host) }

// canonical returns the endpoint as all write it who mean the same one. Where a path leads through symbolic links it
// is that of the socket itself, so that /var/run/docker.sock is /run/docker.sock.
func (e Endpoint) canonical() Endpoint {
	if path, ok := strings.CutPrefix(e.Host, "unix://"); ok {
		e.Host = "unix://" + realPath(path, maxLinks)
	} else if u, err := url.Parse(e.Host); err == nil && u.Port() != "" {
		host, port := strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), u.Port()
		if ip, err := netip.ParseAddr(host); err == nil {
			host = ip.Unmap().String()
		}
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			port = strconv.FormatUint(n, 10)
		}
		e.Host = "tcp://" + net.JoinHostPort(host, port) + strings.TrimRight(u.EscapedPath(), "/")
	}
	for _, file := range []*string{&e.Cert, &e.Key, &e.CACert} {
		if *file == "" {
			continue
		}
		if path, err := filepath.Abs(*file); err == nil { // without a working directory the path as it is
			*file = path
		}
	}
	return e
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
