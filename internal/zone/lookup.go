package zone

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Query is what is asked, and by whom.
type Query struct {
	Name  string // lower case
	Asked string // the same name, its case as asked: RFC 4343 §4.1 has it kept
	Type  uint16
	View  View

	// MaxTTL, if not zero, is the longest TTL of the answer, in seconds.
	MaxTTL uint32
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
)

// Result is the answer. The records are the caller's own, to change as it likes.
type Result struct {
	Outcome       Outcome
	Zone          string // the apex; empty for an address outside our zones
	Answer, Extra []dns.RR
	Ns            []dns.RR // the SOA of a negative answer

	// Target is a name outside our zones to which a CNAME at the end of Answer points: what
	// it has is for others to say.
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
func (s *Snapshot) Lookup(q Query) Result {
	r := s.lookup(q)
	for range maxChain {
		target := r.cname(q.Type)
		if target == "" {
			break
		}
		q.Name, q.Asked = strings.ToLower(target), target
		next := s.lookup(q)
		if next.Outcome == NotOurs {
			r.Target = target
			break
		}
		if r.has(next.Answer) { // a loop
			break
		}
		next.Answer = append(r.Answer, next.Answer...)
		next.Zone = r.Zone
		r = next
	}
	s.addExtra(&r, q)
	return r
}

// maxChain bounds a chain of CNAMEs.
const maxChain = 8

// lookup answers the query for one name.
func (s *Snapshot) lookup(q Query) Result {
	n, o := s.find(q.Name)
	switch {
	case n != nil:
		return s.answer(q, n, o)
	case o != nil:
		return s.negative(q, o, NameError)
	default:
		return Result{}
	}
}

// find returns the node that answers for the name, maybe a wildcard's, and the name's
// zone.
func (s *Snapshot) find(name string) (*node, *origin) {
	if n := s.names.get(name); n != nil {
		return n, n.origin
	}
	o := s.store.origins.match(name)
	if o == nil || o.root && IsReverse(name) {
		return nil, nil
	}
	encloser := parent(name)
	for s.names.get(encloser) == nil { // ends at the apex
		encloser = parent(encloser)
	}
	if encloser == "." {
		return s.names.get("*."), o
	}
	return s.names.get("*." + encloser), o
}

// Owners returns the names of the containers that answer the query.
func (s *Snapshot) Owners(q Query) []string {
	n, _ := s.find(q.Name)
	if n == nil || n.hidden(&q.View) {
		return nil
	}
	claimants := n.claims[:n.winners]
	if n.target == "" {
		claimants = nil
		for _, r := range n.reach(nil, &q.View, s.store.config.RequireWell) {
			claimants = append(claimants, held{entry: r.entry})
		}
	}
	var owners []string
	for _, h := range claimants {
		if !slices.Contains(owners, h.entry.Name) {
			owners = append(owners, h.entry.Name)
		}
	}
	return owners
}

// answer gives the node's records. The origin is nil for an address outside our zones.
func (s *Snapshot) answer(q Query, n *node, o *origin) Result {
	if o == nil {
		if n.target == "" || q.Type != dns.TypePTR || n.hidden(&q.View) {
			return Result{}
		}
		return Result{Outcome: Success, Answer: s.ptr(q, n.target)}
	}
	if n.name == o.name {
		return s.apex(q, o)
	}
	var answer []dns.RR
	switch {
	case n.hidden(&q.View):
		if n.children == 0 {
			return s.negative(q, o, NameError)
		}
		return s.negative(q, o, EmptyNonTerminal)
	case n.name == o.ns && !o.root:
		answer = s.addresses(q, q.Asked, serverAddr(q.View), s.store.config.TTL)
	case n.target != "":
		if q.Type == dns.TypePTR || q.Type == dns.TypeANY {
			answer = s.ptr(q, n.target)
		}
	default:
		answer = s.records(q, n)
	}
	switch {
	case len(answer) > 0:
		return Result{Outcome: Success, Zone: o.name, Answer: answer}
	case n.winners == 0 && n.name != o.ns:
		return s.negative(q, o, EmptyNonTerminal)
	case n.ended():
		return s.negative(q, o, Ended)
	default:
		return s.negative(q, o, NoData)
	}
}

// ended reports whether none of the name's containers runs any more.
func (n *node) ended() bool {
	return n.winners > 0 && !slices.ContainsFunc(n.claims[:n.winners], func(h held) bool { return !h.entry.Held })
}

// apex gives the zone's own records.
func (s *Snapshot) apex(q Query, o *origin) Result {
	if o.root {
		return Result{}
	}
	r := Result{Outcome: Success, Zone: o.name}
	if q.Type == dns.TypeSOA || q.Type == dns.TypeANY {
		r.Answer = append(r.Answer, s.soa(q, q.Asked, o, s.ttl(q, s.store.config.TTL)))
	}
	if q.Type == dns.TypeNS || q.Type == dns.TypeANY {
		ttl := s.ttl(q, s.store.config.TTL)
		r.Answer = append(r.Answer, &dns.NS{Hdr: header(q.Asked, dns.TypeNS, ttl), Ns: o.ns})
		q.Type = dns.TypeANY
		r.Extra = s.addresses(q, o.ns, serverAddr(q.View), ttl)
	}
	if len(r.Answer) == 0 {
		return s.negative(q, o, NoData)
	}
	return r
}

func (s *Snapshot) negative(q Query, o *origin, outcome Outcome) Result {
	ttl := s.ttl(q, s.store.config.NegativeTTL) // RFC 2308 §5
	return Result{Outcome: outcome, Zone: o.name, Ns: []dns.RR{s.soa(q, o.name, o, ttl)}}
}

func (s *Snapshot) ttl(q Query, ttl uint32) uint32 {
	if q.MaxTTL > 0 {
		return min(ttl, q.MaxTTL)
	}
	return ttl
}

func header(name string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

// The timers of CoreDNS's own authoritative plugins. Secondaries learn of changes by
// NOTIFY; these are for when that is lost.
const (
	refresh = 7200
	retry   = 1800
	expire  = 86400
)

func (s *Snapshot) soa(q Query, name string, o *origin, ttl uint32) dns.RR {
	mbox := "hostmaster." + o.name
	if o.root {
		mbox = "hostmaster."
	}
	return &dns.SOA{
		Hdr: header(name, dns.TypeSOA, ttl), Ns: o.ns, Mbox: mbox, Serial: s.serials[o.name],
		Refresh: refresh, Retry: retry, Expire: expire, Minttl: s.store.config.NegativeTTL,
	}
}

func (s *Snapshot) ptr(q Query, target string) []dns.RR {
	return []dns.RR{&dns.PTR{Hdr: header(q.Asked, dns.TypePTR, s.ttl(q, s.store.config.TTL)), Ptr: target}}
}

// serverAddr returns the address of the name server's name as the asker sees it.
func serverAddr(v View) []netip.Addr {
	if v.Server == nil {
		return nil
	}
	return []netip.Addr{v.Server.Addr()} // an invalid one is of no type
}

// aRecord and aaaaRecord are records with their data, and so one allocation: the library
// has the data apart.
type (
	aRecord struct {
		dns.A
		ip [4]byte
	}
	aaaaRecord struct {
		dns.AAAA
		ip [16]byte
	}
)

// addresses returns the records for those of the addresses that are of the query's
// type.
func (s *Snapshot) addresses(q Query, owner string, addrs []netip.Addr, ttl uint32) []dns.RR {
	v4, v6 := 0, 0
	for _, ip := range addrs {
		switch {
		case ip.Is4() && (q.Type == dns.TypeA || q.Type == dns.TypeANY):
			v4++
		case ip.Is6() && (q.Type == dns.TypeAAAA || q.Type == dns.TypeANY):
			v6++
		}
	}
	if v4+v6 == 0 {
		return nil
	}
	ttl = s.ttl(q, ttl)
	rrs := make([]dns.RR, 0, v4+v6)
	as, aaaas := make([]aRecord, v4), make([]aaaaRecord, v6)
	for _, ip := range addrs {
		switch {
		case ip.Is4() && len(as) > 0:
			rr := &as[0]
			as = as[1:]
			rr.ip = ip.As4()
			rr.Hdr, rr.A.A = header(owner, dns.TypeA, ttl), rr.ip[:]
			rrs = append(rrs, &rr.A)
		case ip.Is6() && len(aaaas) > 0:
			rr := &aaaas[0]
			aaaas = aaaas[1:]
			rr.ip = ip.As16()
			rr.Hdr, rr.AAAA.AAAA = header(owner, dns.TypeAAAA, ttl), rr.ip[:]
			rrs = append(rrs, &rr.AAAA)
		}
	}
	return rrs
}
