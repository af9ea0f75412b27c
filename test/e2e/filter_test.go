package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestFilters compares who has names with whom docker ps lists by the same filters, while containers change.
func TestFilters(t *testing.T) {
	t.Parallel()
	front, back, mark := machine.network(t), machine.network(t), "mark-"+suffix()
	run := func(name string, options ...string) string {
		name += "-" + suffix()
		machine.run(t, append([]string{"--name", name, "--label", mark}, options...)...)
		return name
	}
	all := []string{
		run("web", "--network", front, "--label", "env=prod"), run("webb", "--network", back, "--label", "env=test"), run("db", "--network", front, "--label", "env"),
		run("node", "--network", "host"), run("alone", "--network", "none", "--label", "env=prod", "--label", "tier=a=b"),
	}
	type filtered struct {
		filters []string
		*server
	}
	var servers []filtered
	lists := [][]string{
		{"label=env"}, {"label=env=prod"}, {"label=env", "label=tier=a=b"}, {"name=^/web"}, {"name=" + all[0] + "$", "name=db"}, {"network=" + front, "network=" + back},
		{"network=" + front[1:]}, {"label=env", "network=" + back, "name=web", "name=db"},
	}
	if podman {
		t.Log("not compared: network=host and network=none, by which Podman's docker ps lists nothing")
	} else {
		lists = append(lists, []string{"network=host", "network=none"})
	}
	for _, filters := range lists {
		filters = append(filters, "label="+mark)
		s := serve(t, config{Body: "docker " + zones + " {\n filter " + strings.Join(filters, " ") + "\n}"})
		servers = append(servers, filtered{filters, s})
	}
	compare := func(when string) {
		t.Helper()
		for _, s := range servers {
			args := []string{"ps", "--format", "{{.Names}}"}
			for _, f := range s.filters {
				args = append(args, "--filter", f)
			}
			listed := strings.Fields(machine.do(t, args...))
			eventually(t, func() error {
				for _, name := range all {
					has := outcome(s.ask(name+".docker.", dns.TypeA)) != nxdomain
					if has != slices.Contains(listed, name) {
						return fmt.Errorf("%s, by %q: %s has names: %t, and docker ps lists %q", when, s.filters, name, has, listed)
					}
				}
				return nil
			})
		}
	}
	compare("at the start")
	machine.do(t, "network", "disconnect", front, all[0])
	compare("without its network")
	machine.do(t, "network", "connect", back, all[0])
	machine.do(t, "network", "connect", front, all[1])
	compare("on others")
	renamed := "web-renamed-" + suffix()
	machine.do(t, "rename", all[2], renamed)
	all = append(all, renamed)
	compare("called otherwise")
}
