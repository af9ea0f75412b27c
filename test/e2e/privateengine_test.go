package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// privateEngine is an engine of a test's own, to be ended and started as it likes. It
// shares neither data nor containerd with the machine's, and its bridges and firewall
// rules are in a network namespace of its own: where an engine is not told to use the
// bridge docker0, it removes that.
type privateEngine struct {
	docker
	t       *testing.T
	dir     string
	netns   string
	pool    string   // of its networks' addresses, no other engine's of the run
	flags   []string // dockerd's, beside what all have
	dockerd *rig.Process
}

var engines atomic.Int32 // how many the run has had

// newEngine lays out an engine that is not running yet.
func newEngine(t *testing.T) *privateEngine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: can't run a Docker Engine of the test's own")
	}
	for _, program := range []string{"dockerd", "containerd", "ip", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("can't run a Docker Engine of the test's own: %v", err)
		}
	}
	number := engines.Add(1)
	e := &privateEngine{t: t, dir: filepath.Join(folder, fmt.Sprintf("engine-%d", number)), netns: theRun.Netns(fmt.Sprint(number))}
	e.flags = []string{"--live-restore"} // containers outlive it
	e.pool = fmt.Sprintf("base=198.18.%d.0/20,size=24", number%16*16)
	e.host = "unix://" + e.socket()
	for file, content := range map[string]string{
		"containerd.toml": fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
			e.path("containerd"), e.path("containerd-run"), e.path("containerd.sock")),
		"daemon.json": `{"features": {"containerd-snapshotter": false}}`, // and nothing of the machine's
	} {
		os.MkdirAll(e.dir, 0o755)
		if err := os.WriteFile(e.path(file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(e.remove)
	if out, err := exec.Command("ip", "netns", "add", e.netns).CombinedOutput(); err != nil {
		t.Fatalf("ip netns add: %v: %s", err, out)
	}
	e.spawn("containerd.log", "containerd", "--config", e.path("containerd.toml"))
	return e
}

func (e *privateEngine) path(file string) string { return filepath.Join(e.dir, file) }
func (e *privateEngine) socket() string          { return e.path("docker.sock") }

// spawn starts a process that appends what it says to a file: through a pipe of ours, the containers' shims would keep it
// from ending. It is not killed with the tests, but asked to end, as the reaper does.
func (e *privateEngine) spawn(log string, command ...string) *rig.Process {
	e.t.Helper()
	out, err := os.OpenFile(e.path(log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		e.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	p, err := rig.Start(cmd)
	if err != nil {
		e.t.Fatal(err)
	}
	return p
}

// start starts the engine and waits until it answers.
func (e *privateEngine) start() {
	e.t.Helper()
	e.dockerd = e.spawn("dockerd.log", append([]string{"nsenter", "--net=/run/netns/" + e.netns, "dockerd", "--config-file", e.path("daemon.json"),
		"--host", e.host, "--pidfile", e.path("docker.pid"), "--containerd", e.path("containerd.sock"),
		"--data-root", e.path("data"), "--exec-root", e.path("run"), "--storage-driver", "vfs",
		"--bridge", "none", "--iptables=false", "--ip6tables=false", "--default-address-pool", e.pool}, e.flags...)...)
	eventually(e.t, func() error {
		if err := e.dockerd.Alive(); err != nil {
			log, _ := os.ReadFile(e.path("dockerd.log"))
			e.t.Fatalf("%v%s", err, log)
		}
		if out, err := e.output("version"); err != nil {
			return errors.New(out)
		}
		return nil
	})
}

// populate gives the engine our image and a network, whose name it returns. The machine gets the host's address on the
// network, as if the engine were not in a network namespace of its own: that is how an engine is known to be on this machine.
func (e *privateEngine) populate() (network string) {
	e.t.Helper()
	network = e.populateElsewhere()
	gateway := e.gateway(e.t, network).String() + "/32"
	if out, err := exec.Command("ip", "addr", "add", gateway, "dev", "lo").CombinedOutput(); err != nil {
		e.t.Fatalf("ip addr add %s: %v: %s", gateway, err, out)
	}
	e.t.Cleanup(func() { exec.Command("ip", "addr", "del", gateway, "dev", "lo").Run() })
	return network
}

// populateElsewhere is populate for an engine whose networks are not this machine's.
func (e *privateEngine) populateElsewhere() (network string) {
	e.t.Helper()
	if err := e.importImage(filepath.Join(folder, "image.tar")); err != nil {
		e.t.Fatal(err)
	}
	return e.network(e.t)
}

// end ends the engine by a signal. Its containers run on, if the flags say so.
func (e *privateEngine) end(sig os.Signal) {
	e.t.Helper()
	e.dockerd.Signal(sig) // fails where it has ended
	<-e.dockerd.Exited
}

func (e *privateEngine) remove() {
	if e.dockerd != nil {
		if ids, err := e.output("ps", "-aq"); err == nil && ids != "" {
			e.output(append([]string{"rm", "-f"}, strings.Fields(ids)...)...)
		}
		e.end(syscall.SIGTERM)
	}
	rig.EndProcesses(e.dir)
	rig.UnmountUnder(e.dir)
	rig.RemoveNetns(e.netns)
	if err := os.RemoveAll(e.dir); err != nil {
		e.t.Error(err)
	}
}
