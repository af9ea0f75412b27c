package dockerdiscovery

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coredns/coredns/plugin/pkg/tls"

	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
)

// isEndpoint reports whether the argument says where an engine is: a URL, the path of a socket, or an
// address with one of the engine's usual ports. No zone looks like that.
func isEndpoint(arg string) bool {
	return strings.Contains(arg, "://") || strings.HasPrefix(arg, "unix:") ||
		strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, "./") || strings.HasPrefix(arg, "../") ||
		strings.HasSuffix(arg, ":2375") || strings.HasSuffix(arg, ":2376")
}

// addOnce adds the values to those of earlier lines. One that stands there twice is a mistake.
func addOnce[T ~string](all []T, values []string) ([]T, error) {
	for _, v := range values {
		if slices.Contains(all, T(v)) {
			return nil, fmt.Errorf("'%s' stands there twice", v)
		}
		all = append(all, T(v))
	}
	return all, nil
}

func (cfg *config) addSources(args []string) (err error) {
	for _, arg := range args {
		if !slices.Contains(naming.Sources(), naming.Source(arg)) {
			return fmt.Errorf("'%s' is not a source of names", arg)
		}
	}
	cfg.sources, err = addOnce(cfg.sources, args)
	return err
}

// setTLS takes the files as other plugins do. They are read here so that a wrong one is told with
// its line; each connection reads them anew.
func (cfg *config) setTLS(args []string) error {
	for i, arg := range args {
		if !filepath.IsAbs(arg) && cfg.root != "" {
			args[i] = filepath.Join(cfg.root, arg)
		}
	}
	if _, err := tls.NewTLSConfigFromArgs(args...); err != nil {
		return err
	}
	cfg.endpoint.TLS = true
	if len(args)%2 == 1 {
		cfg.endpoint.CACert = args[len(args)-1]
	}
	if len(args) > 1 {
		cfg.endpoint.Cert, cfg.endpoint.Key = args[0], args[1]
	}
	return nil
}

func parseTTL(s string) (uint32, error) {
	ttl, err := strconv.ParseUint(s, 10, 32)
	if err != nil || ttl > naming.MaxTTL {
		return 0, fmt.Errorf("'%s' is not a TTL", s)
	}
	return uint32(ttl), nil
}

func parseDuration(s string, atLeast, atMost time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < atLeast || d > atMost {
		return 0, fmt.Errorf("'%s' is not a duration that can be used here", s)
	}
	return d, nil
}

func parseAddrs(args []string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, arg := range args {
		ip, err := netip.ParseAddr(arg)
		if err != nil || ip.Is6() && ip.IsLinkLocalUnicast() || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() {
			return nil, fmt.Errorf("'%s' is not an address at which a host can be reached", arg)
		}
		addrs = append(addrs, ip.Unmap())
	}
	return addrs, nil
}

func (cfg *config) addForwarders(args []string) error {
	for _, arg := range args {
		prefix, err := netip.ParsePrefix(arg)
		if ip, notIP := netip.ParseAddr(arg); notIP == nil && ip.Zone() == "" {
			prefix, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		if err != nil || prefix.Addr().Is4In6() {
			return fmt.Errorf("'%s' is neither an address nor a range of addresses", arg)
		}
		cfg.forwarders = append(cfg.forwarders, prefix.Masked())
	}
	return nil
}

func (cfg *config) addTemplate(text string) error {
	t, err := naming.NewTemplate(text)
	if err != nil {
		return fmt.Errorf("'%s' is not a template: %w", text, err)
	}
	cfg.templates = append(cfg.templates, t)
	return nil
}

// validPrefix checks a prefix of labels' keys.
func validPrefix(s string) error {
	if reason := naming.Invalid(strings.ToLower(s)); reason != "" {
		return fmt.Errorf("'%s' is not a label prefix: %s", s, reason)
	}
	return nil
}
