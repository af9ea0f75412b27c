package dockerdiscovery

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

// begins has a container begin to start of which events tell the name, the Compose service shop/db, and the host name below
// its label.
func (d *Docker) begins(name string, started bool) {
	s := &container.Starting{Container: &container.Container{ID: facts(name, "").ID, Name: name, Labels: map[string]string{
		"com.docker.compose.project": "shop", "com.docker.compose.service": "db", "coredns.dockerdiscovery.host": "*.wild",
	}}}
	if started {
		s.At = time.Now()
	}
	d.sink(d.hosts[0]).Apply([]container.Change{{ID: s.Container.ID, Starting: s}})
}

// runs has the container of begins run.
func (d *Docker) runs(name string) {
	c := facts(name, "a=10.1.0.7")
	c.Hostname = "www"
	c.Labels = map[string]string{
		"com.docker.compose.project": "shop", "com.docker.compose.service": "db", "coredns.dockerdiscovery.host": "*.wild",
	}
	d.set(c)
}

// waitResults are the ways in which waits end.
var waitResults = []string{waitAnswered, waitAbsent, waitTimeout, waitFull}

// waitCounts returns how many waits have ended in each way.
func waitCounts(t *testing.T) (all [4]int) {
	t.Helper()
	for result, n := range counts(t, arrivalWaits) {
		all[slices.Index(waitResults, result)] = n
	}
	return all
}

// counts returns what the counter of one label has counted, by the label's value.
func counts(t *testing.T, counter *prometheus.CounterVec) map[string]int {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(counter)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for _, m := range families[0].GetMetric() {
		all[m.GetLabel()[0].GetValue()] = int(m.GetCounter().GetValue())
	}
	return all
}

// waited returns how many queries have waited, and for how long together.
func waited(t *testing.T) (queries int, together time.Duration) {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(arrivalWaitDuration)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	h := families[0].GetMetric()[0].GetHistogram()
	return int(h.GetSampleCount()), time.Duration(math.Round(h.GetSampleSum()*1e3)) * time.Millisecond
}

// TestArrivalWaits checks which queries wait while a container starts that has the host name www, for how long, and how that is
// counted.
func TestArrivalWaits(t *testing.T) {
	const (
		soon = 10 * time.Millisecond // it runs then
		late = time.Second
	)
	for _, c := range []struct {
		name, zone, from, question string
		started                    bool // the event of its start has been read
		takes                      time.Duration

		want   string
		after  time.Duration
		result string // "" if it does not wait
	}{
		{"its name", "docker.", fromHost, "new.docker.", false, soon, "10.1.0.7", soon, waitAnswered},
		{"its name, for another case", "docker.", fromHost, "New.Docker.", false, soon, "10.1.0.7", soon, waitAnswered},
		{"its name, for the LAN", "docker.", fromLAN, "new.docker.", false, soon, "none", soon, waitAnswered},
		{"its name, and the start takes long", "docker.", fromHost, "new.docker.", false, late, "NXDOMAIN", arrivalWait, waitTimeout},
		{"its service", "docker.", fromHost, "db.shop.docker.", false, soon, "10.1.0.7", soon, waitAnswered},
		{"below a wildcard", "docker.", fromHost, "x.wild.docker.", false, soon, "10.1.0.7", soon, waitAnswered},
		{"a port that it has not", "docker.", fromHost, "_http._tcp.new.docker.", false, soon, "NXDOMAIN", soon, waitAbsent},
		{"its host name before the event", "docker.", fromHost, "www.docker.", false, soon, "NXDOMAIN", 0, ""},
		{"its host name", "docker.", fromHost, "www.docker.", true, soon, "10.1.0.7", soon, waitAnswered},
		{"its host name, and the engine takes long", "docker.", fromHost, "www.docker.", true, late, "NXDOMAIN", 50 * time.Millisecond, waitTimeout},
		{"nobody's name", "docker.", fromHost, "nope.docker.", false, soon, "NXDOMAIN", 0, ""},
		{"nobody's name after the event", "docker.", fromHost, "nope.docker.", true, soon, "NXDOMAIN", soon, waitAbsent},
		{"a name outside", "docker.", fromHost, "new.example.org.", true, soon, "REFUSED, next", 0, ""},
		{"its name in zone .", ".", fromHost, "new.", false, soon, "10.1.0.7", soon, waitAnswered},
		{"its name in zone ., for the LAN", ".", fromLAN, "new.", false, soon, "none", soon, waitAnswered},
		{"its host name in zone .", ".", fromHost, "www.", true, soon, "10.1.0.7", soon, waitAnswered},
		{"its service in zone .", ".", fromHost, "db.shop.", false, soon, "10.1.0.7", soon, waitAnswered},
		{"its service in zone ., for the LAN", ".", fromLAN, "db.shop.", true, soon, "REFUSED, next", 0, ""},
		{"the Internet's name", ".", fromHost, "www.example.org.", true, soon, "REFUSED, next", 0, ""},
		{"the Internet's name of two labels", ".", fromHost, "example.org.", true, soon, "REFUSED, next", 0, ""},
		{"the Internet's name, for the LAN", ".", fromLAN, "www.example.org.", true, soon, "REFUSED, next", 0, ""},
		{"an address", "10.in-addr.arpa.", fromHost, "9.9.9.10.in-addr.arpa.", true, soon, "NXDOMAIN", soon, waitAbsent},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := emptyDocker(func(cfg *config) { cfg.zone.Zones = []string{c.zone} })
				d.Next = plugin.HandlerFunc(next)
				before := waitCounts(t)
				queries, together := waited(t)
				d.begins("new", c.started)
				time.AfterFunc(c.takes, func() { d.runs("new") })
				began := time.Now()
				got := dig(t, d, c.from, c.question, dns.TypeA)
				if after := time.Since(began); got != c.want || after != c.after {
					t.Errorf("%q after %v, want %q after %v", got, after, c.want, c.after)
				}
				after := waitCounts(t)
				for i, result := range waitResults {
					want := 0
					if result == c.result {
						want = 1
					}
					if n := after[i] - before[i]; n != want {
						t.Errorf("%d waits are counted as %s, want %d", n, result, want)
					}
				}
				waits := 0
				if c.result != "" {
					waits = 1
				}
				if n, sum := waited(t); n != queries+waits || sum != together+c.after {
					t.Errorf("%d waits took %v, want %d and %v", n-queries, sum-together, waits, c.after)
				}
				time.Sleep(c.takes) // the fake clock's: nothing is left to run
			})
		})
	}
}

