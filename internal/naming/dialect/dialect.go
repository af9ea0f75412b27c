// Package dialect reads the labels by which other tools name containers. It is pure, and knows no zones: the same labels say the
// same, wherever the names lie. Whatever stands in a label, reading it is bounded.
package dialect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Tool is one whose labels can be read, as the Corefile names it.
type Tool string

// The tools.
const (
	Traefik   Tool = "traefik"   // router rules
	Caddy     Tool = "caddy"     // caddy-docker-proxy's site addresses
	OrbStack  Tool = "orbstack"  // domains
	Dokku     Tool = "dokku"     // dokku/coredns-docker's
	Dnsdock   Tool = "dnsdock"   // aacebedo/dnsdock's
	Kevinjqiu Tool = "kevinjqiu" // kevinjqiu/coredns-dockerdiscovery's host
)

// dialects is how each tool's labels are read, in the order of [Tools].
var dialects = []dialect{
	{Traefik, []string{traefikEnable, traefikHTTPRule, traefikTCPRule}, readTraefik},
	{Caddy, []string{"caddy", "caddy_*"}, readCaddy},
	{OrbStack, []string{orbStackDomains}, readOrbStack},
	{Dokku, dokkuKeys, readDokku},
	{Dnsdock, dnsdockKeys, readDnsdock},
	{Kevinjqiu, []string{kevinjqiuHost}, readKevinjqiu},
}

type dialect struct {
	tool Tool
	keys []string // patterns of the keys that are read, as [Keys] has them
	read func(*reading)
}

// Tools are all tools.
func Tools() []Tool {
	tools := make([]Tool, len(dialects))
	for i, d := range dialects {
		tools[i] = d.tool
	}
	return tools
}

// Proxies reports whether a proxy answers for the names that the tool's labels give.
func (t Tool) Proxies() bool { return t == Traefik || t == Caddy }

// Facts are what a tool names a container by, or a service.
type Facts struct {
	Name             string
	Project, Service string // Compose's, if any
	Image            string // the last part of its name, without tag and digest
	Labels           map[string]string
	Untold           []string // keys of labels whose values are not known
}

// Options are what only a tool's own configuration knows of how it reads labels.
type Options struct {
	DefaultRule *RuleTemplate // of Traefik, for who has no router rule; nil if that has no name
	Unexposed   bool          // Traefik serves nobody whose label traefik.enable is not true
	Keys        []string      // of labels that hold a name for Kevinjqiu, besides its own
}

// Said is what a tool's labels say of a container.
type Said struct {
	Names   []Name
	Refused []Refused
	// Settings are what labels of ours say, by the last part of the key; and by "prefix" with what the container's addresses are to
	// begin that count.
	Settings map[string]string
	Records  []string // lines of a zone file, for each of the container's names, which is @
}

// Name is a name that a label gives.
type Name struct {
	Text    string // as it was written; a wildcard begins with "*."
	Whole   bool   // it is a whole domain name: none of the zones is put after it
	Proxied bool   // the tool's proxy answers for it, and not the container
}

// Refused is what a label asks for that gives no name.
type Refused struct {
	What   string // it is, if not a name
	Text   string
	Reason string
}

// What is read of one container's labels for one tool. A site of a hundred names is a large one.
const (
	maxLabel = 16 << 10 // octets of one label
	maxTotal = 64 << 10 // of all together
	maxNames = 100
	maxKeys  = 200 // labels
)

// Read returns what the labels say to the tool.
func Read(tool Tool, facts *Facts, o *Options) Said {
	d := find(tool)
	if d == nil {
		return Said{}
	}
	r := reading{dialect: d, Facts: facts, Options: o}
	if r.collect(); len(r.labels) > 0 || tool == Traefik {
		d.read(&r)
	}
	return r.Said
}

func find(tool Tool) *dialect {
	if i := slices.IndexFunc(dialects, func(d dialect) bool { return d.tool == tool }); i >= 0 {
		return &dialects[i]
	}
	return nil
}

