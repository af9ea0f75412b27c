package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// epoch is when the images of the tests are from.
const epoch = "1770000000" // 2026-02-02T02:40:00Z

// platforms are those of which there are images, and how Go is told to build for them.
var platforms = map[string][]string{
	"linux/amd64": {"GOARCH=amd64"}, "linux/arm64": {"GOARCH=arm64"}, "linux/arm/v7": {"GOARCH=arm", "GOARM=7"}, "linux/riscv64": {"GOARCH=riscv64"},
}

// built is a folder with a binary for each platform, and one for another system.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if built, err = os.MkdirTemp("", "image-test-"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(built)
		source := filepath.Join(built, "main.go")
		if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
			panic(err)
		}
		build := func(platform string, env ...string) {
			cmd := exec.Command("go", "build", "-trimpath", "-o", binary(platform), source)
			cmd.Env = append(os.Environ(), append(env, "CGO_ENABLED=0")...)
			if out, err := cmd.CombinedOutput(); err != nil {
				panic(string(out))
			}
		}
		for platform, env := range platforms {
			build(platform, append(env, "GOOS=linux")...)
		}
		build("darwin/arm64", "GOOS=darwin", "GOARCH=arm64")
		return m.Run()
	}())
}

func binary(platform string) string {
	return filepath.Join(built, strings.ReplaceAll(platform, "/", "-"))
}

// makes makes the images for all platforms, and returns their folder and the archives' names.
func makes(t *testing.T, flags ...string) (out string, archives []string) {
	t.Helper()
	out = filepath.Join(t.TempDir(), "out")
	args := append(flags, "-version", "1.2.3", "-revision", "4567", "-docs", "testdata", out)
	for _, platform := range slices.Sorted(maps.Keys(platforms)) {
		args = append(args, binary(platform))
	}
	if err := run(args, epoch, io.Discard); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		archives = append(archives, e.Name())
	}
	return out, archives
}

func TestArchives(t *testing.T) {
	for flag, name := range map[string]string{"-full=false": "dockerdiscovery-image_1.2.3_", "-full": "dockerdiscovery-image-full_1.2.3_"} {
		first, archives := makes(t, flag)
		if want := []string{name + "amd64.tar", name + "arm64.tar", name + "armv7.tar", name + "oci.tar", name + "riscv64.tar"}; !slices.Equal(archives, want) {
			t.Errorf("%s makes %q, want %q", flag, archives, want)
		}
		second, _ := makes(t, flag)
		for _, a := range archives {
			one, err1 := os.ReadFile(filepath.Join(first, a))
			two, err2 := os.ReadFile(filepath.Join(second, a))
			if err1 != nil || err2 != nil || !bytes.Equal(one, two) {
				t.Errorf("%s: two archives differ (%v, %v)", a, err1, err2)
			}
		}
	}
}

