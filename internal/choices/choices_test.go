package choices

import (
	"slices"
	"testing"
)

// TestAll goes through all schedules of some steps, and has each again.
func TestAll(t *testing.T) {
	schedule := func(choose func(int) int) string {
		s := ""
		for len(s) < 3 {
			s += string("abc"[choose(3-len(s))])
		}
		return s
	}
	var p Path
	var all []string
	for again := true; again; again = p.Next() {
		s := schedule(p.Follow(First))
		all = append(all, s)
		q, err := Parse(p.String())
		if err != nil {
			t.Fatal(err)
		}
		if got := schedule(q.Follow(None)); got != s {
			t.Errorf("%s is %s again", s, got)
		}
	}
	if want := []string{"aaa", "aba", "baa", "bba", "caa", "cba"}; !slices.Equal(all, want) {
		t.Errorf("schedules %q, want %q", all, want)
	}
}

// TestOther checks that a path of another schedule is not taken for one's own.
func TestOther(t *testing.T) {
	for _, text := range []string{"", "1", "3/3", "-1/3", "1/x"} {
		if p, err := Parse(text); err == nil {
			t.Errorf("%q is taken for %v", text, p)
		}
	}
	p, err := Parse("1/3")
	if err != nil {
		t.Fatal(err)
	}
	for name, steps := range map[string][]int{"another width": {4}, "longer": {3, 1}} {
		failed := func() (failed bool) {
			defer func() { failed = recover() != nil }()
			choose := p.Follow(None)
			for _, n := range steps {
				choose(n)
			}
			return false
		}()
		if !failed {
			t.Errorf("%s: not noticed", name)
		}
	}
}
