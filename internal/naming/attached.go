package naming

import (
	"net/netip"
	"slices"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Attached returns what a container contributes of which nothing is known but how it is attached to a Swarm's network: its name and
// its address there. It returns nil if that is nothing; with OptIn it is, since labels are not known.
func (r *Rules) Attached(a *container.Attached, around *Surroundings) *zone.Entry {
	if !slices.Contains(r.Sources, Container) || r.OptIn {
		return nil
	}
	s := &service{Service: &container.Service{}, Surroundings: around, rules: r, labels: &labels{}}
	e := &zone.Entry{
		Key: zone.Key{Host: container.HostID("node:" + a.Node.String()), ID: a.ID}, Name: a.Name,
		Swarm: &zone.Member{By: around.By, Task: true, Node: []netip.Addr{a.Node}},
	}
	s.connect(e, []container.TaskConnection{a.TaskConnection})
	var refused refusals
	all := namer{rules: r, refused: &refused}
	all.add(Container, name{text: unrooted(a.Name), rank: zone.ByName, own: true})
	if e.Claims = all.claims().list; len(e.Claims) == 0 {
		return nil
	}
	return e
}
