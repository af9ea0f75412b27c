package dockerdiscovery

import (
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

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
	e, _, skipped := r.Entry(container.NewNetworks(&container.Host{}), &container.Container{ID: "0123456789ab", Name: "web", Labels: map[string]string{
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
