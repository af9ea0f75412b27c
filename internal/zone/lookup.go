package zone

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Query is what is asked, and by whom.
type Query struct {
	Name    string // lower case
	Spelled string // the same name, in the case in which it was asked for: RFC 4343 §4.1 has it kept
	Type    uint16
	View    View

	stale bool // what is answered may no longer be so
}

// Outcome says how a lookup ended.
type Outcome uint8

const (
	NotOurs          Outcome = iota // the name lies in none of our zones
	Success                         // there are records of the type
	NoData                          // the name has records, but none of the type: RFC 2308 §2.2
	Ended                           // the same, since its containers have just ended
	EmptyNonTerminal                // the name has no records, but names below it: NODATA, RFC 8020
	NameError                       // the name does not exist: NXDOMAIN, RFC 2308 §2.1
	NotReady                        // whose the name is shows when its claimants' host has been reconciled
)

// Result is the answer. The records are the caller's own, to change as it likes.
type Result struct {
	// Outcome and Zone are those of the last name: the one asked for, or that to which CNAMEs lead.
	Outcome       Outcome
	Zone          string // the apex; empty for an address outside our zones
	Answer, Extra []dns.RR
	Ns            []dns.RR // the SOA of a negative answer
	// Stale is set if the answer may no longer be so, or what is denied may be there now, since an engine can't be asked.
	Stale bool

	// Target is a name to which a CNAME at the end of Answer points and of which we have nothing: what
	// it has is for others to say. Where it lies in a zone of ours, Outcome denies it as if there were no others.
	Target string
}

// Lookup answers the query:
//
//  1. the name exists: its records of the type, else NODATA (RFC 1034 §4.3.2, 3a)
//  2. it does not, but a wildcard does at its closest encloser: as if its records stood
//     at the name (RFC 4592 §3.3.1)
//  3. else NXDOMAIN
//
// An address of a container has its PTR record wherever the query reaches us; other
// names outside our zones are not ours, and nor are the apex of zone "." and what in it
// stands for addresses: those are the Internet's.
//
// A CNAME is followed as long as it stays in our zones (RFC 1034 §3.6.2), and the
// outcome is that for the last name (RFC 6604 §3).
//
// Query and result are the caller's and go by pointers: the server has a new goroutine for each
// query, with a small stack, which is copied to a larger one for each few frames with copies of both.
func (s *Snapshot) Lookup(q *Query, r *Result) {
	s.lookup(q, r)
	s.follow(q, r)
}

// follow completes what was found for the name that was asked for.
func (s *Snapshot) follow(q *Query, r *Result) {
	switch {
	case r.cname(q.Type) != "":
		s.chase(*q, r)
	case q.Type != dns.TypeA && q.Type != dns.TypeAAAA: // which point to no other name
		s.addExtra(q, r)
	}
}

// maxChain bounds a chain of CNAMEs.
const maxChain = 8

// chase follows the CNAME that ends the answer.
func (s *Snapshot) chase(q Query, r *Result) {
	for range maxChain {
		target := r.cname(q.Type)
		if target == "" {
			break
		}
		q.Name, q.Spelled = strings.ToLower(target), target
		var next Result
		s.lookup(&q, &next)
		if next.Outcome == NotOurs {
			r.Target = target
			break
		}
		if r.has(next.Answer) { // a loop
			break
		}
		dead := len(next.Answer) == 0
		next.Answer = append(r.Answer, next.Answer...)
		next.Stale = next.Stale || r.Stale
		*r = next
		if dead {
			if r.Outcome == NameError || r.Outcome == EmptyNonTerminal {
				r.Target = target
			}
			break
		}
	}
	s.addExtra(&q, r)
}

// lookup answers the query for one name.
func (s *Snapshot) lookup(q *Query, r *Result) {
	*r = Result{}
	n, o := s.find(q.Name, &q.View)
	state := s.reliesOn(n, &q.View)
	q.stale = state != Current
	switch {
	case n != nil:
		s.answer(q, n, o, r)
	case o != nil:
		s.negative(q, o, NameError, r)
	}
	switch {
	case r.Outcome == NameError, r.Outcome == EmptyNonTerminal:
		r.Stale = state == Away || state == Overdue
	case n != nil && n.winners > 0: // of an overdue host only that is known which its engine says now
		r.Stale = state == Away
	}
}

