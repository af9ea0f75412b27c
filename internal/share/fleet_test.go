package share

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/share/format"
)

// recorder is a subscriber's picture of all hosts, as a catalog would have it.
type recorder struct {
	t      *testing.T
	hosts  map[container.HostID]*recorded
	lefts  int
	synced bool
}

type recorded struct {
	*recorder
	host       container.Host
	containers map[string]*container.Container
	created    map[string]*container.Container
	unread     map[string]error
	synced     bool
	current    bool
}

func newRecorder(t *testing.T) *recorder {
	return &recorder{t: t, hosts: map[container.HostID]*recorded{}}
}

// apply takes updates as a Member tells them.
func (r *recorder) apply(updates []update) {
	m := &Member{sinks: map[Hosts]map[container.HostID]engine.Sink{r: {}}}
	for id, h := range r.hosts {
		m.sinks[r][id] = h
	}
	m.tell(r, updates)
}

func (r *recorder) Host(id container.HostID) engine.Sink {
	if r.hosts[id] != nil {
		r.t.Errorf("host %s comes twice", id)
	}
	h := &recorded{recorder: r, containers: map[string]*container.Container{}, created: map[string]*container.Container{}, unread: map[string]error{}}
	r.hosts[id] = h
	return h
}

func (r *recorder) Left(id container.HostID) {
	if r.hosts[id] == nil {
		r.t.Errorf("host %s leaves and is not there", id)
	}
	delete(r.hosts, id)
	r.lefts++
}

func (r *recorder) Synced() {
	if r.synced {
		r.t.Error("all is known for the first time twice")
	}
	r.synced = true
}

func (h *recorded) Host(host container.Host) { h.host = host }
func (h *recorded) Synced()                  { h.synced = true }
func (h *recorded) Current(current bool, _ time.Time) {
	h.current = current
}

func (h *recorded) Apply(changes []container.Change) {
	for _, c := range changes {
		delete(h.created, c.ID)
		delete(h.unread, c.ID)
		switch {
		case c.Created != nil:
			h.created[c.ID] = c.Created
		case c.Unread != nil:
			h.unread[c.ID] = c.Unread
		case c.Container != nil:
			h.containers[c.ID] = c.Container
		default:
			delete(h.containers, c.ID)
		}
	}
}

// picture says what the subscriber has: "HOST[!] ADDR,…: NAME… +CREATED… ?UNREAD…", with ! for one that is not current.
func (r *recorder) picture() string {
	var hosts []string
	for id, h := range r.hosts {
		var names []string
		for _, c := range h.containers {
			names = append(names, c.Name)
		}
		for _, c := range h.created {
			names = append(names, "+"+c.Name)
		}
		for id := range h.unread {
			names = append(names, "?"+strings.TrimRight(id, "0"))
		}
		slices.Sort(names)
		var ips []string
		for _, ip := range h.host.Addrs {
			ips = append(ips, ip.String())
		}
		away := map[bool]string{false: "!"}[h.current]
		if !h.synced || h.host.ID != id || h.host.Name != string(id) {
			away += "?"
		}
		hosts = append(hosts, fmt.Sprintf("%s%s %s: %s", id, away, strings.Join(ips, ","), strings.Join(names, " ")))
	}
	slices.Sort(hosts)
	return strings.Join(hosts, "; ")
}

// store is what etcd would have. Its revisions count.
type store struct {
	items    map[string]item
	revision int64
}

func (s *store) put(key, value string) item {
	s.revision++
	i := item{key: "/p/" + key, value: []byte(value), revision: s.revision, created: s.revision}
	if before, known := s.items[i.key]; known {
		i.created = before.created
	}
	s.items[i.key] = i
	return i
}

func (s *store) delete(key string) item {
	s.revision++
	delete(s.items, "/p/"+key)
	return item{key: "/p/" + key, revision: s.revision}
}

func (s *store) list() (all []item) {
	for _, i := range s.items {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b item) int { return strings.Compare(a.key, b.key) })
	return all
}

func (s *store) state() mark { return mark{cluster: 1, revision: s.revision} }

