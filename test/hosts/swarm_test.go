package hosts

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// promised is how late an answer may be.
const promised = 2 * time.Second

// swarmLab is a Swarm of two nodes.
type swarmLab struct {
	segment         *rig.Segment
	manager, worker *host
	askers          []*asker // on the overlay network, on either node
	api             *http.Client
}

// newSwarmLab makes the nodes, an overlay network, who asks there, and a server on each node: the manager's knows its own engine
// alone, the worker's both.
func newSwarmLab(t *testing.T) *swarmLab {
	t.Helper()
	l := &swarmLab{segment: theRun.NewSegment(t, "192.0.2.100/24"), manager: &host{name: "boss"}, worker: &host{name: "hand"}}
	engines := otherEngines()
	for i, h := range []*host{l.worker, l.manager} {
		h.addrs = addrs(fmt.Sprint("192.0.2.", 2-i))
		h.engine = startEngine(t, h.name, engines[i])
		h.port = l.segment.Join(t, h.netns, h.addrs[0].String()+"/24")
		h.do(t, theRun.ImportImage(tarball, image)...)
		t.Logf("%s has Docker %s", h.name, h.do(t, "version", "--format", "{{.Server.Version}}"))
	}
	if out, err := l.manager.output("swarm", "init", "--advertise-addr", l.manager.addrs[0].String()); err != nil {
		t.Skipf("no Swarm here: %s", out)
	}
	token := l.manager.do(t, "swarm", "join-token", "-q", "worker")
	if out, err := l.worker.output("swarm", "join", "--token", token, l.manager.addrs[0].String()+":2377"); err != nil { // after 20 s it goes on by itself
		wait(t, func() error {
			if state := l.worker.do(t, "info", "-f", "{{.Swarm.LocalNodeState}}"); state != "active" {
				return fmt.Errorf("the worker is %s in the Swarm: %s", state, out)
			}
			return nil
		})
	}
	l.manager.do(t, "network", "create", "--driver", "overlay", "--attachable", "over")
	l.api = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", l.manager.socket)
	}}}
	for _, h := range []*host{l.manager, l.worker} {
		if out, err := h.output("run", "--rm", "--network", "over", image, "resolve"); err != nil {
			t.Skipf("no overlay networks here: %s", out)
		}
		h.ask(t, "overlay", "over", h.do(t, "network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "docker_gwbridge"))
		l.askers = append(l.askers, h.askers[0])
	}
	boss := fmt.Sprintf("endpoint unix://%s boss 192.0.2.1\n", l.manager.socket)
	l.manager.serveBlock(t, "swarm\n"+boss)
	l.worker.serveBlock(t, "swarm\n"+boss+fmt.Sprintf("endpoint unix://%s hand 192.0.2.2\n", l.worker.socket))
	return l
}

// get asks the manager.
func (l *swarmLab) get(path string, into any) error {
	resp, err := l.api.Get("http://engine" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// truth is what the manager says: the addresses on the overlay network of each service's tasks that run and are to run.
func (l *swarmLab) truth() (map[string]string, error) {
	var services []struct {
		ID   string
		Spec struct{ Name string }
	}
	var nodes []struct {
		ID     string
		Status struct{ State string }
	}
	var tasks []struct {
		ServiceID, NodeID, DesiredState string
		Status                          struct{ State string }
		NetworksAttachments             []struct {
			Network   struct{ Spec struct{ Name string } }
			Addresses []string
		}
	}
	if err := cmp.Or(l.get("/tasks", &tasks), l.get("/services", &services), l.get("/nodes", &nodes)); err != nil {
		return nil, err
	}
	down := map[string]bool{}
	for _, n := range nodes {
		down[n.ID] = n.Status.State == "down"
	}
	found := map[string][]string{}
	for _, task := range tasks {
		if task.DesiredState != "running" || task.Status.State != "running" || down[task.NodeID] {
			continue
		}
		for _, n := range task.NetworksAttachments {
			if n.Network.Spec.Name == "over" {
				addr, _, _ := strings.Cut(n.Addresses[0], "/")
				found[task.ServiceID] = append(found[task.ServiceID], addr)
			}
		}
	}
	truth := map[string]string{}
	for _, s := range services {
		truth[s.Spec.Name] = sorted(found[s.ID])
	}
	return truth, nil
}

func sorted(addrs []string) string {
	slices.Sort(addrs)
	return strings.Join(addrs, " ")
}

// answer is what the asker is told of a name: addresses, none, or that it does not exist.
func (l *swarmLab) answer(a *asker, name string) (string, error) {
	m, err := a.exchange(a.own[0], name+".docker.", dns.TypeA)
	if err != nil {
		return "", err
	}
	if m.Rcode == dns.RcodeNameError {
		return "NXDOMAIN", nil
	}
	var got []string
	for _, rr := range m.Answer {
		if rr, ok := rr.(*dns.A); ok {
			got = append(got, rr.A.String())
		}
	}
	return sorted(got), nil
}

// lateness compares what is answered with what the manager says, over and over.
type lateness struct {
	round  sync.Mutex // held while all are asked once; guards the askers too
	mu     sync.Mutex // guards the following
	differ map[string]time.Time
	most   time.Duration // for which an answer differed in a row
	worst  string
	gone   map[string]time.Time // when an address was no longer answered, by service and address
	has    map[string]string    // what was answered last
	denied []string             // services that there are, and yet were not for an asker
	paused bool
	stop   chan struct{}
	done   sync.WaitGroup
}

// compare begins to compare.
func (l *swarmLab) compare(t *testing.T) *lateness {
	c := &lateness{differ: map[string]time.Time{}, gone: map[string]time.Time{}, has: map[string]string{}, stop: make(chan struct{})}
	tick := time.NewTicker(50 * time.Millisecond)
	c.done.Go(func() {
		defer tick.Stop()
		for {
			select {
			case <-c.stop:
				return
			case <-tick.C:
				c.once(l)
			}
		}
	})
	t.Cleanup(func() {
		close(c.stop)
		c.done.Wait()
	})
	return c
}

func (c *lateness) once(l *swarmLab) {
	c.round.Lock()
	defer c.round.Unlock()
	if c.isPaused() {
		return
	}
	truth, err := l.truth()
	if err != nil {
		return
	}
	now := time.Now()
	for _, a := range l.askers {
		for service, want := range truth {
			got, err := l.answer(a, "tasks."+service)
			if err != nil {
				continue
			}
			c.note(a.name+" "+service, got, want, now)
		}
	}
}

// note notes an answer, and what would have been right when it was asked for.
func (c *lateness) note(what, got, want string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for addr := range strings.FieldsSeq(c.has[what]) {
		if !slices.Contains(strings.Fields(got), addr) {
			c.gone[what+" "+addr] = now
		}
	}
	c.has[what] = got
	since, differs := c.differ[what]
	switch {
	case got == want:
		delete(c.differ, what)
	case !differs:
		c.differ[what] = now
	case now.Sub(since) > c.most:
		c.most, c.worst = now.Sub(since), fmt.Sprintf("%s: %q, not %q", what, got, want)
	}
	if got == "NXDOMAIN" && differs && now.Sub(since) > promised {
		c.denied = append(c.denied, what)
	}
}

func (c *lateness) isPaused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paused
}

// pause says whether to compare: while the manager can't be heard there is nothing to compare with.
func (c *lateness) pause(paused bool) {
	c.round.Lock()
	defer c.round.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = paused
	clear(c.differ)
}

// settles waits until the service has so many tasks, and all who ask are told of them.
func (l *swarmLab) settles(t *testing.T, service string, tasks int) {
	t.Helper()
	var last error
	for end := time.Now().Add(2 * patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		truth, err := l.truth()
		if err != nil {
			last = err
			continue
		}
		want, there := truth[service]
		if n := len(strings.Fields(want)); n != tasks {
			last = fmt.Errorf("the manager says that %s has %d tasks, want %d", service, n, tasks)
			continue
		}
		if !there {
			want = "NXDOMAIN"
		}
		last = nil
		for _, a := range l.askers {
			if got, err := l.answer(a, "tasks."+service); err != nil || got != want {
				last = cmp.Or(last, fmt.Errorf("%s is told of %s: %s %w, want %s", a.name, service, got, err, want))
			}
		}
		if last == nil {
			return
		}
	}
	t.Fatalf("%s: %v\n%s", service, last, l.manager.do(t, "service", "ps", "--no-trunc", service))
}

// create makes a service whose tasks listen.
func (l *swarmLab) create(t *testing.T, name string, options ...string) {
	t.Helper()
	l.manager.do(t, slices.Concat([]string{"service", "create", "-d", "-q", "--no-resolve-image", "--name", name, "--network", "over",
		"--restart-delay", "1s", "--stop-grace-period", "2s"}, options, []string{image, "tell", fmt.Sprint(":", port), name})...)
}

// signals notes when each task's container is told to stop, by the container's name, until the test's end.
func (h *host) signals(t *testing.T) (at func(task string) time.Time) {
	t.Helper()
	cmd := exec.Command("docker", "--host", "unix://"+h.socket, "events", "--filter", "event=kill", "--format", "{{.TimeNano}} {{.Actor.Attributes.name}}")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var all sync.Map
	var done sync.WaitGroup
	done.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var nano int64
			var name string
			if _, err := fmt.Sscan(lines.Text(), &nano, &name); err == nil {
				all.LoadOrStore(name, time.Unix(0, nano))
			}
		}
	})
	t.Cleanup(func() {
		cmd.Process.Kill()
		done.Wait()
		cmd.Wait()
	})
	return func(task string) time.Time {
		at, _ := all.Load(task)
		when, _ := at.(time.Time)
		return when
	}
}

