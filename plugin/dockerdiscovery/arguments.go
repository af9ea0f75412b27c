package dockerdiscovery

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
)

func parseSources(args []string) ([]naming.Source, error) {
	var sources []naming.Source
	for _, arg := range args {
		s := naming.Source(arg)
		if !slices.Contains(naming.Sources(), s) {
			return nil, fmt.Errorf("'%s' is not a source of names", arg)
		}
		sources = append(sources, s)
	}
	return sources, nil
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
		if err != nil || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() {
			return nil, fmt.Errorf("'%s' is not an address at which a host can be reached", arg)
		}
		addrs = append(addrs, ip.Unmap())
	}
	return addrs, nil
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
