package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is who runs the server, by number: Kubernetes' runAsNonRoot can't look a name up. The distroless images and CoreDNS's
// own have the same.
const user = "65532:65532"

// platformImage is an image for one platform.
type platformImage struct {
	platform v1.Platform
	image    v1.Image
}

// image makes the image of a binary.
func (r release) image(platform v1.Platform, binary string) (v1.Image, error) {
	files, err := r.files(binary)
	if err != nil {
		return nil, err
	}
	content, err := pack(files, r.date)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant,
		Created: v1.Time{Time: r.date}, Config: r.config(), RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{
		Created: v1.Time{Time: r.date}, CreatedBy: fmt.Sprintf("%s %s for %s", program, r.version, platform),
	}})
}

// config says how the server is run.
func (r release) config() v1.Config {
	return v1.Config{
		User:         user,
		Env:          []string{"PATH=/usr/bin"},
		Entrypoint:   []string{"/" + executable},
		Cmd:          []string{"-conf", "/" + corefile},
		WorkingDir:   "/",
		ExposedPorts: map[string]struct{}{"53/udp": {}, "53/tcp": {}},
		Labels:       r.labels(),
		// OCI's specification has no health check. Docker, BuildKit and Podman keep it here all the same, and others pass over it.
		// The command takes 2 s at most by itself: the timeout is for a machine that is too busy to start it.
		Healthcheck: &v1.HealthConfig{
			Test:     []string{"CMD", "/" + executable, "docker", "health"},
			Interval: 10 * time.Second, Timeout: 5 * time.Second, StartPeriod: 10 * time.Second, Retries: 3,
		},
	}
}

// labels describe the image as OCI's specification says. They are annotations too.
func (r release) labels() map[string]string {
	const key = "org.opencontainers.image."
	title := program
	if r.full {
		title += "-full"
	}
	labels := map[string]string{
		key + "title":       title,
		key + "description": "DNS for running containers, by CoreDNS",
		key + "version":     r.version,
		key + "revision":    r.revision,
		key + "created":     r.date.Format(time.RFC3339),
		key + "source":      "https://github.com/dockerdiscovery/dockerdiscovery",
		key + "licenses":    "Apache-2.0",
	}
	maps.Copy(labels, r.more)
	return labels
}

// tags are the image's names where it is loaded: its version's and, if it is that, the latest's.
func (r release) tags() (tags []name.Tag, err error) {
	called := []string{strings.ReplaceAll(r.version, "+", "-")} // semantic versions may have what tags may not
	if r.full {
		called[0] += "-full"
	}
	switch {
	case r.latest && r.full:
		called = append(called, "full")
	case r.latest:
		called = append(called, "latest")
	}
	for _, tag := range called {
		t, err := name.NewTag(program + ":" + tag)
		if err != nil {
			return nil, fmt.Errorf("the version '%s' can't be an image's tag: %w", r.version, err)
		}
		tags = append(tags, t)
	}
	return tags, nil
}
