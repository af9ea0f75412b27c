package clusters

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// patience is how long a cluster may take to come to what is waited for: a server's start takes its time on a machine with much else to do.
const patience = 3 * time.Minute

// project is the Compose project of all clusters in the manual.
const project = "app"

// cluster is one of the manual's.
type cluster struct {
	section string // of the manual
	image   func() (string, error)

	// The nodes of these services are asked who is there. Those of all services are.
	ask []string
	// list is the command by which a node is asked, and found finds nodes' host names or addresses in what it says.
	list  string
	found func(said string) []string

	// lost is who is killed: a service, and a number of its containers.
	lost, number string

	// Clients ask for the name and connect to the port. Such a client is on the network.
	name    string
	port    int
	network string
}

var clusters = []cluster{
	{
		section: "NATS", image: programs("nats-server"),
		// It tells of the routes to the others.
		ask: []string{"nats"}, list: `wget -q -O - http://127.0.0.1:8222/routez && echo "\"ip\": \"$(hostname -i)\""`, found: inText(`"ip": "([^"]+)"`),
		lost: "nats", number: "2", name: "nats.app.docker", port: 4222, network: project + "_default",
	},
	{
		section: "memberlist", image: gossip,
		ask: []string{"gossip"}, list: "wget -q -O - http://127.0.0.1:8080/members", found: inText(`(?m)^(.+)$`),
		lost: "gossip", number: "2", name: "gossip.app.docker", port: 8080, network: project + "_default",
	},
	{
		section: "etcd", image: programs("etcd", "etcdctl"),
		// Each is asked for all whom it knows, and these are asked whether they serve.
		ask: []string{"etcd-1", "etcd-2", "etcd-3", "etcd-4"}, list: "etcdctl endpoint health --cluster 2>&1 || true",
		found: inText(`(?m)^http://(\S+)\.app\.docker:2379 is healthy`),
		lost:  "etcd-2", number: "1", name: "etcd.docker", port: 2379, network: project + "_default",
	},
	{
		section: "Redis", image: programs("redis-server", "redis-sentinel", "redis-cli"),
		// A sentinel tells of the others. Who is down has one more flag, and a replica must follow the master.
		ask: []string{"sentinel"}, list: `for what in master replicas sentinels; do redis-cli -p 26379 --json sentinel $what main; done
			echo "\"ip\":\"$(hostname)\",\"flags\":\"sentinel\""`,
		found: inText(`"ip":"([^".]+)[^{}]*?"flags":"(?:master"|sentinel"|slave"[^{}]*"role-reported":"slave"[^{}]*"master-link-status":"ok")`),
		lost:  "first", number: "1", name: "sentinel.app.docker", port: 26379, network: project + "_default",
	},
	{
		section: "RabbitMQ", image: rabbitMQ,
		ask: []string{"rabbit"}, list: "rabbitmqctl --formatter json cluster_status", found: func(said string) (found []string) {
			var status struct {
				Running []string `json:"running_nodes"`
			}
			// Warnings come first. In what is no status nobody is found.
			json.Unmarshal([]byte(said[max(0, strings.Index(said, "{")):]), &status)
			for _, node := range status.Running {
				found = append(found, inText(`^rabbit@([^.]+)\.docker$`)(node)...)
			}
			return found
		},
		lost: "rabbit", number: "2", name: "rabbit.app.docker", port: 5672, network: "bridge",
	},
}

// inText finds what matches the expression's group.
func inText(expression string) func(string) []string {
	e := regexp.MustCompile(expression)
	return func(said string) (found []string) {
		for _, m := range e.FindAllStringSubmatch(said, -1) {
			found = append(found, m[1])
		}
		return found
	}
}

func TestClusters(t *testing.T) {
	for _, c := range clusters {
		t.Run(c.section, func(t *testing.T) { start(t, c).live() })
	}
}

// running is a cluster that runs.
type running struct {
	cluster
	t      *testing.T
	manual manual
	dir    string
	image  string
	server *rig.Server
	took   []string
}

// start lays out the cluster's folder and serves the manual's Corefile.
func start(t *testing.T, c cluster) *running {
	t.Helper()
	r := &running{cluster: c, t: t, manual: readManual(t, c.section), dir: filepath.Join(theRun.Folder, project+"-"+c.section)}
	if out, err := rig.Docker("ps", "-aq", "--filter", "label=com.docker.compose.project="+project); err != nil || out != "" {
		t.Fatalf("the manual's Compose project is %s, and there is one: %v %s", project, err, out)
	}
	t.Cleanup(r.remove)
	var err error
	if r.image, err = c.image(); err != nil {
		t.Fatal(err)
	}
	docker0, err := rig.Docker0()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer("172.17.0.1", docker0.String())
	for head, text := range r.manual {
		if _, file, ok := strings.Cut(head, " "); ok && !strings.HasPrefix(head, "console") {
			r.write(file, here.Replace(text))
		}
	}
	r.write("run.yaml", r.override())
	r.server, err = rig.Serve(rig.Config{Binary: binary, Dir: r.dir, IP: docker0.String(), Port: 53, Text: here.Replace(r.manual["corefile Corefile"])})
	if err != nil {
		t.Fatal(err)
	}
	r.server.StopAfter(t, 30*time.Second)
	if err := r.server.AwaitReady(patience); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *running) write(file, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, file), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

