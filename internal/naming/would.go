package naming

import (
	"maps"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming/dialect"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Would returns the source by which the container would have the owner name if nothing left it out, "" if none would give it
// that name. Networks and provider are those of Entry. Where May says no it is "".
func (r *Rules) Would(on *container.Networks, c, provider *container.Container, owner string) Source {
	in := *c
	in.Labels = maps.Clone(c.Labels)
	delete(in.Labels, r.labelPrefix()+labelEnable)
	delete(in.Labels, "com.dnsdock.ignore")
	if provider == c {
		provider = &in
	}
	for source, one := range r.single {
		e, _, _ := one.Entry(on, &in, provider)
		for i := range e.Claims {
			if gives(e.Claims[i].Name, owner) {
				return source
			}
		}
	}
	return ""
}

// single yields the rules with each source alone, and nobody left out.
func (r *Rules) single(yield func(Source, *Rules) bool) {
	one := *r
	one.OptIn, one.Filters = false, nil
	for _, source := range allSources() {
		one.Sources, one.Tools.Read = []Source{source}, nil
		if tool := source.Tool(); tool != "" {
			one.Sources, one.Tools.Read = nil, []dialect.Tool{tool}
		}
		if !yield(source, &one) {
			return
		}
	}
}

// Counts reports whether the source is one that gives names.
func (r *Rules) Counts(s Source) bool {
	return slices.Contains(r.Sources, s) || slices.Contains(r.Tools.Read, s.Tool())
}

// May reports whether the container may have names that begin as the owner name does. It costs much less than to name it.
func (r *Rules) May(c *container.Container, owner string) bool {
	if wildcard, _ := parseBool(c.Labels[r.labelPrefix()+labelWildcard]); wildcard || len(r.Templates) > 0 {
		return true
	}
	first := head(owner)
	begins := func(text string) bool { return head(text) == first }
	hosts, records := strings.ToLower(c.Labels[r.labelPrefix()+labelHost]), strings.ToLower(c.Labels[r.labelPrefix()+labelRecords])
	return begins(c.Name) || begins(c.Hostname) || begins(c.ShortID()) || begins(c.Labels[composeService]) ||
		slices.ContainsFunc(c.Endpoints, func(e container.Endpoint) bool { return slices.ContainsFunc(e.Aliases, begins) }) ||
		strings.Contains(hosts+records, "*") || strings.Contains(hyphened(hosts), first) || strings.Contains(hyphened(records), first) ||
		dialect.May(dialectFacts(c), &r.Tools.Options, first)
}

// head is the name's first label that is no service's, as its twin has it.
func head(name string) string {
	for strings.HasPrefix(name, "_") {
		_, name, _ = strings.Cut(name, ".")
	}
	name, _, _ = strings.Cut(name, ".")
	return hyphened(strings.ToLower(name))
}

// hyphened is the text as its twin has it.
func hyphened(text string) string { return strings.ReplaceAll(text, "_", "-") }

// WouldService is Would for a service. It tells of the service's own names, and not of those of its tasks alone.
func (r *Rules) WouldService(s *container.Service, around *Surroundings, owner string) Source {
	in := *s
	in.Labels, in.ContainerLabels, in.Tasks = maps.Clone(s.Labels), maps.Clone(s.ContainerLabels), nil
	delete(in.Labels, r.labelPrefix()+labelEnable)
	delete(in.ContainerLabels, r.labelPrefix()+labelEnable)
	for source, one := range r.single {
		entries, _, _ := one.Service(&in, around)
		if slices.ContainsFunc(entries[0].Claims, func(c zone.Claim) bool { return gives(c.Name, owner) }) {
			return source
		}
	}
	return ""
}

// gives reports whether the owner name is the claim's, or one for which its wildcard stands.
func gives(name, owner string) bool {
	return name == owner || strings.HasPrefix(name, "*.") && strings.HasSuffix(owner, name[1:])
}