// find returns the node that answers the view for the name, maybe a wildcard's, and the
// name's zone. What isolation hides does not exist.
func (s *Snapshot) find(name string, v *View) (*node, *origin) {
	n := s.names.get(name)
	if seen := s.shown(n, v); seen != nil {
		return seen, n.origin
	}
	for encloser := name; n == nil || !s.exists(n, v) || n.hidden(v); n = s.names.get(encloser) { // ends at the apex, if we have one
		if encloser == "." {
			return nil, nil
		}
		encloser = parent(encloser)
	}
	o := n.origin
	switch {
	case o == nil, o.root && IsReverse(name):
		return nil, nil
	case n.under == nil || !n.under.wildcard:
		return nil, o
	case n.name == ".":
		n = s.names.get("*.")
	default:
		n = s.names.get("*." + n.name)
	}
	return s.shown(n, v), o
}

// shown returns the node as the view has it, nil if it does not exist for that, or at all.
func (s *Snapshot) shown(n *node, v *View) *node {
	if n == nil {
		return nil
	}
	if n.hidden(v) || n.reverse && !s.meant(n, v) {
		v.why.hidden(n)
		return nil
	}
	seen := s.seen(n, v)
	v.why.weighed(s, n, seen, v)
	if seen.winners == 0 && !seen.unready && !s.exists(n, v) {
		return nil
	}
	return seen
}

// Owners returns the names of the containers that answer the query.
func (s *Snapshot) Owners(q *Query) []string {
	n, _ := s.find(q.Name, &q.View)
	if n == nil {
		return nil
	}
	var owners []string
	add := func(e *Entry) {
		if !slices.Contains(owners, e.Name) {
			owners = append(owners, e.Name)
		}
	}
	if n.target() != "" {
		for _, c := range n.claims {
			add(c.entry)
		}
		return owners
	}
	for _, r := range n.reach(s, nil, &q.View) {
		if !r.entry.IsHost() {
			add(r.entry)
		}
	}
	return owners
}

// Unreached reports whether there are containers that are to answer the query's name with addresses, and none gives the asker
// one, of either family.
func (s *Snapshot) Unreached(q *Query) bool {
	n, _ := s.find(q.Name, &q.View)
	addresses := func(c claimant) bool { return c.claim.addresses() || c.claim.Part == NoPart }
	if n == nil || !slices.ContainsFunc(n.claims[:n.winners], addresses) {
		return false
	}
	var buf [8]reached
	return n.records.leastTTL(dns.TypeA, dns.TypeAAAA) == noTTL && len(n.reach(s, buf[:0], &q.View)) == 0
}

// answer gives the node's records. The origin is nil for an address outside our zones.
func (s *Snapshot) answer(q *Query, n *node, o *origin, r *Result) {
	target := ""
	if n.reverse {
		target = s.target(n, &q.View)
	}
	switch {
	case n.unready, n.target() != "" && target == "" && s.mayResolve(n, &q.View):
		r.Outcome = NotReady
		return
	case o == nil:
		if target != "" && q.Type == dns.TypePTR {
			r.Outcome, r.Answer = Success, s.ptr(q, target)
		}
		return
	case n.name == o.name:
		s.apex(q, o, r)
		return
	}
	switch {
	case n.winners > 0 && !n.shows(&q.View):
		s.negative(q, o, EmptyNonTerminal, r)
		return
	case n.name == o.ns && !o.root:
		r.Answer = s.addresses(q, q.Spelled, serverAddrs(&q.View), s.store.config.TTL)
	case n.target() != "":
		if target != "" && (q.Type == dns.TypePTR || q.Type == dns.TypeANY) {
			r.Answer = s.ptr(q, target)
		}
	default:
		r.Answer = s.records(q, n)
	}
	switch {
	case len(r.Answer) > 0:
		r.Outcome, r.Zone = Success, o.name
	case n.winners == 0 && n.name != o.ns:
		s.negative(q, o, EmptyNonTerminal, r)
	case n.ended():
		s.negative(q, o, Ended, r)
	default:
		s.negative(q, o, NoData, r)
	}
	if len(r.Answer) == 0 && n.expectant(&q.View) {
		soa := r.Ns[0].(*dns.SOA)
		soa.Hdr.Ttl, soa.Minttl = min(soa.Hdr.Ttl, expectantTTL), min(soa.Minttl, expectantTTL)
	}
}

// expectantTTL is how long, in seconds, a resolver may keep it that a name has no address which may have one any moment: a
// container that restarts must not be away for longer in caches.
const expectantTTL = 1

// expectant reports whether the name is one for containers of which none has an address at the moment: they have ended, or
// have left the network, or so have their proxies. Records at the name, which stay, are no reason to keep it for longer.
func (n *node) expectant(v *View) bool {
	expects := false
	for _, h := range n.preferred(v) {
		switch {
		case h.entry.Held, h.claim.Part == NoPart:
			expects = true
		case !h.claim.addresses():
		case h.located():
			return false
		default:
			expects = true
		}
	}
	return expects && !n.front.has(func(h claimant) bool { return !h.entry.Held && h.located() })
}

