package dockerdiscovery

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

// TestSwarmPorts has SRV records lead to ports that go with the addresses that their targets have for who asks.
func TestSwarmPorts(t *testing.T) {
	d := inSwarm(containertest.Manager, false, nil)
	const m, w = containertest.ManagerAddr, containertest.WorkerAddr
	for _, c := range []struct{ from, name, want string }{ // the records, and the addresses of their targets
		{fromLAN, "_http._tcp.web", "8080 web " + m + " " + w},
		{fromHost, "_http._tcp.web", "80 1.web 172.18.0.2, 80 2.web 172.18.0.3"},
		{"172.18.0.50", "_http._tcp.web", "80 web 10.0.1.2"},
		{"172.17.0.9", "_http._tcp.web", "8080 web 172.17.0.1"},
		{"172.18.0.50", "_http._tcp.tasks.web", "80 1.web 10.0.1.3, 80 2.web 10.0.1.4, 80 3.web 10.0.1.5"},
		{fromLAN, "_http._tcp.tasks.web", ""},
		{fromLAN, "_http._tcp.hostmode", "8091 " + containertest.Manager + ".hostmode " + m + ", 8091 " + containertest.Worker + ".hostmode " + w},
		{fromHost, "_http._tcp.hostmode", "80 " + containertest.Manager + ".hostmode 172.18.0.6"},
		{"172.18.0.50", "_http._tcp.hostmode", "8091 " + containertest.Manager + ".hostmode 172.18.0.1"},
		{fromHost, "_http._tcp.onlyport", "8090 onlyport 172.17.0.1"},
		{fromLAN, "_http._tcp.app.st", "8095 st_app " + m + " " + w},
		{fromLAN, "_http._tcp.glob", "NXDOMAIN"},
	} {
		rec := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: c.from})
		if _, err := d.ServeDNS(t.Context(), rec, new(dns.Msg).SetQuestion(c.name+".docker.", dns.TypeSRV)); err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, rr := range rec.Msg.Answer {
			srv := rr.(*dns.SRV)
			addrs := []string{dns.Field(srv, 3), strings.TrimSuffix(srv.Target, ".docker.")}
			for _, extra := range rec.Msg.Extra {
				if a, ok := extra.(*dns.A); ok && a.Hdr.Name == srv.Target {
					addrs = append(addrs, a.A.String())
				}
			}
			slices.Sort(addrs[2:])
			all = append(all, strings.Join(addrs, " "))
		}
		slices.Sort(all)
		got := strings.Join(all, ", ")
		if rec.Msg.Rcode != dns.RcodeSuccess {
			got = dns.RcodeToString[rec.Msg.Rcode]
		}
		if got != c.want {
			t.Errorf("%s asks for %s: %s, want %s", c.from, c.name, got, c.want)
		}
	}
	for ip, want := range map[string]string{"10.0.1.2": "web.docker.", "10.0.1.3": "1.web.docker.", "10.0.1.5": "3.web.docker.", "172.18.0.2": "1.web.docker."} {
		name, err := dns.ReverseAddr(ip)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, d, fromHost, name, want)
	}
}

// TestSwarmIsolate has isolation hide services that share no network with the container that asks.
func TestSwarmIsolate(t *testing.T) {
	d := inSwarm(containertest.Manager, false, func(c *config) { c.zone.Isolate = true })
	for name, want := range map[string]string{
		"web.docker.": "10.0.1.2", "2.web.docker.": "10.0.1.4", "frontend.docker.": "10.0.1.2", "glob.docker.": "NXDOMAIN", "tasks.glob.docker.": "NXDOMAIN",
		"onlyport.docker.": "NXDOMAIN", "hostnet.docker.": "NXDOMAIN", "db.st.docker.": "NXDOMAIN", "database.docker.": "NXDOMAIN",
	} {
		expect(t, d, "172.18.0.50", name, want)
	}
}

