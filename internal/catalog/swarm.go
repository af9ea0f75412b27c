package catalog

import (
	"cmp"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// unsyncedSwarm stands for all Swarms until what there is of services is known once.
var unsyncedSwarm = container.SwarmID("").Host()

// Swarm takes the facts of Swarms' services, and joins their tasks with the containers of which hosts tell. It implements
// swarm.Sink. Its methods may be called from any goroutine.
type Swarm struct {
	cat *Catalog

	mu       sync.Mutex // guards the following; a feed's own lock is taken before it
	nodes    map[string]*container.Node
	services map[string]*serviceListing // by ID
	attached map[zone.Key]*zone.Entry
	told     []container.Attached           // of which attached are the entries
	tasks    map[string]string              // the IDs of the services by those of their tasks' containers and connections
	seen     map[string][]sighting          // by the containers' and their connections' IDs
	networks map[string]*container.Network  // those that span hosts, by ID
	states   map[container.HostID]*swarming // by what stands for a Swarm: of those that have been away
	startup  Timer                          // nil if what there is is known, or overdue
	begun    time.Time
	state    zone.HostState // of what there is of services
	closed   bool
	settled  atomic.Bool // it is
}

// serviceListing is what the catalog has of a service.
type serviceListing struct {
	history
	by      container.HostID // stands for its Swarm
	facts   *container.Service
	entries []*zone.Entry // the service's first; none if it is left out
	left    naming.LeftOut
	skipped []naming.Skipped
}

// sighting is a container as its host tells of it.
type sighting struct {
	on    *container.Networks
	facts *container.Container // nil if it has ended
	ended time.Time            // when it had, by our clock
}

// Swarm returns what takes the facts of Swarms. From the first call on names that nobody has can't be denied before these are
// known, or are overdue.
func (cat *Catalog) Swarm() *Swarm {
	cat.mu.Lock()
	s := cat.swarm.Load()
	begun := s == nil
	if begun {
		s = &Swarm{
			cat: cat, nodes: map[string]*container.Node{}, services: map[string]*serviceListing{}, attached: map[zone.Key]*zone.Entry{},
			tasks: map[string]string{}, seen: map[string][]sighting{}, networks: map[string]*container.Network{}, states: map[container.HostID]*swarming{},
			begun: cat.now(), state: zone.Unsynced,
		}
		cat.swarm.Store(s)
		cat.store.SetHost(unsyncedSwarm, zone.Unsynced)
		s.startup = cat.afterFunc(cat.startup, s.late)
		cat.count()
	}
	cat.mu.Unlock()
	if begun {
		for _, f := range cat.all() { // what they have told before
			f.mu.Lock()
			f.tellSwarm(nil)
			f.mu.Unlock()
		}
	}
	return s
}

// HasSwarm reports whether there is what takes the facts of Swarms.
func (cat *Catalog) HasSwarm() bool { return cat.swarm.Load() != nil }

// Nodes implements swarm.Sink.
func (s *Swarm) Nodes(nodes []container.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = make(map[string]*container.Node, len(nodes))
	for i := range nodes {
		s.nodes[nodes[i].ID] = &nodes[i]
	}
	s.renew(s.all()...)
	s.renewAttached()
}

// Apply implements swarm.Sink.
func (s *Swarm) Apply(changes []container.ServiceChange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, len(changes))
	for i, c := range changes {
		ids[i] = c.ID
		l, what := s.services[c.ID], Changed
		if l != nil {
			s.indexTasks(l.facts, "")
		}
		switch {
		case c.Service == nil && l == nil:
			continue
		case c.Service == nil:
			l.facts = nil
			s.cat.changes.note(zone.Key{Host: l.by, ID: c.ID})
			continue
		case l == nil:
			l, what = &serviceListing{by: c.Service.Swarm.Host()}, Runs
			s.services[c.ID] = l
		}
		l.facts, l.history.name = c.Service, c.Service.Name
		l.add(s.cat.now(), what, "")
		s.cat.changes.note(zone.Key{Host: l.by, ID: c.ID})
		s.indexTasks(c.Service, c.ID)
	}
	s.renew(ids...)
	s.forgetEnded()
}

// Attached implements swarm.Sink.
func (s *Swarm) Attached(all []container.Attached) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = all
	s.renewAttached()
}

// indexTasks notes the service of each task, none for "".
func (s *Swarm) indexTasks(facts *container.Service, id string) {
	for i := range facts.Tasks {
		for ref := range refs(&facts.Tasks[i]) {
			if id == "" {
				delete(s.tasks, ref)
			} else {
				s.tasks[ref] = id
			}
		}
	}
}

// refs yields the IDs by which a task's container is known: its own, and those of its connections.
func refs(t *container.Task) func(func(string) bool) {
	return func(yield func(string) bool) {
		if t.Container != "" {
			yield(t.Container)
			return
		}
		for i := range t.Connections {
			if id := t.Connections[i].ID; id != "" && !yield(id) {
				return
			}
		}
	}
}

