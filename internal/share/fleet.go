package share

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/share/format"
)

// The bounds of what is taken from others.
const (
	maxHosts      = 1000
	maxContainers = 20000 // of one host
	maxHostName   = 63    // octets
)

// ownerKey is that by which a server holds its host's prefix.
const ownerKey = "owner"

// cause is what changes have as theirs.
const cause = "share"

// item is a key of etcd's with its value, nil if it has been deleted.
type item struct {
	key      string
	value    []byte
	revision int64 // of its last change
	created  int64 // of its creation
}

// fleet is what other hosts tell, by the keys that etcd has. It is a state machine: it returns what there is to tell of a change, and tells nobody.
type fleet struct {
	path  string
	self  container.HostID
	addrs []netip.Addr // this host's
	hosts map[container.HostID]*other
	// reached is set while what is known is what etcd has.
	reached bool
	since   time.Time        // when that has become so
	state   mark             // etcd's, up to which all is known
	strays  map[string]error // keys that are no host's
}

// other is another host. It is there while its own document is.
type other struct {
	doc        *format.Host // nil while it is not there
	created    int64        // revision of its document's creation: who comes first keeps an address that two claim
	revision   int64
	facts      container.Host // as told to subscribers
	since      time.Time      // since when it is as it is, by our clock
	containers map[string]*entry
	refused    map[string]error // keys that can't be taken
	told       presence
}

// presence says whether what is known of a host is what its engine says.
type presence struct {
	current bool
	since   time.Time
}

// update is what there is to tell of a host.
type update struct {
	host     container.HostID
	left     bool
	facts    *container.Host // nil if they are as before
	changes  []container.Change
	presence *presence // nil if it is as before
}

func newFleet(path string, self container.HostID) *fleet {
	return &fleet{path: path, self: self, hosts: map[container.HostID]*other{}, strays: map[string]error{}}
}

// place is where a key stands.
type place struct {
	host container.HostID
	id   string // of a container; "" for the host's own document
}

var (
	errOwn   = errors.New("it is this host's")
	errOwner = errors.New("it says who writes the others")
)

// parse finds out what a key is. The host is known also for a key of its that is nothing.
func (f *fleet) parse(key string) (p place, err error) {
	rest, ours := strings.CutPrefix(key, f.path+"/")
	host, rest, below := strings.Cut(rest, "/")
	if !ours || !below || !validHost(host) {
		return p, errors.New("no host of ours has such a key: want " + f.path + "/HOST/…, with a HOST of small letters, digits and hyphens")
	}
	p.host = container.HostID(host)
	id, isContainer := strings.CutPrefix(rest, containerKeys)
	switch {
	case p.host == f.self:
		return p, errOwn
	case rest == ownerKey:
		return p, errOwner
	case rest == hostKey:
	case isContainer && id != "":
		p.id = id
	default:
		return p, errors.New("this version of the server does not know what it is")
	}
	return p, nil
}

// validHost reports whether the text can be a host's name: one label.
func validHost(s string) bool {
	return s != "" && len(s) <= maxHostName && s != "localhost" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" &&
		s[0] != '-' && s[len(s)-1] != '-'
}

// replace takes all keys that there are in a state of etcd's. Those that are as before are not looked at again. By their revisions that
// is known unless etcd has been set back to what it was before, or is another one.
func (f *fleet) replace(items []item, state mark, now time.Time) []update {
	if state.cluster != f.state.cluster || state.revision < f.state.revision {
		f.distrust()
	}
	f.state = state
	there := make(map[string]bool, len(items))
	for i := range items {
		there[items[i].key] = true
	}
	all := items
	for host, o := range f.hosts {
		prefix := f.path + "/" + string(host) + "/"
		if key := prefix + hostKey; o.doc != nil && !there[key] {
			all = append(all, item{key: key})
		}
		for id := range o.containers {
			if key := prefix + containerKeys + id; !there[key] {
				all = append(all, item{key: key})
			}
		}
		for key := range o.refused {
			if !there[key] {
				all = append(all, item{key: key})
			}
		}
	}
	clear(f.strays)
	f.reach(true, now)
	return f.take(all, true, now)
}