// TestStartedMeanwhile has a container start between a query's look-up and its look at who is starting, with and without another
// one that could have the name: it is answered at once.
func TestStartedMeanwhile(t *testing.T) {
	for _, another := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := emptyDocker(nil)
			q := zone.Query{Name: "db.shop.docker.", Spelled: "db.shop.docker.", Type: dns.TypeA}
			var res zone.Result
			seen := d.store.Snapshot()
			seen.Lookup(&q, &res)
			if res.Outcome != zone.NameError {
				t.Fatalf("before its start: %v", res.Outcome)
			}
			if another {
				d.begins("other", false)
			}
			d.runs("new")
			before, began := waitCounts(t), time.Now()
			d.lookupArriving(&q, &res, seen)
			if len(res.Answer) != 1 || time.Since(began) > 0 || waitCounts(t) != before {
				t.Errorf("another one starts %t: %v after %v, waits %v, before %v", another, res.Answer, time.Since(began), waitCounts(t), before)
			}
		})
	}
}

// TestManyWait has more queries come at once than may wait: the others are answered at once, and those that wait for just any
// name leave room for who asks for the container that starts.
func TestManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := emptyDocker(nil)
		before := waitCounts(t)
		d.begins("new", true)
		var got [2]atomic.Int32 // negative answers, addresses
		var asked sync.WaitGroup
		ask := func(n int, name func(int) string) {
			for i := range n {
				asked.Go(func() {
					if dig(t, d, fromHost, name(i), dns.TypeA) == "NXDOMAIN" {
						got[0].Add(1)
					} else {
						got[1].Add(1)
					}
				})
			}
			synctest.Wait()
		}
		check := func(what string, all, forAny, denied int32) {
			t.Helper()
			if n, any := waiting.Load(), waitingForAny.Load(); n != all || any != forAny || got[0].Load() != denied {
				t.Errorf("%s: %d wait, %d of them for any name, %d are denied; want %d, %d, %d", what, n, any, got[0].Load(), all, forAny, denied)
			}
		}
		ask(1000, func(i int) string { return fmt.Sprintf("nope%d.docker.", i) })
		check("a thousand names", maxWaitingForAny, maxWaitingForAny, 1000-maxWaitingForAny)
		ask(10000, func(int) string { return "new.docker." })
		check("ten thousand queries", maxWaiting, maxWaitingForAny, 11000-maxWaiting)
		d.runs("new")
		asked.Wait()
		check("it has started", 0, 0, 11000-maxWaiting/2)
		if n := got[1].Load(); n != maxWaiting/2 {
			t.Errorf("%d got its address, want %d", n, maxWaiting/2)
		}
		after := waitCounts(t)
		for i := range after {
			after[i] -= before[i]
		}
		if want := [4]int{maxWaiting / 2, maxWaitingForAny, 0, 11000 - maxWaiting}; after != want {
			t.Errorf("waits are counted as %v, want %v", after, want)
		}
	})
}

