package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

// doctor looks for what is wrong with the server and the machine.
type doctor struct {
	*machine
	program string
	server  *client
	blocks  []status.Info // the server's, none if it can't be asked
}

// finding is what a check has found.
type finding struct {
	Check  string `json:"check"`
	Result result `json:"result"`
	Text   string `json:"text"`
	Cure   string `json:"cure,omitempty"` // what to do about it
}

// result says whether a finding is a problem.
type result string

const (
	well    result = "ok"
	note    result = "note" // may be meant so
	problem result = "problem"
)

func found(r result, cure, format string, args ...any) finding {
	return finding{Result: r, Text: fmt.Sprintf(format, args...), Cure: cure}
}

// checks are the checks in the order in which they are made: later ones go by what earlier ones have found.
var checks = []struct {
	name string
	make func(*doctor, context.Context) []finding
}{
	{"status", (*doctor).status},
	{"engine", (*doctor).engines},
	{"corefile", (*doctor).corefile},
	{"dns", (*doctor).dns},
	{"port53", (*doctor).port53},
	{"resolver", (*doctor).resolver},
	{"containers", (*doctor).containers},
	{"resolvconf", (*doctor).resolvConf},
}

func (c *call) doctor(ctx context.Context, s *client) int { return c.examine(ctx, s, thisMachine()) }

// examine makes the checks that are not to be skipped, and prints what they find.
func (c *call) examine(ctx context.Context, s *client, m *machine) int {
	skip := strings.FieldsFunc(c.options.skip, func(r rune) bool { return r == ',' })
	for _, name := range skip {
		if names := checkNames(); !slices.Contains(names, name) {
			return c.fail(exitUsage, fmt.Errorf("there is no check '%s'; they are %s", name, strings.Join(names, ", ")))
		}
	}
	d := &doctor{machine: m, program: c.program, server: s}
	var all []finding
	for _, check := range checks {
		if slices.Contains(skip, check.name) {
			continue
		}
		for _, f := range check.make(d, ctx) {
			f.Check = check.name
			all = append(all, f)
		}
	}
	return c.report(all)
}

func checkNames() (names []string) {
	for _, check := range checks {
		names = append(names, check.name)
	}
	return names
}

// report prints the findings.
func (c *call) report(all []finding) int {
	code := exitWell
	if slices.ContainsFunc(all, func(f finding) bool { return f.Result == problem }) {
		code = exitFound
	}
	if c.options.json {
		e := json.NewEncoder(c.out)
		e.SetIndent("", "  ")
		if err := e.Encode(all); err != nil {
			return c.fail(exitNoServer, err)
		}
		return code
	}
	for _, f := range all {
		const indent = "\n                     "
		line := fmt.Sprintf("%-8s %-11s %s", f.Result, f.Check, strings.ReplaceAll(printable(f.Text), "\n", indent))
		if f.Cure != "" {
			line += indent + "→ " + strings.ReplaceAll(printable(f.Cure), "\n", indent+"  ")
		}
		fmt.Fprintln(c.out, line)
	}
	return code
}

// read reads what the server says there into a value.
func (d *doctor) read(ctx context.Context, path string, q url.Values, into any) error {
	resp, err := d.server.get(ctx, path, q, asJSON)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}