// running are the names of a service's containers on either node, and the address of each on the overlay network.
func (l *swarmLab) running(t *testing.T, service string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, h := range []*host{l.manager, l.worker} {
		for id := range strings.FieldsSeq(h.do(t, "ps", "-q", "--filter", "label=com.docker.swarm.service.name="+service)) {
			name, addr, _ := strings.Cut(h.do(t, "inspect", "-f", `{{.Name}} {{with index .NetworkSettings.Networks "over"}}{{.IPAddress}}{{end}}`, id), " ")
			found[strings.TrimPrefix(name, "/")] = addr
		}
	}
	return found
}

// TestSwarm has a Swarm of two nodes change in all ways, and holds each answer against what the manager says then.
func TestSwarm(t *testing.T) {
	l := newSwarmLab(t)
	c := l.compare(t)
	signalled := []func(string) time.Time{l.manager.signals(t), l.worker.signals(t)}

	l.create(t, "web", "--replicas", "3")
	l.create(t, "rr", "--replicas", "2", "--endpoint-mode", "dnsrr")
	l.create(t, "glob", "--mode", "global")
	l.settles(t, "web", 3)
	l.settles(t, "rr", 2)
	l.settles(t, "glob", 2)
	for _, a := range l.askers {
		for _, service := range []string{"web", "rr", "glob"} {
			for addr := range strings.FieldsSeq(l.mustAnswer(t, a, "tasks."+service)) {
				if got := a.dial(netip.AddrPortFrom(netip.MustParseAddr(addr), port)); got.err != nil || got.text != service {
					t.Errorf("%s reaches %q at %s of %s: %v", a.name, got.text, addr, service, got.err)
				}
			}
		}
	}

	l.manager.do(t, "service", "update", "-d", "-q", "--force", "--no-resolve-image", "--update-order", "start-first", "rr")
	l.settles(t, "rr", 2)
	l.manager.do(t, "service", "scale", "-d", "web=5")
	l.settles(t, "web", 5)
	before := l.running(t, "web")
	l.manager.do(t, "service", "scale", "-d", "web=2")
	l.settles(t, "web", 2)
	l.outBeforeSignal(t, c, before, signalled)

	l.manager.do(t, "service", "rm", "rr")
	l.settles(t, "rr", 0)
	l.drain(t)
	l.relabel(t)
	l.freeze(t, c)
	if *swarmFlag {
		l.faults(t, c)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("answers differed from what the manager said for %v at most: %s", c.most, c.worst)
	if *swarmFlag && c.most > promised {
		t.Errorf("%v is more than %v", c.most, promised)
	}
	if *swarmFlag && len(c.denied) > 0 {
		t.Errorf("did not exist: %v", c.denied)
	}
}

func (l *swarmLab) mustAnswer(t *testing.T, a *asker, name string) string {
	t.Helper()
	got, err := l.answer(a, name)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// outBeforeSignal checks that tasks which were told to stop had left the answers before.
func (l *swarmLab) outBeforeSignal(t *testing.T, c *lateness, before map[string]string, signalled []func(string) time.Time) {
	t.Helper()
	left := map[string]time.Time{}
	for end := time.Now().Add(patience); len(left) < 3 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for name := range before {
			for _, at := range signalled {
				if when := at(name); !when.IsZero() {
					left[name] = when
				}
			}
		}
	}
	if len(left) != 3 {
		t.Errorf("%d tasks were told to stop, want 3", len(left))
	}
	c.once(l) // so that all have been asked since they left
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, signal := range left {
		for _, a := range l.askers {
			out := c.gone[a.name+" web "+before[name]]
			t.Logf("%s: %s is out %v before its stop signal", a.name, name, signal.Sub(out))
			if out.IsZero() || *swarmFlag && !out.Before(signal) {
				t.Errorf("%s: %s was out at %v, and told to stop at %v", a.name, name, out, signal)
			}
		}
	}
}

// drain has the worker's tasks move to the manager, and be let back.
func (l *swarmLab) drain(t *testing.T) {
	t.Helper()
	node := l.worker.do(t, "info", "-f", "{{.Swarm.NodeID}}")
	l.manager.do(t, "node", "update", "--availability", "drain", node)
	l.settles(t, "glob", 1)
	l.settles(t, "web", 2)
	l.manager.do(t, "node", "update", "--availability", "active", node)
	l.settles(t, "glob", 2)
}

// relabel makes a service a stack's by its label, as the stack's deployment does, and takes that back.
func (l *swarmLab) relabel(t *testing.T) {
	t.Helper()
	l.create(t, "shop_db", "--replicas", "1", "--label", "com.docker.stack.namespace=shop")
	l.settles(t, "shop_db", 1)
	l.awaits(t, "tasks.db.shop", func(got string) bool { return len(strings.Fields(got)) == 1 && got != "NXDOMAIN" })
	l.manager.do(t, "service", "update", "-d", "-q", "--no-resolve-image", "--label-rm", "com.docker.stack.namespace", "shop_db")
	l.awaits(t, "tasks.db.shop", func(got string) bool { return got == "NXDOMAIN" })
	l.settles(t, "shop_db", 1)
}

// awaits waits until all who ask are told what is right.
func (l *swarmLab) awaits(t *testing.T, name string, right func(string) bool) {
	t.Helper()
	for _, a := range l.askers {
		got := ""
		for end := time.Now().Add(patience); !right(got); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s is told of %s: %q", a.name, name, got)
			}
			got = l.mustAnswer(t, a, name)
		}
	}
}

