package dockerdiscovery

import (
	"bytes"
	"errors"
	"io"
	golog "log"
	"strings"
	"testing"
)

// What can't be read in an engine's answers is logged once for each engine and call.
func TestUnreadableIsLoggedOnce(t *testing.T) {
	var out bytes.Buffer
	golog.SetOutput(&out)
	defer golog.SetOutput(io.Discard)
	o := &observer{unreadable: map[[2]string]bool{}}
	for range 3 {
		for _, host := range []string{"unix:///one", "unix:///two"} {
			for _, call := range []string{"info", "networks"} {
				o.Unreadable(host, call, errors.New("odd"))
			}
		}
	}
	golog.SetOutput(io.Discard)
	if n := strings.Count(out.String(), "Docker Engine at unix:///"); n != 4 || !strings.Contains(out.String(), "unix:///one: part of its answer to networks can't be read and is done without: odd") {
		t.Errorf("logged %d times, want 4:\n%s", n, out.String())
	}
}
