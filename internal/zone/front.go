package zone

import (
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// front has the front proxies that answer for a name in place of the containers whose it is. It never changes; nil has none.
type front struct {
	proxies  []claimant            // the oldest first, each once
	networks []container.NetworkID // from which isolation lets them be seen
}

// fronts has the front proxies by the hosts whose containers they serve. A proxy asks its own host's engine for whom it serves, so
// those of a host that has some are its own; one that is a Swarm's service serves all hosts. Those of a host without any proxy are
// served by one that is told of them in some other way, which may be any.
type fronts struct {
	hosts  map[container.HostID]*front // that have proxies of their own
	others *front
}

func newFronts(proxies map[Key]*Entry) (f fronts) {
	hosts := map[container.HostID]bool{}
	swarm := false
	for _, entry := range proxies {
		if entry.Swarm != nil {
			swarm = true
		} else {
			hosts[entry.Host] = true
		}
	}
	f.others = newFront(proxies, func(entry *Entry) bool { return !swarm || entry.Swarm != nil })
	f.hosts = make(map[container.HostID]*front, len(hosts))
	for host := range hosts {
		f.hosts[host] = newFront(proxies, func(entry *Entry) bool { return entry.Host == host || entry.Swarm != nil })
	}
	return f
}

// newFront returns those of the proxies that serve, nil if none does.
func newFront(proxies map[Key]*Entry, serves func(*Entry) bool) *front {
	f := &front{}
	for _, entry := range proxies {
		if serves(entry) {
			f.add(claimant{entry, entry.Front})
		}
	}
	return f.sorted()
}

func (f *front) add(proxy claimant) {
	f.proxies = append(f.proxies, proxy)
	for _, network := range proxy.entry.seenFrom() {
		if !slices.Contains(f.networks, network) {
			f.networks = append(f.networks, network)
		}
	}
}

func (f *front) sorted() *front {
	if len(f.proxies) == 0 {
		return nil
	}
	slices.SortFunc(f.proxies, func(a, b claimant) int { return a.entry.compare(b.entry) })
	return f
}

// and returns both, each proxy once.
func (f *front) and(o *front) *front {
	switch {
	case o == nil || o == f:
		return f
	case f == nil:
		return o
	}
	both := &front{}
	for _, proxy := range slices.Concat(f.proxies, o.proxies) {
		if !slices.Contains(both.proxies, proxy) {
			both.add(proxy)
		}
	}
	return both.sorted()
}

// list returns the proxies, none for nil.
func (f *front) list() []claimant {
	if f == nil {
		return nil
	}
	return f.proxies
}

// has reports whether one of the proxies, each a claimant, is so.
func (f *front) has(is func(claimant) bool) bool { return slices.ContainsFunc(f.list(), is) }

// of returns the proxies that serve the container, nil if there is none.
func (f *fronts) of(entry *Entry) *front {
	if own := f.hosts[entry.Host]; own != nil {
		return own
	}
	return f.others
}

// front returns the proxies that answer for the name, nil if none does: those of each container that has it, is served, and lets
// them.
func (s *Snapshot) front(n *node) (f *front) {
	for i := range n.claims[:n.winners] {
		if c := &n.claims[i]; c.claim.fronted() && c.entry.served() {
			f = f.and(s.fronts.of(c.entry))
		}
	}
	return f
}

// fronted reports whether front proxies that are containers answer for the claimant.
func (c *Claim) fronted() bool { return c.Proxied && c.Data == nil }

// served reports whether a proxy has somebody to lead to: else a name is as one that has no proxy.
func (entry *Entry) served() bool {
	return !entry.Held && !entry.idle() && !(entry.RequireWell && (entry.Sick || entry.Draining))
}

// proxied reports whether front proxies answer for one of the entry's names.
func (entry *Entry) proxied() bool {
	return slices.ContainsFunc(entry.Claims, func(c Claim) bool { return c.Proxied })
}

// everywhere is seen from all networks.
var everywhere = []container.NetworkID{noNetwork}

// seenBy returns the networks from which isolation lets the claim be seen, which the front serves: those of its proxies if it is
// proxied, since who asks need reach nobody else.
func (c claimant) seenBy(f *front) []container.NetworkID {
	switch {
	case !c.claim.Proxied:
		return c.entry.seenFrom()
	case c.claim.Data != nil:
		return everywhere
	case f != nil && c.entry.served():
		return f.networks
	default:
		return c.entry.seenFrom()
	}
}

// proxies keeps which of the store's entries are front proxies, and which have names that are answered by them.
type proxies struct {
	fronts, served map[Key]*Entry
}

// note takes in what the key's entry is now, nil if it is gone.
func (p *proxies) note(key Key, entry *Entry) {
	delete(p.fronts, key)
	delete(p.served, key)
	if entry == nil {
		return
	}
	if entry.Front != nil {
		p.fronts[key] = entry
	}
	if entry.proxied() {
		p.served[key] = entry
	}
}

// concerns reports whether the changes are of front proxies.
func (p *proxies) concerns(changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool { return p.fronts[c.Key] != nil || c.Entry != nil && c.Entry.Front != nil })
}
