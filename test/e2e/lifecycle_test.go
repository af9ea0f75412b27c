package e2e

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

// After each thing that can happen to a container, DNS says what docker inspect says.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Body: "docker " + zones})
	name, renamed, other := "a-"+suffix(), "b-"+suffix(), machine.network(t)
	id := machine.run(t, "--name", name)

	for _, step := range []struct {
		what string
		args []string
	}{
		{"start", nil}, // by run
		{"stop", []string{"stop", id}},
		{"start", []string{"start", id}},
		{"kill", []string{"kill", id}},
		{"start", []string{"start", id}},
		{"restart", []string{"restart", id}},
		{"rename", []string{"rename", id, renamed}},
		{"network connect", []string{"network", "connect", other, id}},
		{"network disconnect", []string{"network", "disconnect", other, id}},
		{"disconnect of the last network", []string{"network", "disconnect", "bridge", id}},
		{"network connect", []string{"network", "connect", other, id}},
	} {
		if step.args != nil {
			machine.do(t, step.args...)
		}
		took := eventually(t, func() error { return s.agrees(machine.inspect(t, id)) })
		t.Logf("%s: right at most %v after the command's return (one docker inspect included)", step.what, took.Round(time.Millisecond))
	}
	s.check(name+".docker.", dns.TypeA, nxdomain) // the name before the rename

	last := machine.inspect(t, id)
	machine.do(t, "rm", "-f", id)
	last.State.Running = false
	took := eventually(t, func() error { return s.agrees(last) })
	t.Logf("rm -f: right %v after the command's return", took)
}
