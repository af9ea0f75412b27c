package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// project is a Compose project of three services.
type project struct {
	t        *testing.T
	command  []string // docker compose or docker-compose
	name     string
	web      string // the service that is scaled
	services []string
}

// newProject makes a project. The lines are more of what its web service is.
func newProject(t *testing.T, lines ...string) *project {
	t.Helper()
	p := &project{t: t, command: rig.Compose(), name: "shop" + suffix(), web: "web" + suffix()}
	p.services = []string{p.web, "api" + suffix(), "db" + suffix()}
	file := &strings.Builder{}
	fmt.Fprintln(file, "services:")
	for _, service := range p.services {
		fmt.Fprintf(file, "  %s:\n    image: %s\n", service, image)
		if service == p.web {
			for _, line := range lines {
				fmt.Fprintf(file, "    %s\n", line)
			}
		}
	}
	fmt.Fprintf(file, "networks:\n  default:\n    labels:\n      %s: %q\n", rig.Mark, theRun.ID)
	path := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.WriteFile(path, []byte(file.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	p.command = append(p.command, "-p", p.name, "-f", path)
	return p
}

func (p *project) do(args ...string) {
	p.t.Helper()
	if out, err := p.try(args...); err != nil {
		p.t.Fatalf("%s %s: %v\n%s", strings.Join(p.command, " "), strings.Join(args, " "), err, out)
	}
}

func (p *project) try(args ...string) (out string, err error) {
	said, err := exec.Command(p.command[0], slices.Concat(p.command[1:], args)...).CombinedOutput()
	return string(said), err
}

// containers returns what inspect says of a service's containers.
func (p *project) containers(service string) (found []inspection) {
	p.t.Helper()
	for _, id := range strings.Fields(machine.do(p.t, "ps", "-q", "--no-trunc",
		"--filter", "label=com.docker.compose.project="+p.name,
		"--filter", "label=com.docker.compose.service="+service)) {
		found = append(found, machine.inspect(p.t, id))
	}
	return found
}

func TestCompose(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Body: "docker " + zones})
	p := newProject(t)
	t.Cleanup(func() { p.do("down", "--timeout", "1") })
	p.do("up", "-d", "--scale", p.web+"=3")

	for _, service := range p.services {
		s.answersService(p, service)
	}
	s.check(p.name+".docker.", dns.TypeA, nodata) // an empty non-terminal
	for _, scale := range []int{1, 3} {
		p.do("up", "-d", "--scale", fmt.Sprintf("%s=%d", p.web, scale))
		if n := len(p.containers(p.web)); n != scale {
			t.Fatalf("%d containers after scaling to %d", n, scale)
		}
		s.answersService(p, p.web)
	}
}

// answersService checks all names of a service and of its containers.
func (s *server) answersService(p *project, service string) {
	s.t.Helper()
	var all []string
	for _, c := range p.containers(service) {
		eventually(s.t, func() error { return s.agrees(c) })
		addrs, _ := c.addrs()
		all = append(all, addrs...)
		s.check(strings.ReplaceAll(c.name(), "_", "-")+".docker.", dns.TypeA, addrs...)
	}
	for _, name := range []string{
		service + "." + p.name,
		service, // its alias on the project's network
		service + "." + p.name + "_default",
		service + "." + p.name + "-default",
	} {
		s.soon(name+".docker.", dns.TypeA, all...)
	}
}

// Compose v2 names containers with hyphens and marks them with the same labels.
func TestComposeV2Names(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Body: "docker " + zones})
	project := "shop" + suffix()
	var addrs []string
	for _, number := range []string{"1", "2"} {
		name := project + "-web-" + number
		id := machine.run(t, "--name", name,
			"--label", "com.docker.compose.project="+project, "--label", "com.docker.compose.service=web")
		addrs = append(addrs, machine.addr(t, id))
		s.soon(name+".docker.", dns.TypeA, machine.addr(t, id))
	}
	s.soon("web."+project+".docker.", dns.TypeA, addrs...)
}

