// Package joint has several users use one thing together, which is begun for the first of them and ends with the last: server blocks
// that watch one engine, and a configuration that is loaded anew with the one before it.
package joint

import "sync"

// Table is the things that are in use, by key. Its zero value is empty. Its methods may be called from any goroutine.
type Table[K comparable, V any] struct {
	mu sync.Mutex // guards of
	of map[K]*entry[V]
}

type entry[V any] struct {
	thing V
	users int
}

// Join returns the thing of the key for one more user. If nobody uses it yet it is begun, which is to be quick: others wait.
func (t *Table[K, V]) Join(key K, begin func() V) V {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.of[key]
	if e == nil {
		if t.of == nil {
			t.of = map[K]*entry[V]{}
		}
		e = &entry[V]{thing: begin()}
		t.of[key] = e
	}
	e.users++
	return e.thing
}

// Leave ends one user's use, and reports whether that was the last one. Then the thing is the caller's to end: who joins from now on
// gets another.
func (t *Table[K, V]) Leave(key K) (last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.of[key]
	e.users--
	if e.users == 0 {
		delete(t.of, key)
	}
	return e.users == 0
}

// All returns the things that are in use.
func (t *Table[K, V]) All() map[K]V {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[K]V, len(t.of))
	for key, e := range t.of {
		all[key] = e.thing
	}
	return all
}
