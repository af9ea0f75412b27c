package naming

import (
	"maps"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Would returns the source by which the container would have the owner name if nothing left it out, "" if none would give it
// that name. Networks and provider are those of Entry.
func (r *Rules) Would(on *container.Networks, c, provider *container.Container, owner string) Source {
	if len(r.Templates) == 0 && !r.mentions(c, owner) {
		return ""
	}
	in := *c
	in.Labels = maps.Clone(c.Labels)
	delete(in.Labels, r.labelPrefix()+labelEnable)
	if provider == c {
		provider = &in
	}
	one := *r
	one.OptIn = false
	for _, s := range sources {
		one.Sources = []Source{s.source}
		e, _, _ := one.Entry(on, &in, provider)
		for i := range e.Claims {
			name := e.Claims[i].Name
			if name == owner || strings.HasPrefix(name, "*.") && strings.HasSuffix(owner, name[1:]) {
				return s.source
			}
		}
	}
	return ""
}

// Counts reports whether the source is one that gives names.
func (r *Rules) Counts(s Source) bool { return slices.Contains(r.Sources, s) }

// mentions reports whether the first label of the name that is no service's may come from the container, or from a wildcard of
// its. It is much cheaper than to name the container.
func (r *Rules) mentions(c *container.Container, owner string) bool {
	for strings.HasPrefix(owner, "_") {
		_, owner, _ = strings.Cut(owner, ".")
	}
	first, _, _ := strings.Cut(hyphened(owner), ".")
	has := func(text string) bool { return strings.Contains(hyphened(strings.ToLower(text)), first) }
	label := func(key string) bool {
		text := c.Labels[r.labelPrefix()+key]
		return text != "" && (has(text) || strings.Contains(text, "*"))
	}
	return has(c.Name) || has(c.Hostname) || strings.HasPrefix(c.ID, first) || has(c.Labels[composeService]) || label(labelHost) || label(labelRecords) ||
		slices.ContainsFunc(c.Endpoints, func(e container.Endpoint) bool { return slices.ContainsFunc(e.Aliases, has) })
}

// hyphened is the text as its twin has it.
func hyphened(text string) string { return strings.ReplaceAll(text, "_", "-") }
