package share

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

var theRun rig.Run

func TestMain(m *testing.M) {
	os.Exit(rig.MainWithoutEngine(m, func(run rig.Run) error {
		theRun = run
		return nil
	}))
}

const (
	// patience is how long a thing may take that must come: tests share the machine with others.
	patience = time.Minute
	// lease is short, so that a test sees it end. etcd's shortest is two seconds.
	lease = 3 * time.Second
	// longest is how long an address stays known that is nobody's any more, or is known as if it were certain: etcd ends a lease up to half
	// a second after its time, and tells who watches.
	longest = lease + 2*time.Second
	// recovery is how long it takes until all is right after a fault.
	recovery = 5 * time.Second
	// election is how long etcd may need more for a new leader, which it elects in vain first when two members want it at a time.
	election = 3 * time.Second
)

// machine is a host with an engine, a server that tells of it, and a link to each of etcd's members.
type machine struct {
	t        *testing.T
	name     string
	engineID string
	links    []*link
	lease    time.Duration
	as       func(*Config) // adds who it is to etcd, if that wants to know

	member    *Member // nil while its server does not run
	seen      *recorder
	disturbed time.Time // when its server was started, or its links were changed, last

	mu         sync.Mutex // guards the following
	sink       engine.Sink
	containers map[string]*container.Container
	ended      map[string]time.Time // when a container ended that had this NAME=IP
	changed    time.Time            // when a container began or ended last
	told       []error
	written    int
	failures   []error
	skipped    []string
	history    []string // what became of its server's dealings with etcd, each with the second
	last       map[string]string
}

// pair returns two machines that see each other, and the second one the first one's container web.
func pair(t *testing.T, e *rig.Etcd) (a, b *machine) {
	t.Helper()
	a, b = newMachine(t, e, "a"), newMachine(t, e, "b")
	meet(a, b)
	return a, b
}

// meet has two machines, a and b, begin to see each other, and b a's container web.
func meet(a, b *machine) {
	a.t.Helper()
	a.run("web", "10.1.0.2")
	a.start()
	b.start()
	b.await("a 192.0.2.97: web")
	a.await("b 192.0.2.98: ")
}

func newMachine(t *testing.T, e *rig.Etcd, name string) *machine {
	m := &machine{t: t, name: name, engineID: "E" + name, lease: lease, containers: map[string]*container.Container{}, ended: map[string]time.Time{}}
	for _, member := range e.Members {
		m.links = append(m.links, newLink(t, member))
	}
	t.Cleanup(func() {
		if m.member != nil {
			m.crash()
		}
	})
	return m
}

func (m *machine) config() Config {
	var urls []string
	for _, l := range m.links {
		urls = append(urls, l.url)
	}
	cfg := Config{URLs: strings.Join(urls, " "), Path: "/p", Lease: m.lease, Host: container.HostID(m.name), Addresses: "192.0.2." + fmt.Sprint(m.name[0])}
	if m.as != nil {
		m.as(&cfg)
	}
	return cfg
}

// start starts the server.
func (m *machine) start() *machine {
	m.disturbed = time.Now()
	m.member = Join(m.config(), m, m, nil)
	m.seen = newRecorder(m.t)
	m.member.Subscribe(m.seen)
	return m
}

// crash ends the server without a word.
func (m *machine) crash() {
	members.Leave(memberKey{m.member.cfg, m})
	m.Unsubscribe(nil)
	m.member.stop(true)
	m.member = nil
}

// Subscribe implements Watcher.
func (m *machine) Subscribe(sink engine.Sink, _ time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sink = sink
	h := containertest.Host()
	h.Engine = m.engineID
	sink.Host(h)
	for _, c := range m.containers {
		sink.Apply([]container.Change{{ID: c.ID, Container: c}})
	}
	sink.Synced()
	sink.Current(true, time.Now())
}

// Unsubscribe implements Watcher.
func (m *machine) Unsubscribe(engine.Sink) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sink = nil
}

// run has a container run, with the address in network a.
func (m *machine) run(name, ip string) {
	c := containertest.New(name, "a="+ip)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(c.ID)
	m.containers[c.ID] = c
	if m.sink != nil {
		m.sink.Apply([]container.Change{{ID: c.ID, Container: c}})
	}
}

// end has it end.
func (m *machine) end(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := containertest.New(name, "").ID
	m.note(id)
	delete(m.containers, id)
	if m.sink != nil {
		m.sink.Apply([]container.Change{{ID: id, Gone: true}})
	}
}

// note notes that the container changes, and has its address no more. The caller holds mu.
func (m *machine) note(id string) {
	m.changed = time.Now()
	if c := m.containers[id]; c != nil {
		m.ended[addressed(c)] = m.changed
	}
}

// die ends the server and all containers without a word.
func (m *machine) die() {
	if m.member != nil {
		m.crash()
	}
	for _, name := range m.names() {
		m.end(name)
	}
}

// over returns when the address ceased to be the container's, and whether it has.
func (m *machine) over(c *container.Container) (at time.Time, over bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.containers[c.ID]
	return m.ended[addressed(c)], now == nil || addressed(now) != addressed(c)
}

func addressed(c *container.Container) string {
	return fmt.Sprint(c.Name, "=", c.Endpoints[0].Addrs[0])
}

func (m *machine) away(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sink.Current(!away, time.Now())
}

// Reached implements Observer.
func (m *machine) Reached(_ string, err error) { m.remember("reading", err) }

