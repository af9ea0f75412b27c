package soak

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// server is a running coredns, as build.sh makes it for users.
type server struct {
	pid     int
	dns     string
	metrics string // URL
}

// serve starts a coredns that watches the engine until the test's end, and waits until it knows
// all containers.
func serve(t *testing.T, engine string) *server {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "coredns")
	if out, err := exec.Command("../../build.sh", binary).CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, out)
	}
	// One of the loopback's addresses for itself alone, so that any port is free.
	ip := netip.AddrFrom4([4]byte{127, byte(1 + rand.N(254)), byte(rand.N(256)), byte(1 + rand.N(254))}).String()
	s := &server{dns: ip + ":1053", metrics: "http://" + ip + ":9153/metrics"}
	corefile := filepath.Join(dir, "Corefile")
	text := fmt.Sprintf(".:1053 {\nbind %s\nerrors\nready %s:8181\nprometheus %s:9153\ndocker %s 10.0.0.0/8 {\nendpoint %s\n}\n}\n", ip, ip, ip, zone, engine)
	if err := os.WriteFile(corefile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-conf", corefile)
	cmd.Stdout, cmd.Stderr = log, log
	// It ends with us, however we end; the kernel takes the starting thread's end for ours.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	exited := make(chan error, 1)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			exited <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	s.pid = cmd.Process.Pid
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := <-exited; err != nil {
			t.Errorf("coredns ended with %v", err)
		}
		if said, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("coredns said:\n%s", said[max(0, len(said)-10_000):])
		}
		log.Close()
	})

	ready := func() error {
		r, err := http.Get("http://" + ip + ":8181/ready")
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return errors.New(r.Status)
		}
		a := &asker{server: s.dns}
		defer a.close()
		_, err = a.ask("ns.dns."+zone, "A")
		return err
	}
	for begin := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		select {
		case err := <-exited:
			exited <- err
			t.Fatal("coredns ended before it was ready")
		default:
		}
		err := ready()
		if err == nil {
			return s
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("coredns is not ready: %v", err)
		}
	}
}

// sample is what the server holds at one moment.
type sample struct {
	at          time.Duration
	goroutines  float64
	descriptors float64
	live        float64 // MB of heap that the last collection left
	inUse       float64 // MB of heap
	resident    float64 // MB
	containers  float64 // running, as the server knows
	cpu         time.Duration

	operations, wrong int
}

const header = "    time  goroutines  descriptors  live MB  heap MB   RSS MB  containers  operations  wrong"

func (s sample) String() string {
	return fmt.Sprintf("%8s  %10.0f  %11.0f  %7.2f  %7.2f  %7.2f  %10.0f  %10d  %5d", s.at.Round(time.Second), s.goroutines, s.descriptors,
		s.live, s.inUse, s.resident, s.containers, s.operations, s.wrong)
}

// sample asks the server's metrics, and the kernel for its descriptors.
func (s *server) sample() (got sample, err error) {
	values, err := rig.Metrics(s.metrics)
	if err != nil {
		return got, err
	}
	var cpu float64
	for _, m := range []struct {
		name  string
		scale float64
		to    *float64
	}{
		{"go_goroutines", 1, &got.goroutines},
		{"go_memstats_next_gc_bytes", 1e-6 / 2, &got.live}, // a collection sets it to twice what it left
		{"go_memstats_heap_inuse_bytes", 1e-6, &got.inUse},
		{"process_resident_memory_bytes", 1e-6, &got.resident},
		{"coredns_docker_containers", 1, &got.containers},
		{"process_cpu_seconds_total", float64(time.Second), &cpu},
	} {
		value, ok := values[m.name]
		if !ok {
			return got, fmt.Errorf("no metric %s", m.name)
		}
		*m.to = value * m.scale
	}
	got.cpu = time.Duration(cpu)
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid))
	got.descriptors = float64(len(fds))
	return got, err
}
