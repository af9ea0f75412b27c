// Package hosts has three Docker hosts beside each other, each a network namespace with an engine and a CoreDNS of its own,
// that watches all three engines: its own by the socket, the others by TLS and by OpenSSH. A LAN joins them. Their
// containers have equal names, equal addresses and overlapping networks; one host has no IPv4 address on the LAN.
//
// What an asker is given is held against what it reaches: the tests connect.
package hosts

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

var (
	engineFlag = flag.String("hosts.engines", "", "the second and the third host's engines, as test/engines/engine names them; by default the machine's")
	awayFlag   = flag.Duration("hosts.away", 0, "how long TestFaults leaves a fault at least, once it is noticed")
	swarmFlag  = flag.Bool("hosts.swarm", false, "whether TestSwarm has faults that take minutes, and holds how late answers are against what is promised")
	matrixFlag = flag.String("hosts.matrix", "", "a page in which TestMatrix writes what it saw")
)

var (
	theRun  rig.Run
	binary  string // coredns as build.sh makes it
	image   string // of all containers: the program in test/e2e/image
	tarball string // of it
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m, setUp)) }

func setUp(run rig.Run) error {
	theRun, binary, image = run, filepath.Join(run.Folder, "coredns"), "dockerdiscovery-hosts:"+run.ID
	if os.Geteuid() != 0 {
		return fmt.Errorf("hosts are network namespaces: root is needed")
	}
	if err := rig.Need("dockerd", "containerd", "ip", "nsenter", rig.Sshd, "ssh-keygen"); err != nil {
		return err
	}
	if err := rig.Build("../..", binary); err != nil {
		return err
	}
	var err error
	tarball, err = rig.BuildImage(run.Folder)
	return err
}

// otherEngines are the engines that are not the machine's, "" for one that is.
func otherEngines() []string {
	return append(strings.FieldsFunc(*engineFlag, func(r rune) bool { return r == ',' }), "", "")
}
