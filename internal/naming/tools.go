package naming

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming/dialect"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Tools says which other tools' labels give names, and who answers for those that a tool's proxy serves.
type Tools struct {
	Read    []dialect.Tool
	Options dialect.Options
	// Proxies are the front proxies: a container by its name, a Compose service as <service>.<project>, or a Swarm's service by its
	// name or as <service>.<stack>.
	Proxies []string
	Addrs   []netip.Addr // of proxies that are no containers
}

// Tool returns the tool whose labels the source is, "" if it is another one.
func (s Source) Tool() dialect.Tool {
	if slices.Contains(dialect.Tools(), dialect.Tool(s)) {
		return dialect.Tool(s)
	}
	return ""
}

// ToolKeys are patterns of the keys of the labels that the tools read, as [container.MatchesKey] has them.
func (t *Tools) ToolKeys() []string {
	var keys []string
	for _, tool := range t.Read {
		keys = append(keys, dialect.Keys(tool, &t.Options)...)
	}
	return keys
}

// allSources are those that can give a name: the sources, and then the tools.
func allSources() []Source {
	all := Sources()
	for _, tool := range dialect.Tools() {
		all = append(all, Source(tool))
	}
	return all
}

// said is what labels say for a tool.
type said struct {
	tool dialect.Tool
	dialect.Said
}

// read reads the labels for each tool.
func (t *Tools) read(facts *dialect.Facts) []said {
	var all []said
	for _, tool := range t.Read {
		all = append(all, said{tool, dialect.Read(tool, facts, &t.Options)})
	}
	return all
}

// withSettings returns the labels with what others say in place of labels of ours that are not there.
func (r *Rules) withSettings(labels map[string]string, all []said) map[string]string {
	out := labels
	for i := range all {
		for key, value := range all[i].Settings {
			if _, own := out[r.labelPrefix()+key]; own || key == labelAddrPrefix {
				continue
			}
			if len(out) == len(labels) {
				out = maps.Clone(labels)
			}
			out[r.labelPrefix()+key] = value
		}
	}
	return out
}

// labelAddrPrefix is what a tool says of which addresses count. No label of ours does.
const labelAddrPrefix = "prefix"

// addrPrefix returns what the container's addresses are to begin with that count, "" for all.
func addrPrefix(all []said) string {
	for i := range all {
		if prefix := all[i].Settings[labelAddrPrefix]; prefix != "" {
			return prefix
		}
	}
	return ""
}

// addTools adds the names that other tools' labels give, and returns those at which front proxies answer in the container's place.
func (r *Rules) addTools(all *namer, told []said, part zone.Part) (proxied []zone.Claim) {
	served := namer{rules: r, refused: all.refused}
	for i := range told {
		tool := told[i].tool
		for _, refused := range told[i].Refused {
			all.refused.add(Skipped{Source(tool), refused.What, refused.Text, refused.Reason})
		}
		for _, n := range told[i].Names {
			text := n.Text
			if n.Whole {
				text = strings.TrimSuffix(text, ".") + "."
			}
			name := written(text)
			if n.Proxied {
				served.add(Source(tool), name)
			} else {
				name.part = part
				all.add(Source(tool), name)
			}
		}
	}
	return served.claims().list
}

// maxToolRecords bounds the records that one container has by other tools' labels: each of its names has all of them.
const maxToolRecords = 1000

// toolRecords returns the claims to the records that other tools' labels give to each name that stands for the whole container.
func (r *Rules) toolRecords(c *subject, have []zone.Claim) (claims []zone.Claim) {
	left := maxToolRecords
	for i := range c.told {
		text := strings.Join(c.told[i].Records, "\n")
		for j := range have {
			if text == "" || left == 0 || !plain(&have[j]) {
				continue
			}
			rrs, err := parseRecords(text, have[j].Name, c.labels.ttl)
			if err != nil {
				c.refused.add(Skipped{Source(c.told[i].tool), labelRecords, text, err.Error()})
				break
			}
			for _, rr := range r.allowed(c, rrs, r.zone(have[j].Name)) {
				if left > 0 {
					claims = addRecord(claims, rr)
					left--
				}
			}
		}
	}
	return claims
}

// dialectFacts are what tools name the container by.
func dialectFacts(c *container.Container) *dialect.Facts {
	return &dialect.Facts{Name: c.Name, Project: Project(c), Service: Service(c), Image: imageName(c.Image), Labels: c.Labels, Untold: c.Untold}
}

// fronted returns the claims with those to names at which proxies answer. Of a name that the claimant has besides, as a container
// called app with the rule Host(`app.docker`) has app.docker, it keeps the right, but not the addresses: who asks by that name is to
// meet the proxy.
func (r *Rules) fronted(claims, proxied []zone.Claim, ttl uint32) []zone.Claim {
	in := inPlace{addrs: r.Tools.Addrs, ttl: ttl}
	for _, p := range proxied {
		claims = slices.DeleteFunc(claims, func(o zone.Claim) bool {
			same := o.Name == p.Name
			if same {
				p.Rank = min(p.Rank, o.Rank)
			}
			return same
		})
		p.Part, p.Proxied = zone.NoPart, true
		claims = append(claims, p)
		if in.any() {
			p.Data = &zone.Data{Records: in.records(p.Name, r.zone(p.Name))}
			claims = append(claims, p)
		}
	}
	return claims
}

// isProxy reports whether the Corefile names it as a front proxy: by its name, or by those of its service and project or stack.
func (t *Tools) isProxy(name, service, of string) bool {
	return slices.ContainsFunc(t.Proxies, func(proxy string) bool {
		return strings.EqualFold(proxy, unrooted(name)) || service != "" && of != "" && strings.EqualFold(proxy, service+"."+of)
	})
}