// stays asks for a service while something lasts: it exists, and has no address that it has not had.
func (l *swarmLab) stays(t *testing.T, what, service string, meanwhile func()) {
	t.Helper()
	had := map[string]bool{}
	for _, a := range l.askers {
		for addr := range strings.FieldsSeq(l.mustAnswer(t, a, "tasks."+service)) {
			had[addr] = true
		}
	}
	stop, asked, wrong := make(chan struct{}), 0, []string(nil)
	var done sync.WaitGroup
	done.Go(func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
			for _, a := range l.askers {
				got, err := l.answer(a, "tasks."+service)
				asked++
				for addr := range strings.FieldsSeq(got) {
					if !had[addr] {
						wrong = append(wrong, fmt.Sprint(a.name, ": ", addr))
					}
				}
				if err != nil {
					wrong = append(wrong, fmt.Sprint(a.name, ": ", err))
				}
			}
		}
	})
	meanwhile()
	close(stop)
	done.Wait()
	t.Logf("%s: %d questions, %d wrong answers", what, asked, len(wrong))
	if asked == 0 || len(wrong) > 0 {
		t.Errorf("%s: %d questions, wrong: %v", what, asked, wrong[:min(len(wrong), 10)])
	}
}

// freeze has the manager's engine hang for a while.
func (l *swarmLab) freeze(t *testing.T, c *lateness) {
	t.Helper()
	long := 5 * time.Second
	if *swarmFlag {
		long = 30 * time.Second
	}
	c.pause(true)
	l.stays(t, fmt.Sprint("manager frozen for ", long), "web", func() {
		pid := l.manager.pid()
		syscall.Kill(pid, syscall.SIGSTOP)
		time.Sleep(long) // this is the fault
		syscall.Kill(pid, syscall.SIGCONT)
	})
	l.manager.do(t, "service", "scale", "-d", "web=3")
	l.settles(t, "web", 3)
	c.pause(false)
}
