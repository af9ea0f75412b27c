package dockerdiscovery

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
)

const subsystem = "docker"

var (
	eventsTotal = promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace, Subsystem: subsystem, Name: "events_total",
		Help: "Counter of the engine's events.",
	}, []string{"host", "type", "action"})
	apiCallsTotal = promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace, Subsystem: subsystem, Name: "api_calls_total",
		Help: "Counter of calls to the engine's API. The result is ok, error, timeout or canceled.",
	}, []string{"host", "call", "result"})
	apiCallDuration = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: plugin.Namespace, Subsystem: subsystem, Name: "api_call_duration_seconds",
		// An inspect gives up after 10 seconds: it lies below the last one.
		Buckets: prometheus.ExponentialBuckets(0.00025, 4, 9), NativeHistogramBucketFactor: plugin.NativeHistogramBucketFactor,
		Help: "Histogram of the time that a call to the engine's API took, but for those that were canceled.",
	}, []string{"host", "call"})
	reconcileDuration = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: plugin.Namespace, Subsystem: subsystem, Name: "reconcile_duration_seconds",
		Buckets: plugin.TimeBuckets, NativeHistogramBucketFactor: plugin.NativeHistogramBucketFactor,
		Help: "Histogram of the time that a reconciliation with the engine took.",
	}, []string{"host"})
	recordLag = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: plugin.Namespace, Subsystem: subsystem, Name: "record_lag_seconds",
		Buckets: plugin.TimeBuckets, NativeHistogramBucketFactor: plugin.NativeHistogramBucketFactor,
		Help: "Histogram of the time from a container's change in the engine to the record being served.",
	}, []string{"host"})
)

// ofHosts are those whose series are of one host, and go with it.
var ofHosts = []*prometheus.MetricVec{
	eventsTotal.MetricVec, apiCallsTotal.MetricVec, apiCallDuration.MetricVec, reconcileDuration.MetricVec, recordLag.MetricVec,
}

// live computes its gauges at each scrape from the running watchers and plugins: one that has ended
// leaves no series behind.
type live struct{}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, subsystem, name), help, labels, nil)
}

var (
	connectedDesc  = desc("connected", "1 while the engine's events are being read, else 0.", "host")
	reconciledDesc = desc("last_reconcile_timestamp_seconds", "Unix time of the last reconciliation in which no container failed.", "host")
	containersDesc = desc("containers", "Number of running containers.", "host")
	namesDesc      = desc("names", "Number of owner names with records.")
	recordsDesc    = desc("records", "Number of address and PTR records.")
	lostDesc       = desc("lost_claims", "Number of claims to a name that another container keeps for itself.", "host")
	skippedDesc    = desc("skipped_names", "Number of containers' names that can't be names in DNS.", "host")
	servicesDesc   = desc("services", "Number of services of Swarms.")
	tasksDesc      = desc("tasks", "Number of the services' tasks that serve.")
	leftOutDesc    = desc("left_out_containers", "Number of containers without names. The reason is disabled, not_opted_in, filtered, no_name or unread.", "host", "reason")
)

// leftOutReasons are how the metric calls why running containers have no names.
var leftOutReasons = map[naming.LeftOut]string{naming.Disabled: "disabled", naming.NotOptedIn: "not_opted_in", naming.Filtered: "filtered", naming.NoName: "no_name"}

func init() { prometheus.MustRegister(live{}) }

// Describe implements prometheus.Collector.
func (live) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connectedDesc, reconciledDesc, containersDesc, namesDesc, recordsDesc, lostDesc, skippedDesc, leftOutDesc, servicesDesc, tasksDesc, shareReachedDesc, shareOwnedDesc, shareSkippedDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (live) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	aside := map[string]bool{} // hosts whose containers count as those of other hosts
	for _, d := range running() {
		for _, source := range d.twins.aside() {
			aside[labelOf(source)] = true
		}
	}
	for source, s := range engine.States() {
		host := labelOf(source)
		if aside[host] {
			s.Containers = 0
		}
		connected := 0.
		if s.Connected {
			connected = 1
		}
		gauge(connectedDesc, connected, host)
		gauge(containersDesc, float64(s.Containers), host)
		if !s.Reconciled.IsZero() {
			gauge(reconciledDesc, float64(s.Reconciled.UnixNano())/1e9, host)
		}
	}
	var names, records, services, tasks int
	lost, skipped := map[container.HostID]int{}, map[container.HostID]int{}
	leftOut := map[container.HostID]map[string]int{}
	for _, d := range running() {
		s := d.store.Snapshot()
		names += s.Names
		records += s.Records
		if d.catalog.HasSwarm() {
			has, serving := d.catalog.Swarm().Count()
			services, tasks = services+has, tasks+serving
		}
		for host, n := range d.catalog.Skipped() {
			skipped[host] += n
			lost[host] += s.Lost()[host]
		}
		for host, l := range d.catalog.LeftOut() {
			if aside[string(host)] {
				l = catalog.LeftOut{}
			}
			if leftOut[host] == nil {
				leftOut[host] = map[string]int{}
			}
			for why, reason := range leftOutReasons {
				leftOut[host][reason] += l.By[why]
			}
			leftOut[host]["unread"] += l.Unread
		}
	}
	collectOthers(gauge)
	collectShares(gauge)
	gauge(namesDesc, float64(names))
	gauge(recordsDesc, float64(records))
	gauge(servicesDesc, float64(services))
	gauge(tasksDesc, float64(tasks))
	for host, n := range skipped {
		gauge(skippedDesc, float64(n), string(host))
		gauge(lostDesc, float64(lost[host]), string(host))
		for reason, n := range leftOut[host] {
			gauge(leftOutDesc, float64(n), string(host), reason)
		}
	}
}