var service = regexp.MustCompile(`(?m)^  ([a-z0-9-]+):(?: *#.*)?$`)

// override is what the run adds to the manual's Compose file: its image, and its mark on the network.
func (r *running) override() string {
	_, services, _ := strings.Cut(r.manual["yaml compose.yaml"], "services:\n")
	text := "services:\n"
	for _, m := range service.FindAllStringSubmatch(services, -1) {
		text += fmt.Sprintf("  %s:\n    image: %q\n", m[1], r.image)
	}
	return text + fmt.Sprintf("networks:\n  default:\n    labels:\n      %s: %q\n", rig.Mark, theRun.ID)
}

// do runs the manual's commands of that name. A command that fails is tried again, as people do: a cluster that has just come together may
// not be ready for it.
func (r *running) do(name string) {
	r.t.Helper()
	for _, command := range r.manual.commands(r.t, "console "+name) {
		tries := 0
		r.eventually("$ "+command, func() error {
			tries++
			cmd := exec.Command("sh", "-c", rig.ComposeLine(command))
			cmd.Dir, cmd.Env = r.dir, append(os.Environ(), theRun.Environ(), "COMPOSE_PROJECT_NAME="+project, "COMPOSE_FILE=compose.yaml:run.yaml")
			out, err := cmd.CombinedOutput()
			if err == nil || tries > 1 && rig.IsDone(string(out)) {
				return nil
			}
			return fmt.Errorf("%w: %s", err, out)
		})
	}
}

// eventually waits until check holds.
func (r *running) eventually(what string, check func() error) {
	r.t.Helper()
	for begin := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		if err := r.server.Alive(); err != nil {
			r.t.Fatal(err)
		}
		err := check()
		if err == nil {
			return
		}
		if time.Since(begin) > patience {
			r.t.Fatalf("%s: not within %v: %v", what, patience, err)
		}
	}
}

// node is one of the cluster's containers that runs.
type node struct {
	id, service, number, host string
	addr                      netip.Addr
}

// nodes are the containers of the cluster that run.
func (r *running) nodes() (found []node) {
	r.t.Helper()
	ids := strings.Fields(r.docker("ps", "-q", "--filter", "label=com.docker.compose.project="+project))
	for _, id := range ids {
		found = append(found, r.node(id))
	}
	return found
}

func (r *running) node(id string) node {
	r.t.Helper()
	var c []struct {
		Config struct {
			Hostname string
			Labels   map[string]string
		}
		NetworkSettings struct {
			Networks map[string]struct{ IPAddress string }
		}
	}
	if err := json.Unmarshal([]byte(r.docker("inspect", id)), &c); err != nil {
		r.t.Fatal(err)
	}
	n := node{id: id, service: c[0].Config.Labels["com.docker.compose.service"], number: c[0].Config.Labels["com.docker.compose.container-number"], host: c[0].Config.Hostname}
	for _, network := range c[0].NetworkSettings.Networks {
		n.addr, _ = netip.ParseAddr(network.IPAddress)
	}
	return n
}

