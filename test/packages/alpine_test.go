package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// There is no apk outside of Alpine. Its package is unpacked into another system, where the scripts find none of Alpine's programs:
// they do what does not need these, and never fail, since apk would leave a package half removed.
func TestAlpine(t *testing.T) {
	tree := overlay(t, "bookworm")
	apk := older.find("dockerdiscovery_*.apk")
	if out, err := rig.Output(exec.Command("tar", "-C", tree, "--ignore-zeros", "-xzf", apk)); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	conf := filepath.Join(tree, "etc/resolv.conf")
	os.Remove(conf)
	if err := os.WriteFile(conf, []byte("nameserver 127.0.0.53\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(command string) string {
		t.Helper()
		out, err := exec.Command("chroot", tree, "sh", "-c", command).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", command, err, out)
		}
		return string(out)
	}
	run("sh -n /etc/init.d/dockerdiscovery && test -x /etc/init.d/dockerdiscovery && ! test -e /usr/lib/systemd/system/dockerdiscovery.service")
	run("dockerdiscovery docker resolver install --server 127.0.0.1:1053 --zone docker")
	const file = "/etc/systemd/resolved.conf.d/dockerdiscovery.conf"
	for _, script := range []string{"pre-install", "post-upgrade"} {
		run("/." + script)
		run("test -e " + file)
	}
	if said := run("/.pre-deinstall"); !strings.Contains(said, file) {
		t.Errorf("the script before removal does not say what it removes: %s", said)
	}
	run("! test -e " + file)
}
