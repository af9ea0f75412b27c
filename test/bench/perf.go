package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// instructions is perf's event for those in user space: what the kernel does is alike for all, and noisy.
const instructions = "instructions:u"

// counter is the event that counts instructions, "" if this machine has none: most virtual ones.
func counter() string {
	out, err := exec.Command("perf", "stat", "-x", ",", "-e", instructions, "true").CombinedOutput()
	if _, ok := counted(string(out)); err != nil || !ok {
		return ""
	}
	return instructions
}

// counted reads the count from a line of perf's fields.
func counted(output string) (float64, bool) {
	for line := range strings.Lines(output) {
		value, _, _ := strings.Cut(line, ",")
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			return n, true
		}
	}
	return 0, false
}

// count has a slice counted.
func (w *wireRun) count(at *trialTarget, l load) (float64, slice, error) {
	file := filepath.Join(w.dir, "perf")
	s, err := w.ask(at, l, "perf", "stat", "-x", ",", "-e", w.counter, "-o", file, "-p", strconv.Itoa(at.server.Pid()), "--")
	if err != nil {
		return 0, s, err
	}
	out, err := os.ReadFile(file)
	if err != nil {
		return 0, s, err
	}
	n, ok := counted(string(out))
	if !ok {
		return 0, s, fmt.Errorf("perf stat: %s", out)
	}
	return n, s, nil
}

// cpus are two that differ, if there are two.
func cpus() (first, last int) { return 0, runtime.NumCPU() - 1 }
