package e2e

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// askers ask a server from several places.
type askers map[string]*dns.Conn

// ask returns the whole answers, but for the zones' serials, to all questions from everywhere.
func (a askers) ask(t *testing.T, names []string) map[string]string {
	t.Helper()
	answers := map[string]string{}
	client := &dns.Client{Timeout: 5 * time.Second}
	for who, conn := range a {
		for _, name := range names {
			for _, qtype := range []uint16{dns.TypeA, dns.TypeTXT, dns.TypeSRV} {
				q := fmt.Sprintf("%s asks for %s %s", who, name, dns.TypeToString[qtype])
				m, _, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion(name, qtype), conn)
				if err != nil {
					t.Fatalf("%s: %v", q, err)
				}
				m.Id = 0
				for _, rr := range m.Ns {
					if soa, ok := rr.(*dns.SOA); ok {
						soa.Serial = 0
					}
				}
				answers[q] = m.String()
			}
		}
	}
	return answers
}

// same checks that the answers are as before.
func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for q := range want {
		if got[q] != want[q] {
			t.Errorf("%s: %s:\n%s\nbefore:\n%s", what, q, got[q], want[q])
		}
	}
}

// newAskers connects to the server from the host, from the containers and from the LAN, where the server has an address.
func newAskers(t *testing.T, s *server, lan lan, containers map[string]string) askers {
	t.Helper()
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	all := askers{}
	add := func(who string, conn net.Conn, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		all[who] = &dns.Conn{Conn: conn}
	}
	conn, err := dialFrom(t, "", "udp", s.Addr)
	add("the host", conn, err)
	conn, err = dialIn(t, filepath.Join("/run/netns", lan.Netns), "udp", net.JoinHostPort(lan.Host.String(), port))
	add("the LAN", conn, err)
	for who, id := range containers {
		s.knows(t, id)
		conn, err := dialFrom(t, id, "udp", s.Addr)
		add(who, conn, err)
	}
	return all
}

// lose checks that so many names more are lost and skipped, and that the log tells once that the container does not get each.
func (s *server) lose(t *testing.T, what, container string, before float64, names []string) {
	t.Helper()
	eventually(t, func() error {
		if got, err := s.refused(); err != nil || got != before+float64(len(names)) {
			return fmt.Errorf("%s: %v claims are lost or skipped, want %v; %v", what, got, before+float64(len(names)), err)
		}
		return nil
	})
	for _, name := range names {
		told := fmt.Sprintf("Container %s does not get the name %s: ", container, name)
		if strings.Contains(name, " ") {
			told = fmt.Sprintf("Container %s: skipped %s: ", container, name)
		}
		eventually(t, func() error { // it is logged after it is counted
			if len(s.Log.Lines(told)) == 0 {
				return fmt.Errorf("%s: the log has no line with %q", what, told)
			}
			return nil
		})
		if n := len(s.Log.Lines(told)); n != 1 {
			t.Errorf("%s: the log has %d lines with %q, want 1", what, n, told)
		}
	}
}

// refused is the number of claims that are lost or skipped.
func (s *server) refused() (float64, error) {
	lost, err := s.Metric("coredns_docker_lost_claims")
	if err != nil {
		return 0, err
	}
	skipped, err := s.Metric("coredns_docker_skipped_names")
	return lost + skipped, err
}