// TestWaitsForAnother has a query wait for a container of which not all names are known, when events tell of another one that could
// have its name.
func TestWaitsForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := emptyDocker(nil)
		d.begins("slow", true)
		time.AfterFunc(20*time.Millisecond, func() {
			d.begins("new", false)
			time.Sleep(80 * time.Millisecond)
			d.runs("new")
		})
		began := time.Now()
		got := dig(t, d, fromHost, "new.docker.", dns.TypeA)
		if after := time.Since(began); got != "10.1.0.7" || after != 100*time.Millisecond {
			t.Errorf("%q after %v", got, after)
		}
	})
}

// TestCrashLoops has containers that have run before begin to start anew, again and again: who asks for their names waits, and
// nobody else.
func TestCrashLoops(t *testing.T) {
	e := enginetest.New(t)
	inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n }\n}", freePort(t), e.Host()))
	d := running()[0]
	d.arrivalWait = time.Minute
	var ids []string
	for i := range 6 {
		ids = append(ids, e.Run(enginetest.Spec{Name: fmt.Sprint("loop", i), Hostname: fmt.Sprint("host", i)}))
	}
	expected := func(name string) bool {
		news, _ := d.catalog.Arrivals().Expect(name, true)
		return news != nil
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !is(); {
			if time.Now().After(end) {
				t.Fatalf("not within 10 s: %s", what)
			}
		}
	}
	for round := range 3 {
		for i, id := range ids {
			until("a container runs", func() bool {
				return dig(t, d, fromHost, fmt.Sprintf("loop%d.docker.", i), dns.TypeA) == e.IP(id, "bridge").String()
			})
			until("it is arriving no more", func() bool { return !expected(fmt.Sprintf("loop%d.docker.", i)) })
			e.Crash(id, 1)
		}
		release := e.BlockStarts()
		var starts sync.WaitGroup
		for i, id := range ids {
			starts.Go(func() { e.Start(id) })
			until("its host name is expected", func() bool { return expected(fmt.Sprintf("host%d.docker.", i)) })
		}
		before := waitCounts(t)
		for i := range 1000 {
			if got := dig(t, d, fromHost, fmt.Sprintf("r%d-%d.docker.", round, i), dns.TypeA); got != "NXDOMAIN" {
				t.Fatalf("a name of nobody's: %q", got)
			}
		}
		if after := waitCounts(t); after != before {
			t.Errorf("names of nobody's waited: %v, before %v", after, before)
		}
		for i, id := range ids {
			starts.Go(func() {
				if got, want := dig(t, d, fromHost, fmt.Sprintf("host%d.docker.", i), dns.TypeA), e.IP(id, "bridge").String(); got != want {
					t.Errorf("its host name: %q, want %q", got, want)
				}
			})
		}
		until("all six wait", func() bool { return waiting.Load() == 6 })
		release()
		starts.Wait()
		if after := waitCounts(t); after[0] != before[0]+6 {
			t.Errorf("%d waits were answered, want 6", after[0]-before[0])
		}
	}
}

// TestFirstQueryForHostName asks for a host name and an alias as soon as a container has been started, of which no event has told.
func TestFirstQueryForHostName(t *testing.T) {
	e := enginetest.New(t)
	e.AddNetwork("net")
	inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n }\n}", freePort(t), e.Host()))
	d := running()[0]
	before := waitCounts(t)
	for i := range 50 { // whether a query comes before the answer of the engine is up to the scheduler
		release := e.HangCalls("inspect")
		id := e.Run(enginetest.Spec{Hostname: fmt.Sprint("host", i), Networks: []enginetest.Attachment{{Network: "net", Aliases: []string{fmt.Sprint("alias", i)}}}})
		expected := func() bool {
			news, _ := d.catalog.Arrivals().Expect(fmt.Sprintf("host%d.docker.", i), true)
			return news != nil
		}
		for end := time.Now().Add(10 * time.Second); !expected() && time.Now().Before(end); {
		}
		var asked sync.WaitGroup
		for _, name := range []string{"host", "alias"} {
			asked.Go(func() { dig(t, d, fromHost, fmt.Sprintf("%s%d.docker.", name, i), dns.TypeA) })
		}
		release()
		asked.Wait()
		e.Remove(id)
		if waitCounts(t)[0] > before[0]+1 {
			return
		}
	}
	t.Error("no query for a host name or alias was answered when the container had started")
}
