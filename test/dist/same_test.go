package dist

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// Another folder, user's mask, time zone and language make the same bytes; with -dist.fresh, so does another build cache.
func TestSame(t *testing.T) {
	if err := second.make("umask 077", "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8"); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(first.out(""), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		name, err := filepath.Rel(first.out(""), path)
		if err != nil {
			return err
		}
		one, err1 := os.ReadFile(path)
		two, err2 := os.ReadFile(second.out(name))
		if err1 != nil || err2 != nil || !bytes.Equal(one, two) {
			t.Errorf("%s differs (%v, %v)", name, err1, err2)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("%d files were made: this test looks for what is not there", files)
	}
	t.Logf("%d files are the same", files)
}

// All that is given out is in the list of sums, and nothing else.
func TestSums(t *testing.T) {
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = first.out("")
	said, err := rig.Output(check)
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	entries, err := os.ReadDir(first.out(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if !entry.IsDir() && name != "SHA256SUMS" && !strings.Contains(said, name+": OK") {
			t.Errorf("%s is not in the list", name)
		}
	}
	for _, v := range variants {
		for _, path := range []string{v.deb(), v.rpm(), v.apk(), v.archive(), v.bom()} {
			if !strings.Contains(said, filepath.Base(path)+": OK") {
				t.Errorf("%s was not made", path)
			}
		}
	}
}
