// Package house checks the order of the source: which room may know what, and how long a file may be.
package house

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/dockerdiscovery/dockerdiscovery"

// outside is what a pure room must not know, nor anything that it imports: Docker, CoreDNS's server, and our ways to both.
var outside = []string{
	"github.com/docker/docker", "github.com/moby/moby",
	"github.com/coredns/coredns/core", "github.com/coredns/caddy",
	module + "/internal/engine", module + "/plugin",
}

// outsideOf returns the packages outside that a package of ours imports, by whatever way.
func outsideOf(t *testing.T, dir string) (found []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"/"+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list of %s: %v\n%s", dir, err, stderr.String())
	}
	for dep := range strings.FieldsSeq(string(out)) {
		for _, path := range outside {
			if dep == path || strings.HasPrefix(dep, path+"/") {
				found = append(found, dep)
			}
		}
	}
	return found
}

// TestPureRooms checks that what is hard can be tested without an engine and without a server.
func TestPureRooms(t *testing.T) {
	for _, room := range []string{"zone", "naming", "catalog", "asker", "container", "engine/tracker"} {
		found := slices.DeleteFunc(outsideOf(t, "internal/"+room), func(dep string) bool { return dep == module+"/internal/"+room })
		if len(found) > 0 {
			t.Errorf("internal/%s imports %s", room, strings.Join(found, ", "))
		}
	}
	for _, face := range []string{"internal/engine", "plugin/dockerdiscovery"} {
		if len(outsideOf(t, face)) < 2 { // itself
			t.Errorf("%s imports nothing from outside: this test looks for what is not there", face)
		}
	}
}

// maxFields is how many fields a struct of the tracker may have: one with more is several states in one.
const maxFields = 12

// TestFields checks that the parts of a container's state are told apart.
func TestFields(t *testing.T) {
	files, err := filepath.Glob("../../internal/engine/tracker/*.go")
	if err != nil {
		t.Fatal(err)
	}
	structs := 0
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.StructType); ok {
				structs++
				if n := s.Fields.NumFields(); n > maxFields {
					t.Errorf("%s: a struct has %d fields, want %d at most", path, n, maxFields)
				}
			}
			return true
		})
	}
	if structs == 0 {
		t.Error("there are no structs")
	}
}

// maxLines is how long a file of the product may be.
const maxLines = 400

// TestLengths checks that a file can be read at one go.
func TestLengths(t *testing.T) {
	files := 0
	for _, dir := range []string{"plugin", "internal"} {
		err := filepath.WalkDir(filepath.Join("../..", dir), func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && entry.Name() == "enginetest": // is the tests'
				return filepath.SkipDir
			case entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			files++
			content, err := os.ReadFile(path)
			if n := bytes.Count(content, []byte("\n")); n > maxLines {
				t.Errorf("%s has %d lines, want %d at most", path, n, maxLines)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files == 0 {
		t.Error("there are no files")
	}
}
