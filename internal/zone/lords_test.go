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
	for _, state := range []HostState{Current, Unsynced} {
		s.SetHost("other", state)
		for _, v := range []View{{}, {Hosts: []container.HostID{""}}, inside("elsewhere")} {
			if got := viewed(s.Snapshot(), v, "x.web.docker.", dns.TypeA); got != "nxdomain" {
				t.Errorf("the other host's state is %d: %q, for %+v", state, got, v)
			}
		}
	}
}
