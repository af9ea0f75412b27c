// Package e2e runs the real coredns binary against a real Docker Engine and asks it as
// clients do.
//
// Each test starts the containers and networks that it needs under names of its own,
// and a coredns of its own on free loopback ports. All of it carries the run's mark, by
// which it is removed at the end, however the run ends: see reaper_test.go.
package e2e

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

var (
	// runID marks all that this run makes. Whoever starts the run may choose it, to
	// see afterwards that nothing is left.
	runID = os.Getenv("E2E_RUN_ID")

	// folder holds the run's files. Its path is short since a unix socket's must be.
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
	if isReaper() {
		reap()
		return
	}
	if question := os.Getenv(clientEnv); question != "" {
		if err := askAndPrint(question); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if runID == "" {
		runID = suffix()
	}
	name()
	reaper, err := startReaper()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: no reaper:", err)
		return 1
	}
	defer reaper.finish()
	if err := setUp(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return m.Run()
}

// name gives the run's things their names.
func name() {
	folder = "/tmp/dockerdiscovery-e2e-" + runID
	binary = filepath.Join(folder, "coredns")
	image = "dockerdiscovery-e2e:" + runID
}

func setUp() error {
	components, err := machine.output("version", "-f", "{{range .Server.Components}}{{println .Name}}{{end}}")
	if err != nil {
		return fmt.Errorf("these tests need a Docker Engine, and none answers (test/with-engine gets one): %s", components)
	}
	if podman = strings.HasPrefix(components, "Podman Engine"); podman {
		patience = podmanPatience
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if out, err := exec.Command("../../build.sh", binary).CombinedOutput(); err != nil {
		return fmt.Errorf("build.sh: %w\n%s", err, out)
	}
	return importImage()
}

// importImage makes the image from the program in ./image alone.
func importImage() error {
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(folder, "image"), "./image")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the image's program: %w\n%s", err, out)
	}
	tarball := filepath.Join(folder, "image.tar")
	if out, err := exec.Command("tar", "-C", folder, "-cf", tarball, "image").CombinedOutput(); err != nil {
		return fmt.Errorf("tar: %w\n%s", err, out)
	}
	return machine.importImage(tarball)
}

// suffix makes a name unique among runs and tests.
func suffix() string { return strings.ToLower(rand.Text()[:6]) }