// Whoever claims what is others' has it all to himself: everybody else gets what there was before. Not parallel: the metrics
// count the whole engine.
func TestThefts(t *testing.T) {
	lan := newLAN(t)
	near, far, traefik, own := machine.servedNetwork(t), machine.network(t), machine.network(t), machine.network(t)
	us := machine.gateway(t, near).String()
	s := serve(t, config{IP: us, Port: 53, Also: lan.Host.String(), Body: "docker " + zones + " sub.docker. {\npublish\nrouted\nhold 1m\n}\ncache"})
	n := suffix()
	shop, gitea, web, rabbit, db := "shop"+n, "gitea"+n, "web"+n, "rabbit_"+n, "db"+n
	twin := strings.ReplaceAll(rabbit, "_", "-")
	ids := map[string]string{
		"web":    machine.run(t, "--network", near, "--name", web, "-p", "80", "--label", "coredns.dockerdiscovery.records=@ TXT web"),
		"rabbit": machine.run(t, "--network", near, "--name", rabbit, "--expose", "5672"),
		"gitea":  machine.run(t, "--network", near, "--name", gitea),
		"db":     machine.run(t, append(ofProject(gitea, "db", near), "--network-alias", db, "--hostname", db)...),
		"shop":   machine.run(t, append(ofProject(shop, "web", near), "--expose", "80")...),
		"shopdb": machine.run(t, append(ofProject(shop, "db", traefik), "--network-alias", db, "--hostname", db)...),
		"proxy":  machine.run(t, "--network", traefik, "--name", traefik),
		"whoami": machine.run(t, "--network", traefik, "--network-alias", "whoami"),
	}
	stranger, plain := machine.run(t, "--network", far), machine.run(t, "--network", near)
	for _, id := range ids {
		s.soon(id[:12]+".docker.", dns.TypeA, machine.addr(t, id))
	}
	from := newAskers(t, s, lan, map[string]string{
		"a member of project shop": ids["shop"], "a member of project gitea": ids["db"], "who is on traefik": ids["whoami"],
		"a neighbour": plain, "a stranger": stranger,
	})
	var names []string
	for _, name := range []string{
		web, rabbit, twin, gitea, traefik, db, ids["web"][:12], "db." + gitea, "web." + shop, "db." + shop, "whoami." + traefik,
		"_http._tcp." + web, "_http._tcp.web." + shop, "_sip._tcp." + web, "_sip._tcp." + twin, "api." + web, "x." + web, "sip." + web, "b.c." + web, "c." + web,
		"x." + twin, "x." + gitea, "x." + ids["web"][:12], web + ".sub", "api." + web + ".sub", "nope." + shop, "nope." + n,
	} {
		names = append(names, name+".docker.")
	}
	for _, who := range []string{"web", "db", "shop", "whoami"} {
		names = append(names, reverse(t, machine.addr(t, ids[who])))
	}
	label := func(key, value string) []string {
		return []string{"--label", "coredns.dockerdiscovery." + key + "=" + value}
	}
	both := func(name string) []string { return []string{name + ".docker.", name + ".sub.docker."} }
	thefts := []struct {
		what    string
		options []string
		lost    []string
		network string // its own if empty
	}{
		{"--name of a project", []string{"--name", shop}, nil, ""},
		{"--name of a service", []string{"--name", "web." + shop}, both("web." + shop), ""},
		{"--hostname of a service", []string{"--hostname", "web." + shop}, both("web." + shop), ""},
		{"--hostname of a service, near", []string{"--hostname", "web." + shop}, both("web." + shop), near},
		{"--hostname of a service beside its container", []string{"--hostname", "db." + gitea}, both("db." + gitea), ""},
		{"--hostname of an alias", []string{"--hostname", "whoami." + traefik}, both("whoami." + traefik), ""},
		{"--hostname of a container", []string{"--hostname", web}, both(web), ""},
		{".host below a container", label("host", "api."+web), both("api." + web), ""},
		{".host below a container, near", label("host", "api."+web), both("api." + web), near},
		{".host in the inner zone", label("host", "api."+web+".sub.docker."), both("api." + web)[1:], ""},
		{".host is a wildcard", label("host", "*."+web), both("*." + web), ""},
		{".host is a wildcard, near", label("host", "*."+web), both("*." + web), near},
		{".host far below", label("host", "a.b.c."+web), both("a.b.c." + web), near},
		{".host below a twin", label("host", "x."+twin+".docker"), both("x." + twin)[:1], ""},
		{".host below an ID", label("host", "x."+ids["web"][:12]+".docker"), both("x." + ids["web"][:12])[:1], ""},
		{".records below a container", label("records", "sip."+web+".docker. A 192.0.2.66"), both("sip." + web)[:1], ""},
		{".records at a container", label("records", web+".docker. A 192.0.2.66\n"+gitea+".docker. TXT stolen"), []string{web + ".docker.", gitea + ".docker."}, ""},
		{".records at a service", label("records", "web."+shop+".docker. CNAME x.docker."), both("web." + shop)[:1], ""},
		{".records of a port", label("records", "_sip._tcp."+web+".docker. SRV 0 0 1 x.docker.\n_http._tcp."+web+".docker. SRV 0 0 1 x.docker."),
			[]string{"_sip._tcp." + web + ".docker.", "_http._tcp." + web + ".docker."}, ""},
		{"an alias below a container", []string{"--network-alias", "api." + web}, both("api." + web), ""},
		{"--hostname of two projects'", append(ofProject("third"+n, "db", own), "--hostname", db), nil, own},
	}
	before, err := s.refused()
	if err != nil {
		t.Fatal(err)
	}
	want := from.ask(t, names)
	for _, theft := range thefts {
		network := theft.network
		if network == "" {
			network = own
		}
		options := theft.options
		if !slices.Contains(options, "--network") {
			options = append(options, "--network", network)
		}
		id := machine.run(t, options...)
		c := machine.inspect(t, id)
		s.soon(c.shortID()+".docker.", dns.TypeA, machine.addr(t, id))
		s.lose(t, theft.what, c.name(), before, theft.lost)
		name := c.name() + ".docker."
		if strings.Contains(c.name(), ".") { // it is nobody's alone, and lost
			name = c.shortID() + ".docker."
		}
		s.check(reverse(t, machine.addr(t, id)), dns.TypePTR, name)
		same(t, theft.what, from.ask(t, names), want)
		machine.do(t, "rm", "-f", id)
		eventually(t, func() error { return s.wantsNone(c.shortID()+".docker.", dns.TypeA) })
		s.lose(t, theft.what+", is gone", c.name(), before, nil)
	}
	same(t, "they are gone", from.ask(t, names), want)
}

