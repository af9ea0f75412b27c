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
	if !slices.Contains(r.Sources, Container) && !slices.Contains(r.Sources, Alias) || r.OptIn {
		return nil
	}
	s := &service{Service: &container.Service{}, Surroundings: around, rules: r, labels: &labels{}}
	network := s.networkName(&container.ServiceNetwork{ID: a.Network})
	if r.Filters != nil && r.Filters.lack(&candidate{name: a.Name, networks: []string{network}}) != "" { // labels that are not known let nobody in
		return nil
	}
	e := &zone.Entry{
		Key: zone.Key{Host: container.HostID("node:" + a.Node.String()), ID: a.ID}, Name: a.Name,
		Swarm: &zone.Member{By: around.By, Task: true, Node: []netip.Addr{a.Node}},
	}
	s.connect(e, []container.TaskConnection{a.TaskConnection})
	var refused refusals
	all := namer{rules: r, refused: &refused}
	if slices.Contains(r.Sources, Container) {
		all.add(Container, name{text: unrooted(a.Name), rank: zone.ByName, own: true})
	}
	if slices.Contains(r.Sources, Alias) {
		s.addOnNetwork(&all, unrooted(a.Name), &container.ServiceNetwork{ID: a.Network}, zone.Whole)
	}
	if e.Claims = all.claims().list; len(e.Claims) == 0 {
		return nil
	}
	return e
}
