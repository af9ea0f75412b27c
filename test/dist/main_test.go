// Package dist has everything made that is given out for one target, as make dist makes it for all, and looks into it with
// the tools of the distributions.
package dist

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

const (
	root    = "../.."
	program = "dockerdiscovery"
	// version and its date are those of a release that will not be.
	version = "0.9.0-rc.1"
	epoch   = 1770000000 // 2026-02-02
)

var (
	fresh   = flag.Bool("dist.fresh", false, "whether what is made is made with empty build caches, which takes long")
	targets = flag.String("dist.targets", "linux/amd64", "the targets that are made, with commas between; \"\" for all")

	first  tree // made once
	second tree // TestSame's
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(rig.Main(m, setUp))
}

func setUp(run rig.Run) error {
	if err := rig.Need("make", "tar", "dpkg-deb", "lintian", "rpm", "rpmlint", "cpio", "man", "qemu-aarch64-static", "dig"); err != nil {
		return err
	}
	first, second = tree{filepath.Join(run.Folder, "a")}, tree{filepath.Join(run.Folder, "another", "folder")}
	for _, s := range []tree{first, second} { // before anybody goes on with the source
		if err := s.copy(); err != nil {
			return err
		}
	}
	return first.make("umask 022", "TZ=UTC", "LC_ALL=C")
}

// tree is a copy of the source, in a folder of its own.
type tree struct{ dir string }

func (s tree) source(name string) string { return filepath.Join(s.dir, name) }

func (s tree) out(name string) string { return filepath.Join(s.dir, "out", name) }

// copy copies the source.
func (s tree) copy() error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	copy := exec.Command("sh", "-c", `git -C "$1" ls-files -z -co --exclude-standard | tar -C "$1" --null -T - -c | tar -C "$2" -x`, "sh", root, s.dir)
	if out, err := rig.Output(copy); err != nil {
		return fmt.Errorf("copying the source: %w: %s", err, out)
	}
	return nil
}

// make makes what is given out, in a shell that has run the command.
func (s tree) make(command string, env ...string) error {
	make := exec.Command("sh", "-c", command+" && exec make dist TARGETS="+*targets)
	make.Dir = s.dir
	if *fresh {
		env = append(env, "GOCACHE="+s.source(".gocache"))
	}
	make.Env = append(os.Environ(), append(env, "VERSION="+version,
		fmt.Sprint("SOURCE_DATE_EPOCH=", epoch), "REVISION="+strings.Repeat("0", 40))...)
	if out, err := make.CombinedOutput(); err != nil {
		return fmt.Errorf("make dist: %w\n%s", err, out)
	}
	return nil
}

// variant is one of the two binaries, and of what holds it.
type variant struct{ name, other string }

var variants = []variant{{program, program + "-full"}, {program + "-full", program}}

// Files of the variants, as the formats have their versions and machines.
func (v variant) deb() string     { return first.out(v.name + "_0.9.0~rc.1-1_amd64.deb") }
func (v variant) rpm() string     { return first.out(v.name + "-0.9.0~rc.1-1.x86_64.rpm") }
func (v variant) apk() string     { return first.out(v.name + "_0.9.0_rc1-r0_x86_64.apk") }
func (v variant) archive() string { return first.out(v.name + "_0.9.0-rc.1_linux_amd64.tar.gz") }
func (v variant) bom() string     { return first.out(v.name + "_0.9.0-rc.1_linux_amd64.cdx.json") }
func (v variant) binary() string  { return first.out("bin/" + v.name + "-linux-amd64") }

// run runs a program, which must succeed, and returns what it prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := rig.Output(exec.CommandContext(t.Context(), name, args...))
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return out
}
