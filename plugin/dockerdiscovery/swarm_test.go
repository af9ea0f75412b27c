package dockerdiscovery

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
)

// inSwarm returns a plugin on a Swarm's manager or worker, which knows containertest's services from a manager, the containers of
// its own engine, and those of the other node's too if that is an endpoint. Beside the tasks there are containers that ask: att on
// the overlay ov (172.18.0.50), front on st_front (172.18.0.51), all on the services' networks (172.18.0.52), and def on the default
// bridge (172.17.0.9).
func inSwarm(node string, both bool, change func(*config)) *Docker {
	d := unheardDocker(func(c *config) {
		c.endpoints = []endpoint{{name: "here"}}
		if both {
			c.endpoints = append(c.endpoints, endpoint{name: "other"})
		}
		c.publish = true
		if change != nil {
			change(c)
		}
	})
	d.explaining = newAllowance(time.Hour, time.Hour) // however busy the machine is
	own, others := containertest.ManagerAddr, containertest.WorkerAddr
	other := containertest.Worker
	if node != containertest.Manager {
		own, others, other = others, own, containertest.Manager
	}
	machine("lo 127.0.0.1/8", "eth0 "+own+"/24", "docker0 172.17.0.1/16", "docker_gwbridge 172.18.0.1/16").at(&d.own)
	ids := map[string]container.HostID{node: "here"}
	d.hosts[0].id = "here"
	if both {
		ids[other], d.hosts[1].id = "other", "other"
	}
	services := containertest.Services()
	s := d.catalog.Swarm()
	s.Nodes(containertest.Nodes(ids[containertest.Manager], ids[containertest.Worker]))
	var changes []container.ServiceChange
	for _, service := range services {
		changes = append(changes, container.ServiceChange{ID: service.ID, Service: service})
	}
	s.Apply(changes)
	s.Synced()
	s.Current(container.SwarmState{Swarm: "s", Current: true})
	for i, at := range []string{node, other}[:len(d.hosts)] {
		host, containers := containertest.Node(at, services)
		sink := d.sink(d.hosts[i])
		if i > 0 {
			host.Peer = netip.MustParseAddr(others)
			sink.askers.EngineAt([]netip.Addr{host.Peer})
		}
		sink.Host(host)
		for n, asks := range []*container.Container{
			facts("att", "ov=10.0.1.10"), facts("front", "st_front=10.0.4.9"), facts("all", "ov=10.0.1.20 ov2=10.0.2.20 st_back=10.0.3.20"), facts("def", "bridge=172.17.0.9"),
		} {
			asks.ID = strings.Replace(asks.ID, "0", at[:1], 1)
			for e := range asks.Endpoints {
				asks.Endpoints[e].ID = asks.ID + "-" + asks.Endpoints[e].Network
				if n < 3 {
					asks.Endpoints[e].Gateways = nil
				}
			}
			if n < 3 {
				asks = containertest.WithGWBridge(asks, byte(50+n))
			}
			containers = append(containers, asks)
		}
		var changes []container.Change
		for _, c := range containers {
			changes = append(changes, container.Change{ID: c.ID, Container: c})
		}
		sink.Apply(changes)
		sink.Synced()
	}
	return d
}

// swarmAskers are who may ask on a node, with the address from which the query comes.
var swarmAskers = []struct{ name, from string }{
	{"host", fromHost}, {"overlay", "172.18.0.50"}, {"front", "172.18.0.51"}, {"bridge", "172.17.0.9"}, {"lan", fromLAN}, {"other node", ""},
}

