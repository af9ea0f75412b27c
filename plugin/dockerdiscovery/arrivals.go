package dockerdiscovery

import (
	"sync/atomic"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

const (
	// An engine with much to do may hold on to a container that has started for some
	// tens of milliseconds. Resolvers ask again after a second at the earliest.
	arrivalWait = 250 * time.Millisecond

	// maxWaiting bounds how many queries wait at once, in all server blocks: each has a goroutine and its buffers.
	// maxWaitingForAny bounds those among them whose name is nobody's yet. They leave room for who asks for a container
	// that is known to start. maxWaitingForHost bounds those among these that wait for what one host's engine says: one that
	// hangs leaves room for the others.
	maxWaiting        = 256
	maxWaitingForAny  = maxWaiting / 2
	maxWaitingForHost = maxWaitingForAny / 2
)

// waiting and waitingForAny count the queries that wait.
var waiting, waitingForAny atomic.Int32

// How a wait ends, as the metric has it.
const (
	waitAnswered = "answered" // there is something at the name now
	waitAbsent   = "absent"   // nobody has the name of those who could have had it
	waitTimeout  = "timeout"  // it has taken too long
	waitFull     = "full"     // there was no wait, since too many wait
)

var arrivalWaits = promauto.NewCounterVec(prometheus.CounterOpts{
	Namespace: plugin.Namespace, Subsystem: subsystem, Name: "arrival_waits_total",
	Help: "Counter of queries that waited for a container that is starting. The result is answered, absent, timeout or full.",
}, []string{"result"})

var arrivalWaitDuration = promauto.NewHistogram(prometheus.HistogramOpts{
	Namespace: plugin.Namespace, Subsystem: subsystem, Name: "arrival_wait_duration_seconds",
	Buckets: plugin.TimeBuckets, NativeHistogramBucketFactor: plugin.NativeHistogramBucketFactor,
	Help: "Histogram of the time that a query waited for a container that is starting.",
})

func init() {
	for _, result := range []string{waitAnswered, waitAbsent, waitTimeout, waitFull} {
		arrivalWaits.WithLabelValues(result) // shows from the start
	}
}

// lookup looks the query up. A name that does not exist may be that of a container which is just starting: the engine
// is being asked what it is called, and usually answers within a millisecond. Who asks for it as soon as "docker run" returns
// must not be told that it does not exist.
func (d *Docker) lookup(q *zone.Query, res *zone.Result) {
	seen := d.store.Snapshot()
	seen.Lookup(q, res)
	if mayArrive(q, res) {
		d.lookupArriving(q, res, seen)
	}
}

// mayArrive reports whether a container's start may change the answer. In zone . the Internet's names are not
// made to wait: longer ones than one label are answered to the Docker host and containers alone.
func mayArrive(q *zone.Query, res *zone.Result) bool {
	switch res.Outcome {
	case zone.NameError, zone.EmptyNonTerminal, zone.Ended:
		return q.View.Asker != zone.Elsewhere || mayBeAny(q, res)
	default:
		return false
	}
}

// mayBeAny reports whether the name may turn out to be that of a container of which it is not known.
func mayBeAny(q *zone.Query, res *zone.Result) bool {
	return res.Zone != "." || dns.CountLabel(last(q, res)) == 1
}

// lookupArriving waits until the name may have an answer that it has not in the snapshot seen, and looks it up again, as long
// as there is something to wait for.
func (d *Docker) lookupArriving(q *zone.Query, res *zone.Result, seen *zone.Snapshot) {
	look := func() {
		if now := d.store.Snapshot(); now != seen {
			seen = now
			seen.Lookup(q, res)
		}
	}
	e := expectation{Docker: d}
	for mayArrive(q, res) {
		expects := e.next(q, res)
		look() // what was expected a moment ago may have come
		if !mayArrive(q, res) || !expects {
			break
		}
		more := e.wait()
		look() // before an engine whose events are late is asked; what another host has told may be what is asked for
		if !more {
			break
		}
	}
	if e.result != "" && !mayArrive(q, res) {
		e.result = waitAnswered
	}
	if e.result != "" {
		arrivalWaits.WithLabelValues(e.result).Inc()
	}
	if !e.began.IsZero() {
		arrivalWaitDuration.Observe(time.Since(e.began).Seconds())
	}
}

// expectation is what one query waits for.
type expectation struct {
	*Docker
	news     <-chan struct{} // closed when the name may have an answer
	deadline time.Time       // until when that is worth waiting for; zero if arrivalWait alone decides
	forAny   bool            // any name may have an answer then
	host     *watchedHost    // whose engine says so; nil if a container's start does

	result string    // how the last wait has ended, if it was in vain; "" before the first
	began  time.Time // of the first wait
	asked  bool      // the engines have been asked whether a container has started
	asking []answer  // those that have still to be waited for
}

// answer is closed when a host's engine has said who runs.
type answer struct {
	host *watchedHost
	done <-chan struct{}
}

// next finds out what the query is to wait for, and reports whether there is something. That is: a container that could have
// the name is starting. Or after a time without a connection the engine has not said yet who runs. Or it is one that
// tells of starts late, and is asked whether there was one.
func (e *expectation) next(q *zone.Query, res *zone.Result) bool {
	any := mayBeAny(q, res)
	e.news, e.deadline = e.catalog.Arrivals().Expect(last(q, res), any)
	e.forAny, e.host = e.news == nil || !e.deadline.IsZero(), nil
	if e.news != nil || !any {
		return e.news != nil
	}
	for _, h := range e.hosts {
		if e.news == nil && h.watcher != nil {
			e.news, e.host = h.watcher.CatchingUp(), h
		}
	}
	if e.news == nil {
		e.ask()
	}
	if e.news == nil && len(e.asking) > 0 {
		e.news, e.host = e.asking[0].done, e.asking[0].host
		e.asking = e.asking[1:]
	}
	return e.news != nil
}

// ask asks the engines that tell late, all at once: one that is slow is not in the way of the others. It does so once.
func (e *expectation) ask() {
	if e.asked {
		return
	}
	e.asked = true
	for _, h := range e.hosts {
		if h.watcher == nil {
			continue
		}
		if done := h.watcher.Refresh(e.arrivalWait); done != nil {
			e.asking = append(e.asking, answer{h, done})
		}
	}
}

// wait waits for what next has found, and reports whether the query may wait for more.
func (e *expectation) wait() bool {
	counts := e.counts()
	if !enter(counts) {
		e.result = waitFull
		return false
	}
	defer leave(counts)
	if e.began.IsZero() {
		e.began = time.Now()
	}
	end := e.began.Add(e.arrivalWait)
	if e.deadline.IsZero() || end.Before(e.deadline) {
		e.deadline = end
	}
	timeout := time.NewTimer(time.Until(e.deadline))
	defer timeout.Stop()
	select {
	case <-e.news:
		e.result = waitAbsent
		return true
	case <-timeout.C:
		e.result = waitTimeout
		return e.deadline.Before(end)
	}
}

// count is of queries that wait, of which there may be so many at once.
type count struct {
	waiting *atomic.Int32
	most    int32
}

// counts returns those among which the query is counted while it waits.
func (e *expectation) counts() []count {
	counts := []count{{&waiting, maxWaiting}}
	if e.forAny {
		counts = append(counts, count{&waitingForAny, maxWaitingForAny})
	}
	if e.host != nil {
		counts = append(counts, count{&e.host.waiting, maxWaitingForHost})
	}
	return counts
}

// enter counts a query more, and reports whether it may wait. The caller must call leave then.
func enter(counts []count) bool {
	for i, c := range counts {
		if c.waiting.Add(1) > c.most {
			leave(counts[:i+1])
			return false
		}
	}
	return true
}

// leave undoes enter.
func leave(counts []count) {
	for _, c := range counts {
		c.waiting.Add(-1)
	}
}
