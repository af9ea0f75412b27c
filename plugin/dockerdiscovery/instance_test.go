package dockerdiscovery

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/rewrite"
	_ "github.com/coredns/coredns/plugin/whoami"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

func init() { inprocess.Use(pluginName) }

// The fake engines' host is this machine, whether or not an engine has made such bridges here.
func init() {
	allAddrs = func() ([]net.Addr, error) {
		addrs, err := net.InterfaceAddrs()
		for _, bridge := range []string{"172.17.0.1", "10.88.0.1"} { // Docker's default one, and Podman's
			addrs = append(addrs, &net.IPNet{IP: net.ParseIP(bridge), Mask: net.CIDRMask(16, 32)})
		}
		return addrs, err
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// freePort returns a port on which nobody listens, on any address.
func freePort(t *testing.T) string {
	t.Helper()
	port, err := rig.FreePort("")
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}

// stop stops a server before the test's end.
func stop(t *testing.T, s *inprocess.Server) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// query asks the server on the port for an A record.
func query(t *testing.T, port, name string) *dns.Msg {
	t.Helper()
	r, err := rig.Ask("udp", "127.0.0.1:"+port, name, dns.TypeA)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r
}

func TestReload(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "web"})
	port := freePort(t)
	corefile := func(keys string, more string) string {
		keys = strings.ReplaceAll(keys, "PORT", port)
		return fmt.Sprintf("%s {\n docker docker. lan. {\n endpoint %s\n }\n %s\n}", keys, e.Host(), more)
	}
	// several keys: one plugin, one stream
	s := inprocess.Serve(t, corefile("docker:PORT lan:PORT 10.0.0.0/16:PORT", ""))
	for _, name := range []string{"web.docker.", "web.lan."} {
		if r := query(t, port, name); len(r.Answer) != 1 {
			t.Errorf("%s after the start:\n%s", name, r)
		}
	}
	check := func(what string) {
		t.Helper()
		if err := e.WaitStreams(t.Context(), 1); err != nil { // the engine answers before it subscribes
			t.Fatal(err)
		}
		if n := e.Streams(); n != 1 {
			t.Errorf("%d event streams %s, want 1", n, what)
		}
		if n := len(running()); n != 1 {
			t.Errorf("%d plugins run %s, want 1", n, what)
		}
	}
	check("after the start")
	e.ResetCalls()
	for n := range 5 {
		if err := s.Reload(corefile("docker:PORT lan:PORT", "")); err != nil {
			t.Fatal(err)
		}
		if r := query(t, port, "web.docker."); len(r.Answer) != 1 {
			t.Errorf("after reload %d:\n%s", n, r)
		}
	}
	check("after five reloads")
	if n := e.Calls("list"); n != 0 {
		t.Errorf("%d lists by reloads of the same endpoint, want none", n)
	}

	// A reload that fails after our start: another server has the address.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, takenPort, _ := net.SplitHostPort(taken.Addr().String())
	bad := corefile("docker:PORT", "") + fmt.Sprintf("\nx.:%s {\n bind 127.0.0.1\n whoami\n}", takenPort)
	if err := s.Reload(bad); err == nil {
		t.Error("a reload with a taken address succeeds")
	}
	check("after a failed reload")
	if n := len(active); n != 1 {
		t.Errorf("%d plugins are started after a failed reload, want 1", n)
	}

	// While the engine is away a reload keeps what was known.
	if err := e.Down(); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(corefile("docker:PORT", "")); err != nil {
		t.Fatal(err)
	}
	if r := query(t, port, "web.docker."); len(r.Answer) != 1 || r.Answer[0].Header().Ttl > 5 {
		t.Errorf("after a reload without the engine:\n%s", r)
	}
	stop(t, s)
	if n := len(engine.States()) + len(running()); n != 0 {
		t.Errorf("%d watchers and plugins after the shutdown", n)
	}
}

