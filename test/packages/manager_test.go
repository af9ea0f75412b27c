package packages

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// manager is a distribution's tool for packages.
type manager struct {
	packages []string // files, in the order in which they are installed over each other
	install  func(s *system, file string)
	remove   func(s *system)
	purge    func(s *system) // nil if there is no such thing
	leaves   []string        // what is not as before in the end, as the distributions have it
}

// dpkg is Debian's and Ubuntu's. The full variant takes the lean one's place in the end.
var dpkg = manager{
	install: func(s *system, file string) {
		s.t.Helper()
		s.do("dpkg", "--force-confold", "--install", s.bring(file)) // as apt has it where nobody can answer
	},
	remove: func(s *system) { s.do("dpkg", "--remove", "dockerdiscovery-full") },
	purge: func(s *system) {
		s.t.Helper()
		s.do("dpkg", "--purge", "dockerdiscovery") // which the full variant has removed
		s.do("dpkg", "--purge", "dockerdiscovery-full")
	},
}

// rpm is Fedora's and others', as Debian has it. It never asks, users stay, and so does an edited file, under another name.
var rpm = manager{
	install: func(s *system, file string) {
		s.t.Helper()
		s.rpm("--upgrade", "--nodeps", file) // of distributions' packages that are not here
		s.do("systemctl", "enable", "--now", unit)
	},
	remove: func(s *system) { s.rpm("--erase", "dockerdiscovery") },
	leaves: []string{"etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/dockerdiscovery", "etc/dockerdiscovery/Corefile.rpmsave",
		"usr/share/fish", "usr/share/fish/vendor_completions.d", "usr/share/licenses", "usr/share/zsh/site-functions"}, // others' folders, which Debian has not
}

// rpm runs the machine's rpm on the system's files, which runs the package's scripts there. SQLite follows the link /proc/PID/root to
// the machine's own root, so that the database must have a path that is the run's own there.
func (s *system) rpm(args ...string) {
	s.t.Helper()
	db := s.root + ".rpmdb"
	if err := os.MkdirAll(db, 0o755); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command("nsenter", slices.Concat([]string{"--target", fmt.Sprint(s.leader), "--net", "--pid", "--",
		"rpm", "--root", fmt.Sprintf("/proc/%d/root", s.leader), "--dbpath", db}, args)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("rpm %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// bring copies a file into the system.
func (s *system) bring(file string) (path string) {
	s.t.Helper()
	path = filepath.Join("/var/tmp", filepath.Base(file))
	content, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.root, path), content, 0o644)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return path
}

// makePackages makes packages of this source as two versions, of the second one both variants, and a third one with another
// Corefile.
func makePackages() error {
	changed := filepath.Join(theRun.Folder, "changed.deb")
	if err := pack(older, false); err != nil {
		return err
	}
	if err := pack(newer, true); err != nil {
		return err
	}
	dpkg.packages = []string{older.find("dockerdiscovery_*.deb"), newer.find("dockerdiscovery_*.deb"), changed, newer.find("dockerdiscovery-full_*.deb")}
	rpm.packages = []string{older.find("dockerdiscovery-0*.rpm"), newer.find("dockerdiscovery-0*.rpm")}
	return changeDeb(dpkg.packages[1], changed)
}

// packed is a version of which packages are made.
type packed string

const older, newer packed = "0.0.1", "0.0.2"

func (version packed) folder() string { return filepath.Join(theRun.Folder, "out-"+string(version)) }

// find returns the file of a package that was made.
func (version packed) find(pattern string) string {
	found, err := filepath.Glob(filepath.Join(version.folder(), pattern))
	if err != nil || len(found) != 1 {
		return fmt.Sprintf("(%d files %s of version %s)", len(found), pattern, version)
	}
	return found[0]
}

// pack makes the packages as dist/pack does for all.
func pack(version packed, full bool) error {
	pages := exec.Command("go", "-C", filepath.Join(root, "dist/man"), "run", ".", filepath.Join(version.folder(), "man"))
	packages := exec.Command("go", "-C", filepath.Join(root, "dist/pack"), "run", ".", "-targets", "linux/"+runtime.GOARCH,
		fmt.Sprint("-full=", full), version.folder())
	for _, cmd := range []*exec.Cmd{pages, packages} {
		cmd.Env = append(os.Environ(), "VERSION="+string(version), "SOURCE_DATE_EPOCH=1700000000")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("making packages: %w\n%s", err, out)
		}
	}
	return nil
}

// changeDeb makes a later version of a package, whose Corefile is another one.
func changeDeb(from, to string) error {
	tree := to + ".tree"
	out, err := rig.Output(exec.Command("sh", "-ec", `
		dpkg-deb --raw-extract "$1" "$2"
		sed -i '1i # Another one.' "$2/etc/dockerdiscovery/Corefile"
		sed -i 's/^Version: .*/Version: 0.0.3/' "$2/DEBIAN/control"
		rm -f "$2/DEBIAN/md5sums"
		dpkg-deb --root-owner-group -Zgzip -z1 --build "$2" "$3"`, "sh", from, tree, to))
	if err != nil {
		return fmt.Errorf("another version of %s: %w: %s", filepath.Base(from), err, out)
	}
	return os.RemoveAll(tree)
}
