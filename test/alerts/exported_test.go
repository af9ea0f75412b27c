package alerts

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

const patience = 30 * time.Second

// serve starts the binary, which watches the engine as host nas, by a block that has these lines too.
func serve(t *testing.T, engine, lines string) *rig.Server {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	s, err := rig.Serve(rig.Config{Binary: path, Dir: t.TempDir(), Body: "reload\ndocker docker. {\n endpoint " + engine + " nas\n" + lines + "\n}"})
	if err != nil {
		t.Fatal(err)
	}
	s.StopAfter(t, patience)
	return s
}

// ask asks for a container's name and returns the answer's code.
func ask(t *testing.T, s *rig.Server, name string) int {
	t.Helper()
	m, err := rig.Ask("udp", s.Addr, name, dns.TypeA)
	if err != nil {
		t.Fatal(err)
	}
	return m.Rcode
}

// lively has a server of which everything happens that metrics tell: it starts without its engine, which comes then with a
// container, and answers.
func lively(t *testing.T) *rig.Server {
	t.Helper()
	e := enginetest.New(t)
	if err := e.Down(); err != nil {
		t.Fatal(err)
	}
	s := serve(t, e.Host(), "share etcd http://127.0.0.1:1")
	err := s.Await(patience, s.Listens)
	if err != nil {
		t.Fatal(err)
	}
	if code := ask(t, s, "web.docker."); code != dns.RcodeServerFailure {
		t.Fatalf("before the engine has told its containers: %s", dns.RcodeToString[code])
	}
	e.Run(enginetest.Spec{Name: "web"})
	if err := e.Up(); err != nil {
		t.Fatal(err)
	}
	if err := s.AwaitReady(patience); err != nil {
		t.Fatal(err)
	}
	later := e.Run(enginetest.Spec{Name: "later"}) // of which an event tells
	err = s.Await(patience, func() error {
		if code := ask(t, s, "later.docker."); code != dns.RcodeSuccess {
			return fmt.Errorf("of container %.12s: %s", later, dns.RcodeToString[code])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// targets are the labels that Prometheus adds.
var targets = map[string]string{"job": "coredns", "instance": "127.0.0.1:9153"}

// exported returns the series that Prometheus has of the server, with what it adds itself.
func exported(t *testing.T, s *rig.Server) map[string][]map[string]string {
	t.Helper()
	page, err := rig.Get(s.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]map[string]string{"up": {targets}}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			for k, v := range targets {
				labels[k] = v
			}
			if f.GetType() != dto.MetricType_HISTOGRAM {
				all[name] = append(all[name], labels)
				continue
			}
			for _, suffix := range []string{"_count", "_sum"} {
				all[name+suffix] = append(all[name+suffix], labels)
			}
			bucket := map[string]string{model.BucketLabel: "+Inf"}
			for k, v := range labels {
				bucket[k] = v
			}
			all[name+"_bucket"] = append(all[name+"_bucket"], bucket)
		}
	}
	return all
}

// TestMetricsExist checks that the binary exports each metric, label and label's value by which the alerts and the dashboard ask, and
// that their expressions can be reckoned.
func TestMetricsExist(t *testing.T) {
	series := exported(t, lively(t))
	if len(series["coredns_docker_connected"]) != 1 {
		t.Fatalf("the hosts that are exported: %v", series["coredns_docker_connected"])
	}
	var all []question
	firing := map[string]string{"alertname": "DockerDNSAny", "alertstate": "firing"}
	for _, a := range alerts(t) {
		labels := shown(inText, a.Annotations["summary"]+a.Annotations["description"])
		all = append(all, question{a.Alert, a.Expr, labels})
		for name := range labels {
			firing[name] = "any"
		}
	}
	series["ALERTS"] = []map[string]string{firing}
	d := readDashboard(t)
	for _, q := range append(all, d.questions(t)...) {
		e, err := parse(q.expr)
		if err != nil {
			t.Errorf("%s: %v", q.of, err)
			continue
		}
		c := checker{series: series}
		has := c.result(e)
		for name := range q.labels {
			if !has[name] {
				c.problem("%s is shown of what has no such label", name)
			}
		}
		for _, problem := range c.problems {
			t.Errorf("%s: %s: %s", q.of, q.expr, problem)
		}
	}
}
