package dockerdiscovery

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// Bounds of the warnings about containers in the log, in a burst and over time. Otherwise whoever may start a
	// container could fill the disk.
	warningsAtOnce  = 50
	warningsASecond = 2
	// warningsCounted is how long left-out warnings are counted before their number is logged.
	warningsCounted = 10 * time.Second
)

// warnings logs warnings about containers.
type warnings struct {
	limiter *rate.Limiter

	mu      sync.Mutex // guards the following
	leftOut int        // since their number was logged
}

var aboutContainers = newWarnings()

func newWarnings() *warnings {
	return &warnings{limiter: rate.NewLimiter(warningsASecond, warningsAtOnce)}
}

func (w *warnings) logf(format string, args ...any) {
	if w.limiter.Allow() {
		log.Warningf(format, args...)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leftOut++; w.leftOut == 1 {
		time.AfterFunc(warningsCounted, w.count)
	}
}

// count logs how many were left out.
func (w *warnings) count() {
	w.mu.Lock()
	defer w.mu.Unlock()
	log.Warningf("%d more warnings about containers in %s are left out of the log: the metrics lost_claims and skipped_names count what stays", w.leftOut, warningsCounted)
	w.leftOut = 0
}

// reported are the warnings about the Corefile that have been logged.
type reported struct {
	mu  sync.Mutex // guards the following
	all []string
}

// warnf logs what is likely to be wrong with the Corefile, and keeps it for those who ask for the status.
func (d *Docker) warnf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	log.Warning(text)
	d.reported.mu.Lock()
	defer d.reported.mu.Unlock()
	d.reported.all = append(d.reported.all, text)
}

// list returns the warnings.
func (w *reported) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.all...)
}