// The layout is whole, and has one image for all platforms.
func TestLayout(t *testing.T) {
	out, _ := makes(t)
	dir := t.TempDir()
	if cmd, err := exec.Command("tar", "-xf", filepath.Join(out, "dockerdiscovery-image_1.2.3_oci.tar"), "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, cmd)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	top := manifests(t, index)
	if len(top) != 1 || top[0].Annotations["org.opencontainers.image.ref.name"] != "1.2.3" {
		t.Fatalf("index.json has %+v, want one entry 1.2.3", top)
	}
	all, err := index.ImageIndex(top[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, m := range manifests(t, all) {
		image, err := all.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if got := config.Platform().String(); got != m.Platform.String() {
			t.Errorf("the image for %s says that it is for %s", m.Platform, got)
		}
		found[m.Platform.String()] = true
	}
	if !slices.Equal(slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(platforms))) {
		t.Errorf("there are images for %v", found)
	}
}

func manifests(t *testing.T, index v1.ImageIndex) []v1.Descriptor {
	t.Helper()
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return m.Manifests
}

// loaded returns the image in an archive, as "docker load" reads it.
func loaded(t *testing.T, archive string) (image v1.Image, tags []string) {
	t.Helper()
	open := func() (io.ReadCloser, error) { return os.Open(archive) }
	manifest, err := tarball.LoadManifest(open)
	if err != nil || len(manifest) != 1 {
		t.Fatalf("%s has %d images (%v), want one", archive, len(manifest), err)
	}
	if image, err = tarball.Image(open, nil); err != nil {
		t.Fatal(err)
	}
	return image, manifest[0].RepoTags
}

// The image is run by a numeric user, looks after itself, and says what it is.
func TestConfig(t *testing.T) {
	for flag, tags := range map[string][]string{
		"-full=false": {"dockerdiscovery:1.2.3", "dockerdiscovery:latest"},
		"-full":       {"dockerdiscovery:1.2.3-full", "dockerdiscovery:full"},
	} {
		out, archives := makes(t, flag, "-latest", "-label", "vendor=a=b", "-label", "empty=")
		image, got := loaded(t, filepath.Join(out, archives[2]))
		if !slices.Equal(got, tags) {
			t.Errorf("%s: tags %q, want %q", flag, got, tags)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		c := config.Config
		if c.User != "65532:65532" || len(c.ExposedPorts) != 2 || config.Platform().String() != "linux/arm/v7" {
			t.Errorf("user %s, ports %v, platform %s", c.User, c.ExposedPorts, config.Platform())
		}
		if got := strings.Join(append(c.Entrypoint, c.Cmd...), " "); got != "/usr/bin/dockerdiscovery -conf /etc/dockerdiscovery/Corefile" {
			t.Errorf("it runs %s", got)
		}
		if got := strings.Join(c.Healthcheck.Test, " "); got != "CMD /usr/bin/dockerdiscovery docker health" {
			t.Errorf("its health check is %s", got)
		}
		if more, empty := c.Labels["vendor"], c.Labels["empty"]; more != "a=b" || empty != "" || len(c.Labels) != 9 {
			t.Errorf("it has the labels %q", c.Labels)
		}
		title := strings.Replace("dockerdiscovery"+flag, "-full=false", "", 1)
		for key, want := range map[string]string{"title": title, "version": "1.2.3", "revision": "4567", "created": "2026-02-02T02:40:00Z", "licenses": "Apache-2.0"} {
			if got := c.Labels["org.opencontainers.image."+key]; got != want {
				t.Errorf("%s: label %s is '%s', want '%s'", flag, key, got, want)
			}
		}
	}
}

// The build metadata of a semantic version is in the tag in a form that tags may have.
func TestTags(t *testing.T) {
	tags, err := release{version: "1.2.3-rc.1+changed"}.tags()
	if err != nil || len(tags) != 1 || tags[0].String() != "dockerdiscovery:1.2.3-rc.1-changed" {
		t.Errorf("tags %v, %v", tags, err)
	}
}

func TestFiles(t *testing.T) {
	out, archives := makes(t)
	image, _ := loaded(t, filepath.Join(out, archives[0]))
	contents := mutate.Extract(image)
	defer contents.Close()
	found := map[string]string{}
	for r := tar.NewReader(contents); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.ModTime.Format("2006-01-02") != "2026-02-02" {
			t.Errorf("%s is %d:%d's, from %v", h.Name, h.Uid, h.Gid, h.ModTime)
		}
		want := fs.FileMode(0o644)
		if h.Typeflag == tar.TypeDir || h.Name == "usr/bin/dockerdiscovery" {
			want = 0o755
		}
		if got := h.FileInfo().Mode().Perm(); got != want {
			t.Errorf("%s has mode %v, want %v", h.Name, got, want)
		}
		if h.Typeflag == tar.TypeReg {
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			found[h.Name] = string(content)
		}
	}
	program, err := os.ReadFile(binary("linux/amd64"))
	if err != nil || found["usr/bin/dockerdiscovery"] != string(program) {
		t.Errorf("the program is another one (%v)", err)
	}
	if !strings.Contains(found["etc/dockerdiscovery/Corefile"], "docker docker.") {
		t.Error("there is no Corefile")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(found["etc/ssl/certs/ca-certificates.crt"])) || strings.Count(found["etc/ssl/certs/ca-certificates.crt"], "BEGIN") < 100 {
		t.Error("there are not the certificates of the usual CAs")
	}
	for _, doc := range []string{"LICENSE", "third-party/example/LICENSE"} {
		want, err := os.ReadFile(filepath.Join("testdata", doc))
		if err != nil || found["usr/share/doc/dockerdiscovery/"+doc] != string(want) {
			t.Errorf("%s is not in the image (%v)", doc, err)
		}
	}
	if len(found) != 5 {
		t.Errorf("the image has %q", slices.Sorted(maps.Keys(found)))
	}
}

// What reads images that are not ours to read takes ours for each platform.
func TestSkopeo(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skipf("skopeo is not installed: %v", err)
	}
	out, archives := makes(t)
	inspect := func(platform, at string) {
		p, err := v1.ParsePlatform(platform)
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"inspect", "--override-os", p.OS, "--override-arch", p.Architecture, "--override-variant", p.Variant, at}
		report, err := exec.Command(skopeo, args...).Output()
		var said struct {
			Architecture string
			Layers       []string
			Labels       map[string]string
		}
		if err == nil {
			err = json.Unmarshal(report, &said)
		}
		if err != nil || said.Architecture != p.Architecture || len(said.Layers) != 1 || said.Labels["org.opencontainers.image.version"] != "1.2.3" {
			t.Errorf("skopeo %q: %v: %s", args, err, report)
		}
	}
	for platform := range platforms {
		inspect(platform, "oci-archive:"+filepath.Join(out, "dockerdiscovery-image_1.2.3_oci.tar"))
	}
	for i, platform := range []string{"linux/amd64", "linux/arm64", "linux/arm/v7", "", "linux/riscv64"} {
		if platform != "" {
			inspect(platform, "docker-archive:"+filepath.Join(out, archives[i]))
			inspect(platform, "oci-archive:"+filepath.Join(out, archives[i])+":1.2.3")
		}
	}
}

