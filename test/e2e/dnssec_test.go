package e2e

import (
	"crypto"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// signer is a key for zone docker., and its public half as delv's trust anchor.
type signer struct {
	base    string // path of the key's files without their endings, as dnssec-keygen names them
	anchors string // path
}

func newSigner(t *testing.T) signer {
	t.Helper()
	key := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: "docker.", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	var private crypto.PrivateKey
	for key.KeyTag() == 0 || private == nil { // with tag 0 the library signs nothing
		var err error
		if private, err = key.Generate(256); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	s := signer{
		base:    filepath.Join(dir, fmt.Sprintf("Kdocker.+%03d+%05d", key.Algorithm, key.KeyTag())),
		anchors: filepath.Join(dir, "anchors"),
	}
	for path, content := range map[string]string{
		s.base + ".key":     key.String() + "\n",
		s.base + ".private": key.PrivateKeyString(private),
		s.anchors: fmt.Sprintf("trust-anchors { docker. static-key %d %d %d %q; };\n",
			key.Flags, key.Protocol, key.Algorithm, key.PublicKey),
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// delv asks as a validating resolver does and returns what it says.
func (s *server) delv(anchors, name string, qtype uint16) string {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(s.Addr)
	out, err := exec.Command(installed(s.t, "delv"), "-a", anchors, "+root=docker",
		"@"+host, "-p", port, name, dns.TypeToString[qtype]).CombinedOutput()
	if err != nil {
		s.t.Errorf("delv %s: %v\n%s", name, err, out)
	}
	return string(out)
}

// With the dnssec plugin, answers of each kind are signed and a validating resolver
// takes them. Denials are what the plugin makes of them: a name that does not exist has
// no data.
func TestSignatures(t *testing.T) {
	t.Parallel()
	key := newSigner(t)
	s := serve(t, config{Keys: "docker.", Body: "dnssec {\nkey file " + key.base + "\n}\ndocker"})
	web := "web-" + suffix()
	addr := machine.addr(t, machine.run(t, "--name", web, "--label", "coredns.dockerdiscovery.records="+allRecords()))
	s.soon(web+".docker.", dns.TypeTXT, `"hello world" "second"`)

	const denied = "; negative response, fully validated"
	for _, c := range recordCases {
		name, want := inZone(c.name, web), forContainer(c.want, web, addr)
		said := s.delv(key.anchors, name, c.qtype)
		if c.want[0] == nodata || c.want[0] == nxdomain {
			if !strings.Contains(said, denied) {
				t.Errorf("%s %s: want %q, delv said\n%s", name, dns.TypeToString[c.qtype], denied, said)
			}
			continue
		}
		slices.Sort(want)
		if got := validated(said); !slices.Equal(got, want) {
			t.Errorf("%s %s: validated %q, want %q; delv said\n%s", name, dns.TypeToString[c.qtype], got, want, said)
		}
	}

	// Who trusts another key takes nothing.
	if got := validated(s.delv(newSigner(t).anchors, web+".docker.", dns.TypeA)); len(got) > 0 {
		t.Errorf("validated by a foreign key: %q", got)
	}
}

// validated returns the data that delv has found to be as signed, sorted.
func validated(said string) (data []string) {
	const mark = "; fully validated"
	if !strings.Contains(said, mark) {
		return nil
	}
	for line := range strings.Lines(said) {
		rr, err := dns.NewRR(line)
		if err != nil || rr == nil || rr.Header().Rrtype == dns.TypeRRSIG {
			continue
		}
		data = append(data, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(data)
	return data
}
