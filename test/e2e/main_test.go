// Package e2e runs the real coredns binary against a real Docker Engine and asks it as
// clients do.
//
// Each test starts the containers and networks that it needs under names of its own,
// and a coredns of its own on free loopback ports. All of it carries the run's mark, by
// which it is removed at the end, however the run ends: see package rig.
package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

var (
	// theRun owns all that the tests make.
	theRun rig.Run

	// folder holds the run's files.
	folder string

	// binary is the coredns under test, as build.sh makes it for users.
	binary string

	// image is the container image of all containers: the program in ./image.
	image string

	// podman tells that the machine's engine is Podman's Docker-compatible service. What the
	// tests do otherwise there stands with Podman's version.
	podman bool
)

func TestMain(m *testing.M) {
	if question := os.Getenv(clientEnv); question != "" {
		if err := askAndPrint(question); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(rig.Main(m, setUp))
}

func setUp(run rig.Run) error {
	theRun, folder = run, run.Folder
	binary = filepath.Join(folder, "coredns")
	image = "dockerdiscovery-e2e:" + run.ID
	components, err := machine.output("version", "-f", "{{range .Server.Components}}{{println .Name}}{{end}}")
	if err != nil {
		return fmt.Errorf("docker version: %w: %s", err, components)
	}
	if podman = strings.HasPrefix(components, "Podman Engine"); podman {
		patience = podmanPatience
	}
	if err := rig.Build("../..", binary); err != nil {
		return err
	}
	tarball, err := rig.BuildImage(folder)
	if err != nil {
		return err
	}
	return machine.importImage(tarball)
}

// suffix makes a name unique among runs and tests.
func suffix() string { return rig.Suffix() }
