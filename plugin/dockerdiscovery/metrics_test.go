package dockerdiscovery

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	golog "log"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
)

// logged returns the lines that are logged meanwhile.
func logged(do func()) []string {
	var out bytes.Buffer
	golog.SetOutput(&out)
	defer golog.SetOutput(io.Discard)
	do()
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
