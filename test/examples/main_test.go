// Package examples does what the READMEs of examples/ tell their readers to do, and compares
// what comes of it with what they show.
//
// The images are built on this machine, so that no registry is needed: busybox of the
// distribution's static one, RabbitMQ by test/rabbitmq-image.
package examples

import (
	"fmt"
	"os"
	"path/filepath"
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
	if err := rig.Need("busybox", "curl", "dig", "dnsmasq", "etcd", "etcdctl", "haproxy", "ip", "nsd", "openssl", "ssh-keygen", "ssh-keyscan", rig.Sshd); err != nil {
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
	tree, err := theRun.NewTree("busybox")
	if err == nil {
		err = tree.AddBusybox()
	}
	if err == nil {
		busyboxTarball, err = tree.Pack()
	}
	if err != nil {
		return err
	}
	out, err := rig.Docker(importCommand()...)
	if err != nil {
		return fmt.Errorf("docker import: %w: %s", err, out)
	}
	return nil
}

// importCommand is the docker command that makes the tarball of busybox an image.
func importCommand() []string {
	return theRun.ImportTree(busyboxTarball, busybox, `CMD ["sh"]`)
}
