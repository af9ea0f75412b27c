package rig

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that runs beside the tests. It ends with them at the latest.
type Process struct {
	Cmd    *exec.Cmd
	Log    *Log          // its output, but for what the command sends elsewhere
	Exited chan struct{} // closed at its end; then Cmd.ProcessState is set
}

// Start starts the command. When this process dies, the kernel sends the command SIGKILL, or the Pdeathsig that it has.
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{Cmd: cmd, Log: new(Log), Exited: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.Log
	}
	if cmd.Stderr == nil {
		cmd.Stderr = p.Log
	}
	var attr syscall.SysProcAttr
	if cmd.SysProcAttr != nil {
		attr = *cmd.SysProcAttr
	}
	if attr.Pdeathsig == 0 {
		attr.Pdeathsig = syscall.SIGKILL
	}
	cmd.SysProcAttr = &attr
	started := make(chan error)
	go func() {
		// The kernel takes the end of the thread that started the command for ours.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait() // ProcessState has how it ended
			close(p.Exited)
		}
	}()
	return p, <-started
}

// Name is the program's name, for messages.
func (p *Process) Name() string { return filepath.Base(p.Cmd.Path) }

// Pid is the process's ID.
func (p *Process) Pid() int { return p.Cmd.Process.Pid }

// Signal sends the process a signal. One that has ended is an error.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.Cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("%v to %s: %w", sig, p.Name(), err)
	}
	return nil
}

// Alive returns an error, with the log, once the process has ended.
func (p *Process) Alive() error {
	select {
	case <-p.Exited:
		return fmt.Errorf("%s ended: %v\n%s", p.Name(), p.Cmd.ProcessState, p.Log)
	default:
		return nil
	}
}

// Await waits until check returns nil. It gives up after the patience, and when the process has ended.
func (p *Process) Await(patience time.Duration, check func() error) error {
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := check()
		if err == nil {
			return nil
		}
		if ended := p.Alive(); ended != nil {
			return ended
		}
		if time.Since(begin) > patience {
			return fmt.Errorf("%s: not within %v: %w", p.Name(), patience, err)
		}
	}
}

// Stop has the process end by SIGTERM, which must take no longer than the patience, and waits for it. A process
// that has ended already is not asked again. An exit code other than 0 is an error.
func (p *Process) Stop(patience time.Duration) error {
	p.Cmd.Process.Signal(syscall.SIGTERM) // fails where it has ended
	select {
	case <-p.Exited:
	case <-time.After(patience):
		p.Kill()
		return fmt.Errorf("%s did not end within %v of SIGTERM", p.Name(), patience)
	}
	if !p.Cmd.ProcessState.Success() {
		return fmt.Errorf("%s ended: %v", p.Name(), p.Cmd.ProcessState)
	}
	return nil
}

// Kill ends the process by SIGKILL, and waits for that.
func (p *Process) Kill() {
	p.Cmd.Process.Kill() // fails where it has ended
	<-p.Exited
}

// StopAfter stops the process at the test's end, and logs its output if the test has failed.
func (p *Process) StopAfter(t *testing.T, patience time.Duration) {
	t.Cleanup(func() {
		if err := p.Stop(patience); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", p.Name(), p.Log)
		}
	})
}

// Log takes a process's output while tests read it.
type Log struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns all that was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Lines returns the lines that hold text.
func (l *Log) Lines(text string) (found []string) {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, text) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}