// observer logs what an operator can act on and counts the rest. It implements
// engine.Observer.
type observer struct {
	mu         sync.Mutex // guards the following
	links      map[engine.Source]*link
	news       map[engine.Source]news
	unreadable map[[2]string]bool // addresses and calls whose odd answers have been logged
}

var observed = newObserver()

func newObserver() *observer {
	return &observer{links: map[engine.Source]*link{}, news: map[engine.Source]news{}, unreadable: map[[2]string]bool{}}
}

// link says what the log has last about the connection to an engine.
type link struct {
	away  bool      // the last line says that the engine is away
	cause string    // why it is away, as logged last, without digits: ports and times change
	at    time.Time // when that was logged
}

// news is what has been told last of an engine.
type news struct {
	engine string // its name and version
	err    error  // why it could not be reached, or its event stream ended
	errAt  time.Time
	lag    time.Duration // of a change
}

// last returns what has been told last of the engine.
func (o *observer) last(from engine.Source) news {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.news[from]
}

// tell notes what is told of an engine. The caller holds mu.
func (o *observer) tell(from engine.Source, note func(*news)) {
	n := o.news[from]
	note(&n)
	o.news[from] = n
}

const (
	// Causes that follow each other are logged so far apart: an engine that ends is first one that closes, then one
	// that refuses.
	causeAfter = 10 * time.Second
	// An engine that comes and goes for one cause has it logged so far apart.
	flapAfter = time.Minute
)

func (o *observer) link(from engine.Source) *link {
	if o.links[from] == nil {
		o.links[from] = &link{}
	}
	return o.links[from]
}

func (o *observer) Connected(from engine.Source, description string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tell(from, func(n *news) { n.engine = description })
	l := o.link(from)
	if !l.away && !l.at.IsZero() { // its last absence was not logged either
		log.Debugf("Watching Docker Engine %s %s", description, at(from))
		return
	}
	l.away = false
	log.Infof("Watching Docker Engine %s %s", description, at(from))
}

func (o *observer) Disconnected(from engine.Source, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l, now := o.link(from), time.Now()
	o.tell(from, func(n *news) { n.err, n.errAt = err, now })
	cause := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, err.Error())
	quiet := causeAfter
	if cause == l.cause {
		quiet = flapAfter
	}
	if l.away && cause == l.cause || !l.at.IsZero() && now.Sub(l.at) < quiet {
		log.Debugf("Docker Engine %s: %v", at(from), err)
		return
	}
	*l = link{away: true, cause: cause, at: now}
	log.Errorf("Docker Engine %s: %v%s; retrying until it answers", at(from), err, engineHint(string(from), err))
}

func (o *observer) Event(from engine.Source, kind, action string) {
	withLabel(from, func(host string) { eventsTotal.WithLabelValues(host, kind, action).Inc() })
}

func (o *observer) Call(from engine.Source, name string, took time.Duration, err error) {
	result := "ok"
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		result = "timeout"
	case errors.Is(err, context.Canceled):
		result = "canceled"
	case err != nil:
		result = "error"
	}
	withLabel(from, func(host string) {
		apiCallsTotal.WithLabelValues(host, name, result).Inc()
		if result != "canceled" { // it would have taken longer
			apiCallDuration.WithLabelValues(host, name).Observe(took.Seconds())
		}
	})
}

func (o *observer) Reconciled(from engine.Source, took time.Duration, _ int) {
	withLabel(from, func(host string) { reconcileDuration.WithLabelValues(host).Observe(took.Seconds()) })
}

func (o *observer) InspectFailed(from engine.Source, id string, err error) {
	aboutContainers.logf("Container %.12s%s can't be inspected, trying again: %v", id, on(from), err)
}

func (o *observer) LeftOut(from engine.Source, id string, err error) {
	aboutContainers.logf("Container %.12s%s is left out: %v", id, on(from), err)
}

// Unreadable logs once for each engine and call: an engine that says something odd will do so
// each time.
func (o *observer) Unreadable(from engine.Source, call string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if key := [2]string{string(from), call}; !o.unreadable[key] {
		o.unreadable[key] = true
		log.Warningf("Docker Engine %s: part of its answer to %s can't be read and is done without: %v", at(from), call, err)
	}
}

func (o *observer) Applied(from engine.Source, lag time.Duration) {
	withLabel(from, func(host string) { recordLag.WithLabelValues(host).Observe(lag.Seconds()) })
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tell(from, func(n *news) { n.lag = lag })
}
