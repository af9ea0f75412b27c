// Package dockerdiscovery is the docker plugin: it answers for the names of running
// containers.
package dockerdiscovery

import (
	"fmt"
	"maps"
	"math"
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

	// Engines that are started with the machine answer by then.
	defaultStartup = 30 * time.Second
	minStartup     = time.Second
	maxStartup     = time.Hour

	// Within it somebody has seen to a host that is away, or has taken it out of use.
	defaultForget = 24 * time.Hour
	minForget     = time.Minute
)

// config is what the Corefile says.
type config struct {
	zone      zone.Config
	endpoints []endpoint
	tls       engine.Endpoint // what the block says for all tcp endpoints
	resync    time.Duration
	startup   time.Duration
	forget    time.Duration
	sources   []naming.Source
	fall      fall.F
	root      string // the server block's, in which relative paths start
	at        string // file and line of the property that is being read

	networks     []string
	health       naming.Health
	hold         time.Duration
	publish      bool
	publishAddrs []netip.Addr
	forwarders   []netip.Prefix
	routed       bool
	swarm        bool

	labelPrefix string
	optIn       bool
	templates   []*naming.NameTemplate
	addresses   []netip.Prefix  // that labels may give
	filters     *naming.Filters // nil if there are none
	tools       naming.Tools

	transferAsker transferAsker
	catalogZone   string // "" if there is none

	status *statusLine // nil if there is none
	share  *shareLine  // nil if there is none
}

