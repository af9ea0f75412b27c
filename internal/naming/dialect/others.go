package dialect

import "github.com/dockerdiscovery/dockerdiscovery/internal/container"

// The labels of tools that have but one.
const (
	orbStackDomains = "dev.orbstack.domains"
	kevinjqiuHost   = "coredns.dockerdiscovery.host"
)

// readOrbStack reads the domains that the container has besides its own names.
func readOrbStack(r *reading) {
	for _, l := range r.labels {
		for _, name := range list(l.value) {
			r.add(Name{Text: name, Whole: true})
		}
	}
}

// readKevinjqiu reads labels that hold a whole name. That of its own key is our label too, and so counts as that does.
func readKevinjqiu(r *reading) {
	for _, l := range r.labels {
		for _, name := range list(l.value) {
			r.add(Name{Text: name, Whole: !container.MatchesKey(kevinjqiuHost, l.key)})
		}
	}
}
