package status_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// changing is a docker block whose containers change.
type changing struct {
	*block
	catalog *catalog.Catalog
}

func newChanging(t *testing.T) *changing {
	zones := zone.NewStore(zone.Config{Zones: []string{"docker."}, TTL: 5})
	c := &changing{docker(0), catalog.New(catalog.Config{
		Rules: naming.Rules{Zones: []string{"docker."}, Sources: naming.Sources(), Reserved: func(string) bool { return false }},
		Store: zones, Startup: time.Hour, Forget: time.Hour,
	})}
	t.Cleanup(c.catalog.Close)
	return c
}

func (c *changing) Containers() iter.Seq[catalog.Explanation] { return c.catalog.All() }
func (c *changing) Container(key zone.Key) (catalog.Explanation, bool) {
	return c.catalog.Of(key)
}
func (c *changing) Changes(since uint64) catalog.Changes { return c.catalog.Changes(since) }

// run has the containers run on host nas.
func (c *changing) run(all ...*container.Container) {
	for _, facts := range all {
		c.catalog.Feed("nas").Apply([]container.Change{{ID: facts.ID, Container: facts, Cause: "start"}})
	}
}

func (c *changing) remove(facts *container.Container) {
	c.catalog.Feed("nas").Apply([]container.Change{{ID: facts.ID, Gone: true, Cause: "destroy"}})
}

// listener is a page that listens to events.
type listener struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

// listen asks for events. The answer has the status.
func listen(t *testing.T, l *pipes, want int, path string, fields ...string) *listener {
	t.Helper()
	e := &listener{t: t, Conn: l.dial()}
	e.r = bufio.NewReader(e)
	fmt.Fprintf(e, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path, strings.Join(append(fields, ""), "\r\n"))
	answer, err := http.ReadResponse(e.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != want {
		t.Fatalf("%s, want %d", answer.Status, want)
	}
	e.r = bufio.NewReader(answer.Body)
	return e
}

// event is one that a listener has heard.
type event struct {
	id           string
	Reset, Whole bool
	Lines        []struct{ Key, Order, Text, Name, State, HTML string }
	Gone         []string
	Summary      string
}

// next reads the next event.
func (e *listener) next() (ev event) {
	e.t.Helper()
	for {
		line, err := e.r.ReadString('\n')
		if err != nil {
			e.t.Fatal(err)
		}
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ": "); name {
		case "id":
			ev.id = value
		case "data":
			if err := json.Unmarshal([]byte(value), &ev); err != nil {
				e.t.Fatal(err)
			}
		case "":
			return ev
		}
	}
}

// hears checks what the next events say, up to one with a number: RESET, the lines as NAME=STATE, -KEY for those that have gone,
// and how long it took, but for the rests of a few milliseconds that the server takes.
func (e *listener) hears(want string) (id string) {
	e.t.Helper()
	began := time.Now()
	var all []string
	for id == "" {
		ev := e.next()
		id = ev.id
		if ev.Reset {
			all = append(all, "RESET")
		}
		for _, l := range ev.Lines {
			all = append(all, l.Name+"="+l.State)
		}
		for _, key := range ev.Gone {
			all = append(all, "-"+key)
		}
	}
	all = append(all, time.Since(began).Truncate(100*time.Millisecond).String())
	if got := strings.Join(all, " "); got != want {
		e.t.Errorf("heard %q, want %q", got, want)
	}
	return id
}

// serving starts a server of the block until the test's end.
func serving(t *testing.T, b status.Block) *pipes {
	l := newPipes()
	t.Cleanup(status.New(func() []status.Block { return []status.Block{b} }, nil).Start(l, t.Errorf))
	return l
}

// TestEvents checks what a page hears of changes, and when.
func TestEvents(t *testing.T) {
	web, api := containertest.New("web", "front=10.1.0.2"), containertest.New("api", "front=10.1.0.3")
	paused := *web
	paused.Paused = true
	synctest.Test(t, func(t *testing.T) {
		b := newChanging(t)
		b.run(web)
		l := serving(t, b)
		e := listen(t, l, 200, "/events")
		e.hears("RESET web=running 0s")
		time.Sleep(time.Second)
		b.run(api)
		e.hears("api=running 0s")
		b.run(&paused)
		b.run(web)
		e.hears("web=running 200ms") // both changes
		time.Sleep(time.Second)
		b.remove(api)
		last := e.hears("api=ended 0s")
		e.hears("12.8s") // a sign of life

		b.run(api)
		again := listen(t, l, 200, "/events", "Last-Event-ID: "+last)
		again.hears("api=running 0s")
		listen(t, l, 200, "/events", "Last-Event-ID: 7").hears("RESET api=running web=running 0s")
		listen(t, l, 200, "/events", "Last-Event-ID: of another program").hears("RESET api=running web=running 0s")

		asker := listen(t, l, 200, "/events?from=web")
		asker.hears("RESET api=running web=running 0s")
		time.Sleep(time.Second)
		b.run(&paused) // others may have other addresses for it
		asker.hears("RESET api=running web=paused 0s")
	})
}

