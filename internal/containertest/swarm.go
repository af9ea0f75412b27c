package containertest

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// The nodes of the Swarm that [Services] and [Node] have: a manager of Docker 28.5 and a worker of 26.1.
const (
	Manager, Worker         = "2wb0fsmg7hfwfcxpdvtt0kf6l", "jv9tkkeccic0by22ws2lt4ubi"
	ManagerAddr, WorkerAddr = "198.19.8.1", "198.19.8.2"
)

// networkIDs are those of the Swarm's networks.
var networkIDs = map[string]string{
	"ingress": "44krmg0o6wzkxe1ipngrxydtt", "ov": "yvuiyy3p8s3xariru7i3ny20z", "ov2": "o5jypiemnwzjye0t4geldbnei",
	"st_back": "lmpmstqdwn7oyrb52bmy6nfmq", "st_front": "ncn6klo62x9l9qvq1k8thul4b",
}

// Nodes returns the Swarm's nodes, which have the engines of these hosts.
func Nodes(manager, worker container.HostID) []container.Node {
	return []container.Node{
		{Swarm: "s", ID: Manager, Host: manager, Name: "nas", Addr: netip.MustParseAddr(ManagerAddr), Ready: true},
		{Swarm: "s", ID: Worker, Host: worker, Name: "box", Addr: netip.MustParseAddr(WorkerAddr), Ready: true},
	}
}

// Services returns the Swarm's services as their managers tell of them: web by a virtual address, with a port in the routing mesh;
// rr by DNS round robin; glob on each node; onlyport on no network but the mesh's; hostmode, whose nodes publish its port; hostnet on
// the hosts' network; and a stack st of db, on a network of its own and with labels, and app.
func Services() []*container.Service {
	service := func(name, stack string, replicas int, on string, tasks ...container.Task) *container.Service {
		s := &container.Service{Swarm: "s", ID: "service-" + name, Name: name, Stack: stack, Replicas: replicas, Tasks: tasks}
		for n := range strings.FieldsSeq(on) { // NETWORK[=VIP][/ALIAS]
			n, alias, _ := strings.Cut(n, "/")
			n, vip, _ := strings.Cut(n, "=")
			network := container.ServiceNetwork{ID: networkIDs[n], Name: n, Ingress: n == "ingress"}
			if vip != "" {
				network.VIPs = []netip.Addr{netip.MustParseAddr(vip)}
			}
			if alias != "" {
				network.Aliases = strings.Split(alias, ",")
			}
			s.Networks = append(s.Networks, network)
		}
		return s
	}
	mesh := func(s *container.Service, published uint16) *container.Service {
		s.Ports = []container.ServicePort{{Number: 80, Proto: "tcp", Published: published, Mesh: true}}
		return s
	}
	web := mesh(service("web", "", 3, "ingress=10.0.0.4 ov=10.0.1.2/frontend",
		Task("web", 1, Manager, "ingress=10.0.0.5 ov=10.0.1.3"), Task("web", 2, Manager, "ingress=10.0.0.6 ov=10.0.1.4"),
		Task("web", 3, Worker, "ingress=10.0.0.7 ov=10.0.1.5")), 8080)
	rr := service("rr", "", 2, "ov/round", Task("rr", 1, Worker, "ov=10.0.1.8"), Task("rr", 2, Manager, "ov=10.0.1.9"))
	rr.RoundRobin = true
	glob := service("glob", "", 0, "ov2=10.0.2.2", Task("glob", 0, Manager, "ov2=10.0.2.3"), Task("glob", 0, Worker, "ov2=10.0.2.4"))
	onlyport := mesh(service("onlyport", "", 1, "ingress=10.0.0.8", Task("onlyport", 1, Worker, "ingress=10.0.0.9")), 8090)
	hostmode := service("hostmode", "", 0, "ov2=10.0.2.7", Task("hostmode", 0, Manager, "ov2=10.0.2.8"), Task("hostmode", 0, Worker, "ov2=10.0.2.9"))
	hostmode.Ports = []container.ServicePort{{Number: 80, Proto: "tcp", Published: 8091}}
	for i := range hostmode.Tasks {
		hostmode.Tasks[i].Ports = hostmode.Ports
	}
	hostnet := service("hostnet", "", 0, "", Task("hostnet", 0, Manager, ""), Task("hostnet", 0, Worker, ""))
	for i := range hostnet.Tasks {
		hostnet.Tasks[i].HostNetwork = true
	}
	db := service("st_db", "st", 2, "st_back=10.0.3.2/database,db", Task("st_db", 2, Manager, "st_back=10.0.3.4"))
	db.Labels = map[string]string{"coredns.dockerdiscovery.host": "svc-label.db"}
	db.ContainerLabels = map[string]string{"coredns.dockerdiscovery.host": "ctr-label.db", "com.docker.stack.namespace": "st"}
	app := mesh(service("st_app", "st", 1, "ingress=10.0.0.10 st_back=10.0.3.5/app st_front=10.0.4.2/app",
		Task("st_app", 1, Manager, "ingress=10.0.0.11 st_back=10.0.3.6 st_front=10.0.4.3")), 8095)
	app.ContainerLabels = map[string]string{"com.docker.stack.namespace": "st"}
	return []*container.Service{web, rr, glob, onlyport, hostmode, hostnet, db, app}
}

