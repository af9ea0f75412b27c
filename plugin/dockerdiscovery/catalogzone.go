package dockerdiscovery

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

const catalogForm = "catalog_zone ZONE, a domain name outside of the zones, as in catalog.invalid"

// errNoMembers keeps a secondary from dropping zones that are only not known yet.
var errNoMembers = errors.New("the catalog zone's members are not known yet")

// catalogZone lists the zones that a secondary gets from us, so that it configures itself: RFC 9432.
type catalogZone struct {
	soa dns.SOA
	rrs []dns.RR // the others
}

func (cfg *config) setCatalogZone(args []string) error {
	name := plugin.Name(args[0]).Normalize()
	if reason := naming.Invalid(strings.TrimSuffix(name, ".")); reason != "" {
		return fmt.Errorf("'%s' is not a zone: %s", args[0], reason)
	}
	cfg.catalogZone = name
	return nil
}

// checkCatalogZone takes the catalog zone out of the containers' zones, where it came with the server block's, and says why it can't be
// one. It is asked for in the server block, whose keys have it therefore.
func (cfg *config) checkCatalogZone(explicit bool, keys []string) error {
	name := cfg.catalogZone
	if name == "" {
		return nil
	}
	if !explicit {
		cfg.zone.Zones = slices.DeleteFunc(cfg.zone.Zones, func(z string) bool { return z == name })
	}
	if in := plugin.Zones(slices.DeleteFunc(slices.Clone(cfg.zone.Zones), func(z string) bool { return z == "." })).Matches(name); in != "" {
		return fmt.Errorf("catalog_zone %s lies in zone %s, whose names are the containers'; want '%s'", name, in, catalogForm)
	}
	if len(cfg.forward()) == 0 {
		return fmt.Errorf("catalog_zone %s leaves no zone for the containers' names; want one more in the server block", name)
	}
	if plugin.Zones(plugin.OriginsFromArgsOrServerBlock(nil, keys)).Matches(name) == "" {
		return fmt.Errorf("catalog_zone %s is not asked for in this server block; want it among the block's zones, as in '%s %s {'", name, keys[0], name)
	}
	return nil
}

// issuedCatalogs are the catalog zones of this process by their name: the serial grows with their members alone.
var issuedCatalogs = struct {
	sync.Mutex
	last map[string]*catalogZone
}{last: map[string]*catalogZone{}}

// newCatalogZone returns the catalog zone of that name with the members.
func newCatalogZone(name string, members []string, ttl uint32) *catalogZone {
	header := func(owner string, rrtype uint16) dns.RR_Header {
		return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
	}
	// Nobody is to be led here, and no member to be dropped since we are away: RFC 9432 §4.1 and §5.1.
	const nobody, never = "invalid.", 1<<31 - 1
	z := &catalogZone{soa: dns.SOA{Hdr: header(name, dns.TypeSOA), Ns: nobody, Mbox: nobody, Refresh: zone.Refresh, Retry: zone.Retry, Expire: never}}
	z.rrs = []dns.RR{&dns.NS{Hdr: header(name, dns.TypeNS), Ns: nobody}, &dns.TXT{Hdr: header("version."+name, dns.TypeTXT), Txt: []string{"2"}}}
	for _, member := range slices.Compact(slices.Sorted(slices.Values(members))) {
		label := sha256.Sum256([]byte(member)) // the same as long as the member is: else secondaries would begin it anew
		z.rrs = append(z.rrs, &dns.PTR{Hdr: header(hex.EncodeToString(label[:16])+".zones."+name, dns.TypePTR), Ptr: member})
	}
	issuedCatalogs.Lock()
	defer issuedCatalogs.Unlock()
	same := func(a, b dns.RR) bool { return a.Header().Ttl == b.Header().Ttl && dns.IsDuplicate(a, b) }
	if last := issuedCatalogs.last[name]; last != nil && slices.EqualFunc(last.rrs, z.rrs, same) {
		z.soa.Serial = last.soa.Serial
	} else {
		z.soa.Serial = zone.NextSerial(name)
	}
	issuedCatalogs.last[name] = z
	return z
}

// transfer yields the zone's records, or its SOA alone to who has the serial.
func (z *catalogZone) transfer(serial uint32) <-chan []dns.RR {
	ch := make(chan []dns.RR, 3)
	defer close(ch)
	soa := []dns.RR{dns.Copy(&z.soa)}
	if ch <- soa; serial != 0 && !newer(z.soa.Serial, serial) {
		return ch
	}
	var rrs []dns.RR
	for _, rr := range z.rrs {
		rrs = append(rrs, dns.Copy(rr))
	}
	ch <- rrs
	ch <- soa
	return ch
}

// isCatalogs reports whether the name lies in the catalog zone.
func (d *Docker) isCatalogs(name string) bool {
	return d.config.catalogZone != "" && dns.IsSubDomain(d.config.catalogZone, name)
}

// answerForCatalog answers who asks for the catalog zone's serial or NS. Its members are for who may transfer it: RFC 9432 §7.
func (d *Docker) answerForCatalog(e *exchange, r *dns.Msg) (int, error) {
	q, z := r.Question[0], d.catalogZone.Load()
	switch {
	case z == nil:
		return dns.RcodeServerFailure, nil
	case plugin.Name(q.Name).Normalize() != d.config.catalogZone || q.Qtype != dns.TypeSOA && q.Qtype != dns.TypeNS:
		return dns.RcodeRefused, nil
	}
	m := e.reply(r)
	m.Authoritative = true
	m.Answer = []dns.RR{dns.Copy(&z.soa)}
	if q.Qtype == dns.TypeNS {
		m.Answer = []dns.RR{dns.Copy(z.rrs[0])}
	}
	return e.write(m)
}