// distrust forgets of which revisions the documents are.
func (f *fleet) distrust() {
	for _, o := range f.hosts {
		o.revision = -1
		for _, e := range o.containers {
			if e.revision > 0 { // else it is gone
				e.revision = -1
			}
		}
	}
}

// reach notes whether what is known is what etcd has.
func (f *fleet) reach(reached bool, now time.Time) {
	if f.reached != reached {
		f.reached, f.since = reached, now
	}
}

// lost notes that etcd does not answer: what is known of others may be over.
func (f *fleet) lost(now time.Time) []update {
	f.reach(false, now)
	return f.settle(nil, true, now)
}

// setOwn takes this host's addresses.
func (f *fleet) setOwn(addrs []netip.Addr, now time.Time) []update {
	if slices.Equal(f.addrs, addrs) {
		return nil
	}
	f.addrs = addrs
	return f.settle(nil, true, now)
}

// apply takes changes of keys, in their order.
func (f *fleet) apply(items []item, now time.Time) []update { return f.take(items, false, now) }

// take takes changes of keys, after which all hosts may be others if that is said.
func (f *fleet) take(items []item, all bool, now time.Time) []update {
	dirty := map[container.HostID]map[string]bool{} // the containers whose keys have changed
	for i := range items {
		f.state.revision = max(f.state.revision, items[i].revision)
		p, err := f.parse(items[i].key)
		switch {
		case errors.Is(err, errOwn), errors.Is(err, errOwner):
			continue
		case p.host == "":
			f.stray(&items[i], err)
			continue
		case f.hosts[p.host] == nil && (items[i].value == nil || len(f.hosts) >= maxHosts):
			f.stray(&items[i], fmt.Errorf("there are %d hosts, which are all that are taken", maxHosts))
			continue
		}
		o := f.hosts[p.host]
		if o == nil {
			o = &other{containers: map[string]*entry{}, refused: map[string]error{}, since: now}
			f.hosts[p.host] = o
		}
		if dirty[p.host] == nil {
			dirty[p.host] = map[string]bool{}
		}
		if err == nil {
			err = o.take(p, &items[i], now)
			dirty[p.host][p.id] = true
			all = all || p.id == ""
		}
		o.refuse(&items[i], err)
	}
	return f.settle(dirty, all, now)
}

// stray notes a key that is no host's.
func (f *fleet) stray(i *item, err error) {
	if i.value == nil {
		delete(f.strays, i.key)
	} else if len(f.strays) < maxHosts {
		f.strays[i.key] = err
	}
}

// refuse notes why a key can't be taken, or that there is nothing against it any more.
func (o *other) refuse(i *item, err error) {
	switch {
	case err == nil || i.value == nil:
		delete(o.refused, i.key)
	case len(o.refused) < maxContainers:
		o.refused[i.key] = err
	}
}

// take takes a host's or a container's document.
func (o *other) take(p place, i *item, now time.Time) (err error) {
	if p.id == "" {
		return o.takeHost(p.host, i, now)
	}
	e := o.containers[p.id]
	switch {
	case i.value == nil && e == nil:
		return nil
	case i.value == nil:
		e.c, e.revision = nil, 0
		return nil
	case e != nil && e.revision == i.revision:
		return o.refused[i.key]
	case e == nil && len(o.containers) >= maxContainers:
		return fmt.Errorf("the host has %d containers, which are all that are taken", maxContainers)
	case e == nil:
		e = &entry{}
		o.containers[p.id] = e
	}
	e.revision = i.revision
	e.c, err = format.DecodeContainer(i.value)
	if err == nil && e.c.ID != p.id {
		err = fmt.Errorf("the key is of container %.64s, and the document of %.64s", p.id, e.c.ID)
	}
	if err != nil {
		e.c = nil
	}
	return err
}