// TestSwarmRoot has names of two labels be for the host and the service's networks alone in zone ".".
func TestSwarmRoot(t *testing.T) {
	d := inSwarm(containertest.Manager, false, func(c *config) { c.zone.Zones = []string{"."} })
	for _, c := range []struct{ from, name, want string }{
		{fromHost, "web.", "172.18.0.2 172.18.0.3"}, {"172.18.0.50", "web.", "10.0.1.2"},
		{fromHost, "1.web.", "172.18.0.2"}, {"172.18.0.50", "1.web.", "10.0.1.3"}, {"172.17.0.9", "1.web.", "NXDOMAIN"}, {fromLAN, "1.web.", "NXDOMAIN"},
		{fromHost, "db.st.", "172.18.0.8"}, {"172.18.0.50", "db.st.", "NXDOMAIN"}, {"172.17.0.9", "db.st.", "NXDOMAIN"}, {fromLAN, "app.st.", "NXDOMAIN"},
		{fromHost, "tasks.db.st.", "NXDOMAIN"},
	} {
		expect(t, d, c.from, c.name, c.want)
	}
}

// TestSwarmExplained has a cause for each way in which a service has no address for who asks, and says what to do.
func TestSwarmExplained(t *testing.T) {
	idle := func(d *Docker) {
		for _, s := range containertest.Services() {
			s.Tasks = nil
			d.catalog.Swarm().Apply([]container.ServiceChange{{ID: s.ID, Service: s}})
		}
	}
	for _, c := range []struct {
		what       string
		config     func(*config)
		change     func(*Docker)
		from, name string
		cause      status.Cause
		says       []string // in the summary or the cure
	}{
		{"it answers", nil, nil, "", "web", status.Answered, nil},
		{"no task", nil, idle, "", "web", status.NoTask, []string{"no task of service web runs and is healthy, of 3", "docker service ps --no-trunc web"}},
		{"no task of a global one", nil, idle, "172.18.0.50", "glob", status.NoTask, []string{"service glob"}},
		{"no task, by a task's name", nil, idle, "", "tasks.rr", status.NoTask, []string{"service rr", "of 2"}},
		{"no task, for who is elsewhere", nil, idle, "lan", "rr", status.NoTask, []string{"service rr"}},
		{"no network of the asker", nil, nil, "172.18.0.50", "db.st", status.OtherNetwork, []string{"service st_db shares no network with container att", "docker network connect st_back att"}},
		{"no network of the asker, to round robin", nil, nil, "172.18.0.51", "rr", status.OtherNetwork, []string{"task rr.", "docker network connect ov front"}},
		{"hidden", func(c *config) { c.zone.Isolate = true }, nil, "172.18.0.50", "glob", status.Isolated, []string{"service glob"}},
		{"no port", nil, nil, "lan", "db.st", status.NotPublished, []string{"service st_db publishes no port", "docker service update --publish-add 80:80 st_db", "write publish"}},
		{"not to publish", func(c *config) { c.publish = false }, nil, "lan", "web", status.PublishOff, []string{"service web's ports are published, but the Corefile has no publish"}},
		{"not to publish, by nodes", func(c *config) { c.publish = false }, nil, "lan", "hostmode", status.PublishOff, []string{"task hostmode.", "no publish"}},
		{"a task is on another host", nil, nil, "", "3.web", status.NotReachable, []string{"task web.3 does not run on the asker's host"}},
		{"the service's tasks are on another host", nil, func(d *Docker) {
			s := containertest.Services()[1]
			s.Tasks = s.Tasks[:1]
			d.catalog.Swarm().Apply([]container.ServiceChange{{ID: s.ID, Service: s}})
		}, "", "rr", status.NotReachable, []string{"task rr.1"}},
		{"a worker can't know", nil, func(d *Docker) {
			s := containertest.Services()[2]
			s.Partial = true
			d.catalog.Swarm().Apply([]container.ServiceChange{{ID: s.ID, Service: s}})
		}, "lan", "glob", status.NotPublished, []string{"service glob is known from a worker alone", "a manager"}},
		{"the manager is away", nil, func(d *Docker) {
			d.catalog.Swarm().Current(container.SwarmState{Swarm: "s", Since: time.Now()})
		}, "172.18.0.50", "web", status.HostAway, []string{"no manager of the Swarm can be asked", "its last state answers", "docker node ls"}},
		{"a container has the name", nil, func(d *Docker) {
			d.set(facts("web", "bridge=172.17.0.66"))
		}, "", "web", status.Answered, nil},
		{"no such slot", nil, nil, "", "4.web", status.NoSuchName, nil},
		{"the source does not count", func(c *config) { c.sources = c.sources[:1] }, nil, "", "web", status.SourceOff, []string{"service web", "add swarm to names"}},
		{"left out", nil, func(d *Docker) {
			s := containertest.Services()[0]
			s.Labels = map[string]string{"coredns.dockerdiscovery.enable": "false"}
			d.catalog.Swarm().Apply([]container.ServiceChange{{ID: s.ID, Service: s}})
		}, "", "web", status.LeftOutByLabel, []string{"service web is left out"}},
	} {
		d := inSwarm(containertest.Manager, false, c.config)
		if c.change != nil {
			c.change(d)
		}
		q := status.Question{Name: c.name + ".docker", From: c.from}
		x, err := d.Explain(q)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := x.Text(&b); err != nil {
			t.Fatal(err)
		}
		if x.Cause != c.cause {
			t.Errorf("%s: the cause is %s, want %s:\n%s", c.what, x.Cause, c.cause, b.String())
		}
		for _, says := range c.says {
			if !strings.Contains(strings.ToLower(b.String()), strings.ToLower(says)) {
				t.Errorf("%s: it does not say %q:\n%s", c.what, says, b.String())
			}
		}
		sameAsServed(t, d, q, x)
		checkExplanation(t, q, x)
	}
}

