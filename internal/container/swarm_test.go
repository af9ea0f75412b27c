package container

import (
	"net/netip"
	"testing"
)

// TestServiceEqual changes each fact of a service, and checks that it is seen.
func TestServiceEqual(t *testing.T) {
	addrs := func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("10.0.1.2")} }
	full := func() *Service {
		return &Service{
			Swarm: "s", ID: "1", Name: "shop_web", Stack: "shop",
			Labels: map[string]string{"a": "b"}, ContainerLabels: map[string]string{"c": "d"},
			Networks: []ServiceNetwork{{ID: "n", Name: "net", Aliases: []string{"x"}, VIPs: addrs()}},
			Ports:    []ServicePort{{Number: 80, Proto: "tcp", Published: 8080, Mesh: true}},
			Tasks: []Task{{
				ID: "t", Slot: 1, Node: "node", Container: "c",
				Connections: []TaskConnection{{Network: "n", ID: "e", Addrs: addrs()}},
				Ports:       []ServicePort{{Number: 81, Proto: "tcp", Published: 8081}},
			}},
		}
	}
	if !full().Equal(full()) {
		t.Fatal("a service does not equal itself")
	}
	for name, change := range map[string]func(*Service){
		"Swarm": func(s *Service) { s.Swarm = "x" }, "ID": func(s *Service) { s.ID = "2" }, "Name": func(s *Service) { s.Name = "x" },
		"Stack": func(s *Service) { s.Stack = "" }, "Labels": func(s *Service) { s.Labels["a"] = "x" },
		"ContainerLabels": func(s *Service) { s.ContainerLabels["c"] = "x" }, "RoundRobin": func(s *Service) { s.RoundRobin = true },
		"Partial": func(s *Service) { s.Partial = true }, "Replicas": func(s *Service) { s.Replicas = 1 },
		"network": func(s *Service) { s.Networks = nil }, "its ID": func(s *Service) { s.Networks[0].ID = "x" },
		"its name": func(s *Service) { s.Networks[0].Name = "" }, "alias": func(s *Service) { s.Networks[0].Aliases[0] = "y" },
		"VIP": func(s *Service) { s.Networks[0].VIPs = nil }, "ingress": func(s *Service) { s.Networks[0].Ingress = true },
		"port": func(s *Service) { s.Ports[0].Number = 1 }, "mesh": func(s *Service) { s.Ports[0].Mesh = false },
		"task": func(s *Service) { s.Tasks = nil }, "its task's ID": func(s *Service) { s.Tasks[0].ID = "x" },
		"slot": func(s *Service) { s.Tasks[0].Slot = 2 }, "node": func(s *Service) { s.Tasks[0].Node = "x" },
		"container":    func(s *Service) { s.Tasks[0].Container = "x" },
		"host network": func(s *Service) { s.Tasks[0].HostNetwork = true },
		"connection":   func(s *Service) { s.Tasks[0].Connections[0].ID = "x" },
		"its network":  func(s *Service) { s.Tasks[0].Connections[0].Network = "x" },
		"address":      func(s *Service) { s.Tasks[0].Connections[0].Addrs = nil },
		"task's port":  func(s *Service) { s.Tasks[0].Ports[0].Published = 1 },
	} {
		s := full()
		change(s)
		if s.Equal(full()) {
			t.Errorf("a change of %s is not seen", name)
		}
	}
}
