package dockerdiscovery

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

// threeHosts are the engines of the hosts a, b and c, whose addresses are 192.0.2.1 to .3. Each has a container web, and one called
// as the host. A start on a takes as long as on a real engine.
type threeHosts struct {
	*Docker
	a, b, c *enginetest.Engine
}

// reachable is a container that is reached from elsewhere.
func reachable(name string) enginetest.Spec {
	return enginetest.Spec{Name: name, Publish: []string{"80:80"}}
}

// patience is how long a query may wait for a container that starts.
const patience = 2 * time.Second

func serveThree(t *testing.T, flavour enginetest.Flavour) *threeHosts {
	t.Helper()
	h := &threeHosts{
		a: enginetest.New(t, enginetest.WithStartDelay(200*time.Millisecond)), b: enginetest.New(t), c: enginetest.New(t, enginetest.WithFlavour(flavour)),
	}
	endpoints := ""
	for i, e := range []*enginetest.Engine{h.a, h.b, h.c} {
		name := string(rune('a' + i))
		e.Run(reachable("web"))
		e.Run(reachable("only-" + name))
		endpoints += fmt.Sprintf("endpoint %s %s 192.0.2.%d\n", e.Host(), name, i+1)
	}
	inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n %s publish\n ttl 60\n resync 1s\n }\n}", freePort(t), endpoints))
	h.Docker = running()[0]
	h.arrivalWait = patience // who waits shows
	return h
}

// lan asks from elsewhere, and returns the addresses, sorted, with the least TTL; or the outcome.
func (h *threeHosts) lan(name string) (answer string, ttl uint32) {
	rec := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: fromLAN})
	rcode, err := h.ServeDNS(context.Background(), rec, new(dns.Msg).SetQuestion(name+".docker.", dns.TypeA))
	if err != nil || rec.Msg == nil {
		return fmt.Sprintf("%s, %v", dns.RcodeToString[rcode], err), 0
	}
	if len(rec.Msg.Answer) == 0 {
		return "no address, " + dns.RcodeToString[rec.Msg.Rcode], 0
	}
	var ips []string
	ttl = rec.Msg.Answer[0].Header().Ttl
	for _, rr := range rec.Msg.Answer {
		ips = append(ips, dns.Field(rr, 1))
		ttl = min(ttl, rr.Header().Ttl)
	}
	slices.Sort(ips)
	return strings.Join(ips, " "), ttl
}

// gauges returns the values of the plugin's gauges, as in connected{a}.
func gauges(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "host" {
					values[strings.TrimPrefix(f.GetName(), "coredns_docker_")+"{"+l.GetValue()+"}"] = m.GetGauge().GetValue()
				}
			}
		}
	}
	return values
}

// TestFaultsOfOneHost has one of three engines fail in each way while everybody asks for what the others have: their answers, TTLs
// and times stay as they are, and what happens on them is answered at once. When the fault is over, all is right within five
// seconds.
func TestFaultsOfOneHost(t *testing.T) {
	for _, flavour := range []enginetest.Flavour{enginetest.Docker28, enginetest.Podman} {
		t.Run(flavour.String(), func(t *testing.T) { faultsOfOneHost(t, flavour) })
	}
}

