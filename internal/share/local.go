package share

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/share/format"
)

// containerKeys is where the containers' documents lie, below the host's prefix.
const containerKeys = "containers/"

// local has what this host is to tell. It implements engine.Sink.
type local struct {
	name   string
	labels format.Labels
	told   func(*container.Container) bool // nil tells all
	addrs  []netip.Addr                    // written in the Corefile; nil if they are to be found
	dirty  chan struct{}                   // has an item when there may be something new to tell

	mu         sync.Mutex // guards the following
	containers map[string]string
	stale      map[string]bool // keys that may have changed since wanted was asked last; nil for all
	host       *container.Host
	found      []netip.Addr
	synced     bool
	current    bool
}

func newLocal(cfg *Config, told func(*container.Container) bool) *local {
	l := &local{told: told, name: string(cfg.Host), labels: strings.Fields(cfg.Labels), dirty: make(chan struct{}, 1), containers: map[string]string{}}
	for _, s := range strings.Fields(cfg.Addresses) {
		if ip, err := netip.ParseAddr(s); err == nil { // the Corefile's are
			l.addrs = append(l.addrs, ip)
		}
	}
	return l
}

// change notes that the key may have to be another. The caller holds mu.
func (l *local) change(key string) {
	if l.stale != nil {
		l.stale[key] = true
	}
	l.signal()
}

func (l *local) signal() {
	select {
	case l.dirty <- struct{}{}:
	default: // is noted already
	}
}

// Host implements engine.Sink.
func (l *local) Host(h container.Host) {
	l.mu.Lock()
	l.host = &h
	l.change(hostKey)
	l.mu.Unlock()
	l.findAddrs()
}

// Apply implements engine.Sink.
func (l *local) Apply(changes []container.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range changes {
		l.apply(&changes[i])
	}
}

// apply takes a change. The caller holds mu.
func (l *local) apply(c *container.Change) {
	told := format.Container{ID: c.ID, Name: c.Name}
	switch {
	case c.Starting != nil, c.Last != nil:
		return
	case c.Created != nil:
		told.Facts, told.Created = c.Created, true
	case c.Unread != nil:
		if l.containers[c.ID] != "" || l.told != nil { // what was known stands, be it that it is not told
			return
		}
		told.Unread = c.Unread.Error()
	case c.Container == nil:
		l.put(c.ID, "")
		return
	default:
		told.Facts = c.Container
	}
	if told.Facts != nil {
		told.Name = told.Facts.Name
		if l.told != nil && !l.told(told.Facts) {
			l.put(c.ID, "")
			return
		}
	}
	document, err := format.EncodeContainer(&told, l.labels)
	if err != nil { // not even its name can be told
		document = nil
	}
	l.put(c.ID, string(document))
}

// put notes a container's document, "" if it has none. The caller holds mu.
func (l *local) put(id, document string) {
	if document == l.containers[id] {
		return
	}
	if l.containers[id] = document; document == "" {
		delete(l.containers, id)
	}
	l.change(containerKeys + id)
}

// Synced implements engine.Sink.
func (l *local) Synced() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.synced = true
	l.change(hostKey)
}

// Current implements engine.Sink.
func (l *local) Current(current bool, _ time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current = current
	l.change(hostKey)
}

// ownAddrs reads the addresses of all interfaces.
var ownAddrs = net.InterfaceAddrs

// findAddrs looks at which addresses this host is reached from elsewhere: those of its interfaces, but for its containers' networks. On these
// others don't reach it.
func (l *local) findAddrs() {
	list, err := ownAddrs()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || l.host == nil {
		return
	}
	var found []netip.Addr
	for _, a := range list {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		if ip := prefix.Addr().Unmap(); ip.IsGlobalUnicast() && !l.onBridge(ip) {
			found = append(found, ip)
		}
	}
	slices.SortFunc(found, netip.Addr.Compare)
	found = slices.Compact(found)
	if slices.Equal(found, l.found) {
		return
	}
	l.found = found
	l.change(hostKey)
}

// onBridge reports whether the address lies in a network of the host's containers that is not the LAN. The caller holds mu.
func (l *local) onBridge(ip netip.Addr) bool {
	return slices.ContainsFunc(l.host.Networks, func(n container.Network) bool {
		return !n.Direct() && slices.ContainsFunc(n.Subnets, func(p netip.Prefix) bool { return p.Contains(ip) })
	})
}

// engine returns which engine the host has, "" if that is not known, and the host's addresses.
func (l *local) engine() (id string, addrs []netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.host == nil {
		return "", nil
	}
	return l.host.Engine, l.reachedAt()
}

func (l *local) reachedAt() []netip.Addr {
	if len(l.addrs) > 0 {
		return l.addrs
	}
	return l.found
}

// known reports whether it is known what there is to tell: the engine has told its containers once.
func (l *local) known() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.synced && l.host != nil
}

// wanted returns keys below the host's prefix with the values that they are to have, "" for none: those that may have changed since it was asked
// last, or all of them, if that is reported. What there is to tell has to be known.
func (l *local) wanted(identity string) (keys map[string]string, all bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	stale := l.stale
	if all = stale == nil; all {
		stale = map[string]bool{hostKey: true}
		for id := range l.containers {
			stale[containerKeys+id] = true
		}
	}
	l.stale = map[string]bool{}
	keys = make(map[string]string, len(stale))
	for key := range stale {
		if key != hostKey {
			keys[key] = l.containers[strings.TrimPrefix(key, containerKeys)]
			continue
		}
		h := format.Host{Engine: identity, Name: l.name, Addrs: l.reachedAt(), Away: !l.current, Facts: *l.host}
		document, err := format.EncodeHost(&h)
		if err != nil {
			return nil, false, err
		}
		keys[key] = string(document)
	}
	return keys, all, nil
}

// wantAll has wanted return all keys the next time. Until then it is not noted which of them change: nobody may ask for long.
func (l *local) wantAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stale = nil
}

// moved reports whether a host is reached at other addresses by one of its documents than by the other.
func moved(a, b string) bool {
	x, errX := format.DecodeHost([]byte(a))
	y, errY := format.DecodeHost([]byte(b))
	return errX != nil || errY != nil || !slices.Equal(x.Addrs, y.Addrs)
}
