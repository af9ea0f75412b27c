package naming

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Filters say which containers, and services of Swarms, have names, as the filters of "docker ps" do. Nil lets all in.
//
// They are no matter of the engine's list: whoever is left out may ask all the same, and lend its network to who is let in, so all
// containers are known.
type Filters struct {
	texts    []string // as they were written
	has      []string // labels, as KEY or KEY=VALUE: all of them
	lacks    []string // labels likewise: none of them
	names    []*regexp.Regexp
	networks []string
	projects []string
}

// The keys of filters.
const (
	filterLabel   = "label"
	filterNoLabel = "label!"
	filterName    = "name"
	filterNetwork = "network"
	filterProject = "project"
)

// FilterKeys are the keys of filters.
func FilterKeys() []string {
	return []string{filterLabel, filterNoLabel, filterName, filterNetwork, filterProject}
}

// Add adds a filter, KEY=VALUE, or says what is wrong with it.
func (f *Filters) Add(text string) error {
	key, value, _ := strings.Cut(text, "=")
	switch {
	case slices.Contains(f.texts, text):
		return fmt.Errorf("'%s' stands there twice", text)
	case !slices.Contains(FilterKeys(), key):
		return fmt.Errorf("'%s' is not a filter: there is no key '%s'", text, key)
	case strings.TrimPrefix(value, "=") == "":
		return fmt.Errorf("'%s' is not a filter: it has no value", text)
	}
	switch key {
	case filterLabel:
		f.has = append(f.has, value)
	case filterNoLabel:
		f.lacks = append(f.lacks, value)
	case filterName:
		re, err := regexp.Compile(value)
		if err != nil {
			return fmt.Errorf("'%s' is not a filter: %w", text, err)
		}
		f.names = append(f.names, re)
	case filterNetwork:
		f.networks = append(f.networks, value)
	case filterProject:
		f.projects = append(f.projects, value)
	}
	f.texts = append(f.texts, text)
	return nil
}

// String returns the filters as they were written, each quoted.
func (f *Filters) String() string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf("%q", f.texts)
}

// candidate is what filters look at. What is not known yet, of a container that is only starting, lets it in.
type candidate struct {
	name     string // "" if it is not known
	labels   map[string]string
	untold   []string // keys of labels that its host does not tell
	networks []string
	anywhere bool   // its networks are not known
	project  string // or stack
}

// Lack returns what keeps the container out, a filter of one key or several, "" if it is let in.
func (f *Filters) Lack(c *container.Container) string {
	if f == nil {
		return ""
	}
	return f.lack(&candidate{
		name: c.Name, labels: c.Labels, untold: c.Untold, networks: networks(c), project: Project(c),
		anywhere: len(c.Endpoints) == 0 && c.NetworkMode == "",
	})
}

// LackOfService is Lack for a Swarm's service: its labels and its containers' count, and its stack is its project. The network's name is
// asked for by the number of the service's network.
func (f *Filters) LackOfService(s *container.Service, network func(i int) string) string {
	if f == nil {
		return ""
	}
	labels := map[string]string{}
	for _, from := range []map[string]string{s.ContainerLabels, s.Labels} {
		for key, value := range from {
			labels[key] = value
		}
	}
	names := make([]string, len(s.Networks))
	for i := range names {
		names[i] = network(i)
	}
	return f.lack(&candidate{name: s.Name, labels: labels, networks: names, project: s.Stack})
}

func (f *Filters) lack(c *candidate) string {
	for _, l := range f.has {
		if !hasLabel(c.labels, l) {
			if key, _, _ := strings.Cut(l, "="); slices.Contains(c.untold, key) {
				return "label=" + l + ", which its host does not tell"
			}
			return "label=" + l
		}
	}
	for _, l := range f.lacks {
		if hasLabel(c.labels, l) || slices.Contains(c.untold, l) {
			return "label!=" + l
		}
	}
	switch {
	case len(f.names) > 0 && c.name != "" && !slices.ContainsFunc(f.names, func(re *regexp.Regexp) bool {
		return re.MatchString(c.name) || re.MatchString("/"+c.name) // as engines write it
	}):
		return f.written(filterName)
	case len(f.networks) > 0 && !c.anywhere && !slices.ContainsFunc(f.networks, func(n string) bool { return slices.Contains(c.networks, n) }):
		return f.written(filterNetwork)
	case len(f.projects) > 0 && !slices.Contains(f.projects, c.project):
		return f.written(filterProject)
	default:
		return ""
	}
}

// hasLabel reports whether the label KEY or KEY=VALUE is among these.
func hasLabel(labels map[string]string, l string) bool {
	key, value, valued := strings.Cut(l, "=")
	has, there := labels[key]
	return there && (!valued || has == value)
}

// written returns the filters of the key, of which one has to let a container in.
func (f *Filters) written(key string) string {
	const most = 3
	var all []string
	for _, text := range f.texts {
		if strings.HasPrefix(text, key+"=") {
			all = append(all, text)
		}
	}
	if len(all) > most {
		all = append(all[:most], fmt.Sprintf("%d more", len(all)-most))
	}
	return strings.Join(all, " or ")
}
