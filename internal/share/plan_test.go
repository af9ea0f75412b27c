package share

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
)

// keys makes keys of "KEY=VALUE …".
func keys(text string) map[string]string {
	all := map[string]string{}
	for _, word := range strings.Fields(text) {
		key, value, _ := strings.Cut(word, "=")
		all[key] = value
	}
	return all
}

func describe(batches [][]op) string {
	var all []string
	for _, ops := range batches {
		var words []string
		for _, o := range ops {
			if o.deletes() {
				words = append(words, "-"+o.key)
			} else {
				words = append(words, o.key+"="+o.value)
			}
		}
		all = append(all, strings.Join(words, " "))
	}
	return strings.Join(all, " | ")
}

func TestPlan(t *testing.T) {
	for _, test := range []struct{ wanted, known, want string }{
		{"", "", ""},
		{"host=h containers/a=1", "", "containers/a=1 host=h"},
		{"host=h containers/a=1", "host=h containers/a=1", ""},
		{"host=i containers/b=2", "host=h containers/a=1", "host=i -containers/a containers/b=2"},
		{"host=h containers/a=2", "host=h containers/a=1", "containers/a=2"},
		{"", "host=h containers/a=1", "-host -containers/a"},
		{"host=h", "containers/a=1", "-containers/a host=h"},
	} {
		if got := describe(plan(keys(test.wanted), keys(test.known))); got != test.want {
			t.Errorf("from %q to %q: %q, want %q", test.known, test.wanted, got, test.want)
		}
	}
}

func TestWithdraw(t *testing.T) {
	sameHost := func(wanted, known string) bool { return wanted[0] != known[0] }
	for _, test := range []struct{ wanted, known, want string }{
		{"host=h containers/a=1 containers/b=1", "host=h containers/a=1", ""},
		{"host=h containers/a=2", "host=h containers/a=1 containers/b=1", "-containers/a -containers/b"},
		{"host=h2 containers/a=1", "host=h1 containers/a=1", ""},
		{"host=i1 containers/a=1", "host=h1 containers/a=1", "-host"},
	} {
		if got := describe(withdraw(keys(test.wanted), keys(test.known), sameHost)); got != test.want {
			t.Errorf("from %q to %q: %q, want %q", test.known, test.wanted, got, test.want)
		}
	}
}

// TestLimits checks that no transaction is larger than etcd takes, and that together they do what is wanted.
func TestLimits(t *testing.T) {
	wanted, known := map[string]string{hostKey: "h"}, map[string]string{}
	for i := range 1000 {
		wanted[fmt.Sprint(containerKeys, i)] = strings.Repeat("x", i%70*1000+1)
		known[fmt.Sprint(containerKeys, i+900)] = "old"
	}
	done := map[string]string{}
	for key, value := range known {
		done[key] = value
	}
	batches := plan(wanted, known)
	for _, ops := range batches {
		size := 0
		for _, o := range ops {
			size += len(o.key) + len(o.value)
			if o.deletes() {
				delete(done, o.key)
			} else {
				done[o.key] = o.value
			}
		}
		if len(ops) > 128 || size > 3<<19 {
			t.Errorf("%d operations with %d octets in one transaction", len(ops), size)
		}
	}
	if last := batches[len(batches)-1]; last[len(last)-1].key != hostKey {
		t.Error("the host's document is not the last")
	}
	if fmt.Sprint(done) != fmt.Sprint(wanted) {
		t.Error("the transactions don't lead to what is wanted")
	}
}

// TestChangeCost checks that what is done about one container does not grow with how many there are.
func TestChangeCost(t *testing.T) {
	cost := func(containers int) float64 {
		l := newLocal(&Config{Host: "a", Addresses: "192.0.2.1"}, nil)
		l.Host(containertest.Host())
		for i := range containers {
			c := containertest.New(fmt.Sprintf("c%05d", i), "")
			l.Apply([]container.Change{{ID: c.ID, Container: c}})
		}
		l.Synced()
		w := &writer{Member: &Member{local: l}, known: map[string]known{}}
		on := false
		change := func() (ops [][]op) {
			c := containertest.New("changes", "")
			if on = !on; on {
				l.Apply([]container.Change{{ID: c.ID, Container: c}})
			} else {
				l.Apply([]container.Change{{ID: c.ID, Gone: true}})
			}
			wanted, have, err := w.differences()
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range slices.Concat(plan(wanted, have)...) {
				if ops = append(ops, []op{o}); o.deletes() {
					delete(w.known, o.key)
				} else {
					w.known[o.key] = known{value: o.value, revision: 1}
				}
			}
			return ops
		}
		if n := len(change()); n != containers+2 { // and the host
			t.Fatalf("at first there are %d keys to write, want %d", n, containers+2)
		}
		for range 2 {
			if n := len(change()); n != 1 {
				t.Errorf("after one container has changed there are %d keys to write", n)
			}
		}
		return testing.AllocsPerRun(50, func() { change() })
	}
	if few, many := cost(10), cost(2000); many > few+1 {
		t.Errorf("to tell of a change takes %v allocations of 2,000 containers, %v of 10", many, few)
	}
}

// TestUntold checks that a host whose etcd is away remembers no more than what there is to tell.
func TestUntold(t *testing.T) {
	l := newLocal(&Config{Host: "a", Addresses: "192.0.2.1"}, nil)
	l.Host(containertest.Host())
	l.Synced()
	if _, all, err := l.wanted("e"); !all || err != nil {
		t.Fatal(all, err)
	}
	l.wantAll() // as when a session has ended
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	live := func(from, to int) {
		for i := from; i < to; i++ {
			c := containertest.New(fmt.Sprintf("c%05d", i), "")
			l.Apply([]container.Change{{ID: c.ID, Container: c}})
			l.Apply([]container.Change{{ID: c.ID, Gone: true}})
		}
	}
	live(0, 1000)
	before := heap()
	live(1000, 21_000)
	if grown := heap() - before; grown > 256<<10 {
		t.Errorf("20,000 lives of containers that were not told took %d octets", grown)
	}
	if keys, all, err := l.wanted("e"); !all || err != nil || len(keys) != 1 {
		t.Errorf("there are %d keys to write (all: %v), want the host's: %v", len(keys), all, err)
	}
}
