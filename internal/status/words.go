package status

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// ago says how long ago one of these has happened to the container last, "" if it is not known to have.
func (e *Explanation) ago(c *catalog.Explanation, whats ...catalog.What) string {
	if c == nil {
		return ""
	}
	for _, event := range slices.Backward(c.Events) {
		if slices.Contains(whats, event.What) {
			return " " + duration(e.At.Sub(event.At)) + " ago"
		}
	}
	return ""
}

// since says for how long something has been so.
func (e *Explanation) since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " for " + duration(e.At.Sub(t))
}

// duration writes a duration as people say it.
func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return "a moment"
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < 10*time.Minute:
		return d.Round(time.Second).String()
	default:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
}

// short is an ID as Docker's commands print it.
func short(id string) string { return (&container.Container{ID: id}).ShortID() }

// typeName is the type as dig writes it.
func typeName(t uint16) string { return dns.Type(t).String() }

// some names the first ones of a list, and how many more there are.
func some(all []string, most int) string {
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return atMost(all[:most], len(all)-most)
}

func atMost(all []string, more int) string {
	text := strings.Join(all, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// sentence begins a sentence with the text.
func sentence(text string) string {
	return strings.ToUpper(text[:min(1, len(text))]) + text[min(1, len(text)):]
}

// stopped ends a sentence with a full stop, which a name in DNS may have already.
func stopped(text string) string { return strings.TrimSuffix(text, ".") + "." }

// Quoted is what somebody called something, as it stands if it is of letters of names, else in quotes. A terminal is not to obey
// what stands in it.
func Quoted(name string) string {
	plain := name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.-:/*@", r))
	})
	if plain {
		return name
	}
	return strconv.Quote(name)
}

// quotedText is a text of others as part of a sentence: what is not to be printed is written as in Go.
func quotedText(text string) string {
	q := strconv.Quote(text)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// shorten cuts the text to so many octets.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("...")], "") + "..."
}
