package zone

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestTrieIsAMap does random operations on a trie and on a Go map, and checks that
// they agree and that no earlier version of the trie changes.
func TestTrieIsAMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	want := map[string]*node{}
	var tr trie
	type version struct {
		trie trie
		want map[string]*node
	}
	var versions []version
	for i := range 20000 {
		name := fmt.Sprint(rnd.IntN(3000))
		if rnd.IntN(5) < 2 {
			tr = tr.del(name)
			delete(want, name)
		} else {
			n := &node{name: name}
			tr = tr.put(n)
			want[name] = n
		}
		if i%4000 == 0 {
			copied := make(map[string]*node, len(want))
			for k, v := range want {
				copied[k] = v
			}
			versions = append(versions, version{tr, copied})
		}
	}
	versions = append(versions, version{tr, want})
	for i, v := range versions {
		for j := range 3000 {
			name := fmt.Sprint(j)
			if got := v.trie.get(name); got != v.want[name] {
				t.Fatalf("version %d: get(%q) = %v, want %v", i, name, got, v.want[name])
			}
		}
	}
	for name := range want {
		tr = tr.del(name)
	}
	if tr.root != nil {
		t.Errorf("after deleting all names the root is %v, want nil", tr.root)
	}
}

// TestTrieCollision puts names with one and the same hash into a branch.
func TestTrieCollision(t *testing.T) {
	const h = 42
	var b *branch
	names := []string{"a", "b", "c"}
	// Names whose hashes are equal meet below the last level.
	for _, name := range names {
		b = b.put(h, hashBits, &node{name: name})
	}
	b = b.put(h, hashBits, &node{name: "b", children: 7})
	if len(b.slots) != len(names) {
		t.Fatalf("%d slots, want %d", len(b.slots), len(names))
	}
	if i := b.list("b"); i < 0 || b.slots[i].node.children != 7 {
		t.Errorf("b was not replaced")
	}
	b = b.del(h, hashBits, "nope")
	for i, name := range names {
		if b.list(name) < 0 {
			t.Errorf("%s is not found", name)
		}
		b = b.del(h, hashBits, name)
		if want := len(names) - i - 1; want == 0 && b != nil || want > 0 && len(b.slots) != want {
			t.Errorf("after deleting %s: %v, want %d slots", name, b, want)
		}
	}
}
