package catalog

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

const (
	// maxStarting bounds how many starting containers are noted. A query does not wait for the others.
	maxStarting = 1024

	// unforeseenWait is how long after the event of its start a container may turn out to have names of which no event tells.
	// The engine is being asked for them, which takes it a millisecond or a few tens if it has much to do.
	unforeseenWait = 50 * time.Millisecond
)

// Arrivals are the containers that are starting, by the names that they could have. A query for such a name may wait until the
// container has started, or is known not to, and then look again; other queries don't wait.
//
// What events tell of a container (its name, ID, image and labels) gives most of its names. Host names and aliases are known
// before the start only of containers that have run before, or that were created a while ago. Of others any name may turn out
// to be theirs: the unforeseen names, which they could have for a short time.
//
// All methods may be called concurrently.
type Arrivals struct {
	now        func() time.Time
	unforeseen bool        // the rules give names of which no event tells
	any        atomic.Bool // a container is starting

	mu       sync.Mutex             // guards the following
	unnamed  map[zone.Key]unnamed   // those of which nobody has asked yet which names they could have
	starting map[zone.Key][]string  // the names that each of the others could have, sorted, each once
	names    map[string]*expected   // by owner name; wildcards begin with "*."
	wild     int                    // how many of the names are wildcards
	partial  map[zone.Key]time.Time // until when each may turn out to have unforeseen names
	others   expected               // the unforeseen names
}

// unnamed is a starting container with what tells its names: mostly it runs before anybody asks for a name that nobody has.
type unnamed struct {
	name func() *zone.Entry
	*container.Starting
}

// expected is one or more names that starting containers could have.
type expected struct {
	starts int           // of how many containers
	news   chan struct{} // closed when one of them has started, or will not; nil if nobody waits
}

// wait returns a channel that is closed by tell.
func (e *expected) wait() <-chan struct{} {
	if e.news == nil {
		e.news = make(chan struct{})
	}
	return e.news
}

// tell wakes all who wait.
func (e *expected) tell() {
	if e.news != nil {
		close(e.news)
		e.news = nil
	}
}

func newArrivals(rules *naming.Rules, now func() time.Time) *Arrivals {
	return &Arrivals{
		now: now, unforeseen: unforeseen(rules),
		unnamed: map[zone.Key]unnamed{}, starting: map[zone.Key][]string{}, names: map[string]*expected{}, partial: map[zone.Key]time.Time{},
	}
}

// unforeseen reports whether the rules give names of which no event tells.
func unforeseen(r *naming.Rules) bool {
	return slices.ContainsFunc(r.Sources, func(s naming.Source) bool {
		return s == naming.Hostname || s == naming.Alias || s == naming.Template // which may be made of the host name
	})
}

