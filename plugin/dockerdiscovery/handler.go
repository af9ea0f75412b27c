package dockerdiscovery

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/fall"
	"github.com/coredns/coredns/plugin/pkg/upstream"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/asker"
	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/swarm"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// maxFollows bounds how often a query may enter the server anew for a CNAME's target. It is the bound
// of CoreDNS's own plugins, which count in the same place: a loop may lead through several of them.
const maxFollows = 8

// maxFollowing bounds how many queries may wait for a CNAME's target at once. A loop through another
// server can't be counted: it ends here, and before it fills the memory of both.
const maxFollowing = 256

// Docker answers for the names of an engine's running containers.
type Docker struct {
	Next plugin.Handler
	Fall fall.F

	config   config
	store    *zone.Store
	catalog  *catalog.Catalog
	askers   *asker.Index
	instance *instance
	block    serverBlock

	hosts       []*watchedHost // as the Corefile has them
	twins       *twins         // nil if there is but one
	swarm       *swarm.Source  // nil if the Corefile has none
	fleet       fleet          // the hosts that tell of themselves
	stopLookups func()         // of their addresses
	arrivalWait time.Duration  // bounds how long a query waits for a name that is not known yet

	upstream  *upstream.Upstream
	following atomic.Int32 // queries that wait for it
	notifier  notifier
	recursion bool // is offered by the server block
	transfers bool // are given by the plugin transfer

	catalogZone  atomic.Pointer[catalogZone] // nil if there is none, or its members are not known yet
	publishing   sync.Mutex                  // held by who makes a version for secondaries; guards the following
	surroundings *surroundings               // of the last one

	explaining *allowance // of answers, to who asks for these

	maintained bool // is a zone of the server block's, by NOTIFY or UPDATE

	own         ownAddrs
	port        string   // on which we serve
	listens     []string // where, as TRANSPORT://ADDRESS:PORT
	reported    reported
	hostUnknown sync.Once // has been logged
	hidden      sync.Once // has been logged: who asks
}

// Name implements plugin.Handler.
func (d *Docker) Name() string { return pluginName }

// ServeDNS implements plugin.Handler.
func (d *Docker) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	if len(r.Question) == 0 || r.Question[0].Qclass != dns.ClassINET {
		return d.next(ctx, w, r)
	}
	if r.Opcode != dns.OpcodeQuery {
		return d.notQuery(ctx, w, r)
	}
	if isTransfer(r) {
		return d.zoneTransfer(ctx, w, r)
	}

	e := &exchange{Docker: d, w: w}
	if d.isCatalogs(r.Question[0].Name) {
		return d.answerForCatalog(e, r)
	}
	var q zone.Query
	var res zone.Result
	e.query(&q, &r.Question[0])
	if q.Type == dns.TypeSOA {
		d.republish()
	}
	d.lookup(&q, &res)
	switch d.decide(&q, &res) {
	case passOn:
		return d.next(ctx, w, r)
	case notReady:
		return e.fail(r)
	}

	m := e.respond(r, &res)
	if res.Target != "" {
		d.follow(ctx, w, r, m, res.Target)
	}
	e.extend(m, r, &q, &res)
	return e.write(m)
}

// write sends the answer.
func (e *exchange) write(m *dns.Msg) (int, error) {
	if err := e.w.WriteMsg(m); err != nil {
		log.Debugf("Answering %s: %v", m.Question[0].Name, err)
	}
	// Not m.Rcode: whatever it is, it has been written.
	return dns.RcodeSuccess, nil
}

// course is what becomes of a query.
type course uint8

const (
	passOn   course = iota // the next plugin answers
	notReady               // what is right is not known yet: SERVFAIL
	answered               // with the result
)

// decide says what becomes of the query, of which res is what the zones say, and makes of that what is to be answered.
func (d *Docker) decide(q *zone.Query, res *zone.Result) course {
	switch res.Outcome {
	case zone.NotOurs:
		return passOn
	case zone.NotReady:
		return notReady
	case zone.NameError, zone.EmptyNonTerminal:
		switch {
		case d.others(q, res) && res.Target == "":
			return passOn
		case d.others(q, res): // a CNAME of ours leads there
			res.Outcome, res.Ns = zone.Success, nil
		case !d.catalog.Complete(): // a name that is not known yet may exist
			return notReady
		default:
			res.Target = ""
		}
	}
	return answered
}

