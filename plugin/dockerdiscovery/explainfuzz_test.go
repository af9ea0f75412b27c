package dockerdiscovery

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming/dialect"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

// FuzzExplain has somebody ask for a name where random containers run on one or two hosts, and compares what the explanation has for
// an answer with what is served. The octets are what is chosen.
func FuzzExplain(f *testing.F) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 16))
		data := make([]byte, 400)
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newScene(draw(data))
		for range 8 {
			q := w.question()
			x, err := w.Explain(q)
			if err != nil {
				if !w.mayFail(q) {
					t.Fatalf("%+v: %v", q, err)
				}
				continue
			}
			sameAsServed(t, w.Docker, q, x)
			checkExplanation(t, q, x)
		}
		if t.Failed() {
			t.Logf("%s", w)
		}
	})
}

// checkExplanation checks what each explanation has to be.
func checkExplanation(t *testing.T, q status.Question, x *status.Explanation) {
	t.Helper()
	var b strings.Builder
	if err := x.Text(&b); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(b.String(), func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }) {
		t.Errorf("%+v: the text has what is not to be printed: %q", q, b.String())
	}
	if len(x.Short()) > 120 || strings.Contains(x.Short(), "\n") {
		t.Errorf("%+v: in short: %q", q, x.Short())
	}
	if has := x.Answer != nil && len(x.Answer.Answer) > 0 && x.Answer.Rcode == dns.RcodeSuccess; !has && (x.Cause == status.Answered || x.Cause == "") && x.Outcome != 1 {
		t.Errorf("%+v: the cause is %q:\n%s", q, x.Cause, b.String())
	} else if x.Cause != status.Answered && x.Short() == "" {
		t.Errorf("%+v: nothing is said of %s", q, x.Cause)
	}
	if text, err := json.Marshal(x); err != nil || strings.Contains(string(text), "null,") && x.Answer != nil {
		t.Errorf("%+v: %v in JSON: %s", q, err, text)
	}
}

// draw is what there is to choose by. When nothing is left it chooses the first of all.
type draw []byte

func (d *draw) intN(n int) int {
	if len(*d) == 0 {
		return 0
	}
	b := (*d)[0]
	*d = (*d)[1:]
	return int(b) % n
}

func (d *draw) one(in int) bool { return d.intN(in) == in-1 }

func (d *draw) of(all ...string) string { return all[d.intN(len(all))] }

// scene is a plugin with random containers.
type scene struct {
	*Docker
	draw draw
	all  []*container.Container
}

func newScene(data draw) *scene {
	w := &scene{draw: data}
	several := w.draw.one(2)
	w.Docker = unreconciledDocker(func(c *config) { w.configure(c, several) })
	w.arrivalWait = 0
	w.explaining = newAllowance(time.Hour, time.Hour) // none is left out
	if w.draw.one(2) {
		w.Next = plugin.HandlerFunc(next)
	}
	networks := containertest.Host()
	for _, n := range []container.Network{
		{Name: "over", Driver: "overlay", Spans: true, Reach4: container.OffHost},
		{Name: "closed", Driver: "bridge", Outbound: container.NoWayOut},
		{Name: "apart", Driver: "bridge", Reach4: container.Unshared},
	} {
		subnet := netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", len(networks.Networks)))
		n.ID, n.Subnets, n.Gateways = n.Name, []netip.Prefix{subnet}, []netip.Addr{subnet.Addr().Next()}
		if n.Spans {
			n.Gateways = nil
		}
		networks.Networks = append(networks.Networks, n)
	}
	w.hear(networks)
	if several {
		w.hosts[1].id = "box"
		far := w.sink(w.hosts[1])
		networks.Peer = netip.MustParseAddr("203.0.113.5")
		far.askers.EngineAt([]netip.Addr{networks.Peer})
		far.Host(networks)
	}
	for i := range 1 + w.draw.intN(6) {
		w.add(i, w.hosts[w.draw.intN(len(w.hosts))])
	}
	if w.draw.one(3) {
		w.addSwarm()
	}
	for _, h := range w.hosts {
		if !w.draw.one(6) {
			w.sink(h).Synced()
			w.sink(h).Current(!w.draw.one(5), time.Now())
		}
	}
	return w
}

