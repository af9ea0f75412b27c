package dist

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// lintian and rpmlint find no error, nor what is overridden and not there.
func TestLint(t *testing.T) {
	below := cpioBelow(t)
	for _, v := range variants {
		// Of its own accord it goes on as root with a complaint.
		lint := exec.CommandContext(t.Context(), "lintian", "--allow-root", "--fail-on", "error", v.deb())
		lint.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // it leaves files behind
		out, err := lint.CombinedOutput()
		if err != nil || strings.Contains(string(out), "mismatched-override") {
			t.Errorf("lintian: %v\n%s", err, out)
		}
		lint = exec.CommandContext(t.Context(), "rpmlint", "--config", first.source("dist/rpm/rpmlint.toml"), v.rpm())
		lint.Env = append(os.Environ(), "PATH="+below+":"+os.Getenv("PATH"))
		out, err = lint.CombinedOutput()
		if err != nil || !strings.Contains(string(out), " 0 errors") {
			t.Errorf("rpmlint: %v\n%s", err, out)
		}
	}
}

// cpioBelow returns a folder with a cpio that takes absolute names, as nfpm writes them, as from the folder in which it unpacks.
// rpm does so too; rpmlint's cpio would write to this machine's folders.
func cpioBelow(t *testing.T) (dir string) {
	t.Helper()
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	script := "#!/bin/sh\nexec " + cpio + ` --no-absolute-filenames "$@"` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "cpio"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Nobody has signed the packages. What rpm checks besides is well.
func TestDigests(t *testing.T) {
	for _, v := range variants {
		if out := run(t, "rpm", "--checksig", "--nosignature", v.rpm()); !strings.HasSuffix(out, ": digests OK") {
			t.Errorf("rpm: %s", out)
		}
	}
}

// The packages' scripts are those of the source.
func TestScripts(t *testing.T) {
	for _, v := range variants {
		for tag, name := range map[string]string{"PREIN": "pre", "POSTIN": "post", "PREUN": "preun", "POSTUN": "postun"} {
			want := read(t, first.source("dist/scripts/rpm/"+name))
			if got := run(t, "rpm", "-qp", "--qf", "%{"+tag+"}", v.rpm()); got != strings.TrimSpace(want) {
				t.Errorf("%s of %s is\n%s\nwant\n%s", tag, v.rpm(), got, want)
			}
		}
		for _, name := range []string{"postinst", "prerm", "postrm"} {
			want := read(t, first.source("dist/scripts/deb/"+name))
			if got := runRaw(t, "dpkg-deb", "-I", v.deb(), name); got != want {
				t.Errorf("%s of %s is\n%s\nwant\n%s", name, v.deb(), got, want)
			}
		}
		if got := run(t, "dpkg-deb", "-I", v.deb(), "conffiles"); got != "/etc/dockerdiscovery/Corefile" {
			t.Errorf("conffiles of %s: %s", v.deb(), got)
		}
		if got := run(t, "rpm", "-qp", "--configfiles", v.rpm()); got != "/etc/dockerdiscovery/Corefile" {
			t.Errorf("configuration of %s: %s", v.rpm(), got)
		}
	}
}

// One package takes the other's place, and where the lean one is wanted the full one does.
func TestRelations(t *testing.T) {
	for _, v := range variants {
		provides := ""
		if v.name != program {
			provides = program
		}
		for field, want := range map[string]string{"Package": v.name, "Conflicts": v.other, "Replaces": v.other, "Provides": provides} {
			got := run(t, "dpkg-deb", "-f", v.deb(), field)
			if name, _, _ := strings.Cut(got, " "); name != want {
				t.Errorf("%s: %s is %q, want %q", v.deb(), field, got, want)
			}
		}
		if got := run(t, "rpm", "-qp", "--conflicts", v.rpm()); got != v.other {
			t.Errorf("%s conflicts with %q, want %q", v.rpm(), got, v.other)
		}
		if got := run(t, "rpm", "-qp", "--provides", v.rpm()); !strings.Contains(got, v.name+" = ") || !strings.Contains(got, provides) {
			t.Errorf("%s provides %q", v.rpm(), got)
		}
		if got := run(t, "rpm", "-qp", "--obsoletes", v.rpm()); got != "" {
			t.Errorf("%s would be installed in place of %s unasked", v.rpm(), got)
		}
		if got := run(t, "tar", "-xzOf", v.apk(), "--warning=no-unknown-keyword", ".PKGINFO"); !strings.Contains(got, "\ndepend = !"+v.other+"\n") {
			t.Errorf("%s does not exclude %s:\n%s", v.apk(), v.other, got)
		}
	}
}

// A candidate comes before its release, and a commit without a tag before any, for dpkg and for rpm.
func TestOrder(t *testing.T) {
	ascending := []string{"0.0.0~20261129083015.0123456789ab", "0.0.0~20261129083016.0123456789ab", "0.0.0", "0.1.0", "0.9.0~rc.1", "0.9.0~rc.2", "0.9.0", "0.10.0"}
	for i, older := range ascending {
		for _, newer := range ascending[i+1:] {
			run(t, "dpkg", "--compare-versions", older+"-1", "lt", newer+"-1")
			if got := run(t, "rpm", "--eval", `%{lua: print(rpm.vercmp("`+older+`", "`+newer+`"))}`); got != "-1" {
				t.Errorf("rpm compares %s with %s: %s", older, newer, got)
			}
		}
	}
}

// The binary tells the version, and has the plugins of its variant.
func TestVersion(t *testing.T) {
	for _, v := range variants {
		if got := run(t, v.binary(), "-version"); !strings.HasSuffix(got, ", "+version) {
			t.Errorf("%s tells the version as %q", v.name, got)
		}
		plugins := strings.Fields(run(t, v.binary(), "-plugins"))
		if !slices.Contains(plugins, "docker") || slices.Contains(plugins, "kubernetes") == (v.name == program) {
			t.Errorf("%s has the plugins %v", v.name, plugins)
		}
	}
}

// Each module that Go has noted in the binary is in the list, and in the file of licences.
func TestModules(t *testing.T) {
	for _, v := range variants {
		var bom struct {
			Components []struct{ Name, Version string }
		}
		if err := json.Unmarshal([]byte(read(t, v.bom())), &bom); err != nil {
			t.Fatal(err)
		}
		licences := read(t, first.out("licences/"+v.name+"/linux/third-party-licences.txt"))
		listed := map[string]bool{}
		for _, c := range bom.Components {
			listed[c.Name+" "+c.Version] = true
		}
		modules := 0
		for line := range strings.SplitSeq(run(t, "go", "version", "-m", v.binary()), "\n") {
			fields := strings.Fields(line)
			if len(fields) < 3 || fields[0] != "dep" {
				continue
			}
			modules++
			if module := fields[1] + " " + fields[2]; !listed[module] || !strings.Contains(licences, "\n"+module+"\n") {
				t.Errorf("%s: %s is missing", v.name, module)
			}
		}
		if modules < 50 || len(bom.Components) != modules+1 { // and Go's own
			t.Errorf("%s: the binary has %d modules, the list %d", v.name, modules, len(bom.Components))
		}
		t.Logf("%s has %d modules", v.name, modules)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
