package container

import (
	"path"
	"strings"
)

// MatchesKey reports whether a label's key is of the pattern: "*" stands for any text without dots, and case does not matter.
func MatchesKey(pattern, key string) bool {
	first, _, many := strings.Cut(pattern, "*")
	if !many {
		return strings.EqualFold(pattern, key)
	}
	if len(key) < len(first) || !strings.EqualFold(key[:len(first)], first) {
		return false // most keys
	}
	slashed := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), ".", "/") }
	matched, err := path.Match(slashed(pattern), slashed(key))
	return matched && err == nil
}
