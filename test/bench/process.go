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

// resident is the process's resident memory, in bytes.
func (p *process) resident() (float64, error) {
	file := fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid)
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	var size, resident int // proc(5), in pages
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	return float64(resident * os.Getpagesize()), nil
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

// observed is a server of ours with CoreDNS's metrics and profiles.
type observed struct {
	*server
	metrics, debug string // URLs
}

// observe starts one for the engine's containers.
func observe(binary, dir, engine string, cpu int) (o *observed, err error) {
	var ports [2]int
	for i := range ports {
		if ports[i], err = rig.FreePort("127.0.0.1"); err != nil {
			return nil, err
		}
	}
	o = &observed{metrics: fmt.Sprintf("http://127.0.0.1:%d/metrics", ports[0]), debug: fmt.Sprintf("http://127.0.0.1:%d/debug/pprof", ports[1])}
	o.server, err = serve(binary, dir, fmt.Sprintf("\tprometheus 127.0.0.1:%d\n\tpprof 127.0.0.1:%d\n\tdocker docker. {\n\t\tendpoint %s\n\t}\n",
		ports[0], ports[1], engine), cpu)
	return o, err
}

func (o *observed) metric(name string) (float64, error) { return rig.Metric(o.metrics, name) }

// liveHeap is what is in use after garbage collection, in bytes.
func (o *observed) liveHeap() (float64, error) {
	for range 2 { // the second sees what finalizers have let go
		if _, err := rig.Get(o.debug + "/heap?gc=1"); err != nil {
			return 0, err
		}
	}
	return o.metric("go_memstats_heap_alloc_bytes")
}

// builds are the two binaries.
type builds struct{ product, stock string }

// build makes the product as for users, and the stock CoreDNS with the same options but the profile.
func build(dir string) (builds, error) {
	b := builds{filepath.Join(dir, "coredns"), filepath.Join(dir, "coredns-stock")}
	stock := exec.Command("go", "-C", "test/bench", "build", "-trimpath", "-buildvcs=false", "-tags", "grpcnotrace",
		"-ldflags", "-s -w -buildid=", "-o", b.stock, "./coredns")
	stock.Env = append(os.Environ(), "CGO_ENABLED=0")
	return b, runAll(exec.Command("./build.sh", b.product), stock)
}

// buildRevision makes the product of a git revision as for users, with the revision's own build.sh.
func buildRevision(dir, revision string) (binary string, err error) {
	tree, err := os.MkdirTemp(dir, "tree")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tree)
	archive, binary := tree+".tar", tree+".coredns"
	return binary, runAll(exec.Command("git", "archive", "-o", archive, revision), exec.Command("tar", "-C", tree, "-xf", archive),
		exec.Command(filepath.Join(tree, "build.sh"), binary))
}

// runAll runs commands one after the other, until one fails.
func runAll(commands ...*exec.Cmd) error {
	for _, cmd := range commands {
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	return nil
}
