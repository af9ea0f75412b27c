package spelling

import (
	"math/rand/v2"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"web.docker.", "web.docker.", 0},
		{"", "", 0},
		{"", "ab", 2},
		{"cady.docker.", "caddy.docker.", 1},    // one left out
		{"caddyy.docker.", "caddy.docker.", 1},  // one put in
		{"cadby.docker.", "caddy.docker.", 1},   // one changed
		{"cadyd.docker.", "caddy.docker.", 1},   // two swapped
		{"acddy.dokcer.", "caddy.docker.", 2},   // twice
		{"kitten", "sitting", 3},                //
		{"web.docker.", "caddy.docker.", 3 + 1}, // more than three
	} {
		if got := min(Distance(c.a, c.b, 3), 4); got != c.want {
			t.Errorf("from %q to %q it is %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// TestDistanceWithin checks random names against the definition of the distance, and that a limit changes nothing below it.
func TestDistanceWithin(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	name := func() string {
		b := make([]byte, rnd.IntN(7))
		for i := range b {
			b[i] = "ab."[rnd.IntN(3)]
		}
		return string(b)
	}
	for range 5000 {
		a, b := name(), name()
		want := defined(a, b)
		if got := Distance(b, a, 10); got != want {
			t.Fatalf("from %q to %q it is %d, want %d", b, a, got, want)
		}
		for limit := range 4 {
			if got := Distance(a, b, limit); got != want && (got <= limit || want <= limit) {
				t.Fatalf("from %q to %q within %d it is %d, want %d", a, b, limit, got, want)
			}
		}
	}
}

// defined is the distance as it is defined.
func defined(a, b string) int {
	if a == "" || b == "" {
		return len(a) + len(b)
	}
	least := min(defined(a[1:], b), defined(a, b[1:])) + 1
	changed := defined(a[1:], b[1:])
	if a[0] != b[0] {
		changed++
	}
	least = min(least, changed)
	if len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] {
		least = min(least, defined(a[2:], b[2:])+1)
	}
	return least
}
