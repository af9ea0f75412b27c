// Package page looks at the status page of the real coredns binary as people do: in Chromium, without a window.
//
// Most tests have an engine of internal/enginetest, so that they decide what runs. One starts a container of the machine's
// engine, and says how long it takes until the page shows it.
package page

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

const root = "../.."

var (
	theRun rig.Run

	// binary is coredns as build.sh makes it.
	binary string

	// image is the image of containers of the machine's engine.
	image string
)

var (
	screenshots = flag.String("page.screenshots", "", "the `folder` to which pictures of the pages are written")
	large       = flag.Int("page.containers", 0, "how many `containers` the test of a large page has; it is skipped without")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(rig.Main(m, setUp))
}

func setUp(run rig.Run) error {
	theRun = run
	if err := rig.Need("chromium"); err != nil {
		return err
	}
	binary = filepath.Join(run.Folder, "coredns")
	image = "dockerdiscovery-page:" + run.ID
	if err := rig.Build(root, binary); err != nil {
		return err
	}
	tarball, err := rig.BuildImage(run.Folder)
	if err != nil {
		return err
	}
	if out, err := rig.Docker(run.ImportImage(tarball, image)...); err != nil {
		return fmt.Errorf("docker import: %w: %s", err, out)
	}
	return nil
}