// TestForgotten checks that a container goes from the page when nothing is known of it any more, which is no change.
func TestForgotten(t *testing.T) {
	web := containertest.New("web", "front=10.1.0.2")
	synctest.Test(t, func(t *testing.T) {
		b := newChanging(t)
		b.run(web)
		e := listen(t, serving(t, b), 200, "/events")
		e.hears("RESET web=running 0s")
		time.Sleep(time.Second)
		b.remove(web)
		e.hears("web=ended 0s")
		for range 45 {
			if ev := e.next(); len(ev.Gone) > 0 {
				if len(ev.Gone) != 1 || ev.Gone[0] != "nas,"+web.ID {
					t.Errorf("%q has gone", ev.Gone)
				}
				return
			}
		}
		t.Error("after ten minutes the page has a container that was removed")
	})
}

// TestManyEvents checks that a large table comes in parts, and that too many changes are told by a new one.
func TestManyEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChanging(t)
		for i := range 2000 {
			b.run(containertest.New(fmt.Sprintf("c%04d", i), "front=10.1.0.2"))
		}
		l := serving(t, b)
		e := listen(t, l, 200, "/events")
		for range 2 {
			lines := 0
			for ev := e.next(); ; ev = e.next() {
				if ev.Reset != (lines == 0) {
					t.Errorf("after %d lines the table begins anew: %v", lines, ev.Reset)
				}
				if lines += len(ev.Lines); len(ev.Lines) > 250 {
					t.Errorf("%d lines in one event", len(ev.Lines))
				}
				if ev.Whole {
					break
				}
			}
			if lines != 2000 {
				t.Errorf("%d lines, want 2000", lines)
			}
			for i := range 2000 {
				c := containertest.New(fmt.Sprintf("c%04d", i), "front=10.1.0.2")
				c.Paused = true
				b.run(c)
			}
		}
	})
}

// TestListeners checks that there is a bound on how many listen, and that who leaves, or does not read, makes room.
func TestListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChanging(t)
		b.run(containertest.New("web", "front=10.1.0.2"))
		l := serving(t, b)
		var all []*listener
		for range 32 {
			e := listen(t, l, 200, "/events")
			e.hears("RESET web=running 0s")
			all = append(all, e)
		}
		listen(t, l, 503, "/events").Close()
		all[0].Close()
		synctest.Wait()
		all[0] = listen(t, l, 200, "/events")
		all[0].hears("RESET web=running 0s")
		listen(t, l, 503, "/events").Close()
		time.Sleep(time.Minute) // in which nobody reads the signs of life
		listen(t, l, 200, "/events").hears("RESET web=running 0s")
	})
}

// TestEventsEnd checks that a server's end does not wait for who listens, and that these hear of it, however long nothing was told.
func TestEventsEnd(t *testing.T) {
	for _, quiet := range []time.Duration{0, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			b := newChanging(t)
			l := newPipes()
			stop := status.New(func() []status.Block { return []status.Block{b} }, nil).Start(l, t.Errorf)
			e := listen(t, l, 200, "/events")
			e.hears("RESET 0s")
			time.Sleep(quiet)
			began := time.Now()
			var end sync.WaitGroup
			end.Go(stop)
			if rest, err := io.ReadAll(e.r); err != nil || len(rest) > 0 {
				t.Errorf("after %v: %q, %v", quiet, rest, err)
			}
			end.Wait()
			if took := time.Since(began); took > time.Second {
				t.Errorf("after %v the end takes %v", quiet, took)
			}
		})
	}
}

// TestWrongEvents checks who gets no events.
func TestWrongEvents(t *testing.T) {
	s := serverOf(docker(1))
	body(t, get(s, "GET", "/events?block=nobody"), http.StatusNotFound)
	body(t, get(s, "GET", "/events?what=1"), http.StatusBadRequest)
	body(t, get(serverOf(), "GET", "/events"), http.StatusNotFound)
	if r := get(s, "HEAD", "/events"); r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %s, %s", r.Status, r.Header)
	}
}