func faultsOfOneHost(t *testing.T, flavour enginetest.Flavour) {
	const all, live = "192.0.2.1 192.0.2.2 192.0.2.3", "192.0.2.1 192.0.2.2"
	h := serveThree(t, flavour)
	eventually(t, "all three hosts are known", func() bool { web, _ := h.lan("web"); return web == all })

	// What is asked for without a pause, and what may be answered.
	questions := map[string][]string{
		"web": {all, live}, "only-a": {"192.0.2.1"}, "only-b": {"192.0.2.2"}, "web.a": {"192.0.2.1"}, "web.b": {"192.0.2.2"}, "a": {"192.0.2.1"},
	}
	const soon = 5 * time.Second
	var askers sync.WaitGroup
	done := make(chan struct{})
	var mu sync.Mutex // guards the following
	asked, wrong, slowest := 0, map[string]int{}, time.Duration(0)
	for range 2 {
		askers.Go(func() {
			for {
				for name, may := range questions {
					began := time.Now()
					got, ttl := h.lan(name)
					took := time.Since(began)
					mu.Lock()
					asked++
					slowest = max(slowest, took)
					if !slices.Contains(may, got) || ttl != 60 || !h.Ready() {
						wrong[fmt.Sprintf("%s: %s, TTL %d", name, got, ttl)]++
					}
					mu.Unlock()
				}
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
	}

	for _, fault := range []struct {
		name string
		away bool // the engine is known to be away
		do   func(e *enginetest.Engine) (undo func())
	}{
		{"killed", true, func(e *enginetest.Engine) func() { must(t, e.Down()); return func() { must(t, e.Up()) } }},
		{"frozen", true, func(e *enginetest.Engine) func() {
			thaw := e.Freeze()
			e.CutStreams()
			return thaw
		}},
		{"frozen, not noticed", false, func(e *enginetest.Engine) func() { return e.Freeze() }},
		{"hanging lists", true, func(e *enginetest.Engine) func() { e.CutStreams(); return e.HangCalls("list") }},
		{"errors", true, func(e *enginetest.Engine) func() {
			e.FailCalls("list", -1, 500)
			e.CutStreams()
			return e.ClearFaults
		}},
		{"garbage", true, func(e *enginetest.Engine) func() {
			e.RawAnswer("list", []byte("[{]"))
			e.EmitRaw([]byte("{]"))
			return e.ClearFaults
		}},
		{"clock ahead", false, func(e *enginetest.Engine) func() { e.SetClock(time.Hour); return func() {} }},
		{"clock back", false, func(e *enginetest.Engine) func() { e.SetClock(-time.Hour); return func() {} }},
		{"killed, clock ahead", true, func(e *enginetest.Engine) func() {
			must(t, e.Down())
			return func() { e.SetClock(time.Hour); must(t, e.Up()) }
		}},
		{"clock right again", false, func(e *enginetest.Engine) func() { e.SetClock(0); return func() {} }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			is := func(name, want string) bool { got, _ := h.lan(name); return got == want }
			goes := h.c.Run(reachable("goes"))
			eventually(t, "what runs on the host", func() bool { return is("goes", "192.0.2.3") })
			undo := fault.do(h.c)
			if fault.away {
				eventually(t, "the live hosts' web alone", func() bool { return is("web", live) })
				if got, ttl := h.lan("only-c"); got != "192.0.2.3" || ttl > 5 {
					t.Errorf("what it had is answered with %s, TTL %d", got, ttl)
				}
			}
			if fault.name == "killed" {
				checkGauges(t)
			}
			comes := h.c.Run(reachable("comes"))
			h.c.Stop(goes)
			fresh := h.a.Run(reachable("fresh"))
			var slowest time.Duration
			eventually(t, "what has just started on another host", func() bool { // the first query may be before its event is read
				began := time.Now()
				known := is("fresh", "192.0.2.1")
				slowest = max(slowest, time.Since(began))
				return known
			})
			if slowest >= patience {
				t.Errorf("a query for what has just started on another host took %s", slowest)
			}
			undo()
			began := time.Now()
			eventually(t, "all is right again", func() bool {
				_, ttl := h.lan("only-c")
				return is("web", all) && is("comes", "192.0.2.3") && !is("goes", "192.0.2.3") && ttl == 60
			})
			if took := time.Since(began); took > soon {
				t.Errorf("all is right after %s", took)
			}
			h.a.Remove(fresh)
			h.c.Remove(comes)
			h.c.Remove(goes)
			eventually(t, "what has ended", func() bool { return !is("fresh", "192.0.2.1") && !is("comes", "192.0.2.3") })
		})
	}
	close(done)
	askers.Wait()
	t.Logf("%d queries, the slowest %s", asked, slowest)
	if slowest >= patience {
		t.Errorf("a query for what other hosts have took %s", slowest)
	}
	for _, what := range slices.Sorted(maps.Keys(wrong)) {
		t.Errorf("%d times %s", wrong[what], what)
	}
}

// checkGauges checks what the metrics say of each host while c is away.
func checkGauges(t *testing.T) {
	t.Helper()
	const reconciled = "last_reconcile_timestamp_seconds"
	before := gauges(t)
	eventually(t, "another host's next reconciliation", func() bool { return gauges(t)[reconciled+"{a}"] > before[reconciled+"{a}"] })
	after := gauges(t)
	if now, at := after[reconciled+"{c}"], before[reconciled+"{c}"]; now != at {
		t.Errorf("the host that is away was reconciled at %f, and before at %f", now, at)
	}
	for host, want := range map[string]float64{"a": 1, "b": 1, "c": 0} {
		if got := after["connected{"+host+"}"]; got != want {
			t.Errorf("%s is connected: %v", host, got)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestHangingHostLeavesRoom has many ask for names of nobody's while an engine that was connected anew hangs: only so many wait for
// it, which leaves room for who waits for other hosts.
func TestHangingHostLeavesRoom(t *testing.T) {
	h := serveThree(t, enginetest.Docker28)
	eventually(t, "all three hosts are known", func() bool { web, _ := h.lan("web"); return web == "192.0.2.1 192.0.2.2 192.0.2.3" })
	h.c.ResetCalls()
	release := h.c.HangCalls("list")
	h.c.CutStreams()
	must(t, h.c.WaitCalls(t.Context(), "list", 1))
	var askers sync.WaitGroup
	var denied atomic.Int32
	const many = 1000
	for i := range many {
		askers.Go(func() {
			h.lan(fmt.Sprint("nope", i))
			denied.Add(1)
		})
	}
	eventually(t, "most are denied at once", func() bool { return denied.Load() == many-maxWaitingForHost })
	if n := waitingForAny.Load(); n != maxWaitingForHost {
		t.Errorf("%d wait", n)
	}
	release()
	askers.Wait()
	if n := waiting.Load(); n != 0 {
		t.Errorf("in the end %d wait", n)
	}
}

// TestDeadHostAtStart has one of three engines be away at the start: names that the others have are answered at once, others
// are denied when the time of startup is over.
func TestDeadHostAtStart(t *testing.T) {
	a, c := enginetest.New(t), enginetest.New(t)
	a.Run(reachable("web"))
	c.Run(reachable("web"))
	c.Run(reachable("only-c"))
	must(t, c.Down())
	inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s a 192.0.2.1\n endpoint %s c 192.0.2.3\n publish\n startup 5s\n }\n}", freePort(t), a.Host(), c.Host()))
	h := &threeHosts{Docker: running()[0]}
	answers := func(web, onlyC string) func() bool {
		return func() bool {
			is, _ := h.lan("web")
			only, _ := h.lan("only-c")
			return is == web && only == onlyC
		}
	}
	eventually(t, "what the live host has", answers("192.0.2.1", "SERVFAIL, <nil>"))
	if h.Ready() {
		t.Error("ready before the time is over")
	}
	eventually(t, "denial", answers("192.0.2.1", "no address, NXDOMAIN"))
	if !h.Ready() {
		t.Error("not ready when the time is over")
	}
	must(t, c.Up())
	eventually(t, "what the other host has", answers("192.0.2.1 192.0.2.3", "192.0.2.3"))
}

// TestSlowHostBesideLateOne has a query for a name that nobody has, where a Podman beside one that hangs has started its container
// and has not told of it.
func TestSlowHostBesideLateOne(t *testing.T) {
	slow, late := enginetest.New(t, enginetest.WithFlavour(enginetest.Podman)), enginetest.New(t, enginetest.WithFlavour(enginetest.Podman))
	inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s slow\n endpoint %s late 192.0.2.2\n publish\n }\n}", freePort(t), slow.Host(), late.Host()))
	h := &threeHosts{Docker: running()[0]}
	eventually(t, "both are known", h.Ready)
	h.arrivalWait = patience
	late.DropEvents(true)
	late.Run(reachable("web"))
	defer slow.HangCalls("list")()
	if got, _ := h.lan("web"); got != "192.0.2.2" {
		t.Errorf("web is %s", got)
	}
}
