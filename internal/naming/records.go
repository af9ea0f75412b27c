package naming

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// What one container may have of records in one zone: their number, and their octets on the
// wire, since a name of one letter in the text may be one of 255 octets there.
const (
	maxRecords = 100
	maxData    = 64 << 10
)

// refusedTypes are those by which a container would speak for others: for the zone, its
// delegations and its signatures, and for all names below its own. Types that are questions
// or belong to a message, and not to data, are those from 128 to 255 and OPT (RFC 6895 §3.1).
var refusedTypes = map[uint16]bool{
	dns.TypeSOA: true, dns.TypeNS: true, dns.TypeDNAME: true, dns.TypeZONEMD: true, dns.TypeCSYNC: true,
	dns.TypeDS: true, dns.TypeDNSKEY: true, dns.TypeRRSIG: true, dns.TypeNSEC: true, dns.TypeNSEC3: true,
	dns.TypeNSEC3PARAM: true, dns.TypeCDS: true, dns.TypeCDNSKEY: true, dns.TypeDLV: true, dns.TypeTA: true,
	dns.TypeSIG: true, dns.TypeKEY: true, dns.TypeNXT: true, dns.TypeNXNAME: true,
	dns.TypeNone: true, dns.TypeOPT: true, dns.TypeReserved: true,
}

// directives reads past what the parser reads past inside of a word.
var directives = strings.NewReplacer("\r", "", "\n", "", "(", "", ")", "")

// records returns the claims to the records in the container's label. A text that can't
// be parsed is refused as a whole, a record that may not be is refused alone. The names that it has may all be CNAMEs.
func (r *Rules) records(c *subject, have []zone.Claim, cname bool) []zone.Claim {
	text := c.labels.records
	if strings.TrimSpace(text) == "" {
		return nil
	}
	flat := strings.ToUpper(directives.Replace(text))
	for _, directive := range []string{"$GENERATE", "$INCLUDE"} {
		if strings.Contains(flat, directive) {
			c.refused.add(Skipped{Label, labelRecords, text, directive + " is not possible"})
			return nil
		}
	}
	var claims []zone.Claim
	for _, z := range r.Zones {
		origin := r.first(c, have, z)
		if origin == "" {
			continue // reported where its names are
		}
		rrs, err := parseRecords(text, origin, c.labels.ttl)
		if err != nil {
			c.refused.add(Skipped{Label, labelRecords, text, err.Error()})
			return nil
		}
		for _, rr := range r.allowed(c, rrs, z) {
			claims = addRecord(claims, rr)
		}
	}
	for i := range claims {
		if cname && slices.ContainsFunc(have, func(o zone.Claim) bool { return replaced(&o) && o.Name == claims[i].Name }) {
			c.refused.add(Skipped{Label, labelRecords, claims[i].Name, "the name is a CNAME, by the label " + labelCNAME})
			claims[i].Data.Records = nil
			continue
		}
		claims[i].Data.Records = c.loneCNAME(claims[i], have)
	}
	return slices.DeleteFunc(claims, func(cl zone.Claim) bool { return len(cl.Data.Records) == 0 })
}

// first returns the name by which the container is known best in the zone.
func (r *Rules) first(c *subject, have []zone.Claim, z string) string {
	for _, cl := range have {
		if plain(&cl) && r.zone(cl.Name) == z {
			return cl.Name
		}
	}
	for _, text := range []string{unrooted(c.Name), c.ShortID()} { // none of the sources has given it one
		if owner, _ := r.ownerName(r.standing(name{text: text}), z); owner != "" && r.zone(owner) == z {
			return owner
		}
	}
	return ""
}

// plain reports whether the claim is to a name that stands for the whole container.
func plain(c *zone.Claim) bool {
	return c.Network == noNetwork && c.Data == nil && !c.Proxied && !strings.HasPrefix(c.Name, "*.")
}

// parseRecords reads zone-file text, one record more than allowed at most. The parser is made
// for files that their reader trusts: what it does to a text must not hurt other containers.
func parseRecords(text, origin string, ttl uint32) (rrs []dns.RR, err error) {
	defer func() {
		if p := recover(); p != nil {
			rrs, err = nil, fmt.Errorf("it can't be parsed: %v", p)
		}
	}()
	parser := dns.NewZoneParser(strings.NewReader(text+"\n"), origin, "")
	parser.SetDefaultTTL(ttl)
	parser.SetIncludeAllowed(false)
	for len(rrs) <= maxRecords {
		rr, ok := parser.Next()
		if !ok {
			break
		}
		rrs = append(rrs, rr)
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("it can't be parsed: %s", strings.TrimPrefix(err.Error(), "dns: "))
	}
	return rrs, nil
}

