package naming

import (
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

func TestTemplates(t *testing.T) {
	compose := map[string]string{composeProject: "shop", composeService: "web", composeNumber: "2", "org.example.role": "Front", "role": "r"}
	oneoff := map[string]string{composeProject: "shop", composeService: "web", composeNumber: "1", composeOneoff: "True"}
	for _, c := range []struct {
		template string
		labels   map[string]string
		want     string
		skipped  string
	}{
		{"{{.Service}}-{{.Number}}.{{.Project}}", compose, "web-2.shop.docker. shared", ""},
		{"{{.Service}}-{{.Number}}.{{.Project}}", nil, "", ""},
		{"{{.Service}}-{{.Number}}.{{.Project}}", oneoff, "", ""},
		{"{{lower (.Label `org.example.role`)}}.role", compose, "front.role.docker. shared", ""},
		{"{{.Labels.role}}", compose, "r.docker. shared", ""},
		{"{{.Labels.role}}", nil, "", ""},
		{"{{.Label `role`}}", oneoff, "", ""},
		{"{{.Label `of.host`}}", compose, "", "template name \"{{.Label `of.host`}}\": its host does not tell the label \"of.host\": add its prefix there to 'labels' of 'share', unless its value has more than 4 KiB"},
		{"{{.Labels.untold}}", nil, "", `template name "{{.Labels.untold}}": its host does not tell the label "untold": add its prefix there to 'labels' of 'share', unless its value has more than 4 KiB`},
		{"{{with .Service}}{{.}}{{else}}none{{end}}", nil, "none.docker. shared", ""},
		{"{{.Name}}, {{.Hostname}}\n*.{{.Network}}.docker.", nil,
			"my_web.docker. shared\nhost.docker. shared\n*.net.docker. shared\nmy-web.docker. shared", ""},
		{"{{.ID}} {{slice .FullID 0 3}}", nil, "0123456789ab.docker. shared\n012.docker. shared", ""},
		{"{{.Image | replace `:` `.` | replace `/` `.` | trimPrefix `reg.` | trimSuffix `.1`}}", nil, "web.docker. shared", ""},
		{"{{.ImageName}}, {{.Host}}.h", compose, "web.docker. shared\nnas.h.docker. shared", ""},
		{"{{.Stack}}", nil, "", ""},
		{"{{.Stack | default `none`}} {{.Name | default `none`}}", nil, "none.docker. shared\nmy_web.docker. shared\nmy-web.docker. shared", ""},
		{"{{.Stack}}", map[string]string{"com.docker.stack.namespace": "st"}, "st.docker. shared", ""},
		{"{{index .Labels `role` | default `norole`}}", nil, "norole.docker. shared", ""},
		{"{{index .Labels `role` | default `norole`}}", compose, "r.docker. shared", ""},
		{"{{default `norole` (.Label `role`)}}", nil, "", ""}, // a container without the label has no such name
		{"{{ $x := .Name }}x.{{$x}}", nil, "x.my_web.docker. shared\nx.my-web.docker. shared", ""},
		{"", compose, "", ""},
		{"{{.Name}} {{slice .Name 0 8}}", nil, "", `template name "{{.Name}} {{slice .Name 0 8}}": template: template:1:12: executing "template" at <slice .Name 0 8>: error calling slice: index out of range: 8`},
		{"a!", nil, "", `template name "a!": character '!'; letters, digits, hyphens and underscores are possible`},
		{"x.example.org.", nil, "", `template name "x.example.org.": it lies in none of the zones docker.; for it, add example.org. to these`},
	} {
		tmpl, err := NewTemplate(c.template)
		if err != nil {
			t.Errorf("%q: %v", c.template, err)
			continue
		}
		r := only(Template)
		r.Templates = []*NameTemplate{tmpl}
		e, _, skipped := r.Entry(called("nas"), &container.Container{
			ID: id, Name: "my_web", Hostname: "host", Image: "reg/web:1", Labels: c.labels, Untold: []string{"of.host", "untold"},
			Endpoints: []container.Endpoint{{Network: "net"}},
		}, nil)
		if got := describe(e.Claims); got != c.want || reasons(skipped) != c.skipped {
			t.Errorf("%q: %s, skipped %s; want %s, skipped %s", c.template, got, reasons(skipped), c.want, c.skipped)
		}
	}
}

func TestImageName(t *testing.T) {
	for image, want := range map[string]string{
		"nginx": "nginx", "nginx:1.27": "nginx", "library/nginx": "nginx", "reg.example.org:5000/shop/web:latest@sha256:" + strings.Repeat("0a", 32): "web",
		"reg.example.org:5000/web": "web", "web@sha256:" + strings.Repeat("0a", 32): "web", "sha256:" + strings.Repeat("0a", 32): "", "": "", "/": "", ":": "", "@": "",
	} {
		if got := imageName(image); got != want {
			t.Errorf("%q: %q, want %q", image, got, want)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	for text, want := range map[string]string{
		"{{.Name": "unclosed action", "{{.Nmae}}": "can't evaluate field Nmae", "{{default .Name}}": "wrong number of args for default", "{{upper .Name}}": `function "upper" not defined`,
		"{{template `x`}}": `template "x" not defined`, "{{define `a`}}{{template `a`}}{{end}}{{template `a`}}": "exceeded maximum template depth",
		"{{range .Name}}": "unexpected EOF", "{{printf `%5000d` 1}}": "longer than 4 KiB",
	} {
		if _, err := NewTemplate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want one that has %q", text, err, want)
		}
	}
}

// TestLongTemplateResult checks that a template and a container's facts can't make a long text.
func TestLongTemplateResult(t *testing.T) {
	tmpl, err := NewTemplate("{{range .Labels}}{{.}}{{end}}")
	if err != nil {
		t.Fatal(err)
	}
	r := only(Template)
	r.Templates = []*NameTemplate{tmpl, tmpl}
	e, _, skipped := r.Entry(here, &container.Container{ID: id, Labels: map[string]string{"a": strings.Repeat("x", 1<<20)}}, nil)
	if len(e.Claims) != 0 || len(skipped) != 1 || !strings.Contains(skipped[0].Reason, "longer than 4 KiB") {
		t.Errorf("claims %v, skipped %v", e.Claims, skipped)
	}
}
