// Package plugincfg builds CoreDNS from its own source with our line in its plugin.cfg,
// as the plugin's README says.
package plugincfg

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/dockerdiscovery/dockerdiscovery"

// run runs a command and returns what it prints.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// readmeLines are the lines of plugin.cfg that the README shows.
func readmeLines(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("../../plugin/dockerdiscovery/README.md")
	if err != nil {
		t.Fatal(err)
	}
	const first = "header:header"
	_, block, ok := strings.Cut(string(b), "~~~ txt\n"+first+"\n")
	if !ok {
		t.Fatal("the README has no lines for plugin.cfg")
	}
	block, _, _ = strings.Cut(block, "\n~~~")
	return append([]string{first}, strings.Split(block, "\n")...)
}

// edit puts the README's lines into plugin.cfg where cache stands, and takes away where they stood.
func edit(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ours := readmeLines(t)
	const last = "cache:cache"
	lines := slices.DeleteFunc(strings.Split(string(b), "\n"), func(l string) bool { return l != last && slices.Contains(ours, l) })
	cache := slices.Index(lines, last)
	if cache < 0 || ours[len(ours)-1] != last {
		t.Fatalf("no line %s to stand above", last)
	}
	lines = slices.Replace(lines, cache, cache+1, ours...)
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPluginCfg(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	source := run(t, root, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/coredns/coredns")
	dir := filepath.Join(t.TempDir(), "coredns")
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "chmod", "-R", "u+w", ".") // the module cache is read-only
	edit(t, filepath.Join(dir, "plugin.cfg"))
	run(t, dir, "go", "mod", "edit", "-require", module+"@v0.0.0", "-replace", module+"="+root)
	run(t, dir, "go", "generate", "coredns.go")
	run(t, dir, "go", "mod", "tidy")
	run(t, dir, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-tags", "grpcnotrace", "-o", "coredns", ".")
	if plugins := strings.Fields(run(t, dir, "./coredns", "-plugins")); !slices.Contains(plugins, "docker") {
		t.Errorf("the built CoreDNS lacks docker: %v", plugins)
	}
	directives, err := os.ReadFile(filepath.Join(dir, "core/dnsserver/zdirectives.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(directives), "\t\"header\",\n\t\"dnssec\",\n\t\"minimal\",\n\t\"docker\",\n\t\"cache\",\n") {
		t.Error("the directives are not in the order header, dnssec, minimal, docker, cache")
	}
}
