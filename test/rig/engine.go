package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Engine is a Docker Engine of a test's own, to be ended and started as it likes. It shares neither data nor containerd
// with the machine's, and its bridges and firewall rules are in a network namespace of its own: where an engine is not told
// to use the bridge docker0, it removes that.
type Engine struct {
	Netns   string   // the namespace's name
	Flags   []string // dockerd's, beside what all have
	Dockerd *Process // nil before the first start
	t       *testing.T
	dir     string
}

// NewEngine lays out an engine that is not running yet, of the machine's programs. It lasts until the test's end. The test is
// skipped where there can be none. No two of a run have the same name.
func (r Run) NewEngine(t *testing.T, name string, flags ...string) *Engine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: can't run a Docker Engine of the test's own")
	}
	for _, program := range []string{"dockerd", "containerd", "ip", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("can't run a Docker Engine of the test's own: %v", err)
		}
	}
	e := &Engine{Netns: r.Netns(name), Flags: flags, t: t, dir: filepath.Join(r.Folder, "engine-"+name)}
	for file, content := range map[string]string{
		"containerd.toml": fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
			e.Path("containerd"), e.Path("containerd-run"), e.Path("containerd.sock")),
		"daemon.json": `{"features": {"containerd-snapshotter": false}}`, // and nothing of the machine's
	} {
		os.MkdirAll(e.dir, 0o755)
		if err := os.WriteFile(e.Path(file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(e.remove)
	if err := runCommand("ip netns add " + e.Netns); err != nil {
		t.Fatal(err)
	}
	e.spawn("containerd.log", "containerd", "--config", e.Path("containerd.toml"))
	return e
}

// Path is that of a file of the engine's.
func (e *Engine) Path(file string) string { return filepath.Join(e.dir, file) }

// Socket is where the engine listens.
func (e *Engine) Socket() string { return e.Path("docker.sock") }

// Host is the engine as in DOCKER_HOST.
func (e *Engine) Host() string { return "unix://" + e.Socket() }

// Docker runs a docker command, as the function of this name does.
func (e *Engine) Docker(args ...string) (string, error) {
	return Docker(append([]string{"--host", e.Host()}, args...)...)
}

// spawn starts a process that appends what it says to a file: through a pipe of ours, the containers' shims would keep it
// from ending. It is not killed with the tests, but asked to end, as the reaper does.
func (e *Engine) spawn(log string, command ...string) *Process {
	e.t.Helper()
	out, err := os.OpenFile(e.Path(log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		e.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	p, err := Start(cmd)
	if err != nil {
		e.t.Fatal(err)
	}
	return p
}

// Start starts the engine and waits until it answers.
func (e *Engine) Start(patience time.Duration) {
	e.t.Helper()
	e.Dockerd = e.spawn("dockerd.log", slices.Concat([]string{"nsenter", "--net=" + NetnsPath(e.Netns), "dockerd", "--config-file", e.Path("daemon.json"),
		"--host", e.Host(), "--pidfile", e.Path("docker.pid"), "--containerd", e.Path("containerd.sock"),
		"--data-root", e.Path("data"), "--exec-root", e.Path("run"), "--storage-driver", "vfs"}, e.Flags)...)
	err := e.Dockerd.Await(patience, func() error {
		if out, err := e.Docker("version"); err != nil {
			return errors.New(out)
		}
		return nil
	})
	if err != nil {
		log, _ := os.ReadFile(e.Path("dockerd.log"))
		e.t.Fatalf("%v\n%s", err, log)
	}
}

// End ends the engine by a signal. Its containers run on, if the flags say so.
func (e *Engine) End(sig os.Signal) {
	e.Dockerd.Signal(sig) // fails where it has ended
	<-e.Dockerd.Exited
}

func (e *Engine) remove() {
	if e.Dockerd != nil {
		if ids, err := e.Docker("ps", "-aq"); err == nil && ids != "" {
			e.Docker(append([]string{"rm", "-f"}, strings.Fields(ids)...)...)
		}
		e.End(syscall.SIGTERM)
	}
	EndProcesses(e.dir)
	UnmountUnder(e.dir)
	RemoveNetns(e.Netns)
	if err := os.RemoveAll(e.dir); err != nil {
		e.t.Error(err)
	}
}
