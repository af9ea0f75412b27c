package status_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestCausesAreDocumented checks that the manual has each cause that programs may read.
func TestCausesAreDocumented(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	manual := read("../../plugin/dockerdiscovery/README.md")
	causes := regexp.MustCompile(`Cause = "(\w+)"`).FindAllStringSubmatch(read("cause.go"), -1)
	if len(causes) < 30 {
		t.Fatalf("only %d causes were found", len(causes))
	}
	for _, c := range causes {
		if !strings.Contains(manual, "`"+c[1]+"`") {
			t.Errorf("the manual does not have the cause %s", c[1])
		}
	}
}
