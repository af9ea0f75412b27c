package share

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
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

const (
	// patience is how long a thing may take that must come: tests share the machine with others.
	patience = time.Minute
	// lease is short, so that a test sees it end. etcd's shortest is two seconds.
	lease = 3 * time.Second
)

// machine is a host with an engine, a server that tells of it, and a link to each of etcd's members.
type machine struct {
	t        *testing.T
	name     string
	engineID string
	links    []*link
	lease    time.Duration

	member *Member // nil while its server does not run
	seen   *recorder

	mu         sync.Mutex // guards the following
	sink       engine.Sink
	containers map[string]*container.Container
	refused    []error
	written    int
	failures   []error
	skipped    []string
}

// pair returns two machines of which the second one sees the first one's container web.
func pair(t *testing.T, e *rig.Etcd) (a, b *machine) {
	t.Helper()
	a, b = newMachine(t, e, "a"), newMachine(t, e, "b")
	a.run("web", "10.1.0.2")
	a.start()
	b.start()
	b.await("a 192.0.2.97: web")
	return a, b
}

func newMachine(t *testing.T, e *rig.Etcd, name string) *machine {
	m := &machine{t: t, name: name, engineID: "E" + name, lease: lease, containers: map[string]*container.Container{}}
	for _, member := range e.Members {
		m.links = append(m.links, newLink(t, member.URL))
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
	return Config{URLs: strings.Join(urls, " "), Path: "/p", Lease: m.lease, Host: container.HostID(m.name), Addresses: "192.0.2." + fmt.Sprint(m.name[0])}
}

// start starts the server.
func (m *machine) start() *machine {
	m.member = Join(m.config(), m, m)
	m.seen = newRecorder(m.t)
	m.member.Subscribe(m.seen)
	return m
}

// crash ends the server without a word.
func (m *machine) crash() {
	membersMu.Lock()
	delete(members, memberKey{m.member.cfg, m})
	membersMu.Unlock()
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
	delete(m.containers, id)
	if m.sink != nil {
		m.sink.Apply([]container.Change{{ID: id, Gone: true}})
	}
}

func (m *machine) away(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sink.Current(!away, time.Now())
}

// Reached implements Observer.
func (m *machine) Reached(string, error) {}

// Refused implements Observer.
func (m *machine) Refused(_ container.HostID, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused = append(m.refused, err)
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
	m.member.mu.Lock()
	defer m.member.mu.Unlock()
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
	for _, l := range m.links {
		l.cut(cut)
	}
}

// link is the way from one machine to one of etcd's members.
type link struct {
	url string
	to  string

	mu    sync.Mutex // guards the following
	down  bool
	conns map[net.Conn]bool
}

func newLink(t *testing.T, to string) *link {
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{url: "http://" + listener.Addr().String(), to: u.Host, conns: map[net.Conn]bool{}}
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
		l.cut(true)
		accepting.Wait()
	})
	return l
}

func (l *link) carry(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer out.Close()
	l.mu.Lock()
	if l.down {
		l.mu.Unlock()
		return
	}
	l.conns[in], l.conns[out] = true, true
	l.mu.Unlock()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
		go func() {
			io.Copy(pair[0], pair[1])
			done <- struct{}{}
		}()
	}
	<-done
	l.mu.Lock()
	delete(l.conns, in)
	delete(l.conns, out)
	l.mu.Unlock()
}

func (l *link) cut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = cut
	if cut {
		for conn := range l.conns {
			conn.Close()
		}
	}
}

// client is one of etcd's that no fault is in the way of.
func client(t *testing.T, e *rig.Etcd) *clientv3.Client {
	t.Helper()
	c, err := (&Config{URLs: e.URLs()}).dial()
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
	items, _, err := list(ctx, c, "/p/")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int64{}
	for _, i := range items {
		all[strings.TrimPrefix(i.key, "/p/")] = i.revision
	}
	return all
}

// leader returns the member that leads.
func leader(t *testing.T, e *rig.Etcd, c *clientv3.Client) int {
	t.Helper()
	for i, m := range e.Members {
		if m.Process == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		s, err := c.Status(ctx, m.URL)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if s.Leader == s.Header.MemberId {
			return i
		}
	}
	t.Fatal("no member leads")
	return -1
}

var errNot = errors.New("not yet")
