package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var compareWrite = flag.Bool("compare.write", false, "have TestCompared write the situations into docs/compare.md")

const comparePage = "docs/compare.md"

// seen is what test/e2e's TestSituations has seen.
type seen struct {
	Engine, Date string
	Situations   []struct {
		Situation, Made, Asker, Name, Type, Cause string
		Answer                                    []string
		Right                                     bool
	}
}

// table is the situations as the page shows them.
func (s *seen) table() string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "Seen on Docker Engine %s, %s: %d situations.\n\n", s.Engine, s.Date, len(s.Situations))
	fmt.Fprint(b, "| situation | made by | who asks | for | right answer | reason | ours |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, is := range s.Situations {
		ours := "wrong"
		if is.Right {
			ours = "right"
		}
		fmt.Fprintf(b, "| %s | %s | %s | `%s` %s | %s | `%s` | %s |\n", is.Situation, is.Made, is.Asker, is.Name, is.Type, strings.Join(is.Answer, ", "), is.Cause, ours)
	}
	return b.String()
}

// between returns what stands between the page's marks, and the page before and after.
func between(t *testing.T, page, mark string) (before, text, after string) {
	t.Helper()
	begin, end := "<!-- "+mark+" -->\n", "<!-- /"+mark+" -->"
	before, rest, begun := strings.Cut(page, begin)
	text, after, ended := strings.Cut(rest, end)
	if !begun || !ended {
		t.Fatalf("%s has no %s", comparePage, mark)
	}
	return before + begin, text, end + after
}

// The page says of us what has been seen: each feature's situation was right, and all situations stand there.
func TestCompared(t *testing.T) {
	var s seen
	if err := json.Unmarshal([]byte(read(t, "docs/situations.json")), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Situations) < 60 {
		t.Errorf("%d situations, want 60 at least", len(s.Situations))
	}
	right := map[string]bool{}
	for _, is := range s.Situations {
		if _, twice := right[is.Situation]; twice {
			t.Errorf("two situations are called %q", is.Situation)
		}
		if right[is.Situation] = is.Right; !is.Right {
			t.Errorf("%q was not right", is.Situation)
		}
	}
	page := read(t, comparePage)
	before, shown, after := between(t, page, "situations")
	if want := s.table(); shown != want {
		if *compareWrite {
			if err := os.WriteFile(comparePage, []byte(before+want+after), 0o644); err != nil {
				t.Error(err)
			}
		} else {
			t.Errorf("%s shows other situations than docs/situations.json: go test . -run TestCompared -compare.write", comparePage)
		}
	}

	_, features, _ := between(t, page, "features")
	rows := strings.Split(strings.TrimSpace(features), "\n")
	const least = 40
	if len(rows) < least+2 {
		t.Fatalf("%d rows of features, want %d at least", len(rows)-2, least)
	}
	cell := regexp.MustCompile("^[ynp–?]$")
	for _, row := range rows[2:] {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if len(cells) != 8 {
			t.Errorf("%d cells in %s", len(cells), row)
			continue
		}
		for _, c := range cells[1:7] {
			if !cell.MatchString(c) {
				t.Errorf("%q in %s", c, row)
			}
		}
		if err := shows(cells[7], right); (err == nil) != (cells[1] == "y") {
			t.Errorf("%s: ours is %s: %v", cells[0], cells[1], err)
		}
	}
}

var (
	testName = regexp.MustCompile(`^Test\w+$`)
	pageLink = regexp.MustCompile(`^\[.*\]\((.*)\)$`)
)

// shows says why the evidence, a situation, a test or a page, does not show that we have something.
func shows(evidence string, right map[string]bool) error {
	if link := pageLink.FindStringSubmatch(evidence); link != nil {
		_, err := os.Stat(filepath.Join("docs", link[1]))
		return err
	}
	if testName.MatchString(evidence) {
		return exec.Command("grep", "-rq", "--include=*_test.go", "^func "+evidence+"(", ".").Run()
	}
	if ok, known := right[evidence]; !known || !ok {
		return fmt.Errorf("no situation that was right is called %q", evidence)
	}
	return nil
}
