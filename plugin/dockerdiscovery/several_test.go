package dockerdiscovery

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// publishing is an engine with a container that publishes a port.
func publishing(t *testing.T, name string) *enginetest.Engine {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: name, Publish: []string{"80:80/tcp"}})
	return e
}

// series returns the series of the hosts, as NAME{HOST}, without those of the metrics that are not given.
func series(t *testing.T, metrics ...string) (all []string) {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		name := strings.TrimPrefix(f.GetName(), "coredns_docker_")
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "host" && (len(metrics) == 0 || slices.Contains(metrics, name)) {
					all = append(all, fmt.Sprintf("%s{%s} %v", name, l.GetValue(), m.GetGauge().GetValue()))
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestStartBesideHungEngine starts where one of two engines accepts connections and says nothing.
func TestStartBesideHungEngine(t *testing.T) {
	dead, e := enginetest.New(t), enginetest.New(t)
	defer dead.HangCalls("info")()
	web := e.Run(enginetest.Spec{Name: "web"})
	began := time.Now()
	inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s dead\n endpoint %s\n }\n}", freePort(t), dead.Host(), e.Host()))
	if took := time.Since(began); took > (othersTimeout+startupTimeout)/2 {
		t.Errorf("the start took %v", took)
	}
	if got, want := dig(t, running()[0], fromHost, "web.docker.", dns.TypeA), e.IP(web, "bridge").String(); got != want {
		t.Errorf("after the start: %s, want %s", got, want)
	}
}

// TestReloadOfHosts reloads Corefiles that add, remove, rename and exchange hosts. Meanwhile no name of the host that stays is
// missed, and in the end nothing is left of what is gone.
func TestReloadOfHosts(t *testing.T) {
	before := series(t) // other tests'
	stays, others := publishing(t, "web"), []*enginetest.Engine{publishing(t, "one"), publishing(t, "two")}
	port := freePort(t)
	corefile := func(endpoints ...string) string {
		var lines strings.Builder
		for _, e := range endpoints {
			fmt.Fprintf(&lines, "endpoint %s\n", e)
		}
		return fmt.Sprintf("docker:%s {\n docker {\n publish\n %s }\n}", port, lines.String())
	}
	a, b, c := stays.Host(), others[0].Host(), others[1].Host()
	s := inprocess.Serve(t, corefile(a+" nas 192.0.2.1"))
	if err := stays.WaitStreams(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	goroutines := runtime.NumGoroutine()

	var asking sync.WaitGroup
	done := make(chan struct{})
	asked := 0
	asking.Go(func() {
		client := rig.Asker{Server: "127.0.0.1:" + port}
		defer client.Close()
		for {
			select {
			case <-done:
				return
			default:
			}
			r, err := client.Ask("web.docker.", dns.TypeA)
			if asked++; err != nil || r.Rcode != dns.RcodeSuccess || len(r.Answer) != 1 {
				t.Errorf("query %d: %v\n%s", asked, err, r)
				return
			}
		}
	})
	for _, step := range []struct {
		corefile  string
		connected string
	}{
		{corefile(a + " nas"), "nas"},
		{corefile(a+" nas", b+" pi 192.0.2.2"), "nas pi"},
		{corefile(c+" tower", a+" nas", b+" pi"), "nas pi tower"},
		{corefile(a+" tower", b+" nas", c+" pi"), "nas pi tower"},
		{corefile(b+" nas", a+" vault"), "nas vault"},
		{corefile(c+" nas", a+" vault"), "nas vault"},
		{corefile(a + " nas"), "nas"},
	} {
		if err := s.Reload(step.corefile); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, host := range strings.Fields(step.connected) {
			want = append(want, "connected{"+host+"} 1", "containers{"+host+"} 1", "skipped_names{"+host+"} 0")
		}
		slices.Sort(want)
		eventually(t, fmt.Sprintf("the series %q", want), func() bool {
			return slices.Equal(series(t, "connected", "containers", "skipped_names"), want)
		})
	}
	close(done)
	asking.Wait()
	t.Logf("%d queries", asked)
	for _, s := range series(t) {
		if !strings.Contains(s, "{nas}") && !slices.Contains(before, s) {
			t.Errorf("there still is %s", s)
		}
	}
	if n := len(engine.States()); n != 1 || len(running()) != 1 || stays.Streams() != 1 {
		t.Errorf("%d engines are watched, by %d plugins, with %d streams of the one that stays", n, len(running()), stays.Streams())
	}
	eventually(t, "no more goroutines than before the reloads", func() bool { return runtime.NumGoroutine() <= goroutines+5 })
	stop(t, s)
	if left := series(t); !slices.Equal(left, before) {
		t.Errorf("after the shutdown there is %q, before the start %q", left, before)
	}
}
