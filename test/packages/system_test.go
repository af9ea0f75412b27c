package packages

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// patience is how long a step may take on a machine with much else to do.
const patience = 2 * time.Minute

// system is a distribution's system in a folder, whose first process is systemd. It shares its network with an engine of
// its own, whose socket it has as if the engine ran in it.
type system struct {
	t       *testing.T
	release string
	root    string // its files
	engine  *rig.Engine
	nspawn  *rig.Process
	leader  int // its first process
}

// newSystem lays out a system that is not running yet. It lasts until the test's end.
func newSystem(t *testing.T, release string) *system {
	t.Helper()
	s := &system{t: t, release: release, root: overlay(t, release)}
	s.engine = theRun.NewEngine(t, release, "--host", "unix://"+s.sockets()+"/docker.sock", "--iptables=false", "--ip6tables=false")
	if err := os.MkdirAll(s.sockets(), 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

// overlay has a release's files in a folder, in which they can be changed until the test's end.
func overlay(t *testing.T, release string) (folder string) {
	t.Helper()
	base, err := bases[release]()
	if err != nil && release == ubuntu {
		t.Skipf("Ubuntu can't be had here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := systemFolder(release)
	folder, upper, work := filepath.Join(dir, "root"), filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	for _, d := range []string{folder, upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		rig.UnmountUnder(dir)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	mount := exec.Command("mount", "-t", "overlay", "overlay", "-o", fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", base, upper, work), folder)
	if out, err := rig.Output(mount); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	return folder
}

func systemFolder(release string) string { return filepath.Join(theRun.Folder, "system-"+release) }

// sockets is the folder of the engine's socket.
func (s *system) sockets() string { return filepath.Join(systemFolder(s.release), "sockets") }

// machine is how systemd-nspawn calls the system.
func (s *system) machine() string { return "dockerdiscovery-e2e-" + theRun.ID + "-" + s.release }

// boot starts systemd and waits until it has started all units.
func (s *system) boot() {
	s.t.Helper()
	if out, err := rig.Output(exec.Command("ip", "-n", s.engine.Netns, "link", "set", "lo", "up")); err != nil {
		s.t.Fatalf("ip link: %v: %s", err, out)
	}
	cmd := exec.Command("systemd-nspawn", "--quiet", "--boot", "--directory", s.root, "--machine", s.machine(),
		"--register=no", "--keep-unit", "--network-namespace-path", rig.NetnsPath(s.engine.Netns), "--bind", s.sockets()+":/run/engine",
		"--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe",
		"--setenv", theRun.Environ()) // by which the reaper knows the first process: it outlives a systemd-nspawn that is killed
	cmd.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1") // systemd 257 knows no other
	var err error
	if s.nspawn, err = rig.Start(cmd); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.halt)
	err = s.nspawn.Await(patience, func() error {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.nspawn.Pid(), s.nspawn.Pid()))
		if err != nil {
			return err
		}
		s.leader, err = strconv.Atoi(strings.TrimSpace(string(children)))
		if err != nil {
			return fmt.Errorf("it has no first process yet: %w", err)
		}
		if err := apart(s.leader); err != nil { // commands would run on the machine itself
			return err
		}
		out, err := s.run("systemctl", "is-system-running")
		if out != "running" {
			return fmt.Errorf("systemd is not up: %s %w", out, cmp.Or(err, errors.New("yet")))
		}
		return nil
	})
	if err != nil {
		failed, _ := s.run("systemctl", "--failed", "--no-legend")
		s.t.Fatalf("%v\nfailed: %s\nsystemd-nspawn said: %s", err, failed, s.nspawn.Log)
	}
	s.do("ln", "-sf", "engine/docker.sock", "/run/docker.sock")
}

// apart returns an error while the process sees the same processes as we do.
func apart(pid int) error {
	ours, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return err
	}
	its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err == nil && its == ours {
		err = fmt.Errorf("process %d is in no namespace of its own yet", pid)
	}
	return err
}

// halt shuts the system down, if it runs.
func (s *system) halt() {
	if s.nspawn.Alive() != nil {
		return
	}
	if s.t.Failed() {
		journal, _ := s.run("journalctl", "--no-pager", "-u", "dockerdiscovery")
		s.t.Logf("the server's journal: %s", journal)
	}
	s.nspawn.Signal(syscall.SIGTERM)
	select {
	case <-s.nspawn.Exited:
	case <-time.After(patience):
		s.t.Errorf("the system did not end within %v", patience)
		s.nspawn.Kill()
	}
	os.Remove("/run/systemd/nspawn/propagate/" + s.machine()) // it leaves this where /run is on a disk
}

// command is one in the running system, by root.
func (s *system) command(args ...string) *exec.Cmd {
	return exec.Command("nsenter", slices.Concat([]string{"--target", strconv.Itoa(s.leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--",
		"env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"}, args)...)
}

func (s *system) run(args ...string) (string, error) { return rig.Output(s.command(args...)) }

// do runs a command that must succeed, and returns what it prints.
func (s *system) do(args ...string) string {
	s.t.Helper()
	out, err := s.run(args...)
	if err != nil {
		s.t.Fatalf("%s: %s: %v: %s", s.release, strings.Join(args, " "), err, out)
	}
	return out
}

// eventually waits until check holds.
func (s *system) eventually(check func() error) {
	s.t.Helper()
	if err := s.nspawn.Await(patience, check); err != nil {
		s.t.Fatalf("%s: %v", s.release, err)
	}
}

// within runs f on the system's network.
func (s *system) within(f func() error) error { return rig.Within(rig.NetnsPath(s.engine.Netns), f) }