// TestSetBack has etcd be restored from a copy, or be another one: then a key may have another document at a revision that is known.
func TestSetBack(t *testing.T) {
	now := time.Unix(0, 0)
	for what, after := range map[string]mark{"set back": {cluster: 1, revision: 3}, "another one": {cluster: 2, revision: 4}} {
		s := &store{items: map[string]item{}}
		f, r := newFleet("/p", "self"), newRecorder(t)
		s.put("a/host", host("a EA 192.0.2.1"))
		s.put(key("a", "web"), running("web", "a=10.1.0.2"))
		r.apply(f.replace(s.list(), s.state(), now))
		s.put("b/host", host("b EB 192.0.2.2"))
		r.apply(f.apply([]item{s.put(key("a", "db"), running("db", "a=10.1.0.3"))}, now)) // at revision 4
		other := &store{items: map[string]item{}}
		other.put("a/host", host("a EA 192.0.2.7"))
		other.put(key("a", "web"), document(format.Container{Facts: containertest.New("web", ""), Created: true}))
		r.apply(f.replace(other.list(), after, now))
		if got, want := r.picture(), "a 192.0.2.7: +web"; got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
}

// host is a host's document, as "NAME ENGINE [away] ADDR…".
func host(text string) string {
	words := strings.Fields(text)
	h := format.Host{Name: words[0], Engine: words[1], Facts: containertest.Host()}
	for _, word := range words[2:] {
		if word == "away" {
			h.Away = true
		} else {
			h.Addrs = append(h.Addrs, netip.MustParseAddr(word))
		}
	}
	b, err := format.EncodeHost(&h)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// running is a container's document.
func running(name, addrs string) string {
	return document(format.Container{Facts: containertest.New(name, addrs)})
}

func document(c format.Container) string {
	b, err := format.EncodeContainer(&c, nil)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func key(host, name string) string {
	return host + "/" + containerKeys + containertest.New(name, "").ID
}

func TestFleet(t *testing.T) {
	s := &store{items: map[string]item{}}
	f, r := newFleet("/p", "self"), newRecorder(t)
	now := time.Unix(0, 0)
	steps := []struct {
		what  string
		items func() []item
		want  string
	}{
		{"containers before their host", func() []item { return []item{s.put(key("a", "web"), running("web", "a=10.1.0.2"))} }, ""},
		{"their host", func() []item { return []item{s.put("a/owner", "x"), s.put("a/host", host("a EA 192.0.2.1"))} }, "a 192.0.2.1: web"},
		{"our own keys", func() []item {
			return []item{s.put("self/host", host("self ES 192.0.2.9")), s.put(key("self", "x"), running("x", ""))}
		}, "a 192.0.2.1: web"},
		{"one more, created", func() []item {
			return []item{s.put(key("a", "db"), document(format.Container{Facts: containertest.New("db", ""), Created: true}))}
		}, "a 192.0.2.1: +db web"},
		{"which starts", func() []item { return []item{s.put(key("a", "db"), running("db", "b=10.2.0.3"))} }, "a 192.0.2.1: db web"},
		{"garbage", func() []item {
			return []item{s.put("x", "y"), s.put("A/host", "y"), s.put("b/host", "{}"), s.put("a/"+containerKeys, "y"), s.put("a/services/z", "y"), s.put(key("a", "bad"), "{")}
		}, "a 192.0.2.1: db web"},
		{"another version", func() []item {
			return []item{s.put(key("a", "db"), strings.Replace(running("db", "b=10.2.0.3"), `"version":1`, `"version":2`, 1))}
		}, "a 192.0.2.1: web"},
		{"the known version again", func() []item { return []item{s.put(key("a", "db"), running("db", "b=10.2.0.3"))} }, "a 192.0.2.1: db web"},
		{"an address of another's network", func() []item { return []item{s.put(key("a", "db"), running("db", "b=10.9.0.3"))} }, "a 192.0.2.1: ?db web"},
		{"of its own", func() []item { return []item{s.put(key("a", "db"), running("db", "b=10.2.0.3"))} }, "a 192.0.2.1: db web"},
		{"another container's document", func() []item { return []item{s.put(key("a", "x"), running("y", ""))} }, "a 192.0.2.1: db web"},
		{"a second host that claims the first one's address", func() []item { return []item{s.put("b/host", host("b EB 192.0.2.1 192.0.2.2"))} }, "a 192.0.2.1: db web; b 192.0.2.2: "},
		{"another one's document", func() []item { return []item{s.put("c/host", host("b EC 192.0.2.3"))} }, "a 192.0.2.1: db web; b 192.0.2.2: "},
		{"the first one's engine is away", func() []item { return []item{s.put("a/host", host("a EA away 192.0.2.1"))} }, "a! 192.0.2.1: db web; b 192.0.2.2: "},
		{"and is back", func() []item { return []item{s.put("a/host", host("a EA 192.0.2.1"))} }, "a 192.0.2.1: db web; b 192.0.2.2: "},
		{"a container ends", func() []item { return []item{s.delete(key("a", "web"))} }, "a 192.0.2.1: db; b 192.0.2.2: "},
		{"the first host's lease ends", func() []item {
			return []item{s.delete("a/" + hostKey), s.delete("a/owner"), s.delete(key("a", "db"))}
		}, "b 192.0.2.1,192.0.2.2: "},
		{"it is back", func() []item {
			return []item{s.put(key("a", "db"), running("db", "b=10.2.0.3")), s.put("a/host", host("a EA 192.0.2.4"))}
		}, "a 192.0.2.4: db; b 192.0.2.1,192.0.2.2: "},
	}
	f.reach(true, now)
	for _, step := range steps {
		r.apply(f.apply(step.items(), now))
		if got := r.picture(); got != step.want {
			t.Errorf("%s: %q, want %q", step.what, got, step.want)
		}
	}
	// The same keys by a list, and what a new subscriber is told.
	g, fresh := newFleet("/p", "self"), newRecorder(t)
	fresh.apply(g.replace(s.list(), s.state(), now))
	if got, want := fresh.picture(), r.picture(); got != want {
		t.Errorf("by a list: %q, want %q", got, want)
	}
	late := newRecorder(t)
	late.apply(g.all())
	if late.picture() != fresh.picture() {
		t.Errorf("a late subscriber has %q, want %q", late.picture(), fresh.picture())
	}
	if again := g.replace(s.list(), s.state(), now); len(again) > 0 {
		t.Errorf("the same list again tells %d hosts' changes", len(again))
	}
	if n, why := g.strayKeys(); n != 2 || !strings.Contains(why, `"/p/A/host"`) {
		t.Errorf("%d keys of no host: %s", n, why)
	}
	fresh.apply(g.lost(now))
	if got, want := fresh.picture(), "a! 192.0.2.4: db; b! 192.0.2.1,192.0.2.2: "; got != want {
		t.Errorf("etcd is away: %q, want %q", got, want)
	}
	// It comes back, and has other keys.
	s.delete(key("a", "db"))
	s.delete("b/host")
	fresh.apply(g.replace(s.list(), s.state(), now))
	if got, want := fresh.picture(), "a 192.0.2.4: "; got != want {
		t.Errorf("a list after the watch was lost: %q, want %q", got, want)
	}
	fresh.apply(g.setOwn([]netip.Addr{netip.MustParseAddr("192.0.2.4")}, now))
	if got, want := fresh.picture(), "a : "; got != want {
		t.Errorf("a host that claims our address: %q, want %q", got, want)
	}
}

// TestBounds checks that nobody has us keep more than so much.
func TestBounds(t *testing.T) {
	s := &store{items: map[string]item{}}
	f, now := newFleet("/p", "self"), time.Unix(0, 0)
	var items []item
	for i := range maxHosts + 10 {
		items = append(items, s.put(fmt.Sprintf("h%d/host", i), host(fmt.Sprintf("h%d E%d", i, i))))
	}
	for i := range maxContainers + 10 {
		items = append(items, s.put(fmt.Sprintf("h1/%s%d", containerKeys, i), "{}"))
		items = append(items, s.put(fmt.Sprintf("x%d", i), "{}"))
	}
	f.apply(items, now)
	if o := f.hosts["h1"]; len(f.hosts) != maxHosts || len(o.containers) > maxContainers || len(o.refused) > maxContainers || len(f.strays) > maxHosts {
		t.Errorf("%d hosts, %d strays, of one host %d containers and %d refused keys", len(f.hosts), len(f.strays), len(o.containers), len(o.refused))
	}
}

// TestFleetChangeCost checks that taking one container's change does not grow with how many hosts there are.
func TestFleetChangeCost(t *testing.T) {
	cost := func(hosts int) float64 {
		f, s := newFleet("/p", "self"), store{items: map[string]item{}}
		for i := range hosts {
			name := fmt.Sprint("h", i)
			s.put(name+"/host", host(fmt.Sprintf("%s E%d 192.0.2.%d", name, i, i+1)))
		}
		f.replace(s.list(), s.state(), time.Now())
		n := 0
		return testing.AllocsPerRun(50, func() {
			n++
			i := s.put(key("h1", "web"), running("web", fmt.Sprint("a=10.1.0.", n+1)))
			if updates := f.apply([]item{i}, time.Now()); len(updates) != 1 || len(updates[0].changes) != 1 || updates[0].facts != nil {
				t.Errorf("the change of a container gives %+v", updates)
			}
		})
	}
	if few, many := cost(2), cost(200); many > few+2 {
		t.Errorf("to take a change takes %v allocations with 200 hosts, %v with 2", many, few)
	}
}

// hooked is a subscriber that does something before it takes each host's containers.
type hooked struct {
	*recorder
	before func()
}

func (h *hooked) Host(id container.HostID) engine.Sink {
	return hookedSink{h.recorder.Host(id), h.before}
}

type hookedSink struct {
	engine.Sink
	before func()
}

func (s hookedSink) Apply(changes []container.Change) {
	s.before()
	s.Sink.Apply(changes)
}

// member is one without etcd, with one subscriber.
func member(to Hosts) *Member {
	return &Member{fleet: newFleet("/p", "b"), observer: &machine{}, sinks: map[Hosts]map[container.HostID]engine.Sink{to: {}}}
}

// TestSlowTake checks that so many containers that they take long are not stale as soon as they have been taken: they would be listed
// anew, again and again.
func TestSlowTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := newRecorder(t), store{items: map[string]item{}}
		s.put("a/host", host("a E 192.0.2.1"))
		s.put(key("a", "web"), running("web", "a=10.1.0.2"))
		m := member(&hooked{r, func() { time.Sleep(2 * silence) }})
		m.found(s.list(), s.state())
		if got, want := r.picture(), "a 192.0.2.1: web"; got != want || m.stale() {
			t.Errorf("%q, stale: %v, want %q", got, m.stale(), want)
		}
		time.Sleep(silence + 1)
		if !m.stale() {
			t.Errorf("what nobody confirms is not stale after %s", silence)
		}
	})
}

