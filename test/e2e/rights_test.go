package e2e

import (
	"fmt"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// dialFrom connects from within the container's network, "" is the test's own.
func dialFrom(t *testing.T, id, network, addr string) (net.Conn, error) {
	t.Helper()
	if id == "" {
		return net.DialTimeout(network, addr, patience)
	}
	return dialIn(t, fmt.Sprintf("/proc/%d/ns/net", machine.inspect(t, id).State.Pid), network, addr)
}

// dialIn connects from within the network namespace.
func dialIn(t *testing.T, netns, network, addr string) (net.Conn, error) {
	t.Helper()
	return dialWithin(t, patience, netns, network, addr)
}

// dialWithin is dialIn with the time that it may take.
func dialWithin(t *testing.T, limit time.Duration, netns, network, addr string) (net.Conn, error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: can't ask from another network namespace")
	}
	type dialled struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialled)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine, and nobody else gets its network
		space, err := os.Open(netns)
		if err == nil {
			defer space.Close()
			err = unix.Setns(int(space.Fd()), unix.CLONE_NEWNET)
		}
		if err != nil {
			done <- dialled{nil, err}
			return
		}
		conn, err := net.DialTimeout(network, addr, limit)
		done <- dialled{conn, err}
	}()
	d := <-done
	return d.conn, d.err
}

// poll is one who asks the same all the time.
type poll struct {
	who, name string
	stop      chan struct{}
	done      sync.WaitGroup

	mu   sync.Mutex // guards the following
	seen map[string]int
	sum  int
}

// poll has a container, or the host if there is none, ask for the name's A record each 5 ms until the
// test's end.
func (s *server) poll(t *testing.T, who, id, name string) *poll {
	t.Helper()
	if id != "" {
		s.knows(t, id)
	}
	conn, err := dialFrom(t, id, "udp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	p := &poll{who: who, name: name, stop: make(chan struct{}), seen: map[string]int{}}
	p.done.Go(func() {
		defer conn.Close()
		client := &dns.Client{Timeout: 5 * time.Second}
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			got := ""
			if m, _, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion(name, dns.TypeA), &dns.Conn{Conn: conn}); err != nil {
				got = err.Error()
			} else {
				got = outcome(m)
			}
			p.mu.Lock()
			p.seen[got]++
			p.sum++
			p.mu.Unlock()
			select {
			case <-tick.C:
			case <-p.stop:
				return
			}
		}
	})
	t.Cleanup(func() {
		close(p.stop)
		p.done.Wait()
	})
	return p
}

