package dockerdiscovery

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

var _ status.Block = (*Docker)(nil)

// An explanation has so many of each at most.
const (
	maxExplainedClaims  = 20
	maxExplainedWanting = 5
	maxExplainedNear    = 5
	maxExplainedBelow   = 10
)

// Explain implements status.Block. It does not wait for containers that are starting, and asks nobody else.
func (d *Docker) Explain(asked status.Question) (*status.Explanation, error) {
	r, err := message(asked)
	if err != nil {
		return nil, err
	}
	from, err := d.questioner(asked.From)
	if err != nil {
		return nil, err
	}
	from.at = d.boundTo()
	e := &exchange{Docker: d, w: from}
	var q zone.Query
	var res zone.Result
	e.query(&q, &r.Question[0])
	snapshot := d.store.Snapshot()
	verdicts := snapshot.Explain(&q, &res)
	x := &status.Explanation{
		Block: d.Info().Key, Name: q.Name, Type: q.Type, At: time.Now(),
		From: from.is, Asker: q.View.Asker, Forwarded: d.askers.Forwards(from.ip), Isolate: d.config.zone.Isolate, Zone: plugin.Zones(d.config.zone.Zones).Matches(q.Name), Zones: d.config.zone.Zones,
		LabelPrefix: d.config.labelPrefix + ".", Filters: d.config.filters, Proxies: d.config.tools.Proxies, Several: d.several(), Stale: res.Stale,
	}
	if e.client != nil {
		x.Client, x.Resolver = e.client.Name, servesDNS(e.client.Container)
	}
	x.Target = d.target(&res, q.Type)
	if x.Target != "" {
		at := q
		at.Name, at.Spelled = x.Target, x.Target
		verdicts = snapshot.Explain(&at, new(zone.Result))
	}
	x.Claims, x.MoreClaims = d.claims(verdicts)
	x.Starting = mayArrive(&q, &res) && d.isStarting(last(&q, &res), mayBeAny(&q, &res))
	switch d.decide(&q, &res) {
	case passOn:
		x.Passed = true
		if d.Next != nil {
			x.Next = d.Next.Name()
		}
	case notReady:
		x.Unready = true
		x.Answer, _ = e.failure(r)
	default:
		x.Followed = res.Target
		x.Answer = e.respond(r, &res)
	}
	x.Outcome = res.Outcome
	if x.Outcome != zone.Success {
		d.complete(x, snapshot, &q.View)
	}
	for _, h := range slices.Concat(d.Hosts(), d.swarms(), d.expected()) {
		if h.State != "current" {
			x.Hosts = append(x.Hosts, h)
		}
	}
	x.Conclude()
	if !x.Passed && !x.Unready {
		e.extendBy(x.Answer, r, &q, &res, func() string { return extraText(x) })
	}
	return x, nil
}

// message makes the query of the question, as dig does: with recursion desired, and EDNS.
func message(asked status.Question) (*dns.Msg, error) {
	name, qtype := asked.Name, asked.Type
	if qtype == dns.TypeNone {
		qtype = dns.TypeA
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		if name, err = dns.ReverseAddr(ip.WithZone("").String()); err != nil {
			return nil, err
		}
		qtype = dns.TypePTR
	}
	if _, ok := dns.IsDomainName(name); !ok || name == "" {
		return nil, fmt.Errorf("%q is not a name: want labels of 1 to 63 octets between dots, 255 octets at most, or an address", name)
	}
	if qtype == dns.TypeAXFR || qtype == dns.TypeIXFR {
		return nil, fmt.Errorf("%s asks for a zone, not for a name; want a type of records", dns.Type(qtype))
	}
	r := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype).SetEdns0(1232, false)
	r.Id = 0
	return r, nil
}

// servesDNS reports whether the container is likely to be a resolver.
func servesDNS(c *container.Container) bool {
	return slices.ContainsFunc(c.Ports, func(p container.Port) bool { return p.Number == 53 })
}