// located reports whether there is an address by which the claim can be answered, to whomever.
func (c claimant) located() bool {
	return c.entry.HostNetwork || c.entry.meshed() || slices.ContainsFunc(c.entry.Addresses, c.claim.gives)
}

// ended reports whether none of the name's containers runs any more.
func (n *node) ended() bool {
	return n.winners > 0 && !slices.ContainsFunc(n.claims[:n.winners], func(h claimant) bool { return !h.entry.Held })
}

// apex gives the zone's own records.
func (s *Snapshot) apex(q *Query, o *origin, r *Result) {
	if o.root {
		return
	}
	ttl := s.ttl(q, s.store.config.TTL)
	if q.Type == dns.TypeSOA || q.Type == dns.TypeANY {
		r.Answer = append(r.Answer, s.soa(q.Spelled, o, ttl)...)
	}
	if q.Type == dns.TypeNS || q.Type == dns.TypeANY {
		r.Answer = append(r.Answer, &dns.NS{Hdr: header(q.Spelled, dns.TypeNS, ttl), Ns: o.ns})
		both := *q
		both.Type = dns.TypeANY
		r.Extra = s.addresses(&both, o.ns, serverAddrs(&q.View), ttl)
	}
	if len(r.Answer) == 0 {
		s.negative(q, o, NoData, r)
		return
	}
	r.Outcome, r.Zone = Success, o.name
}

func (s *Snapshot) negative(q *Query, o *origin, outcome Outcome, r *Result) {
	ttl := s.ttl(q, s.store.config.NegativeTTL) // RFC 2308 §5
	r.Outcome, r.Zone, r.Ns = outcome, o.name, s.soa(o.name, o, ttl)
}

// staleTTL is the longest TTL, in seconds, of what may not be so, since a host is not current.
const staleTTL = 5

// reliesOn returns the state of the least reliable host on which it depends what the name answers: of those that have it, or of
// all that may have it, if nobody is known to. The node is nil then, or has no claim that counts.
func (s *Snapshot) reliesOn(n *node, v *View) (worst HostState) {
	switch {
	case len(s.hosts) == 0:
		return Current
	case n == nil || n.winners == 0:
		for _, state := range s.hosts {
			worst = max(worst, state)
		}
		return worst
	case !slices.ContainsFunc(n.claims, s.notCurrent) && !n.front.has(s.notCurrent):
		return Current // the usual case
	}
	all := n.reach(s, nil, v)
	for i := range all {
		worst = max(worst, s.hosts[all[i].entry.ToldBy()])
	}
	if len(all) == 0 {
		for i := range n.claims[:n.winners] {
			worst = max(worst, s.hosts[n.claims[i].entry.ToldBy()])
		}
	}
	return worst
}

// notCurrent reports whether the claim is of a host that is not current.
func (s *Snapshot) notCurrent(c claimant) bool { return s.hosts[c.entry.ToldBy()] != Current }

func (s *Snapshot) ttl(q *Query, ttl uint32) uint32 {
	if q.stale {
		return min(ttl, staleTTL)
	}
	return ttl
}

func header(name string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

// Secondaries learn of changes by NOTIFY. These seconds are for one that hears none: containers
// live for minutes, so it asks each minute, and gives up an hour after it lost us.
const (
	Refresh = 60
	Retry   = 15
	expire  = 3600
)

func (s *Snapshot) soa(name string, o *origin, ttl uint32) []dns.RR {
	rr := &singleSOA{SOA: dns.SOA{
		Hdr: header(name, dns.TypeSOA, ttl), Ns: o.ns, Mbox: o.mbox, Serial: s.serial(o.name),
		Refresh: Refresh, Retry: Retry, Expire: expire, Minttl: s.store.config.NegativeTTL,
	}}
	rr.rrs[0] = &rr.SOA
	return rr.rrs[:]
}

func (s *Snapshot) ptr(q *Query, target string) []dns.RR {
	rr := &singlePTR{PTR: dns.PTR{Hdr: header(q.Spelled, dns.TypePTR, s.ttl(q, s.store.config.TTL)), Ptr: target}}
	rr.rrs[0] = &rr.PTR
	return rr.rrs[:]
}

// serverAddrs returns the addresses of the name server's name as the asker sees it.
func serverAddrs(v *View) []netip.Addr {
	if v.Server == nil {
		return nil
	}
	return v.Server.Addrs()
}
