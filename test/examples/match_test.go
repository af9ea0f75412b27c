package examples

import (
	"maps"
	"regexp"
	"strings"
	"testing"
)

// chosen finds what Docker chooses: addresses, and IDs, long and short.
var chosen = regexp.MustCompile(`\b(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{64}|[0-9a-f]{12})\b`)

const shortID = 12 // digits

// bindings are addresses and IDs of this run by those that the README shows. What the README
// shows twice must be the same twice, and of two things that differ there none is the other.
type bindings map[string]string

// bind returns the bindings with one more, if it fits.
func (b bindings) bind(shown, got string) (bindings, bool) {
	if len(shown) != len(got) && (isID(shown) || isID(got)) {
		return nil, false
	}
	if known, ok := b[shown]; ok {
		return b, known == got
	}
	for _, taken := range b {
		if taken == got {
			return nil, false
		}
	}
	b = maps.Clone(b)
	b[shown] = got
	if len(shown) > shortID && isID(shown) {
		return b.bind(shown[:shortID], got[:shortID])
	}
	return b, true
}

func isID(token string) bool { return !strings.Contains(token, ".") }

// apply writes a README's command with this run's addresses and IDs.
func (b bindings) apply(command string) string {
	return chosen.ReplaceAllStringFunc(command, func(token string) string {
		if got, ok := b[token]; ok {
			return got
		}
		return token
	})
}

// match compares what a command printed with what the README shows, and returns the bindings
// under which they are the same. A line "..." stands for any number of lines. Lines with no
// empty line between them may come in any order.
func (b bindings) match(shown, got []string) (bindings, bool) {
	if len(shown) == 0 {
		return b, len(got) == 0
	}
	if shown[0] == "..." {
		for skip := range len(got) + 1 {
			if found, ok := b.match(shown[1:], got[skip:]); ok {
				return found, true
			}
		}
		return nil, false
	}
	n := 0
	for n < len(shown) && shown[n] != "..." && shown[n] != "" {
		n++
	}
	n = max(n, 1) // an empty line
	if n > len(got) {
		return nil, false
	}
	return b.permute(shown[:n], got[:n], func(b bindings) (bindings, bool) { return b.match(shown[n:], got[n:]) })
}

// permute matches lines in any order, and then the rest.
func (b bindings) permute(shown, got []string, rest func(bindings) (bindings, bool)) (bindings, bool) {
	if len(shown) == 0 {
		return rest(b)
	}
	for i := range got {
		if next, ok := b.line(shown[0], got[i]); ok {
			others := append(append([]string(nil), got[:i]...), got[i+1:]...)
			if found, ok := next.permute(shown[1:], others, rest); ok {
				return found, true
			}
		}
	}
	return nil, false
}

// line matches one line. Blanks count as one, and underscores as hyphens: Compose v1
// writes the former in containers' names, and v2 the latter.
func (b bindings) line(shown, got string) (bindings, bool) {
	shown, got = plain(shown), plain(got)
	if chosen.ReplaceAllString(shown, "#") != chosen.ReplaceAllString(got, "#") {
		return nil, false
	}
	tokens := chosen.FindAllString(got, -1)
	for i, token := range chosen.FindAllString(shown, -1) {
		var ok bool
		if b, ok = b.bind(token, tokens[i]); !ok {
			return nil, false
		}
	}
	return b, true
}

var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

func plain(line string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(line), " "), "_", "-")
}

func TestMatch(t *testing.T) {
	id, other := strings.Repeat("0123456789ab", 6)[:64], strings.Repeat("ba9876543210", 6)[:64]
	for _, c := range []struct {
		name       string
		shown, got string
		want       bool
	}{
		{"the same", "a", "a", true},
		{"another", "a", "b", false},
		{"more", "a", "a\nb", false},
		{"less", "a\nb", "a", false},
		{"nothing for something", "a", "", false},
		{"something for nothing", "", "a", false},
		{"another address", "172.17.0.2", "172.18.0.9", true},
		{"no address", "172.17.0.2", "web", false},
		{"an address for an ID", "0123456789ab", "172.17.0.2", false},
		{"the same address twice", "172.17.0.2\n\n172.17.0.2", "10.0.0.1\n\n10.0.0.1", true},
		{"two addresses for one", "172.17.0.2\n\n172.17.0.2", "10.0.0.1\n\n10.0.0.2", false},
		{"one address for two", "172.17.0.2\n172.17.0.3", "10.0.0.1\n10.0.0.1", false},
		{"a fixed address", "127.0.0.1", "127.0.0.2", false},
		{"another order", "b 172.17.0.2\na 172.17.0.3\na 172.17.0.4", "a 10.0.0.1\nb 10.0.0.2\na 10.0.0.3", true},
		{"another order of paragraphs", "a\n\nb", "b\n\na", false},
		{"a long and its short ID", id + "\n\n" + id[:12], other + "\n\n" + other[:12], true},
		{"a long and another's short ID", id + "\n\n" + id[:12], other + "\n\n" + id[:12], false},
		{"lines left out", "...\nb\n...", "a\nb\nc\nd", true},
		{"no lines left out", "...\nb\n...", "b", true},
		{"lines left out and no more", "...\nb", "a\nb\nc", false},
		{"a list cut short", "...\nnodes\n\nx\ny\n\n...", "nodes\n\nx\ny\nz\n\nend", false},
		{"Compose v1", "shop-web-1", "shop_web_1", true},
	} {
		_, got := bindings{"127.0.0.1": "127.0.0.1"}.match(lines(c.shown), lines(c.got))
		if got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// lines splits what a command printed into lines without their colours.
func lines(text string) []string {
	text = strings.TrimRight(colour.ReplaceAllString(text, ""), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
