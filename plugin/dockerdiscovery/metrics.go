package dockerdiscovery

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
)

const subsystem = "docker"

var (
	eventsTotal = promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace, Subsystem: subsystem, Name: "events_total",
		Help: "Counter of the engine's events.",
	}, []string{"type", "action"})
	apiCallsTotal = promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace, Subsystem: subsystem, Name: "api_calls_total",
		Help: "Counter of calls to the engine's API. The result is ok, error, timeout or canceled.",
	}, []string{"call", "result"})
	reconcileDuration = promauto.NewHistogram(prometheus.HistogramOpts{
		Namespace: plugin.Namespace, Subsystem: subsystem, Name: "reconcile_duration_seconds",
		Buckets: plugin.TimeBuckets, NativeHistogramBucketFactor: plugin.NativeHistogramBucketFactor,
		Help: "Histogram of the time that a reconciliation with the engine took.",
	})
	lastReconcile = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: plugin.Namespace, Subsystem: subsystem, Name: "last_reconcile_timestamp_seconds",
		Help: "Unix time of the last reconciliation in which no container failed.",
	}, []string{"endpoint"})
	recordLag = promauto.NewHistogram(prometheus.HistogramOpts{
		Namespace: plugin.Namespace, Subsystem: subsystem, Name: "record_lag_seconds",
		Buckets: plugin.TimeBuckets, NativeHistogramBucketFactor: plugin.NativeHistogramBucketFactor,
		Help: "Histogram of the time from a container's change in the engine to the record being served.",
	})
)

// live is a collector of what is now. Each scrape asks the running watchers and
// plugins, so that nothing is left of one that has ended.
type live struct{}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, subsystem, name), help, labels, nil)
}

var (
	connectedDesc  = desc("connected", "1 while the engine's events are being read, else 0.", "endpoint")
	containersDesc = desc("containers", "Number of running containers.", "endpoint")
	namesDesc      = desc("names", "Number of owner names with records.")
	recordsDesc    = desc("records", "Number of address and PTR records.")
	lostDesc       = desc("lost_claims", "Number of claims to a name that another container keeps for itself.")
	skippedDesc    = desc("skipped_names", "Number of containers' names that can't be names in DNS.")
)

func init() { prometheus.MustRegister(live{}) }

// Describe implements prometheus.Collector.
func (live) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connectedDesc, containersDesc, namesDesc, recordsDesc, lostDesc, skippedDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (live) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	for _, w := range engine.Watchers() {
		connected := 0
		if w.Connected() {
			connected = 1
		}
		gauge(connectedDesc, connected, w.Host())
		gauge(containersDesc, w.Containers(), w.Host())
	}
	var names, records, lost, skipped int
	for _, d := range running() {
		s := d.store.Snapshot()
		names += s.Names
		records += s.Records
		lost += s.Lost
		skipped += int(d.skipped.Load())
	}
	gauge(namesDesc, names)
	gauge(recordsDesc, records)
	gauge(lostDesc, lost)
	gauge(skippedDesc, skipped)
}

// observer logs what an operator can act on and counts the rest. It implements
// engine.Observer.
type observer struct {
	mu         sync.Mutex         // guards the following
	away       map[string]bool    // hosts whose absence has been logged
	unreadable map[[2]string]bool // hosts and calls whose odd answers have been logged
}

var observed = &observer{away: map[string]bool{}, unreadable: map[[2]string]bool{}}

func (o *observer) Connected(host, description string) {
	o.setAway(host, false)
	log.Infof("Watching Docker Engine %s at %s", description, host)
}

func (o *observer) Disconnected(host string, err error) {
	if o.setAway(host, true) {
		log.Debugf("Docker Engine at %s: %v", host, err)
		return
	}
	log.Errorf("Docker Engine at %s: %v; retrying until it answers", host, err)
}

// setAway returns what was set before.
func (o *observer) setAway(host string, away bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.away[host]
	o.away[host] = away
	return before
}

func (o *observer) Event(kind, action string) { eventsTotal.WithLabelValues(kind, action).Inc() }

func (o *observer) Call(name string, _ time.Duration, err error) {
	result := "ok"
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		result = "timeout"
	case errors.Is(err, context.Canceled):
		result = "canceled"
	case err != nil:
		result = "error"
	}
	apiCallsTotal.WithLabelValues(name, result).Inc()
}

func (o *observer) Reconciled(host string, took time.Duration, failed int) {
	reconcileDuration.Observe(took.Seconds())
	if failed == 0 {
		lastReconcile.WithLabelValues(host).SetToCurrentTime()
	}
}

func (o *observer) InspectFailed(id string, err error) {
	log.Warningf("Container %.12s can't be inspected, trying again: %v", id, err)
}

// Unreadable logs once for each host and call: an engine that says something odd will do so
// each time.
func (o *observer) Unreadable(host, call string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if key := [2]string{host, call}; !o.unreadable[key] {
		o.unreadable[key] = true
		log.Warningf("Docker Engine at %s: part of its answer to %s can't be read and is done without: %v", host, call, err)
	}
}

func (o *observer) Applied(lag time.Duration) { recordLag.Observe(lag.Seconds()) }
