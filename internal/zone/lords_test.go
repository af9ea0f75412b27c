package zone

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// TestTwoOfOneName has two containers of one host known by one name, as while one is renamed: what lies below it is the older
// one's, whether another host has been reconciled or not.
func TestTwoOfOneName(t *testing.T) {
	s := newStore()
	s.Apply(add(entry("1", 1, "n=10.0.0.1", "web.docker./name"), entry("2", 2, "n=10.0.0.2", "web.docker./name", "x.web.docker.")))
	for _, state := range []HostState{Current, Unsynced, Overdue} {
		s.SetHost("other", state)
		for _, v := range []View{{}, {Hosts: []container.HostID{""}}, inside("elsewhere")} {
			if got := viewed(s.Snapshot(), v, "x.web.docker.", dns.TypeA); got != "nxdomain" {
				t.Errorf("the other host's state is %d: %q, for %+v", state, got, v)
			}
		}
	}
}

// TestLostClaimNearby has a neighbour claim a name that a stranger has by its project's right. The claim is lost to the container
// above the name, so that it is as if it had not been made.
func TestLostClaimNearby(t *testing.T) {
	s := newStore()
	s.Apply(add(forwarded(
		entry("web", 0, "n=172.17.0.2", "web.docker./name"),
		entry("api", 1, "m=172.17.1.2", "api.web.docker./project"),
		entry("thief", 2, "n=172.17.0.9", "api.web.docker."),
	)...))
	for _, v := range []View{{}, inside("n"), inside("m"), inside("other")} {
		if got := viewed(s.Snapshot(), v, "api.web.docker.", dns.TypeA); got != "172.17.1.2" {
			t.Errorf("asker %d on %v: %s", v.Asker, v.Networks, got)
		}
	}
}
