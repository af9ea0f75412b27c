// Command coredns is CoreDNS with its own plugins and the docker plugin, and the sub-command docker, which tells what the
// plugin knows. The build tag lean leaves out some of the plugins: plugins.go says which.
package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	"github.com/dockerdiscovery/dockerdiscovery/internal/command"
	_ "github.com/dockerdiscovery/dockerdiscovery/plugin/dockerdiscovery"
)

// above are the plugins that change answers on their way back, and so stand above docker. CoreDNS
// has these below cache.
var above = []string{"header", "dnssec", "minimal"}

// directives puts docker directly above cache, and the plugins that change answers directly above docker.
//
// Our answers depend on who asks and are right only now, and CoreDNS's cache keys
// by name and type alone and keeps what it has for seconds: it must stand below us,
// where it caches what forward brings.
func directives(all []string) []string {
	all = slices.DeleteFunc(slices.Clone(all), func(d string) bool { return slices.Contains(above, d) })
	return slices.Insert(all, slices.Index(all, "cache"), append(slices.Clone(above), "docker")...)
}

func init() { dnsserver.Directives = directives(dnsserver.Directives) }

// ballast is memory that is never touched, so that it costs none. The garbage collector reckons by it: it first runs when
// there are 32 MiB of garbage. A server that lives on a few MiB would run it more than ten times a second under load; a
// query costs 9 to 10 % more of the processor without the ballast (docs/benchmarks.md, "What was removed"). A higher
// GOGC in its place takes the memory of those who have many containers.
const ballast = 16 << 20

func main() {
	if len(os.Args) > 1 && os.Args[1] == "docker" { // CoreDNS itself takes flags alone
		os.Exit(command.Run(filepath.Base(os.Args[0]), os.Args[2:], os.Stdout, os.Stderr))
	}
	b := make([]byte, ballast)
	coremain.Run()
	runtime.KeepAlive(b)
}
