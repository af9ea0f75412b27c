package catalog

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// swarmRig is a catalog with a Swarm's services, and the host of its manager.
type swarmRig struct {
	*Catalog
	*clock
	*Swarm
	feed  *Feed
	zones *zone.Store
}

// newSwarmRig has told all but what the host's engine tells.
func newSwarmRig(services ...*container.Service) *swarmRig {
	c := newClock()
	cat, zones := newCatalog(c, hold)
	r := &swarmRig{cat, c, cat.Swarm(), cat.Feed(here), zones}
	r.Nodes(containertest.Nodes(here, ""))
	for _, s := range services {
		r.tell(s)
	}
	r.Swarm.Synced()
	r.Swarm.Current(container.SwarmState{Swarm: "s", Current: true, Since: c.now})
	r.feed.Synced()
	return r
}

func (r *swarmRig) tell(s *container.Service) {
	r.Swarm.Apply([]container.ServiceChange{{ID: s.ID, Service: s}})
}

// see has the host's engine tell of its networks, and of the containers.
func (r *swarmRig) see(containers ...*container.Container) {
	host, _ := containertest.Node(containertest.Manager, nil)
	r.feed.Host(host)
	for _, c := range containers {
		r.feed.Apply([]container.Change{{ID: c.ID, Container: c}})
	}
}

// get returns what the name's A records are for the host, and for a container on the overlay ov.
func (r *swarmRig) get(name string) string {
	own := []container.HostID{here}
	host := zone.View{Hosts: own}
	over := zone.View{Asker: zone.Container, Hosts: own, Networks: []container.NetworkID{container.SpanningNetwork("yvuiyy3p8s3xariru7i3ny20z")}}
	return look(r.zones, name+".docker.", dns.TypeA, host) + " | " + look(r.zones, name+".docker.", dns.TypeA, over)
}

func (r *swarmRig) expect(t *testing.T, when, name, want string) {
	t.Helper()
	if got := r.get(name); got != want {
		t.Errorf("%s: %s is %s, want %s", when, name, got, want)
	}
}

// found returns containertest's service of the name.
func found(name string) *container.Service {
	all := containertest.Services()
	return all[slices.IndexFunc(all, func(s *container.Service) bool { return s.Name == name })]
}

// withTasks returns the service with those of its tasks.
func withTasks(s *container.Service, tasks ...container.Task) *container.Service {
	copied := *s
	copied.Tasks = tasks
	return &copied
}

// TestSwarmJoins has a task's container be seen by its host before and after its manager tells of the task, change, and end before
// the manager knows.
func TestSwarmJoins(t *testing.T) {
	rr := found("rr")
	_, containers := containertest.Node(containertest.Manager, []*container.Service{rr})
	for _, first := range []string{"the manager", "the engine"} {
		r := newSwarmRig()
		if first == "the manager" {
			r.tell(rr)
			r.expect(t, "before its container is seen", "2.rr", "none | 10.0.1.9")
			r.see(containers...)
		} else {
			r.see(containers...)
			r.expect(t, "before its task is known", "2.rr", "NXDOMAIN | NXDOMAIN")
			r.tell(rr)
		}
		r.expect(t, first, "rr", "172.18.0.2 | 10.0.1.8 10.0.1.9")
		r.expect(t, first, "2.rr", "172.18.0.2 | 10.0.1.9")

		paused := *containers[0]
		paused.Paused = true
		r.see(&paused)
		r.expect(t, "paused", "rr", "172.18.0.2 | 10.0.1.8")
		r.see(containers[0])

		r.feed.Apply([]container.Change{{ID: containers[0].ID}})
		r.expect(t, "it has ended", "rr", "none | 10.0.1.8")
		r.expect(t, "it has ended", "2.rr", "none | none")
		if len(r.seen) == 0 {
			t.Error("that it has ended is forgotten while it is a task's")
		}
		r.tell(withTasks(rr, rr.Tasks[0], containertest.Task("rr", 2, containertest.Worker, "ov=10.0.1.12")))
		r.expect(t, "another one", "2.rr", "none | 10.0.1.12")
		r.tell(rr)
		r.expect(t, "a manager lags behind", "2.rr", "none | none")
		r.wait(container.KeepNames)
		r.Swarm.Apply([]container.ServiceChange{{ID: rr.ID}})
		if len(r.seen) > 0 {
			t.Errorf("%d sightings of a container that has ended", len(r.seen))
		}
		r.expect(t, "removed", "rr", "NXDOMAIN | NXDOMAIN")
		if s := r.zones.Snapshot(); len(r.services)+len(r.tasks) > 0 || s.Records > 0 {
			t.Errorf("after all has gone: %d services, %d tasks, %d records", len(r.services), len(r.tasks), s.Records)
		}
	}
}

