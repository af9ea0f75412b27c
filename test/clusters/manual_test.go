package clusters

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// manual is what docs/clusters.md says of one cluster: the texts of its blocks, by what stands at their heads, as "yaml compose.yaml". What
// stands before the first cluster holds for all.
type manual map[string]string

func readManual(t *testing.T, section string) manual {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "clusters.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := manual{}
	common, sections, _ := strings.Cut(string(text), "\n## ")
	found.read(t, common)
	for s := range strings.SplitSeq(sections, "\n## ") {
		if title, rest, _ := strings.Cut(s, "\n"); title == section {
			found.read(t, rest)
			return found
		}
	}
	t.Fatalf("docs/clusters.md has no section %q", section)
	return nil
}

func (m manual) read(t *testing.T, text string) {
	t.Helper()
	for _, block := range strings.Split("\n"+text, "\n```")[1:] {
		head, block, _ := strings.Cut(block, "\n")
		if head != "" { // else it is a block's end
			m[head] = block + "\n"
		}
	}
}

// commands are those that stand in the block.
func (m manual) commands(t *testing.T, head string) (commands []string) {
	t.Helper()
	for line := range strings.Lines(m[head]) {
		command, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "$ ")
		if !ok {
			t.Fatalf("block %q has the line %q, which is no command", head, line)
		}
		commands = append(commands, command)
	}
	if len(commands) == 0 {
		t.Fatalf("no block %q", head)
	}
	return commands
}
