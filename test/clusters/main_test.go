// Package clusters runs clusters of real servers whose nodes find each other by names alone, as docs/clusters.md tells its readers to. Each
// forms, grows, loses a node, has it back at another address, and shrinks. Meanwhile a client looks for it by its name.
//
// The servers are this machine's, so that no registry is needed.
package clusters

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// root is the repository's.
const root = "../.."

var (
	theRun rig.Run

	// binary is coredns as build.sh makes it.
	binary string
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m, setUp)) }

func setUp(run rig.Run) error {
	theRun = run
	if os.Geteuid() != 0 {
		return fmt.Errorf("the clusters need a server at port 53: root is needed")
	}
	if err := rig.Need("busybox"); err != nil {
		return err
	}
	binary = filepath.Join(run.Folder, "coredns")
	return rig.Build(root, binary)
}

// programs makes an image of this machine's programs, beside busybox.
func programs(names ...string) func() (image string, err error) {
	return func() (string, error) {
		tree, err := theRun.NewTree(names[0])
		if err == nil {
			err = tree.AddBusybox()
		}
		if err == nil {
			err = rig.Need(names...)
		}
		for _, name := range names {
			if err == nil {
				path, _ := exec.LookPath(name)
				err = tree.AddPrograms(path)
			}
		}
		if err != nil {
			return "", err
		}
		return pack(tree)
	}
}

// gossip makes an image of the program in ./gossip.
func gossip() (image string, err error) {
	tree, err := theRun.NewTree("gossip")
	if err == nil {
		err = tree.AddBusybox()
	}
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", filepath.Join(tree.Dir, "usr/bin/gossip"), "./gossip")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./gossip: %w: %s", err, out)
	}
	return pack(tree)
}

func pack(tree rig.Tree) (image string, err error) {
	tarball, err := tree.Pack()
	if err != nil {
		return "", err
	}
	image = "dockerdiscovery-" + filepath.Base(tree.Dir) + ":" + theRun.ID
	if out, err := rig.Docker(theRun.ImportTree(tarball, image)...); err != nil {
		return "", fmt.Errorf("docker import: %w: %s", err, out)
	}
	return image, nil
}

func rabbitMQ() (image string, err error) { return theRun.RabbitMQImage(root) }
