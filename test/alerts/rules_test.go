package alerts

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// alert is one of the rules.
type alert struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

// read reads a YAML file.
func read(t *testing.T, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alert }
	}
	read(t, rules, &file)
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("there are no alerts")
	}
	return all
}

// need skips the test where a program is missing.
func need(t *testing.T, program string) {
	t.Helper()
	if err := rig.Need(program); err != nil {
		t.Skip(err)
	}
}

// TestPromtool has the distribution's promtool check the rules, and go through their cases.
func TestPromtool(t *testing.T) {
	need(t, "promtool")
	for _, args := range [][]string{{"check", "rules", rules}, {"test", "rules", rulesOfs}} {
		if out, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestCases checks that each alert has a case in which it fires, and one in which it does not although there are series of a metric
// that it looks at.
func TestCases(t *testing.T) {
	var file struct {
		Tests []struct {
			Name        string
			InputSeries []struct{ Series string } `yaml:"input_series"`
			Cases       []struct {
				Alertname string
				Expected  []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	read(t, rulesOfs, &file)
	fires, silent := map[string]bool{}, map[string]bool{}
	all := map[string]alert{}
	for _, a := range alerts(t) {
		all[a.Alert] = a
	}
	for _, test := range file.Tests {
		firing := map[string]bool{}
		for _, c := range test.Cases {
			firing[c.Alertname] = firing[c.Alertname] || len(c.Expected) > 0
		}
		for name, fired := range firing {
			a, known := all[name]
			seen := slices.ContainsFunc(test.InputSeries, func(s struct{ Series string }) bool {
				metric, _, _ := strings.Cut(s.Series, "{")
				return slices.Contains(selected(t, a.Expr), metric)
			})
			if !known || !seen {
				t.Errorf("%s: there is no alert %s, or it looks at none of the series", test.Name, name)
			}
			if fired {
				fires[name] = true
			} else {
				silent[name] = true
			}
		}
	}
	for name := range all {
		if !fires[name] || !silent[name] {
			t.Errorf("%s has a case in which it fires: %t, and a test in which it never does: %t", name, fires[name], silent[name])
		}
	}
}

// TestRunbook checks that each alert says how bad it is, what is wrong and where it is told what to do, and that the runbook has
// a section for each alert and for nothing else.
func TestRunbook(t *testing.T) {
	page, err := os.ReadFile(runbook)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^### (DockerDNS\w*)$`).FindAllStringSubmatch(string(page), -1) {
		sections[m[1]] = true
	}
	for _, a := range alerts(t) {
		if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
			t.Errorf("%s has the severity %q", a.Alert, a.Labels["severity"])
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s has no summary, or no description", a.Alert)
		}
		want := "https://github.com/dockerdiscovery/dockerdiscovery/blob/HEAD/docs/operations.md#" + strings.ToLower(a.Alert)
		if got := a.Annotations["runbook_url"]; got != want || !sections[a.Alert] {
			t.Errorf("%s is told of at %q, want %q, and the page has it: %t", a.Alert, got, want, sections[a.Alert])
		}
		delete(sections, a.Alert)
	}
	if len(sections) > 0 {
		t.Errorf("%s tells of what is no alert: %q", runbook, slices.Sorted(maps.Keys(sections)))
	}
}
