// Command coredns is what the benchmarks compare the product with: a stock build of the same CoreDNS,
// with the docker and floor plugins besides its own.
package main

import (
	"slices"

	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/core/plugin" // CoreDNS's own plugins
	"github.com/coredns/coredns/coremain"

	_ "github.com/dockerdiscovery/dockerdiscovery/plugin/dockerdiscovery"
	_ "github.com/dockerdiscovery/dockerdiscovery/test/bench/floor"
)

func init() {
	dnsserver.Directives = slices.Insert(slices.Clone(dnsserver.Directives), slices.Index(dnsserver.Directives, "cache"), "docker", "floor")
}

func main() { coremain.Run() }
