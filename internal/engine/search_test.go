package engine

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// A container's search list, of which a bounded number of domains counts.
func TestSearchList(t *testing.T) {
	long := strings.Repeat(`"x",`, 10_000)
	for text, want := range map[string][]string{
		"null": nil, "[]": nil, `"shop.docker"`: nil, `{"a": "b"}`: nil,
		`["shop.docker", "docker"]`: {"shop.docker", "docker"}, `["a", 1, null, {"b": ["c"]}, "d"]`: {"a", "", "d"},
		"[" + strings.TrimSuffix(long, ",") + "]": slices.Repeat([]string{"x"}, maxSearch),
	} {
		var c inspected
		if err := json.Unmarshal([]byte(`{"HostConfig": {"DnsSearch": `+text+`}}`), &c); err != nil || !slices.Equal(c.HostConfig.DNSSearch, want) {
			t.Errorf("%.40s is %q, %v, want %q", text, c.HostConfig.DNSSearch, err, want)
		}
	}
}
