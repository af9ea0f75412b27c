package dockerdiscovery

import (
	"cmp"
	"net/netip"
	"net/url"
	"os"
	"sync"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
)

// endpoint is what the Corefile says of an engine and its host.
type endpoint struct {
	engine.Endpoint
	name  string       // the host's label in names, in lower case; "" if none is written
	addrs []netip.Addr // at which the host is reached from elsewhere; nil if they are to be found
}

// watchedHost is one whose containers the plugin knows, by the engine that tells of them.
type watchedHost struct {
	endpoint
	id      container.HostID // set at startup, as watcher
	watcher *engine.Watcher
}

// hostName returns how the Corefile calls the host in names, "" if it does not.
func (d *Docker) hostName(id container.HostID) string {
	for _, h := range d.hosts {
		if h.id == id {
			return h.name
		}
	}
	return ""
}

// only returns the host if there is but one, else nil.
func (d *Docker) only() *watchedHost {
	if len(d.hosts) == 1 {
		return d.hosts[0]
	}
	return nil
}

// labels are how hosts are called in metrics and messages, and so their IDs, by the engines' addresses.
var labels = struct {
	sync.Mutex
	of map[engine.Source]*label
}{of: map[engine.Source]*label{}}

type label struct {
	host  container.HostID
	users int
}

// label returns how the host is called: as the Corefile does, else the machine's name for a socket, else the host in the
// URL. Where another engine's host is called so already it is the address: two that had one name would be taken for one. The
// caller must unlabel it.
func (e *endpoint) label() container.HostID {
	labels.Lock()
	defer labels.Unlock()
	source := e.Source()
	l := labels.of[source]
	if l == nil {
		l = &label{host: e.defaultLabel(source)}
		labels.of[source] = l
	}
	l.users++
	return l.host
}

// defaultLabel is called with labels locked.
func (e *endpoint) defaultLabel(source engine.Source) container.HostID {
	name := e.name
	if u, err := url.Parse(string(source)); name == "" && err == nil {
		if u.Scheme == "unix" {
			name, _ = os.Hostname() // without one: the address
		} else {
			name = u.Hostname()
		}
	}
	id := container.HostID(cmp.Or(name, string(source)))
	for _, l := range labels.of {
		if l.host == id {
			return container.HostID(source)
		}
	}
	return id
}

// unlabel gives up the label.
func (e *endpoint) unlabel() {
	labels.Lock()
	defer labels.Unlock()
	source := e.Source()
	if l := labels.of[source]; l != nil {
		if l.users--; l.users == 0 {
			delete(labels.of, source)
		}
	}
}

// labelOf returns how the host of the engine is called.
func labelOf(source engine.Source) string {
	labels.Lock()
	defer labels.Unlock()
	if l := labels.of[source]; l != nil {
		return string(l.host)
	}
	return string(source)
}
