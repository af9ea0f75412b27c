package zone

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// rrsets are a name's records that are not a container's addresses. A nil *rrsets has
// none.
type rrsets struct {
	target string // of an address's name: its PTR record, and the only one

	rrs      []dns.RR   // by type, each once, with one TTL a type: RFC 2181 §5
	bare     bool       // some are those of Bare claims
	services []claimant // claims with a Service
}

func (r *rrsets) len() int {
	if r == nil {
		return 0
	}
	n := len(r.rrs) + len(r.services)
	if r.target != "" {
		n++
	}
	return n
}

func (r *rrsets) equal(o *rrsets) bool {
	if r.len() == 0 || o.len() == 0 {
		return r.len() == o.len()
	}
	return slices.EqualFunc(r.rrs, o.rrs, func(a, b dns.RR) bool {
		return a.Header().Ttl == b.Header().Ttl && dns.IsDuplicate(a, b)
	}) && slices.EqualFunc(r.services, o.services, func(a, b claimant) bool {
		return slices.Equal(a.claim.Data.Service.Targets, b.claim.Data.Service.Targets) && a.claim.Data.Service.Port == b.claim.Data.Service.Port &&
			a.claim.Data.Service.Open == b.claim.Data.Service.Open && slices.Equal(a.claim.Data.Service.Published, b.claim.Data.Service.Published) &&
			a.entry.OwnTTL == b.entry.OwnTTL && a.entry.TTL == b.entry.TTL
	})
}

// aloneOrNoCNAME tells which of the claims to a name may answer: a CNAME stands alone at
// its owner (RFC 1034 §3.6.2), so it gives way to anything else, and of several only the
// first is kept.
func aloneOrNoCNAME(claims []claimant) func(claimant) bool {
	var first *claimant
	others := false
	for i := range claims {
		switch {
		case claims[i].entry.Held:
		case !claims[i].claim.cname():
			others = true
		case first == nil:
			first = &claims[i]
		}
	}
	if first == nil {
		return func(claimant) bool { return true }
	}
	if others {
		return func(h claimant) bool { return !h.claim.cname() }
	}
	kept := *first
	return func(h claimant) bool {
		return !h.claim.cname() || h.entry == kept.entry && dns.IsDuplicate(h.claim.Data.Records[0], kept.claim.Data.Records[0])
	}
}

// cname reports whether the claim is a CNAME.
func (c *Claim) cname() bool {
	return len(c.Records()) > 0 && c.Data.Records[0].Header().Rrtype == dns.TypeCNAME
}

// collect makes the RRsets of the winners' records, of those that the guard lets the view have.
func (n *node) collect(g guard, v *View) *rrsets {
	var r rrsets
	for i := range n.claims[:n.winners] {
		h := n.claims[i]
		switch {
		case h.entry.Held, g.keeps(&h, v):
		case h.claim.Service() != nil:
			r.services = append(r.services, h)
		default:
			r.bare = r.bare || h.claim.Bare && h.claim.Records() != nil
			for _, rr := range h.claim.Records() {
				if !slices.ContainsFunc(r.rrs, func(o dns.RR) bool { return dns.IsDuplicate(o, rr) }) {
					r.rrs = append(r.rrs, rr)
				}
			}
		}
	}
	if r.len() == 0 {
		return nil
	}
	slices.SortStableFunc(r.rrs, func(a, b dns.RR) int { return cmp.Compare(a.Header().Rrtype, b.Header().Rrtype) })
	for i, rr := range r.rrs {
		if least := r.leastTTL(rr.Header().Rrtype); least != rr.Header().Ttl { // the claim keeps its own
			r.rrs[i] = dns.Copy(rr)
			r.rrs[i].Header().Ttl = least
		}
	}
	return &r
}

// noTTL is that of an RRset without records.
const noTTL = math.MaxUint32

// leastTTL returns the least TTL of the records of the types: a record that stays in caches for longer
// than another one of its RRset would keep that too.
func (r *rrsets) leastTTL(types ...uint16) uint32 {
	var least uint32 = noTTL
	if r != nil {
		for _, rr := range r.rrs {
			if slices.Contains(types, rr.Header().Rrtype) {
				least = min(least, rr.Header().Ttl)
			}
		}
	}
	return least
}

// ttl returns the TTL of what the container itself answers with: its wish, or else the zone's.
func (entry *Entry) ttl(zone uint32) uint32 {
	if entry.OwnTTL {
		return entry.TTL
	}
	return zone
}

