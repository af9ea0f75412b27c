package dist

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// entry is a file of a package.
type entry struct {
	mode fs.FileMode // its permissions
	sum  string
}

func sum(content []byte) string {
	s := sha256.Sum256(content)
	return hex.EncodeToString(s[:])
}

// readTar returns the files of a tar archive, by their paths from the root, and what owns what is not root's.
func readTar(t *testing.T, r io.Reader) map[string]entry {
	t.Helper()
	all := map[string]entry{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" && h.Uname != "root" {
			t.Errorf("%s is %s's (%d:%d)", h.Name, h.Uname, h.Uid, h.Gid)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		all[path.Join("/", h.Name)] = entry{fs.FileMode(h.Mode).Perm(), sum(content)}
	}
}

func readDeb(t *testing.T, file string) map[string]entry {
	t.Helper()
	return readTar(t, strings.NewReader(runRaw(t, "dpkg-deb", "--fsys-tarfile", file)))
}

// runRaw is run, of whose output nothing is cut off.
func runRaw(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out)
}

// readRPM returns what the header says: rpm checks the content against it.
func readRPM(t *testing.T, file string) map[string]entry {
	t.Helper()
	all := map[string]entry{}
	for line := range strings.SplitSeq(run(t, "rpm", "-qp", "--qf", `[%{FILEMODES:octal} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES} %{FILEDIGESTS}\n]`, file), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 4 { // a folder, of which there is no sum
			continue
		}
		mode, err := strconv.ParseUint(fields[0], 8, 32)
		if err != nil || fields[1] != "root:root" {
			t.Errorf("%s: %s (%v)", file, line, err)
		}
		all[fields[2]] = entry{fs.FileMode(mode).Perm(), fields[3]}
	}
	return all
}

// readAPK returns the files of a package for apk, and its control files: it is gzip streams one after the other, which together
// are one tar archive.
func readAPK(t *testing.T, file string) map[string]entry {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return readTar(t, r)
}

// given is a file of the packages: which of the source or of out it is, and whether packages have it compressed.
type given struct {
	source     string
	mode       fs.FileMode
	compressed bool
}

// everywhere are the files that all packages of a variant have, by their paths.
func (v variant) everywhere() map[string]given {
	doc := "/usr/share/doc/" + v.name + "/"
	return map[string]given{
		"/usr/bin/dockerdiscovery":                                  {v.binary(), 0o755, false},
		"/etc/dockerdiscovery/Corefile":                             {first.source("dist/Corefile"), 0o644, false},
		"/usr/share/man/man1/dockerdiscovery.1.gz":                  {first.out("man/dockerdiscovery.1"), 0o644, true},
		"/usr/share/man/man7/dockerdiscovery-docker.7.gz":           {first.out("man/dockerdiscovery-docker.7"), 0o644, true},
		"/usr/share/bash-completion/completions/dockerdiscovery":    {first.out("completion/bash"), 0o644, false},
		"/usr/share/fish/vendor_completions.d/dockerdiscovery.fish": {first.out("completion/fish"), 0o644, false},
		doc + "README.md":                                           {first.source("README.md"), 0o644, false},
		doc + "NOTICE":                                              {first.source("NOTICE"), 0o644, false},
		doc + "changelog.gz":                                        {first.source("CHANGELOG.md"), 0o644, true},
		doc + "third-party-licences.txt.gz":                         {first.out("licences/" + v.name + "/linux/third-party-licences.txt"), 0o644, true},
		doc + "examples/grafana.json":                               {first.source("dist/grafana/dockerdiscovery.json"), 0o644, false},
		doc + "examples/alerts.yaml":                                {first.source("dist/prometheus/alerts.yaml"), 0o644, false},
	}
}

// alone are the files that the packages of one format have besides. One without a source is the format's own.
func (v variant) alone(format string) map[string]given {
	doc, licence := "/usr/share/doc/"+v.name+"/", "/usr/share/licenses/"+v.name+"/LICENSE"
	unit := given{first.source("dist/systemd/dockerdiscovery.service"), 0o644, false}
	zsh := given{first.out("completion/zsh"), 0o644, false}
	switch format {
	case "deb":
		return map[string]given{
			"/usr/lib/systemd/system/dockerdiscovery.service":    unit,
			"/usr/share/zsh/vendor-completions/_dockerdiscovery": zsh,
			doc + "copyright":                        {first.source("dist/debian/copyright"), 0o644, false},
			doc + "changelog.Debian.gz":              {"", 0o644, false},
			"/usr/share/lintian/overrides/" + v.name: {first.source("dist/debian/lintian-overrides"), 0o644, false},
		}
	case "rpm":
		return map[string]given{
			"/usr/lib/systemd/system/dockerdiscovery.service": unit,
			"/usr/share/zsh/site-functions/_dockerdiscovery":  zsh,
			licence: {first.source("LICENSE"), 0o644, false},
		}
	default:
		return map[string]given{
			"/etc/init.d/dockerdiscovery":                    {first.source("dist/openrc/dockerdiscovery"), 0o755, false},
			"/usr/share/zsh/site-functions/_dockerdiscovery": zsh,
			licence:           {first.source("LICENSE"), 0o644, false},
			"/.PKGINFO":       {"", 0o600, false},
			"/.pre-install":   {first.source("dist/scripts/apk/pre-install"), 0o755, false},
			"/.pre-deinstall": {first.source("dist/scripts/apk/pre-deinstall"), 0o755, false},
			"/.post-upgrade":  {first.source("dist/scripts/apk/post-upgrade"), 0o755, false},
		}
	}
}

