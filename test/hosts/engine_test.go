package hosts

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// patience is how long a thing may take that must come.
const patience = time.Minute

// engine is a host's.
type engine struct {
	netns  string // the name
	socket string
	pid    func() int
	start  func()      // again, after its end
	own    *rig.Engine // if it is of the machine's programs
}

// Docker before 27 has a firewall for IPv6 by these flags alone.
var ip6tables = []string{"--experimental", "--ip6tables"}

// startEngine starts an engine that lasts until the test's end: the machine's, with the flags, or one that test/engines/engine
// has.
func startEngine(t *testing.T, host, name string, flags ...string) engine {
	t.Helper()
	if name == "" {
		e := theRun.NewEngine(t, host, append(flags, ip6tables...)...)
		e.Start(patience)
		return engine{e.Netns, e.Socket(), func() int { return e.Dockerd.Pid() }, func() { e.Start(patience) }, e}
	}
	const instance = "hosts"
	engineScript := func(verb string) {
		t.Helper()
		cmd := exec.Command("../engines/engine", verb, name)
		// The label marks the process as the run's.
		flags := append(ip6tables, "--label", "folder="+theRun.Folder+"/")
		cmd.Env = append(os.Environ(), "ENGINE_INSTANCE="+instance, "ENGINE_FLAGS="+strings.Join(flags, " "))
		if out, err := rig.Output(cmd); err != nil {
			t.Fatalf("engine %s %s: %v: %s", verb, name, err, out)
		}
	}
	engineScript("stop") // what an earlier run that was killed has left
	t.Cleanup(func() { engineScript("stop") })
	engineScript("start")
	dir := "/run/engines/" + name + "-" + instance
	return engine{"engine-" + name + "-" + instance, dir + "/engine.sock", func() int {
		text, _ := os.ReadFile(dir + "/pid")
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return pid
	}, func() { engineScript("start") }, nil}
}

func (e engine) output(args ...string) (string, error) {
	return rig.Docker(append([]string{"--host", "unix://" + e.socket}, args...)...)
}

// do runs a docker command that must work.
func (e engine) do(t *testing.T, args ...string) string {
	t.Helper()
	out, err := e.output(args...)
	if err != nil {
		t.Fatalf("docker %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// runs reports whether the engine's process runs, as one that is killed or stopped does not.
func (e engine) runs() bool {
	stat, err := os.ReadFile(fmt.Sprint("/proc/", e.pid(), "/stat"))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "T") && !strings.HasPrefix(state, "Z")
}
