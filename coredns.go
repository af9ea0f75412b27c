// Command coredns is CoreDNS with all of its own plugins and the docker plugin.
package main

import (
	"slices"

	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/core/plugin" // CoreDNS's own plugins
	"github.com/coredns/coredns/coremain"

	_ "github.com/dockerdiscovery/dockerdiscovery/plugin/dockerdiscovery"
)

// directives puts docker directly above cache, and dnssec directly above docker.
//
// Our answers depend on who asks and are right only now, and CoreDNS's cache keys
// by name and type alone and keeps what it has for seconds: it must stand below us,
// where it caches what forward brings. dnssec signs what passes it on the way
// back, so it must stand above us.
func directives(all []string) []string {
	all = slices.DeleteFunc(slices.Clone(all), func(d string) bool { return d == "dnssec" })
	return slices.Insert(all, slices.Index(all, "cache"), "dnssec", "docker")
}

func init() { dnsserver.Directives = directives(dnsserver.Directives) }

func main() { coremain.Run() }
