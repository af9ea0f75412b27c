package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/command"
)

// prepare makes what all have in common: the scripts by which shells complete the sub-command, and what packages want compressed.
func (r release) prepare() error {
	for _, dir := range []string{"bin", "completion", "gz"} {
		if err := os.MkdirAll(filepath.Join(r.out, dir), 0o755); err != nil {
			return err
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		file, err := os.Create(filepath.Join(r.out, "completion", shell))
		if err != nil {
			return err
		}
		defer file.Close()
		command.Run(program, []string{"completion", shell}, file, os.Stderr)
		if err := file.Close(); err != nil {
			return err
		}
	}
	for _, source := range []string{filepath.Join(r.out, "man", program+".1"), filepath.Join(r.out, "man", program+"-docker.7"), "CHANGELOG.md"} {
		content, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		if err := writeGzip(filepath.Join(r.out, "gz", filepath.Base(source)+".gz"), content); err != nil {
			return err
		}
	}
	return r.writeChangelog()
}

// writeGzip compresses the content into a file, which tells neither name nor time.
func writeGzip(file string, content []byte) error {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// archived is a file of an archive.
type archived struct {
	name, source string
	mode         fs.FileMode
}

// archive makes the target's archive: for Windows a zip file, else a compressed tar file, with one folder.
func (r release) archive(t target, v variant) error {
	licences := r.documents(v, t.os)
	files := []archived{
		{program + strings.TrimPrefix(filepath.Ext(r.binary(t, v)), filepath.Ext(strings.TrimSuffix(r.binary(t, v), ".exe"))), r.binary(t, v), 0o755},
		{"CHANGELOG.md", "CHANGELOG.md", 0o644},
		{"Corefile", "dist/Corefile", 0o644},
		{"LICENSE", filepath.Join(licences, "LICENSE"), 0o644},
		{"NOTICE", filepath.Join(licences, "NOTICE"), 0o644},
		{"README.md", "README.md", 0o644},
		{"completion/bash", filepath.Join(r.out, "completion", "bash"), 0o644},
		{"completion/fish", filepath.Join(r.out, "completion", "fish"), 0o644},
		{"completion/zsh", filepath.Join(r.out, "completion", "zsh"), 0o644},
		{"man/dockerdiscovery-docker.7", filepath.Join(r.out, "man", program+"-docker.7"), 0o644},
		{"man/dockerdiscovery.1", filepath.Join(r.out, "man", program+".1"), 0o644},
		{thirdParty, filepath.Join(licences, thirdParty), 0o644},
	}
	if t.os == "linux" {
		files = append(files, archived{"dockerdiscovery.service", "dist/systemd/dockerdiscovery.service", 0o644})
	}
	write, ending := r.writeTar, ".tar.gz"
	if t.os == "windows" {
		write, ending = r.writeZip, ".zip"
	}
	file, err := os.Create(r.file(t, v) + ending)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := write(file, filepath.Base(r.file(t, v)), files); err != nil {
		return err
	}
	return file.Close()
}

func (r release) writeTar(out io.Writer, folder string, files []archived) error {
	compressed, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(compressed)
	for _, f := range files {
		content, err := os.ReadFile(f.source)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: path.Join(folder, f.name), Mode: int64(f.mode), Size: int64(len(content)), ModTime: r.date}); err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return compressed.Close()
}

func (r release) writeZip(out io.Writer, folder string, files []archived) error {
	w := zip.NewWriter(out)
	for _, f := range files {
		content, err := os.ReadFile(f.source)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: path.Join(folder, f.name), Method: zip.Deflate, Modified: r.date}
		header.SetMode(f.mode)
		entry, err := w.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := entry.Write(content); err != nil {
			return err
		}
	}
	return w.Close()
}
