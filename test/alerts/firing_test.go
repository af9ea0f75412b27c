package alerts

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

var realFlag = flag.Bool("alerts.real", false, "have a Docker Engine be away, and the rules as they are: that takes minutes")

// prometheus is one of the distribution's that scrapes a server.
type prometheus struct {
	*rig.Process
	url   string
	fired map[string]bool // alerts by name
}

// minutes finds times in the rules.
var minutes = regexp.MustCompile(`\b(\d+)m\b`)

// scrape starts a Prometheus that scrapes the server and has the rules. If they are to be quick, what is minutes there is seconds.
func scrape(t *testing.T, s *rig.Server, quick bool) *prometheus {
	t.Helper()
	dir := t.TempDir()
	b, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if quick {
		text = minutes.ReplaceAllString(text, "${1}s")
	}
	target, err := url.Parse(s.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	port, err := rig.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	config := fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 250ms}
rule_files: [alerts.yaml]
scrape_configs:
  - job_name: coredns
    static_configs: [{targets: [%q]}]
`, target.Host)
	for name, content := range map[string]string{"alerts.yaml": text, "prometheus.yaml": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := &prometheus{url: "http://" + listen, fired: map[string]bool{}}
	p.Process, err = rig.Start(exec.Command("prometheus", "--config.file", filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", listen, "--log.level", "warn"))
	if err != nil {
		t.Fatal(err)
	}
	p.StopAfter(t, patience)
	return p
}

// get reads what the API has at the path.
func (p *prometheus) get(path string, into any) error {
	b, err := rig.Get(p.url + "/api/v1/" + path)
	if err == nil {
		err = json.Unmarshal(b, &struct{ Data any }{into})
	}
	return err
}

// alerts returns the alerts of the name, of any name if that is "", that are pending or firing: as NAME of HOST STATE.
func (p *prometheus) alerts(name string) (string, error) {
	var all struct {
		Alerts []struct {
			Labels map[string]string
			State  string
		}
	}
	err := p.get("alerts", &all)
	var found []string
	for _, a := range all.Alerts {
		if a.State == "firing" {
			p.fired[a.Labels["alertname"]] = true
		}
		if name == "" || name == a.Labels["alertname"] {
			found = append(found, fmt.Sprintf("%s of %s %s", a.Labels["alertname"], a.Labels["host"], a.State))
		}
	}
	return strings.Join(found, ", "), err
}

// shows waits until the expression has results.
func (p *prometheus) shows(t *testing.T, expr string) {
	t.Helper()
	err := p.Await(patience, func() error {
		var found struct{ Result []any }
		err := p.get("query?query="+url.QueryEscape(expr), &found)
		if err == nil && len(found.Result) == 0 {
			err = errors.New("nothing is found by " + expr)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// await waits until the alerts of the name, or all, are these.
func (p *prometheus) await(t *testing.T, patience time.Duration, name, want string) {
	t.Helper()
	began := time.Now()
	err := p.Await(patience, func() error {
		got, err := p.alerts(name)
		if err == nil && got != want {
			err = fmt.Errorf("the alerts are %q, want %q", got, want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("after %.1f s %s: %q", time.Since(began).Seconds(), cmp.Or(name, "all alerts"), want)
}

// TestEngineAwayFires stops an engine: the alert becomes pending, fires after its time, and ends when the engine is back. Nothing
// else fires, until the last of what had failed is out of all windows.
func TestEngineAwayFires(t *testing.T) {
	need(t, "prometheus")
	var host string
	var stop, start func() error
	windows := patience
	if *realFlag {
		host, stop, start = realEngine(t)
		windows = 16 * time.Minute
	} else {
		e := enginetest.New(t)
		host, stop, start = e.Host(), e.Down, e.Up
	}
	s := serve(t, host, "")
	if err := s.AwaitReady(patience); err != nil {
		t.Fatal(err)
	}
	p := scrape(t, s, !*realFlag)
	p.shows(t, `coredns_docker_connected{host="nas"} == 1`)
	p.await(t, patience, "", "")
	clear(p.fired) // a Prometheus takes five seconds to its first scrape, for which there is no server
	const alert = "DockerDNSEngineAway"
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	p.await(t, patience, alert, alert+" of nas pending")
	p.await(t, windows, alert, alert+" of nas firing")
	if err := start(); err != nil {
		t.Fatal(err)
	}
	p.await(t, patience, alert, "")
	p.await(t, windows, "", "")
	if len(p.fired) != 1 {
		t.Errorf("what fired: %v", p.fired)
	}
}

// TestDashboardShows checks that the distribution's Prometheus has something to show by each of the dashboard's expressions, but
// for those that show what is wrong.
func TestDashboardShows(t *testing.T) {
	need(t, "prometheus")
	p := scrape(t, lively(t), false)
	d := readDashboard(t)
	for _, q := range d.questions(t) {
		if strings.Contains(q.expr, "ALERTS") || q.of == "Calls that fail" {
			q.expr = "(" + q.expr + ") or vector(0)"
		}
		p.shows(t, q.expr)
	}
}

// realEngine starts a Docker Engine of the test's own.
func realEngine(t *testing.T) (host string, stop, start func() error) {
	t.Helper()
	run := rig.NewRun()
	t.Cleanup(func() { os.Remove(run.Folder) })
	e := run.NewEngine(t, "alerts", "--bridge", "none", "--iptables=false", "--ip6tables=false")
	up := func() error {
		e.Start(patience)
		return nil
	}
	up()
	return e.Host(), func() error {
		e.End(syscall.SIGTERM)
		return nil
	}, up
}
