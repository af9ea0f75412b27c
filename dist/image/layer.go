package main

import (
	"archive/tar"
	"bytes"
	_ "embed" // the Corefile
	"encoding/pem"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Where things are in the image.
const (
	executable = "usr/bin/" + program
	corefile   = "etc/" + program + "/Corefile"
	documents  = "usr/share/doc/" + program
	rootCAs    = "etc/ssl/certs/ca-certificates.crt" // where Go looks first
)

//go:embed Corefile
var defaultCorefile []byte

// file is a file of the image.
type file struct {
	content []byte
	mode    fs.FileMode
}

// files returns the image's files by their paths.
func (r release) files(binary string) (map[string]file, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	files := map[string]file{
		executable: {content, 0o755},
		corefile:   {defaultCorefile, 0o644},
		rootCAs:    {certificates(), 0o644},
	}
	root := os.DirFS(r.docs)
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		files[path.Join(documents, filepath.ToSlash(name))] = file{content, 0o644}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("documents in %s: %w", r.docs, err)
	}
	return files, nil
}

// certificates are those that Go's own fallback trusts, Mozilla's, in the version that go.mod names: the machine on which the
// image is made has no part in it. Those whose trust is constrained are left out, as a file can't say by what.
func certificates() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a Buffer takes all
		}
	}
	return out.Bytes()
}

// pack makes a tar archive of the files and the folders that they need, all of which are root's and of one date.
func pack(files map[string]file, date time.Time) ([]byte, error) {
	headers := map[string]*tar.Header{}
	for name, f := range files {
		headers[name] = &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(f.content)), Mode: int64(f.mode), ModTime: date}
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			headers[dir] = &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: date}
		}
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(headers)) { // a folder comes before what is in it
		if err := w.WriteHeader(headers[name]); err != nil {
			return nil, err
		}
		if _, err := w.Write(files[name].content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}