// What a claim has lost it does not get while the owner of the name restarts, nor by having been there first, but when nobody has
// the better right any more.
func TestTheftAwaits(t *testing.T) {
	t.Parallel()
	near, far, own := machine.servedNetwork(t), machine.network(t), machine.network(t)
	us := machine.gateway(t, near).String()
	s := serve(t, config{IP: us, Port: 53, Body: "docker " + zones + " {\nrouted\nhold 6s\n}\ncache"})
	n := suffix()
	web, shop := "web"+n, "shop"+n
	thief := machine.run(t, "--network", own, "--hostname", "db."+shop, "--label", "coredns.dockerdiscovery.host=api."+web+", "+web)
	not := machine.addr(t, thief)
	for _, name := range []string{"db." + shop, "api." + web, web} { // nobody else has them yet
		s.soon(name+".docker.", dns.TypeA, not)
	}
	owner := machine.run(t, "--network", near, "--name", web)
	db := machine.run(t, ofProject(shop, "db", near)...)
	member, stranger := machine.run(t, ofProject(shop, "app", near)...), machine.run(t, "--network", far)
	addr, dbAddr := machine.addr(t, owner), machine.addr(t, db)
	s.soon(web+".docker.", dns.TypeA, addr)
	s.soon("db."+shop+".docker.", dns.TypeA, dbAddr)
	s.soon("api."+web+".docker.", dns.TypeA, nxdomain)

	var polls []*poll
	for who, id := range map[string]string{"the host": "", "a member": member, "a stranger": stranger} {
		for _, name := range []string{"db." + shop, "api." + web, web} {
			polls = append(polls, s.poll(t, who, id, name+".docker."))
		}
	}
	check := func(what string, want map[string][]string) {
		t.Helper()
		for _, p := range polls {
			p.only(t, what, want[strings.TrimSuffix(p.name, ".docker.")]...)
		}
	}
	machine.do(t, "restart", "-t", "1", owner)
	machine.do(t, "restart", "-t", "1", db)
	again, dbAgain := machine.addr(t, owner), machine.addr(t, db)
	s.soon(web+".docker.", dns.TypeA, again)
	s.soon("db."+shop+".docker.", dns.TypeA, dbAgain)
	check("restart", map[string][]string{web: {addr, again, nodata}, "db." + shop: {dbAddr, dbAgain, nodata}, "api." + web: {nxdomain}})
	machine.do(t, "pause", owner)
	check("pause", map[string][]string{web: {again}, "db." + shop: {dbAgain}, "api." + web: {nxdomain}})
	machine.do(t, "unpause", owner)
	machine.do(t, "rm", "-f", owner)
	s.soon(web+".docker.", dns.TypeA, not)
	s.soon("api."+web+".docker.", dns.TypeA, not)
	machine.do(t, "rm", "-f", db) // of Compose, which may be about to make it anew
	s.soon("db."+shop+".docker.", dns.TypeA, nodata)
	s.soon("db."+shop+".docker.", dns.TypeA, not)
	check("rm", map[string][]string{web: {again, nodata, not}, "db." + shop: {dbAgain, nodata, not}, "api." + web: {nxdomain, nodata, not}})
	anew := machine.addr(t, machine.run(t, "--network", near, "--name", web))
	s.soon(web+".docker.", dns.TypeA, anew)
	s.soon("api."+web+".docker.", dns.TypeA, nxdomain)
}