// newNetworked is a project of which a service, api, chooses one of its networks, which is not called as usual,
// and another, web, is left out.
func newNetworked(t *testing.T, db, front, back string) *project {
	t.Helper()
	p := newProject(t)
	file := fmt.Sprintf("services:\n  %s:\n    image: %s\n    networks: [%s, %s]\n", db, image, front, back)
	file += fmt.Sprintf("  api:\n    image: %s\n    networks: [%s, %s]\n    labels:\n      coredns.dockerdiscovery.network: %s\n", image, front, back, back)
	file += fmt.Sprintf("  web:\n    image: %s\n    networks: [%s]\n    labels:\n      coredns.dockerdiscovery.enable: \"no\"\n", image, back)
	mark := fmt.Sprintf("    labels:\n      %s: %q\n", rig.Mark, theRun.ID)
	file += fmt.Sprintf("networks:\n  %s:\n%s  %s:\n%s", front, mark, back, mark)
	if p.command[0] == "docker" { // Compose 1 labels such a network with this name, and nothing tells the other
		file += "    name: net-" + suffix() + "\n"
	}
	if err := os.WriteFile(p.command[len(p.command)-1], []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.do("down", "--timeout", "1") })
	return p
}

// network returns the full name of one of the project's networks.
func (p *project) network(short string) string {
	p.t.Helper()
	return machine.do(p.t, "network", "ls", "--format", "{{.Name}}",
		"--filter", "label=com.docker.compose.project="+p.name, "--filter", "label=com.docker.compose.network="+short)
}

// The names that networks have in Compose files do for them: in the label and the Corefile, and after aliases.
func TestComposeNetworks(t *testing.T) {
	t.Parallel()
	db, front, back := "db"+suffix(), "front"+suffix(), "back"+suffix()
	s := serve(t, config{IP: machine.gateway(t, machine.servedNetwork(t)).String(), Port: 53, Body: "docker " + zones})
	chosen := serve(t, config{Body: "docker " + zones + " {\nnetwork " + back + "\n}"})
	name := db + "." + back + ".docker."

	addrs, askers := map[*project]string{}, map[*project]inspection{}
	first, second := newNetworked(t, db, front, back), newNetworked(t, db, front, back)
	for _, p := range []*project{first, second} {
		p.do("up", "-d")
		c, api, web := p.containers(db)[0], p.containers("api")[0], p.containers("web")[0]
		addrs[p], askers[p] = onNetwork(t, c.ID, p.network(back)), web
		s.check(api.name()+".docker.", dns.TypeA, onNetwork(t, api.ID, p.network(back)))
		s.check(db+"."+p.network(back)+".docker.", dns.TypeA, addrs[p])
		s.check(web.name()+".docker.", dns.TypeA, nxdomain)
		chosen.check(c.name()+".docker.", dns.TypeA, addrs[p])
		if p == first {
			s.check(name, dns.TypeA, addrs[p])
			s.check(db+"."+front+".docker.", dns.TypeA, onNetwork(t, c.ID, p.network(front)))
		}
	}
	s.check(name, dns.TypeA, nodata) // which of the two?
	for p, asker := range askers {
		if got := s.inside(t, asker.ID).ask(t, name, dns.TypeA); got != addrs[p] { // it has no name
			t.Errorf("%s asks for %s: %s, want %s", asker.name(), name, got, addrs[p])
		}
	}

	// Compose is known by its labels, however the network is called: for the label counts who is of its project.
	labelled, other := machine.network(t, "--label", "com.docker.compose.project=by-hand", "--label", "com.docker.compose.network="+back), machine.network(t)
	for _, project := range []string{"by-hand", "another"} {
		id := machine.run(t, "--network", labelled, "--label", "com.docker.compose.project="+project, "--label", "coredns.dockerdiscovery.network="+back)
		machine.do(t, "network", "connect", other, id)
		want := []string{onNetwork(t, id, labelled)}
		chosen.soon(id[:12]+".docker.", dns.TypeA, want...)
		if project != "by-hand" {
			want = append(want, onNetwork(t, id, other))
		}
		s.soon(id[:12]+".docker.", dns.TypeA, want...)
	}
}
