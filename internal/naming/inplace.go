package naming

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// maxAddresses bounds the addresses of a label: no proxy has more.
const maxAddresses = 16

// inPlace are the records that labels put in place of a container's own addresses, at all its names but its ID's: who asks for the ID
// means the container itself, and its addresses resolve to that name. The zero inPlace has none.
type inPlace struct {
	cname string // relative to each zone unless it ends with a dot
	addrs []netip.Addr
	ttl   uint32
}

// inPlace returns what the labels put in place of the addresses by which the claims would be answered. A CNAME leaves no room for
// anything else at its owner, RFC 1034 §3.6.2.
func (r *Rules) inPlace(l *labels, claims []zone.Claim, refused *refusals) inPlace {
	in := inPlace{ttl: l.ttl}
	if l.cname != "" {
		if reason := in.setCNAME(r, l.cname, claims); reason != "" {
			refused.add(Skipped{Label, labelCNAME, l.cname, reason})
		}
	}
	for _, text := range list(l.address) {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if reason := in.addAddress(r, text); reason != "" {
			refused.add(Skipped{Label, labelAddress, text, reason})
		}
	}
	return in
}

// any reports whether there are such records.
func (in *inPlace) any() bool { return in.cname != "" || len(in.addrs) > 0 }

// setCNAME takes the target in, or returns the reason why it can't be one. A target of one label is relative to the zone of each
// name, as in .host; of several it is what people write of names elsewhere, absolute.
func (in *inPlace) setCNAME(r *Rules, text string, claims []zone.Claim) (reason string) {
	target := strings.ToLower(strings.TrimSuffix(text, "."))
	if reason = Invalid(target); reason != "" {
		return reason
	}
	if strings.Contains(target, ".") || strings.HasSuffix(text, ".") {
		target += "."
	}
	for i := range claims {
		c := &claims[i]
		to := absolute(target, r.zone(c.Name))
		switch {
		case !replaced(c):
		case len(to)+1 > 255:
			return fmt.Sprintf("longer than 255 octets in zone %s", r.zone(c.Name))
		case slices.ContainsFunc(claims, func(o zone.Claim) bool { return replaced(&o) && gives(o.Name, to) }):
			return fmt.Sprintf("%s is a name of its own", to)
		}
	}
	in.cname = target
	return ""
}

// absolute is the name, which is relative to the zone unless it ends with a dot.
func absolute(name, z string) string {
	if strings.HasSuffix(name, ".") {
		return name
	}
	return name + "." + strings.TrimPrefix(z, ".")
}

// addAddress takes the address in, or returns the reason why it may not answer.
func (in *inPlace) addAddress(r *Rules, text string) (reason string) {
	ip, err := netip.ParseAddr(text)
	switch ip = ip.Unmap(); {
	case err != nil || ip.Zone() != "":
		return "it is not an IPv4 or IPv6 address"
	case in.cname != "":
		return "the container's names are a CNAME, by its label " + labelCNAME
	case len(r.Addresses) == 0:
		return "the docker block has no property addresses, which says which ones labels may give"
	case !r.mayGive(ip):
		return "the docker block's property addresses does not allow it"
	case slices.Contains(in.addrs, ip):
		return ""
	case len(in.addrs) == maxAddresses:
		return fmt.Sprintf("more than %d addresses", maxAddresses)
	}
	in.addrs = append(in.addrs, ip)
	return ""
}

// mayGive reports whether labels may have the address answered. A range of all addresses does not mean those that stand for something
// else wherever they are asked for: loopback and link-local ones need a range of just such.
func (r *Rules) mayGive(ip netip.Addr) bool {
	return slices.ContainsFunc(r.Addresses, func(p netip.Prefix) bool { return p.Contains(ip) && kindOf(p.Addr()).gives(kindOf(ip)) })
}

// addrKind is what an address is good for.
type addrKind uint8

const (
	global    addrKind = iota // it means one host to all who ask
	loopback                  // who asks
	linkLocal                 // another host on each link
	nobody                    // none
)

func kindOf(ip netip.Addr) addrKind {
	switch {
	case ip.IsUnspecified(), ip.IsMulticast(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return nobody
	case ip.IsLoopback():
		return loopback
	case ip.IsLinkLocalUnicast():
		return linkLocal
	default:
		return global
	}
}

// gives reports whether a range that begins with an address of the kind allows one of the other kind.
func (k addrKind) gives(o addrKind) bool { return o == global || o != nobody && o == k }

// replaced reports whether labels may put records in place of what the claim is answered with.
func replaced(c *zone.Claim) bool { return c.Data == nil && c.Rank != zone.ByID && !c.Proxied }

// replace returns the claims with the records in place of addresses.
func (in *inPlace) replace(r *Rules, claims []zone.Claim) []zone.Claim {
	if !in.any() {
		return claims
	}
	claims = slices.Clone(claims)
	for i := range claims {
		if c := &claims[i]; replaced(c) {
			c.Data = &zone.Data{Records: in.records(c.Name, r.zone(c.Name))}
		}
	}
	return claims
}

// records are those of the owner name, which lies in the zone.
func (in *inPlace) records(owner, z string) (rrs []dns.RR) {
	header := func(rrtype uint16) dns.RR_Header {
		return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: in.ttl}
	}
	if in.cname != "" {
		return []dns.RR{&dns.CNAME{Hdr: header(dns.TypeCNAME), Target: absolute(in.cname, z)}}
	}
	for _, ip := range in.addrs {
		if ip.Is4() {
			rrs = append(rrs, &dns.A{Hdr: header(dns.TypeA), A: ip.AsSlice()})
		} else {
			rrs = append(rrs, &dns.AAAA{Hdr: header(dns.TypeAAAA), AAAA: ip.AsSlice()})
		}
	}
	return rrs
}

// addWildcards claims what lies below the names that there are, but for the ID's, by the same rights: RFC 4592.
func (cs *claims) addWildcards(r *Rules, refused *refusals) {
	placed, root := false, false
	for _, c := range slices.Clone(cs.list) {
		if c.Rank == zone.ByID || strings.HasPrefix(c.Name, "*.") {
			continue
		}
		c.Name = "*." + c.Name
		switch {
		case r.zone(c.Name) == ".":
			root = true
		case len(c.Name)+1 > 255:
			refused.add(Skipped{Label, labelWildcard, c.Name, "longer than 255 octets"})
		default:
			cs.claim(c)
			placed = true
		}
	}
	if root && !placed {
		refused.add(Skipped{Label, labelWildcard, "true", noRootWildcards})
	}
}
