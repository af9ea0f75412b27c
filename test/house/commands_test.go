package house

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ledger says of each command that a page shows, and that no test reads there, which test does the same, or why none does: lines
// COMMAND => runs in FOLDER TEST, or COMMAND => not run: REASON, below the page's name. The command * is all others of the page.
const ledger = "testdata/commands.txt"

var (
	fence   = regexp.MustCompile("(?ms)^(~~~|```) ?([^\n]*)\n(.*?)^(?:~~~|```)$")
	program = regexp.MustCompile(`^(?:sudo |HOME=\S+ |GO\S+=\S+ )*(?:apk|apt|cd|coredns|curl|dig|dnf|docker (?:build|compose|exec|load|network|rm|run|swarm)|etcd|etcdctl|git|go|gpasswd|install|journalctl|make|openssl|pdnsutil|setcap|skopeo|ssh|sudo|systemctl|test/\S+|useradd|\./\S+) `)
)

// commands returns the commands that a page shows in blocks which no test reads. The tests of examples read what is of the
// language console in the READMEs that they follow.
func commands(page, text string) (found []string) {
	followed := page == "README.md" || strings.HasPrefix(page, "examples/")
	var blocks []string
	text = fence.ReplaceAllStringFunc(text, func(block string) string {
		if m := fence.FindStringSubmatch(block); !followed || !strings.HasPrefix(m[2], "console") {
			blocks = append(blocks, m[3])
		}
		return ""
	})
	for line := range strings.Lines(text) {
		if indented, ok := strings.CutPrefix(line, "    "); ok {
			blocks = append(blocks, indented)
		} else {
			blocks = append(blocks, "")
		}
	}
	shown := strings.ReplaceAll(strings.Join(blocks, "\n"), "\n\n", "\n")
	for line := range strings.Lines(continued.ReplaceAllString(shown, " ")) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "   #")
		typed, prompt := strings.CutPrefix(line, "$ ")
		synopsis := strings.HasPrefix(typed, "coredns docker ") && strings.ContainsAny(typed, "[|")
		if prompt || program.MatchString(typed+" ") && !strings.HasSuffix(typed, "{") && !synopsis {
			found = append(found, strings.TrimSpace(typed))
		}
	}
	return found
}

// continued is the end of a line that goes on.
var continued = regexp.MustCompile(`\\\n+\s*`)

// TestCommands checks that each command that a page shows runs in a test, or that it is said why not.
func TestCommands(t *testing.T) {
	content, err := os.ReadFile(ledger)
	if err != nil {
		t.Fatal(err)
	}
	listed, page := map[string]string{}, "" // what is said, by page and command
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "# "); ok {
			page = name
			continue
		}
		if line == "" {
			continue
		}
		command, said, ok := strings.Cut(line, " => ")
		if !ok {
			t.Errorf("%s: want COMMAND => WHAT IS SAID in %q", ledger, line)
		}
		listed[page+": "+command] = said
	}
	out, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-files", "*.md").Output()
	if err != nil {
		t.Skipf("git does not tell the pages: %v", err)
	}
	pages, seen := 0, map[string]bool{}
	for page := range strings.FieldsSeq(string(out)) {
		text, err := os.ReadFile(filepath.Join("../..", page))
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, command := range commands(page, string(text)) {
			key := page + ": " + command
			if listed[key] == "" && listed[page+": *"] != "" {
				key = page + ": *"
			}
			if listed[key] == "" {
				t.Errorf("%s shows a command of which %s says nothing: %s", page, ledger, command)
			}
			seen[key] = true
		}
	}
	if pages < 10 {
		t.Errorf("%d pages", pages)
	}
	for key, said := range listed {
		if !seen[key] {
			t.Errorf("%s has a command that is not shown: %s", ledger, key)
		}
		if where, ok := strings.CutPrefix(said, "runs in "); ok {
			folder, name, _ := strings.Cut(where, " ")
			if !hasTest(t, folder, name) {
				t.Errorf("%s: there is no test %s in %s", ledger, name, folder)
			}
		} else if reason, ok := strings.CutPrefix(said, "not run: "); !ok || len(strings.Fields(reason)) < 2 {
			t.Errorf("%s: %s: want 'runs in FOLDER TEST' or 'not run: REASON', not %q", ledger, key, said)
		}
	}
}

// hasTest reports whether the folder has a test of the name.
func hasTest(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), "func "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}
