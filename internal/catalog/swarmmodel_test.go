package catalog

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// modelled is a task as a manager and the engine of its node tell of it, each when it likes.
type modelled struct {
	task   container.Task
	seen   *container.Container // nil before the engine has told of it
	listed bool                 // by the manager
	ended  bool                 // the engine has said so
	paused bool
}

// modelledService says what is to be answered for the service's name, in the simplest way.
type modelledService struct {
	*container.Service
	tasks []*modelled
}

// told is the service as its manager tells of it.
func (s *modelledService) told() *container.Service {
	var tasks []container.Task
	for _, m := range s.tasks {
		if m.listed {
			tasks = append(tasks, m.task)
		}
	}
	return withTasks(s.Service, tasks...)
}

// answers returns what the host gets for the service's name, and a container on its network for the name and for its tasks'.
func (s *modelledService) answers() string {
	serving := slices.DeleteFunc(slices.Clone(s.tasks), func(m *modelled) bool { return !m.listed || m.ended })
	addrs := func(of func(*modelled) (ip netip.Addr, has bool)) string {
		var well, all []string
		for _, m := range serving {
			if ip, has := of(m); has {
				all = append(all, ip.String())
				if !m.paused {
					well = append(well, ip.String())
				}
			}
		}
		if len(well) == 0 {
			well = all
		}
		slices.Sort(well)
		return strings.Join(well, " ")
	}
	tasks := addrs(func(m *modelled) (netip.Addr, bool) { return m.task.Connections[0].Addrs[0], true })
	host := addrs(func(m *modelled) (ip netip.Addr, has bool) {
		if m.seen == nil {
			return ip, false
		}
		return m.seen.GWBridge.Addrs[0], true
	})
	over := tasks
	if !s.RoundRobin && len(serving) > 0 {
		over = s.Networks[0].VIPs[0].String()
	}
	return fmt.Sprintf("%s | %s | %s", host, over, tasks)
}

// TestSwarmAgainstModel has managers and engines tell of tasks in any order, and compares the answers with the model's.
func TestSwarmAgainstModel(t *testing.T) {
	own := []container.HostID{here}
	over := zone.View{Asker: zone.Container, Hosts: own, Networks: []container.NetworkID{container.SpanningNetwork("yvuiyy3p8s3xariru7i3ny20z")}}
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 18))
		r := newSwarmRig()
		host, _ := containertest.Node(containertest.Manager, nil)
		r.feed.Host(host)
		n := byte(2)
		services := []*modelledService{{Service: withTasks(found("rr"))}, {Service: withTasks(found("web"))}}
		services[1].Networks, services[1].Ports = services[1].Networks[1:], nil
		for step := range 200 {
			s := services[rnd.IntN(2)]
			var m *modelled
			if len(s.tasks) > 0 {
				m = s.tasks[rnd.IntN(len(s.tasks))]
			}
			what := rnd.IntN(8)
			switch {
			case m == nil, what == 0 && len(s.tasks) < 5: // a new task, of which nobody has told
				n++
				task := containertest.Task(fmt.Sprint(s.Name, n), 1+int(n), containertest.Manager, fmt.Sprintf("ov=10.0.1.%d", n))
				s.tasks = append(s.tasks, &modelled{task: task})
				if n > 250 {
					n = 2
				}
			case what <= 2:
				m.listed = !m.listed
				r.tell(s.told())
			case what == 3 && m.ended && !m.listed: // nobody tells of it any more
				s.tasks = slices.DeleteFunc(s.tasks, func(o *modelled) bool { return o == m })
			case what == 4 && m.seen != nil && !m.ended:
				m.ended = true
				r.feed.Apply([]container.Change{{ID: m.task.Container}})
			case what == 5:
				r.feed.Host(host)
			case what == 6 && rnd.IntN(4) == 0:
				nodes := containertest.Nodes(here, "")
				nodes[0].Ready = rnd.IntN(2) == 0
				r.Nodes(nodes)
			case what == 7 && !m.ended:
				m.paused = rnd.IntN(3) == 0
				c := facts(fmt.Sprint("c", m.task.Slot), "ov="+m.task.Connections[0].Addrs[0].String())
				c.ID, c.Paused = m.task.Container, m.paused
				m.seen = containertest.WithGWBridge(c, byte(m.task.Slot))
				r.feed.Apply([]container.Change{{ID: c.ID, Container: m.seen}})
			}
			for _, s := range services {
				if r.services[s.ID] == nil {
					continue
				}
				name := s.Name + ".docker."
				var got []string
				for _, q := range []struct {
					name string
					v    zone.View
				}{{name, zone.View{Hosts: own}}, {name, over}, {"tasks." + name, over}} {
					addrs := strings.Fields(strings.ReplaceAll(look(r.zones, q.name, dns.TypeA, q.v), "none", ""))
					slices.Sort(addrs)
					got = append(got, strings.Join(addrs, " "))
				}
				if got, want := strings.Join(got, " | "), s.answers(); got != want {
					t.Fatalf("seed %d, step %d, %d: %s is %q, want %q", seed, step, what, name, got, want)
				}
			}
		}
	}
}
