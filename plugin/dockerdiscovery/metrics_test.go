package dockerdiscovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	golog "log"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

// logged returns the lines that are logged meanwhile.
func logged(do func()) []string {
	var out bytes.Buffer
	golog.SetOutput(&out)
	defer golog.SetOutput(io.Discard)
	do()
	golog.SetOutput(io.Discard) // what a server logs yet
	return slices.Collect(strings.Lines(out.String()))
}

// What can't be read in an engine's answers is logged once for each engine and call.
func TestUnreadableIsLoggedOnce(t *testing.T) {
	o := newObserver()
	lines := logged(func() {
		for range 3 {
			for _, host := range []string{"unix:///one", "unix:///two"} {
				for _, call := range []string{"info", "networks"} {
					o.Unreadable(engine.Source(host), call, errors.New("odd"))
				}
			}
		}
	})
	if len(lines) != 4 || !strings.Contains(lines[1], "unix:///one: part of its answer to networks can't be read and is done without: odd") {
		t.Errorf("%d lines, want 4:\n%s", len(lines), lines)
	}
}

// An engine that comes and goes is logged once a cause, and the last line says whether it is there.
func TestFlapsAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObserver()
		const host = "tcp://engine:1"
		from := engine.Source(host)
		ends := func(cause string) func() { return func() { o.Disconnected(from, errors.New(cause)) } }
		comes := func() { o.Connected(from, "28") }
		step := func(what string, do func(), want string) {
			t.Helper()
			lines := logged(do)
			if got := strings.Join(lines, ""); len(lines) > 1 || !strings.Contains(got, want) || (want == "") != (got == "") {
				t.Errorf("%s: %q, want %q", what, lines, want)
			}
			time.Sleep(time.Second)
		}
		step("it is there", comes, "[INFO] plugin/docker: Watching Docker Engine 28 at "+host)
		step("it ends", ends("read 127.0.0.1:40001: reset"), "[ERROR] plugin/docker: Docker Engine at "+host+": read 127.0.0.1:40001: reset")
		step("it is refused", ends("refused"), "") // the same story
		time.Sleep(causeAfter)
		step("it stays refused", ends("refused"), "refused")
		time.Sleep(time.Hour)
		step("for an hour", ends("refused"), "")
		step("it is back", comes, "Watching")
		time.Sleep(time.Hour)
		for range 20 {
			step("it ends", ends("closed"), "closed")
			step("it comes", comes, "Watching")
			for port := range 15 { // it comes and goes
				step("it ends again", ends(fmt.Sprint("closed", port)), "")
				step("and comes again", comes, "")
			}
			time.Sleep(flapAfter)
		}
		step("it ends", ends("closed"), "closed")
		step("it comes", comes, "Watching")
		step("it ends at once", ends("closed"), "")
		time.Sleep(flapAfter)
		step("and stays away", ends("closed"), "closed")
	})
}

// A flood of warnings about containers is cut, and its size told.
func TestWarningsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWarnings()
		lines := logged(func() {
			for i := range 10000 {
				w.logf("Container %d", i)
			}
			time.Sleep(warningsCounted)
			synctest.Wait()
			w.logf("Container last")
		})
		if n := len(lines); n != warningsAtOnce+2 || !strings.Contains(lines[n-2], fmt.Sprint(10000-warningsAtOnce, " more warnings")) || !strings.Contains(lines[n-1], "Container last") {
			t.Errorf("%d lines, want %d; the last are %q", n, warningsAtOnce+2, lines[max(0, n-3):])
		}
	})
}

// samples returns the samples of a metric of the plugin's by their labels' values, apart by blanks: values, or how many a histogram has
// taken.
func samples(t *testing.T, name string) map[string]float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "coredns_docker_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() { // by name
				labels = append(labels, l.GetValue())
			}
			all[strings.Join(labels, " ")] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// TestLeftOutContainers has containers on two hosts that have no names for each reason, in a server block each of which
// one has opt_in.
func TestLeftOutContainers(t *testing.T) {
	a, b := enginetest.New(t), enginetest.New(t)
	a.Run(enginetest.Spec{Name: "web"})
	a.Run(enginetest.Spec{Name: "off", Labels: map[string]string{"coredns.dockerdiscovery.enable": "false"}})
	odd := a.Run(enginetest.Spec{Name: "odd"})
	a.RawInspect(odd, []byte("{}"))
	b.Run(enginetest.Spec{Name: "web"})
	port := freePort(t)
	inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s a\n }\n}\nlan:%s {\n docker {\n endpoint %s b\n names label\n }\n}\nin:%s {\n docker {\n endpoint %s b\n opt_in\n }\n}",
		port, a.Host(), port, b.Host(), port, b.Host()))
	want := map[string]float64{
		"a disabled": 1, "a filtered": 0, "a no_name": 0, "a not_opted_in": 0, "a unread": 1,
		"b disabled": 0, "b filtered": 0, "b no_name": 1, "b not_opted_in": 1, "b unread": 0,
	}
	check := func() bool { return maps.Equal(samples(t, "left_out_containers"), want) }
	eventually(t, "who is left out", check)
	a.RawInspect(odd, nil)
	a.Pause(odd) // has it inspected anew
	want["a unread"] = 0
	eventually(t, "who can be read again", check)
}

// TestCallDurations checks that each kind of call has its time, failures too, but for calls that nobody waited for.
func TestCallDurations(t *testing.T) {
	o := newObserver()
	const from = "tcp://durations:1"
	o.Call(from, "list", time.Second, nil)
	o.Call(from, "list", time.Second, errors.New("refused"))
	o.Call(from, "inspect", time.Second, context.DeadlineExceeded)
	o.Call(from, "inspect", time.Second, context.Canceled)
	o.Call(from, "info", time.Second, context.Canceled)
	defer func() {
		for _, v := range ofHosts {
			v.DeletePartialMatch(prometheus.Labels{"host": from})
		}
	}()
	got := samples(t, "api_call_duration_seconds")
	maps.DeleteFunc(got, func(labels string, _ float64) bool { return !strings.HasSuffix(labels, from) })
	if want := map[string]float64{"list " + from: 2, "inspect " + from: 1}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
