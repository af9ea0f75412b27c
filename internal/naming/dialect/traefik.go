package dialect

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"text/template"
	"unicode"
)

// The labels of Traefik's that are read. A router is called by the part for which * stands.
const (
	traefikEnable   = "traefik.enable"
	traefikHTTPRule = "traefik.http.routers.*.rule"
	traefikTCPRule  = "traefik.tcp.routers.*.rule"
)

// readTraefik reads the rules of all routers: each name that a rule lets in is one for which Traefik answers.
func readTraefik(r *reading) {
	rules := append(r.of(traefikHTTPRule), r.of(traefikTCPRule)...)
	if len(rules) == 0 && r.DefaultRule != nil {
		rule, err := r.DefaultRule.execute(r.Facts)
		if err != nil {
			r.refuse("default rule", "", err.Error())
			return
		}
		rules = []label{{"default rule", rule}}
	}
	unserved := r.unserved()
	for _, l := range rules {
		found, err := parseRule(l.value)
		if err != nil {
			r.refuse(l.key, l.value, err.Error())
			continue
		}
		for _, h := range found {
			switch name := strings.TrimSuffix(strings.TrimSpace(h.value), "."); {
			case h.regexp:
				r.refuse("regular expression", h.value, "it stands for names that nobody can list; write them as Host")
			case name == "*" || name == "":
				// Whatever name is asked for: it says none.
			case h.not:
				r.refuse("", name, "it stands behind ! in the rule")
			case unserved != "":
				r.refuse("", name, unserved)
			default:
				if rest, any := strings.CutPrefix(name, "**."); any { // of any depth, as all wildcards of ours
					name = "*." + rest
				}
				r.add(Name{Text: name, Whole: true, Proxied: true})
			}
		}
	}
}

// unserved returns the reason why Traefik does not serve the container, "" if it does.
func (r *reading) unserved() string {
	enabled := !r.Unexposed
	for _, l := range r.of(traefikEnable) {
		on, err := strconv.ParseBool(strings.TrimSpace(l.value))
		if err != nil {
			r.refuse(l.key, l.value, "want true or false")
			continue
		}
		if enabled = on; !on {
			return "its label traefik.enable is false"
		}
	}
	if !enabled {
		return "its label traefik.enable is not true, as exposed_by_default false demands"
	}
	return ""
}

// host is a name in a rule, or a regular expression for names.
type host struct {
	value       string
	not, regexp bool
}

// matchers are those of a rule's functions that say something of names, by their names in lower case: Traefik knows some spellings,
// and its versions differ in which. Whether each stands for a regular expression.
var matchers = map[string]bool{
	"host": false, "hostheader": false, "hostsni": false, "hostregexp": true, "hostsniregexp": true,
}

// maxNesting bounds how deep a rule's parentheses and negations go. People write three.
const maxNesting = 100

// parseRule returns the names in a rule. Its language is that of Go's expressions, by whose parser Traefik reads it too: so what
// is a rule here is one there.
func parseRule(rule string) ([]host, error) {
	if nesting(rule) > maxNesting {
		return nil, fmt.Errorf("its parentheses and negations go deeper than %d", maxNesting)
	}
	expr, err := parser.ParseExpr(rule)
	if err != nil {
		return nil, errors.New("no rule: " + firstLine(err.Error()))
	}
	return walk(nil, expr, false)
}

