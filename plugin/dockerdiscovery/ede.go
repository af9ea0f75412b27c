package dockerdiscovery

import (
	"strconv"
	"sync"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/time/rate"

	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// So much time goes into explaining answers, at once and in each second: an explanation looks at all names and containers, and a
// flood of queries for names that do not exist must not have that done for each.
const (
	explainingAtOnce  = 250 * time.Millisecond
	explainingASecond = 20 * time.Millisecond
)

// allowance bounds the time that is spent on something, one at a time.
type allowance struct {
	busy sync.Mutex
	left *rate.Limiter // of nanoseconds
}

func newAllowance(atOnce, aSecond time.Duration) *allowance {
	return &allowance{left: rate.NewLimiter(rate.Limit(aSecond), int(atOnce))}
}

// spend does it, unless it is being done already or too much time was spent.
func (a *allowance) spend(do func()) {
	if !a.busy.TryLock() {
		return
	}
	defer a.busy.Unlock()
	begin := time.Now()
	if a.left.TokensAt(begin) <= 0 {
		return
	}
	do()
	a.left.ReserveN(time.Now(), min(int(time.Since(begin)), a.left.Burst()))
}

var extendedErrors = promauto.NewCounterVec(prometheus.CounterOpts{
	Namespace: plugin.Namespace, Subsystem: subsystem, Name: "extended_errors_total",
	Help: "Counter of the extended DNS errors (RFC 8914) in answers, by their codes.",
}, []string{"code"})

func init() {
	for _, code := range []uint16{
		dns.ExtendedErrorCodeOther, dns.ExtendedErrorCodeStaleAnswer, dns.ExtendedErrorCodeNotReady,
		dns.ExtendedErrorCodeStaleNXDOMAINAnswer, dns.ExtendedErrorCodeNetworkError,
	} {
		extendedErrors.WithLabelValues(strconv.Itoa(int(code))) // shows from the start
	}
}

// fail answers that what is right is not known yet. Without EDNS it leaves that to the server.
func (e *exchange) fail(r *dns.Msg) (int, error) {
	if !takesErrors(r) {
		return dns.RcodeServerFailure, nil
	}
	m, attached := e.failure(r)
	countErrors(attached)
	return e.write(m)
}

// failure is the answer that what is right is not known yet, with the extended errors that it has.
func (e *exchange) failure(r *dns.Msg) (*dns.Msg, []*dns.EDNS0_EDE) {
	m := e.reply(r)
	m.Rcode = dns.RcodeServerFailure
	if !takesErrors(r) {
		return m, nil
	}
	return m, e.attach(m, r, []*dns.EDNS0_EDE{{InfoCode: dns.ExtendedErrorCodeNotReady}})
}

// extend adds extended errors to the answer m: that it may be stale, and to the Docker host why it is negative. An answer of
// which there is nothing to say stays as it is.
func (e *exchange) extend(m, r *dns.Msg, q *zone.Query, res *zone.Result) {
	countErrors(e.extendBy(m, r, q, res, func() string { return e.explained(q) }))
}

// extendBy is extend with who says why the answer is negative. It returns the errors that it has added.
func (e *exchange) extendBy(m, r *dns.Msg, q *zone.Query, res *zone.Result, why func() string) []*dns.EDNS0_EDE {
	if !res.Stale && res.Outcome == zone.Success || !takesErrors(r) {
		return nil
	}
	var errs []*dns.EDNS0_EDE
	if res.Stale {
		code := dns.ExtendedErrorCodeStaleAnswer
		if res.Outcome == zone.NameError {
			code = dns.ExtendedErrorCodeStaleNXDOMAINAnswer
		}
		errs = append(errs, &dns.EDNS0_EDE{InfoCode: code}, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeNetworkError})
	}
	if e.tellsWhy(q, res) {
		if cause := why(); cause != "" {
			errs = append(errs, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeOther, ExtraText: cause})
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return e.attach(m, r, errs)
}

// takesErrors reports whether who asks may be sent extended errors. ANY is what they ask for who have others flooded with answers.
func takesErrors(r *dns.Msg) bool {
	return r.IsEdns0() != nil && r.Question[0].Qtype != dns.TypeANY
}

// attach adds to the answer m those of the errors, the first ones first, for which there is room in what who asks can take: no
// record gives way to them. It returns these.
func (e *exchange) attach(m, r *dns.Msg, errs []*dns.EDNS0_EDE) []*dns.EDNS0_EDE {
	state := request.Request{W: e.w, Req: r}
	state.SizeAndDo(m)
	opt := dns.Copy(m.IsEdns0()).(*dns.OPT) // it is the query's: a plugin that asks for several names has the next answer use it too
	m.Extra[len(m.Extra)-1] = opt
	room := state.Size()
	if opt.Do() { // the plugin dnssec has still to add signatures
		room /= 2
	}
	m.Compress = true // as the server does it where there is too little room
	defer func() { m.Compress = false }()
	for i, err := range errs {
		before := opt.Option
		opt.Option = append(before, err)
		if m.Len() > room {
			opt.Option = before
			return errs[:i]
		}
	}
	return errs
}

// countErrors counts extended errors that are sent.
func countErrors(errs []*dns.EDNS0_EDE) {
	for _, err := range errs {
		extendedErrors.WithLabelValues(strconv.Itoa(int(err.InfoCode))).Inc()
	}
}

// tellsWhy reports whether who asks is told why the answer is negative, and that needs saying. It names containers, so it is for
// the Docker host alone, and only where nobody else can pass for it.
func (e *exchange) tellsWhy(q *zone.Query, res *zone.Result) bool {
	if q.View.Asker != zone.Host || e.masked || e.config.zone.Isolate || len(e.config.forwarders) > 0 {
		return false
	}
	return res.Outcome != zone.Success && (res.Outcome != zone.NoData || e.unreached(q))
}

// explained says in a few words why the answer is negative, "" if there is nothing to say, or no time.
func (e *exchange) explained(q *zone.Query) (why string) {
	e.explaining.spend(func() {
		x, err := e.Explain(status.Question{Name: q.Name, Type: q.Type})
		if err != nil {
			log.Debugf("Explaining the answer for %s: %v", q.Name, err)
			return
		}
		why = extraText(x)
	})
	return why
}

// extraText is what the explanation adds to a negative answer.
func extraText(x *status.Explanation) string {
	if x.Cause == status.NoSuchName && len(x.Near) == 0 { // which the answer says itself
		return ""
	}
	return x.Short()
}

// unreached reports whether the name is asked for its address, and has none of the other family either. That a name has no record
// of another type needs no saying.
func (e *exchange) unreached(q *zone.Query) bool {
	return (q.Type == dns.TypeA || q.Type == dns.TypeAAAA) && e.store.Snapshot().Unreached(q)
}
