package dockerdiscovery

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

// TestReloadWithinHold has the Corefile read anew while a container restarts.
func TestReloadWithinHold(t *testing.T) {
	e := enginetest.New(t)
	id := e.Run(enginetest.Spec{Name: "web"})
	port := freePort(t)
	corefile := func(ttl int) string {
		return fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n ttl %d\n hold 1m\n }\n}", port, e.Host(), ttl)
	}
	s := inprocess.Serve(t, corefile(5))
	e.Stop(id)
	for end := time.Now().Add(10 * time.Second); len(query(t, port, "web.docker.").Answer) > 0; {
		if time.Now().After(end) {
			t.Fatal("the container's end is not seen")
		}
	}
	if err := s.Reload(corefile(6)); err != nil {
		t.Fatal(err)
	}
	if r := query(t, port, "web.docker."); r.Rcode != dns.RcodeSuccess || len(r.Ns) != 1 || r.Ns[0].Header().Ttl != 1 {
		t.Errorf("after a reload:\n%s", r)
	}
}

// TestArrivalAfterReconnect asks for the name of a container that has started while there was no connection, before
// the engine has said who runs.
func TestArrivalAfterReconnect(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "old"})
	inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n }\n}", freePort(t), e.Host()))
	d := running()[0]
	d.arrivalWait = time.Minute
	if err := e.Down(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); d.hosts[0].watcher.Current(); {
		if time.Now().After(end) {
			t.Fatal("still connected")
		}
	}
	if got := dig(t, d, fromHost, "web.docker.", dns.TypeA); got != "NXDOMAIN" {
		t.Errorf("without a connection: %q", got)
	}
	id := e.Run(enginetest.Spec{Name: "web"})
	e.ResetCalls()
	release := e.HangCalls("list")
	if err := e.Up(); err != nil {
		t.Fatal(err)
	}
	if err := e.WaitCalls(t.Context(), "list", 1); err != nil {
		t.Fatal(err)
	}
	d.arrivalWait = time.Millisecond
	if got := dig(t, d, fromHost, "web.docker.", dns.TypeA); got != "NXDOMAIN" {
		t.Errorf("the list takes longer than a query waits: %q", got)
	}
	d.arrivalWait = time.Minute
	got := make(chan string)
	go func() { got <- dig(t, d, fromHost, "web.docker.", dns.TypeA) }()
	release()
	if got, want := <-got, e.IP(id, "bridge").String(); got != want {
		t.Errorf("the list has come: %q, want %q", got, want)
	}
	if got := dig(t, d, fromHost, "nope.docker.", dns.TypeA); got != "NXDOMAIN" {
		t.Errorf("a name of nobody: %q", got)
	}
}
