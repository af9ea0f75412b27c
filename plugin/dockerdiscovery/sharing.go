package dockerdiscovery

import (
	"sync"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/share"
)

var shareWrites = promauto.NewCounterVec(prometheus.CounterOpts{
	Namespace: plugin.Namespace, Subsystem: subsystem, Name: "share_writes_total",
	Help: "Counter of transactions by which this host's facts were written to etcd. The result is ok or error.",
}, []string{"result"})

var (
	shareReachedDesc = desc("share_connected", "1 while what is known of other hosts is what etcd has, else 0.", "host")
	shareOwnedDesc   = desc("share_told", "1 while etcd has what this host tells, else 0.", "host")
	shareSkippedDesc = desc("share_skipped_keys", "Number of another host's keys that can't be taken.", "host")
)

// memberStates returns the states of all memberships by the host that tells.
func memberStates() map[container.HostID]share.State {
	states := map[container.HostID]share.State{}
	for _, d := range running() {
		if d.fleet.member != nil {
			states[d.config.share.Host] = d.fleet.member.State()
		}
	}
	return states
}

// collectOthers gives what there is to count of the hosts that tell of themselves.
func collectOthers(gauge func(*prometheus.Desc, float64, ...string)) {
	watched, others := map[container.HostID]bool{}, map[container.HostID]share.Other{}
	for _, d := range running() {
		for _, h := range d.hosts {
			watched[h.id] = true
		}
	}
	for _, s := range memberStates() {
		for _, o := range s.Others {
			if o.Here && !watched[o.Host] {
				others[o.Host] = o
			}
		}
	}
	for host, o := range others {
		gauge(containersDesc, float64(o.Containers), string(host))
		gauge(connectedDesc, one[!o.Away], string(host))
	}
}

// one is the value of a gauge for what is so, or is not.
var one = map[bool]float64{true: 1}

// collectShares gives what there is to count of sharing.
func collectShares(gauge func(*prometheus.Desc, float64, ...string)) {
	skipped := map[container.HostID]int{}
	for host, s := range memberStates() {
		gauge(shareReachedDesc, one[s.Reached], string(host))
		gauge(shareOwnedDesc, one[s.Owned], string(host))
		for _, o := range s.Others {
			skipped[o.Host] = o.Skipped
		}
		skipped[""] = max(skipped[""], s.Skipped)
	}
	for host, n := range skipped {
		gauge(shareSkippedDesc, float64(n), string(host))
	}
}

// shareObserver logs what an operator can act on, and counts the rest. It implements share.Observer.
type shareObserver struct {
	mu   sync.Mutex // guards the following
	away map[string]time.Time
}

var sharing = &shareObserver{away: map[string]time.Time{}}

// Reached logs that etcd is away once, and again after a while.
func (o *shareObserver) Reached(at string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	logged, away := o.away[at]
	switch {
	case err == nil && away:
		delete(o.away, at)
		log.Infof("Sharing through etcd at %s again", at)
	case err == nil:
		log.Infof("Sharing through etcd at %s", at)
	case !away || time.Since(logged) > flapAfter:
		o.away[at] = time.Now()
		log.Errorf("Sharing through etcd at %s: %v%s; retrying until it answers, with what was known last of other hosts", at, err, withCure(share.Cure(err)))
	}
}

// Told logs what keeps this host from telling others.
func (o *shareObserver) Told(host container.HostID, err error) {
	if err == nil {
		log.Infof("This host tells others as %s what its containers are", host)
		return
	}
	log.Errorf("This host does not tell others as %s what its containers are, trying again: %v%s", host, err, withCure(share.Cure(err)))
}

func (o *shareObserver) Written(_ int, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	shareWrites.WithLabelValues(result).Inc()
}

func (o *shareObserver) Skipped(host container.HostID, why string) {
	if host == "" {
		aboutContainers.logf("Sharing through etcd: %s", why)
		return
	}
	aboutContainers.logf("Host %s tells through etcd what can't be taken: %s", host, why)
}
