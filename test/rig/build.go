package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Build makes coredns as users get it, by the build.sh in the repository's root.
func Build(root, binary string) error {
	script, err := filepath.Abs(filepath.Join(root, "build.sh")) // a name without a folder is looked for in $PATH
	if err != nil {
		return err
	}
	if out, err := exec.Command(script, binary).CombinedOutput(); err != nil {
		return fmt.Errorf("build.sh: %w\n%s", err, out)
	}
	return nil
}

// BuildImage builds the program of which the image of the tests' containers consists, test/e2e/image,
// and returns a tarball of it in the folder.
func BuildImage(dir string) (tarball string, err error) {
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "image"),
		"github.com/dockerdiscovery/dockerdiscovery/test/e2e/image")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the image's program: %w\n%s", err, out)
	}
	tarball = filepath.Join(dir, "image.tar")
	if out, err := exec.Command("tar", "-C", dir, "-cf", tarball, "image").CombinedOutput(); err != nil {
		return "", fmt.Errorf("tar: %w\n%s", err, out)
	}
	return tarball, nil
}

// ImportImage is the docker command that makes BuildImage's tarball an image with the run's mark,
// which its containers then have too.
func (r Run) ImportImage(tarball, name string) []string {
	return []string{"import", "--change", `ENTRYPOINT ["/image"]`, "--change", "LABEL " + r.Label(), tarball, name}
}
