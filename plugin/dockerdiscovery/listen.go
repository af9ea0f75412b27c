package dockerdiscovery

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/coredns/coredns/core/dnsserver"
	pkgparse "github.com/coredns/coredns/plugin/pkg/parse"
	"github.com/coredns/coredns/plugin/pkg/reuseport"
	"github.com/coredns/coredns/plugin/pkg/transport"
)

// checkListen says why the server block's server will not be able to listen, and what to do. CoreDNS itself fails
// a moment later with the system's words alone.
func checkListen(cfg *dnsserver.Config, keys []string) error {
	for _, at := range listens(cfg, keys) {
		scheme, addr := pkgparse.Transport(at)
		for _, network := range networksOf(scheme) {
			if err := tryListen(network, addr); err != nil {
				return err
			}
		}
	}
	return nil
}

// listens returns where the server block's server listens, as TRANSPORT://ADDRESS:PORT.
func listens(cfg *dnsserver.Config, keys []string) (all []string) {
	for _, key := range keys {
		scheme, rest := pkgparse.Transport(key)
		port := rest[strings.LastIndex(rest, ":")+1:]
		for _, host := range cfg.ListenHosts {
			if at := scheme + "://" + net.JoinHostPort(host, port); !slices.Contains(all, at) {
				all = append(all, at)
			}
		}
	}
	return all
}

// networksOf returns what a transport of CoreDNS's listens on.
func networksOf(scheme string) []string {
	switch scheme {
	case transport.DNS:
		return []string{"tcp", "udp"}
	case transport.QUIC, transport.HTTPS3:
		return []string{"udp"}
	default:
		return []string{"tcp"}
	}
}

// tryListen listens for a moment, as CoreDNS does.
func tryListen(network, addr string) error {
	var l io.Closer
	var err error
	if network == "tcp" {
		l, err = reuseport.Listen(network, addr)
	} else {
		l, err = reuseport.ListenPacket(network, addr)
	}
	if err == nil {
		return l.Close()
	}
	if hint := listenHint(network, addr, err); hint != "" {
		err = fmt.Errorf("%w: %s", err, hint)
	}
	return err
}
