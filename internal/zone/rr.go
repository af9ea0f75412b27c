package zone

import (
	"net/netip"

	"github.com/miekg/dns"
)

// Records with their data, and so one allocation: the library has the data apart. Most answers are
// a single record, which has its RRset too.
type (
	aRecord struct {
		dns.A
		ip [4]byte
	}
	aaaaRecord struct {
		dns.AAAA
		ip [16]byte
	}
	singleA struct {
		aRecord
		rrs [1]dns.RR
	}
	singleSOA struct {
		dns.SOA
		rrs [1]dns.RR
	}
	singlePTR struct {
		dns.PTR
		rrs [1]dns.RR
	}
)

func (rr *aRecord) set(owner string, ttl uint32, ip netip.Addr) *dns.A {
	rr.ip = ip.As4()
	rr.Hdr, rr.A.A = header(owner, dns.TypeA, ttl), rr.ip[:]
	return &rr.A
}

func (rr *aaaaRecord) set(owner string, ttl uint32, ip netip.Addr) *dns.AAAA {
	rr.ip = ip.As16()
	rr.Hdr, rr.AAAA.AAAA = header(owner, dns.TypeAAAA, ttl), rr.ip[:]
	return &rr.AAAA
}

// addresses returns the records for those of the addresses that are of the query's
// type.
func (s *Snapshot) addresses(q *Query, owner string, addrs []netip.Addr, ttl uint32) []dns.RR {
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
	if v4 == 1 && len(addrs) == 1 {
		rr := &singleA{}
		rr.rrs[0] = rr.set(owner, ttl, addrs[0])
		return rr.rrs[:]
	}
	rrs := make([]dns.RR, 0, v4+v6)
	as, aaaas := make([]aRecord, v4), make([]aaaaRecord, v6)
	for _, ip := range addrs {
		switch {
		case ip.Is4() && len(as) > 0:
			rrs = append(rrs, as[0].set(owner, ttl, ip))
			as = as[1:]
		case ip.Is6() && len(aaaas) > 0:
			rrs = append(rrs, aaaas[0].set(owner, ttl, ip))
			aaaas = aaaas[1:]
		}
	}
	return rrs
}
