package dist

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// patience is for an emulated processor on a machine that is busy.
const patience = 2 * time.Minute

// The binary for arm64 answers dig, by way of QEMU: it finds an engine, and a container of it.
func TestARM64(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, program)
	build := exec.CommandContext(t.Context(), "env", "GOOS=linux", "GOARCH=arm64", "VERSION="+version, root+"/build.sh", "-lean", binary)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, out)
	}
	if out := run(t, "qemu-aarch64-static", binary, "-version"); !strings.Contains(out, "linux/arm64") {
		t.Errorf("-version says %s", out)
	}
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "web"})
	s, err := rig.Serve(rig.Config{Binary: binary, Dir: dir, Via: []string{"qemu-aarch64-static"}, Body: "docker docker. {\nendpoint " + e.Host() + "\n}"})
	if err != nil {
		t.Fatal(err)
	}
	s.StopAfter(t, patience)
	if err := s.AwaitReady(patience); err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, "dig", "+short", "+timeout=30", "@"+host, "-p", port, "web.docker"); net.ParseIP(got) == nil {
		t.Errorf("dig prints %q, want an address", got)
	}
}
