package dockerdiscovery

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	rfc9432 "github.com/coredns/coredns/plugin/pkg/catalog"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

func TestCatalogZoneErrors(t *testing.T) {
	for text, want := range map[string][]string{
		"docker {\n catalog_zone\n}":                                    {":2", "catalog_zone has 0 arguments", "want 'catalog_zone ZONE"},
		"docker {\n catalog_zone a..b\n}":                               {":2", "'a..b' is not a zone", "want 'catalog_zone ZONE"},
		"docker {\n catalog_zone .\n}":                                  {":2", "'.' is not a zone"},
		"docker docker. {\n catalog_zone list.docker\n}":                {"catalog_zone list.docker. lies in zone docker.", "as in catalog.invalid"},
		"docker docker. lists. {\n catalog_zone lists\n}":               {"catalog_zone lists. lies in zone lists."},
		"docker {\n catalog_zone a.invalid\n catalog_zone b.invalid\n}": {":3", "catalog_zone stands in line 2 already"},
	} {
		parseFails(t, text, want)
	}
}

// members transfers a catalog zone and returns its serial and what it lists.
func members(t *testing.T, name, addr string, serial uint32) (uint32, []string) {
	t.Helper()
	m := new(dns.Msg).SetAxfr(name)
	if serial != 0 {
		m.SetIxfr(name, serial, "invalid.", "invalid.")
	}
	ch, err := new(dns.Transfer).In(m, addr)
	if err != nil {
		t.Fatal(err)
	}
	var rrs []dns.RR
	for env := range ch {
		if env.Error != nil {
			t.Fatal(env.Error)
		}
		rrs = append(rrs, env.RR...)
	}
	if len(rrs) == 1 {
		return rrs[0].(*dns.SOA).Serial, nil
	}
	parsed, err := rfc9432.Parse(name, rrs)
	if err != nil {
		t.Fatalf("%v\n%v", err, rrs)
	}
	var zones []string
	for _, m := range parsed.Members {
		zones = append(zones, m.Zone)
	}
	slices.Sort(zones)
	return rrs[0].(*dns.SOA).Serial, zones
}

// TestCatalogZone has the zones listed that a secondary gets where the catalog stands, of all server blocks. Its serial grows with what
// is listed, and the secondary is told.
func TestCatalogZone(t *testing.T) {
	e := enginetest.New(t)
	port, elsewhere, secondary := freePort(t), freePort(t), "127.0.0.1:"+freePort(t)
	told := make(chan string, 1000)
	rig.ServeDNS(t, "udp", secondary, func(w dns.ResponseWriter, r *dns.Msg) {
		told <- r.Question[0].Name
		if err := w.WriteMsg(new(dns.Msg).SetReply(r)); err != nil {
			t.Error(err)
		}
	})
	wait := func() {
		t.Helper()
		for deadline := time.After(20 * time.Second); ; {
			select {
			case name := <-told:
				if name == "catalog.invalid." {
					return
				}
			case <-deadline:
				t.Fatal("the secondary is not told")
			}
		}
	}
	corefile := func(zones string) string {
		return strings.NewReplacer("PORT", port, "ELSEWHERE", elsewhere, "ENDPOINT", "endpoint "+e.Host(), "TO", secondary).Replace(
			"docker.:PORT 172.17.0.0/16:PORT catalog.invalid.:PORT {\n docker {\n ENDPOINT\n catalog_zone Catalog.invalid\n }\n transfer {\n to TO 127.0.0.1\n }\n}\n" +
				zones +
				"refused.:PORT {\n docker {\n ENDPOINT\n }\n}\nfar.:ELSEWHERE {\n docker {\n ENDPOINT\n }\n transfer {\n to *\n }\n}\n")
	}
	addr := "127.0.0.1:" + port
	s := inprocess.Serve(t, corefile(""))
	wait()
	serial, got := members(t, "catalog.invalid.", addr, 0)
	if want := []string{"17.172.in-addr.arpa.", "docker."}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for question, want := range map[string]string{
		"catalog.invalid. SOA": fmt.Sprintf("SOA invalid. invalid. %d 60 15 2147483647 0", serial), "Catalog.Invalid. NS": "NS invalid.", "catalog.invalid. A": "REFUSED",
		"version.catalog.invalid. TXT": "REFUSED", "catalog.invalid. ANY": "REFUSED",
	} {
		name, qtype, _ := strings.Cut(question, " ")
		r, err := dns.Exchange(new(dns.Msg).SetQuestion(name, dns.StringToType[qtype]), addr)
		if err != nil {
			t.Fatal(err)
		}
		got := dns.RcodeToString[r.Rcode]
		if len(r.Answer) == 1 {
			got = dns.TypeToString[r.Answer[0].Header().Rrtype] + " " + strings.TrimPrefix(r.Answer[0].String(), r.Answer[0].Header().String())
		}
		if got != want {
			t.Errorf("%s: %s, want %s", question, got, want)
		}
	}
	if now, got := members(t, "catalog.invalid.", addr, serial); now != serial || got != nil {
		t.Errorf("IXFR of serial %d: serial %d, %q", serial, now, got)
	}
	if err := s.Reload(corefile("# nothing new\n")); err != nil {
		t.Fatal(err)
	}
	wait()
	if now, _ := members(t, "catalog.invalid.", addr, 0); now != serial {
		t.Errorf("serial %d after %d, and nothing new", now, serial)
	}
	if err := s.Reload(corefile(".:PORT sub.docker.:PORT lab.:PORT {\n docker lab. . sub.docker. {\n ENDPOINT\n }\n transfer {\n to *\n }\n}\n")); err != nil {
		t.Fatal(err)
	}
	wait()
	now, got := members(t, "catalog.invalid.", addr, serial)
	if want := []string{"17.172.in-addr.arpa.", "docker.", "lab.", "sub.docker."}; !newer(now, serial) || !slices.Equal(got, want) {
		t.Errorf("serial %d after %d, %q, want %q", now, serial, got, want)
	}
}
