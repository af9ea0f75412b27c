package naming

import (
	"slices"
	"strconv"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// addNames adds the names of the service, and on each network its name and its aliases, as those of containers.
func (s *service) addNames(all *namer, part zone.Part) {
	all.add(Swarm, name{text: s.Name, rank: zone.ByService, part: part})
	if short := s.Short(); short != "" {
		all.add(Swarm, name{text: short + "." + s.Stack, rank: zone.ByService, composed: true, part: part})
	}
	n := 0
	for i := range s.Networks {
		on := &s.Networks[i]
		for _, alias := range on.Aliases {
			if n++; n > maxAliases {
				all.refused.add(Skipped{Source: Swarm, Name: alias, Reason: "more than " + strconv.Itoa(maxAliases) + " aliases"})
				return
			}
			all.add(Swarm, name{text: unrooted(alias), rank: zone.Shared, network: container.SpanningNetwork(on.ID), bare: true, part: part})
			s.addOnNetwork(all, unrooted(alias), on, part)
		}
	}
	for i := range s.Networks[:min(len(s.Networks), maxAliases)] {
		if on := &s.Networks[i]; !on.Ingress {
			s.addOnNetwork(all, s.Name, on, part)
		}
	}
}

// addOnNetwork adds the names that something called so on the network has with the network's: with the one that this has in its stack's
// file too, which other stacks' networks may have as well.
func (s *service) addOnNetwork(all *namer, text string, on *container.ServiceNetwork, part zone.Part) {
	full := s.networkName(on)
	if full == "" {
		return
	}
	network := container.SpanningNetwork(on.ID)
	all.add(Swarm, name{text: text + "." + full, rank: zone.ByProject, network: network, composed: true, part: part})
	if short, ok := strings.CutPrefix(full, s.Stack+"_"); ok && s.Stack != "" && short != "" {
		all.add(Swarm, name{text: text + "." + short, rank: zone.ByProject, network: network, composed: true, bare: true, part: part})
	}
}

// networkName returns the network's name: managers tell it with tasks alone, engines with their networks. It is "" if neither has.
func (s *service) networkName(on *container.ServiceNetwork) string {
	if on.Name == "" {
		if n := s.Network(on.ID); n != nil {
			return n.Name
		}
	}
	return on.Name
}

// addTaskNames adds the names of all tasks, and of those in the slots.
func (s *service) addTaskNames(all *namer, part zone.Part, slots ...string) {
	bases := []string{s.Name}
	if short := s.Short(); short != "" {
		bases = append(bases, short+"."+s.Stack)
	}
	for _, of := range bases {
		for _, slot := range slots {
			if slot != "" {
				all.add(Swarm, name{text: slot + "." + of, rank: zone.ByTask, composed: true, part: part})
			}
		}
		all.add(Swarm, name{text: "tasks." + of, rank: zone.ByTask, composed: true, part: part})
	}
}

// addHosts adds the names of a label.
func (s *service) addHosts(all *namer, label string, part zone.Part) {
	for _, n := range all.refused.written(Label, list(label)) {
		n.part = part
		all.add(Label, n)
	}
}

// slot is what the task is called below its service: the number of its slot, or for one of a global service its node's ID, as
// {{.Task.Slot}} has it; "" if that is not known.
func slot(t *container.Task) string {
	if t.Slot == 0 {
		return t.Node
	}
	return strconv.Itoa(t.Slot)
}

// maxSlots bounds the slots whose names stay while they have no task that serves.
const maxSlots = 256

// missing are the slots that are to have a task, and of which none serves. Their names stay: another one is about to begin.
func missing(s *container.Service) (slots []string) {
	if len(s.Tasks) >= s.Replicas {
		return nil
	}
	for n := 1; n <= min(s.Replicas, maxSlots); n++ {
		if !slices.ContainsFunc(s.Tasks, func(t container.Task) bool { return t.Slot == n }) {
			slots = append(slots, strconv.Itoa(n))
		}
	}
	return slots
}
