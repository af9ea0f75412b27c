package e2e

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// build.sh makes the same bytes again, and they need no library.
func TestBuild(t *testing.T) {
	t.Parallel()
	again := filepath.Join(t.TempDir(), "coredns")
	out, err := exec.Command("../../build.sh", again).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "built "+again+": version ") {
		t.Fatalf("build.sh: %v\n%s", err, out)
	}
	first, err1 := os.ReadFile(binary)
	second, err2 := os.ReadFile(again)
	if err1 != nil || err2 != nil || !bytes.Equal(first, second) {
		t.Errorf("two builds differ (%v, %v)", err1, err2)
	}
	if f, err := elf.NewFile(bytes.NewReader(first)); err == nil {
		if libs, _ := f.ImportedLibraries(); len(libs) > 0 {
			t.Errorf("the binary needs %q", libs)
		}
	}
}

// CoreDNS lists its plugin dns.docker without the prefix.
func TestPlugins(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(binary, "-plugins").Output()
	if err != nil || !slices.Contains(strings.Fields(string(out)), "docker") {
		t.Errorf("-plugins: %v: no docker in\n%s", err, out)
	}
}

func TestTerminate(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Body: "docker docker."})
	if err := s.Stop(patience); err != nil {
		t.Error(err)
	}
}