// TestStartWithoutEngine checks that the server starts and serves others.
func TestStartWithoutEngine(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "web"})
	if err := e.Down(); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	inprocess.Serve(t, fmt.Sprintf(".:%s {\n docker docker. {\n endpoint %s\n }\n whoami\n}", port, e.Host()))
	if r := query(t, port, "web.docker."); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("without an engine:\n%s", r)
	}
	if r := query(t, port, "example.org."); r.Rcode != dns.RcodeSuccess {
		t.Errorf("another plugin's name:\n%s", r)
	}
	if running()[0].Ready() {
		t.Error("ready without an engine")
	}
	if err := e.Up(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; {
		if r := query(t, port, "web.docker."); len(r.Answer) == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no answer after the engine has come")
		}
	}
}

// TestArrival asks for a container's name while the engine still starts it.
func TestArrival(t *testing.T) {
	e := enginetest.New(t)
	inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n }\n}", freePort(t), e.Host()))
	d := running()[0] // asked directly, so that only this test uses it
	expect := func(what, want string) {
		t.Helper()
		if got := dig(t, d, fromHost, "web.docker.", dns.TypeA); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	d.arrivalWait = time.Minute
	expect("nothing starts", "NXDOMAIN")
	release := e.BlockStarts()
	id := e.Create(enginetest.Spec{Name: "web"})
	var both sync.WaitGroup
	both.Go(func() { e.Start(id) })
	if err := e.WaitInspectCalls(t.Context(), id, 1); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; { // the engine may be asked before all others know that it starts
		if news, _ := d.catalog.Arrivals().Expect("web.docker.", false); news != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not count as starting")
		}
	}
	d.arrivalWait = time.Millisecond
	expect("the start takes longer than a query waits", "NXDOMAIN")
	d.arrivalWait = time.Minute
	for range 3 {
		both.Go(func() { expect("the start is done", e.IP(id, "bridge").String()) })
	}
	release()
	both.Wait()
}

// TestLateEvents asks for a container's name when the engine has started it but not told yet.
func TestLateEvents(t *testing.T) {
	e := enginetest.New(t, enginetest.WithFlavour(enginetest.Podman))
	inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n }\n}", freePort(t), e.Host()))
	d := running()[0]
	d.arrivalWait = time.Minute
	e.DropEvents(true)
	if got := dig(t, d, fromHost, "web.docker.", dns.TypeA); got != "NXDOMAIN" {
		t.Errorf("before there is a container: %q", got)
	}
	id := e.Run(enginetest.Spec{Name: "web"})
	want := e.IP(id, "podman").String()
	if got := dig(t, d, fromHost, "web.docker.", dns.TypeA); got != want {
		t.Errorf("the first query: %q, want %q", got, want)
	}
}

// TestMetrics checks that each metric of the README exists and the other way round,
// and what the gauges say.
func TestMetrics(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "db"})
	e.Run(enginetest.Spec{Name: "thief", Hostname: "db"})
	e.Run(enginetest.Spec{Name: "odd", Hostname: "a b"})
	inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n }\n}", freePort(t), e.Host()))
	e.Run(enginetest.Spec{Name: "later"})
	values := map[string]float64{}
	gather := func() bool {
		families, err := prometheus.DefaultGatherer.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				values[f.GetName()] = m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		// The lag may be that of another test's containers.
		return values["coredns_docker_containers"] == 4 && values["coredns_docker_names"] >= 16 && values["coredns_docker_record_lag_seconds"] >= 1
	}
	for end := time.Now().Add(10 * time.Second); !gather(); {
		if time.Now().After(end) {
			t.Fatalf("the fourth container does not show: %v", values)
		}
	}
	for name, want := range map[string]float64{
		"connected": 1, "containers": 4, "lost_claims": 1, "skipped_names": 1,
		// db, thief, odd, later; their IDs, which are the host names of later and db too
		// and their names on the bridge
		"names": 8 + 4 + 4, "records": 8 + 4 + 4,
	} {
		if got := values["coredns_docker_"+name]; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	readme := readFile(t, "README.md")
	for name := range values {
		if strings.HasPrefix(name, "coredns_docker_") && !strings.Contains(readme, "`"+name) {
			t.Errorf("README.md lacks %s", name)
		}
	}
	for line := range strings.Lines(readme) {
		if name, ok := strings.CutPrefix(line, "* `coredns_docker_"); ok {
			name = "coredns_docker_" + name[:strings.IndexAny(name, "{`")]
			if _, ok := values[name]; !ok && !strings.HasPrefix(name, "coredns_docker_share_") { // TestShareMetrics has these
				t.Errorf("README.md has %s, which does not exist", name)
			}
		}
	}
}

