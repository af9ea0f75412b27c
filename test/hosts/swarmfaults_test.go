package hosts

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// faults has the Swarm lose its nodes, one way after the other. Each takes as long as it takes the managers to notice.
func (l *swarmLab) faults(t *testing.T, c *lateness) {
	t.Helper()
	c.pause(true)
	l.exists(t, "manager restarted", "glob", func() {
		l.restartManager(t)
		l.settles(t, "glob", 2)
	})
	l.settles(t, "web", 3)
	c.pause(false)

	l.segment.Cut(t, l.worker.port, true)
	l.settles(t, "glob", 1)
	l.settles(t, "web", 3)
	l.segment.Cut(t, l.worker.port, false)
	l.settles(t, "glob", 2)
	l.settles(t, "web", 3)

	node := l.worker.do(t, "info", "-f", "{{.Swarm.NodeID}}")
	l.manager.do(t, "node", "promote", node)
	l.awaitsManagers(t, node, "reachable", "true")
	c.pause(true)
	l.stays(t, "two managers, of which one is away for 20s", "web", func() {
		pid := l.worker.pid()
		syscall.Kill(pid, syscall.SIGSTOP)
		time.Sleep(20 * time.Second) // this is the fault
		syscall.Kill(pid, syscall.SIGCONT)
	})
	l.settles(t, "web", 3)
	l.awaitsManagers(t, node, "reachable", "true")
	l.manager.do(t, "node", "demote", node)
	l.awaitsManagers(t, node, "", "false")
	l.settles(t, "web", 3)
	c.pause(false)

	c.pause(true)
	l.workerAlone(t)
	l.settles(t, "web", 3)
	l.manager.do(t, "node", "promote", node)
	l.awaitsManagers(t, node, "reachable", "true")
	l.stays(t, "two managers, of which one is killed, for 20s", "web", func() {
		syscall.Kill(l.worker.pid(), syscall.SIGKILL)
		time.Sleep(20 * time.Second) // this is the fault: one of two is no majority
		if out, err := l.manager.output("node", "ls"); err == nil {
			t.Errorf("one manager of two leads: %s", out)
		}
	})
	l.manager.do(t, "swarm", "init", "--force-new-cluster", "--advertise-addr", l.manager.addrs[0].String())
	c.pause(false)
	l.settles(t, "glob", 1)
	l.settles(t, "web", 3)
}

// workerAlone has the worker's server know the worker's engine alone for a while. It tells of what is on the overlay network, on
// either node.
func (l *swarmLab) workerAlone(t *testing.T) {
	t.Helper()
	if err := l.worker.server.Stop(patience); err != nil {
		t.Fatal(err)
	}
	hand := fmt.Sprintf("swarm\nendpoint unix://%s hand 192.0.2.2\n", l.worker.socket)
	l.worker.serveBlock(t, hand)
	if lines := l.worker.server.Log.Lines("is a worker of its Swarm"); len(lines) != 1 {
		t.Errorf("the log has %q of what a worker can't tell, want one line", lines)
	}
	l.manager.do(t, "run", "-d", "--name", "attached", "--network", "over", image)
	truth, err := l.truth()
	if err != nil {
		t.Fatal(err)
	}
	addr, _, _ := strings.Cut(l.manager.do(t, "service", "inspect", "-f", "{{(index .Endpoint.VirtualIPs 0).Addr}}", "web"), "/")
	a := l.askers[1]
	for name, want := range map[string]string{
		"web":       addr,
		"tasks.web": truth["web"],
		"attached":  l.manager.do(t, "inspect", "-f", `{{(index .NetworkSettings.Networks "over").IPAddress}}`, "attached"),
	} {
		got := ""
		for end := time.Now().Add(patience); got != want; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("by the worker alone %s is told of %s: %q, want %q", a.name, name, got, want)
			}
			got = l.mustAnswer(t, a, name)
		}
		t.Logf("by the worker alone %s is told of %s: %s", a.name, name, got)
	}
	for addr := range strings.FieldsSeq(truth["web"]) {
		if got := a.dial(netip.AddrPortFrom(netip.MustParseAddr(addr), port)); got.err != nil || got.text != "web" {
			t.Errorf("%s reaches %q at %s of web: %v", a.name, got.text, addr, got.err)
		}
	}
	l.manager.do(t, "rm", "-f", "attached")
	if err := l.worker.server.Stop(patience); err != nil {
		t.Fatal(err)
	}
	l.worker.serveBlock(t, hand+fmt.Sprintf("endpoint unix://%s boss 192.0.2.1\n", l.manager.socket))
}

// awaitsManagers waits until the managers say so of the worker, and it of itself.
func (l *swarmLab) awaitsManagers(t *testing.T, node, reachability, itself string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		says, err := l.manager.output("node", "inspect", "-f", "{{with .ManagerStatus}}{{.Reachability}}{{end}}", node)
		own, ownErr := l.worker.output("info", "-f", "{{.Swarm.ControlAvailable}}")
		if err == nil && ownErr == nil && says == reachability && own == itself {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the manager says that the worker is %q, and it %q: %v, %v", says, own, err, ownErr)
		}
	}
}

// restartManager ends the manager's engine, and with it its tasks, and starts it anew.
func (l *swarmLab) restartManager(t *testing.T) {
	t.Helper()
	pid := l.manager.pid()
	syscall.Kill(pid, syscall.SIGTERM)
	for end := time.Now().Add(patience); syscall.Kill(pid, 0) == nil && l.manager.runs(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the manager's engine does not end")
		}
	}
	l.manager.start()
	l.manager.do(t, "start", "asker-over")
	l.askers[0].netns = fmt.Sprintf("/proc/%s/ns/net", l.manager.do(t, "inspect", "-f", "{{.State.Pid}}", "asker-over"))
}

// exists asks the worker's server for a service while something lasts: it always exists there.
func (l *swarmLab) exists(t *testing.T, what, service string, meanwhile func()) {
	t.Helper()
	a, stop, asked, denied := l.askers[1], make(chan struct{}), 0, 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
			if got, err := l.answer(a, "tasks."+service); err == nil {
				asked++
				if got == "NXDOMAIN" {
					denied++
				}
			}
		}
	}()
	meanwhile()
	close(stop)
	<-done
	t.Logf("%s: %d answers, %d that there is no %s", what, asked, denied, service)
	if asked == 0 || denied > 0 {
		t.Errorf("%s: %d answers, %d that there is no %s", what, asked, denied, service)
	}
}
