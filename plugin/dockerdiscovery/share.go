package dockerdiscovery

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coredns/caddy"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/share"
)

// shareLine is what a server block says of the hosts with which it shares.
type shareLine struct {
	share.Config
	labelPrefix string          // the block's, whose labels are told too
	filters     *naming.Filters // the block's, which say which containers are told
	toolKeys    []string        // of other tools' labels that the block reads
	at          string          // file and line
}

const (
	defaultSharePath = "/dockerdiscovery"
	// A host that is silent for so long is dead, or cut off.
	defaultLease = 15 * time.Second
	// etcd's members elect a leader within a second or two, during which no lease is renewed.
	minLease = 5 * time.Second
	maxLease = 10 * time.Minute
)

const (
	shareForm = "share etcd URL..., with URL http://HOST:PORT or https://HOST:PORT"
	pathForm  = "path PATH, as in /dockerdiscovery"
)

// shareProperties are the accepted properties of share's block by name.
var shareProperties = map[string]property{
	"path":        {form: pathForm, min: 1, max: 1, set: (*config).setSharePath},
	"lease":       {form: fmt.Sprintf("lease DURATION, from %s to %s in whole seconds", minLease, maxLease), min: 1, max: 1, set: (*config).setLease},
	"tls":         {form: tlsForm, max: 3, set: (*config).setShareTLS},
	"credentials": {form: "credentials USER FILE, with the password in the FILE's first line", min: 2, max: 2, set: (*config).setCredentials},
	"labels":      {form: "labels PREFIX..., as in org.example.", min: 1, max: unlimited, adds: true, set: (*config).addShareLabels},
}

func (cfg *config) setShare(args []string) error {
	if args[0] != "etcd" {
		return fmt.Errorf("'%s' is no store", args[0])
	}
	scheme := ""
	for i, arg := range args[1:] {
		u, err := url.Parse(arg)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" {
			return fmt.Errorf("'%s' is no URL of etcd's", arg)
		}
		if scheme = cmp.Or(scheme, u.Scheme); scheme != u.Scheme {
			return fmt.Errorf("'%s' is %s, and the URL before it %s", arg, u.Scheme, scheme)
		}
		if slices.Contains(args[1:i+1], arg) {
			return fmt.Errorf("'%s' stands there twice", arg)
		}
	}
	cfg.share = &shareLine{at: cfg.at, Config: share.Config{
		URLs: strings.Join(args[1:], " "), Path: defaultSharePath, Lease: defaultLease, TLS: share.TLS{On: scheme == "https"},
	}}
	return nil
}

func (cfg *config) setSharePath(args []string) error {
	path := "/" + strings.Trim(args[0], "/")
	for part := range strings.SplitSeq(path[1:], "/") {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return fmt.Errorf("'%s' is no path", args[0])
		}
	}
	cfg.share.Path = path
	return nil
}

func (cfg *config) setLease(args []string) error {
	d, err := time.ParseDuration(args[0])
	if err != nil || d < minLease || d > maxLease || d%time.Second != 0 {
		return fmt.Errorf("'%s' is no such time", args[0])
	}
	cfg.share.Lease = d
	return nil
}

func (cfg *config) setShareTLS(args []string) error {
	if !cfg.share.TLS.On {
		return errors.New("tls is for URLs https://HOST:PORT")
	}
	var e engine.Endpoint
	if err := cfg.readTLS(args, &e); err != nil {
		return err
	}
	cfg.share.TLS = share.TLS{On: true, Cert: e.Cert, Key: e.Key, CACert: e.CACert}
	return nil
}

func (cfg *config) setCredentials(args []string) (err error) {
	if cfg.share.Password, err = cfg.path(args[1]); err != nil {
		return err
	}
	cfg.share.User = args[0]
	_, err = share.ReadPassword(cfg.share.Password)
	return err
}

func (cfg *config) addShareLabels(args []string) error {
	for _, arg := range args {
		if strings.HasPrefix(arg, "=") {
			return fmt.Errorf("'%s' is not the prefix of a label's key", arg)
		}
	}
	cfg.share.Labels = strings.Join(append(strings.Fields(cfg.share.Labels), args...), " ")
	return nil
}

// completeShare gives share what the whole block says.
func (cfg *config) completeShare(c *caddy.Controller) error {
	s := cfg.share
	if s == nil {
		return nil
	}
	if len(cfg.endpoints) == 0 || cfg.endpoints[0].name == "" {
		return c.Errf("share at %s tells of the host of the block's first endpoint by its NAME, and there is none; want '%s', as in 'endpoint unix:///var/run/docker.sock nas'",
			s.at, endpointForm)
	}
	e := &cfg.endpoints[0]
	s.Host, s.labelPrefix, s.filters = container.HostID(e.name), cfg.labelPrefix, cfg.filters
	s.toolKeys = cfg.tools.ToolKeys()
	var addrs []string
	for _, ip := range slices.Concat(e.addrs, cfg.publishAddrs) { // one of them has some
		addrs = append(addrs, ip.String())
	}
	s.Addresses = strings.Join(addrs, " ")
	return nil
}

// addShare adds what a server block says, or tells why that can't be in one Corefile with what others say.
func (i *instance) addShare(s *shareLine) error {
	if s == nil {
		return nil
	}
	for _, other := range i.shares {
		if other.Host == s.Host && other.Config != s.Config {
			return fmt.Errorf("%s: another share tells of %s at %s; want them alike", s.at, s.Host, other.at)
		}
	}
	i.shares = append(i.shares, s)
	return nil
}

// shareConfig returns the block's with the labels that all blocks of the host ask for.
func (i *instance) shareConfig(s *shareLine) share.Config {
	cfg := s.Config
	labels := append(strings.Fields(cfg.Labels), naming.SharedLabels()...)
	for _, other := range i.shares {
		if other.Host == s.Host {
			labels = append(labels, other.labelPrefix+".")
			for _, key := range other.toolKeys {
				labels = append(labels, "="+key)
			}
		}
	}
	slices.Sort(labels)
	cfg.Labels = strings.Join(slices.Compact(labels), " ")
	var filters []string
	for _, f := range i.filters(s) {
		filters = append(filters, f.String())
	}
	slices.Sort(filters)
	cfg.Filters = strings.Join(slices.Compact(filters), " or ")
	return cfg
}

// filters returns those of all blocks of the host, none if one lets all in.
func (i *instance) filters(s *shareLine) (all []*naming.Filters) {
	for _, other := range i.shares {
		if other.Host != s.Host {
			continue
		}
		if other.filters == nil {
			return nil
		}
		all = append(all, other.filters)
	}
	return all
}

// told returns what reports whether a container of the host is to be told: one of its blocks lets it in. It is nil if all are.
func (i *instance) told(s *shareLine) func(*container.Container) bool {
	filters := i.filters(s)
	if len(filters) == 0 {
		return nil
	}
	return func(c *container.Container) bool {
		return slices.ContainsFunc(filters, func(f *naming.Filters) bool { return f.Lack(c) == "" })
	}
}
