package dockerdiscovery

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin"

	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// isEndpoint reports whether the argument is an engine's endpoint: a URL, the path of a socket, or an
// address with one of the engine's usual ports. No zone looks like that.
func isEndpoint(arg string) bool {
	return strings.Contains(arg, "://") || strings.HasPrefix(arg, "unix:") ||
		strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, "./") || strings.HasPrefix(arg, "../") ||
		strings.HasSuffix(arg, ":2375") || strings.HasSuffix(arg, ":2376")
}

// parseZones returns the zones of the arguments, of the server block if there are
// none.
func parseZones(c *caddy.Controller, args []string) ([]string, error) {
	for _, arg := range args {
		if isEndpoint(arg) {
			return nil, c.Errf("'%s' is not a zone but an engine's endpoint; write endpoint in the block: '%s'", arg, endpointForm)
		}
		if reason := invalidZone(arg); reason != "" {
			return nil, c.Errf("'%s' is not a zone: %s; want a domain name or a CIDR, as in 'docker. 172.16.0.0/12'", arg, reason)
		}
	}
	var zones []string
	for _, z := range plugin.OriginsFromArgsOrServerBlock(args, c.ServerBlockKeys) {
		if !slices.Contains(zones, z) {
			zones = append(zones, z)
		}
	}
	if !slices.ContainsFunc(zones, func(z string) bool { return !zone.IsReverse(z) }) {
		return nil, c.Errf("all zones are reverse zones; want one for the containers' names too, as in 'docker docker. 172.16.0.0/12'")
	}
	return zones, nil
}

func invalidZone(arg string) string {
	if strings.Contains(arg, "/") {
		if _, _, err := net.ParseCIDR(arg); err != nil {
			return err.Error()
		}
		return ""
	}
	if arg == "." {
		return ""
	}
	if reason := naming.Invalid(strings.ToLower(strings.TrimSuffix(arg, "."))); reason != "" {
		return reason
	}
	if _, _, err := plugin.SplitHostPort(arg); err != nil {
		return err.Error()
	}
	return ""
}

// addOnce adds the values to those of earlier lines. A repeated value is an error.
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

func (cfg *config) setTTL(args []string) (err error) {
	cfg.zone.TTL, err = parseTTL(args[0])
	if err == nil && len(args) > 1 {
		cfg.zone.NegativeTTL, err = parseTTL(args[1])
	}
	return err
}

func parseTTL(s string) (uint32, error) {
	ttl, err := strconv.ParseUint(s, 10, 32)
	if err != nil || ttl > naming.MaxTTL {
		return 0, fmt.Errorf("'%s' is not a TTL", s)
	}
	return uint32(ttl), nil
}

func (cfg *config) addNetworks(args []string) (err error) {
	cfg.networks, err = addOnce(cfg.networks, args)
	return err
}

func (cfg *config) setHealth(args []string) error {
	var ok bool
	if cfg.health, ok = naming.ParseHealth(args[0]); !ok {
		return fmt.Errorf("'%s' is not a way to treat health", args[0])
	}
	return nil
}

func (cfg *config) setHold(args []string) (err error) {
	cfg.hold, err = parseDuration(args[0], 0, maxHold)
	return err
}

func (cfg *config) setResync(args []string) (err error) {
	cfg.resync, err = parseDuration(args[0], minResync, math.MaxInt64)
	return err
}

func (cfg *config) setStartup(args []string) (err error) {
	cfg.startup, err = parseDuration(args[0], minStartup, maxStartup)
	return err
}

func (cfg *config) setForget(args []string) (err error) {
	cfg.forget, err = parseDuration(args[0], minForget, math.MaxInt64)
	return err
}

func parseDuration(s string, atLeast, atMost time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < atLeast || d > atMost {
		return 0, fmt.Errorf("'%s' is not a duration that can be used here", s)
	}
	return d, nil
}

func (cfg *config) setIsolate([]string) error {
	cfg.zone.Isolate = true
	return nil
}

func (cfg *config) setRouted([]string) error {
	cfg.routed = true
	return nil
}

func (cfg *config) setSwarm([]string) error {
	cfg.swarm = true
	return nil
}

func (cfg *config) setPublish(args []string) (err error) {
	cfg.publish = true
	cfg.publishAddrs, err = parseAddrs(args)
	return err
}

func parseAddrs(args []string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, arg := range args {
		ip, err := netip.ParseAddr(arg)
		if err != nil || ip.Zone() != "" || !usable(ip) {
			return nil, fmt.Errorf("'%s' is not an address at which a host can be reached", arg)
		}
		addrs = append(addrs, ip.Unmap())
	}
	return addrs, nil
}

// usable reports whether a host can be reached at such an address from any network.
func usable(ip netip.Addr) bool {
	return !ip.IsUnspecified() && !ip.IsMulticast() && !(ip.Is6() && ip.IsLinkLocalUnicast())
}

func (cfg *config) addForwarders(args []string) (err error) {
	cfg.forwarders, err = addPrefixes(cfg.forwarders, args)
	return err
}

func (cfg *config) addFilters(args []string) error {
	if cfg.filters == nil {
		cfg.filters = &naming.Filters{}
	}
	for _, arg := range args {
		if err := cfg.filters.Add(arg); err != nil {
			return err
		}
	}
	return nil
}

func (cfg *config) addAddresses(args []string) (err error) {
	cfg.addresses, err = addPrefixes(cfg.addresses, args)
	return err
}

// addPrefixes adds the ranges of addresses, of which each may be a single one.
func addPrefixes(all []netip.Prefix, args []string) ([]netip.Prefix, error) {
	for _, arg := range args {
		prefix, err := netip.ParsePrefix(arg)
		if ip, notIP := netip.ParseAddr(arg); notIP == nil && ip.Zone() == "" {
			prefix, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		if err != nil || prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("'%s' is neither an address nor a range of addresses", arg)
		}
		all = append(all, prefix.Masked())
	}
	return all, nil
}

func (cfg *config) addTemplate(args []string) error {
	t, err := naming.NewTemplate(args[0])
	if err != nil {
		return fmt.Errorf("'%s' is not a template: %w", args[0], err)
	}
	cfg.templates = append(cfg.templates, t)
	return nil
}

// setLabelPrefix sets the prefix of labels' keys.
func (cfg *config) setLabelPrefix(args []string) error {
	if reason := naming.Invalid(strings.ToLower(args[0])); reason != "" {
		return fmt.Errorf("'%s' is not a label prefix: %s", args[0], reason)
	}
	cfg.labelPrefix = args[0]
	return nil
}

func (cfg *config) setOptIn([]string) error {
	cfg.optIn = true
	return nil
}

func (cfg *config) setFallthrough(zones []string) error {
	cfg.fall.SetZonesFromArgs(zones)
	return nil
}