// remember notes what is so from now on, unless it has been so before.
func (m *machine) remember(what string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if is := fmt.Sprintf("%s: %v", what, err); is != m.last[what] {
		if m.last == nil {
			m.last = map[string]string{}
		}
		m.last[what] = is
		m.history = append(m.history, time.Now().Format("05.000 ")+is)
	}
}

// Told implements Observer.
func (m *machine) Told(_ container.HostID, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = append(m.told, err)
}

// Written implements Observer.
func (m *machine) Written(_ int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.written++
	if err != nil {
		m.failures = append(m.failures, err)
	}
}

// Skipped implements Observer.
func (m *machine) Skipped(host container.HostID, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.skipped = append(m.skipped, string(host)+": "+why)
}

// sees is what the machine's server knows of others.
func (m *machine) sees() string {
	m.member.turn.Lock()
	defer m.member.turn.Unlock()
	return m.seen.picture()
}

// await waits until the machine's server knows that.
func (m *machine) await(want string) {
	m.t.Helper()
	m.awaitWithin(patience, want)
}

func (m *machine) awaitWithin(limit time.Duration, want string) {
	m.t.Helper()
	await(m.t, limit, func() error {
		if got := m.sees(); got != want {
			return fmt.Errorf("%s sees %q, want %q (etcd: %v)", m.name, got, want, m.member.State().Err)
		}
		return nil
	})
}

// await waits until the check has nothing against it.
func await(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(2 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Since(began) > limit {
			t.Fatalf("not within %s: %v", limit, err)
		}
	}
}

// cut cuts the machine off from etcd, or ends that.
func (m *machine) cut(cut bool) {
	if cut {
		m.link(refuses)
	} else {
		m.link(carries)
	}
}

// link gives the machine such links to etcd's members, and to those of except others that carry.
func (m *machine) link(state linkState, except ...int) {
	m.disturbed = time.Now()
	for i, l := range m.links {
		if slices.Contains(except, i) {
			l.set(carries)
		} else {
			l.set(state)
		}
	}
}

// link is the way from one machine to one of etcd's members.
type link struct {
	url string
	to  *rig.EtcdMember

	mu      sync.Mutex // guards the following
	changed sync.Cond
	state   linkState
	conns   map[net.Conn]bool
}

// linkState is what a link does with connections.
type linkState int

const (
	carries linkState = iota
	refuses           // and ends those that there are
	silent            // it holds back what they carry
)

func newLink(t *testing.T, to *rig.EtcdMember) *link {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{url: to.URL[:strings.LastIndexByte(to.URL, '/')+1] + listener.Addr().String(), to: to, conns: map[net.Conn]bool{}}
	l.changed.L = &l.mu
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(conn)
		}
	})
	t.Cleanup(func() {
		listener.Close()
		l.set(refuses)
		accepting.Wait()
	})
	return l
}

func (l *link) carry(in net.Conn) {
	defer in.Close()
	if !l.admit(in) {
		return
	}
	defer l.forget(in)
	out, err := l.to.Dial()
	if err != nil {
		return
	}
	defer out.Close()
	if !l.admit(out) {
		return
	}
	defer l.forget(out)
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
		go func() {
			l.pass(pair[0], pair[1])
			done <- struct{}{}
		}()
	}
	<-done
}

// admit waits while the link is silent. It notes the connection, to be ended with all, and reports whether it is carried.
func (l *link) admit(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wait() {
		l.conns[conn] = true
	}
	return l.state == carries
}

// count returns how many connections there are, each with an end here and one at the member.
func (l *link) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

func (l *link) forget(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, conn)
}

// wait waits while the link is silent, and reports whether it carries then. The caller holds mu.
func (l *link) wait() bool {
	for l.state == silent {
		l.changed.Wait()
	}
	return l.state == carries
}

// pass passes on what one connection has for the other.
func (l *link) pass(to, from net.Conn) {
	room := make([]byte, 32<<10)
	for {
		n, err := from.Read(room)
		if err != nil {
			return
		}
		l.mu.Lock()
		carried := l.wait()
		l.mu.Unlock()
		if !carried {
			return
		}
		if _, err := to.Write(room[:n]); err != nil {
			return
		}
	}
}

func (l *link) set(state linkState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = state
	l.changed.Broadcast()
	if state == refuses {
		for conn := range l.conns {
			conn.Close()
		}
	}
}

// client is one of etcd's that no fault is in the way of. Its endpoints are the members.
func client(t *testing.T, e *rig.Etcd) *clientv3.Client {
	t.Helper()
	var urls []string
	for _, m := range e.Members {
		urls = append(urls, newLink(t, m).url)
	}
	c, err := (&Config{URLs: strings.Join(urls, " ")}).dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// has returns the keys that etcd has, without "/p/", with their revisions.
func has(t *testing.T, c *clientv3.Client) map[string]int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var items []item
	await(t, patience, func() (err error) { // a leader may have to be chosen first
		items, _, err = list(ctx, c, "/p/")
		return err
	})
	all := map[string]int64{}
	for _, i := range items {
		all[strings.TrimPrefix(i.key, "/p/")] = i.revision
	}
	return all
}

// leader returns the member that leads, once one does.
func leader(t *testing.T, e *rig.Etcd, c *clientv3.Client) (leads int) {
	t.Helper()
	await(t, patience, func() error {
		for i, m := range e.Members {
			if m.Process == nil {
				continue
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			s, err := c.Status(ctx, c.Endpoints()[i])
			cancel()
			if err != nil {
				return err
			}
			if s.Leader == s.Header.MemberId {
				leads = i
				return nil
			}
		}
		return errors.New("no member leads")
	})
	return leads
}
