package dockerdiscovery

import (
	"cmp"
	"net/url"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
)

// watchedHost is one whose containers the plugin knows, by the engine that tells of them.
type watchedHost struct {
	endpoint
	id      container.HostID // set at startup, as watcher and moved
	watcher *engine.Watcher
	moved   func()       // has the host's addresses looked up anew
	waiting atomic.Int32 // queries that wait for what the engine says
	kin     kinship      // guarded by Docker.twins.mu
}

// hostName returns how the Corefile calls the host in names, "" if it does not.
func (d *Docker) hostName(id container.HostID) string {
	if h := d.host(id); h != nil {
		return h.name
	}
	return d.fleet.name(id)
}

// several reports whether there may be several hosts.
func (d *Docker) several() bool { return len(d.hosts) > 1 || d.config.share != nil }

// host returns the host of the ID, nil if there is none.
func (d *Docker) host(id container.HostID) *watchedHost {
	for _, h := range d.hosts {
		if h.id == id {
			return h
		}
	}
	return nil
}

// label is how a host is called in metrics and messages. It is the host's ID too.
type label struct {
	host  container.HostID
	named bool // in the Corefile
}

// labelsOf returns the labels of the instances' hosts by the engines' addresses: as the Corefile calls them, else the machine's
// name for a socket, else the host in the URL. Where another host is called so already it is the address: two that had one
// name would be taken for one. The first instances come first.
func labelsOf(instances ...*instance) map[engine.Source]label {
	labels, taken := map[engine.Source]label{}, map[container.HostID]bool{}
	call := func(e *endpoint, name string) {
		source := e.Source()
		if _, called := labels[source]; called {
			return
		}
		l := label{container.HostID(name), e.name != ""}
		if name == "" || taken[l.host] {
			l = label{host: container.HostID(source)}
		}
		labels[source], taken[l.host] = l, true
	}
	for _, i := range instances {
		for _, e := range i.endpoints {
			if e.name != "" {
				call(&e, e.name)
			}
		}
		for _, e := range i.endpoints {
			if e.name == "" {
				call(&e, e.usualName())
			}
		}
	}
	return labels
}

// usualName is how the host is called that has no NAME, "" if that is not known.
func (e *endpoint) usualName() string {
	u, err := url.Parse(string(e.Source()))
	switch {
	case err != nil:
		return ""
	case u.Scheme == "unix":
		name, _ := os.Hostname()
		return name
	default:
		return u.Hostname()
	}
}

// labels are those of now.
var labels struct {
	sync.RWMutex
	of map[engine.Source]label
}

// relabel settles the labels by the active instances and those that are starting, the newest first. A label that goes, or
// comes to be another engine's, takes its series with it. The caller holds instancesMu.
func relabel(starting ...*instance) {
	instances := slices.Clone(starting)
	for _, d := range active {
		instances = append(instances, d.instance)
	}
	slices.SortStableFunc(instances, func(a, b *instance) int { return cmp.Compare(b.age, a.age) })
	now := labelsOf(slices.Compact(instances)...)
	labels.Lock()
	defer labels.Unlock()
	for source, l := range labels.of {
		if now[source].host == l.host {
			continue
		}
		for _, v := range ofHosts {
			v.DeletePartialMatch(prometheus.Labels{"host": string(l.host)})
		}
	}
	labels.of = now
}

// labelOf returns the label of the engine's host.
func labelOf(source engine.Source) (host string) {
	withLabel(source, func(l string) { host = l })
	return host
}

// withLabel does something with the label of the engine's host, which stays that meanwhile.
func withLabel(source engine.Source, do func(host string)) {
	labels.RLock()
	defer labels.RUnlock()
	if l, ok := labels.of[source]; ok {
		do(string(l.host))
	} else {
		do(string(source))
	}
}

// at says for a message where an engine is: at its address, with the NAME of its host if there is one.
func at(source engine.Source) string {
	labels.RLock()
	defer labels.RUnlock()
	if l := labels.of[source]; l.named {
		return "of " + string(l.host) + " at " + string(source)
	}
	return "at " + string(source)
}

// on says for a message that something is on the engine's host, where there are several.
func on(source engine.Source) string {
	labels.RLock()
	several := len(labels.of) > 1
	labels.RUnlock()
	if !several {
		return ""
	}
	return " on " + labelOf(source)
}