// all returns the services' IDs. The caller holds mu.
func (s *Swarm) all() []string {
	ids := make([]string, 0, len(s.services))
	for id := range s.services {
		ids = append(ids, id)
	}
	return ids
}

// renew makes the entries of the services and their tasks anew, and publishes those that have changed. The caller holds mu.
func (s *Swarm) renew(ids ...string) {
	var changes []zone.Change
	for _, id := range ids {
		l := s.services[id]
		if l == nil {
			continue
		}
		before := l.entries
		if l.facts == nil {
			l.entries = nil
			delete(s.services, id)
		} else {
			s.name(l)
		}
		if c := differing(before, l.entries); len(c) > 0 {
			s.cat.changes.note(zone.Key{Host: l.by, ID: id})
			if !s.dropped(l.by) {
				changes = append(changes, c...)
			}
		}
	}
	s.cat.publish(changes)
}

// name names the service and those of its tasks whose containers are not known to have ended. The caller holds mu.
func (s *Swarm) name(l *serviceListing) {
	facts := l.facts
	if slices.ContainsFunc(facts.Tasks, s.hasEnded) {
		copied := *facts
		copied.Tasks = slices.DeleteFunc(slices.Clone(facts.Tasks), s.hasEnded)
		facts = &copied
	}
	before := l.skipped
	l.entries, l.left, l.skipped = s.cat.rules.Service(facts, s.around(facts.Swarm))
	for _, skipped := range l.skipped {
		if !slices.Contains(before, skipped) {
			s.cat.warnf("Service %s: skipped %s", facts.Name, skipped)
		}
	}
}

// around is what the naming of a Swarm's services needs. The caller holds mu.
func (s *Swarm) around(id container.SwarmID) *naming.Surroundings {
	around := &naming.Surroundings{
		By: id.Host(), Nodes: s.nodes,
		Seen: func(t *container.Task) (*container.Networks, *container.Container) {
			if at := s.sighted(t); at != nil {
				return at.on, at.facts
			}
			return nil, nil
		},
		Network: func(id string) *container.Network { return s.networks[id] },
	}
	for _, n := range s.nodes {
		if n.Swarm != id || !n.Ready {
			continue
		}
		node := zone.MeshNode{Host: n.Host}
		if n.Addr.IsValid() {
			node.Addrs = append(node.Addrs, n.Addr)
		}
		around.Mesh = append(around.Mesh, node)
	}
	slices.SortFunc(around.Mesh, func(a, b zone.MeshNode) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), slices.CompareFunc(a.Addrs, b.Addrs, netip.Addr.Compare))
	})
	return around
}

// sighted returns the task's container as its host tells of it, nil if none does. Several hosts may have containers of one ID, as
// engines do that were copied with their machines: it is that of the task's node. The caller holds mu.
func (s *Swarm) sighted(t *container.Task) *sighting {
	node := s.nodes[t.Node]
	for ref := range refs(t) {
		all := s.seen[ref]
		for i := range all {
			if node == nil && len(all) == 1 || node != nil && all[i].on.Host() == node.Host {
				return &all[i]
			}
		}
	}
	return nil
}

// hasEnded reports whether the task's container is known to have ended, be it that its manager does not know yet. The caller holds
// mu.
func (s *Swarm) hasEnded(t container.Task) bool {
	at := s.sighted(&t)
	return at != nil && at.facts == nil
}

// differing returns the changes that make the entries of before those of after.
func differing(before, after []*zone.Entry) (changes []zone.Change) {
	old := make(map[zone.Key]*zone.Entry, len(before))
	for _, e := range before {
		old[e.Key] = e
	}
	for _, e := range after {
		if o := old[e.Key]; o == nil || !reflect.DeepEqual(o, e) {
			changes = append(changes, zone.Change{Key: e.Key, Entry: e})
		}
		delete(old, e.Key)
	}
	for key := range old {
		changes = append(changes, zone.Change{Key: key})
	}
	return changes
}

// renewAttached makes the entries of attached containers anew: of those of which no host tells. The caller holds mu.
func (s *Swarm) renewAttached() {
	before, now := s.attached, map[zone.Key]*zone.Entry{}
	for i := range s.told {
		a := &s.told[i]
		if len(s.seen[a.ID]) > 0 || s.dropped(a.Swarm.Host()) {
			continue
		}
		if e := s.cat.rules.Attached(a, s.around(a.Swarm)); e != nil {
			now[e.Key] = e
		}
	}
	s.attached = now
	s.cat.publish(differing(values(before), values(now)))
}

func values(entries map[zone.Key]*zone.Entry) (all []*zone.Entry) {
	for _, e := range entries {
		all = append(all, e)
	}
	return all
}
