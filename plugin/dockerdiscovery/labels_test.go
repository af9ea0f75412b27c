package dockerdiscovery

import (
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// TestLeftOut checks a container that a label leaves out: from its start to after its end it has no name.
func TestLeftOut(t *testing.T) {
	cfg := config{sources: naming.Sources(), hold: 10 * time.Second}
	cfg.zone = zone.Config{Zones: []string{"docker."}, TTL: 5, NegativeTTL: 7}
	d := newDocker(cfg, &instance{})
	t.Cleanup(d.records.close)
	d.Synced()
	left := &container.Container{
		ID: "0123456789abcdef", Name: "secret", Labels: map[string]string{"coredns.dockerdiscovery.enable": "false"},
		Ports: published("0.0.0.0:80"),
	}
	absent := handlerCase{Case: test.Case{Qname: "secret.docker.", Qtype: dns.TypeA, Rcode: dns.RcodeNameError,
		Ns: []dns.RR{test.SOA("docker. 5 IN SOA ns.dns.docker. hostmaster.docker. 1 60 15 3600 7")}}}
	for _, change := range []container.Change{
		{ID: left.ID, Container: left}, {ID: left.ID}, {ID: left.ID, Container: left}, {ID: left.ID, Gone: true},
	} {
		d.Apply([]container.Change{change})
		serve(t, d, absent)
	}
	if len(d.known) != 0 {
		t.Errorf("it is still known: %v", d.known)
	}
}

// TestSkippedLabelsAreCounted checks that refusals count as long as the container runs.
func TestSkippedLabelsAreCounted(t *testing.T) {
	d := newTestDocker("docker.")
	bad := &container.Container{ID: "bad", Name: "bad", Labels: map[string]string{
		"coredns.dockerdiscovery.ttl": "x", "coredns.dockerdiscovery.records": "@ NS x\n@ TXT x",
	}}
	for range 2 {
		d.Apply([]container.Change{{ID: bad.ID, Container: bad}})
		if n := d.skipped.Load(); n != 2 {
			t.Errorf("%d skipped, want 2", n)
		}
	}
	d.Apply([]container.Change{{ID: bad.ID, Gone: true}})
	if n := d.skipped.Load(); n != 0 {
		t.Errorf("%d skipped after its end", n)
	}
}

// TestReadmeExamples checks that the README's records and templates are good.
func TestReadmeExamples(t *testing.T) {
	readme := readFile(t, "README.md")
	_, rest, _ := strings.Cut(readme, "coredns.dockerdiscovery.records: |\n")
	records, _, ok := strings.Cut(rest, "~~~")
	if !ok {
		t.Fatal("README.md has no example of records")
	}
	var lines []string
	for line := range strings.Lines(records) {
		lines = append(lines, strings.TrimSpace(line))
	}
	r := naming.Rules{Zones: []string{"docker."}, Sources: naming.Sources(), Reserved: zone.Config{Zones: []string{"docker."}}.Reserved}
	e, skipped := r.Entry(&container.Container{ID: "0123456789ab", Name: "web", Labels: map[string]string{
		"coredns.dockerdiscovery.records": strings.Join(lines, "\n"),
	}}, nil)
	n := 0
	for _, c := range e.Claims {
		n += len(c.Records())
	}
	if n != 4 || len(skipped) != 0 {
		t.Errorf("%d records, skipped %v", n, skipped)
	}

	n = 0
	for line := range strings.Lines(readme) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "template \"") {
			n++
			if _, err := parseText("docker docker. {\n"+line+"\n}", "."); err != nil {
				t.Error(err)
			}
		}
	}
	if n == 0 {
		t.Error("README.md has no example of a template")
	}
}