func (w *scene) configure(c *config, several bool) {
	if several {
		c.endpoints = []endpoint{{name: "nas"}, {name: "box"}}
	}
	c.labelPrefix = naming.DefaultLabelPrefix
	c.publish, c.zone.Isolate, c.optIn, c.routed = w.draw.one(2), w.draw.one(4), w.draw.one(6), w.draw.one(8)
	c.zone.Zones = [][]string{{"docker.", "10.in-addr.arpa."}, {"docker.", "sub.docker."}, {"."}, {".", "docker."}}[w.draw.intN(4)]
	if w.draw.one(4) {
		c.forwarders = []netip.Prefix{netip.MustParsePrefix(w.draw.of("10.1.0.2/32", "127.0.0.0/8", "198.51.100.0/24"))}
	}
	if w.draw.one(4) {
		c.health = naming.RequireHealth
	}
	if w.draw.one(4) {
		c.filters = &naming.Filters{}
		if err := c.filters.Add(w.draw.of("name=^[aw]", "network=a", "label!=com.docker.compose.project", "project=shop", "label=none")); err != nil {
			panic(err)
		}
	}
	if w.draw.one(2) {
		allowing("192.0.2.0/24", "2001:db8::/32")(c)
	}
	if w.draw.one(4) {
		c.sources = []naming.Source{naming.Container, naming.Alias}
	}
	if w.draw.one(4) {
		c.fall.SetZonesFromArgs(nil)
	}
	if w.draw.one(4) {
		c.hold = 0
	}
	if w.draw.one(3) {
		c.tools.Read = []dialect.Tool{dialect.Traefik, dialect.OrbStack}
		c.tools.Proxies = []string{w.draw.of("caddy", "web", "shop.a"), "web.shop"}
		if w.draw.one(3) {
			c.tools.Addrs = []netip.Addr{netip.MustParseAddr("192.0.2.80")}
		}
	}
}

// word is one of few, so that names meet.
func (w *scene) word() string { return w.draw.of("a", "web", "db", "a_b", "w\x1bx", "caddy", "sub") }

// add adds a container of the host that runs, or ran, or was created, or can't be read.
func (w *scene) add(i int, h *watchedHost) {
	var addrs []string
	for n, network := range []string{"a", "b", "c", "lan", "over", "closed", "apart"} {
		switch prefix := fmt.Sprintf("10.%d.0.", n+1); {
		case !w.draw.one(3):
		case network == "lan":
			addrs = append(addrs, fmt.Sprintf("lan=192.0.2.%d", i+10))
		case n > 3:
			addrs = append(addrs, fmt.Sprintf("%s=10.%d.0.%d", network, n, i+2))
		default:
			addrs = append(addrs, fmt.Sprintf("%s=%s%d", network, prefix, i+2))
		}
	}
	c := facts(fmt.Sprint(w.draw.of("web", "caddy", "x"), i), strings.Join(addrs, " "))
	c.ID = fmt.Sprintf("%x", 0xc0ffee00+i) + c.ID[8:]
	c.Name, c.Hostname = w.word(), w.word()
	if w.draw.one(2) {
		c.Name += fmt.Sprint(i)
	}
	c.Created = time.Unix(int64(w.draw.intN(4)), 0)
	for e := range c.Endpoints {
		if w.draw.one(2) {
			c.Endpoints[e].Aliases = []string{w.word()}
		}
	}
	if len(c.Endpoints) == 0 {
		c.NetworkMode = w.draw.of("host", "none", "container:"+w.word())
	}
	c.Labels = map[string]string{}
	if w.draw.one(2) {
		c.Labels["com.docker.compose.project"], c.Labels["com.docker.compose.service"] = w.draw.of("shop", "a"), w.word()
	}
	if w.draw.one(3) {
		c.Labels["coredns.dockerdiscovery.enable"] = w.draw.of("true", "false", "ture")
	}
	if w.draw.one(3) {
		c.Labels["coredns.dockerdiscovery.host"] = w.draw.of("www", "db.web", "*.web", "w.example.org.", "a\u202eb", w.word())
	}
	if w.draw.one(3) {
		c.Labels["coredns.dockerdiscovery.records"] = w.draw.of("TXT hello", "c CNAME web.docker.", "c CNAME example.org.", "c CNAME c.web.docker.", "A 192.0.2.99", "SRV 0 0 80 web.docker.", "TXT \"open")
	}
	switch w.draw.intN(8) {
	case 5:
		c.Labels["coredns.dockerdiscovery.wildcard"] = "true"
	case 6:
		c.Labels["coredns.dockerdiscovery.cname"] = w.draw.of("example.org", "web", "db.docker", "nope", "a\u202eb")
	case 7:
		c.Labels["coredns.dockerdiscovery.address"] = w.draw.of("192.0.2.80", "192.0.2.80, 2001:db8::80", "198.51.100.80")
	}
	if w.draw.one(3) {
		c.Labels["traefik.http.routers.x.rule"] = "Host(`" + w.draw.of("www", "db.web", "*.web", "x.web", w.word()) + w.draw.of(".docker", ".sub.docker", "", ".example.org") + "`)"
	}
	if w.draw.one(6) {
		c.Labels["dev.orbstack.domains"] = w.draw.of("www.docker", "x.web.docker, *.web.docker")
	}
	c.Health = container.Health(w.draw.intN(4))
	c.Paused, c.Stopping = w.draw.one(6), w.draw.one(6)
	if w.draw.one(2) {
		c.Ports = published(w.draw.of("0.0.0.0:80", "192.0.2.1:8080", "[::]:80"))
	}
	w.all = append(w.all, c)
	changes := []container.Change{{ID: c.ID, Container: c}}
	switch w.draw.intN(10) {
	case 0:
		changes = append(changes, container.Change{ID: c.ID})
	case 1:
		changes = []container.Change{{ID: c.ID, Created: c, Since: time.Now()}}
	case 2:
		changes = []container.Change{{ID: c.ID, Unread: fmt.Errorf("it is\x1b broken"), Name: c.Name}}
	}
	w.sink(h).Apply(changes)
}