// serviceTTL returns the TTL of the name's SRV records, the least of its services' and records'. The TTL is the zone's.
func (r *rrsets) serviceTTL(zone uint32) uint32 {
	least := r.leastTTL(dns.TypeSRV)
	for _, h := range r.services {
		least = min(least, h.entry.ttl(zone))
	}
	return least
}

// leastTTL returns the TTL of the name's addresses: the least of its claimants', and of their proxies'. The TTL is the zone's.
func (n *node) leastTTL(zone uint32) uint32 {
	least := n.records.leastTTL(dns.TypeA, dns.TypeAAAA)
	for _, h := range n.claims[:n.winners] {
		if (h.claim.addresses() || h.claim.fronted()) && !h.entry.Held {
			least = min(least, h.entry.ttl(zone))
		}
	}
	for _, h := range n.front.list() {
		least = min(least, h.entry.ttl(zone))
	}
	if least == noTTL {
		return zone
	}
	return least
}

// records returns the node's records of the query's type as the view has them, or its
// CNAME whatever the type.
func (s *Snapshot) records(q *Query, n *node) []dns.RR {
	addrs := n.addrs
	if len(addrs) != 1 || q.View.Asker != Host || q.View.Hosts != nil || q.View.why != nil { // of several the host may be given some
		addrs = n.addresses(s, &q.View)
	}
	answer := s.addresses(q, q.Spelled, addrs, n.ttl)
	r := n.records
	if r != nil && r.bare { // what a bare name means depends on who asks
		r = n.collect(n.guard(&q.View), &q.View)
	}
	if r == nil {
		return answer
	}
	for _, rr := range r.rrs {
		rrtype := rr.Header().Rrtype
		if rrtype != q.Type && q.Type != dns.TypeANY && rrtype != dns.TypeCNAME {
			continue
		}
		if slices.ContainsFunc(answer, func(o dns.RR) bool { return sameData(o, rr) }) {
			continue
		}
		rr = dns.Copy(rr)
		rr.Header().Name, rr.Header().Ttl = q.Spelled, s.ttl(q, rr.Header().Ttl)
		switch rrtype {
		case dns.TypeA, dns.TypeAAAA:
			rr.Header().Ttl = s.ttl(q, n.ttl)
		case dns.TypeSRV:
			rr.Header().Ttl = s.ttl(q, r.serviceTTL(s.store.config.TTL))
		}
		answer = append(answer, rr)
	}
	if q.Type == dns.TypeSRV || q.Type == dns.TypeANY {
		answer = s.services(q, n, answer)
	}
	return answer
}

// sameData reports whether two records of a name are the same but for the TTL.
func sameData(a, b dns.RR) bool {
	if a.Header().Rrtype != b.Header().Rrtype {
		return false
	}
	b = dns.Copy(b)
	b.Header().Name = a.Header().Name
	return dns.IsDuplicate(a, b)
}

// services adds an SRV record for each port.
func (s *Snapshot) services(q *Query, n *node, answer []dns.RR) []dns.RR {
	ttl := s.ttl(q, n.records.serviceTTL(s.store.config.TTL))
	for _, h := range s.serving(n, &q.View) {
		target := s.serviceTarget(h, &q.View)
		for _, port := range h.entry.ports(h.claim.Data.Service, &q.View, h.claim.Part) {
			srv := &dns.SRV{Hdr: header(q.Spelled, dns.TypeSRV, ttl), Port: port, Target: target}
			if !slices.ContainsFunc(answer, func(o dns.RR) bool { return dns.IsDuplicate(o, srv) }) {
				answer = append(answer, srv)
			}
		}
	}
	return answer
}

// serving returns the claims to services that answer the view, as addresses do.
func (s *Snapshot) serving(n *node, v *View) []claimant {
	guard, standing := n.guard(v), s.standing(parent(parent(n.name)), v)
	return selected(s, unlessMesh(v, slices.DeleteFunc(slices.Clone(n.records.services), func(h claimant) bool {
		service := h.claim.Data.Service
		reason := standing[h.entry] // Answers for who claims it in no such way
		switch {
		case reason != Answers:
		case guard.keeps(&h, v):
			reason = Ambiguous
		case len(h.entry.ports(service, v, h.claim.Part)) == 0:
			reason = NotReachable
		case s.serviceTarget(h, v) == "": // its names are others'
			reason = Nameless
		default:
			return false
		}
		if v.why != nil {
			v.why.out(h.entry, reason)
		}
		return true
	})), n, v)
}

