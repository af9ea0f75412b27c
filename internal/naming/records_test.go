package naming

import (
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// recordsOf writes the records of all claims, one a line.
func recordsOf(claims []zone.Claim) string {
	var out []string
	for _, c := range claims {
		for _, rr := range c.Records() {
			if rr.Header().Name != c.Name || c.Rank != zone.Shared {
				out = append(out, "wrong claim to "+c.Name)
			}
			out = append(out, strings.ReplaceAll(strings.Replace(rr.String(), "\tIN\t", " ", 1), "\t", " "))
		}
	}
	return strings.Join(out, "\n")
}

func TestRecords(t *testing.T) {
	for _, c := range []struct {
		name  string
		zones []string
		text  string
		want  string
	}{
		{
			"types and names", []string{"docker."},
			`@ TXT "a b" c
SUB.Sub 60 IN A 192.0.2.1
	AAAA 2001:db8::1
@ MX 10 mail
@ CAA 0 issue "ca.example.org"
@ HTTPS 1 . alpn=h2 ; a comment
_x._tcp SRV 0 0 80 @
@ NAPTR 10 10 "s" "SIP+D2U" "" _sip._udp
@ SSHFP 1 1 123456789abcdef67890123456789abcdef67890
@ SVCB ( 1 svc.example.org.
  port=8080 )
other.docker. CNAME www.example.org.
*.w TXT wild
@ TYPE65280 \# 2 abcd
@ TYPE1 \# 4 c0000202`,
			`web.docker. 5 TXT "a b" "c"
web.docker. 60 MX 10 mail.web.docker.
web.docker. 60 CAA 0 issue "ca.example.org"
web.docker. 60 HTTPS 1 . alpn="h2"
web.docker. 60 NAPTR 10 10 "s" "SIP+D2U" "" _sip._udp.web.docker.
web.docker. 60 SSHFP 1 1 123456789ABCDEF67890123456789ABCDEF67890
web.docker. 60 SVCB 1 svc.example.org. port="8080"
web.docker. 60 CLASS1 TYPE65280 \# 2 abcd
web.docker. 60 A 192.0.2.2
sub.sub.web.docker. 60 A 192.0.2.1
sub.sub.web.docker. 60 AAAA 2001:db8::1
_x._tcp.web.docker. 60 SRV 0 0 80 web.docker.
other.docker. 60 CNAME www.example.org.
*.w.web.docker. 60 TXT "wild"`,
		},
		{
			"origin and TTL", []string{"docker."},
			"$TTL 30\n$ORIGIN sub.docker.\na TXT x\nb 99999 TXT y\nc TXT z",
			"a.sub.docker. 30 TXT \"x\"\nb.sub.docker. 3600 TXT \"y\"\nc.sub.docker. 30 TXT \"z\"",
		},
		{
			"two zones", []string{"docker.", "lan."},
			"@ TXT x\na.lan. MX 1 m\nb.docker. A 192.0.2.1",
			"web.docker. 5 TXT \"x\"\nb.docker. 5 A 192.0.2.1\nweb.lan. 5 TXT \"x\"\na.lan. 5 MX 1 m.web.lan.",
		},
		{
			"a zone in a zone", []string{".", "docker."},
			"@ TXT x\na.docker. TXT y", "web. 5 TXT \"x\"\nweb.docker. 5 TXT \"x\"\na.docker. 5 TXT \"y\"",
		},
		{
			"zone .", []string{"."}, "@ MX 5 mail\n_sip._tcp SRV 0 0 5060 @\ncdn. CNAME www.example.org.",
			"web. 5 MX 5 mail.web.\n_sip._tcp.web. 5 SRV 0 0 5060 web.\ncdn. 5 CNAME www.example.org.",
		},
		{
			"doubles", []string{"docker."}, "@ TXT x\n@ 9 TXT x\n@ TXT y", "web.docker. 5 TXT \"x\"\nweb.docker. 9 TXT \"y\"",
		},
	} {
		r := rules(c.zones...)
		r.TTL, r.Sources = 5, []Source{Container, Label}
		e, _, skipped := r.Entry(here, &container.Container{ID: id, Name: "web", Labels: label("records", c.text)}, nil)
		if got := recordsOf(e.Claims); got != c.want {
			t.Errorf("%s: records\n%s\nwant\n%s", c.name, got, c.want)
		}
		if len(skipped) != 0 {
			t.Errorf("%s: skipped %v", c.name, skipped)
		}
	}
}

// TestRecordsInRootZone checks that no record takes a name that may be the Internet's.
func TestRecordsInRootZone(t *testing.T) {
	r := rules(".")
	r.Sources = []Source{Container, Label}
	e, _, skipped := r.Entry(here, &container.Container{ID: id, Name: "web", Labels: label("records", `cdn CNAME www.example.org.
example.org. A 192.0.2.1
*.web. TXT x
_dmarc.example.org. TXT x
localhost. A 192.0.2.1`)}, nil)
	if got := recordsOf(e.Claims); got != "" {
		t.Errorf("records %s", got)
	}
	const want = `label records "cdn.web. CNAME": zone . is shared with the Internet; a container's names have one label in it
label records "example.org. A": zone . is shared with the Internet; a container's names have one label in it
label records "*.web. TXT": zone . is shared with the Internet; there are no wildcards in it
label records "_dmarc.example.org. TXT": zone . is shared with the Internet; a container's names have one label in it
label records "localhost. A": localhost is everybody's own`
	if got := reasons(skipped); got != want {
		t.Errorf("skipped\n%s\nwant\n%s", got, want)
	}
}

// TestRefusedRecords checks that each bad record is refused alone, with its reason.
func TestRefusedRecords(t *testing.T) {
	for record, reason := range map[string]string{
		"docker. TXT x":                  `"docker. TXT": it is the zone's apex`,
		"ns.dns.docker. A 192.0.2.1":     `"ns.dns.docker. A": ns.dns.docker. is the name server's own`,
		"www.example.org. A 192.0.2.1":   `"www.example.org. A": it lies in none of the zones`,
		"1.0.0.10.in-addr.arpa. PTR @":   `"1.0.0.10.in-addr.arpa. PTR": it lies in none of the zones`,
		"@ NS ns.example.org.":           `"web.docker. NS": a container may not have this type`,
		"x.docker. NS ns.example.org.":   `"x.docker. NS": a container may not have this type`,
		"@ SOA ns. h. 1 2 3 4 5":         `"web.docker. SOA": a container may not have this type`,
		"@ DNAME example.org.":           `"web.docker. DNAME": a container may not have this type`,
		"@ DS 1 8 2 00":                  `"web.docker. DS": a container may not have this type`,
		"@ NSEC a.docker. A":             `"web.docker. NSEC": a container may not have this type`,
		`@ TYPE46 \# 0`:                  `"web.docker. RRSIG": a container may not have this type`,
		`@ TYPE2 \# 3 016100`:            `"web.docker. NS": a container may not have this type`,
		`@ TYPE251 \# 2 abcd`:            `"web.docker. IXFR": a container may not have this type`,
		`@ TYPE200 \# 2 abcd`:            `"web.docker. TYPE200": a container may not have this type`,
		"@ CH TXT x":                     `"web.docker. TXT": class CH; only IN is possible`,
		`\097.docker. TXT x`:             `"\\097.docker. TXT": character '\\'; letters, digits, hyphens and underscores are possible`,
		"x.*.docker. TXT x":              `"x.*.docker. TXT": character '*'; letters, digits, hyphens and underscores are possible`,
		`@ TYPE1 \# 0`:                   `"web.docker. A": it has no data`,
		`@ TYPE15 \# 0`:                  `"web.docker. MX": it has no data`,
		`@ TYPE65280 \# 0`:               `"web.docker. TYPE65280": it has no data`,
		"@ CNAME x":                      `"web.docker. CNAME": the name has other records`,
		"ok.docker. CNAME x":             `"ok.docker. CNAME": the name has other records`,
		"a CNAME x\na CNAME y":           `"a.web.docker. CNAME": the name has other records`,
		`_http._tcp CNAME x`:             `"_http._tcp.web.docker. CNAME": the name has other records`,
		strings.Repeat("x TXT y\n", 101): `"x.web.docker. TXT": more than 100 records`,
		"  TXT x":                        `" TXT": no owner name; @ is the container's`,
		"a 5 IN TXT x\n  NS y":           `"a.web.docker. NS": a container may not have this type`,
	} {
		r := rules("docker.")
		r.Sources = []Source{Container, Label}
		c := container.Container{ID: id, Name: "web", Ports: []container.Port{{Number: 80, Proto: "tcp"}}, Labels: label("records", record+"\nok.docker. TXT ok")}
		e, _, skipped := r.Entry(here, &c, nil)
		if !strings.Contains(recordsOf(e.Claims), `ok.docker. 0 TXT "ok"`) && !strings.HasPrefix(reason, `"x.web`) && !strings.HasPrefix(record, "a 5") {
			t.Errorf("%.80q costs another record: %s", record, recordsOf(e.Claims))
		}
		if got := reasons(skipped); got != "label records "+reason {
			t.Errorf("%.80q: skipped\n%s\nwant\n%s", record, got, reason)
		}
	}
}

// TestUnreadableRecords checks that a text that is no zone file is refused whole, with its place.
func TestUnreadableRecords(t *testing.T) {
	for text, reason := range map[string]string{
		"@ TXT x\nnonsense":                      "at line: 2",
		"@ TXT x\n@ A 1.2.3":                     `bad A A: "1.2.3" at line: 2`,
		"@ A ::1":                                "bad A A",
		"@ MX mail":                              "bad MX Pref",
		`@ TXT "x`:                               "at line",
		"@ TXT (x":                               "unbalanced brace",
		"foo":                                    "it can't be parsed",
		"foo IN":                                 "it can't be parsed",
		"foo 300":                                "it can't be parsed",
		strings.Repeat("a", 64) + " A 1":         "bad owner name",
		"@ TXT x\n$GENERATE 1-3 a$ A 10.0.0.$":   "$GENERATE is not possible",
		"$include x":                             "$INCLUDE is not possible",
		"@ TXT " + strings.Repeat("x", maxLabel): "16390 octets long; at most 16384 are read",
	} {
		c := container.Container{ID: id, Name: "web", Labels: label("records", text)}
		e, _, skipped := rules("docker.", "lan.").Entry(here, &c, nil)
		if got := recordsOf(e.Claims); got != "" || len(skipped) != 1 || !strings.Contains(skipped[0].Reason, reason) {
			t.Errorf("%.80q: records %q, skipped %v; want one that has %q", text, got, skipped, reason)
		}
	}
}

// TestRecordsWithoutAName checks what @ is if none of the sources gives a name.
func TestRecordsWithoutAName(t *testing.T) {
	for name, owner := range map[string]string{"web": "web.docker.", "a b": "0123456789ab.docker."} {
		e, _, skipped := only(Label).Entry(here, &container.Container{ID: id, Name: name, Labels: label("records", "@ TXT x")}, nil)
		if got := recordsOf(e.Claims); got != owner+" 0 TXT \"x\"" || len(skipped) != 0 {
			t.Errorf("%s: %s, skipped %v", name, got, skipped)
		}
	}
}