// In zone . nobody loses a name of the Internet to a container. Not parallel: the metrics count the whole engine.
func TestRootZoneThefts(t *testing.T) {
	up, lan := startUpstream(t), newLAN(t)
	near, far, own := machine.servedNetwork(t), machine.network(t), machine.network(t)
	us := machine.gateway(t, near).String()
	s := serve(t, config{IP: us, Port: 53, Also: lan.Host.String(), Body: "docker . {\nrouted\n}\nforward . " + up.addr})
	n := suffix()
	web, shop := "web"+n, "shop"+n
	owner := machine.run(t, "--network", near, "--name", web, "--expose", "80")
	db := machine.run(t, ofProject(shop, "db", near)...)
	member, stranger := machine.run(t, ofProject(shop, "app", near)...), machine.run(t, "--network", far)
	s.soon(web, dns.TypeA, machine.addr(t, owner))
	s.soon("db."+shop, dns.TypeA, machine.addr(t, db))
	from := newAskers(t, s, lan, map[string]string{"a member": member, "a stranger": stranger})
	names := []string{
		"example.org.", "mail.example.org.", "github.com.", "www.github.com.", "x.com.", "localhost.", "x.org.", ".",
		web + ".", "api." + web + ".", "x." + web + ".", "_http._tcp." + web + ".", "_sip._tcp." + web + ".", "db." + shop + ".", "nope." + shop + ".",
	}
	label := func(key, value string) []string {
		return []string{"--label", "coredns.dockerdiscovery." + key + "=" + value}
	}
	before, err := s.refused()
	if err != nil {
		t.Fatal(err)
	}
	want := from.ask(t, names)
	for _, theft := range []struct {
		what    string
		options []string
		lost    string // as the log has it
	}{
		{"--name of the Internet's", []string{"--name", "github.com"}, `container name "github.com"`},
		{"--name of everybody's", []string{"--name", "localhost"}, `container name "localhost"`},
		{"--hostname of the Internet's", []string{"--hostname", "mail.example.org"}, `hostname name "mail.example.org"`},
		{"--hostname of a service", []string{"--hostname", "db." + shop}, `hostname name "db.` + shop + `"`},
		{".host", label("host", "example.org"), `label name "example.org"`},
		{".host is a wildcard", label("host", "*.com"), `label name "*.com"`},
		{".host is a wildcard below a container", label("host", "*."+web), `label name "*.` + web + `"`},
		{"an alias", []string{"--network-alias", "example.org"}, `alias name "example.org"`},
		{".records of the Internet's", label("records", "example.org. A 192.0.2.66"), `label records "example.org. A"`},
		{".records of a port", label("records", "_sip._tcp."+web+". SRV 0 0 1 x."), "_sip._tcp." + web + "."},
	} {
		id := machine.run(t, append(theft.options, "--network", own)...)
		c := machine.inspect(t, id)
		s.soon(c.shortID(), dns.TypeA, machine.addr(t, id))
		s.lose(t, theft.what, c.name(), before, []string{theft.lost})
		same(t, theft.what, from.ask(t, names), want)
		machine.do(t, "rm", "-f", id)
		s.lose(t, theft.what+", is gone", c.name(), before, nil)
	}
}
