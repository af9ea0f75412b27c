package hosts

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// awayTTL is the TTL at most of what a host has whose engine is away.
const awayTTL = 5

// recovery is how long it takes until all is right after a fault. On a busy machine it may be longer: a server with another key is asked again
// after 3 s, and TCP begins a connection once more after 1, 3 and 7.
var recovery = rig.Limit(5*time.Second, 15*time.Second)

// load asks one server for names whose answers are known, over and over.
type load struct {
	asked, wrong atomic.Int64
	first        atomic.Value // the first wrong answer, a string
	took         []time.Duration
	stop         chan struct{}
	done         sync.WaitGroup
}

// answer is what an asker is told: the addresses, sorted, and the TTL.
func (a *asker) answer(server netip.Addr, name string) (string, error) {
	var said []string
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		m, err := a.exchange(server, name, qtype)
		if err != nil {
			return "", err
		}
		for _, rr := range m.Answer {
			data := strings.TrimPrefix(rr.String(), rr.Header().String())
			said = append(said, fmt.Sprintf("%s for %d s", data, rr.Header().Ttl))
		}
	}
	slices.Sort(said)
	return strings.Join(said, ", "), nil
}

// startLoad has the asker ask for each name, and want what it is told now.
func startLoad(t *testing.T, a *asker, server netip.Addr, names ...string) *load {
	t.Helper()
	want := map[string]string{}
	for _, name := range names {
		said, err := a.answer(server, name)
		if err != nil || said == "" {
			t.Fatalf("%s: %q, %v", name, said, err)
		}
		want[name] = said
	}
	l := &load{stop: make(chan struct{})}
	l.done.Go(func() {
		for {
			for _, name := range slices.Sorted(maps.Keys(want)) {
				select {
				case <-l.stop:
					return
				case <-time.After(2 * time.Millisecond): // the machine's time is for others too
				}
				begin := time.Now()
				said, err := a.answer(server, name)
				l.took = append(l.took, time.Since(begin))
				l.asked.Add(1)
				if err != nil || said != want[name] {
					l.wrong.Add(1)
					l.first.CompareAndSwap(nil, fmt.Sprintf("%s: %q, %v, want %q", name, said, err, want[name]))
				}
			}
		}
	})
	return l
}

// end returns how long answers took: the median and the 99th percentile. One that was wrong or did not come fails the test.
func (l *load) end(t *testing.T) (median, most time.Duration) {
	t.Helper()
	close(l.stop)
	l.done.Wait()
	if n := l.wrong.Load(); n > 0 {
		t.Errorf("%d of %d answers were wrong or did not come; the first: %v", n, l.asked.Load(), l.first.Load())
	}
	if len(l.took) == 0 {
		t.Fatal("nothing was asked")
	}
	slices.Sort(l.took)
	return l.took[len(l.took)/2], l.took[len(l.took)*99/100]
}

// fault is one of a host's, which another host's server meets.
type fault struct {
	name       string
	host       *host
	from       *host // whose server watches it in the way that the fault is of
	begin, end func()
	says       string // in the server's log
}