// TestSwarmMatrix has each kind of asker ask for each kind of service, on the manager and on the worker, with the other node's engine
// as an endpoint and without: it gets an address that it reaches, or none.
func TestSwarmMatrix(t *testing.T) {
	const m, w = containertest.ManagerAddr, containertest.WorkerAddr
	// The answers in the order of swarmAskers. {own} and {other} are the nodes' addresses.
	type row struct{ name, answers string }
	for _, at := range []struct {
		node string
		rows []row
	}{
		{containertest.Manager, []row{
			{"web", "172.18.0.2,172.18.0.3|10.0.1.2|172.18.0.1|172.17.0.1|both|both"},
			{"tasks.web", "172.18.0.2,172.18.0.3|10.0.1.3,10.0.1.4,10.0.1.5|none|none|none|none"},
			{"3.web", "none|10.0.1.5|none|none|none|none"},
			{"1.web", "172.18.0.2|10.0.1.3|none|none|none|none"},
			{"frontend", "172.18.0.2,172.18.0.3|10.0.1.2|172.18.0.1|172.17.0.1|both|both"},
			{"rr", "172.18.0.4|10.0.1.8,10.0.1.9|none|none|none|none"},
			{"tasks.rr", "172.18.0.4|10.0.1.8,10.0.1.9|none|none|none|none"},
			{"round", "172.18.0.4|10.0.1.8,10.0.1.9|none|none|none|none"}, // its alias
			{"glob", "172.18.0.5|none|none|none|none|none"},
			{"onlyport", "172.17.0.1|172.18.0.1|172.18.0.1|172.17.0.1|both|both"},
			{"hostmode", "172.18.0.6|172.18.0.1|172.18.0.1|172.17.0.1|both|both"},
			{"hostnet", "172.17.0.1|172.18.0.1|172.18.0.1|172.17.0.1|both|both"},
			{"st_db", "172.18.0.8|none|none|none|none|none"},
			{"db.st", "172.18.0.8|none|none|none|none|none"},
			{"svc-label.db", "172.18.0.8|none|none|none|none|none"},
			{"ctr-label.db", "172.18.0.8|none|none|none|none|none"},
			{"app.st", "172.18.0.9|172.18.0.1|10.0.4.2|172.17.0.1|both|both"},
			{"1.db.st", "none|none|none|none|none|none"}, // it is to begin
			{"4.web", "NXDOMAIN|NXDOMAIN|NXDOMAIN|NXDOMAIN|NXDOMAIN|NXDOMAIN"},
		}},
		{containertest.Worker, []row{
			{"web", "172.18.0.2|10.0.1.2|172.18.0.1|172.17.0.1|both|both"},
			{"tasks.web", "172.18.0.2|10.0.1.3,10.0.1.4,10.0.1.5|none|none|none|none"},
			{"rr", "172.18.0.3|10.0.1.8,10.0.1.9|none|none|none|none"},
			{"round", "172.18.0.3|10.0.1.8,10.0.1.9|none|none|none|none"},
			{"glob", "172.18.0.4|none|none|none|none|none"},
			{"onlyport", "172.18.0.5|172.18.0.1|172.18.0.1|172.17.0.1|both|both"},
			{"hostmode", "172.18.0.6|172.18.0.1|172.18.0.1|172.17.0.1|both|both"},
			{"hostnet", "172.17.0.1|172.18.0.1|172.18.0.1|172.17.0.1|both|both"},
			{"db.st", "none|none|none|none|none|none"},
			{"app.st", "172.17.0.1|172.18.0.1|10.0.4.2|172.17.0.1|both|both"},
		}},
	} {
		for _, both := range []bool{false, true} {
			d := inSwarm(at.node, both, nil)
			other := w
			if at.node != containertest.Manager {
				other = m
			}
			for _, r := range at.rows {
				answers := strings.Split(r.answers, "|")
				for i, asker := range swarmAskers {
					from, want := asker.from, strings.ReplaceAll(answers[i], ",", " ")
					if from == "" {
						from = other
					}
					if want == "both" {
						want = m + " " + w
					}
					got := strings.Fields(dig(t, d, from, r.name+".docker.", dns.TypeA))
					slices.Sort(got)
					if got := strings.Join(got, " "); got != want {
						t.Errorf("on %.4s, both nodes' engines %v: %s asks for %s: %s, want %s", at.node, both, asker.name, r.name, got, want)
					}
				}
			}
		}
	}
}

