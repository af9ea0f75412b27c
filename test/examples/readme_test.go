package examples

import (
	"os"
	"strings"
	"testing"
)

// step is a command of a README, which stands there in a block of the language console.
// What follows the language's name is the step's place.
type step struct {
	place   string
	command string
	shown   []string // what it prints
}

// serving is the place of commands that run until they are told to end.
const serving = "serve"

// steps reads a README's commands in their order.
func steps(t *testing.T, path string) (found []step) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(text), "\n```console")[1:] {
		place, block, _ := strings.Cut(block, "\n")
		block, _, ended := strings.Cut(block, "\n```")
		if !ended || !strings.HasPrefix(block, "$ ") {
			t.Fatalf("%s: a block of console does not begin with a command, or does not end:\n%s", path, block)
		}
		for line := range strings.SplitSeq(block, "\n") {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				found = append(found, step{place: strings.TrimSpace(place), command: command})
				continue
			}
			last := &found[len(found)-1]
			if strings.HasSuffix(last.command, `\`) {
				last.command = strings.TrimSuffix(last.command, `\`) + strings.TrimSpace(line)
			} else {
				last.shown = append(last.shown, line)
			}
		}
	}
	return found
}
