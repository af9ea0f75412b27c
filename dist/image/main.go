// Command image makes container images of the binaries, without an engine and without a registry:
//
//	image -version VERSION -revision COMMIT [-full] [-latest] [-label KEY=VALUE]… -docs FOLDER OUT BINARY…
//
// Into the folder OUT go an OCI image layout of all binaries' platforms, as one archive, and for each platform an archive that
// "docker load" takes. The same binaries, documents and SOURCE_DATE_EPOCH make the same bytes.
package main

import (
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// program is what packages and images call the binary, and themselves.
const program = "dockerdiscovery"

// release is what all images of one call have in common.
type release struct {
	version  string
	revision string // of the source
	date     time.Time
	full     bool              // the binary has all of CoreDNS's plugins
	latest   bool              // the images are tagged as the latest too
	more     map[string]string // labels beside those that all images have
	docs     string            // the folder of licences and other documents
}

func main() {
	if err := run(os.Args[1:], os.Getenv("SOURCE_DATE_EPOCH"), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run makes the images that the arguments say.
func run(args []string, epoch string, stderr io.Writer) error {
	r := release{more: map[string]string{}}
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&r.version, "version", "", "the images' `version`, which becomes their tag")
	flags.StringVar(&r.revision, "revision", "", "the `commit` of which the binaries were made")
	flags.BoolVar(&r.full, "full", false, "the binaries have all of CoreDNS's plugins")
	flags.BoolVar(&r.latest, "latest", false, "where they are loaded, the images are the latest too")
	flags.Func("label", "one more `KEY=VALUE` of the images", func(label string) error {
		key, value, given := strings.Cut(label, "=")
		if !given || key == "" {
			return errors.New("want KEY=VALUE")
		}
		r.more[key] = value
		return nil
	})
	flags.StringVar(&r.docs, "docs", "", "the `folder` with licences and other documents")
	if err := flags.Parse(args); err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	switch {
	case err != nil:
		return fmt.Errorf("SOURCE_DATE_EPOCH is '%s': want the images' date, in seconds since 1970", epoch)
	case r.version == "" || r.revision == "" || r.docs == "":
		return errors.New("want -version, -revision and -docs")
	case flags.NArg() < 2:
		return errors.New("want the folder for the images, and a binary for each platform")
	}
	r.date = time.Unix(seconds, 0).UTC()
	return r.write(flags.Arg(0), flags.Args()[1:])
}

// write makes the images of the binaries, and writes their archives into the folder.
func (r release) write(out string, binaries []string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	tags, err := r.tags()
	if err != nil {
		return err
	}
	var images []platformImage
	made := map[string]string{}
	for _, binary := range binaries {
		platform, err := platformOf(binary)
		if err != nil {
			return err
		}
		if other := made[platform.String()]; other != "" {
			return fmt.Errorf("%s and %s are both for %s: want one binary for each platform", other, binary, platform)
		}
		made[platform.String()] = binary
		image, err := r.image(platform, binary)
		if err != nil {
			return err
		}
		one := platformImage{platform, image}
		images = append(images, one)
		file := filepath.Join(out, r.file(platform.Architecture+platform.Variant))
		if err := r.writeDocker(file, one, tags); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	file := filepath.Join(out, r.file("oci"))
	if err := r.writeOCI(file, images, tags); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// file is the name of an archive.
func (r release) file(what string) string {
	name := program + "-image"
	if r.full {
		name += "-full"
	}
	return fmt.Sprintf("%s_%s_%s.tar", name, r.version, what)
}

// platformOf reads from a binary for which platform Go has built it.
func platformOf(binary string) (v1.Platform, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return v1.Platform{}, fmt.Errorf("%s: %w", binary, err)
	}
	built := map[string]string{}
	for _, s := range info.Settings {
		built[s.Key] = s.Value
	}
	p := v1.Platform{OS: built["GOOS"], Architecture: built["GOARCH"]}
	if p.OS != "linux" {
		return p, fmt.Errorf("%s is for %s: want a binary for linux", binary, p)
	}
	if arm, _, _ := strings.Cut(built["GOARM"], ","); arm != "" {
		p.Variant = "v" + arm
	}
	return p, nil
}