func TestRefused(t *testing.T) {
	amd64, out := binary("linux/amd64"), filepath.Join(t.TempDir(), "out")
	good := []string{"-version", "1.2.3", "-revision", "4567", "-docs", "testdata", out}
	for _, c := range []struct {
		args        []string
		epoch, want string
	}{
		{nil, epoch, "want -version, -revision and -docs"},
		{good, epoch, "a binary for each platform"},
		{append(slices.Clip(good), amd64), "now", "SOURCE_DATE_EPOCH is 'now'"},
		{append(slices.Clip(good), amd64, amd64), epoch, "are both for linux/amd64"},
		{append(slices.Clip(good), binary("darwin/arm64")), epoch, "is for darwin/arm64: want a binary for linux"},
		{append(slices.Clip(good), "main.go"), epoch, "main.go: "},
		{append(slices.Clip(good), "nothing"), epoch, "nothing: no such file"},
		{append([]string{"-label", "=b"}, append(slices.Clone(good), amd64)...), epoch, "want KEY=VALUE"},
		{append([]string{"-version", "1.2.3~rc1"}, append(slices.Clone(good[2:]), amd64)...), epoch, "the version '1.2.3~rc1' can't be an image's tag"},
		{append(slices.Clone(good[:5]), "nowhere", out, amd64), epoch, "nowhere"},
		{append(slices.Clone(good[:6]), "main.go", amd64), epoch, "main.go: not a directory"},
	} {
		if err := run(c.args, c.epoch, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q at %q: %v, want %q", c.args, c.epoch, err, c.want)
		}
	}
}
