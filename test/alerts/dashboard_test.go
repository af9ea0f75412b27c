package alerts

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// dashboard is what is looked at of Grafana's.
type dashboard struct {
	Panels      []panel
	Annotations struct {
		List []struct{ Name, Expr, TextFormat, TitleFormat string }
	}
	Templating struct{ List []variable }
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ H, W, X, Y int }
	Datasource               datasource
	Targets                  []target
}

type target struct {
	Expr, LegendFormat string
	Datasource         datasource
}

type datasource struct{ UID string }

type variable struct {
	Name, Type, Definition string
}

// chosen is the variable for the Prometheus that is asked.
const chosen = "${datasource}"

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	b, err := os.ReadFile(dist + "/grafana/dockerdiscovery.json")
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The labels that a dashboard's legend shows, and those that an alert's text does.
var (
	inLegend = regexp.MustCompile(`\{\{(\w+)\}\}`)
	inText   = regexp.MustCompile(`\$labels\.(\w+)`)
)

func shown(as *regexp.Regexp, text string) set {
	found := set{}
	for _, m := range as.FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	return found
}

// listed finds the metric and the label of which a variable has the values.
var listed = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)

// question is an expression with the labels that are shown of its results.
type question struct {
	of, expr string
	labels   set
}

// questions returns all that the dashboard asks, for all jobs, servers and hosts.
func (d *dashboard) questions(t *testing.T) (all []question) {
	t.Helper()
	var replaced []string
	for _, v := range d.Templating.List {
		if v.Type == "datasource" {
			continue
		}
		replaced = append(replaced, "$"+v.Name, ".*")
		m := listed.FindStringSubmatch(v.Definition)
		if m == nil {
			t.Fatalf("variable %s is %q", v.Name, v.Definition)
		}
		all = append(all, question{"variable " + v.Name, m[1], setOf(m[2])})
	}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			all = append(all, question{p.Title, q.Expr, shown(inLegend, q.LegendFormat)})
		}
	}
	for _, a := range d.Annotations.List {
		if a.Expr != "" {
			all = append(all, question{a.Name, a.Expr, shown(inLegend, a.TitleFormat+a.TextFormat)})
		}
	}
	variables := strings.NewReplacer(append(replaced, "$__rate_interval", "5m")...)
	for i := range all {
		all[i].expr = variables.Replace(all[i].expr)
	}
	return all
}

// TestDashboard checks what Grafana itself would not say: that panels lie beside each other, and that each says what it shows, of
// the Prometheus that is chosen.
func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if p.Title == "" || ids[p.ID] {
			t.Errorf("panel %d has the title %q, or its ID is another one's too", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, taken := cells[[2]int{x, y}]; taken || x >= 24 {
					t.Fatalf("%s lies on %q, or beside the page", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 || p.Datasource.UID != chosen {
			t.Errorf("%s has the description %q, %d targets and the source %s", p.Title, p.Description, len(p.Targets), p.Datasource.UID)
		}
		for _, q := range p.Targets {
			if q.Datasource.UID != chosen {
				t.Errorf("%s asks %s", p.Title, q.Datasource.UID)
			}
		}
	}
	if v := d.Templating.List; len(v) < 2 || v[0].Name != "datasource" || v[0].Type != "datasource" {
		t.Errorf("the variables are %+v", v)
	}
}
