package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// epoch is when the pages of the tests are from.
const epoch = "1770000000" // 2026-02-02

// written returns a folder with all pages.
func written(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out", "man")
	if err := write([]string{dir}, epoch); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Each page has the title that man looks for, all sections of its source, and nothing that only Markdown shows.
func TestPages(t *testing.T) {
	dir := written(t)
	heading := regexp.MustCompile(`(?m)^(##|###) (.*)$`)
	stray := regexp.MustCompile(`(?m)^\* .*|.*\]\(.*|.*\.svg.*|^HELP$`)
	for file, source := range pages {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		called, number, _ := strings.Cut(file, ".")
		for _, want := range []string{
			`.TH "` + strings.ToUpper(called) + `" "` + number + `" "2026-02-02" "dockerdiscovery"`,
			".SH NAME\n" + called + ` \- `,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q", file, want)
			}
		}
		markdown, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range heading.FindAllStringSubmatch(string(markdown), -1) {
			want := ".SS " + h[2]
			if h[1] == "##" {
				want = ".SH " + strings.ToUpper(h[2])
			}
			if !strings.Contains(text, "\n"+want+"\n") {
				t.Errorf("%s has no %q", file, want)
			}
		}
		if line := stray.FindString(text); line != "" {
			t.Errorf("%s has %q", file, line)
		}
	}
}

func TestLint(t *testing.T) {
	mandoc, err := exec.LookPath("mandoc")
	if err != nil {
		t.Skipf("mandoc is not installed: %v", err)
	}
	dir := written(t)
	for file := range pages {
		if out, err := exec.Command(mandoc, "-T", "lint", "-W", "warning", filepath.Join(dir, file)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

// No table is wider than a terminal of 80 columns, by groff, with which most systems' man shows a page.
func TestTables(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skipf("groff is not installed: %v", err)
	}
	dir := written(t)
	for file := range pages {
		out, err := exec.Command(groff, "-t", "-man", "-Tutf8", "-P-cbou", "-rLL=80n", filepath.Join(dir, file)).Output() // not its warnings, which can stand within a line
		if err != nil || !strings.Contains(string(out), "NAME") {
			t.Fatalf("%s: %v\n%s", file, err, out)
		}
		for line := range strings.SplitSeq(string(out), "\n") {
			if utf8.RuneCountInString(line) > 80 && strings.ContainsAny(line, "│┌├└") {
				t.Errorf("%s has a line of %d columns: %s", file, utf8.RuneCountInString(line), line)
			}
		}
	}
}

func TestPage(t *testing.T) {
	const head = ".nh\n.TH \"A\" \"7\" \"2026-11-29\" \"dockerdiscovery\" \"User Manuals\"\n"
	for _, c := range []struct{ name, markdown, want string }{
		{"name", "# b\n\n## Name\n\n*b* - does.\n", ".SH NAME\na \\- does.\n"},
		{"picture", "one\n\n![p](p.svg)\n\ntwo\n", "one\n\n.PP\ntwo\n"},
		{"links", "[a file](../b.md#c), [a site](https://d.example)\n", "a file, a site\n\\[la]https://d.example\\[ra]\n"},
		{"item", "* one\n\n  goes on\n* two\n", ".IP \\(bu 2\none\n\ngoes on\n.IP \\(bu 2\ntwo\n"},
		{"table", "a | b\n--- | ---\n*with* ever so much more text in it | `c`\n",
			".TS\nallbox;\nl l \nl l .\n\\fBa\\fP\t\\fBb\\fP\nT{\n\\fIwith\\fP ever so much more text in it\nT}\t\\fBc\\fR\n.TE\n"},
		{"code", "~~~ txt\n## no [link](b)\n  two\n~~~\n", ".EX\n## no [link](b)\n  two\n.EE\n"},
	} {
		got := string(page("a.7", c.markdown, time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)))
		if got := strings.TrimPrefix(strings.TrimPrefix(got, "'\\\" t\n"), head); strings.TrimSpace(got) != strings.TrimSpace(c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// The command's own words are in the page, so that they are written once.
func TestUsage(t *testing.T) {
	text := string(page("a.1", "HELP\n", time.Unix(0, 0)))
	for _, line := range strings.Split(usage(), "\n") {
		if !strings.Contains(text, line) {
			t.Errorf("%q is missing", line)
		}
	}
}

func TestWriteNothing(t *testing.T) {
	for _, c := range []struct {
		args        []string
		epoch, want string
	}{
		{nil, epoch, "want the folder"},
		{[]string{"a", "b"}, epoch, "want the folder"},
		{[]string{t.TempDir()}, "", "SOURCE_DATE_EPOCH is ''"},
		{[]string{t.TempDir()}, "now", "SOURCE_DATE_EPOCH is 'now'"},
		{[]string{"main.go"}, epoch, "main.go: not a directory"},
	} {
		if err := write(c.args, c.epoch); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q at %q: %v, want %q", c.args, c.epoch, err, c.want)
		}
	}
}