// TestSwarmRights has containers be called as services, stacks and what is in them. A container name of one label goes before a
// service's; nothing else that somebody may give a container takes a service's name, or is mixed with it. On networks of its own a
// container has what is called so there.
func TestSwarmRights(t *testing.T) {
	compose := func(project, service, addrs string) *container.Container {
		return labelled(facts("thief", addrs), "project="+project, "service="+service)
	}
	alias := func(alias, addrs string) *container.Container {
		c := facts("thief", addrs)
		c.Endpoints[0].Aliases = []string{alias}
		return c
	}
	called := func(name, addrs string) *container.Container {
		c := facts(name, addrs)
		c.ID = strings.Replace(c.ID, "0", "e", 1)
		return c
	}
	task := facts("thief", "bridge=172.17.0.66")
	task.Labels = map[string]string{
		"com.docker.swarm.task.id": "task-web-1-2wb0", "com.docker.swarm.service.name": "web", "com.docker.swarm.service.id": "service-web",
		"com.docker.swarm.task.name": "web.1.task-web-1-2wb0", "com.docker.stack.namespace": "st",
	}
	const thief = "172.17.0.66"
	for _, c := range []struct {
		what  string
		thief *container.Container
		want  map[string]string // by name: what the host, att on the overlay, and who is on the thief's bridge get
	}{
		{"nobody", nil, map[string]string{
			"web": "172.18.0.2 172.18.0.3 | 10.0.1.2 | 172.17.0.1", "tasks.web": "172.18.0.2 172.18.0.3 | 10.0.1.3 10.0.1.4 10.0.1.5 | none",
			"db.st": "172.18.0.8 | none | none", "st_db": "172.18.0.8 | none | none", "st-db": "172.18.0.8 | none | none", "db": "172.18.0.8 | none | none",
		}},
		{"a container called as a service", called("web", "bridge="+thief), map[string]string{
			"web": thief + " | 10.0.1.2 | " + thief, "tasks.web": "172.18.0.2 172.18.0.3 | 10.0.1.3 10.0.1.4 10.0.1.5 | none", "1.web": "172.18.0.2 | 10.0.1.3 | none",
		}},
		{"a container called as a service, on its network", called("web", "ov=10.0.1.66"), map[string]string{
			"web": "none | 10.0.1.66 | none", "tasks.web": "172.18.0.2 172.18.0.3 | 10.0.1.3 10.0.1.4 10.0.1.5 | none",
		}},
		{"a container called as a stack", called("st", "bridge="+thief), map[string]string{
			"st": thief + " | none | " + thief, "db.st": "172.18.0.8 | none | none", "tasks.db.st": "172.18.0.8 | none | none",
		}},
		{"a container called as what is in a stack", called("db.st", "bridge="+thief), map[string]string{"db.st": "172.18.0.8 | none | " + thief}},
		{"a project called as a stack", compose("st", "db", "bridge="+thief), map[string]string{"db.st": "172.18.0.8 | none | " + thief}},
		{"a project called as a service", compose("web", "tasks", "bridge="+thief), map[string]string{
			"tasks.web": "172.18.0.2 172.18.0.3 | 10.0.1.3 10.0.1.4 10.0.1.5 | " + thief,
		}},
		{"a project's slot", compose("web", "1", "ov=10.0.1.66"), map[string]string{"1.web": "172.18.0.2 | 10.0.1.3 | none"}},
		{"an alias", alias("web", "bridge="+thief), map[string]string{"web": "172.18.0.2 172.18.0.3 | 10.0.1.2 | " + thief}},
		{"an alias on its network", alias("web", "ov=10.0.1.66"), map[string]string{"web": "172.18.0.2 172.18.0.3 | 10.0.1.2 | 172.17.0.1"}},
		{"an alias of its", alias("db", "bridge="+thief), map[string]string{"db": "none | none | " + thief, "db.st": "172.18.0.8 | none | none"}},
		{"a label", labelled(facts("thief", "bridge="+thief), "host=web, tasks.web, db.st, st_db"), map[string]string{
			"web": "172.18.0.2 172.18.0.3 | 10.0.1.2 | " + thief, "tasks.web": "172.18.0.2 172.18.0.3 | 10.0.1.3 10.0.1.4 10.0.1.5 | " + thief,
			"db.st": "172.18.0.8 | none | " + thief, "st_db": "172.18.0.8 | none | " + thief,
		}},
		{"a name with hyphens", called("st-db", "bridge="+thief), map[string]string{"st-db": thief + " | none | " + thief, "st_db": "172.18.0.8 | none | none"}},
		{"labels of a task's", task, map[string]string{
			"web": "172.18.0.2 172.18.0.3 | 10.0.1.2 | 172.17.0.1", "1.web": "172.18.0.2 | 10.0.1.3 | none", "db.st": "172.18.0.8 | none | none",
		}},
	} {
		d := inSwarm(containertest.Manager, false, nil)
		if c.thief != nil {
			d.apply([]container.Change{{ID: c.thief.ID, Container: c.thief}})
		}
		for name, want := range c.want {
			var got []string
			for _, from := range []string{fromHost, "172.18.0.50", "172.17.0.9"} {
				answer := strings.Fields(dig(t, d, from, name+".docker.", dns.TypeA))
				slices.Sort(answer)
				got = append(got, strings.Join(answer, " "))
			}
			if got := strings.Join(got, " | "); got != want {
				t.Errorf("%s: %s is %s, want %s", c.what, name, got, want)
			}
		}
	}
}

