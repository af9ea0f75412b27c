package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Tree is the root of an image that is made of this machine's programs, so that no registry is needed.
type Tree struct {
	Dir string // holds the files
}

// NewTree lays out an empty root in the run's folder.
func (r Run) NewTree(name string) (Tree, error) {
	t := Tree{filepath.Join(r.Folder, name)}
	for _, dir := range []string{"bin", "etc", "lib64", "tmp", "usr/bin"} {
		if err := os.MkdirAll(filepath.Join(t.Dir, dir), 0o755); err != nil {
			return t, err
		}
	}
	return t, os.Chmod(filepath.Join(t.Dir, "tmp"), 0o777|os.ModeSticky)
}

// AddBusybox adds the machine's busybox, which must be static, with links of all that it can be.
func (t Tree) AddBusybox() error {
	bin := filepath.Join(t.Dir, "bin")
	host, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	applets, err := Output(exec.Command(host, "--list"))
	if err != nil {
		return fmt.Errorf("busybox --list: %w: %s", err, applets)
	}
	if out, err := exec.Command("cp", "-L", host, filepath.Join(bin, "busybox")).CombinedOutput(); err != nil {
		return fmt.Errorf("cp: %w: %s", err, out)
	}
	for _, applet := range strings.Fields(applets) {
		if err := os.Symlink("busybox", filepath.Join(bin, applet)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	return nil
}

var library = regexp.MustCompile(`/\S+`)

// AddPrograms adds programs at the absolute paths that they have here, with the libraries that they are linked to.
func (t Tree) AddPrograms(paths ...string) error {
	files := slices.Clone(paths)
	for _, path := range paths {
		libraries, err := Output(exec.Command("ldd", path))
		if err != nil {
			return fmt.Errorf("ldd %s: %w: %s", path, err, libraries)
		}
		files = append(files, library.FindAllString(libraries, -1)...)
	}
	copyFiles := append([]string{"--dereference", "--parents", "--target-directory", t.Dir}, files...)
	if out, err := exec.Command("cp", copyFiles...).CombinedOutput(); err != nil {
		return fmt.Errorf("cp: %w: %s", err, out)
	}
	return nil
}

// Pack makes a tarball of the tree, beside it.
func (t Tree) Pack() (tarball string, err error) {
	tarball = t.Dir + ".tar"
	if out, err := exec.Command("tar", "--create", "--file", tarball, "--directory", t.Dir, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("tar: %w: %s", err, out)
	}
	return tarball, nil
}

// ImportTree is the docker command that makes a tree's tarball an image with the run's mark, whose programs are found. The changes are
// lines of a Dockerfile's.
func (r Run) ImportTree(tarball, image string, changes ...string) []string {
	command := []string{"import"}
	for _, change := range append(changes, "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/bin", "LABEL "+r.Label()) {
		command = append(command, "--change", change)
	}
	return append(command, tarball, image)
}
