package packages

import (
	"os/exec"
	"strings"
	"testing"
)

// chroot runs a shell's command on a system's files alone, as who builds an image does: nothing runs there.
func (s *system) chroot(command string) string {
	s.t.Helper()
	out, err := exec.Command("chroot", s.root, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive",
		"sh", "-ec", command).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v: %s", command, err, out)
	}
	return string(out)
}

// Where no systemd runs the package is installed all the same, and enabled for the next boot. The group docker is removed with it
// only if the package has made it, and nobody else needs it.
func TestWithoutSystemd(t *testing.T) {
	for name, engine := range map[string]struct{ before, after, left string }{
		"no engine":                {"", "", ""},
		"an engine before":         {"groupadd --system docker", "", "docker:"},
		"a member since":           {"", "useradd --groups docker somebody", "docker:"},
		"an engine since":          {"", "install -m 755 /bin/true /usr/bin/dockerd", "docker:"},
		"the user is there before": {"useradd --system dockerdiscovery", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &system{t: t, release: "bookworm", root: overlay(t, "bookworm")}
			s.chroot(engine.before)
			before := s.files()
			file := s.bring(dpkg.packages[0])
			s.chroot("dpkg --install " + file)
			s.chroot("test -L /etc/systemd/system/multi-user.target.wants/" + unit)
			if groups := s.chroot("id -Gn dockerdiscovery"); strings.TrimSpace(groups) != "dockerdiscovery" {
				t.Errorf("the user is in the groups %s: what the unit adds is enough", groups)
			}
			s.chroot(engine.after)
			s.chroot("dpkg --purge dockerdiscovery")
			if group := s.chroot("getent group docker || true"); !strings.HasPrefix(group, engine.left) || engine.left == "" && group != "" {
				t.Errorf("the group docker is %q in the end, want it to begin with %q", group, engine.left)
			}
			if engine.after == "" {
				compareFiles(t, before, s.files(), nil)
			}
		})
	}
}
