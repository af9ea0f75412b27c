package share

import (
	"fmt"
	"strings"
	"testing"
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
