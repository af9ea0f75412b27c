package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// patience is how long what should come at once is waited for.
const patience = 30 * time.Second

// onCPU is the command by which another runs on one CPU: from its first moment, so that Go programs take it as the
// machine's only one. A negative CPU stands for all.
func onCPU(cpu int) []string {
	if cpu < 0 {
		return nil
	}
	return []string{"taskset", "-c", strconv.Itoa(cpu)}
}

// cpuTime is the time that the process has spent so far, in user space and in the kernel: its CPU-time
// clock (clock_getcpuclockid(3)), exact to the nanosecond where /proc/PID/stat counts in ticks.
func cpuTime(p *rig.Process) (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED in the kernel's posix-timers
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^p.Pid()<<3|sched), &t); err != nil {
		return 0, fmt.Errorf("CPU clock of %s: %w", p.Name(), err)
	}
	return time.Duration(t.Nano()), nil
}

// resident is the process's resident memory, in bytes.
func resident(p *rig.Process) (float64, error) {
	file := fmt.Sprintf("/proc/%d/statm", p.Pid())
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

// serve starts a CoreDNS with the lines as the content of its only server block.
func serve(binary, dir, lines string, cpu int) (*rig.Server, error) {
	return rig.Serve(rig.Config{Binary: binary, Dir: dir, Body: lines, Bare: true, Via: onCPU(cpu)})
}

// await waits until the server's answer to the question has the rcode.
func await(s *rig.Server, q question, rcode int) error {
	return s.Await(patience, func() error { return answers(s, q, rcode) })
}

// answers returns an error unless the server's answer to the question has the rcode.
func answers(s *rig.Server, q question, rcode int) error {
	client := dns.Client{Timeout: time.Second}
	m, _, err := client.Exchange(new(dns.Msg).SetQuestion(q.name, q.qtype), s.Addr)
	if err == nil && m.Rcode != rcode {
		err = errors.New(dns.RcodeToString[m.Rcode])
	}
	if err != nil {
		return fmt.Errorf("asked for %s: %w", q.name, err)
	}
	return nil
}

// observed is a server of ours with CoreDNS's metrics and profiles.
type observed struct {
	*rig.Server
	debug string // URL of the profiles
}

// observe starts one with the properties of its directive.
func observe(binary, dir, properties string, cpu int) (*observed, error) {
	port, err := rig.FreePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	body := fmt.Sprintf("pprof 127.0.0.1:%d\ndocker docker. {\n%s\n}\n", port, properties)
	s, err := rig.Serve(rig.Config{Binary: binary, Dir: dir, Body: body, Via: onCPU(cpu)})
	return &observed{s, fmt.Sprintf("http://127.0.0.1:%d/debug/pprof", port)}, err
}

// liveHeap is what is in use after garbage collection, in bytes.
func (o *observed) liveHeap() (float64, error) {
	for range 2 { // the second sees what finalizers have let go
		if _, err := rig.Get(o.debug + "/heap?gc=1"); err != nil {
			return 0, err
		}
	}
	return o.Metric("go_memstats_heap_alloc_bytes")
}

// builds are the two binaries.
type builds struct{ product, stock string }

// build makes the product as for users, and the stock CoreDNS with the same options but the profile.
func build(dir string) (builds, error) {
	b := builds{stock: filepath.Join(dir, "coredns-stock")}
	stock := exec.Command("go", "-C", "test/bench", "build", "-trimpath", "-buildvcs=false", "-tags", "grpcnotrace",
		"-ldflags", "-s -w -buildid=", "-o", b.stock, "./coredns")
	stock.Env = append(os.Environ(), "CGO_ENABLED=0")
	var err error
	if b.product, err = buildProduct(dir); err != nil {
		return b, err
	}
	return b, runAll(stock)
}

// buildProduct makes the product as for users.
func buildProduct(dir string) (binary string, err error) {
	binary = filepath.Join(dir, "coredns")
	return binary, rig.Build(".", binary)
}

// buildRevision makes the product of a git revision as for users, with the revision's own build.sh.
func buildRevision(dir, revision string) (binary string, err error) {
	tree, err := os.MkdirTemp(dir, "tree")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tree)
	archive := tree + ".tar"
	if err := runAll(exec.Command("git", "archive", "-o", archive, revision), exec.Command("tar", "-C", tree, "-xf", archive)); err != nil {
		return "", err
	}
	binary = tree + ".coredns"
	return binary, rig.Build(tree, binary)
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