// addSwarm adds services, some of whose tasks are containers that there are.
func (w *scene) addSwarm() {
	s := w.catalog.Swarm()
	nodes := containertest.Nodes(w.hosts[len(w.hosts)-1].id, "")
	nodes[0].Ready, nodes[1].Ready = !w.draw.one(4), !w.draw.one(4)
	s.Nodes(nodes)
	for i := range 1 + w.draw.intN(3) {
		service := &container.Service{Swarm: "s", ID: fmt.Sprint("service", i), Name: w.word(), Replicas: w.draw.intN(3), RoundRobin: w.draw.one(3), Partial: w.draw.one(6)}
		if w.draw.one(3) {
			service.Stack = w.draw.of("shop", "a")
			service.Name = service.Stack + "_" + service.Name
		}
		if !w.draw.one(4) {
			on := container.ServiceNetwork{ID: "over", Name: "over", Aliases: []string{w.word()}}
			if !service.RoundRobin {
				on.VIPs = []netip.Addr{netip.AddrFrom4([4]byte{10, 4, 1, byte(i)})}
			}
			service.Networks = append(service.Networks, on)
		}
		if w.draw.one(2) {
			service.Ports = []container.ServicePort{{Number: 80, Proto: "tcp", Published: 8080, Mesh: !service.RoundRobin}}
		}
		if w.draw.one(4) {
			service.Labels = map[string]string{"coredns.dockerdiscovery." + w.draw.of("host", "enable", "records", "cname", "address", "wildcard"): w.draw.of("www", "false", "@ TXT hello", "example.org", "192.0.2.80", "true")}
		} else if w.draw.one(3) {
			service.Labels = map[string]string{"traefik.http.routers.x.rule": "Host(`www.docker`)"}
		}
		for n := range w.draw.intN(3) {
			task := container.Task{ID: fmt.Sprint("task", i, n), Slot: n + 1, Node: nodes[w.draw.intN(2)].ID, HostNetwork: w.draw.one(6)}
			if w.draw.one(2) {
				task.Container = w.all[w.draw.intN(len(w.all))].ID
			}
			if !task.HostNetwork {
				task.Connections = []container.TaskConnection{{Network: "over", Addrs: []netip.Addr{netip.AddrFrom4([4]byte{10, 4, 2, byte(10*i + n)})}}}
			}
			service.Tasks = append(service.Tasks, task)
		}
		s.Apply([]container.ServiceChange{{ID: service.ID, Service: service}})
	}
	if !w.draw.one(6) {
		s.Synced()
		s.Current(container.SwarmState{Swarm: "s", Current: !w.draw.one(5), Since: time.Now()})
	}
}

// question asks for a name that is somebody's, or like one, from anywhere.
func (w *scene) question() status.Question {
	c := w.all[w.draw.intN(len(w.all))]
	label := w.draw.of(c.Name, c.Hostname, c.Labels["com.docker.compose.service"]+"."+c.Labels["com.docker.compose.project"], c.ShortID(), "www", "tasks.web", "1.web", "web.shop", "tasks.a.shop", "shop_db", "db.web", "x.web", "c.web", "c."+c.Name, "_80._tcp."+c.Name, "nas", "web.nas", "cady", "nope", "")
	name := strings.TrimPrefix(label+w.draw.of(".docker.", ".docker.", ".docker", ".", ".sub.docker.", ".docker.loc"), ".")
	if w.draw.one(12) {
		name = w.draw.of("10.1.0.2", "10.2.0.3", "192.0.2.10", "docker", ".", "ns.dns.docker", "2.0.1.10.in-addr.arpa.")
	}
	return status.Question{
		Name: name,
		Type: []uint16{dns.TypeA, dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeSRV, dns.TypeANY, dns.TypeSOA, dns.TypeCNAME}[w.draw.intN(9)],
		From: w.draw.of("", "host", "lan", "nas", "box", c.ID, c.Name, "10.1.0.2", "10.2.0.3", "10.1.0.99", "10.3.0.99", "192.0.2.1", "192.0.2.10", "198.51.100.9", "10.1.0.1", "203.0.113.5", "2001:db8::1"),
	}
}

// mayFail reports whether the question may be wrong: nobody, or more than one, is so called, or does not run.
func (w *scene) mayFail(q status.Question) bool {
	return q.From == "nas" || q.From == "box" || q.Name == "" || strings.HasPrefix(q.Name, ".") || strings.Contains(q.Name, "..") ||
		slices.ContainsFunc(w.all, func(c *container.Container) bool { return q.From == c.ID || q.From == c.Name })
}

func (w *scene) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "zones %v, %d hosts, publish %t, isolate %t, opt_in %t, forwarders %v, health %s, sources %v, fallthrough %v\n", w.config.zone.Zones, len(w.hosts), w.config.publish,
		w.config.zone.Isolate, w.config.optIn, w.config.forwarders, w.config.health, w.config.sources, w.config.fall)
	for _, c := range w.all {
		fmt.Fprintf(&b, "%+v\n", c)
	}
	return b.String()
}
