// Package dockerdiscovery is the docker plugin: it answers for the names of running
// containers.
package dockerdiscovery

import (
	"fmt"
	"maps"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/fall"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/coredns/coredns/plugin/pkg/upstream"
	"github.com/coredns/coredns/plugin/transfer"

	"github.com/dockerdiscovery/dockerdiscovery/internal/asker"
	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

const pluginName = "docker"

var log = clog.NewWithPlugin(pluginName)

func init() { plugin.Register(pluginName, setup) }

const (
	// An address is right only until its container ends. Asking us again is cheap.
	defaultTTL         = 5
	defaultNegativeTTL = 5

	defaultResync = time.Minute
	minResync     = time.Second

	// A restart takes half a second at least; a container that is made anew takes longer.
	defaultHold = 5 * time.Second
	maxHold     = 10 * time.Minute

	// An engine with much to do may hold on to a container that has started for some
	// tens of milliseconds. Resolvers ask again after a second at the earliest.
	arrivalWait = 250 * time.Millisecond
)

// config is what the Corefile says.
type config struct {
	zone     zone.Config
	endpoint engine.Endpoint
	resync   time.Duration
	sources  []naming.Source
	fall     fall.F
	root     string // the server block's, in which relative paths start

	networks     []string
	health       naming.Health
	hold         time.Duration
	publish      bool
	publishAddrs []netip.Addr
	forwarders   []netip.Prefix

	labelPrefix string
	optIn       bool
	templates   []*naming.NameTemplate
}

func setup(c *caddy.Controller) error {
	cfg, err := parse(c)
	if err == nil && cfg.endpoint.Host == "" {
		cfg.endpoint, err = engine.Default(func(err error) { log.Warning(err) })
	}
	if err != nil {
		return plugin.Error(pluginName, err)
	}
	d := newDocker(cfg, instanceOf(c))
	d.block = serverBlock{c.ServerBlockIndex, c.ServerBlockKeys}

	first := false // and no reload
	c.OnFirstStartup(func() error {
		first = true
		return checkListen(dnsserver.GetConfig(c), c.ServerBlockKeys)
	})
	c.OnStartup(func() error {
		cfg := dnsserver.GetConfig(c)
		warnOfCache(cfg)
		d.port = cfg.Port
		d.recursion, d.maintained = hasOne(cfg, recursors), hasOne(cfg, maintainers)
		if t, ok := cfg.Handler("transfer").(*transfer.Transfer); ok {
			d.transfers, t.Next = true, refuseTransfers{t.Next, d}
		}
		if err := d.start(); err != nil {
			return err
		}
		if first {
			d.suggest(cfg)
		}
		return nil
	})
	c.OnShutdown(d.stop)
	c.OnRestartFailed(d.instance.stopLater)

	dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
		d.Next = next
		return d
	})
	return nil
}

func newDocker(cfg config, i *instance) *Docker {
	d := &Docker{
		Fall: cfg.fall, config: cfg, instance: i, arrivalWait: arrivalWait,
		store:    zone.NewStore(cfg.zone),
		upstream: upstream.New(),
		own:      newOwnAddrs(),
	}
	d.askers = asker.New(&d.own, cfg.forwarders, d.warnOfPublished)
	d.catalog = catalog.New(catalog.Config{
		Rules: naming.Rules{
			Zones: cfg.forward(), Sources: cfg.sources, Reserved: cfg.zone.Reserved,
			Networks: cfg.networks, Health: cfg.health,
			LabelPrefix: cfg.labelPrefix, OptIn: cfg.optIn, TTL: cfg.zone.TTL, Templates: cfg.templates,
		},
		Hold: cfg.hold, Store: d.store, Warnf: aboutContainers.logf,
	})
	return d
}

// forward returns the zones that are no reverse zones.
func (cfg *config) forward() []string {
	return slices.DeleteFunc(slices.Clone(cfg.zone.Zones), zone.IsReverse)
}

// recursors are the plugins that answer for any name on the asker's behalf, some of them not CoreDNS's own. Where our
// answers don't say that the server block offers recursion (RFC 1035 §4.1.1), nslookup and host take the server for one
// that has none, and ask the next one.
var recursors = []string{"forward", "grpc", "unbound", "recursor", "fanout", "dnsredir", "alternate", "proxy"}

// maintainers are the plugins that take a NOTIFY or an UPDATE.
var maintainers = []string{"secondary", "dynupdate"}

// hasOne reports whether the server block has one of the plugins.
func hasOne(cfg *dnsserver.Config, plugins []string) bool {
	return slices.ContainsFunc(plugins, func(name string) bool { return cfg.Handler(name) != nil })
}

// warnOfCache warns of a cache that keeps our answers: they depend on who asks, and
// change while the cache holds on to them.
func warnOfCache(cfg *dnsserver.Config) {
	above := slices.Index(dnsserver.Directives, "cache") < slices.Index(dnsserver.Directives, pluginName)
	if above && cfg.Handler("cache") != nil {
		log.Warning("The cache plugin stands above docker in this build: it keeps containers' addresses after they are gone. Put docker directly above cache in plugin.cfg")
	}
}