// Task returns the task of a service in a slot, 0 for a global one's, with addresses NETWORK=IP.
func Task(service string, slot int, node, addrs string) container.Task {
	name := fmt.Sprintf("%s-%d-%.4s", service, slot, node)
	t := container.Task{ID: "task-" + name, Slot: slot, Node: node, Container: name + strings.Repeat("0", 64-len(name))}
	for a := range strings.FieldsSeq(addrs) {
		network, ip, _ := strings.Cut(a, "=")
		t.Connections = append(t.Connections, container.TaskConnection{
			Network: networkIDs[network], ID: t.Container + "-" + network, Addrs: []netip.Addr{netip.MustParseAddr(ip)},
		})
	}
	return t
}

// Node returns what the engine of a node tells: of its host, with docker_gwbridge and the Swarm's networks, and of the containers of
// the services' tasks there. The Nth task's address on docker_gwbridge ends with N+2.
func Node(node string, services []*container.Service) (container.Host, []*container.Container) {
	h := container.Host{Routed: true}
	add := func(id, name, driver, subnet string, spans bool, reach container.Reach) {
		prefix := netip.MustParsePrefix(subnet)
		n := container.Network{ID: id, Name: name, Driver: driver, Spans: spans, Subnets: []netip.Prefix{prefix}, Reach4: reach, Reach6: reach}
		if !spans {
			n.Gateways = []netip.Addr{prefix.Addr().Next()}
		}
		h.Networks = append(h.Networks, n)
	}
	add("gw-"+node, "docker_gwbridge", "bridge", "172.18.0.0/16", false, container.Unshared)
	add("bridge-"+node, "bridge", "bridge", "172.17.0.0/16", false, 0)
	for name, i := range map[string]int{"ingress": 0, "ov": 1, "ov2": 2, "st_back": 3, "st_front": 4} {
		reach := container.OffHost
		if name == "ingress" {
			reach |= container.Unshared
		}
		add(networkIDs[name], name, "overlay", fmt.Sprintf("10.0.%d.0/24", i), true, reach)
	}
	var all []*container.Container
	for _, s := range services {
		for i := range s.Tasks {
			t := &s.Tasks[i]
			if t.Node != node {
				continue
			}
			c := New(fmt.Sprint("c", len(all)), "")
			c.ID, c.Labels = t.Container, map[string]string{"com.docker.swarm.task.id": t.ID}
			for key, value := range s.ContainerLabels {
				c.Labels[key] = value
			}
			slot := strconv.Itoa(t.Slot)
			if t.Slot == 0 {
				slot = node
			}
			c.Name = s.Name + "." + slot + "." + t.ID
			if t.HostNetwork {
				c.NetworkMode = "host"
			}
			for _, at := range t.Connections {
				for name, id := range networkIDs {
					if id == at.Network {
						c.Endpoints = append(c.Endpoints, container.Endpoint{ID: at.ID, Network: name, Addrs: at.Addrs})
					}
				}
			}
			for _, p := range t.Ports {
				c.Ports = append(c.Ports, container.Port{Number: p.Number, Proto: p.Proto, Open: true, Published: []netip.AddrPort{
					netip.AddrPortFrom(netip.IPv4Unspecified(), p.Published), netip.AddrPortFrom(netip.IPv6Unspecified(), p.Published),
				}})
			}
			all = append(all, WithGWBridge(c, byte(len(all)+2)))
		}
	}
	return h, all
}

// WithGWBridge gives the container the address 172.18.0.N on docker_gwbridge, unless it uses the host's network.
func WithGWBridge(c *container.Container, n byte) *container.Container {
	if !c.HostNetwork() {
		c.GWBridge = container.Endpoint{
			ID: "gw-" + c.ID, Network: "docker_gwbridge",
			Addrs: []netip.Addr{netip.AddrFrom4([4]byte{172, 18, 0, n})}, Gateways: []netip.Addr{netip.AddrFrom4([4]byte{172, 18, 0, 1})},
		}
	}
	return c
}