// TestSwarmListed has services stand among the containers, with their names and with who answers.
func TestSwarmListed(t *testing.T) {
	d := inSwarm(containertest.Manager, false, nil)
	idle := containertest.Services()[1]
	idle.Tasks = nil
	d.catalog.Swarm().Apply([]container.ServiceChange{{ID: idle.ID, Service: idle}})
	s := status.New(func() []status.Block { return []status.Block{d} }, nil)
	for _, c := range []struct {
		path, accept string
		want         []string
	}{
		{"/containers?q=service-web", "text/plain", []string{"service-web", "swarm", "3 of 3 tasks", "10.0.1.2", "web.docker."}},
		{"/containers?q=service-rr", "application/json", []string{`"kind":"service"`, `"state":"0 of 2 tasks"`}},
		{"/containers/web", "text/plain", []string{"Service:", "web", "3 of 3 tasks", "web.docker.        answers", "ov 10.0.1.2"}},
		{"/containers/rr", "text/plain", []string{"no task of service rr runs and is healthy, of 2 that it is to have"}},
		{"/names?q=tasks.web", "text/plain", []string{"web.1, web.2, web.3", "A 172.18.0.2"}},
		{"/?q=service-web", "text/html", []string{"3 of 3 tasks", "state good", "172.18.0.2"}},
		{"/?q=service-rr", "text/html", []string{"0 of 2 tasks", "state warn", "no task of service rr"}},
		{"/containers/service-web", "text/html", []string{"3 of 3 tasks", "answers"}},
	} {
		r := httptest.NewRequest("GET", c.path, nil)
		r.Host = "localhost:9180"
		r.Header.Set("Accept", c.accept)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		for _, want := range c.want {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s as %s lacks %q:\n%s", c.path, c.accept, want, w.Body)
			}
		}
	}
}

// TestSwarmExtendedErrors says to the host why a service has no address: by each of its names.
func TestSwarmExtendedErrors(t *testing.T) {
	d := inSwarm(containertest.Manager, false, nil)
	for _, s := range containertest.Services() {
		s.Tasks = nil
		d.catalog.Swarm().Apply([]container.ServiceChange{{ID: s.ID, Service: s}})
	}
	for _, name := range []string{"web", "tasks.web", "rr", "tasks.rr", "2.db.st", "hostnet"} {
		rec := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: fromHost})
		if _, err := d.ServeDNS(t.Context(), rec, new(dns.Msg).SetQuestion(name+".docker.", dns.TypeA).SetEdns0(1232, false)); err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, o := range rec.Msg.IsEdns0().Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				texts = append(texts, e.ExtraText)
			}
		}
		if got := strings.Join(texts, "; "); !strings.HasPrefix(got, "no task of service ") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