// TestMetricsOfOneEngine names one engine in many ways, in server blocks and reloads: each series is there once, and none
// is left in the end.
func TestMetricsOfOneEngine(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "web"})
	link := t.TempDir() + "/engine.sock"
	if err := os.Symlink(strings.TrimPrefix(e.Host(), "unix://"), link); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_HOST", "unix://"+link)
	port := freePort(t)
	series := func() int {
		t.Helper()
		families, err := prometheus.DefaultGatherer.Gather()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range families {
			if f.GetType().String() != "GAUGE" { // counters stay
				continue
			}
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					if l.GetName() == "host" {
						n++
					}
				}
			}
		}
		return n
	}
	blocks := func(properties ...string) string {
		var all strings.Builder
		for i, p := range properties {
			fmt.Fprintf(&all, "zone%d:%s {\n docker {\n %s\n }\n}\n", i, port, p)
		}
		return all.String()
	}
	s := inprocess.Serve(t, blocks("", "endpoint "+e.Host(), "endpoint unix://"+link, "endpoint "+e.Host()+"/", "endpoint unix:///"+link))
	if n := series(); n != 5+5 {
		t.Errorf("%d series of the engine, want connected, containers, last_reconcile_timestamp_seconds, skipped_names, lost_claims and left_out_containers for five reasons", n)
	}
	for _, reload := range []string{"resync 1s", "resync 2s\n hold 1s", "endpoint " + e.Host() + "\n resync 3s", "health ignore", ""} {
		if err := s.Reload(blocks(reload, "resync 7s")); err != nil {
			t.Fatal(err)
		}
		if n := series(); n != 5+5 {
			t.Errorf("%d series after a reload to %q", n, reload)
		}
	}
	stop(t, s)
	if n := series(); n != 0 {
		t.Errorf("%d series of an engine that is watched no more", n)
	}
}

// TestServerAddr asks for the name server's address on a socket that is bound to all
// addresses, and so does not tell on which one the query came in.
func TestServerAddr(t *testing.T) {
	port := freePort(t)
	e := enginetest.New(t)
	inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n }\n}", port, e.Host()))
	r := query(t, port, "ns.dns.docker.")
	if len(r.Answer) != 1 || r.Answer[0].(*dns.A).A.String() != "127.0.0.1" {
		t.Errorf("the name server's address on a socket for all addresses:\n%s", r)
	}
}

