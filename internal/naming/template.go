package naming

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"unicode"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// NameTemplate makes names from the facts about a container.
type NameTemplate struct {
	text string
	tmpl *template.Template
}

func (t *NameTemplate) String() string { return t.text }

// facts are what a template is written over.
type facts struct {
	Name, Hostname           string
	ID, FullID               string // 12 and 64 digits
	Image, ImageName         string // as it was given; without its registry, path, tag and digest
	Project, Service, Number string // Compose's
	Stack                    string // that of the Swarm's service whose task it is
	Host                     string // as the Corefile calls it
	Network                  string // the first one
	Labels                   map[string]string
}

// errNoLabel is the error of a template for a container that lacks a label. It has no such name.
var errNoLabel = errors.New("no such label")

// Label returns the label's value, for keys that hold dots.
func (f facts) Label(key string) (string, error) {
	value, ok := f.Labels[key]
	if !ok {
		return "", fmt.Errorf("%w: %q", errNoLabel, key)
	}
	return value, nil
}

// functions are what a template may call besides text/template's own. What they work on
// comes last, so that they can stand in a pipeline.
var functions = template.FuncMap{
	"default":    func(value, s string) string { return cmp.Or(s, value) },
	"lower":      strings.ToLower,
	"replace":    func(old, by, s string) string { return strings.ReplaceAll(s, old, by) },
	"trimPrefix": func(prefix, s string) string { return strings.TrimPrefix(s, prefix) },
	"trimSuffix": func(suffix, s string) string { return strings.TrimSuffix(s, suffix) },
}

// NewTemplate returns the template, or an error that says what is wrong with it: it is tried
// on a container of Compose's, so that a misspelt field is found now.
func NewTemplate(text string) (*NameTemplate, error) {
	tmpl, err := template.New("template").Option("missingkey=error").Funcs(functions).Parse(text)
	if err != nil {
		return nil, err
	}
	t := &NameTemplate{text, tmpl}
	id := strings.Repeat("0123456789abcdef", 4)
	_, err = t.execute(facts{
		Name: "shop-web-1", Hostname: id[:12], ID: id[:12], FullID: id, Image: "registry.example.org/shop/web:latest", ImageName: "web",
		Project: "shop", Service: "web", Number: "1", Stack: "shop", Host: "nas", Network: "shop_default", Labels: map[string]string{},
	})
	if err != nil && !lacksLabel(err) {
		return nil, err
	}
	return t, nil
}

// maxResult bounds what a template may write for one container, in octets.
const maxResult = 4 << 10

var errLong = errors.New("the result is longer than 4 KiB")

// limited is a buffer for a template's result.
type limited struct{ strings.Builder }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxResult {
		return 0, errLong
	}
	return l.Builder.Write(p)
}

// execute returns the names that the template gives.
func (t *NameTemplate) execute(f facts) ([]string, error) {
	var out limited
	if err := t.tmpl.Execute(&out, f); err != nil {
		return nil, err
	}
	names := strings.FieldsFunc(out.String(), func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	return slices.DeleteFunc(names, lacksPart), nil
}

// lacksLabel reports whether the template failed since the container lacks a label.
func lacksLabel(err error) bool {
	// text/template's error for missingkey=error has no type.
	return errors.Is(err, errNoLabel) || strings.Contains(err.Error(), "map has no entry for key")
}

// untoldLabel returns the key of the label that the template failed for, if the container has it and its host does not tell it.
func untoldLabel(err error, untold []string) (key string, found bool) {
	if err == nil || !lacksLabel(err) {
		return "", false
	}
	i := slices.IndexFunc(untold, func(key string) bool { return strings.HasSuffix(err.Error(), strconv.Quote(key)) })
	if i < 0 {
		return "", false
	}
	return untold[i], true
}

// lacksPart reports whether something of which the name is made was empty, as the service is
// in {{.Service}}-{{.Number}} for a container that is not Compose's.
func lacksPart(text string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(text, "."), ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return true
		}
	}
	return false
}

func byTemplate(c *subject) []name {
	if len(c.rules.Templates) == 0 {
		return nil
	}
	f := c.facts()
	var texts []string
	for _, t := range c.rules.Templates {
		names, err := t.execute(f)
		switch key, untold := untoldLabel(err, c.Untold); {
		case err == nil:
		case untold:
			c.refused.add(Skipped{Source: Template, Name: t.text, Reason: untoldReason(key)})
		case !lacksLabel(err):
			c.refused.add(Skipped{Source: Template, Name: t.text, Reason: err.Error()})
		}
		texts = append(texts, names...)
	}
	return c.refused.written(Template, texts)
}

func (c *subject) facts() facts {
	f := facts{
		Name: c.Name, Hostname: c.Hostname, ID: c.ShortID(), FullID: c.ID, Image: c.Image, ImageName: imageName(c.Image),
		Project: Project(c.Container), Service: Service(c.Container), Number: c.Labels[composeNumber],
		Stack: Stack(c.Container), Host: c.on.HostName(), Network: firstNetwork(c.Container), Labels: c.Labels,
	}
	if f.Labels == nil {
		f.Labels = map[string]string{} // a nil map would be an error of another kind
	}
	return f
}

// imageName returns the last part of an image's name, without its tag and digest; "" of an image that was given by its digest alone.
func imageName(image string) string {
	name, _, _ := strings.Cut(image, "@")
	name = name[strings.LastIndexByte(name, '/')+1:]
	name, _, _ = strings.Cut(name, ":")
	if strings.HasPrefix(image, "sha256:") {
		return ""
	}
	return name
}

func firstNetwork(c *container.Container) string {
	if len(c.Endpoints) == 0 {
		return ""
	}
	return c.Endpoints[0].Network
}