func setup(c *caddy.Controller) error {
	cfg, err := parse(c)
	if err == nil && len(cfg.endpoints) == 0 {
		var e engine.Endpoint
		e, err = engine.Default(func(err error) { log.Warning(err) })
		cfg.endpoints = []endpoint{{Endpoint: e}}
	}
	i := instanceOf(c)
	if err == nil {
		err = i.add(&cfg)
	}
	if err != nil {
		return plugin.Error(pluginName, err)
	}
	d := newDocker(cfg, i)
	d.block = serverBlock{c.ServerBlockIndex, c.ServerBlockKeys}
	d.listens = listens(dnsserver.GetConfig(c), c.ServerBlockKeys)
	i.plugins = append(i.plugins, d)
	hearEvents()

	first := false // and no reload
	c.OnFirstStartup(func() error {
		first = true
		return checkListen(dnsserver.GetConfig(c), c.ServerBlockKeys)
	})
	c.OnStartup(func() error {
		cfg := dnsserver.GetConfig(c)
		d.warnOfCache(cfg)
		d.warnOfTools()
		d.port = cfg.Port
		d.recursion, d.maintained = hasOne(cfg, recursors), hasOne(cfg, maintainers)
		if t, ok := cfg.Handler("transfer").(*transfer.Transfer); ok {
			d.transfers, t.Next = true, refuseTransfers{t.Next, d}
		}
		d.delegate()
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

		explaining: newAllowance(explainingAtOnce, explainingASecond),
	}
	for _, e := range cfg.endpoints {
		if len(cfg.publishAddrs) > 0 { // there is but one
			e.addrs = cfg.publishAddrs
		}
		d.hosts = append(d.hosts, &watchedHost{endpoint: e, moved: func() {}})
	}
	d.twins = newTwins(d.hosts)
	d.askers = asker.New(&d.own, cfg.forwarders, d.warnOfContainer)
	d.catalog = catalog.New(catalog.Config{
		Rules: naming.Rules{
			Zones: cfg.forward(), Sources: cfg.sources, Reserved: cfg.zone.Reserved,
			Networks: cfg.networks, Routed: cfg.routed, Health: cfg.health,
			LabelPrefix: cfg.labelPrefix, OptIn: cfg.optIn, TTL: cfg.zone.TTL, Templates: cfg.templates,
			Addresses: cfg.addresses, Filters: cfg.filters, Tools: cfg.tools,
		},
		Hold: cfg.hold, Startup: cfg.startup, Forget: cfg.forget, Store: d.store,
		HostName: d.hostName, Warnf: aboutContainers.logf,
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
func (d *Docker) warnOfCache(cfg *dnsserver.Config) {
	above := slices.Index(dnsserver.Directives, "cache") < slices.Index(dnsserver.Directives, pluginName)
	if above && cfg.Handler("cache") != nil {
		d.warnf("The cache plugin stands above docker in this build: it keeps containers' addresses after they are gone. Put docker directly above cache in plugin.cfg")
	}
}

// property is a property of the directive's block, or of an endpoint's.
type property struct {
	form     string                                 // what is accepted
	min, max int                                    // number of arguments
	adds     bool                                   // whether a second line adds to the first; otherwise it would silently replace it, and is an error
	set      func(cfg *config, args []string) error // errors say what is wrong, not what is accepted
	block    map[string]property                    // of a block of its own, nil if it has none
}

const unlimited = math.MaxInt

// properties are the accepted properties by name.
var properties = map[string]property{
	"endpoint":      {form: endpointForm, min: 1, max: unlimited, adds: true, set: (*config).addEndpoint, block: endpointProperties},
	"tls":           {form: tlsForm, max: 3, set: (*config).setTLS},
	"names":         {form: "names SOURCE..., with sources " + sourceNames(), min: 1, max: unlimited, adds: true, set: (*config).addSources},
	"template":      {form: "template TEMPLATE, a Go template in quotes, as in \"{{.Service}}-{{.Number}}.{{.Project}}\"", min: 1, max: 1, adds: true, set: (*config).addTemplate},
	"labels":        {form: "labels TOOL..., with tools " + toolNames(), min: 1, max: unlimited, adds: true, set: (*config).addTools, block: toolProperties},
	"proxy":         {form: proxyForm, min: 1, max: unlimited, adds: true, set: (*config).addProxies},
	"label_prefix":  {form: "label_prefix PREFIX, of letters, digits, dots, hyphens and underscores, without the last dot", min: 1, max: 1, set: (*config).setLabelPrefix},
	"addresses":     {form: "addresses CIDR..., each an address or a range, as in 192.0.2.53 or 192.0.2.0/24", min: 1, max: unlimited, adds: true, set: (*config).addAddresses},
	"filter":        {form: "filter KEY=VALUE..., with keys " + strings.Join(naming.FilterKeys(), ", "), min: 1, max: unlimited, adds: true, set: (*config).addFilters},
	"opt_in":        {form: "opt_in", set: (*config).setOptIn},
	"ttl":           {form: fmt.Sprintf("ttl SECONDS [NEGATIVE_SECONDS], each from 0 to %d", naming.MaxTTL), min: 1, max: 2, set: (*config).setTTL},
	"network":       {form: "network NAME...", min: 1, max: unlimited, adds: true, set: (*config).addNetworks},
	"health":        {form: "health prefer|require|ignore", min: 1, max: 1, set: (*config).setHealth},
	"hold":          {form: fmt.Sprintf("hold DURATION, from 0s to %s", maxHold), min: 1, max: 1, set: (*config).setHold},
	"isolate":       {form: "isolate", set: (*config).setIsolate},
	"routed":        {form: "routed", set: (*config).setRouted},
	"swarm":         {form: "swarm", set: (*config).setSwarm},
	"publish":       {form: "publish [ADDRESS...]", max: unlimited, set: (*config).setPublish},
	"forwarders":    {form: "forwarders CIDR..., each an address or a range, as in 192.0.2.53 or 127.0.0.0/8", min: 1, max: unlimited, adds: true, set: (*config).addForwarders},
	"catalog_zone":  {form: catalogForm, min: 1, max: 1, set: (*config).setCatalogZone},
	"transfer_view": {form: "transfer_view host|lan", min: 1, max: 1, set: (*config).setTransferView},
	"status":        {form: statusForm, max: unlimited, set: (*config).setStatus},
	"share":         {form: shareForm, min: 2, max: unlimited, set: (*config).setShare, block: shareProperties},
	"resync":        {form: fmt.Sprintf("resync DURATION, at least %s", minResync), min: 1, max: 1, set: (*config).setResync},
	"startup":       {form: fmt.Sprintf("startup DURATION, from %s to %s", minStartup, maxStartup), min: 1, max: 1, set: (*config).setStartup},
	"forget":        {form: fmt.Sprintf("forget DURATION, at least %s", minForget), min: 1, max: 1, set: (*config).setForget},
	"fallthrough":   {form: "fallthrough [ZONE...]", max: unlimited, set: (*config).setFallthrough},
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
	cfg.startup, cfg.forget = defaultStartup, defaultForget
	cfg.hold, cfg.health = defaultHold, naming.PreferHealth

	for i := 0; c.Next(); i++ {
		if i > 0 {
			return cfg, c.Errf("docker stands in this server block already; want it once, with all zones as its arguments")
		}
		args := c.RemainingArgs()
		zones, err := parseZones(c, args)
		if err != nil {
			return cfg, err
		}
		cfg.zone.Zones = zones
		if err := cfg.parseBlock(c); err != nil {
			return cfg, err
		}
		if err := cfg.checkCatalogZone(len(args) > 0, c.ServerBlockKeys); err != nil {
			return cfg, c.Err(err.Error())
		}
	}
	if len(cfg.sources) == 0 {
		cfg.sources = naming.Sources()
	}
	return cfg, nil
}

func (cfg *config) parseBlock(c *caddy.Controller) error {
	lines, err := cfg.parseProperties(c, c.NextBlock, properties)
	if err != nil {
		return err
	}
	if err := cfg.completeEndpoints(c, lines); err != nil {
		return err
	}
	return cfg.completeShare(c)
}

// parseProperties reads a block's properties, to each of which next leads. It returns the lines of those that were given.
func (cfg *config) parseProperties(c *caddy.Controller, next func() bool, accepted map[string]property) (map[string]int, error) {
	lines := map[string]int{}
	for next() {
		name := c.Val()
		p, ok := accepted[name]
		if !ok {
			return nil, c.Errf("unknown property '%s': want one of %s", name, strings.Join(slices.Sorted(maps.Keys(accepted)), ", "))
		}
		if line, given := lines[name]; given && !p.adds {
			return nil, c.Errf("%s stands in line %d already; want '%s' once", name, line, p.form)
		}
		lines[name] = c.Line()
		cfg.at = fmt.Sprintf("%s:%d", c.File(), c.Line())
		args := c.RemainingArgs()
		if len(args) < p.min || len(args) > p.max {
			return nil, c.Errf("%s has %d arguments; want '%s'", name, len(args), p.form)
		}
		if err := p.set(cfg, args); err != nil {
			return nil, c.Errf("%s; want '%s'", err, p.form)
		}
		if !c.NextArg() {
			continue
		}
		if p.block == nil { // there is but a brace left on the line
			return nil, c.Errf("%s has no block; want '%s'", name, p.form)
		}
		inBlock := func() bool { return c.Next() && c.Val() != "}" }
		if _, err := cfg.parseProperties(c, inBlock, p.block); err != nil {
			return nil, err
		}
	}
	return lines, nil
}
