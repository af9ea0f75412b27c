// Package examples does what the READMEs of examples/ tell their readers to do, and compares
// what comes of it with what they show.
//
// The images are built on this machine, so that no registry is needed: busybox of the
// distribution's static one, RabbitMQ by test/rabbitmq-image.
package examples

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

var (
	theRun rig.Run

	// binary is coredns as build.sh makes it.
	binary string

	// busybox is the image that stands for the public one of that name, and busyboxTarball its files.
	busybox, busyboxTarball string
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m, setUp)) }

func setUp(run rig.Run) error {
	theRun = run
	if os.Geteuid() != 0 {
		return fmt.Errorf("the examples serve port 53: root is needed")
	}
	if err := rig.Need("busybox", "curl", "dig", "dnsmasq", "haproxy", "ip", "nsd", "ssh-keygen", "ssh-keyscan", rig.Sshd); err != nil {
		return err
	}
	binary = filepath.Join(run.Folder, "coredns")
	if err := rig.Build(root, binary); err != nil {
		return err
	}
	busybox = "dockerdiscovery-busybox:" + run.ID
	return importBusybox()
}

// importBusybox makes an image of the host's busybox.
func importBusybox() error {
	tree := filepath.Join(theRun.Folder, "busybox")
	bin := filepath.Join(tree, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	host, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	applets, err := rig.Output(exec.Command(host, "--list"))
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
	tarball := tree + ".tar"
	if out, err := exec.Command("tar", "-C", tree, "-cf", tarball, ".").CombinedOutput(); err != nil {
		return fmt.Errorf("tar: %w: %s", err, out)
	}
	busyboxTarball = tarball
	out, err := rig.Docker(importCommand()...)
	if err != nil {
		return fmt.Errorf("docker import: %w: %s", err, out)
	}
	return nil
}

// importCommand is the docker command that makes the tarball of busybox an image.
func importCommand() []string {
	return []string{"import", "--change", `CMD ["sh"]`, "--change", "ENV PATH=/bin", "--change", "LABEL " + theRun.Label(), busyboxTarball, busybox}
}