// nesting returns how deep the rule goes at most. Parentheses in strings count too.
func nesting(rule string) (deepest int) {
	open, nots := 0, 0
	for _, c := range []byte(rule) {
		switch c {
		case '(', '[', '{':
			open++
		case ')', ']', '}':
			open--
		case '!', '-', '+', '*', '^', '&', '<':
			nots++
			continue
		default:
			if c != ' ' && c != '\t' && c != '\n' {
				nots = 0
			}
		}
		deepest = max(deepest, open+nots)
	}
	return max(deepest, nots)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// walk adds the names in the expression, which stands behind a negation or not.
func walk(found []host, expr ast.Expr, not bool) ([]host, error) {
	switch e := expr.(type) {
	case *ast.ParenExpr:
		return walk(found, e.X, not)
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			return walk(found, e.X, true)
		}
	case *ast.BinaryExpr:
		if e.Op == token.LAND || e.Op == token.LOR {
			return walkChain(found, e, not)
		}
	case *ast.CallExpr:
		return call(found, e, not)
	}
	return nil, errors.New("no rule: want matchers such as Host(`example.org`), between them && and ||, or a negated one")
}

// walkChain adds the names of a chain of operators, which leans to the left and may be long.
func walkChain(found []host, e *ast.BinaryExpr, not bool) (_ []host, err error) {
	operands := []ast.Expr{e.Y}
	for {
		left, ok := e.X.(*ast.BinaryExpr)
		if !ok || left.Op != token.LAND && left.Op != token.LOR {
			operands = append(operands, e.X)
			break
		}
		operands, e = append(operands, left.Y), left
	}
	for i := len(operands) - 1; i >= 0; i-- {
		if found, err = walk(found, operands[i], not); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// call adds the names in a matcher.
func call(found []host, e *ast.CallExpr, not bool) ([]host, error) {
	name, ok := e.Fun.(*ast.Ident)
	if !ok {
		return nil, errors.New("no rule: a matcher has a name")
	}
	regexp, known := matchers[strings.ToLower(name.Name)]
	for _, arg := range e.Args {
		literal, ok := arg.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return nil, fmt.Errorf("no rule: want strings in backquotes or double quotes in %s()", name.Name)
		}
		value, err := strconv.Unquote(literal.Value)
		if err != nil {
			return nil, fmt.Errorf("no rule: %s is no string", literal.Value)
		}
		if known {
			found = append(found, host{value, not, regexp})
		}
	}
	return found, nil
}

// RuleTemplate makes Traefik's default rule for a container, as its option defaultRule does.
type RuleTemplate struct{ tmpl *template.Template }

// NewRuleTemplate returns the template, or an error that says what is wrong with it: it is tried on a container. It may use .Name,
// which is <service>-<project> for Compose's containers, .ContainerName, .Labels, and the function normalize.
func NewRuleTemplate(text string) (*RuleTemplate, error) {
	tmpl, err := template.New("default_rule").Option("missingkey=zero").Funcs(template.FuncMap{
		"normalize": normalize, "lower": strings.ToLower, "replace": func(old, by, s string) string { return strings.ReplaceAll(s, old, by) },
		"trimPrefix": func(prefix, s string) string { return strings.TrimPrefix(s, prefix) },
		"trimSuffix": func(suffix, s string) string { return strings.TrimSuffix(s, suffix) },
	}).Parse(text)
	if err != nil {
		return nil, err
	}
	t := &RuleTemplate{tmpl}
	rule, err := t.execute(&Facts{Name: "shop-web-1", Project: "shop", Service: "web", Labels: map[string]string{}})
	if err != nil {
		return nil, err
	}
	_, err = parseRule(rule)
	return t, err
}

// execute returns the container's default rule.
func (t *RuleTemplate) execute(f *Facts) (string, error) {
	name := f.Name
	if f.Service != "" && f.Project != "" {
		name = f.Service + "_" + f.Project
	}
	var b strings.Builder
	err := t.tmpl.Execute(&b, struct {
		Name, ContainerName string
		Labels              map[string]string
	}{normalize(name), f.Name, f.Labels})
	if err == nil && b.Len() > maxLabel {
		err = fmt.Errorf("the rule is longer than %d octets", maxLabel)
	}
	return b.String(), err
}

// normalize has hyphens between the letters and digits of a name, as Traefik's function of the name.
func normalize(name string) string {
	return strings.Join(strings.FieldsFunc(name, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }), "-")
}
