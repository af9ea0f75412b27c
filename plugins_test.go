package main

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// imports returns the packages that a file of the binary's imports for what these register alone.
func imports(t *testing.T, path string) (all []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range file.Imports {
		if i.Name == nil || i.Name.Name != "_" {
			continue
		}
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
	}
	return all
}

// pluginCfg returns the packages of CoreDNS's plugins by their directives, from its plugin.cfg.
func pluginCfg(t *testing.T, dir string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "plugin.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(b)) {
		directive, name, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if !strings.Contains(name, "/") {
			name = "github.com/coredns/coredns/plugin/" + name
		}
		all[directive] = name
	}
	return all
}

// Each plugin that CoreDNS has is in the table, and the lean binary imports those that it has by the table.
func TestChoices(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/coredns/coredns").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(string(out))
	all := pluginCfg(t, dir)
	var full, lean []string
	for directive, name := range all {
		full = append(full, name)
		c, ok := choices[directive]
		if !ok || c.why == "" {
			t.Errorf("%s is not in the table, or without a reason", directive)
		}
		if c.lean {
			lean = append(lean, name)
		}
	}
	for directive := range choices {
		if all[directive] == "" {
			t.Errorf("%s is in the table, and not in CoreDNS", directive)
		}
	}
	for _, c := range []struct {
		path string
		want []string
	}{
		{filepath.Join(dir, "core", "plugin", "zplugin.go"), full},
		{"plugins_lean.go", lean},
	} {
		got := imports(t, c.path)
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s imports\n%s\nwant\n%s", c.path, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// docs/packages.md shows the table, in order and with nothing else.
func TestChoicesShown(t *testing.T) {
	b, err := os.ReadFile("docs/packages.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(b), "\n| plugin ")
	_, table, _ = strings.Cut(table, "|\n| ---") // the head
	_, table, _ = strings.Cut(table, "\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var got, want []string
	for row := range strings.SplitSeq(strings.TrimSpace(table), "\n") {
		got = append(got, strings.Join(strings.Fields(row), " "))
	}
	for directive, c := range choices {
		binaries := "full"
		if c.lean {
			binaries = "lean, full"
		}
		want = append(want, "| *"+directive+"* | "+binaries+" | "+c.why+" |")
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("docs/packages.md shows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