func (r *running) docker(args ...string) string {
	r.t.Helper()
	out, err := rig.Docker(args...)
	if err != nil {
		r.t.Fatalf("docker %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// agree waits until there are so many nodes, and all who are asked say that it is these who are there.
func (r *running) agree(what string, n int) {
	r.t.Helper()
	begin := time.Now()
	r.eventually(what, func() error { return r.agrees(n) })
	r.took = append(r.took, fmt.Sprintf("%s in %.1f s", what, time.Since(begin).Seconds()))
}

func (r *running) agrees(n int) error {
	r.t.Helper()
	nodes := r.nodes()
	var want []string
	hosts := map[string]string{} // by address
	for _, n := range nodes {
		want = append(want, n.host)
		hosts[n.addr.String()] = n.host
	}
	slices.Sort(want)
	if len(want) != n {
		return fmt.Errorf("%d nodes run, want %d", len(want), n)
	}
	for _, n := range nodes {
		if !slices.Contains(r.ask, n.service) {
			continue
		}
		said, err := rig.Docker("exec", n.id, "sh", "-c", r.list)
		if err != nil {
			return fmt.Errorf("%s %s: %w: %s", n.service, n.number, err, said)
		}
		got := r.found(said)
		for i := range got {
			got[i] = cmp.Or(hosts[got[i]], got[i])
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			return fmt.Errorf("%s %s, which is %s, says that %v are there, and it is %v. All that it says:\n%s", n.service, n.number, n.host, got, want, said)
		}
	}
	return nil
}

// live is the cluster's life.
func (r *running) live() {
	t := r.t
	r.do("first")
	first := r.nodes()
	r.do("forms")
	n := len(r.nodes())
	if n <= len(first) {
		t.Fatalf("%d nodes, and then %d", len(first), n)
	}
	r.agree("formed", n)
	if r.manual["console asks"] != "" {
		r.do("asks")
	}

	c := r.client()
	r.do("grows")
	r.agree("grew", n+1)

	lost := r.find(r.lost, r.number)
	r.docker("kill", lost.id)
	c.died(lost.addr)
	r.agree("lost one", n)
	fillers := r.moveAway(lost)
	r.docker("start", lost.id)
	if now := r.node(lost.id); now.addr == lost.addr {
		t.Fatalf("%s is back at the same address", lost.host)
	}
	r.agree("had it back elsewhere", n+1)

	moved := r.find(r.lost, r.number)
	r.docker("stop", moved.id)
	c.died(moved.addr)
	fillers = append(fillers, r.moveAway(moved)...)
	r.docker("start", moved.id)
	r.agree("had it back after a restart", n+1)
	for _, id := range fillers {
		r.docker("rm", "-f", id)
	}

	before := r.nodes()
	r.do("shrinks")
	for _, gone := range before {
		if !slices.ContainsFunc(r.nodes(), func(n node) bool { return n.id == gone.id }) {
			c.died(gone.addr)
		}
	}
	r.agree("shrank", n)
	if r.manual["console forgets"] != "" {
		r.do("forgets")
		r.agree("forgot the one that has gone", n)
	}
	saw := c.end(t)
	if r.manual["console together"] != "" {
		r.removeNodes()
		r.do("together")
		r.agree("formed at once", n)
	}
	t.Logf("%s: %s; a client: %s", r.section, strings.Join(r.took, ", "), saw)
}

func (r *running) find(service, number string) node {
	r.t.Helper()
	for _, n := range r.nodes() {
		if n.service == service && n.number == number {
			return n
		}
	}
	r.t.Fatalf("no container %s of service %s runs", number, service)
	return node{}
}

// moveAway has others take the address of a node that does not run, so that it gets another one.
func (r *running) moveAway(n node) (fillers []string) {
	r.t.Helper()
	for range 10 {
		id := r.sleeper()
		fillers = append(fillers, id)
		if r.node(id).addr == n.addr {
			break
		}
	}
	return fillers
}

// sleeper starts a container that does nothing on the cluster's network, with our server as its resolver.
func (r *running) sleeper() (id string) {
	r.t.Helper()
	id = r.docker("run", "-d", "--network", r.network, "--dns", r.resolver(), "--entrypoint", "sleep", r.image, "86400")
	r.t.Cleanup(func() { rig.Docker("rm", "-f", id) })
	return id
}

func (r *running) resolver() string {
	host, _, _ := net.SplitHostPort(r.server.Addr)
	return host
}

// client starts a client in a container of its own, which asks as that does.
func (r *running) client() *client {
	r.t.Helper()
	id := r.sleeper()
	resolver := inText(`(?m)^nameserver (\S+)`)(r.docker("exec", id, "cat", "/etc/resolv.conf"))
	if len(resolver) != 1 {
		r.t.Fatalf("a container's resolvers are %v", resolver)
	}
	netns := "/proc/" + r.docker("inspect", "-f", "{{.State.Pid}}", id) + "/ns/net"
	return watch(netns, net.JoinHostPort(resolver[0], "53"), r.name, r.port)
}

// remove removes the cluster.
func (r *running) remove() {
	r.removeNodes()
	if networks, _ := rig.Docker("network", "ls", "-q", "--filter", "label=com.docker.compose.project="+project); networks != "" {
		if out, err := rig.Docker("network", "rm", networks); err != nil {
			r.t.Errorf("docker network rm: %s", out)
		}
	}
}

// removeNodes removes all nodes, and tells what they have said if the test has failed.
func (r *running) removeNodes() {
	ids, _ := rig.Docker("ps", "-aq", "--filter", "label=com.docker.compose.project="+project)
	for _, id := range strings.Fields(ids) {
		if r.t.Failed() {
			said, _ := exec.Command("docker", "logs", "--tail", "40", id).CombinedOutput()
			name, _ := rig.Docker("inspect", "-f", "{{.Name}} {{.Config.Hostname}}", id)
			r.t.Logf("%s said last:\n%s", name, said)
		}
		if out, err := rig.Docker("rm", "-f", "-v", id); err != nil {
			r.t.Errorf("docker rm: %s", out)
		}
	}
}