// standing says of those who claim the name with addresses what keeps it from meaning them to the view. Where it does a service of theirs
// below the name does not count either: whom the name means may have no such service.
func (s *Snapshot) standing(name string, v *View) map[*Entry]Reason {
	n := s.names.get(name)
	if n == nil {
		return nil
	}
	by := make(map[*Entry]Reason, len(n.claims))
	for _, c := range n.claims {
		if c.claim.addresses() {
			by[c.entry] = Nearer
		}
	}
	n = s.seen(n, v)
	g := n.guard(v)
	for i := range n.claims[:n.winners] {
		switch c := &n.claims[i]; {
		case !c.claim.addresses():
		case !g.keeps(c, v):
			by[c.entry] = Answers
		case by[c.entry] != Answers:
			by[c.entry] = Ambiguous
		}
	}
	return by
}

// serviceTarget returns the container's first name that answers the view with its addresses, and with none of another host's,
// where the port may have another number; else the first that answers with its addresses, "" if none does.
func (s *Snapshot) serviceTarget(h claimant, v *View) (target string) {
	for _, name := range h.claim.Data.Service.Targets {
		n := s.names.get(name)
		if n == nil || n.hidden(v) {
			continue
		}
		n = s.seen(n, v)
		if !n.answersFor(h.entry) {
			continue
		}
		if !slices.ContainsFunc(n.preferred(v), func(c claimant) bool { return c.entry.Host != h.entry.Host }) {
			return name
		}
		target = cmp.Or(target, name)
	}
	return target
}

// ports returns the ports at which the view reaches the container's service: those that go with the addresses that it is
// given.
func (entry *Entry) ports(s *Service, v *View, part Part) (ports []uint16) {
	add := func(port uint16) {
		if !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	var buf [8]reached
	for _, r := range entry.reach(buf[:0], v, part) {
		switch r.ports {
		case allPorts:
			add(s.Port)
		case openPorts:
			if s.Open {
				add(s.Port)
			}
		case hostPorts:
			for _, p := range s.Published {
				if p.Addr() == r.ip || p.Addr().IsUnspecified() && p.Addr().Is4() == r.ip.Is4() {
					add(p.Port())
				}
			}
		}
	}
	return ports
}

// cname returns the target of the CNAME that ends the answer to a query of another type,
// "" if there is none.
func (r *Result) cname(qtype uint16) string {
	if len(r.Answer) == 0 || qtype == dns.TypeCNAME || qtype == dns.TypeANY {
		return ""
	}
	if c, ok := r.Answer[len(r.Answer)-1].(*dns.CNAME); ok {
		return c.Target
	}
	return ""
}

// has reports whether the answer has one of the records already.
func (r *Result) has(rrs []dns.RR) bool {
	return slices.ContainsFunc(rrs, func(rr dns.RR) bool {
		return slices.ContainsFunc(r.Answer, func(o dns.RR) bool {
			return strings.EqualFold(o.Header().Name, rr.Header().Name) && sameData(o, rr)
		})
	})
}

// addExtra adds the addresses of the names in our zones to which the answer's records
// point, RFC 1034 §4.3.2 step 6 and RFC 2782.
func (s *Snapshot) addExtra(asked *Query, r *Result) {
	var seen []string
	for _, rr := range r.Answer {
		var target string
		switch rr := rr.(type) {
		case *dns.SRV:
			target = rr.Target
		case *dns.MX:
			target = rr.Mx
		case *dns.SVCB:
			target = rr.Target
		case *dns.HTTPS:
			target = rr.Target
		default:
			continue
		}
		name := strings.ToLower(target)
		if slices.Contains(seen, name) {
			continue
		}
		seen = append(seen, name)
		if n := s.shown(s.names.get(name), &asked.View); n != nil && n.origin != nil && n.shows(&asked.View) {
			q := *asked
			q.stale = s.reliesOn(n, &q.View) != Current
			for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
				q.Name, q.Spelled, q.Type = name, target, qtype
				for _, rr := range s.records(&q, n) {
					if rr.Header().Rrtype == qtype {
						r.Extra = append(r.Extra, rr)
					}
				}
			}
		}
	}
}
