package rig

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The reaper is a second process of the test binary that waits for the first one's end
// and removes all that carries the run's mark. Tests clean up after themselves; the
// reaper is for what they can't: a panic, a timeout, an interrupt, a kill.

const reaperEnv = "E2E_REAPER" // holds the run to clean up after

type reaper struct {
	cmd   *exec.Cmd
	alive io.Closer // closed by us or, when we die, by the kernel
}

func startReaper(run Run) (*reaper, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), reaperEnv+"="+run.ID)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the terminal's interrupt is not for it
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return &reaper{cmd, alive}, cmd.Start()
}

func (r *reaper) finish() {
	r.alive.Close()
	r.cmd.Wait()
}

func (r Run) reap() {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	io.Copy(io.Discard, os.Stdin) // until the tests are over

	EndProcesses(r.Folder) // coredns; an engine of a test, with its containers
	r.removeMarked()
	UnmountUnder(r.Folder)
	spaces, _ := filepath.Glob("/run/netns/" + r.netnsPrefix() + "*")
	for _, space := range spaces {
		RemoveNetns(filepath.Base(space))
	}
	os.RemoveAll(r.Folder)
}

// removeMarked removes what the run made of the machine's engine. Containers have the mark
// from their image.
func (r Run) removeMarked() {
	for _, kind := range []struct{ list, remove []string }{
		{[]string{"ps", "-aq"}, []string{"rm", "-f", "-v"}},
		{[]string{"network", "ls", "-q"}, []string{"network", "rm"}},
		{[]string{"images", "-q"}, []string{"rmi", "-f"}},
	} {
		out, err := Docker(append(kind.list, "--filter", "label="+r.Label())...)
		if ids := strings.Fields(out); err == nil && len(ids) > 0 {
			Docker(append(kind.remove, ids...)...)
		}
	}
	r.LeaveSwarm()
}

// LeaveSwarm takes the machine's engine out of the Swarm that the run has made, if it is in one, with the Swarm's services and
// networks.
func (r Run) LeaveSwarm() {
	if out, err := Docker("node", "ls", "-q", "--filter", "node.label="+r.Label()); err != nil || out == "" {
		return
	}
	Docker("swarm", "leave", "--force")
	Docker("network", "rm", "docker_gwbridge")
}

// EndProcesses ends the processes that were started from or for a file under dir, which their
// command lines or environments then hold, and those processes' children. It gives them time
// to end themselves first.
func EndProcesses(dir string) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for _, pid := range processes(dir) {
			syscall.Kill(pid, sig)
		}
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && len(processes(dir)) > 0; {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func processes(dir string) (pids []int) {
	var children [][2]string // process and its parent
	marked := map[string]bool{}
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range folders {
		pid := filepath.Base(proc)
		line, _ := os.ReadFile(proc + "/cmdline")
		env, _ := os.ReadFile(proc + "/environ")
		stat, _ := os.ReadFile(proc + "/stat") // pid (name) state parent …
		marked[pid] = strings.Contains(string(line), dir+"/") || strings.Contains(string(env), dir+"/")
		if f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])); len(f) > 1 {
			children = append(children, [2]string{pid, f[1]})
		}
	}
	for _, child := range children {
		if marked[child[0]] || marked[child[1]] {
			if pid, _ := strconv.Atoi(child[0]); pid != os.Getpid() {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// UnmountUnder detaches what an engine of a test left mounted under dir, inner mounts first.
func UnmountUnder(dir string) {
	mounts, _ := os.ReadFile("/proc/mounts")
	lines := strings.Split(string(mounts), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			exec.Command("umount", "-l", f[1]).Run()
		}
	}
}
