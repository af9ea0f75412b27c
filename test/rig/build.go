package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Build makes coredns as users get it, by the build.sh in the repository's root, with its flags.
func Build(root, binary string, flags ...string) error {
	script, err := filepath.Abs(filepath.Join(root, "build.sh")) // a name without a folder is looked for in $PATH
	if err != nil {
		return err
	}
	if out, err := exec.Command(script, append(flags, binary)...).CombinedOutput(); err != nil {
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

// BuildServerImage makes the container image as users get it, of the lean binary, with the run's mark. It returns the archive for
// "docker load", and the name that the image has then.
func (r Run) BuildServerImage(root string) (archive, name string, err error) {
	out, docs, lean, version := filepath.Join(r.Folder, "images"), filepath.Join(r.Folder, "docs"), filepath.Join(r.Folder, "lean"), "e2e-"+r.ID
	if err := os.MkdirAll(docs, 0o755); err != nil {
		return "", "", err
	}
	if err := Build(root, lean, "-lean"); err != nil {
		return "", "", err
	}
	cmd := exec.Command("go", "run", ".", "-version", version, "-revision", "none", "-label", r.Label(), "-docs", docs, out, lean)
	cmd.Dir, cmd.Env = filepath.Join(root, "dist", "image"), append(os.Environ(), "SOURCE_DATE_EPOCH=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("making the image: %w: %s", err, said)
	}
	archives, err := filepath.Glob(filepath.Join(out, "*_"+runtime.GOARCH+"*.tar"))
	if err != nil || len(archives) != 1 {
		return "", "", fmt.Errorf("there are the archives %q: %w", archives, err)
	}
	return archives[0], "dockerdiscovery:" + version, nil
}

// RabbitMQImage has an image of RabbitMQ with the run's mark. What it is made of is built once for all runs.
func (r Run) RabbitMQImage(root string) (name string, err error) {
	built, err := Output(exec.Command(filepath.Join(root, "test", "rabbitmq-image")))
	if err != nil {
		return "", fmt.Errorf("test/rabbitmq-image: %w: %s", err, built)
	}
	name = "dockerdiscovery-rabbitmq:" + r.ID
	cmd := exec.Command("docker", "build", "--tag", name, "--label", r.Label(), "-")
	cmd.Stdin = strings.NewReader("FROM " + built + "\n")
	if out, err := Output(cmd); err != nil {
		return "", fmt.Errorf("docker build: %w: %s", err, out)
	}
	return name, nil
}
