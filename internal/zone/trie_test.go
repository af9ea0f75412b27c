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
			n := newNode(name, nil)
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
	if tr.root.branch != nil || tr.root.list != nil {
		t.Errorf("after deleting all names the root is %v, want an empty place", tr.root)
	}
}

// TestTrieCollision puts more names with one and the same hash than a list has before it becomes a branch.
func TestTrieCollision(t *testing.T) {
	const h, number = 42, 2 * maxList
	var p place
	for i := range number {
		p = p.put(hashed{h, newNode(fmt.Sprint(i), nil)}, 0)
	}
	seven := newNode("7", nil)
	seven.ttl = 7
	p = p.put(hashed{h, seven}, 0)
	// at is where the hash leads.
	at := func() *place {
		p := &p
		for rest := uint64(h); p.branch != nil; rest >>= levelBits {
			p = &p.branch[rest&levelMask]
		}
		return p
	}
	if n := len(at().list); n != number {
		t.Fatalf("%d names, want %d", n, number)
	}
	if i := at().find(h, "7"); i < 0 || at().list[i].node.ttl != 7 {
		t.Errorf("7 was not replaced")
	}
	if at().find(h, "nope") >= 0 || at().find(h+1, "7") >= 0 {
		t.Error("found what is not there")
	}
	for i := range number {
		if at().find(h, fmt.Sprint(i)) < 0 {
			t.Errorf("%d is not found", i)
		}
		p = p.del(h, fmt.Sprint(i), 0)
		if n := len(at().list); n != number-i-1 {
			t.Errorf("after deleting %d: %d names, want %d", i, n, number-i-1)
		}
	}
	if p.branch != nil || p.list != nil {
		t.Errorf("after deleting all names %v is left", p)
	}
}

// BenchmarkTrie looks names up at random: of many, most of what is read is not in the processor's cache.
func BenchmarkTrie(b *testing.B) {
	for _, number := range []int{700, 700_000} {
		b.Run(fmt.Sprintf("names=%d", number), func(b *testing.B) {
			var tr trie
			names := make([]string, number)
			for i := range names {
				names[i] = fmt.Sprintf("c%06d.docker.", i)
				tr = tr.put(newNode(names[i], nil))
			}
			rand.Shuffle(number, func(i, j int) { names[i], names[j] = names[j], names[i] })
			i := 0
			for b.Loop() {
				if tr.get(names[i]) == nil {
					b.Fatal(names[i])
				}
				if i++; i == number {
					i = 0
				}
			}
		})
	}
}
