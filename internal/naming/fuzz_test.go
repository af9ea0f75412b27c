package naming

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming/dialect"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// FuzzLabels checks that whatever labels and templates ask for, a container claims only names that it may have,
// and records that can go over the wire.
func FuzzLabels(f *testing.F) {
	for _, records := range []string{
		"@ TXT x\nsub 60 A 192.0.2.1\n*.w AAAA ::1", "$ORIGIN docker.\n@ NS x\nns.dns A 192.0.2.1", "$TTL 9\n$GENERATE 1-9 a$ A 10.0.0.$",
		"docker. SOA a b 1 2 3 4 5", `@ TYPE43 \# 4 00010802`, `x TYPE15 \# 0`, "@ HTTPS 1 . alpn=h2 key65280=x", "@ NAPTR 1 1 s s \"\" x",
		"1.0.0.10.in-addr.arpa. PTR @", "@ APL 1:10.0.0.0/8", "@ LOC 1 N 1 E 0m", "@ SVCB (", "@ IPSECKEY 1 0 2 . AQ==", "@ CNAME a\na CNAME @",
	} {
		f.Add(records, "www, *.app, x.docker., docker., *", "a b,{c}", "30", "", "", true, false)
		f.Add(records, "www, *.app, x.docker., docker., *", "a b,{c}", "30", "proxy", "192.0.2.1", true, true)
		f.Add(records, "www", "", "", "", "192.0.2.1,::1,0.0.0.0,fe80::1%x", false, true)
	}
	f.Add("", "\x00,\xff,\\.,..,*.*", "-.docker.", "x", "\\..", "\xff", false, true)
	tmpl, err := NewTemplate("{{.Label `t`}}")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, records, host, result, ttl, cname, address string, root, wildcard bool) {
		r := rules("docker.", "sub.docker.", "lan.")
		if root {
			r = rules(".", "docker.")
		}
		r.Templates = []*NameTemplate{tmpl}
		r.Tools.Read, r.Tools.Addrs = dialect.Tools(), []netip.Addr{netip.MustParseAddr("192.0.2.80")}
		r.Addresses = ranges("0.0.0.0/0", "::/0")
		labels := label("records", records, "host", host, "ttl", ttl, "cname", cname, "address", address, host, records)
		if wildcard {
			labels[DefaultLabelPrefix+".wildcard"] = "true"
		}
		labels["t"] = result
		labels["traefik.http.routers.x.rule"], labels["caddy"], labels["dev.orbstack.domains"] = "Host(`"+host+"`)||Host(`"+result+"`)", result, host
		c := container.Container{
			ID: id, Name: "web_1", Labels: labels, Ports: []container.Port{{Number: 80, Proto: "tcp"}},
			Endpoints: []container.Endpoint{{Network: "n", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.2")}}},
		}
		e, _, skipped := r.Entry(called("nas"), &c, &c)
		if e == nil {
			if host != "enable" {
				t.Error("the container is left out")
			}
			return
		}
		if e.TTL > MaxTTL {
			t.Errorf("TTL %d", e.TTL)
		}
		for _, claim := range e.Claims {
			checkClaim(t, r, claim)
		}
		checkLoneCNAMEs(t, e.Claims)
		checkWould(t, r, &c)
		if len(skipped) > 5*(maxSkipped+1) {
			t.Errorf("%d skipped", len(skipped))
		}
		for _, s := range skipped {
			if text := s.String(); len(text) > 8*maxQuoted || strings.ContainsFunc(text, unicode.IsControl) {
				t.Errorf("not fit for a log: %q", text)
			}
		}
	})
}

// checkWould checks that the container, left out, would have the names that it has.
func checkWould(t *testing.T, r *Rules, c *container.Container) {
	t.Helper()
	plain := *r
	plain.Templates = nil // by which it may have any name
	e, _, _ := plain.Entry(called("nas"), c, c)
	plain.OptIn = true
	for _, claim := range e.Claims {
		name := strings.Replace(claim.Name, "*.", "x.", 1)
		if (claim.Data == nil || claim.Rank != zone.Shared && claim.Service() == nil) && (!plain.May(c, name) || plain.Would(called("nas"), c, c, name) == "") {
			t.Errorf("it would not have %q", name)
		}
	}
}

func checkClaim(t *testing.T, r *Rules, claim zone.Claim) {
	t.Helper()
	buf := make([]byte, 1<<16)
	if wire, err := dns.PackDomainName(claim.Name, buf, 0, nil, false); err != nil || wire > 255 {
		t.Errorf("%q can't go over the wire: %d octets, %v", claim.Name, wire, err)
	}
	rest := strings.TrimSuffix(strings.TrimPrefix(claim.Name, "*."), ".")
	if Invalid(rest) != "" || r.zone(claim.Name) == "" || r.Reserved(claim.Name) || dns.IsSubDomain("arpa.", claim.Name) || claim.Name == "*." {
		t.Errorf("%q is no name for a container", claim.Name)
	}
	types := map[uint16]int{}
	for _, rr := range claim.Records() {
		h := rr.Header()
		types[h.Rrtype]++
		if h.Name != claim.Name || h.Class != dns.ClassINET || h.Ttl > MaxTTL || refusedTypes[h.Rrtype] || h.Rrtype >= 128 && h.Rrtype < 256 {
			t.Errorf("%s is no record for a container", rr)
		}
		end, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			t.Errorf("%s: %v", rr, err)
		} else if _, _, err := dns.UnpackRR(buf[:end], 0); err != nil {
			t.Errorf("%s: %v", rr, err)
		}
	}
	if types[dns.TypeCNAME] > 0 && len(claim.Records()) > 1 {
		t.Errorf("%v: a CNAME is not alone", claim.Records())
	}
	if s := claim.Service(); s != nil && (len(s.Targets) == 0 || slices.ContainsFunc(s.Targets, func(name string) bool { return r.zone(name) == "" })) {
		t.Errorf("targets %q", s.Targets)
	}
}

// checkLoneCNAMEs checks that a CNAME of the container's is all that it has at a name, and not that name itself.
func checkLoneCNAMEs(t *testing.T, claims []zone.Claim) {
	t.Helper()
	at := map[string]string{} // what the container has at its names
	for i := range claims {
		c := &claims[i]
		data := fmt.Sprint(c.Records(), c.Service())
		if before, there := at[c.Name]; there && before != data && (strings.Contains(before, "\tCNAME\t") || strings.Contains(data, "\tCNAME\t")) {
			t.Errorf("%s has a CNAME beside other records: %s and %s", c.Name, before, data)
		}
		at[c.Name] = data
		for _, rr := range c.Records() {
			if to, ok := rr.(*dns.CNAME); ok && c.Rank != zone.Shared && gives(c.Name, to.Target) {
				t.Errorf("%s leads to itself", rr)
			}
		}
	}
}
