package zone

import (
	"github.com/miekg/dns"
)

// Apex returns what the zone has without any container, as the view has it, which has a server: its SOA, its NS and the name
// server's addresses, and those of the zones inside it. There are none if there is no such zone, or if it is ".".
func (s *Snapshot) Apex(apex string, v *View) []dns.RR {
	o := s.store.origins[apex]
	if o == nil || o.root {
		return nil
	}
	ttl := s.store.config.TTL
	rrs := []dns.RR{s.SOA(apex)}
	for _, cut := range append([]string{apex}, o.cuts...) {
		ns := newOrigin(cut).ns
		rrs = append(rrs, &dns.NS{Hdr: header(cut, dns.TypeNS, ttl), Ns: ns})
		rrs = append(rrs, s.addresses(&Query{Type: dns.TypeANY, View: *v}, ns, v.Server.Addrs(), ttl)...)
	}
	return rrs
}

// all returns the records of the node as the view has them, for a query of type ANY.
func (s *Snapshot) all(q *Query, n *node) []dns.RR {
	q.Name, q.Spelled = n.name, n.name
	if !n.reverse {
		return s.records(q, n)
	}
	if target := s.target(n, &q.View); target != "" {
		return s.ptr(q, target)
	}
	return nil
}

// SOA returns the zone's SOA record, nil if there is no such zone.
func (s *Snapshot) SOA(apex string) dns.RR {
	o := s.store.origins[apex]
	if o == nil {
		return nil
	}
	return s.soa(o.name, o, s.store.config.TTL)[0]
}

// serial returns the zone's: that of the version which secondaries get, if there is one, else the data's own.
func (s *Snapshot) serial(apex string) uint32 {
	if v := s.store.version.Load(); v != nil && v.Has(apex) {
		return v.Serial(apex)
	}
	return s.serials[apex]
}

// Serials returns the serials of the zones' data by apex. The map must not be changed.
func (s *Snapshot) Serials() map[string]uint32 { return s.serials }