// One host's fault is its own: what others answer stays, with its TTLs, and what the host has stays too while it is
// away, for no more than some seconds each. Who asks for a name that live hosts have is told of those alone. Afterwards
// all is right again, what has happened meanwhile too.
func TestFaults(t *testing.T) {
	l := newLab(t, (*host).serve)
	alpha, beta, gamma := l.hosts[0], l.hosts[1], l.hosts[2]
	kill := func() { alpha.own.End(syscall.SIGKILL) }
	signal := func(h *host, sig syscall.Signal) func() {
		return func() {
			if err := syscall.Kill(h.pid(), sig); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(func() { syscall.Kill(beta.pid(), syscall.SIGCONT) }) // else it can't be ended
	for _, f := range []fault{
		{"killed", alpha, gamma, kill, func() { alpha.own.Start(patience) }, "Docker Engine of alpha at tcp://[2001:db8::1]:2376"},
		{"frozen", beta, alpha, signal(beta, syscall.SIGSTOP), signal(beta, syscall.SIGCONT), "the engine does not begin an event stream"},
		{"network cut", gamma, beta, func() { l.segment.Cut(t, gamma.port, true) }, func() { l.segment.Cut(t, gamma.port, false) }, "the engine does not begin an event stream"},
		{"certificate expired", beta, alpha,
			func() { beta.tls.renew(t, time.Now().Add(-time.Minute)) }, func() { beta.tls.renew(t, time.Now().Add(time.Hour)) }, "expired"},
		{"host key changed", gamma, alpha, func() {
			gamma.ssh.end()
			gamma.ssh.newKey(t, "host_key")
			gamma.ssh.start(t)
		}, func() { gamma.ssh.know(t) }, "host key"},
	} {
		t.Run(f.name, func(t *testing.T) { l.withFault(t, f) })
	}
}

func (l *lab) withFault(t *testing.T, f fault) {
	a, server := f.from.askers[len(f.from.askers)-1], f.from.addrs[0]
	var names []string
	for _, h := range l.hosts {
		if h != f.host {
			names = append(names, "web."+h.name+".docker.", "hostnet."+h.name+".docker.", "solo-"+h.name+".docker.", h.name+".docker.")
		}
	}
	calm := startLoad(t, a, server, names...)
	wait(t, func() error { return atLeast(&calm.asked, 200) })
	median, most := calm.end(t)
	t.Logf("before: %d answers, %v (median), %v (99th percentile)", calm.asked.Load(), median, most)

	stressed := startLoad(t, a, server, names...)
	logged := len(f.from.server.Log.String())
	f.begin()
	gone := "solo-" + f.host.name + ".docker."
	wait(t, func() error { // the engine is known to be away
		m, err := a.exchange(server, "web."+f.host.name+".docker.", dns.TypeAAAA)
		if err == nil {
			err = f.from.connected(f.host, false)
		}
		if err == nil && len(m.Answer) > 0 && m.Answer[0].Header().Ttl > awayTTL {
			err = fmt.Errorf("TTL %d", m.Answer[0].Header().Ttl)
		}
		return err
	})
	wait(t, func() error {
		if lines := f.from.server.Log.String()[logged:]; !strings.Contains(lines, f.says) {
			return fmt.Errorf("the log does not say %q:\n%s", f.says, lines)
		}
		return nil
	})
	// What only the host away has, it has still; what live ones have, they have alone.
	if addrs, err := a.addrs(server, gone); err != nil || len(addrs) == 0 {
		t.Errorf("%s: %v, %v, want what it had", gone, addrs, err)
	}
	l.checkLive(t, f)

	// Behind the fault, a container goes and one comes.
	comes := "comes-" + strings.ReplaceAll(f.name, " ", "-")
	if f.host.runs() {
		f.host.do(t, "run", "-d", "--name", comes, "--publish", "80", image)
	}
	wait(t, func() error { return atLeast(&stressed.asked, 400) })
	for begin := time.Now(); time.Since(begin) < *awayFlag; time.Sleep(time.Second) {
		l.checkLive(t, f)
	}
	l.checkLive(t, f)
	f.end()
	if !f.host.runs() {
		t.Fatal("the engine does not run")
	}
	begin := time.Now()
	if _, err := f.host.output("inspect", comes); err != nil {
		f.host.do(t, "run", "-d", "--name", comes, "--publish", "80", image)
		begin = time.Now()
	}
	for {
		addrs, err := a.addrs(server, comes+".docker.")
		if err == nil && len(addrs) == 0 {
			err = fmt.Errorf("no %s", comes)
		}
		if err == nil {
			err = f.from.connected(f.host, true)
		}
		if err == nil {
			break
		}
		if time.Since(begin) > recovery {
			t.Fatalf("not right %v after the fault's end: %v\n%s", recovery, err, f.from.server.Log.String()[logged:])
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("right again %v after the fault's end", time.Since(begin).Round(time.Millisecond))
	stressedMedian, stressedMost := stressed.end(t)
	t.Logf("during: %d answers, %v (median), %v (99th percentile)", stressed.asked.Load(), stressedMedian, stressedMost)
}

// checkLive checks that who is elsewhere gets the live hosts' web alone, from the server that misses the host.
func (l *lab) checkLive(t *testing.T, f fault) {
	t.Helper()
	var want []netip.Addr
	for _, h := range l.hosts {
		if h != f.host {
			want = append(want, h.addrs...)
		}
	}
	at := f.from.addrs[len(f.from.addrs)-1] // IPv6
	got, err := l.lan.addrs(at, "web.docker.")
	slices.SortFunc(got, netip.Addr.Compare)
	slices.SortFunc(want, netip.Addr.Compare)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("the LAN gets %v, %v for web.docker, want the live hosts' %v", got, err, want)
	}
}

// connected returns an error unless the server's metric says so of the other host.
func (h *host) connected(other *host, want bool) error {
	page, err := h.get("http://127.0.0.1:9153/metrics")
	if err != nil {
		return err
	}
	line := fmt.Sprintf("coredns_docker_connected{host=%q} %d\n", other.name, map[bool]int{true: 1}[want])
	if !strings.Contains(page, line) {
		return fmt.Errorf("%s's server does not say: %s", h.name, line)
	}
	return nil
}

func atLeast(n *atomic.Int64, want int64) error {
	if got := n.Load(); got < want {
		return fmt.Errorf("%d answers", got)
	}
	return nil
}

// wait waits until check holds.
func wait(t *testing.T, check func() error) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Since(begin) > patience {
			t.Fatalf("not within %v: %v", patience, err)
		}
	}
}