// TestOwnDuringTake checks that a host may tell its containers while all others are taken, and that nobody has its addresses after that.
func TestOwnDuringTake(t *testing.T) {
	r, s := newRecorder(t), store{items: map[string]item{}}
	s.put("a/host", host("a E 192.0.2.1 192.0.2.4"))
	s.put(key("a", "web"), running("web", "a=10.1.0.2"))
	asks, let := make(chan bool), make(chan bool)
	m := member(&hooked{r, func() {
		asks <- true
		<-let
	}})
	var taking sync.WaitGroup
	taking.Go(func() { m.found(s.list(), s.state()) })
	<-asks
	w := &writer{Member: m}
	w.own([]netip.Addr{netip.MustParseAddr("192.0.2.1")})
	w.own([]netip.Addr{netip.MustParseAddr("192.0.2.4")}) // both return
	close(let)
	taking.Wait()
	w.owning.Wait()
	if got, want := r.picture(), "a 192.0.2.1: web"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestMarks checks that who is behind by less than it takes until the newest is asked for again is not taken for further behind.
func TestMarks(t *testing.T) {
	begin := time.Now()
	second := func(n int) time.Time { return begin.Add(time.Duration(n) * time.Second) }
	ahead := marks{{revision: 10, at: second(1)}, {revision: 20, at: second(2)}, {revision: 20, at: second(3)}, {revision: 30, at: second(4)}}
	for _, c := range []struct {
		revision int64
		want     time.Time
	}{{9, time.Time{}}, {10, second(1)}, {19, time.Time{}}, {25, second(3)}, {30, second(4)}, {40, time.Time{}}} {
		if got := ahead.pass(c.revision); !got.Equal(c.want) {
			t.Errorf("revision %d was the newest at %v, want %v", c.revision, got, c.want)
		}
	}
}

// TestLeaveDuringTake checks that who leaves while all hosts are taken waits for one of them at most, and that the state is told meanwhile.
func TestLeaveDuringTake(t *testing.T) {
	r, s := newRecorder(t), store{items: map[string]item{}}
	for i, name := range []string{"a", "c", "d"} {
		s.put(name+"/host", host(fmt.Sprintf("%s E%[1]s 192.0.2.%d", name, i+1)))
		s.put(key(name, "web"), running("web", name+"=10.1.0.2"))
	}
	asks, let := make(chan bool), make(chan bool)
	to := &hooked{r, func() {
		asks <- true
		<-let
	}}
	m := member(to)
	var both sync.WaitGroup
	both.Go(func() { m.found(s.list(), s.state()) })
	<-asks
	if state := m.State(); !state.Reached || len(state.Others) != 3 {
		t.Errorf("the state is %+v, want all hosts' as soon as they are known", state)
	}
	both.Go(func() { m.Unsubscribe(to) })
	await(t, patience, func() error {
		if _, leaves := m.leaving.Load(to); !leaves {
			return errors.New("it is not known who leaves")
		}
		return nil
	})
	close(let)
	go func() { // who is asked nonetheless goes on
		for range asks {
		}
	}()
	both.Wait()
	close(asks)
	if len(r.hosts) != 1 {
		t.Errorf("%d hosts were told, want the one that was being told", len(r.hosts))
	}
}
