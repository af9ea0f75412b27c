package share

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
)

// TestWhoIsTold checks that of containers that are not to be told nothing is, nor of those of which that is not known, and that one
// which comes to be told, or is not any more, is.
func TestWhoIsTold(t *testing.T) {
	l := newLocal(&Config{Host: "nas"}, func(c *container.Container) bool { return strings.HasPrefix(c.Name, "web") })
	l.Host(containertest.Host())
	told := map[string]bool{} // as who writes has it
	named := func(id, name string) *container.Container { return &container.Container{ID: id, Name: name} }
	for _, c := range []struct {
		what   string
		change container.Change
		want   string
	}{
		{"one", container.Change{ID: "1", Container: named("1", "web")}, "1"},
		{"another that is not told", container.Change{ID: "2", Container: named("2", "db")}, "1"},
		{"one that was created", container.Change{ID: "3", Created: named("3", "web-2")}, "1 3"},
		{"one that was created and is not told", container.Change{ID: "4", Created: named("4", "db-2")}, "1 3"},
		{"what can't be read", container.Change{ID: "5", Unread: errors.New("x"), Name: "web-3"}, "1 3"},
		{"what was known and can't be read", container.Change{ID: "1", Unread: errors.New("x"), Name: "web"}, "1 3"},
		{"by another name", container.Change{ID: "2", Container: named("2", "web-4")}, "1 2 3"},
		{"called otherwise", container.Change{ID: "1", Container: named("1", "old-web")}, "2 3"},
		{"one that ends", container.Change{ID: "2"}, "3"},
	} {
		l.Apply([]container.Change{c.change})
		keys, _, err := l.wanted("E")
		if err != nil {
			t.Fatal(err)
		}
		for key, document := range keys {
			id, is := strings.CutPrefix(key, containerKeys)
			switch {
			case !is:
			case document == "":
				delete(told, id)
			default:
				told[id] = true
			}
		}
		if got := strings.Join(slices.Sorted(maps.Keys(told)), " "); got != c.want {
			t.Errorf("%s: %s are told, want %s", c.what, got, c.want)
		}
	}
	all := newLocal(&Config{Host: "nas"}, nil)
	if all.Apply([]container.Change{{ID: "5", Unread: errors.New("x"), Name: "web-3"}}); len(all.containers) != 1 {
		t.Error("without a filter what can't be read is not told")
	}
}
