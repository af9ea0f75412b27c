package catalog

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Lack says why a container has no claim to a name that it could be expected to have.
type Lack uint8

// The reasons, the likeliest first.
const (
	LacksAll   Lack = iota // it has no names at all: Explanation.LeftOut says why
	Refused                // the name, or the label that asks for it, is refused
	NotNamedSo             // the source of the name does not count
	Forgotten              // its host has been away for too long
	Unreadable             // its facts can't be read
	NeverRan               // it was created, and has not been started
	Over                   // it has ended, and its names are not held any more
)

// Wanting is a container that has no claim to a name that it could be expected to have.
type Wanting struct {
	Explanation
	Lack    Lack
	Source  naming.Source   // of the name, as far as it is known
	Refused *naming.Skipped // of Refused
}

// Wanting returns the containers that could be expected to have the owner name and have no claim to it, the likeliest first.
// It looks at all containers, and names so many of them as may have names that begin so.
func (cat *Catalog) Wanting(owner string) (all []Wanting) {
	for _, f := range cat.all() {
		all = append(all, f.wanting(owner)...)
	}
	if s := cat.swarm.Load(); s != nil {
		all = append(all, s.wanting(owner)...)
	}
	slices.SortStableFunc(all, func(a, b Wanting) int {
		return cmp.Or(compareUnnamed(a, b), cmp.Compare(a.Lack, b.Lack), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// compareUnnamed puts containers last whose name is not known: any name may be theirs.
func compareUnnamed(a, b Wanting) int {
	switch {
	case (a.Name == "") == (b.Name == ""):
		return 0
	case a.Name == "":
		return 1
	default:
		return -1
	}
}

// maxNamed bounds how many of a host's containers are named to see whether they would have the name.
const maxNamed = 1000

// search is for who could be expected to have a name.
type search struct {
	owner     string
	spellings []string // how it is spelled
	named     int      // the containers that were named
}

func (f *Feed) wanting(owner string) []Wanting {
	look := search{owner: owner, spellings: f.cat.spellings(owner)}
	lacks := map[string]Wanting{}
	all := f.explain(func(id string, h *history, k *listing) bool {
		var w Wanting
		var wanting bool
		if k != nil && k.facts != nil {
			w, wanting = f.lack(k, &look)
		} else {
			w, wanting = h.lack(k != nil, look.spellings)
		}
		if wanting {
			lacks[id] = w
		}
		return wanting
	})
	wanting := make([]Wanting, len(all))
	for i, e := range all {
		wanting[i] = lacks[e.ID]
		wanting[i].Explanation = e
	}
	return wanting
}

// lack says what a container that runs lacks, if it could be expected to have the name. The caller holds mu.
func (f *Feed) lack(k *listing, look *search) (Wanting, bool) {
	claims := func(c zone.Claim) bool { return c.Name == look.owner }
	switch {
	case k.entry != nil && slices.ContainsFunc(k.entry.Claims, claims):
		return Wanting{Lack: Forgotten}, f.dropped && !f.aside
	case f.aside:
		return Wanting{}, false
	}
	for i := range k.skipped {
		if s := &k.skipped[i]; s.Asks(look.owner) || s.What == "" && slices.Contains(look.spellings, spelling(s.Name)) {
			return Wanting{Lack: Refused, Source: s.Source, Refused: s}, true
		}
	}
	if look.named == maxNamed || !f.cat.rules.May(k.facts, look.owner) {
		return Wanting{}, false
	}
	look.named++
	source := f.cat.rules.Would(f.networks, k.facts, f.provider(k.facts), look.owner)
	switch {
	case source == "":
		return Wanting{}, false
	case k.left == naming.NotOptedIn, k.left == naming.Disabled, k.left == naming.Filtered, k.entry == nil:
		return Wanting{Lack: LacksAll, Source: source}, true
	default:
		return Wanting{Lack: NotNamedSo, Source: source}, !f.cat.rules.Counts(source)
	}
}

// lack says what a container lacks that does not run, if it could be expected to have the name.
func (h *history) lack(held bool, spellings []string) (Wanting, bool) {
	w := Wanting{Lack: Over, Source: naming.Container}
	switch {
	case held:
		return w, false
	case h.unread != nil:
		w.Lack = Unreadable
		if h.name == "" {
			return w, true
		}
	case h.lastWhat() == Created:
		w.Lack = NeverRan
	}
	return w, slices.Contains(spellings, spelling(h.name))
}

// spellings returns how the name is spelled, as a whole and without each of the zones in which it lies.
func (cat *Catalog) spellings(owner string) []string {
	all := []string{spelling(owner)}
	for _, z := range cat.rules.Zones {
		if relative, ok := strings.CutSuffix(owner, "."+z); ok {
			all = append(all, spelling(relative))
		}
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// spelling is what remains of a name, or of a text that can't be one, when all is left out that names may not have or in which
// they are likely to differ from the text.
func spelling(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, unescaped(name))
}

// unescaped is a name as it was before DNS's escapes.
func unescaped(name string) string {
	if !strings.Contains(name, "\\") {
		return name
	}
	wire := make([]byte, 256)
	end, err := dns.PackDomainName(dns.Fqdn(name), wire, 0, nil, false)
	if err != nil {
		return name
	}
	var labels []string
	for at := 0; at < end && wire[at] > 0; at += 1 + int(wire[at]) {
		labels = append(labels, string(wire[at+1:at+1+int(wire[at])]))
	}
	return strings.Join(labels, ".")
}