// respond makes the result the answer to the query.
func (e *exchange) respond(r *dns.Msg, res *zone.Result) *dns.Msg {
	m := e.reply(r)
	m.Authoritative, m.RecursionAvailable = true, e.recursion
	m.Answer, m.Ns, m.Extra = res.Answer, res.Ns, res.Extra
	if res.Outcome == zone.NameError {
		m.Rcode = dns.RcodeNameError
	}
	return m
}

func (d *Docker) next(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	return plugin.NextOrFailure(d.Name(), d.Next, ctx, w, r)
}

// notQuery leaves a NOTIFY or UPDATE to the plugins below, such as secondary and dynupdate. Where there is none of these,
// forward must not tell others of our zones.
func (d *Docker) notQuery(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	if d.Next == nil || d.recursion && !d.maintained && d.has(r.Question[0].Name) {
		return dns.RcodeNotImplemented, nil
	}
	return d.next(ctx, w, r)
}

// zoneTransfer leaves a transfer to the plugin transfer, which stands below us and asks us itself.
// Without it our zones are nobody's to give: forward must not ask others for them.
func (d *Docker) zoneTransfer(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	if !d.transfers && d.has(r.Question[0].Name) {
		return dns.RcodeRefused, nil
	}
	return d.next(ctx, compressing{w}, r)
}

// compressing has messages compressed: in a transfer most owner names end alike.
type compressing struct{ dns.ResponseWriter }

// WriteMsg implements dns.ResponseWriter.
func (w compressing) WriteMsg(m *dns.Msg) error {
	m.Compress = true
	return w.ResponseWriter.WriteMsg(m)
}

// others reports whether a name in our zones that no container has is for others to answer or deny.
// Zone . is shared with the Internet, and names below a name of ours must not hide what it has.
func (d *Docker) others(q *zone.Query, res *zone.Result) bool {
	return res.Zone == "." && d.Next != nil || res.Outcome == zone.NameError && d.Fall.Through(last(q, res))
}

// last is the last name that was looked up: the one asked for, or that to which a CNAME leads.
func last(q *zone.Query, res *zone.Result) string {
	if res.Target != "" {
		return strings.ToLower(res.Target)
	}
	return q.Name
}

// follow adds what others say of the name to which a CNAME of ours points. If they can't
// be asked the CNAME stands alone, for the asker to follow.
//
// The others may be another server block's containers, or ours under a rewritten name, and their
// CNAMEs may lead back here. A container's label must not keep the server busy with that for ever.
func (d *Docker) follow(ctx context.Context, w dns.ResponseWriter, r, m *dns.Msg, target string) {
	follows, _ := ctx.Value(dnsserver.LoopKey{}).(int)
	defer d.following.Add(-1)
	if d.following.Add(1) > maxFollowing || follows >= maxFollows {
		return
	}
	ctx = context.WithValue(ctx, dnsserver.LoopKey{}, follows+1)
	state := request.Request{W: w, Req: r}
	found, err := d.upstream.Lookup(ctx, state, target, state.QType())
	if err != nil || found == nil {
		log.Debugf("Following %s to %s: %v", state.Name(), target, err)
		return
	}
	own := m.Answer
	for _, rr := range found.Answer { // a loop brings our CNAMEs again
		if !slices.ContainsFunc(own, func(has dns.RR) bool { return dns.IsDuplicate(has, rr) }) {
			m.Answer = append(m.Answer, rr)
		}
	}
	// The outcome is that for the last name, RFC 6604 §3, and so is the SOA that says how long it may be kept.
	if found.Rcode == dns.RcodeNameError {
		m.Rcode = dns.RcodeNameError
	}
	for _, rr := range found.Ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			m.Ns = append(m.Ns, rr)
		}
	}
}