func (o *other) takeHost(host container.HostID, i *item, now time.Time) (err error) {
	if i.value != nil && o.revision == i.revision {
		return o.refused[i.key]
	}
	before := o.doc
	o.doc, o.revision, o.created = nil, i.revision, i.created
	if i.value == nil {
		return nil
	}
	doc, err := format.DecodeHost(i.value)
	if err == nil && doc.Name != string(host) {
		err = fmt.Errorf("the key is of host %s, and the document of %.64q", host, doc.Name)
	}
	if err != nil {
		return err
	}
	o.doc = doc
	if before == nil || before.Away != doc.Away {
		o.since = now
	}
	return nil
}

// settle returns what is to be told after a change. Dirty are the containers whose keys have changed. Where these are all that has, no host but
// theirs is looked at: containers change often, and hosts may be many.
func (f *fleet) settle(dirty map[container.HostID]map[string]bool, all bool, now time.Time) (updates []update) {
	claimed := map[netip.Addr]bool{}
	var hosts []container.HostID
	if all {
		hosts = f.byAge()
		for _, ip := range f.addrs {
			claimed[ip] = true
		}
	} else {
		hosts = slices.Sorted(maps.Keys(dirty))
	}
	for _, host := range hosts {
		o := f.hosts[host]
		if o.doc == nil {
			if o.facts.ID != "" {
				updates = append(updates, update{host: host, left: true})
			}
			o.leave()
			if len(o.containers) == 0 && len(o.refused) == 0 {
				delete(f.hosts, host)
			}
			continue
		}
		u := update{host: host}
		came := o.facts.ID == ""
		if all && o.claim(host, claimed) {
			facts := o.facts
			u.facts = &facts
		}
		u.changes = o.changes(dirty[host], u.facts != nil, now)
		p := presence{current: f.reached && !o.doc.Away, since: later(o.since, f.since)}
		if came || p.current != o.told.current {
			o.told, u.presence = p, &p
		}
		if u.facts != nil || len(u.changes) > 0 || u.presence != nil {
			updates = append(updates, u)
		}
	}
	return updates
}

// claim makes the facts those of the host's document, with those of its addresses that nobody has claimed. It reports whether they have changed.
func (o *other) claim(host container.HostID, claimed map[netip.Addr]bool) bool {
	before := o.facts
	o.facts = o.doc.Facts
	o.facts.ID, o.facts.Name, o.facts.Addrs = host, string(host), []netip.Addr{}
	for _, ip := range o.doc.Addrs {
		if !claimed[ip] {
			claimed[ip] = true
			o.facts.Addrs = append(o.facts.Addrs, ip)
		}
	}
	return !reflect.DeepEqual(before, o.facts)
}

// byAge returns the hosts, who came first as the first.
func (f *fleet) byAge() []container.HostID {
	return slices.SortedFunc(maps.Keys(f.hosts), func(a, b container.HostID) int {
		if x, y := f.hosts[a].created, f.hosts[b].created; x != y {
			return int(max(-1, min(1, x-y)))
		}
		return strings.Compare(string(a), string(b))
	})
}

// leave forgets what subscribers were told.
func (o *other) leave() {
	o.facts, o.told = container.Host{}, presence{}
	for id, e := range o.containers {
		if e.told = (verdict{}); e.revision == 0 {
			delete(o.containers, id)
		}
	}
}

// all returns what makes everything known to a new subscriber.
func (f *fleet) all() (updates []update) {
	for _, host := range f.byAge() {
		o := f.hosts[host]
		if o.facts.ID == "" {
			continue
		}
		facts, p := o.facts, o.told
		u := update{host: host, facts: &facts, presence: &p}
		for _, id := range slices.Sorted(maps.Keys(o.containers)) {
			e := *o.containers[id]
			e.told = verdict{}
			u.changes = append(u.changes, e.judge(id, o, o.since)...)
		}
		updates = append(updates, u)
	}
	return updates
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
