package zone

import (
	"hash/maphash"
	"slices"
)

// trie is a persistent map from owner name to node: a radix trie over the names' hashes, of which the lists
// at its leaves hold a few names each. A trie that was published is never changed; put and del return a
// new one that shares all but the path to the name, so a change costs about the same however many
// names there are, and readers need no lock.
//
// Kept libraries serve worse here. With hashicorp/go-immutable-radix v2.1.0 a look-up in the zone takes 1.47 times as long, a
// change of a container 1.7 times, and a container 1.8 times the memory; with benbjohnson/immutable v0.4.3 a look-up takes
// the same, a change 1.28 times as long, and a container 1.07 times the memory (docs/benchmarks.md, "What was removed").
//
// The lists have the hashes beside the pointers: of many names most nodes are not in the processor's cache, and a look-up
// reads one alone.
type trie struct{ root place }

// place is where the names are whose hashes begin alike: in a further branch if there is one, else in
// the list.
type place struct {
	branch *branch
	list   []hashed
}

type branch [1 << levelBits]place

// hashed is a node with the hash of its name.
type hashed struct {
	hash uint64
	node *node
}

const (
	levelBits = 4
	levelMask = 1<<levelBits - 1
	hashBits  = 64

	// maxList is the length from which on a list becomes a branch, unless all of the hash is used up, and
	// to half of which it comes back.
	maxList = 16
)

// seed is drawn anew in each process: nobody can choose names that collide.
var seed = maphash.MakeSeed()

func hash(name string) uint64 { return maphash.String(seed, name) }

// get returns the node of the name, nil if there is none.
func (t *trie) get(name string) *node {
	h := hash(name)
	p := &t.root
	for rest := h; p.branch != nil; rest >>= levelBits {
		p = &p.branch[rest&levelMask]
	}
	if i := p.find(h, name); i >= 0 {
		return p.list[i].node
	}
	return nil
}

// find returns the index of the name in the list, -1 if it is not there.
func (p *place) find(h uint64, name string) int {
	for i := range p.list {
		if e := &p.list[i]; e.hash == h && e.node.name == name {
			return i
		}
	}
	return -1
}

// put returns a trie in which the node stands under its name.
func (t trie) put(n *node) trie { return trie{t.root.put(hashed{hash(n.name), n}, 0)} }

// put and del get the number of bits of the hash that have been used.
func (p place) put(e hashed, used int) place {
	if p.branch != nil {
		b := *p.branch
		i := e.hash >> used & levelMask
		b[i] = b[i].put(e, used+levelBits)
		return place{branch: &b}
	}
	if i := p.find(e.hash, e.node.name); i >= 0 {
		list := slices.Clone(p.list)
		list[i] = e
		return place{list: list}
	}
	if len(p.list) < maxList || used >= hashBits {
		list := make([]hashed, len(p.list)+1)
		list[copy(list, p.list)] = e
		return place{list: list}
	}
	var b branch
	for _, e := range append(slices.Clip(p.list), e) {
		i := e.hash >> used & levelMask
		b[i] = b[i].put(e, used+levelBits)
	}
	return place{branch: &b}
}

// del returns a trie without the name.
func (t trie) del(name string) trie {
	if t.get(name) == nil {
		return t
	}
	return trie{t.root.del(hash(name), name, 0)}
}

func (p place) del(h uint64, name string, used int) place {
	if p.branch == nil {
		i := p.find(h, name)
		if len(p.list) == 1 {
			return place{}
		}
		return place{list: slices.Concat(p.list[:i], p.list[i+1:])}
	}
	b := *p.branch
	i := h >> used & levelMask
	b[i] = b[i].del(h, name, used+levelBits)
	left := 0
	for i := range b {
		if b[i].branch != nil {
			return place{branch: &b}
		}
		left += len(b[i].list)
	}
	if left > maxList/2 {
		return place{branch: &b}
	}
	list := make([]hashed, 0, left)
	for i := range b {
		list = append(list, b[i].list...)
	}
	return place{list: list}
}

// walk calls f for each node.
func (t trie) walk(f func(*node)) { t.root.walk(f) }

func (p *place) walk(f func(*node)) {
	if p.branch != nil {
		for i := range p.branch {
			p.branch[i].walk(f)
		}
	}
	for i := range p.list {
		f(p.list[i].node)
	}
}

// differ calls f for each name of which the places have not the same node, with the nodes, of which one may be nil. It costs what
// differs: what one was made of the other by put and del shares the rest.
func differ(a, b *place, f func(a, b *node)) {
	if a.branch == b.branch && sameList(a.list, b.list) {
		return
	}
	if a.branch != nil && b.branch != nil {
		for i := range a.branch {
			differ(&a.branch[i], &b.branch[i], f)
		}
		return
	}
	left := map[string]*node{}
	a.walk(func(n *node) { left[n.name] = n })
	b.walk(func(n *node) {
		if old := left[n.name]; old != n {
			f(old, n)
		}
		delete(left, n.name)
	})
	for _, n := range left {
		f(n, nil)
	}
}

// sameList reports whether the lists are one.
func sameList(a, b []hashed) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }
