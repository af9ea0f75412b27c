package swarm

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// maxNetworks bounds the networks of a worker that are asked about.
const maxNetworks = 256

// view is what a worker's networks tell.
type view struct {
	services map[string]*container.Service // by ID
	attached []container.Attached
}

// ofWorker is the ID of the Swarm that a worker alone speaks for.
func ofWorker(node string) container.SwarmID { return container.SwarmID("worker:" + node) }

// viewOf returns what the worker's networks tell. The mesh's tells of addresses where nobody is a neighbour.
func viewOf(node string, networks []jsonNetwork) view {
	v := view{services: map[string]*container.Service{}}
	for i := range networks {
		n := &networks[i]
		if n.Ingress {
			continue
		}
		for name, on := range n.Services {
			if name == "" {
				v.attach(node, n.ID, on.Tasks)
				continue
			}
			s := v.service(node, name)
			vip := addrs(on.VIP)
			s.Networks = append(s.Networks, container.ServiceNetwork{ID: n.ID, Name: n.Name, VIPs: vip})
			s.RoundRobin = s.RoundRobin || len(vip) == 0
			for j := range on.Tasks {
				addTask(s, n.ID, &on.Tasks[j])
			}
		}
	}
	for _, s := range v.services {
		slices.SortFunc(s.Networks, func(a, b container.ServiceNetwork) int { return cmp.Compare(a.ID, b.ID) })
		slices.SortFunc(s.Tasks, func(a, b container.Task) int {
			return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Node, b.Node), cmp.Compare(a.ID, b.ID))
		})
		for i := range s.Tasks {
			slices.SortFunc(s.Tasks[i].Connections, func(a, b container.TaskConnection) int { return cmp.Compare(a.Network, b.Network) })
		}
	}
	slices.SortFunc(v.attached, func(a, b container.Attached) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Network, b.Network))
	})
	return v
}

// service returns the service of the name, of which there is one in a Swarm.
func (v *view) service(node, name string) *container.Service {
	id := string(ofWorker(node)) + "/" + name
	if v.services[id] == nil {
		v.services[id] = &container.Service{Swarm: ofWorker(node), ID: id, Name: name, Partial: true}
	}
	return v.services[id]
}

// attach adds containers that are no service's.
func (v *view) attach(node, network string, tasks []jsonNetworkTask) {
	for i := range tasks {
		t := &tasks[i]
		if t.Name == "" || len(t.Name) > maxName {
			continue
		}
		host, _ := netip.ParseAddr(t.Info.HostIP)
		v.attached = append(v.attached, container.Attached{
			Swarm: ofWorker(node), Name: t.Name, Node: host,
			TaskConnection: container.TaskConnection{Network: network, ID: t.EndpointID, Addrs: addrs(t.EndpointIP)},
		})
	}
}

// addTask adds the task's connection to the network. Its name is the service's, its slot or its node, and its ID.
func addTask(s *container.Service, network string, t *jsonNetworkTask) {
	place, id, _ := cutLast(strings.TrimPrefix(t.Name, s.Name+"."))
	if id == "" {
		return
	}
	i := slices.IndexFunc(s.Tasks, func(o container.Task) bool { return o.ID == id })
	if i < 0 {
		i = len(s.Tasks)
		task := container.Task{ID: id, Node: place}
		if slot, err := strconv.ParseUint(place, 10, 31); err == nil {
			task.Slot, task.Node = int(slot), ""
		}
		s.Tasks = append(s.Tasks, task)
	}
	s.Tasks[i].Connections = append(s.Tasks[i].Connections, container.TaskConnection{Network: network, ID: t.EndpointID, Addrs: addrs(t.EndpointIP)})
}

// cutLast cuts the text at its last dot.
func cutLast(s string) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, '.'); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return "", s, false
}

// since returns what has changed since the other view.
func (v view) since(before view) (services []container.ServiceChange, attached bool) {
	return changes(before.services, v.services), !slices.EqualFunc(before.attached, v.attached, container.Attached.Equal)
}

// keep has services that are as they were be the same ones.
func (v view) keep(before view) view {
	kept := maps.Clone(v.services)
	for id, s := range kept {
		if old := before.services[id]; old != nil && old.Equal(s) {
			kept[id] = old
		}
	}
	return view{kept, v.attached}
}
