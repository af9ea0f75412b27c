// Package packages installs our packages as users do, by the distributions' tools, in systems of their own: what is there then, what
// an upgrade keeps, and whether anything is left after removal. The systems are made by debootstrap, and systemd runs in them.
package packages

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// root is the repository's.
const root = "../.."

var (
	theRun rig.Run

	// bases make the files of the releases' systems, or wait until they are made. They are not changed.
	bases = map[string]func() (folder string, err error){}

	// image is the tarball of the containers' image.
	image string
)

// ubuntu is the release of Ubuntu's, which is left out where its archive can't be reached.
const ubuntu = "noble"

// releases are what the packages are installed on.
var releases = []string{"bookworm", "trixie", ubuntu}

var roots = flag.String("packages.roots", "", "a folder in which the releases' files are kept for the next run")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(rig.Main(m, setUp))
}

func setUp(run rig.Run) error {
	theRun = run
	if os.Geteuid() != 0 {
		return fmt.Errorf("packages are installed: root is needed")
	}
	if err := rig.Need("debootstrap", "systemd-nspawn", "nsenter", "ip", "dpkg-deb", "rpm"); err != nil {
		return err
	}
	for _, release := range releases {
		bases[release] = sync.OnceValues(func() (string, error) { return makeBase(release) })
	}
	for _, base := range bases {
		go base() // while others are in use
	}
	var err error
	if image, err = rig.BuildImage(run.Folder); err != nil {
		return err
	}
	return makePackages()
}

// makeBase makes the files of a release's system.
func makeBase(release string) (folder string, err error) {
	folder = filepath.Join(theRun.Folder, "base-"+release)
	if *roots != "" {
		folder = filepath.Join(*roots, release)
	}
	args := []string{release, folder}
	if release == ubuntu {
		keys, err := bases["trixie"]()
		if err != nil {
			return "", err
		}
		args = append(args, keys)
	}
	if out, err := exec.Command("./base", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("making a system of %s: %w\n%s", release, err, out)
	}
	return folder, nil
}