// TestSwarmNodes has a node come to be another host's, and not be ready.
func TestSwarmNodes(t *testing.T) {
	web, hostnet := found("web"), found("hostnet")
	r := newSwarmRig(web, hostnet)
	lan := func() string { return look(r.zones, "web.docker.", dns.TypeA, zone.View{Asker: zone.Elsewhere}) }
	for _, c := range []struct {
		what  string
		ready []bool
		want  string
	}{
		{"both are ready", []bool{true, true}, "198.19.8.1 198.19.8.2"}, {"one is", []bool{false, true}, "198.19.8.2"},
		{"none is", []bool{false, false}, "none"}, {"again", []bool{true, true}, "198.19.8.1 198.19.8.2"},
	} {
		nodes := containertest.Nodes("", "")
		nodes[0].Ready, nodes[1].Ready = c.ready[0], c.ready[1]
		r.Nodes(nodes)
		if got := lan(); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	if got, want := look(r.zones, "hostnet.docker.", dns.TypeA, zone.View{Asker: zone.Elsewhere}), "198.19.8.1 198.19.8.2"; got != want {
		t.Errorf("hostnet is %s, want %s", got, want)
	}
}

// TestSwarmServes counts the tasks: with none of a service its name is without an address, and may be kept for a second.
func TestSwarmServes(t *testing.T) {
	web, glob := found("web"), found("glob")
	r := newSwarmRig(withTasks(web), withTasks(glob))
	for _, name := range []string{"web", "tasks.web", "3.web", "glob", "tasks.glob", "frontend.ov"} {
		r.expect(t, "without a task", name, "none | none")
	}
	q := &zone.Query{Name: "web.docker.", Spelled: "web.docker.", Type: dns.TypeA}
	var res zone.Result
	r.zones.Snapshot().Lookup(q, &res)
	if ttl := res.Ns[0].Header().Ttl; ttl != 1 {
		t.Errorf("that there is no task may be kept for %d seconds", ttl)
	}
	r.tell(web)
	r.expect(t, "with tasks", "web", "127.0.0.1 | 10.0.1.2")
	r.expect(t, "with tasks", "3.web", "none | 10.0.1.5")
	r.expect(t, "with tasks", "4.web", "NXDOMAIN | NXDOMAIN")
}

// TestSwarmPresence is about managers that have not answered yet, answer no more, and are back.
func TestSwarmPresence(t *testing.T) {
	var warned []string
	c := newClock()
	cat, zones := newCatalog(c, hold)
	cat.warnf = func(format string, args ...any) { warned = append(warned, fmt.Sprintf(format, args...)) }
	cat.Feed(here).Synced()
	s := cat.Swarm()
	state := func() string {
		q := &zone.Query{Name: "rr.docker.", Spelled: "rr.docker.", Type: dns.TypeA, View: zone.View{Asker: zone.Container, Hosts: []container.HostID{here}, Networks: []container.NetworkID{container.SpanningNetwork("yvuiyy3p8s3xariru7i3ny20z")}}}
		var r zone.Result
		zones.Snapshot().Lookup(q, &r)
		return fmt.Sprintf("%t %s stale %t", cat.Complete(), look(zones, "rr.docker.", dns.TypeA, q.View), r.Stale)
	}
	check := func(when, want string) {
		t.Helper()
		if got := state(); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	check("before all", "false NXDOMAIN stale false")
	c.wait(startup)
	check("overdue", "true NXDOMAIN stale true")
	rr := found("rr")
	s.Nodes(containertest.Nodes(here, ""))
	s.Apply([]container.ServiceChange{{ID: rr.ID, Service: rr}})
	s.Synced()
	s.Current(container.SwarmState{Swarm: "s", Current: true, Since: c.now})
	check("told", "true 10.0.1.8 10.0.1.9 stale false")
	s.Current(container.SwarmState{Swarm: "s", Since: c.now})
	check("away", "true 10.0.1.8 10.0.1.9 stale true")
	c.wait(forget - time.Second)
	check("away for long", "true 10.0.1.8 10.0.1.9 stale true")
	c.wait(time.Second)
	check("forgotten", "true NXDOMAIN stale true")
	if p := cat.Swarms()["swarm:s"]; !p.Forgotten || p.State != zone.Away {
		t.Errorf("the Swarm is %+v", p)
	}
	s.Current(container.SwarmState{Swarm: "s", Current: true, Since: c.now})
	check("back", "true 10.0.1.8 10.0.1.9 stale false")
	s.Current(container.SwarmState{Swarm: "s", Since: c.now})
	cat.Close()
	c.wait(2 * forget)
	check("closed", "true 10.0.1.8 10.0.1.9 stale true")
	if len(warned) != 2 || !strings.Contains(warned[0], "No Swarm") || !strings.Contains(warned[1], "swarm:s") {
		t.Errorf("warned: %q", warned)
	}
}

// TestSwarmExplained tells what the catalog knows of services, and of their tasks.
func TestSwarmExplained(t *testing.T) {
	web := found("web")
	r := newSwarmRig(web)
	e, known := r.Of(zone.Key{Host: "swarm:s", ID: web.ID})
	if !known || e.Service != web || e.Name != "web" || e.Entry == nil || len(e.Events) != 1 {
		t.Errorf("of the service: %+v", e)
	}
	task, known := r.Of(zone.Key{Host: here, ID: web.Tasks[0].ID})
	if !known || task.Task == nil || task.Task.ID != web.Tasks[0].ID || task.Node == nil || task.Node.Name != "nas" {
		t.Errorf("of its task: %+v", task)
	}
	var all []string
	for e := range r.All() {
		all = append(all, e.Name)
	}
	if !slices.Equal(all, []string{"web"}) {
		t.Errorf("all are %v", all)
	}
	since := r.Changes(0).Last
	r.tell(withTasks(web, web.Tasks[0]))
	if c := r.Changes(since); len(c.Keys) != 1 || c.Keys[0].ID != web.ID {
		t.Errorf("the changes are %+v", c)
	}
}

// TestSwarmWanting finds the services that could be expected to have a name.
func TestSwarmWanting(t *testing.T) {
	off := found("web")
	off.Labels = map[string]string{"coredns.dockerdiscovery.enable": "false"}
	bad := found("rr")
	bad.Labels = map[string]string{"coredns.dockerdiscovery.host": "a..b"}
	r := newSwarmRig(off, bad)
	for name, want := range map[string]Lack{"web.docker.": LacksAll, "a.b.docker.": Refused} {
		if all := r.Wanting(name); len(all) != 1 || all[0].Lack != want || all[0].Service == nil {
			t.Errorf("%s: %+v", name, all)
		}
	}
	if all := r.Wanting("nope.docker."); len(all) > 0 {
		t.Errorf("nobody could be expected to have nope: %+v", all)
	}
}

// TestAttachedOnce has a container that a worker's network tells of, until its host's engine does.
func TestAttachedOnce(t *testing.T) {
	r := newSwarmRig()
	att := facts("att", "ov=10.0.1.11")
	att.Endpoints[0].ID = "endpoint"
	node := containertest.Nodes("", "")[1].Addr
	r.Attached([]container.Attached{{Swarm: "s", Name: "att", Node: node, TaskConnection: container.TaskConnection{
		Network: "yvuiyy3p8s3xariru7i3ny20z", ID: "endpoint", Addrs: att.Endpoints[0].Addrs,
	}}})
	r.expect(t, "told by the network", "att", "none | 10.0.1.11")
	r.see(att)
	if len(r.attached) > 0 {
		t.Errorf("it counts twice: %v", r.attached)
	}
	r.expect(t, "told by its host too", "att", "none | 10.0.1.11")
	r.Attached(nil)
	r.expect(t, "told by its host alone", "att", "none | 10.0.1.11")
}

// TestSwarmCopiedEngines has two hosts tell of containers of one ID: the task is that of its node.
func TestSwarmCopiedEngines(t *testing.T) {
	rr := found("rr")
	_, containers := containertest.Node(containertest.Manager, []*container.Service{rr})
	host, _ := containertest.Node(containertest.Manager, nil)
	for _, first := range []container.HostID{here, there} {
		r := newSwarmRig(rr)
		second := map[container.HostID]container.HostID{here: there, there: here}[first]
		for _, h := range []container.HostID{first, second} {
			f := r.Catalog.Feed(h)
			c := *containers[0]
			if h == there {
				c.GWBridge.Addrs = []netip.Addr{netip.MustParseAddr("172.18.0.99")}
			}
			f.Host(host)
			f.Apply([]container.Change{{ID: c.ID, Container: &c}})
			f.Synced()
		}
		r.expect(t, "both tell", "2.rr", "172.18.0.2 | 10.0.1.9")
		r.Catalog.Feed(there).Apply([]container.Change{{ID: containers[0].ID}})
		r.expect(t, "the other one has ended", "2.rr", "172.18.0.2 | 10.0.1.9")
	}
}

// TestSwarmAside has the host of an engine be another host's too: what it has told counts no more, until it is alone again.
func TestSwarmAside(t *testing.T) {
	rr := found("rr")
	_, containers := containertest.Node(containertest.Manager, []*container.Service{rr})
	r := newSwarmRig(rr)
	r.see(containers...)
	for range 2 {
		r.expect(t, "it counts", "2.rr", "172.18.0.2 | 10.0.1.9")
		r.feed.SetAside(true)
		r.expect(t, "set aside", "2.rr", "none | 10.0.1.9")
		r.feed.SetAside(false)
	}
}
