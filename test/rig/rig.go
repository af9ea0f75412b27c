// Package rig is what tests share that work on the machine itself, with its Docker Engine
// and network. A run has an ID, a folder and a mark on all that it makes; a second process, the
// reaper, removes all that carries the mark, however the run ends.
package rig

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Mark is the label on all containers, networks and images that a run makes. Its value is
// the run's ID.
const Mark = "dockerdiscovery.e2e"

// Run is one run of a test binary.
type Run struct {
	ID     string // chosen by $E2E_RUN_ID, for who wants to see that nothing is left
	Folder string // for files; its path is short since a unix socket's must be
}

func newRun(id string) Run { return Run{id, "/tmp/dockerdiscovery-e2e-" + id} }

// NewRun is a run of this process.
func NewRun() Run { return newRun(cmp.Or(os.Getenv("E2E_RUN_ID"), Suffix())) }

// Label is the mark as Docker's commands take it.
func (r Run) Label() string { return Mark + "=" + r.ID }

// Environ marks a process that neither lies in the folder nor gets the path of a file there.
func (r Run) Environ() string { return "DOCKERDISCOVERY_E2E_FOLDER=" + r.Folder + "/" }

// Netns names a network namespace of the run.
func (r Run) Netns(name string) string { return r.netnsPrefix() + name }

func (r Run) netnsPrefix() string { return "dockerdiscovery-e2e-" + r.ID + "-" }

// Main is for TestMain: it runs setUp and the tests, which use the machine's engine, and returns the exit code.
func Main(m *testing.M, setUp func(Run) error) int {
	return MainWithoutEngine(m, func(run Run) error {
		if out, err := Docker("version"); err != nil {
			return fmt.Errorf("these tests need a Docker Engine, and none answers (test/with-engine gets one): %s", out)
		}
		return setUp(run)
	})
}

// MainWithoutEngine is Main for tests that need no engine.
func MainWithoutEngine(m *testing.M, setUp func(Run) error) int {
	if id := os.Getenv(reaperEnv); id != "" {
		newRun(id).reap()
		return 0
	}
	run := NewRun()
	reaper, err := startReaper(run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "no reaper:", err)
		return 1
	}
	defer reaper.finish()
	err = os.MkdirAll(run.Folder, 0o755)
	if err == nil {
		err = setUp(run)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "setting up the tests:", err)
		return 1
	}
	return m.Run()
}

// Suffix makes a name unique among runs and tests.
func Suffix() string { return strings.ToLower(rand.Text()[:6]) }

// Docker runs a docker command and returns what it prints, or else its complaint.
func Docker(args ...string) (string, error) { return Output(exec.Command("docker", args...)) }

// Need says which of the programs is missing, nil if none is.
func Need(programs ...string) error {
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w (test/with-engine installs it on Debian or Ubuntu)", err)
		}
	}
	return nil
}

// Output runs a command and returns what it prints, or else its complaint.
func Output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return strings.TrimSpace(stderr.String()), err
	}
	return strings.TrimSpace(stdout.String()), nil
}

// Compose is the command of Docker Compose, of which there are two: the one that $E2E_COMPOSE says, else the machine's.
func Compose() []string {
	if command := os.Getenv("E2E_COMPOSE"); command != "" {
		return []string{command}
	}
	if exec.Command("docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}
	}
	return []string{"docker-compose"}
}

var composeCommand = regexp.MustCompile(`\bdocker compose\b((?: -[fp] \S+)*)( exec\b)?`)

// ComposeLine is a line of shell as it is run here, by the Docker Compose that there is, without a terminal.
func ComposeLine(line string) string {
	return composeCommand.ReplaceAllStringFunc(line, func(found string) string {
		m := composeCommand.FindStringSubmatch(found)
		if m[2] != "" {
			m[2] += " -T"
		}
		return strings.Join(Compose(), " ") + m[1] + m[2]
	})
}
