package zone

import (
	"hash/maphash"
	"math/bits"
	"slices"
)

// trie is a persistent map from owner name to node: a hash array mapped trie
// (Bagwell 2001). A trie that was published is never changed; put and del return a
// new one that shares all but the path to the name, so a change costs the same
// however many names there are, and readers need no lock.
type trie struct {
	root *branch
}

// branch has a slot for each set bit of bits, in the bits' order. Below the last
// level, where the hash is used up, bits is unused and slots is a plain list.
type branch struct {
	bits  uint32
	slots []slot
}

// slot holds either a node or a further branch.
type slot struct {
	node   *node
	branch *branch
}

const (
	levelBits = 5
	levelMask = 1<<levelBits - 1
	hashBits  = 64
)

// seed is drawn anew in each process: nobody can choose names that collide.
var seed = maphash.MakeSeed()

func hash(name string) uint64 { return maphash.String(seed, name) }

func (b *branch) index(h uint64, shift uint) (i int, bit uint32, set bool) {
	bit = 1 << (h >> shift & levelMask)
	return bits.OnesCount32(b.bits & (bit - 1)), bit, b.bits&bit != 0
}

// get returns the node of the name, nil if there is none.
func (t trie) get(name string) *node { return t.find(hash(name), name) }

func (t trie) find(h uint64, name string) *node {
	b := t.root
	for shift := uint(0); b != nil; shift += levelBits {
		if shift >= hashBits {
			if i := b.list(name); i >= 0 {
				return b.slots[i].node
			}
			return nil
		}
		i, _, set := b.index(h, shift)
		if !set {
			return nil
		}
		s := &b.slots[i]
		if s.node != nil {
			if s.node.name == name {
				return s.node
			}
			return nil
		}
		b = s.branch
	}
	return nil
}

// list returns the index of the name in a branch below the last level, -1 if it is not there.
func (b *branch) list(name string) int {
	return slices.IndexFunc(b.slots, func(s slot) bool { return s.node.name == name })
}

// put returns a trie in which the node stands under its name.
func (t trie) put(n *node) trie { return trie{t.root.put(hash(n.name), 0, n)} }

func (b *branch) put(h uint64, shift uint, n *node) *branch {
	if b == nil {
		b = &branch{}
	}
	if shift >= hashBits {
		if i := b.list(n.name); i >= 0 {
			return b.replace(i, slot{node: n})
		}
		return &branch{slots: append(slices.Clip(b.slots), slot{node: n})}
	}
	i, bit, set := b.index(h, shift)
	if !set {
		slots := make([]slot, len(b.slots)+1)
		copy(slots, b.slots[:i])
		slots[i] = slot{node: n}
		copy(slots[i+1:], b.slots[i:])
		return &branch{bits: b.bits | bit, slots: slots}
	}
	s := b.slots[i]
	switch {
	case s.branch != nil:
		s = slot{branch: s.branch.put(h, shift+levelBits, n)}
	case s.node.name == n.name:
		s = slot{node: n}
	default: // two names in one slot: both move a level down
		sub := (*branch)(nil).put(hash(s.node.name), shift+levelBits, s.node)
		s = slot{branch: sub.put(h, shift+levelBits, n)}
	}
	return b.replace(i, s)
}

func (b *branch) replace(i int, s slot) *branch {
	slots := slices.Clone(b.slots)
	slots[i] = s
	return &branch{bits: b.bits, slots: slots}
}

// del returns a trie without the name.
func (t trie) del(name string) trie { return trie{t.root.del(hash(name), 0, name)} }

// del returns nil for a branch that has become empty.
func (b *branch) del(h uint64, shift uint, name string) *branch {
	if b == nil {
		return nil
	}
	var i int
	var bit uint32
	if shift >= hashBits {
		if i = b.list(name); i < 0 {
			return b
		}
	} else {
		var set bool
		if i, bit, set = b.index(h, shift); !set {
			return b
		}
		if s := b.slots[i]; s.branch != nil {
			sub := s.branch.del(h, shift+levelBits, name)
			switch {
			case sub == s.branch:
				return b
			case sub == nil:
			case len(sub.slots) == 1 && sub.slots[0].node != nil: // the last one moves up again
				return b.replace(i, sub.slots[0])
			default:
				return b.replace(i, slot{branch: sub})
			}
		} else if s.node.name != name {
			return b
		}
	}
	if len(b.slots) == 1 {
		return nil
	}
	return &branch{bits: b.bits &^ bit, slots: slices.Concat(b.slots[:i], b.slots[i+1:])}
}

// walk calls f for each node.
func (t trie) walk(f func(*node)) { t.root.walk(f) }

func (b *branch) walk(f func(*node)) {
	if b == nil {
		return
	}
	for _, s := range b.slots {
		if s.node != nil {
			f(s.node)
		} else {
			s.branch.walk(f)
		}
	}
}