// Expect returns a channel that is closed when a container that could have the name has started, or is known not to; nil if
// there is no such container. Until is when it is no longer worth waiting for, the zero time if the caller may decide.
//
// The name is in lower case. Any says that it may be an unforeseen name too. Who looks the name up after the call, and does not
// find it, misses nothing.
func (a *Arrivals) Expect(name string, any bool) (news <-chan struct{}, until time.Time) {
	if !a.any.Load() {
		return nil, time.Time{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, u := range a.unnamed {
		a.expect(key, u)
	}
	if e := a.find(name); e != nil {
		return e.wait(), time.Time{}
	}
	if !any || len(a.partial) == 0 {
		return nil, time.Time{}
	}
	now := a.now()
	for key, end := range a.partial {
		if !now.Before(end) {
			delete(a.partial, key)
		} else if end.After(until) {
			until = end
		}
	}
	if len(a.partial) == 0 {
		return nil, time.Time{}
	}
	return a.others.wait(), until
}

// find returns the expected name that answers for this one: itself, that of the container whose service it is, or a wildcard.
// Which ports a container serves no event tells. The caller holds mu.
func (a *Arrivals) find(name string) *expected {
	if e := a.names[name]; e != nil {
		return e
	}
	service := strings.HasPrefix(name, "_")
	for off, end := dns.NextLabel(name, 0); !end && (service || a.wild > 0); off, end = dns.NextLabel(name, off) {
		encloser := name[off:]
		if service && !strings.HasPrefix(encloser, "_") {
			service = false
			if e := a.names[encloser]; e != nil {
				return e
			}
		}
		if a.wild > 0 {
			if e := a.names["*."+encloser]; e != nil {
				return e
			}
		}
	}
	return nil
}

// start notes that a container is starting, in place of what was known of that before. Name returns the container's entry as
// far as it is known, nil if it has no names. In a start that is Complete nothing is unforeseen.
func (a *Arrivals) start(key zone.Key, name func() *zone.Entry, s *container.Starting) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, named := a.starting[key]
	_, noted := a.unnamed[key]
	switch u := (unnamed{name, s}); {
	case named: // who waits for a name that it could have had must know
		a.expect(key, u)
	case noted, len(a.starting)+len(a.unnamed) < maxStarting:
		a.unnamed[key] = u
	default: // a query does not wait for it
		return
	}
	a.any.Store(true)
}

// expect notes the names that a starting container could have. The caller holds mu.
func (a *Arrivals) expect(key zone.Key, u unnamed) {
	delete(a.unnamed, key)
	entry := u.name()
	before, now := a.starting[key], owners(entry)
	for _, name := range now {
		e := a.names[name]
		if e == nil {
			e = &expected{}
			a.names[name] = e
			a.wild += wildcards(name)
		}
		e.starts++
	}
	for _, name := range before {
		a.drop(name, false)
	}
	a.starting[key] = now
	leftOut := entry == nil && u.Container.Labels != nil // by a label, or for want of one
	if a.unforeseen && !u.Complete && !u.At.IsZero() && !leftOut {
		a.partial[key] = u.At.Add(unforeseenWait)
	} else {
		a.foresee(key)
	}
}

// foresee notes that the container has no unforeseen names. The caller holds mu.
func (a *Arrivals) foresee(key zone.Key) {
	if _, partial := a.partial[key]; partial {
		delete(a.partial, key)
		a.others.tell()
	}
}

// owners returns the names that the entry claims, sorted, each once.
func owners(e *zone.Entry) []string {
	if e == nil {
		return nil
	}
	names := make([]string, len(e.Claims))
	for i := range e.Claims {
		names[i] = e.Claims[i].Name
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// end notes that a container is starting no more. If it runs, its names have been published.
func (a *Arrivals) end(key zone.Key) {
	if !a.any.Load() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.endOne(key)
}

// endHost is end for all of a host's containers.
func (a *Arrivals) endHost(host container.HostID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key := range a.starting {
		if key.Host == host {
			a.endOne(key)
		}
	}
	for key := range a.unnamed {
		if key.Host == host {
			a.endOne(key)
		}
	}
}

// endOne is end. The caller holds mu.
func (a *Arrivals) endOne(key zone.Key) {
	for _, name := range a.starting[key] {
		a.drop(name, true)
	}
	a.foresee(key)
	delete(a.starting, key)
	delete(a.unnamed, key)
	a.any.Store(len(a.starting)+len(a.unnamed) > 0)
}

// drop notes that one container less could have the name. Who waits for the name is woken if there is news, or nobody left who
// could have it. The caller holds mu.
func (a *Arrivals) drop(name string, news bool) {
	e := a.names[name]
	e.starts--
	if news || e.starts == 0 {
		e.tell()
	}
	if e.starts == 0 {
		delete(a.names, name)
		a.wild -= wildcards(name)
	}
}

// wildcards is how many wildcards the name is.
func wildcards(name string) int {
	if strings.HasPrefix(name, "*.") {
		return 1
	}
	return 0
}

// arrive notes which containers begin to start by these changes, and which are starting no more. The caller holds mu, and has
// published the changes: who is woken finds them.
func (f *Feed) arrive(changes []container.Change) {
	for _, c := range changes {
		if c.Starting == nil {
			f.cat.arrivals.end(f.key(c.ID))
			continue
		}
		networks, facts := f.networks, c.Starting.Container
		provider := f.provider(facts)
		f.cat.arrivals.start(f.key(c.ID), func() *zone.Entry {
			entry, _, _ := f.cat.rules.Entry(networks, facts, provider)
			return entry
		}, c.Starting)
	}
}