// TestSwarmDocumented keeps the manual's table of who is given what: it has a row for each service, and a column for each asker.
func TestSwarmDocumented(t *testing.T) {
	manual := readFile(t, "../../docs/swarm.md")
	word := func(ip string) string {
		addr := netip.MustParseAddr(ip)
		vip := slices.ContainsFunc(containertest.Services(), func(s *container.Service) bool { return slices.Contains(s.VIPs(), addr) })
		switch {
		case vip:
			return "virtual"
		case ip == containertest.ManagerAddr, ip == containertest.WorkerAddr:
			return "nodes"
		case strings.HasSuffix(ip, ".0.1"):
			return "gateway"
		case strings.HasPrefix(ip, "172.18."):
			return "bridge"
		default:
			return "tasks"
		}
	}
	for _, name := range []string{"web", "tasks.web", "3.web", "rr", "glob", "hostmode", "hostnet", "onlyport", "st_db", "db.st"} {
		row := []string{"", "`" + name + "`"}
		for _, from := range []string{fromHost, "172.18.0.52", "172.17.0.9", fromLAN} {
			for _, node := range []string{containertest.Manager, containertest.Worker} {
				var words []string
				for ip := range strings.FieldsSeq(dig(t, inSwarm(node, false, nil), from, name+".docker.", dns.TypeA)) {
					if w := "–"; ip == "none" {
						words = append(words, w)
					} else if w = word(ip); !slices.Contains(words, w) {
						words = append(words, w)
					}
				}
				row = append(row, strings.Join(words, ", "))
				if from == fromLAN { // to whom both are alike
					break
				}
			}
		}
		if want := strings.TrimSpace(strings.Join(append(row, ""), " | ")); !strings.Contains(manual, want) {
			t.Errorf("the manual lacks the row %s", want)
		}
	}
}

// TestSwarmMetrics counts services and tasks, with a Swarm and without.
func TestSwarmMetrics(t *testing.T) {
	count := func() string {
		families, err := prometheus.DefaultGatherer.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, f := range families {
			if name, ours := strings.CutPrefix(f.GetName(), "coredns_docker_"); ours && (name == "services" || name == "tasks") {
				all = append(all, fmt.Sprint(name, " ", f.GetMetric()[0].GetGauge().GetValue()))
			}
		}
		return strings.Join(all, ", ")
	}
	running := func(d *Docker) func() {
		instancesMu.Lock()
		defer instancesMu.Unlock()
		before := active
		active = []*Docker{d}
		return func() {
			instancesMu.Lock()
			defer instancesMu.Unlock()
			active = before
		}
	}
	stop := running(emptyDocker(nil))
	if got, want := count(), "services 0, tasks 0"; got != want {
		t.Errorf("without a Swarm: %s, want %s", got, want)
	}
	stop()
	defer running(inSwarm(containertest.Manager, false, nil))()
	if got, want := count(), "services 8, tasks 14"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
