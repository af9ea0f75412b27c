package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	classifier "github.com/google/licenseclassifier/v2"
	"github.com/google/licenseclassifier/v2/assets"
)

// goModule stands for Go's standard library, which is in each binary.
const goModule = "std"

// licences are those of the modules that a binary may be made of.
type licences struct {
	texts map[string][]string // modules with their versions by what is written of them: a file's name and content
	ids   map[string][]string // SPDX identifiers by module, ours left out
}

// licenceFile matches the names of files with licences and with what is to be told beside them.
var licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|copyright|notice|patents)([-._].*)?$`)

// goPackage is what go list tells of a package.
type goPackage struct {
	Dir      string
	Standard bool
	Module   *struct {
		Path, Version, Dir string
		Main               bool
		Replace            *struct{ Path, Version, Dir string }
	}
}

// findLicences finds the licences of all that a variant's binaries for the operating system are made of. A licence counts for the folder in
// which it is and for those below.
func findLicences(goos string, v variant) (licences, error) {
	l := licences{map[string][]string{}, map[string][]string{}}
	known, err := assets.DefaultClassifier()
	if err != nil {
		return l, err
	}
	env, err := exec.Command("go", "env", "GOVERSION", "GOROOT").Output()
	if err != nil {
		return l, fmt.Errorf("go env: %w", err)
	}
	goVersion, goRoot, _ := strings.Cut(strings.TrimSpace(string(env)), "\n")
	read := map[string]bool{} // folders
	for _, t := range targets {
		if t.os != goos {
			continue
		}
		packages, err := listPackages(t, v)
		if err != nil {
			return l, err
		}
		for _, p := range packages {
			name, version, root := goModule, goVersion, goRoot
			if m := p.Module; m != nil {
				name, version, root = m.Path, m.Version, m.Dir
			}
			if p.Module != nil && p.Module.Main {
				continue
			}
			for dir := p.Dir; ; dir = filepath.Dir(dir) {
				if p.Standard {
					dir = root
				}
				if !read[dir] {
					read[dir] = true
					if err := l.readFolder(known, name, version, root, dir); err != nil {
						return l, err
					}
				}
				if dir == root {
					break
				}
			}
			if len(l.ids[name]) == 0 {
				return l, fmt.Errorf("no licence of %s %s is known: %s", name, version, root)
			}
		}
	}
	for _, ids := range l.ids {
		slices.Sort(ids)
	}
	return l, nil
}

// listPackages returns the packages of a binary.
func listPackages(t target, v variant) (all []goPackage, err error) {
	cmd := exec.Command("go", "list", "-deps", "-tags", v.tags, "-json=Dir,Standard,Module", ".")
	cmd.Env = append(os.Environ(), t.environment()...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.String())
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
}

// readFolder takes up the licences that a module has in one of its folders.
func (l *licences) readFolder(known *classifier.Classifier, module, version, root, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		ending := filepath.Ext(entry.Name())
		if entry.IsDir() || !licenceFile.MatchString(entry.Name()) || ending == ".go" || ending == ".docs" { // of documents
			continue
		}
		path := filepath.Join(dir, entry.Name())
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		text := filepath.ToSlash(inside) + "\n\n" + strings.TrimSpace(string(content)) + "\n"
		l.texts[text] = append(l.texts[text], module+" "+version)
		for _, m := range known.Match(content).Matches {
			if m.MatchType == "License" && !slices.Contains(l.ids[module], m.Name) {
				l.ids[module] = append(l.ids[module], m.Name)
			}
		}
	}
	return nil
}

const licencesHead = `What follows is in the binaries, under the licence that stands below its names.
`

// page is all that the modules' authors have written of licences, each text once.
func (l licences) page() []byte {
	type text struct{ modules, content string }
	var all []text
	for content, modules := range l.texts {
		slices.Sort(modules)
		all = append(all, text{strings.Join(modules, "\n"), content})
	}
	slices.SortFunc(all, func(a, b text) int {
		return strings.Compare(a.modules+"\n"+a.content, b.modules+"\n"+b.content)
	})
	var page bytes.Buffer
	page.WriteString(licencesHead)
	for _, t := range all {
		fmt.Fprintf(&page, "\n%[1]s\n%[2]s\n%[1]s\n%[3]s", strings.Repeat("=", 80), t.modules, t.content)
	}
	return page.Bytes()
}

// expression is an SPDX expression of all licences, ours included.
func (l licences) expression() string {
	all := map[string]bool{"Apache-2.0": true}
	for _, ids := range l.ids {
		for _, id := range ids {
			all[id] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(all)), " AND ")
}

// documents is the folder with the licences of a variant's binaries for the operating system.
func (r release) documents(v variant, goos string) string {
	return filepath.Join(r.out, "licences", v.name, goos)
}

// compressedLicences is the file with the modules' licences as packages have it.
func (r release) compressedLicences(v variant, goos string) string {
	return filepath.Join(r.out, "gz", fmt.Sprintf("%s-%s-%s.gz", v.name, goos, thirdParty))
}

// thirdParty is the name of the file with the modules' licences.
const thirdParty = "third-party-licences.txt"

// writeLicences writes our licence and those of the modules.
func (r release) writeLicences(v variant, goos string, l licences) error {
	dir := r.documents(v, goos)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"LICENSE", "NOTICE"} {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	page := l.page()
	if err := os.WriteFile(filepath.Join(dir, thirdParty), page, 0o644); err != nil {
		return err
	}
	return writeGzip(r.compressedLicences(v, goos), page)
}
