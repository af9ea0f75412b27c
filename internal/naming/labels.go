package naming

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// DefaultLabelPrefix is what the keys of our labels begin with.
const DefaultLabelPrefix = "coredns.dockerdiscovery"

// The labels, without the prefix.
const (
	labelAddress  = "address"  // addresses that answer in place of the container's, comma separated
	labelCNAME    = "cname"    // of what the container's names are other names
	labelEnable   = "enable"   // false leaves the container out, true lets it in
	labelHealth   = "health"   // what its health check decides
	labelHost     = "host"     // names, comma separated
	labelNetwork  = "network"  // whose address answers
	labelRecords  = "records"  // zone-file text
	labelTTL      = "ttl"      // seconds
	labelWildcard = "wildcard" // true has the names below its names answer as these
)

var labelKeys = []string{
	labelAddress, labelCNAME, labelEnable, labelHealth, labelHost, labelNetwork, labelRecords, labelTTL, labelWildcard,
}

const (
	// MaxTTL bounds what a container may ask resolvers to keep: its addresses change.
	MaxTTL = 3600

	maxLabel = 16 << 10 // octets of a label's value
	maxHosts = 32       // names of one label or template
)

// What people write for true and false: Compose files are YAML, where all of these are the same.
var (
	yes = []string{"true", "yes", "on", "1", "t", "y"}
	no  = []string{"false", "no", "off", "0", "f", "n"}
)

const wantBool = "want true or false"

// parseBool reads what people write for true and false, and reports whether the text is one of these.
func parseBool(text string) (value, ok bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	value = slices.Contains(yes, text)
	return value, value || slices.Contains(no, text)
}

// LeftOut says why a container has no names.
type LeftOut uint8

// Why a container has no names.
const (
	LetIn      LeftOut = iota // it has some
	NotOptedIn                // only containers whose label asks for names have some
	Disabled                  // its label says that it is to have none
	Filtered                  // the Corefile's filters don't let it in
	NoName                    // no source gives it a name that can be one
)

// labels is what a container's labels say.
type labels struct {
	leftOut  LeftOut
	host     string
	records  string
	cname    string // as it is written
	address  string // likewise
	wildcard bool
	health   Health
	network  *string // nil if none is chosen
	ttl      uint32
	ownTTL   bool // ttl is the container's wish, and not the zone's

	addrPrefix string // with which its addresses begin that count
}

// labels reads the labels under the prefix that a container has, or a service. A bad one is as one that is not there.
func (r *Rules) labels(all map[string]string, refused *refusals) *labels {
	l := &labels{health: r.Health, ttl: r.TTL}
	if r.OptIn {
		l.leftOut = NotOptedIn
	}
	prefix := r.labelPrefix()
	var keys []string
	for key := range all {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		value := all[key]
		key = key[len(prefix):]
		if !slices.Contains(labelKeys, key) {
			refused.add(Skipped{Label, "key", key, "no such label; there are " + strings.Join(labelKeys, ", ")})
			continue
		}
		if reason := l.set(key, value); reason != "" {
			refused.add(Skipped{Label, key, value, reason})
		}
	}
	return l
}

// noteUntold notes labels that would be read if the container's host told them.
func (r *Rules) noteUntold(keys []string, refused *refusals) {
	for _, key := range keys {
		if rest, ours := strings.CutPrefix(key, r.labelPrefix()); ours {
			refused.add(Skipped{Label, "key", rest, untoldReason(key)})
		}
	}
}

// untoldReason says why a container's label is not known.
func untoldReason(key string) string {
	return fmt.Sprintf("its host does not tell the label %q: add its prefix there to 'labels' of 'share', unless its value has more than 4 KiB", key)
}

// labelPrefix is what the keys of the labels begin with that are read, with the last dot.
func (r *Rules) labelPrefix() string { return cmp.Or(r.LabelPrefix, DefaultLabelPrefix) + "." }

// set takes in one label, or returns the reason why it is refused.
func (l *labels) set(key, value string) (reason string) {
	if len(value) > maxLabel {
		return fmt.Sprintf("%d octets long; at most %d are read", len(value), maxLabel)
	}
	switch key {
	case labelEnable:
		in, ok := parseBool(value)
		if !ok {
			return wantBool
		}
		if l.leftOut = Disabled; in {
			l.leftOut = LetIn
		}
	case labelWildcard:
		wildcard, ok := parseBool(value)
		if !ok {
			return wantBool
		}
		l.wildcard = wildcard
	case labelCNAME:
		l.cname = strings.TrimSpace(value)
	case labelAddress:
		l.address = value
	case labelHealth:
		health, ok := ParseHealth(strings.TrimSpace(value))
		if !ok {
			return "want prefer, require or ignore"
		}
		l.health = health
	case labelHost:
		l.host = value
	case labelNetwork:
		l.network = &value
	case labelRecords:
		l.records = value
	case labelTTL:
		ttl, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32)
		if err != nil || ttl > MaxTTL {
			return fmt.Sprintf("want seconds from 0 to %d", MaxTTL)
		}
		l.ttl, l.ownTTL = uint32(ttl), true
	}
	return ""
}

func byLabel(c *subject) []name {
	return c.refused.written(Label, list(c.labels.host))
}

// list splits a label's list.
func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

// written returns the names that somebody wrote for a container, as many as one may have.
func (f *refusals) written(source Source, texts []string) []name {
	var names []name
	for _, text := range texts {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if len(names) == maxHosts {
			f.add(Skipped{Source: source, Name: text, Reason: fmt.Sprintf("more than %d names", maxHosts)})
			break
		}
		names = append(names, written(text))
	}
	return names
}
