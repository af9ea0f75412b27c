package dockerdiscovery

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

// eventually waits for the condition.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what + ": not in 30 seconds")
		}
	}
}

// TestStartup has an engine that is away at the start: it is waited for no longer than for the time of startup, which a reload
// does not begin anew.
func TestStartup(t *testing.T) {
	e := enginetest.New(t)
	id := e.Run(enginetest.Spec{Name: "web"})
	if err := e.Down(); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	corefile := func(ttl int) string {
		return fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n startup 5s\n ttl %d\n }\n}", port, e.Host(), ttl)
	}
	began := time.Now()
	s := inprocess.Serve(t, corefile(5))
	ready := func() bool { return running()[0].Ready() }
	if rcode := query(t, port, "web.docker.").Rcode; ready() || rcode != dns.RcodeServerFailure {
		t.Errorf("at the start it is ready: %t, and answers %s", ready(), dns.RcodeToString[rcode])
	}
	eventually(t, "ready", ready)
	if took := time.Since(began); took < 5*time.Second {
		t.Errorf("ready after %s", took)
	}
	denied := func() {
		t.Helper()
		if r := query(t, port, "web.docker."); !ready() || r.Rcode != dns.RcodeNameError {
			t.Errorf("when the time is over it is ready: %t, and answers\n%s", ready(), r)
		}
	}
	denied()
	if err := s.Reload(corefile(6)); err != nil {
		t.Fatal(err)
	}
	denied()
	if err := e.Up(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "answer", func() bool { return len(query(t, port, "web.docker.").Answer) == 1 })
	if got, want := query(t, port, "web.docker.").Answer[0].(*dns.A).A.String(), e.IP(id, "bridge").String(); got != want {
		t.Errorf("web is %s, want %s", got, want)
	}
	if err := e.Down(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "away", func() bool { return !running()[0].hosts[0].watcher.Current() })
	if !ready() {
		t.Error("an engine that is away makes it unready")
	}
}
