package catalog

import (
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// affected has, by ID, the containers whose entries are to be made anew, and what has happened to them.
type affected map[string]What

// noted stands for what the engine has told, which is noted elsewhere.
const noted What = 0

// affect adds the container to the set, and those who have joined its network: its addresses are theirs. The caller holds mu.
func (f *Feed) affect(set affected, what What, id string, facts ...*container.Container) {
	set[id] = what
	refs := []string{id}
	for _, c := range facts {
		if c != nil {
			refs = append(refs, c.Name)
		}
	}
	for _, ref := range refs {
		for _, other := range f.joined[ref] {
			if _, ok := set[other]; !ok {
				f.affect(set, ProviderChanged, other, f.listings[other].facts)
			}
		}
	}
}

// sameReach reports whether the entries of one container say that it is reached alike.
func sameReach(a, b *zone.Entry) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.HostNetwork == b.HostNetwork && slices.Equal(a.Networks, b.Networks) && slices.Equal(a.Addresses, b.Addresses) &&
		slices.Equal(a.Published, b.Published)
}

// join notes whose network the container has joined now, in place of whose it had. The caller holds mu.
func (f *Feed) join(before, after *container.Container) {
	if before != nil && before.Joined() != "" {
		ref := before.Joined()
		f.joined[ref] = slices.DeleteFunc(f.joined[ref], func(id string) bool { return id == before.ID })
		if len(f.joined[ref]) == 0 {
			delete(f.joined, ref)
		}
	}
	if after != nil && after.Joined() != "" {
		f.joined[after.Joined()] = append(f.joined[after.Joined()], after.ID)
	}
}

// maxJoins bounds a chain of containers each of which has joined the next.
const maxJoins = 8

// provider returns the container whose network this one uses, nil if that does not run. A network of one's own ends with its
// container: who joined it stays there, and is not in the one that a restart makes. The host's network stays. The caller
// holds mu.
func (f *Feed) provider(c *container.Container) *container.Container {
	restarted := false
	for range maxJoins {
		ref := c.Joined()
		if ref == "" {
			if restarted && !c.HostNetwork() {
				return nil
			}
			return c
		}
		k := f.listings[ref]
		if k == nil { // Docker has the ID there; others may have a name
			k = f.called(ref)
		}
		if k == nil || k.facts == nil {
			return nil
		}
		restarted = restarted || !c.Started.IsZero() && k.facts.Started.After(c.Started)
		c = k.facts
	}
	return nil
}

// called returns the container of the name that runs. While two are known by it, since one was just renamed, it is neither. The
// caller holds mu.
func (f *Feed) called(name string) (found *listing) {
	for _, k := range f.listings {
		if k.facts == nil || k.facts.Name != name {
			continue
		}
		if found != nil {
			return nil
		}
		found = k
	}
	return found
}