// Keys returns patterns of the keys of the labels that the tool's names come from, as [container.MatchesKey] has them.
func Keys(tool Tool, o *Options) []string {
	keys := slices.Clone(find(tool).keys)
	if tool == Kevinjqiu {
		keys = append(keys, o.Keys...)
	}
	return keys
}

// matches reports whether a label's key is of one of the patterns.
func matches(patterns []string, key string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return container.MatchesKey(p, key) })
}

// reading is the reading of one container's labels for one tool.
type reading struct {
	*dialect
	*Facts
	*Options
	Said
	labels []label
}

// label is one that the tool reads.
type label struct{ key, value string }

// collect finds the labels that the tool reads, by key, as far as they are within the bounds.
func (r *reading) collect() {
	var keys []string
	patterns := Keys(r.tool, r.Options)
	for key := range r.Facts.Labels {
		if matches(patterns, key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range r.Untold {
		if matches(patterns, key) {
			r.refuse("label", key, "its host does not tell it: write 'labels "+string(r.tool)+"' there too, unless it has more than 4 KiB")
		}
	}
	if len(keys) > maxKeys {
		r.refuse("label", keys[maxKeys], fmt.Sprintf("more than %d labels for %s", maxKeys, r.tool))
		keys = keys[:maxKeys]
	}
	total := 0
	for _, key := range keys {
		value := r.Facts.Labels[key]
		switch total += len(value); {
		case len(value) > maxLabel:
			r.refuse(key, value, fmt.Sprintf("%d octets long; at most %d are read", len(value), maxLabel))
			total -= len(value)
		case total > maxTotal:
			r.refuse(key, value, fmt.Sprintf("more than %d octets in all labels for %s", maxTotal, r.tool))
			return
		default:
			r.labels = append(r.labels, label{key, value})
		}
	}
}

// of yields those of the labels whose keys are of the pattern.
func (r *reading) of(pattern string) (labels []label) {
	for _, l := range r.labels {
		if container.MatchesKey(pattern, l.key) {
			labels = append(labels, l)
		}
	}
	return labels
}

// add adds a name, unless it is there, or reports that there are too many.
func (r *reading) add(n Name) {
	switch {
	case n.Text == "" || slices.Contains(r.Names, n):
	case len(r.Names) == maxNames:
		r.refuse("", n.Text, fmt.Sprintf("more than %d names", maxNames))
	default:
		r.Names = append(r.Names, n)
	}
}

// set notes what a label of ours would say.
func (r *reading) set(key, value string) {
	if r.Settings == nil {
		r.Settings = map[string]string{}
	}
	r.Settings[key] = value
}

// record adds a line of a zone file.
func (r *reading) record(line string) {
	if len(r.Records) < maxNames {
		r.Records = append(r.Records, line)
	} else {
		r.refuse("record", line, fmt.Sprintf("more than %d records", maxNames))
	}
}

// refuse notes what gives no name. What is empty for a name. So many are enough to tell what is wrong.
func (r *reading) refuse(what, text, reason string) {
	if len(r.Refused) < maxNames {
		r.Refused = append(r.Refused, Refused{what, text, reason})
	}
}

// list splits a list of names.
func list(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// May reports whether a label for one of the tools may give a name that has the text in it, which is in lower case, or a
// wildcard. It costs much less than to read the labels.
func May(facts *Facts, o *Options, text string) bool {
	has := func(value string) bool {
		value = strings.ToLower(value[:min(len(value), maxLabel)])
		return strings.Contains(value, "*") || strings.Contains(strings.ReplaceAll(value, "_", "-"), text)
	}
	for _, d := range dialects {
		patterns := Keys(d.tool, o)
		byMore := d.tool == Dnsdock || d.tool == Dokku // names come by more than the value
		for key, value := range facts.Labels {
			if matches(patterns, key) && (byMore || has(value)) {
				return true
			}
		}
	}
	return o.DefaultRule != nil
}
