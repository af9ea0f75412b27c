package share

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/share/format"
)

// entry is one container's key.
type entry struct {
	revision int64
	c        *format.Container
	told     verdict // what subscribers have
}

// verdict is what becomes of a container's document.
type verdict struct {
	c   *format.Container // nil if it is none of the host's
	err error             // why
}

// runs reports whether it is a container that runs, and of which the facts are known.
func (v verdict) runs() bool { return v.c != nil && v.c.Facts != nil && !v.c.Created }

// changes returns those of the containers that are dirty, or of all.
func (o *other) changes(dirty map[string]bool, all bool, now time.Time) (changes []container.Change) {
	look := func(id string) {
		if e := o.containers[id]; e != nil {
			changes = append(changes, e.judge(id, o, now)...)
			if e.revision == 0 {
				delete(o.containers, id)
			}
		}
	}
	if all {
		for _, id := range slices.Sorted(maps.Keys(o.containers)) {
			look(id)
		}
		return changes
	}
	for _, id := range slices.Sorted(maps.Keys(dirty)) { // ends come before what takes their place
		if e := o.containers[id]; e != nil && e.c == nil {
			look(id)
			delete(dirty, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(dirty)) {
		look(id)
	}
	return changes
}

// judge returns what there is to tell of the container.
func (e *entry) judge(id string, o *other, now time.Time) []container.Change {
	v := verdict{c: e.c}
	if e.c != nil {
		if v.err = e.c.Within(o.doc); v.err != nil {
			v.c = nil
		}
	}
	before := e.told
	if before.c == v.c && (before.err == nil) == (v.err == nil) {
		return nil
	}
	e.told = v
	ended := container.Change{ID: id, Cause: cause}
	switch {
	case v.err != nil:
		return []container.Change{ended, {ID: id, Name: e.c.Name, Unread: v.err, Cause: cause}}
	case v.c == nil:
		return []container.Change{ended}
	case v.c.Facts == nil:
		return []container.Change{ended, {ID: id, Name: v.c.Name, Unread: errors.New(v.c.Unread), Cause: cause}}
	case v.c.Created:
		created := container.Change{ID: id, Created: v.c.Facts, Since: now, Cause: cause}
		if before.runs() {
			return []container.Change{ended, created}
		}
		return []container.Change{created}
	default:
		return []container.Change{{ID: id, Container: v.c.Facts, Cause: cause}}
	}
}

// others returns what there is to say of each host.
func (f *fleet) others() (all []Other) {
	for _, host := range slices.Sorted(maps.Keys(f.hosts)) {
		o := f.hosts[host]
		s := Other{Host: host, Away: !o.told.current, Since: o.told.since, Here: o.facts.ID != "", Skipped: len(o.refused)}
		for id, e := range o.containers {
			switch {
			case e.told.err != nil:
				s.Skipped, s.Why = s.Skipped+1, skippedKey(containerKeys+id, e.told.err)
			case e.told.runs():
				s.Containers++
			}
		}
		if len(o.refused) > 0 {
			key := slices.Sorted(maps.Keys(o.refused))[0]
			s.Why = skippedKey(key, o.refused[key])
		}
		all = append(all, s)
	}
	return all
}

// skippedKey says why a key is not taken.
func skippedKey(key string, err error) string {
	return fmt.Sprintf("key %.200q is skipped: %v", key, err)
}

// strayKeys counts the keys that are no host's, and says what is wrong with the first one.
func (f *fleet) strayKeys() (n int, why string) {
	if len(f.strays) == 0 {
		return 0, ""
	}
	key := slices.Sorted(maps.Keys(f.strays))[0]
	return len(f.strays), skippedKey(key, f.strays[key])
}