// properties are the accepted forms.
var properties = map[string]string{
	"endpoint":     "endpoint unix:///PATH|tcp://HOST:PORT",
	"tls":          "tls [CERT KEY] [CACERT]",
	"names":        "names SOURCE..., with sources " + sourceNames(),
	"template":     "template TEMPLATE, a Go template in quotes, as in \"{{.Service}}-{{.Number}}.{{.Project}}\"",
	"label_prefix": "label_prefix PREFIX, of letters, digits, dots, hyphens and underscores, without the last dot",
	"opt_in":       "opt_in",
	"ttl":          fmt.Sprintf("ttl SECONDS [NEGATIVE_SECONDS], each from 0 to %d", naming.MaxTTL),
	"network":      "network NAME...",
	"health":       "health prefer|require|ignore",
	"hold":         fmt.Sprintf("hold DURATION, from 0s to %s", maxHold),
	"isolate":      "isolate",
	"publish":      "publish [ADDRESS...]",
	"forwarders":   "forwarders CIDR..., each an address or a range, as in 192.0.2.53 or 127.0.0.0/8",
	"resync":       fmt.Sprintf("resync DURATION, at least %s", minResync),
	"fallthrough":  "fallthrough [ZONE...]",
}

func sourceNames() string {
	var names []string
	for _, s := range naming.Sources() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

func parse(c *caddy.Controller) (config, error) {
	cfg := config{labelPrefix: naming.DefaultLabelPrefix, root: dnsserver.GetConfig(c).Root}
	cfg.zone.TTL, cfg.zone.NegativeTTL = defaultTTL, defaultNegativeTTL
	cfg.resync = defaultResync
	cfg.hold, cfg.health = defaultHold, naming.PreferHealth

	for i := 0; c.Next(); i++ {
		if i > 0 {
			return cfg, c.Errf("docker stands in this server block already; want it once, with all zones as its arguments")
		}
		zones, err := parseZones(c, c.RemainingArgs())
		if err != nil {
			return cfg, err
		}
		cfg.zone.Zones = zones
		if err := cfg.parseBlock(c); err != nil {
			return cfg, err
		}
	}
	if len(cfg.sources) == 0 {
		cfg.sources = naming.Sources()
	}
	return cfg, nil
}

// adding are the properties that add to what an earlier line of theirs says. Of all others a second
// line would silently take the place of the first.
var adding = []string{"names", "network", "template", "forwarders"}

func (cfg *config) parseBlock(c *caddy.Controller) error {
	lines := map[string]int{} // of the properties that were given
	for c.NextBlock() {
		property := c.Val()
		form, ok := properties[property]
		if !ok {
			return c.Errf("unknown property '%s': want one of %s", property, strings.Join(slices.Sorted(maps.Keys(properties)), ", "))
		}
		if line, given := lines[property]; given && !slices.Contains(adding, property) {
			return c.Errf("%s stands in line %d already; want '%s' once", property, line, form)
		}
		lines[property] = c.Line()
		if err := cfg.set(property, c.RemainingArgs()); err != nil {
			return c.Errf("%s; want '%s'", err, form)
		}
	}
	if line, given := lines["tls"]; given && !strings.HasPrefix(cfg.endpoint.Host, "tcp://") {
		return c.Errf("tls in line %d needs an endpoint tcp://HOST:PORT", line)
	}
	return nil
}

// parseZones returns the zones of the arguments, of the server block if there are
// none.
func parseZones(c *caddy.Controller, args []string) ([]string, error) {
	for _, arg := range args {
		if isEndpoint(arg) {
			return nil, c.Errf("'%s' is not a zone but an engine's endpoint; write endpoint in the block: '%s'", arg, properties["endpoint"])
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

// checkCount checks the number of a property's arguments.
func checkCount(property string, args []string) error {
	atLeast, atMost := 1, 1
	switch property {
	case "tls":
		atLeast, atMost = 0, 3
	case "ttl":
		atMost = 2
	case "names", "network", "forwarders":
		atMost = len(args)
	case "fallthrough", "publish":
		atLeast, atMost = 0, len(args)
	case "isolate", "opt_in":
		atLeast, atMost = 0, 0
	}
	if len(args) < atLeast || len(args) > atMost {
		return fmt.Errorf("%s has %d arguments", property, len(args))
	}
	return nil
}

// set sets the property. Its errors say what is wrong, not what is accepted.
func (cfg *config) set(property string, args []string) error {
	err := checkCount(property, args)
	if err != nil {
		return err
	}
	switch property {
	case "endpoint":
		cfg.endpoint.Host = args[0]
		if engine.ValidHost(args[0]) != nil {
			err = fmt.Errorf("'%s' is not an endpoint", args[0])
		}
	case "tls":
		err = cfg.setTLS(args)
	case "names":
		err = cfg.addSources(args)
	case "template":
		err = cfg.addTemplate(args[0])
	case "label_prefix":
		cfg.labelPrefix, err = args[0], validPrefix(args[0])
	case "opt_in":
		cfg.optIn = true
	case "ttl":
		cfg.zone.TTL, err = parseTTL(args[0])
		if err == nil && len(args) > 1 {
			cfg.zone.NegativeTTL, err = parseTTL(args[1])
		}
	case "network":
		cfg.networks, err = addOnce(cfg.networks, args)
	case "health":
		var ok bool
		if cfg.health, ok = naming.ParseHealth(args[0]); !ok {
			err = fmt.Errorf("'%s' is not a way to treat health", args[0])
		}
	case "hold":
		cfg.hold, err = parseDuration(args[0], 0, maxHold)
	case "isolate":
		cfg.zone.Isolate = true
	case "publish":
		cfg.publish = true
		cfg.publishAddrs, err = parseAddrs(args)
	case "forwarders":
		err = cfg.addForwarders(args)
	case "resync":
		cfg.resync, err = parseDuration(args[0], minResync, math.MaxInt64)
	case "fallthrough":
		cfg.fall.SetZonesFromArgs(args)
	}
	return err
}
