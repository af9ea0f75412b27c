package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// server is a running coredns, as build.sh makes it for users.
type server struct {
	*rig.Server
	pprof string // the address of its profiles
}

// serve starts a coredns that watches the engine until the test's end, and waits until it knows
// all containers.
func serve(t *testing.T, engine string) server {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "coredns")
	if err := rig.Build("../..", binary); err != nil {
		t.Fatal(err)
	}
	port, err := rig.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pprof := fmt.Sprint("127.0.0.1:", port)
	s, err := rig.Serve(rig.Config{Binary: binary, Dir: dir, Body: fmt.Sprintf("pprof %s\ndocker %s 10.0.0.0/8 {\nendpoint %s\n}", pprof, zone, engine)})
	if err != nil {
		t.Fatal(err)
	}
	s.StopAfter(t, time.Minute)
	if err := s.AwaitReady(time.Minute); err != nil {
		t.Fatal(err)
	}
	return server{s, pprof}
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

// sample asks the server's metrics, and the kernel for its descriptors. It has the server collect its garbage before: by itself that
// does so every few seconds, and most often while it reads a list.
func (s server) sample() (got sample, err error) {
	if _, err := rig.Get("http://" + s.pprof + "/debug/pprof/heap?gc=1"); err != nil {
		return got, err
	}
	values, err := rig.Metrics(s.Metrics)
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
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Pid()))
	got.descriptors = float64(len(fds))
	return got, err
}
