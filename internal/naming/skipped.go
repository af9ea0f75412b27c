package naming

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Skipped is a name, or something else that a container asks for, that it does not get.
type Skipped struct {
	Source Source
	What   string // it is, if not a name: the last part of a label's key
	Name   string // as the container has it
	Reason string
}

func (s Skipped) String() string {
	if s.Name == "" && s.What == "" {
		return fmt.Sprintf("%s: %s", s.Source, s.Reason)
	}
	return fmt.Sprintf("%s %s %q: %s", s.Source, cmp.Or(s.What, "name"), s.Name, s.Reason)
}

// Asks reports whether it is a label that could have given the owner name: records at it, or leave to have names at all.
func (s Skipped) Asks(owner string) bool {
	first, _, _ := strings.Cut(owner, ".")
	return s.What == labelRecords && slices.ContainsFunc(strings.Fields(strings.ToLower(s.Name)), func(word string) bool {
		return word == owner || word == first || strings.HasPrefix(word, first+".")
	})
}

// same reports whether the other is the same name, refused for the same reason.
func (s Skipped) same(o Skipped) bool {
	return s.What == o.What && s.Name == o.Name && s.Reason == o.Reason
}

const (
	// A container may ask for any amount of nonsense. Ten refusals a source tell what is wrong with it.
	maxSkipped = 10
	// What is quoted of a container is for recognizing it. Names in DNS, which are skipped for their length too, fit.
	maxQuoted = 300
)

// refusals collects what a container does not get. Of each source it keeps the first ones and counts the others.
type refusals struct {
	list []Skipped
	kept map[Source]int
}

func (f *refusals) add(s Skipped) {
	s.Name, s.Reason = clip(s.Name), clip(s.Reason)
	if slices.ContainsFunc(f.list, s.same) { // in another zone, or by another source: Docker has the host name among the aliases
		return
	}
	if f.kept == nil {
		f.kept = map[Source]int{}
	}
	if f.kept[s.Source]++; f.kept[s.Source] <= maxSkipped {
		f.list = append(f.list, s)
	}
}

func (f *refusals) all() []Skipped {
	for _, source := range allSources() {
		if n := f.kept[source] - maxSkipped; n > 0 {
			f.list = append(f.list, Skipped{Source: source, Reason: fmt.Sprintf("%d more", n)})
		}
	}
	return f.list
}

// clip shortens the text to what is worth quoting.
func clip(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "..."
}
