package dockerdiscovery

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin/pkg/tls"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
)

// endpoint is what the Corefile says of an engine and its host.
type endpoint struct {
	engine.Endpoint
	name  string       // the host's label in names, in lower case; "" if none is written
	addrs []netip.Addr // at which the host is reached from elsewhere; nil if they are to be found
	at    string       // file and line
}

// endpointProperties are the accepted properties of an endpoint's block by name.
var endpointProperties = map[string]property{
	"tls":         {form: tlsForm, max: 3, set: (*config).setEndpointTLS},
	"ssh_key":     {form: "ssh_key FILE...", min: 1, max: unlimited, adds: true, set: (*config).addSSHKeys},
	"known_hosts": {form: "known_hosts FILE", min: 1, max: 1, set: (*config).setKnownHosts},
}

const (
	endpointForm = "endpoint URL [NAME [ADDRESS...]], with URL " + engine.HostForms
	tlsForm      = "tls [CERT KEY] [CACERT]"
)

// last is the endpoint in whose block we are.
func (cfg *config) last() *endpoint { return &cfg.endpoints[len(cfg.endpoints)-1] }

func (cfg *config) addEndpoint(args []string) (err error) {
	e := endpoint{Endpoint: engine.Endpoint{Host: args[0]}, at: cfg.at}
	if engine.ValidHost(e.Host) != nil {
		return fmt.Errorf("'%s' is not an endpoint", e.Host)
	}
	if len(args) > 1 {
		e.name = strings.ToLower(args[1])
		if err := cfg.validName(e.name); err != nil {
			return fmt.Errorf("'%s' is not a host's NAME: %w", args[1], err)
		}
		if e.addrs, err = parseAddrs(args[2:]); err != nil {
			return err
		}
	}
	for i := range cfg.endpoints {
		other := &cfg.endpoints[i]
		if other.Source() == e.Source() {
			return fmt.Errorf("'%s' is the engine at %s already", e.Host, other.at)
		}
		if err := e.conflict(other); err != nil {
			return err
		}
	}
	cfg.endpoints = append(cfg.endpoints, e)
	if strings.HasPrefix(e.Host, "ssh://") {
		return engine.CheckSSH(e.Endpoint)
	}
	return nil
}

func (cfg *config) validName(name string) error {
	if reason := naming.Invalid(name); reason != "" {
		return errors.New(reason)
	}
	if strings.ContainsAny(name, "._") || strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") {
		return errors.New("want one label of letters, digits and hyphens inside")
	}
	for _, z := range cfg.forward() {
		owner := name + "." + strings.TrimPrefix(z, ".")
		if name == "localhost" || cfg.zone.Reserved(owner) || cfg.zone.Reserved("ns."+owner) { // the zone's name server is below it
			return fmt.Errorf("%s is reserved", owner)
		}
	}
	return nil
}

// conflict says why the two can't both be in a Corefile, in server blocks of their own, nil if they can.
func (e *endpoint) conflict(other *endpoint) error {
	same := e.Source() == other.Source()
	switch {
	case e.name == "" || other.name == "" || same == (e.name == other.name):
		return nil
	case same:
		return fmt.Errorf("'%s' is called %s, and %s at %s", e.Host, e.name, other.name, other.at)
	default:
		return fmt.Errorf("another engine, '%s', is called %s at %s", other.Host, e.name, other.at)
	}
}

// path returns the path of a file, which starts at the server block's root if it is relative. The file can be read.
func (cfg *config) path(file string) (string, error) {
	if !filepath.IsAbs(file) && cfg.root != "" {
		file = filepath.Join(cfg.root, file)
	}
	f, err := os.Open(file)
	if err == nil {
		f.Close()
	}
	return file, err
}

// setTLS is of all tcp endpoints that have no tls of their own.
func (cfg *config) setTLS(args []string) error { return cfg.readTLS(args, &cfg.tls) }

func (cfg *config) setEndpointTLS(args []string) error {
	e := cfg.last()
	if err := e.needs("tcp", "tls"); err != nil {
		return err
	}
	return cfg.readTLS(args, &e.Endpoint)
}

// readTLS takes the files as other plugins do. It reads them for the sake of an error with the Corefile's line; each
// connection reads them again.
func (cfg *config) readTLS(args []string, e *engine.Endpoint) (err error) {
	for i := range args {
		if args[i], err = cfg.path(args[i]); err != nil {
			return err
		}
	}
	if _, err := tls.NewTLSConfigFromArgs(args...); err != nil {
		return err
	}
	e.TLS = true
	if len(args)%2 == 1 {
		e.CACert = args[len(args)-1]
	}
	if len(args) > 1 {
		e.Cert, e.Key = args[0], args[1]
	}
	return nil
}

func (cfg *config) addSSHKeys(args []string) error {
	e := cfg.last()
	if err := e.needs("ssh", "ssh_key"); err != nil {
		return err
	}
	keys := strings.FieldsFunc(e.SSHKeys, func(r rune) bool { return r == '\n' })
	for _, arg := range args {
		file, err := cfg.path(arg)
		if err != nil {
			return err
		}
		if slices.Contains(keys, file) {
			return fmt.Errorf("'%s' stands there twice", arg)
		}
		keys = append(keys, file)
	}
	e.SSHKeys = strings.Join(keys, "\n")
	return engine.CheckSSH(e.Endpoint)
}

func (cfg *config) setKnownHosts(args []string) (err error) {
	e := cfg.last()
	if err := e.needs("ssh", "known_hosts"); err != nil {
		return err
	}
	if e.KnownHosts, err = cfg.path(args[0]); err != nil {
		return err
	}
	return engine.CheckSSH(e.Endpoint)
}

// needs says so if the endpoint is not of the scheme that the property is for.
func (e *endpoint) needs(scheme, property string) error {
	if strings.HasPrefix(e.Host, scheme+"://") {
		return nil
	}
	return fmt.Errorf("%s is for endpoints %s://, and not for '%s'", property, scheme, e.Host)
}

// completeEndpoints gives endpoints what the whole block says. The lines are those of the properties that were given.
func (cfg *config) completeEndpoints(c *caddy.Controller, lines map[string]int) error {
	tcp := false
	for i := range cfg.endpoints {
		e := &cfg.endpoints[i]
		if !strings.HasPrefix(e.Host, "tcp://") {
			continue
		}
		tcp = true
		if !e.TLS {
			e.TLS, e.Cert, e.Key, e.CACert = cfg.tls.TLS, cfg.tls.Cert, cfg.tls.Key, cfg.tls.CACert
		}
	}
	if line, given := lines["tls"]; given && !tcp {
		return c.Errf("tls in line %d needs an endpoint tcp://HOST:PORT", line)
	}
	if len(cfg.publishAddrs) > 0 && (len(cfg.endpoints) > 1 || len(cfg.endpoints) == 1 && len(cfg.endpoints[0].addrs) > 0) {
		return c.Errf("publish in line %d has an ADDRESS, which is that of one host; want 'publish', and each host's ADDRESS after its NAME, as in 'endpoint %s nas %s'",
			lines["publish"], cfg.endpoints[0].Host, cfg.publishAddrs[0])
	}
	return nil
}