// allowed returns the records that the container may have in the zone, ready to be served.
func (r *Rules) allowed(c *subject, rrs []dns.RR, z string) []dns.RR {
	var out []dns.RR
	size := 0
	for i, rr := range rrs {
		h := rr.Header()
		h.Name, h.Ttl = strings.ToLower(h.Name), min(h.Ttl, MaxTTL)
		what := clip(h.Name) + " " + dns.Type(h.Rrtype).String()
		if i == maxRecords {
			c.refused.add(Skipped{Label, labelRecords, what, fmt.Sprintf("more than %d records", maxRecords)})
			break
		}
		reason := r.forbidden(rr)
		if reason == "" && r.zone(h.Name) != z {
			continue // it is the other zone's
		}
		if reason == "" {
			rr, reason = wire(rr)
		}
		if reason == "" {
			if size += int(rr.Header().Rdlength); size > maxData {
				reason = fmt.Sprintf("more than %d octets of data", maxData)
			}
		}
		if reason != "" {
			c.refused.add(Skipped{Label, labelRecords, what, reason})
			continue
		}
		out = append(out, rr)
	}
	return out
}

// forbidden returns the reason why no container may have the record.
func (r *Rules) forbidden(rr dns.RR) string {
	h := rr.Header()
	switch z := r.zone(h.Name); {
	case h.Class != dns.ClassINET:
		return fmt.Sprintf("class %s; only IN is possible", dns.Class(h.Class))
	case refusedTypes[h.Rrtype] || h.Rrtype >= 128 && h.Rrtype <= 255:
		return "a container may not have this type"
	case h.Name == "":
		return "no owner name; @ is the container's"
	case z == "":
		return "it lies in none of the zones"
	case h.Name == z:
		return "it is the zone's apex"
	default:
		_, reason := r.ownerName(name{text: h.Name, zone: z, written: true, record: true}, z)
		return reason
	}
}

// wire returns the record as a client reads it, or the reason why it can't go over the wire.
func wire(rr dns.RR) (_ dns.RR, reason string) {
	defer func() {
		if p := recover(); p != nil {
			reason = fmt.Sprintf("it can't go over the wire: %v", p)
		}
	}()
	if newRR, ok := dns.TypeToRR[rr.Header().Rrtype]; ok {
		empty := newRR()
		*empty.Header() = *rr.Header()
		if reflect.DeepEqual(rr, empty) {
			return nil, "it has no data"
		}
	}
	buf := make([]byte, 2*maxLabel)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, "it can't go over the wire: " + err.Error()
	}
	read, _, err := dns.UnpackRR(buf[:end], 0)
	switch {
	case err != nil:
		return nil, "it can't go over the wire: " + err.Error()
	case read.Header().Rdlength == 0:
		return nil, "it has no data"
	}
	return read, ""
}

// addRecord adds the record to the claim to its owner name, unless it is there.
func addRecord(claims []zone.Claim, rr dns.RR) []zone.Claim {
	owner := rr.Header().Name
	i := slices.IndexFunc(claims, func(c zone.Claim) bool { return c.Name == owner })
	if i < 0 {
		return append(claims, zone.Claim{Name: owner, Rank: zone.Shared, Data: &zone.Data{Records: []dns.RR{rr}}})
	}
	if !slices.ContainsFunc(claims[i].Data.Records, func(o dns.RR) bool { return dns.IsDuplicate(o, rr) }) {
		claims[i].Data.Records = append(claims[i].Data.Records, rr)
	}
	return claims
}

// loneCNAME returns the claim's records without a CNAME that is not alone at its owner name,
// RFC 1034 §3.6.2.
func (c *subject) loneCNAME(claim zone.Claim, have []zone.Claim) []dns.RR {
	occupied := slices.ContainsFunc(have, func(o zone.Claim) bool { return o.Name == claim.Name }) ||
		slices.ContainsFunc(claim.Data.Records, func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeCNAME })
	var out []dns.RR
	for _, rr := range claim.Data.Records {
		if rr.Header().Rrtype == dns.TypeCNAME {
			if occupied {
				c.refused.add(Skipped{Label, labelRecords, claim.Name + " CNAME", "the name has other records"})
				continue
			}
			occupied = true
		}
		out = append(out, rr)
	}
	return out
}
