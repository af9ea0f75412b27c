package examples

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// TestReadme does what the repository's README tells its readers to do.
func TestReadme(t *testing.T) {
	e := &example{t: t, name: "README.md", dir: filepath.Join(theRun.Folder, "readme"), known: bindings{"127.0.0.1": "127.0.0.1"}, places: map[string][]string{}}
	for _, name := range []string{"web", "db"} {
		if out, err := rig.Docker("ps", "-aq", "--filter", "name=^"+name+"$"); err != nil || out != "" {
			t.Fatalf("the README makes a container %s, and there is one: %v %s", name, err, out)
		}
	}
	if err := os.MkdirAll(e.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	corefile, err := os.ReadFile(filepath.Join(root, "Corefile.example"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(e.dir, "Corefile.example"), corefile, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // what a failure has left
		for _, name := range []string{"web", "db"} {
			if out, err := rig.Docker("ps", "-aq", "--filter", "name=^"+name+"$", "--filter", "label="+theRun.Label()); err == nil && out != "" {
				rig.Docker(append([]string{"rm", "-f"}, strings.Fields(out)...)...)
			}
		}
	})
	e.follow(filepath.Join(root, e.name))
}