// TestLoopOfCNAMEs has labels point in a ring that no store sees as a whole: through two server
// blocks, and through a rewritten name. Each query comes to an end by itself.
func TestLoopOfCNAMEs(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "pair", Labels: map[string]string{
		"coredns.dockerdiscovery.records": "a.docker. CNAME b.lab.\nb.lab. CNAME a.docker.\nself CNAME self.pair.new.",
	}})
	for i := range 10 { // each points to the next one in the other block's zone
		zones := []string{"docker", "lab"}
		e.Run(enginetest.Spec{Name: fmt.Sprint("ring", i), Labels: map[string]string{
			"coredns.dockerdiscovery.records": fmt.Sprintf("x.ring%d.%s. CNAME x.ring%d.%s.", i, zones[i%2], (i+1)%10, zones[(i+1)%2]),
		}})
	}
	port := freePort(t)
	block := "%s:" + port + " {\n rewrite stop name suffix .new. .docker.\n docker %[1]s {\n endpoint " + e.Host() + "\n }\n}\n"
	inprocess.Serve(t, fmt.Sprintf(block, "docker")+fmt.Sprintf(block, "lab")+
		fmt.Sprintf("new:%s {\n rewrite stop name suffix .new. .docker.\n docker docker {\n endpoint %s\n }\n}", port, e.Host()))
	for _, c := range []struct {
		name    string
		records int // the ring's, each once; fewer if following ends before
	}{{"a.docker.", 2}, {"b.lab.", 2}, {"x.ring0.docker.", 9}, {"x.ring7.lab.", 9}, {"self.pair.docker.", 1}} {
		for range 5 {
			begin := time.Now()
			r := query(t, port, c.name)
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("%s took %v", c.name, took)
			}
			if r.Rcode != dns.RcodeSuccess || len(r.Answer) != c.records {
				t.Errorf("%s: want %d records:\n%s", c.name, c.records, r)
			}
		}
	}
}

// TestRecursionAvailable looks at the flag in answers of all kinds, in a server block that forwards
// other names and in one beside it that does not.
func TestRecursionAvailable(t *testing.T) {
	e := enginetest.New(t)
	web := e.IP(e.Run(enginetest.Spec{Name: "web"}), "bridge")
	reverse, err := dns.ReverseAddr(web.String())
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	docker := fmt.Sprintf("docker docker. lab. {\n endpoint %s\n }\n", e.Host())
	inprocess.Serve(t, fmt.Sprintf("org:%s .:%[1]s {\n %s forward . 127.0.0.1:9\n}\nlab:%[1]s {\n %s}", port, docker, docker))
	for _, c := range []struct {
		name  string
		qtype uint16
		want  bool
	}{
		{"web.docker.", dns.TypeA, true}, {"web.docker.", dns.TypeAAAA, true}, {"web.docker.", dns.TypeMX, true}, {"nope.docker.", dns.TypeA, true},
		{"docker.", dns.TypeNS, true}, {"docker.", dns.TypeSOA, true}, {reverse, dns.TypePTR, true},
		{"web.lab.", dns.TypeA, false}, {"web.lab.", dns.TypeAAAA, false}, {"nope.lab.", dns.TypeA, false}, {"lab.", dns.TypeSOA, false},
	} {
		r, err := rig.Ask("udp", "127.0.0.1:"+port, c.name, c.qtype)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if r.RecursionAvailable != c.want || !r.Authoritative {
			t.Errorf("%s %s: want RA %v, and AA:\n%s", c.name, dns.TypeToString[c.qtype], c.want, r)
		}
	}
}

// TestLoopThroughAnotherServer has two servers that forward each other's zone, and a label in each that
// leads to the other.
func TestLoopThroughAnotherServer(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "pair", Labels: map[string]string{"coredns.dockerdiscovery.records": "a.docker. CNAME b.lab.\nb.lab. CNAME a.docker."}})
	ports := []string{freePort(t), freePort(t)}
	block := ".:%s {\n docker %s {\n endpoint " + e.Host() + "\n }\n forward . 127.0.0.1:%s\n}\n"
	inprocess.Serve(t, fmt.Sprintf(block, ports[0], "docker", ports[1])+fmt.Sprintf(block, ports[1], "lab", ports[0]))
	for n := range 3 {
		if r := query(t, ports[0], "a.docker."); len(r.Answer) != 2 {
			t.Errorf("query %d: want both CNAMEs:\n%s", n, r)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; {
		if running()[0].following.Load()+running()[1].following.Load() == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("queries go round after the answers")
		}
	}
}