// Each package has its files, with their modes, and no others; they are those of the source, and of the folder out.
func TestFiles(t *testing.T) {
	for _, v := range variants {
		for format, have := range map[string]map[string]entry{
			"deb": readDeb(t, v.deb()), "rpm": readRPM(t, v.rpm()), "apk": readAPK(t, v.apk()),
		} {
			want := v.everywhere()
			maps.Copy(want, v.alone(format))
			for _, name := range slices.Sorted(maps.Keys(want)) {
				if problem := compare(t, want[name], have[name]); problem != "" {
					t.Errorf("%s %s: %s %s", v.name, format, name, problem)
				}
				delete(have, name)
			}
			if len(have) > 0 {
				t.Errorf("%s %s has also %v", v.name, format, slices.Sorted(maps.Keys(have)))
			}
		}
	}
}

// compare says what is wrong with a file.
func compare(t *testing.T, want given, have entry) string {
	t.Helper()
	switch {
	case have.sum == "":
		return "is missing"
	case have.mode != want.mode:
		return fmt.Sprintf("has mode %o, want %o", have.mode, want.mode)
	case want.source == "":
		return ""
	}
	content, err := os.ReadFile(want.source)
	if err != nil {
		t.Fatal(err)
	}
	if want.compressed {
		var out bytes.Buffer
		w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
		if err == nil {
			_, err = w.Write(content)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		content = out.Bytes()
	}
	if have.sum != sum(content) {
		return "is not as " + want.source
	}
	return ""
}

// Archives have one folder, with the binary and what is to be read.
func TestArchive(t *testing.T) {
	for _, v := range variants {
		out, err := exec.CommandContext(t.Context(), "gzip", "-cd", v.archive()).Output()
		if err != nil {
			t.Fatal(err)
		}
		folder := "/" + strings.TrimSuffix(path.Base(v.archive()), ".tar.gz") + "/"
		have := readTar(t, bytes.NewReader(out))
		for name, want := range map[string]given{
			program: {v.binary(), 0o755, false}, "LICENSE": {first.source("LICENSE"), 0o644, false}, "NOTICE": {first.source("NOTICE"), 0o644, false},
			"README.md": {first.source("README.md"), 0o644, false}, "CHANGELOG.md": {first.source("CHANGELOG.md"), 0o644, false}, "Corefile": {first.source("dist/Corefile"), 0o644, false},
			"third-party-licences.txt": {first.out("licences/" + v.name + "/linux/third-party-licences.txt"), 0o644, false},
			"man/dockerdiscovery.1":    {first.out("man/dockerdiscovery.1"), 0o644, false}, "man/dockerdiscovery-docker.7": {first.out("man/dockerdiscovery-docker.7"), 0o644, false},
			"completion/bash": {first.out("completion/bash"), 0o644, false}, "completion/zsh": {first.out("completion/zsh"), 0o644, false},
			"completion/fish":         {first.out("completion/fish"), 0o644, false},
			"dockerdiscovery.service": {first.source("dist/systemd/dockerdiscovery.service"), 0o644, false},
		} {
			if problem := compare(t, want, have[folder+name]); problem != "" {
				t.Errorf("%s: %s %s", v.archive(), name, problem)
			}
			delete(have, folder+name)
		}
		if len(have) > 0 {
			t.Errorf("%s has also %v", v.archive(), slices.Sorted(maps.Keys(have)))
		}
	}
}

// The manual pages are where man looks for them, in a package's files as they are.
func TestManual(t *testing.T) {
	dir := t.TempDir()
	run(t, "dpkg-deb", "-x", variants[0].deb(), dir)
	for _, page := range []string{"1 dockerdiscovery", "7 dockerdiscovery-docker"} {
		section, name, _ := strings.Cut(page, " ")
		if out, err := rig.Output(exec.CommandContext(t.Context(), "man", "-M", dir+"/usr/share/man", section, name)); err != nil || !strings.Contains(out, name) {
			t.Errorf("man %s: %v: %s", page, err, out)
		}
	}
}
