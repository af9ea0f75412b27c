package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// standIn is a stand-in for a program: a shell script.
type standIn struct{ name, script string }

func (c standIn) write(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, c.name), []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// link has the machine's programs in the folder: no other is there.
func link(t *testing.T, dir string, names ...string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(path, filepath.Join(dir, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func goOf(version string) standIn { return standIn{"go", "echo " + version} }

// apt is a distribution: its version of golang-go, its packages of one version each.
func apt(candidate string, packages ...string) standIn {
	return standIn{"apt-cache", fmt.Sprintf("case $1 in\npolicy) echo '  Candidate: %s' ;;\npkgnames) printf '%%s\\n' %s ;;\nesac", candidate, strings.Join(packages, " "))}
}

// Where Go is missing or too old the distribution's is installed if that can fetch the version which go.mod names, or
// else it is said what to do.
func TestNeedGo(t *testing.T) {
	if _, err := os.Stat("/etc/debian_version"); err != nil {
		t.Skip("this is not Debian or Ubuntu: nothing can be installed")
	}
	root, user := standIn{"id", "echo 0"}, standIn{"id", "echo 1000"}
	for _, c := range []struct {
		name     string
		commands []standIn
		places   string // where Go lies that isn't on the PATH
		toolchn  string
		want     string // what is printed
		fails    bool
	}{
		{name: "new enough", commands: []standIn{user, goOf("go1.26.0")}, want: "GOTOOLCHAIN=auto"},
		{name: "fetches", commands: []standIn{user, goOf("go1.24.4")}, want: "GOTOOLCHAIN=auto"},
		{name: "may not fetch", commands: []standIn{user, goOf("go1.24.4")}, toolchn: "local", want: "GOTOOLCHAIN=local"},
		{name: "development", commands: []standIn{user, goOf("devel go1.27-0123456789")}, want: "GOTOOLCHAIN=auto"},
		{name: "too old", commands: []standIn{root, goOf("go1.19.8")}, fails: true,
			want: "go is too old: go1.19.8. Install Go 1.26.0 or newer: https://go.dev/dl"},
		{name: "not on the PATH", commands: []standIn{user}, places: "local", want: "/local:"},
		{name: "two not on the PATH", commands: []standIn{user}, places: "one two", want: "/two:"},
		{name: "not root", commands: []standIn{user, apt("2:1.24~2")}, fails: true,
			want: "Go is missing. Install Go 1.26.0 or newer: https://go.dev/dl (as root"},
		{name: "Debian 13", commands: []standIn{root, apt("2:1.24~2", "golang-1.24-go")}, want: "installed golang-go ca-certificates"},
		{name: "Debian 12", commands: []standIn{root, apt("2:1.19~1", "golang-1.19-go", "golang-1.19-src")}, fails: true,
			want: "this distribution's (2:1.19~1) is too old. Install Go 1.26.0 or newer: https://go.dev/dl"},
		{name: "Debian 12 with backports", commands: []standIn{root, apt("2:1.19~1", "golang-1.24-go", "golang-1.19-go", "golang-1.22-go")},
			want: "installed golang-1.24-go ca-certificates"},
		{name: "no package", commands: []standIn{root, apt("(none)")}, fails: true, want: "(none)) is too old"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			bin := filepath.Join(dir, "bin")
			link(t, bin, "sh", "sed", "grep", "sort", "cat", "chmod")
			install := fmt.Sprintf(`case $1 in install)
	shift 6 # options
	echo "installed $*"
	printf '#!/bin/sh\necho go1.24.4\n' >%[1]s/go
	chmod +x %[1]s/go
esac`, bin)
			for _, cmd := range append(c.commands, standIn{"apt-get", install}) {
				cmd.write(t, bin)
			}
			var places []string
			for _, place := range strings.Fields(c.places) {
				goOf("go1.26.0").write(t, filepath.Join(dir, place))
				places = append(places, filepath.Join(dir, place))
			}
			cmd := exec.Command("/bin/sh", "-euc", `. test/need.sh; need_go .; echo "PATH=$PATH GOTOOLCHAIN=$GOTOOLCHAIN"`)
			cmd.Env = []string{"PATH=" + bin, "GO_PLACES=" + strings.Join(append(places, "/nowhere"), " ")}
			if c.toolchn != "" {
				cmd.Env = append(cmd.Env, "GOTOOLCHAIN="+c.toolchn)
			}
			out, err := cmd.CombinedOutput()
			if (err != nil) != c.fails || !strings.Contains(string(out), c.want) {
				t.Errorf("%v, want failure %v; printed, want %q:\n%s", err, c.fails, c.want, out)
			}
		})
	}
}

// Who makes packages needs no more of Go than who builds: it need not be on the PATH, and may have to fetch another version. Nor is
// git needed, of an archive of the source.
func TestDistNeedsGo(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"Makefile", "go.mod", "test/need.sh", "dist/version"} {
		text, err := os.ReadFile(name)
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	bin, place := filepath.Join(dir, "bin"), filepath.Join(dir, "place")
	link(t, bin, "sh", "make", "sed", "rm", "mkdir", "dirname", "find", "sort", "xargs", "sha256sum")
	standIn{"git", "exit 1"}.write(t, bin)
	standIn{"go", `case $1 in env) echo go1.24.4 ;; *) mkdir -p out; echo "$GOTOOLCHAIN $2" >>calls ;; esac`}.write(t, place)
	dist := func(source ...string) (string, error) {
		cmd := exec.Command(filepath.Join(bin, "make"), "-C", dir, "dist", "TARGETS=linux/amd64")
		cmd.Env = append(source, "PATH="+bin, "GO_PLACES="+place)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	// What git does not tell is asked for before anything is made.
	if out, err := dist("VERSION=1.2.3"); err == nil || !strings.Contains(out, "want VERSION=1.2.3 SOURCE_DATE_EPOCH=SECONDS REVISION=COMMIT") {
		t.Errorf("without git: %v:\n%s", err, out)
	}
	if out, err := dist("VERSION=1.2.3", "SOURCE_DATE_EPOCH=1790000000", "REVISION=abc"); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	want := "auto dist/man\nauto dist/pack\nauto dist/image\nauto dist/image\n"
	if err != nil || string(calls) != want {
		t.Errorf("%v; Go was called as\n%s\nwant\n%s", err, calls, want)
	}
}
