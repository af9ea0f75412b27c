package dockerdiscovery

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming/dialect"
)

const (
	defaultRuleForm = "default_rule RULE, a Go template in quotes, as in \"Host(`{{ normalize .Name }}.docker`)\""
	exposedForm     = "exposed_by_default true|false"
	keyForm         = "key KEY..., as in org.example.host"
	proxyForm       = "proxy CONTAINER|SERVICE.PROJECT|ADDRESS..."
)

// toolProperties are the accepted properties of the block of labels by name.
var toolProperties = map[string]property{
	"default_rule":       {form: defaultRuleForm, min: 1, max: 1, set: (*config).setDefaultRule},
	"exposed_by_default": {form: exposedForm, min: 1, max: 1, set: (*config).setExposed},
	"key":                {form: keyForm, min: 1, max: unlimited, adds: true, set: (*config).addKeys},
}

// toolNames are the tools whose labels can be read.
func toolNames() string {
	var names []string
	for _, tool := range dialect.Tools() {
		names = append(names, string(tool))
	}
	return strings.Join(names, ", ")
}

func (cfg *config) addTools(args []string) (err error) {
	for _, arg := range args {
		switch {
		case arg == "nginx-proxy":
			return errors.New("'nginx-proxy' takes names from the environment alone (VIRTUAL_HOST), which is not read, since it holds secrets: give its containers names by a template or a label")
		case !slices.Contains(dialect.Tools(), dialect.Tool(arg)):
			return fmt.Errorf("'%s' is not a tool whose labels can be read", arg)
		}
	}
	cfg.tools.Read, err = addOnce(cfg.tools.Read, args)
	return err
}

// needs returns an error unless the block that is read is for the tool.
func (cfg *config) needs(property string, tool dialect.Tool) error {
	if !slices.Contains(cfg.tools.Read, tool) {
		return fmt.Errorf("%s is for 'labels %s'", property, tool)
	}
	return nil
}

func (cfg *config) setDefaultRule(args []string) error {
	if cfg.tools.Options.DefaultRule != nil {
		return errors.New("there is a default_rule already")
	}
	rule, err := dialect.NewRuleTemplate(args[0])
	if err != nil {
		return fmt.Errorf("'%s' is not a default rule: %w", args[0], err)
	}
	cfg.tools.Options.DefaultRule = rule
	return cfg.needs("default_rule", dialect.Traefik)
}

func (cfg *config) setExposed(args []string) error {
	if args[0] != "true" && args[0] != "false" {
		return fmt.Errorf("'%s' is neither true nor false", args[0])
	}
	cfg.tools.Options.Unexposed = args[0] == "false"
	return cfg.needs("exposed_by_default", dialect.Traefik)
}

func (cfg *config) addKeys(args []string) (err error) {
	for _, key := range args {
		if strings.Contains(key, "*") {
			return fmt.Errorf("'%s' is not the key of a label", key)
		}
	}
	if cfg.tools.Options.Keys, err = addOnce(cfg.tools.Options.Keys, args); err != nil {
		return err
	}
	return cfg.needs("key", dialect.Kevinjqiu)
}

// addProxies adds front proxies: addresses, and names of containers or services.
func (cfg *config) addProxies(args []string) error {
	for _, arg := range args {
		if ip, err := netip.ParseAddr(arg); err == nil {
			if !ip.IsGlobalUnicast() && !ip.IsLoopback() || ip.Zone() != "" || ip.Is4In6() {
				return fmt.Errorf("'%s' is not an address at which anybody reaches a proxy", arg)
			}
			if slices.Contains(cfg.tools.Addrs, ip) {
				return fmt.Errorf("'%s' stands there twice", arg)
			}
			cfg.tools.Addrs = append(cfg.tools.Addrs, ip)
			continue
		}
		if reason := naming.Invalid(strings.ToLower(arg)); reason != "" {
			return fmt.Errorf("'%s' is neither a name nor an address: %s", arg, reason)
		}
		if slices.ContainsFunc(cfg.tools.Proxies, func(p string) bool { return strings.EqualFold(p, arg) }) {
			return fmt.Errorf("'%s' stands there twice", arg)
		}
		cfg.tools.Proxies = append(cfg.tools.Proxies, arg)
	}
	return nil
}

// warnOfTools warns where a proxy's labels are read, and nobody is known to answer for their names.
func (d *Docker) warnOfTools() {
	tools := &d.config.tools
	if len(tools.Proxies) > 0 || len(tools.Addrs) > 0 {
		return
	}
	for _, tool := range tools.Read {
		if tool.Proxies() {
			d.warnf("The names that labels for %s give have no address: name its container in the docker block, as in '%s'", tool, "proxy "+string(tool))
		}
	}
}
