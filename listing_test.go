package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/caddy"
)

const listingPage = "docs/coredns.io/dockerdiscovery.md"

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The page for CoreDNS's list of external plugins has what that asks for.
func TestListing(t *testing.T) {
	text := read(t, listingPage)
	front, body, ok := strings.Cut(strings.TrimPrefix(text, "+++\n"), "\n+++\n")
	if !ok {
		t.Fatal("the page has no front matter")
	}
	set := map[string]string{}
	for line := range strings.Lines(front) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		set[key] = strings.Trim(value, `"`)
	}
	for key, want := range map[string]string{
		"title": "^dockerdiscovery$", "description": `^\*docker\* - .*\.$`, "weight": `^\d+$`, "tags": `^\[ "plugin", `, "categories": `^\[ "plugin", "external" \]$`,
		"date": `^\d`, "repo": `^https://github\.com/dockerdiscovery/dockerdiscovery$`, "home": `^https://.*/plugin/dockerdiscovery/README\.md$`,
	} {
		if !regexp.MustCompile(want).MatchString(set[key]) {
			t.Errorf("%s is %q, want %s", key, set[key], want)
		}
	}
	if _, err := time.Parse(time.RFC3339, set["date"]); err != nil {
		t.Error(err)
	}
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(body, -1) {
		sections = append(sections, m[1])
	}
	if want := []string{"Description", "Compilation", "Syntax", "Metrics", "Ready", "Examples", "See Also"}; !slices.Equal(sections, want) {
		t.Errorf("the sections are %q, want %q", sections, want)
	}
	readme := read(t, "plugin/dockerdiscovery/README.md")
	_, syntax, _ := strings.Cut(body, "docker [ZONES...] {\n")
	syntax, _, _ = strings.Cut(syntax, "\n}")
	for line := range strings.SplitSeq(syntax, "\n") {
		if !strings.Contains(readme, line) {
			t.Errorf("the plugin's page has no property %q", line)
		}
	}
}

// The plugins take the Corefiles that the page shows.
func TestListingCorefiles(t *testing.T) {
	shown := corefiles(t)[listingPage]
	if len(shown) != 3 {
		t.Errorf("%d Corefiles, want 3", len(shown))
	}
	for _, text := range shown {
		text = strings.Replace(text, ". {", ".:0 {", 1)
		instance, err := caddy.Start(caddy.CaddyfileInput{Contents: []byte(text), Filepath: "Corefile", ServerTypeName: "dns"})
		if err != nil {
			t.Errorf("%v in\n%s", err, text)
			continue
		}
		instance.ShutdownCallbacks()
		if err := instance.Stop(); err != nil {
			t.Error(err)
		}
	}
}
