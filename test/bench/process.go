package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// patience is how long what should come at once is waited for.
const patience = 30 * time.Second

// process is one that ends with this one at the latest.
type process struct {
	cmd    *exec.Cmd
	output bytes.Buffer // to be read after its end
	ended  chan struct{}
}

// spawn starts it on the given CPU, on any if that is negative.
func (p *process) spawn(cpu int) error {
	if p.cmd.Stdout == nil {
		p.cmd.Stdout = &p.output
	}
	p.cmd.Stderr = &p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	onCPU(p.cmd, cpu)
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.ended = make(chan struct{})
	go func() {
		p.cmd.Wait() // how it ended is in ProcessState
		close(p.ended)
	}()
	return nil
}

// onCPU has the command run on one CPU: from its first moment, so that Go programs take it as the
// machine's only one.
func onCPU(cmd *exec.Cmd, cpu int) {
	if cpu < 0 {
		return
	}
	taskset, err := exec.LookPath("taskset") // if it fails, so will the start, and tells
	cmd.Args = append([]string{"taskset", "-c", strconv.Itoa(cpu)}, cmd.Args...)
	cmd.Args[3] = cmd.Path
	cmd.Path, cmd.Err = taskset, err
}

// stop ends it, which must not take long.
func (p *process) stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not end within %v of SIGTERM", p.cmd.Path, patience)
	}
	return nil
}

// cpu is the time that the process has spent so far, in user space and in the kernel: its CPU-time
// clock (clock_getcpuclockid(3)), exact to the nanosecond where /proc/PID/stat counts in ticks.
func (p *process) cpu() (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED in the kernel's posix-timers
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^p.cmd.Process.Pid<<3|sched), &t); err != nil {
		return 0, fmt.Errorf("CPU clock of %s: %w", p.cmd.Path, err)
	}
	return time.Duration(t.Nano()), nil
}

// server is a CoreDNS.
type server struct {
	process
	port int
}

// serve starts a CoreDNS with the lines as the content of its only server block.
func serve(binary, dir, lines string, cpu int) (*server, error) {
	port, err := rig.FreePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	corefile := filepath.Join(dir, fmt.Sprintf("Corefile.%d", port))
	if err := os.WriteFile(corefile, fmt.Appendf(nil, ".:%d {\n\tbind 127.0.0.1\n%s}\n", port, lines), 0o644); err != nil {
		return nil, err
	}
	s := &server{process{cmd: exec.Command(binary, "-conf", corefile)}, port}
	return s, s.spawn(cpu)
}

func (s *server) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// await waits until the server's answer to the question has the rcode.
func (s *server) await(q question, rcode int) error {
	client := dns.Client{Timeout: time.Second}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		m, _, err := client.Exchange(new(dns.Msg).SetQuestion(q.name, q.qtype), s.addr())
		if err == nil && m.Rcode == rcode {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("%s ended: %s", s.cmd, s.output.Bytes())
		default:
		}
		if time.Now().After(deadline) {
			if err == nil {
				err = errors.New(dns.RcodeToString[m.Rcode])
			}
			return fmt.Errorf("%s: asked for %s: %w", s.cmd, q.name, err)
		}
	}
}

// builds are the two binaries.
type builds struct{ product, stock string }

// build makes the product as for users, and the stock CoreDNS with the same options but the profile.
func build(dir string) (builds, error) {
	b := builds{filepath.Join(dir, "coredns"), filepath.Join(dir, "coredns-stock")}
	stock := exec.Command("go", "-C", "test/bench", "build", "-trimpath", "-buildvcs=false", "-tags", "grpcnotrace",
		"-ldflags", "-s -w -buildid=", "-o", b.stock, "./coredns")
	stock.Env = append(os.Environ(), "CGO_ENABLED=0")
	for _, cmd := range []*exec.Cmd{exec.Command("./build.sh", b.product), stock} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return b, fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	return b, nil
}