// take waits for so many more answers, and returns all that there were since it was called last.
func (p *poll) take(t *testing.T, more int) map[string]int {
	t.Helper()
	sum := func() int { p.mu.Lock(); defer p.mu.Unlock(); return p.sum }
	want := sum() + more
	eventually(t, func() error {
		if got := sum(); got < want {
			return fmt.Errorf("%s has %d answers, want %d", p.who, got, want)
		}
		return nil
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = map[string]int{}
	return seen
}

// only checks that all outcomes are among those.
func (p *poll) only(t *testing.T, what string, want ...string) {
	t.Helper()
	seen := p.take(t, 20)
	t.Logf("%s: %s asks for %s: %v", what, p.who, p.name, seen)
	for got := range maps.Keys(seen) {
		if !slices.Contains(want, got) {
			t.Errorf("%s: %s asks for %s and gets %s (of %v), want only %v", what, p.who, p.name, got, seen, want)
		}
	}
}

// ofProject are the options of a container of a Compose project.
func ofProject(project, service, network string) []string {
	return []string{"--label", "com.docker.compose.project=" + project, "--label", "com.docker.compose.service=" + service, "--network", network}
}

// While a project's database is away, nobody gets another project's in its place, neither by an alias nor by a
// host name: not who belongs to it, nor the host, nor a stranger.
func TestOneOfTwoIsAway(t *testing.T) {
	t.Parallel()
	blue, green, other := machine.servedNetwork(t), machine.servedNetwork(t), machine.servedNetwork(t)
	us := machine.gateway(t, blue).String()
	s := serve(t, config{IP: us, Port: 53, Body: "docker " + zones + " {\nhold 1m\n}\ncache"})
	alias, hostname, n := "db-"+suffix(), "dbhost-"+suffix(), suffix()
	db := func(project, network string) string {
		return machine.run(t, append(ofProject(project+n, "db", network), "--network-alias", alias, "--hostname", hostname)...)
	}
	ours, theirs := db("blue", blue), db("green", green)
	addr, not := machine.addr(t, ours), machine.addr(t, theirs)
	app := machine.run(t, ofProject("blue"+n, "app", blue)...)
	plain := machine.run(t, "--network", blue)
	stranger := machine.run(t, "--network", other)
	neighbour := machine.run(t, ofProject("green"+n, "app", green)...)
	s.soon("db.blue"+n+".docker.", dns.TypeA, addr)
	s.soon("db.green"+n+".docker.", dns.TypeA, not)

	var polls []*poll
	for _, name := range []string{alias + ".docker.", hostname + ".docker."} {
		for who, id := range map[string]string{"its app": app, "its neighbour": plain, "the host": "", "a stranger": stranger, "the other's app": neighbour} {
			polls = append(polls, s.poll(t, who, id, name))
		}
	}
	check := func(what string, own ...string) {
		t.Helper()
		for _, p := range polls {
			switch p.who {
			case "its app", "its neighbour":
				p.only(t, what, own...)
			case "the other's app":
				p.only(t, what, not)
			default:
				p.only(t, what, nodata)
			}
		}
	}
	check("both run", addr)
	machine.do(t, "restart", "-t", "1", ours)
	again := machine.addr(t, ours)
	s.soon("db.blue"+n+".docker.", dns.TypeA, again)
	check("restart", addr, nodata, again)
	machine.do(t, "stop", "-t", "1", ours)
	s.soon("db.blue"+n+".docker.", dns.TypeA, nodata)
	check("stop", again, nodata)
	machine.do(t, "start", ours)
	started := machine.addr(t, ours)
	s.soon("db.blue"+n+".docker.", dns.TypeA, started)
	check("start", nodata, started)
	machine.do(t, "rm", "-f", ours)
	check("rm", started, nodata)
}

// A container elsewhere that is named like a project's service does not take the name from the project.
func TestOwnNetworkFirst(t *testing.T) {
	t.Parallel()
	green, blue := machine.servedNetwork(t), machine.servedNetwork(t)
	us := machine.gateway(t, green).String()
	open := serve(t, config{IP: us, Port: 53, Body: "docker " + zones + " {\nhold 1m\n}\ncache"})
	isolated := serve(t, config{IP: us, Body: "docker " + zones + " {\nisolate\nhold 1m\n}\ncache"})
	name, n := "db-"+suffix(), suffix()
	fqdn := name + ".docker."
	theirs := machine.addr(t, machine.run(t, append(ofProject("blue"+n, "x", blue), "--name", name, "--expose", "5432", "--label", "coredns.dockerdiscovery.records=@ TXT theirs")...))
	db := machine.run(t, append(ofProject("green"+n, name, green), "--network-alias", name)...)
	app := machine.run(t, append(ofProject("green"+n, "app", green), "--dns", us)...)
	own := machine.addr(t, db)
	stranger := machine.run(t, "--network", blue)

	open.soon(fqdn, dns.TypeA, theirs) // the host
	open.soon(name+".green"+n+".docker.", dns.TypeA, own)
	isolated.soon(name+".green"+n+".docker.", dns.TypeA, own)
	open.asks(t, app, fqdn, own)
	for _, s := range []*server{open, isolated} {
		for qtype, want := range map[uint16]string{dns.TypeA: own, dns.TypeTXT: nodata} {
			if got := s.from(t, app, fqdn, qtype); got != want {
				t.Errorf("the project's own app: %s: %s, want %s", dns.TypeToString[qtype], got, want)
			}
		}
		if got := s.from(t, stranger, fqdn, dns.TypeA); got != theirs {
			t.Errorf("its namesake's neighbour: %s, want %s", got, theirs)
		}
	}
	if got := open.from(t, app, "_postgresql._tcp."+fqdn, dns.TypeSRV); got != nodata {
		t.Errorf("the namesake's port: %s, want %s", got, nodata)
	}
	polls := []*poll{open.poll(t, "its app", app, fqdn), isolated.poll(t, "its app", app, fqdn)}
	machine.do(t, "restart", "-t", "1", db)
	again := machine.addr(t, db)
	open.soon(name+".green"+n+".docker.", dns.TypeA, again)
	for _, p := range polls {
		p.only(t, "restart", own, nodata, again)
	}
	machine.do(t, "rm", "-f", db)
	for _, p := range polls {
		p.only(t, "rm", again, nodata)
	}
}

// What is called alike by its host name is taken together where it belongs together, and only there.
func TestHostNames(t *testing.T) {
	t.Parallel()
	one, two, none := machine.servedNetwork(t), machine.servedNetwork(t), machine.servedNetwork(t)
	us := machine.gateway(t, one).String()
	s := serve(t, config{IP: us, Port: 53, Body: "docker " + zones + " {\nrouted\n}\ncache"}) // so that strangers are given addresses
	askers := map[string]string{"one": machine.run(t, "--network", one), "two": machine.run(t, "--network", two), "none": machine.run(t, "--network", none)}
	n := suffix()
	for _, c := range []struct {
		what         string
		first, other []string // options
		on           [3]string
		host         string
	}{
		{"of two projects", ofProject("a"+n, "db", one), ofProject("b"+n, "db", two), [3]string{"first", "other", nodata}, nodata},
		{"of one project", ofProject("a"+n, "db", one), ofProject("a"+n, "db", two), [3]string{"first", "other", "both"}, "both"},
		{"of no project, on one network", []string{"--network", one}, []string{"--network", one}, [3]string{"both", "both", "both"}, "both"},
		{"of no project, on two networks", []string{"--network", one}, []string{"--network", two}, [3]string{"first", "other", nodata}, nodata},
		{"of two projects on one network", ofProject("a"+n, "db", one), ofProject("b"+n, "db", one), [3]string{nodata, nodata, nodata}, nodata},
		{"of a one-off", ofProject("a"+n, "db", one), append(ofProject("a"+n, "db", one), "--label", "com.docker.compose.oneoff=True"), [3]string{"first", "first", "first"}, "first"},
	} {
		hostname := "h-" + suffix()
		var ids, addrs []string
		for _, options := range [][]string{c.first, c.other} {
			id := machine.run(t, append(options, "--hostname", hostname)...)
			ids, addrs = append(ids, id), append(addrs, machine.addr(t, id))
			s.soon(id[:12]+".docker.", dns.TypeA, addrs[len(addrs)-1])
		}
		want := map[string]string{nodata: nodata, "first": addrs[0], "other": addrs[1], "both": sorted(addrs...)}
		if got := outcome(s.ask(hostname+".docker.", dns.TypeA)); got != want[c.host] {
			t.Errorf("%s, the host asks: %s, want %s", c.what, got, want[c.host])
		}
		for i, on := range []string{"one", "two", "none"} {
			if got := s.from(t, askers[on], hostname+".docker.", dns.TypeA); got != want[c.on[i]] {
				t.Errorf("%s, who is on %s asks: %s, want %s", c.what, on, got, want[c.on[i]])
			}
		}
		machine.do(t, "rm", "-f", ids[0])
		machine.do(t, "rm", "-f", ids[1])
	}
}

// A container of "compose run" has the host name of the service for which it does not serve.
func TestComposeRun(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Body: "docker " + zones})
	hostname := "rabbit-" + suffix()
	p := newProject(t, "hostname: "+hostname)
	t.Cleanup(func() { p.do("down", "--timeout", "1", "--remove-orphans") })
	p.do("up", "-d", p.web)
	addrs, _ := p.containers(p.web)[0].addrs()
	s.soon(hostname+".docker.", dns.TypeA, addrs...)
	name := "job-" + suffix()
	p.do("run", "-d", "--name", name, p.web)
	t.Cleanup(func() { machine.output("rm", "-f", name) })
	job := machine.inspect(t, name)
	jobAddrs, _ := job.addrs()
	s.soon(name+".docker.", dns.TypeA, jobAddrs...)
	s.check(job.shortID()+".docker.", dns.TypeA, jobAddrs...)
	if job.Config.Hostname != hostname {
		t.Errorf("the one-off has the host name %s", job.Config.Hostname)
	}
	for _, shared := range []string{hostname, p.web + "." + p.name, p.web} {
		s.check(shared+".docker.", dns.TypeA, addrs...)
	}
}