// target returns the name in our zones to which CNAMEs lead, "" if there are none or the last one leads elsewhere.
func (d *Docker) target(res *zone.Result, qtype uint16) string {
	if len(res.Answer) == 0 || qtype == dns.TypeCNAME || qtype == dns.TypeANY {
		return ""
	}
	target := ""
	for _, rr := range res.Answer {
		if c, ok := rr.(*dns.CNAME); ok {
			target = strings.ToLower(c.Target)
		}
	}
	if plugin.Zones(d.config.zone.Zones).Matches(target) == "" {
		return ""
	}
	return target
}

// claims adds to the first verdicts what is known of the containers, and counts the others.
func (d *Docker) claims(verdicts []zone.Verdict) (claims []status.Claim, more int) {
	slices.SortStableFunc(verdicts, func(a, b zone.Verdict) int { return answersFirst(a) - answersFirst(b) })
	for _, v := range verdicts {
		if len(claims) == maxExplainedClaims {
			return claims, len(verdicts) - len(claims)
		}
		c := status.Claim{Verdict: v}
		if about, known := d.catalog.Of(v.Entry.Key); known {
			c.About = &about
		}
		claims = append(claims, c)
	}
	return claims, 0
}

// answersFirst orders verdicts: who answers comes first, and who has lost comes last.
func answersFirst(v zone.Verdict) int {
	switch v.Reason {
	case zone.Answers:
		return 0
	case zone.LostTo, zone.Nearer, zone.CNAMEBeside:
		return 2
	default:
		return 1
	}
}

// isStarting reports whether a container is being started that may have the name.
func (d *Docker) isStarting(name string, any bool) bool {
	news, _ := d.catalog.Arrivals().Expect(name, any)
	return news != nil
}

// complete adds what there is to say of a name without an answer.
func (d *Docker) complete(x *status.Explanation, s *zone.Snapshot, v *zone.View) {
	name := x.Name
	if x.Target != "" {
		name = x.Target
	}
	if len(x.Claims) == 0 && !zone.IsReverse(name) {
		x.Wanting = d.catalog.Wanting(name)
		x.MoreWants = max(0, len(x.Wanting)-maxExplainedWanting)
		x.Wanting = x.Wanting[:len(x.Wanting)-x.MoreWants]
	}
	if x.Outcome == zone.EmptyNonTerminal {
		x.Below, x.MoreBelow = s.Below(name, v, maxExplainedBelow)
	}
	if len(x.Claims) == 0 && x.Outcome != zone.NoData && !zone.IsReverse(name) {
		x.Near = s.Near(name, v, maxExplainedNear)
	}
}

// Names implements status.Block.
func (d *Docker) Names(from string) (iter.Seq[status.Name], error) {
	who, err := d.questioner(from)
	if err != nil {
		return nil, err
	}
	who.at = d.boundTo()
	e := &exchange{Docker: d, w: who}
	var v zone.View
	e.look(&v)
	return func(yield func(status.Name) bool) {
		snapshot := d.store.Snapshot()
		for _, apex := range slices.Sorted(slices.Values(d.config.forward())) {
			for o := range snapshot.Owned(apex, v) {
				n := status.Name{Zone: o.Zone, Name: o.Name, Owners: []string{}, Records: []string{}}
				for _, owner := range o.Owners {
					n.Owners = append(n.Owners, owner.Name)
				}
				for _, rr := range o.Records {
					n.Records = append(n.Records, strings.TrimPrefix(rr.String(), rr.Header().Name+"\t"))
				}
				if !yield(n) {
					return
				}
			}
		}
	}, nil
}

// Containers implements status.Block.
func (d *Docker) Containers() iter.Seq[catalog.Explanation] { return d.catalog.All() }

// ZoneRecords implements status.Block: what a transfer gives. Zone . is not ours: it has no SOA, and no name server of ours.
func (d *Docker) ZoneRecords(apex string) iter.Seq[dns.RR] {
	apex = plugin.Name(apex).Normalize()
	snapshot := d.store.Snapshot()
	d.publishing.Lock()
	v := d.transferView()
	d.publishing.Unlock()
	owned := snapshot.Owned(apex, v)
	if owned == nil {
		return nil
	}
	return func(yield func(dns.RR) bool) {
		for _, rr := range snapshot.Apex(apex, &v) {
			if !yield(rr) {
				return
			}
		}
		for o := range owned {
			for _, rr := range o.Records {
				if !yield(rr) {
					return
				}
			}
		}
	}
}
