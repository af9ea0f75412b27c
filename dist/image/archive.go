package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Annotations of an OCI image layout's index. containerd goes by its own, and has the whole name there.
const (
	refName        = "org.opencontainers.image.ref.name"
	containerdName = "io.containerd.image.name"
)

// writeOCI writes an image layout that holds one image, which is for all platforms.
func (r release) writeOCI(file string, images []platformImage, tags []name.Tag) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, i := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: i.image, Descriptor: v1.Descriptor{Platform: &i.platform}})
	}
	index = mutate.Annotations(index, r.labels()).(v1.ImageIndex)
	// One entry: of several, tools want to be told which.
	return r.writeLayout(file, mutate.IndexAddendum{Add: index}, tags[:1], nil)
}

// writeDocker writes an archive that all versions of "docker load" take: a layout as of OCI, in which the older ones go by
// the file manifest.json.
func (r release) writeDocker(file string, i platformImage, tags []name.Tag) error {
	manifest, err := i.image.Manifest()
	if err != nil {
		return err
	}
	loaded := tarball.Descriptor{Config: blob(manifest.Config.Digest)}
	for _, tag := range tags {
		loaded.RepoTags = append(loaded.RepoTags, tag.String())
	}
	for _, layer := range manifest.Layers {
		loaded.Layers = append(loaded.Layers, blob(layer.Digest))
	}
	return r.writeLayout(file, mutate.IndexAddendum{Add: i.image, Descriptor: v1.Descriptor{Platform: &i.platform}}, tags, tarball.Manifest{loaded})
}

// blob is where a layout has a blob.
func blob(digest v1.Hash) string { return path.Join("blobs", digest.Algorithm, digest.Hex) }

// writeLayout writes an archive of an image layout with an entry for each tag, and with manifest.json unless there is none.
func (r release) writeLayout(file string, entry mutate.IndexAddendum, tags []name.Tag, manifest tarball.Manifest) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, tag := range tags {
		entry.Annotations = map[string]string{refName: tag.TagStr(), containerdName: "docker.io/library/" + tag.String()}
		index = mutate.AppendManifests(index, entry)
	}
	dir, err := os.MkdirTemp("", "image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	at, err := layout.Write(dir, index)
	if err != nil {
		return err
	}
	if manifest != nil {
		text, err := json.Marshal(manifest)
		if err != nil {
			return err
		}
		if err := at.WriteFile("manifest.json", text, 0o644); err != nil {
			return err
		}
	}
	return r.archive(file, os.DirFS(dir))
}

// archive writes an archive of all files.
func (r release) archive(to string, from fs.FS) error {
	files := map[string]file{}
	err := fs.WalkDir(from, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(from, name)
		files[name] = file{content, 0o644}
		return err
	})
	if err != nil {
		return err
	}
	content, err := pack(files, r.date)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}
