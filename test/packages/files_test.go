package packages

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// notListed are files of which nobody expects that they are as before: what lives for one boot, logs, the package manager's own
// state, the backups that useradd makes, and what systemd keeps over boots.
var notListed = []string{
	"dev", "proc", "run", "sys", "tmp", "var/tmp", "var/log",
	"var/lib/dpkg", "var/lib/apt", "var/lib/rpm", "var/cache", "var/backups",
	"etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/.pwd.lock",
	"var/lib/systemd/random-seed", "var/lib/systemd/timers", "var/lib/systemd/timesync",
}

// files tells of each file of the system what it is: mode, owner, and content.
func (s *system) files() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(s.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(s.root, path)
		if err != nil {
			return err
		}
		if slices.Contains(notListed, name) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t)
		all[name] = fmt.Sprint(info.Mode(), " ", owner.Uid, ":", owner.Gid)
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all[name] += fmt.Sprintf(" %x", sha256.Sum256(content))
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			all[name] += " " + target
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// compareFiles complains of each file that is not as before, but those that the package manager leaves.
func compareFiles(t *testing.T, before, after map[string]string, leaves []string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if slices.Contains(leaves, name) {
			continue
		}
		if was, is := before[name], after[name]; is == "" {
			t.Errorf("/%s is gone: %s", name, was)
		} else if is != was {
			t.Errorf("/%s was %s and is %s", name, was, is)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if before[name] == "" && !slices.Contains(leaves, name) {
			t.Errorf("/%s is left: %s", name, after[name])
		}
	}
	if len(before) < 1000 || !strings.Contains(before["etc/passwd"], "-rw-r--r-- 0:0 ") {
		t.Errorf("the list has %d files, and of /etc/passwd %q: it is none", len(before), before["etc/passwd"])
	}
}
