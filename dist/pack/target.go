package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// target is a system on which a binary runs.
type target struct{ os, arch string } // as Go calls them

func (t target) String() string { return t.os + "/" + t.arch }

// targets are those for which CoreDNS and we build. arm is version 7 of it, as Debian's armhf and Fedora's armv7hl are.
var targets = []target{
	{"linux", "amd64"}, {"linux", "arm64"}, {"linux", "arm"}, {"linux", "riscv64"},
	{"darwin", "amd64"}, {"darwin", "arm64"},
	{"freebsd", "amd64"}, {"freebsd", "arm64"},
	{"windows", "amd64"}, {"windows", "arm64"},
}

// parseTargets reads targets between commas; none stands for all.
func parseTargets(list string) ([]target, error) {
	if list == "" {
		return targets, nil
	}
	var chosen []target
	for word := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(targets, func(t target) bool { return t.String() == word })
		if i < 0 {
			return nil, fmt.Errorf("there is no target '%s': want of %v, with commas between", word, targets)
		}
		chosen = append(chosen, targets[i])
	}
	return chosen, nil
}

// variant is one of the two binaries, and of what holds it.
type variant struct {
	name  string   // of the package
	other string   // name of the other one's package
	tags  string   // by which Go chooses
	flags []string // of build.sh
}

var (
	lean        = variant{program, program + "-full", "grpcnotrace,lean", []string{"-lean"}}
	fullVariant = variant{program + "-full", program, "grpcnotrace", nil}
)

// binary is where the binary is made.
func (r release) binary(t target, v variant) string {
	file := filepath.Join(r.out, "bin", fmt.Sprintf("%s-%s-%s", v.name, t.os, t.arch))
	if t.os == "windows" {
		file += ".exe"
	}
	return file
}

// build makes the binary.
func (r release) build(t target, v variant) error {
	cmd := exec.Command("./build.sh", append(slices.Clone(v.flags), r.binary(t, v))...)
	cmd.Env = append(os.Environ(), t.environment()...)
	cmd.Env = append(cmd.Env, "VERSION="+r.version.String())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// environment has Go build for the target.
func (t target) environment() []string {
	return []string{"CGO_ENABLED=0", "GOOS=" + t.os, "GOARCH=" + t.arch, "GOARM=7"}
}
