//go:build lean

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
)

// The lean binary has no directive that the table leaves out, until a Corefile is read: then each is there to say so.
func TestLeftOut(t *testing.T) {
	for directive, c := range choices {
		if slices.Contains(dnsserver.Directives, directive) != c.lean {
			t.Errorf("%s is among the directives: %v, want %v", directive, !c.lean, c.lean)
		}
		if listed := slices.Contains(strings.Fields(caddy.DescribePlugins()), directive); listed != c.lean {
			t.Errorf("%s is listed: %v, want %v", directive, listed, c.lean)
		}
	}
	for range 2 { // as at a reload
		if _, err := caddy.LoadCaddyfile("dns"); err != nil {
			t.Fatal(err)
		}
	}
	for directive, c := range choices {
		if c.lean {
			continue
		}
		_, err := caddy.Start(caddy.CaddyfileInput{Filepath: "Corefile", ServerTypeName: "dns",
			Contents: []byte("docker:0 {\n    docker\n    " + directive + " x.example\n}\n")})
		for _, want := range []string{"plugin/" + directive + ": ", "Corefile:3 ", "lean binary", "lacks the plugin '" + directive + "'", "dockerdiscovery-full"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one with %q", directive, err, want)
			}
		}
	}
}
