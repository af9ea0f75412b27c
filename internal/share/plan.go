package share

import (
	"cmp"
	"slices"
	"strings"
)

// etcd takes 128 operations and 1.5 MiB in a transaction, if it is not told otherwise. Ours stay below, with what else stands in them.
const (
	maxOps  = 100
	maxSize = 1 << 20 // octets
)

// hostKey is that of the host's own document, below its prefix. While it is there the containers' documents count.
const hostKey = "host"

// op puts a key, or deletes it if the value is empty.
type op struct{ key, value string }

func (o op) deletes() bool { return o.value == "" }

// plan returns what makes the known keys the wanted ones, in transactions that etcd takes. The host's document is the first where the host is
// known already, since containers may be on networks that are new; else it is the last, so that nobody takes a part for the whole. A container
// that takes the place of another comes with the other's end, as far as one transaction holds both.
func plan(wanted, known map[string]string) [][]op {
	var ops []op
	for key := range known {
		if _, stays := wanted[key]; !stays {
			ops = append(ops, op{key: key})
		}
	}
	for key, value := range wanted {
		if known[key] != value {
			ops = append(ops, op{key, value})
		}
	}
	_, told := known[hostKey]
	rank := func(o op) int {
		switch {
		case o.key == hostKey && told:
			return 0
		case o.key == hostKey:
			return 3
		case o.deletes():
			return 1
		default:
			return 2
		}
	}
	slices.SortFunc(ops, func(a, b op) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a.key, b.key)) })
	return batches(ops)
}

// batches cuts the operations into transactions.
func batches(ops []op) (all [][]op) {
	size := 0
	for _, o := range ops {
		n := len(o.key) + len(o.value)
		if len(all) == 0 || len(all[len(all)-1]) == maxOps || size+n > maxSize {
			all, size = append(all, nil), 0
		}
		all[len(all)-1], size = append(all[len(all)-1], o), size+n
	}
	return all
}

// withdraw returns what takes away what is no longer so, for an etcd that takes nothing new: its quota is used up. What is new stays untold:
// no answer is better than a wrong one. The host's document stays as long as its addresses are right.
func withdraw(wanted, known map[string]string, moved func(wanted, known string) bool) [][]op {
	var ops []op
	for key, value := range known {
		now, stays := wanted[key]
		if now == value || stays && key == hostKey && !moved(now, value) {
			continue
		}
		ops = append(ops, op{key: key})
	}
	slices.SortFunc(ops, func(a, b op) int { return strings.Compare(a.key, b.key) })
	return batches(ops)
}
