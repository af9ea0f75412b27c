package main

import (
	"slices"
	"testing"

	"github.com/coredns/coredns/core/dnsserver"
)

func TestDirectives(t *testing.T) {
	d := dnsserver.Directives
	i := slices.Index(d, "docker")
	around := []string{"header", "dnssec", "minimal", "docker", "cache"}
	if i < 3 || !slices.Equal(d[i-3:i+2], around) {
		t.Errorf("around docker the directives are not %v: %v", around, d)
	}
	for _, name := range around {
		if slices.Index(d[slices.Index(d, name)+1:], name) >= 0 {
			t.Errorf("%s stands twice", name)
		}
	}
	for _, above := range []string{"metadata", "prometheus", "errors", "log", "dns64", "loadbalance", "rewrite", "acl", "nsid", "bufsize", "siit", "tsig", "local", "any", "autopath"} {
		if slices.Index(d, above) > i {
			t.Errorf("%s stands below docker", above)
		}
	}
	for _, below := range []string{"template", "transfer", "hosts", "file", "forward"} {
		if slices.Index(d, below) < i {
			t.Errorf("%s stands above docker", below)
		}
	}
}
