package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/apk" // the formats
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// changelog is what the packages' own changelogs say, in the form that nfpm reads.
const changelog = `- semver: %s-%s
  date: %s
  packager: %s
  deb: {urgency: medium, distributions: [unstable]}
  changes: [{note: "A new version: changelog.gz has what has changed."}]
`

// maintainer is who answers for the packages.
const maintainer = "The dockerdiscovery authors <dockerdiscovery@users.noreply.github.com>"

// revision is that of the package: it grows when the same version is packaged anew.
const revision = "1"

func (r release) changelog() string { return filepath.Join(r.out, "gz", "changelog.yaml") }

func (r release) writeChangelog() error {
	text := fmt.Sprintf(changelog, r.version.tilde(), revision, r.date.Format(time.RFC3339), maintainer)
	return os.WriteFile(r.changelog(), []byte(text), 0o644)
}

// providing has a package stand for that of the lean binary: name, version and revision, as the format writes them.
var providing = map[string]string{"deb": "%s (= %s-%s)", "rpm": "%s = %s-%s"}

// packages makes the packages with one binary, as dist/nfpm.yaml describes them.
func (r release) packages(t target, v variant, l licences) error {
	apkVersion, err := r.version.apk()
	if err != nil {
		return err
	}
	arch := t.arch
	if arch == "arm" {
		arch = "arm7"
	}
	values := map[string]string{
		"NAME": v.name, "OTHER": v.other, "ARCH": arch, "MAINTAINER": maintainer, "OUT": r.out,
		"BINARY": r.binary(t, v), "LICENCES": r.compressedLicences(v, t.os),
	}
	for format, version := range map[string]struct{ version, revision string }{
		"deb": {r.version.tilde(), revision}, "rpm": {r.version.tilde(), revision}, "apk": {apkVersion, "r0"},
	} {
		values["VERSION"], values["REVISION"], values["PROVIDES"] = version.version, version.revision, ""
		if provides := providing[format]; v.name != program && provides != "" {
			values["PROVIDES"] = fmt.Sprintf(provides, program, version.version, version.revision)
		}
		if err := r.pack(format, values, l); err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
	}
	return nil
}

// pack makes a package of the format. Values are what dist/nfpm.yaml leaves open.
func (r release) pack(format string, values map[string]string, l licences) error {
	config, err := nfpm.ParseFileWithEnvMapping("dist/nfpm.yaml", func(key string) string { return values[key] })
	if err != nil {
		return err
	}
	info, err := config.Get(format)
	if err != nil {
		return err
	}
	info.MTime, info.Changelog, info.License = r.date, r.changelog(), l.expression()
	switch format {
	case "apk": // has one line for it
		info.Description, _, _ = strings.Cut(info.Description, "\n")
	case "rpm": // knows manuals and documents, which who installs may leave out
		for _, c := range info.Contents {
			if c.Type == "" && (strings.HasPrefix(c.Destination, "/usr/share/doc/") || strings.HasPrefix(c.Destination, "/usr/share/man/")) {
				c.Type = files.TypeRPMDoc
			}
		}
	}
	info = nfpm.WithDefaults(info)
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := packager.Package(info, &out); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, packager.ConventionalFileName(info)), out.Bytes(), 0o644)
}
