package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Of a Swarm's services members find each other, and nobody who is not there.
func TestReportsOfSwarms(t *testing.T) {
	gateway := inSwarm(t)
	over, lan := overlay(t), newLAN(t)
	s := serve(t, config{IP: gateway, Also: lan.Host.String(),
		Body: "docker " + zones + " {\nendpoint unix://" + machineSocket(t) + " nas " + lan.Host.String() + "\nswarm\npublish\n}"})
	service := func(name string, options ...string) {
		t.Helper()
		args := slices.Concat([]string{"service", "create", "-q", "-d", "--no-resolve-image", "--stop-grace-period", "0s", "--network", over, "--name", name}, options, []string{image})
		machine.do(t, args...)
		t.Cleanup(func() { machine.output("service", "rm", name) })
	}
	// tasks are the addresses of a service's tasks that run, at least so many.
	tasks := func(name string, n int) (addrs []string) {
		t.Helper()
		within(t, 3*patience, func() error {
			addrs = nil
			for _, id := range strings.Fields(machine.do(t, "ps", "-q", "--no-trunc", "--filter", "label=com.docker.swarm.service.name="+name)) {
				at, err := machine.output("inspect", "-f", "{{with index .NetworkSettings.Networks "+strconv.Quote(over)+"}}{{.IPAddress}}{{end}}", id)
				if err == nil && at != "" { // one that has ended may have gone since
					addrs = append(addrs, at)
				}
			}
			if len(addrs) != n {
				return fmt.Errorf("%d tasks of %s run, want %d", len(addrs), name, n)
			}
			return nil
		})
		return addrs
	}
	vip := func(name string) string {
		t.Helper()
		id := machine.do(t, "network", "inspect", "-f", "{{.ID}}", over)
		addr, _, _ := strings.Cut(machine.do(t, "service", "inspect", "-f", `{{range .Endpoint.VirtualIPs}}{{if eq .NetworkID "`+id+`"}}{{.Addr}}{{end}}{{end}}`, name), "/")
		return addr
	}
	seed, node, mq, named := "seed-"+suffix(), "node-"+suffix(), "mq-"+suffix(), "apache-"+suffix()
	service(seed)
	service(node, "--replicas", "2")
	service(mq, "--replicas", "3", "-p", "15672")
	service(named, "--hostname", named) // the host name is the service's
	asker := machine.run(t, "--network", over)
	is := func(who, name string, want ...string) {
		t.Helper()
		slices.Sort(want)
		within(t, 3*patience, func() error {
			got := ""
			switch who {
			case "lan":
				got = lan.ask(t, s, name, dns.TypeA)
			default:
				got = s.from(t, asker, name, dns.TypeA)
			}
			if got != strings.Join(want, " ") {
				return fmt.Errorf("%s asks for %s: %s, want %v", who, name, got, want)
			}
			return nil
		})
	}
	is("asker", "tasks."+seed+".docker.", tasks(seed, 1)...)
	is("asker", "tasks."+node+".docker.", tasks(node, 2)...)
	is("asker", "tasks."+mq+".docker.", tasks(mq, 3)...)
	is("asker", mq+".docker.", vip(mq))
	is("lan", mq+".docker.", lan.Host.String())
	tasks(named, 1)
	is("asker", named+".docker.", vip(named))

	// Until its health check has said well, a task is none that serves, as for Docker's own resolver: members that need each other for
	// that have it switched off, or host names of their own.
	member := "member-" + suffix()
	service(member, "--hostname", member+"-{{.Task.Slot}}", "--health-cmd", "false", "--health-interval", "1s", "--health-start-period", "1h")
	starts := tasks(member, 1)
	is("asker", "tasks."+member+".docker.", nodata)
	is("asker", member+"-1.docker.", starts...)

	machine.do(t, "service", "rm", seed) // it has done its work
	machine.do(t, "service", "scale", "-d", node+"=3", mq+"=1")
	is("asker", "tasks."+seed+".docker.", nxdomain)
	is("asker", "tasks."+node+".docker.", tasks(node, 3)...)
	is("asker", "tasks."+mq+".docker.", tasks(mq, 1)...)
}
