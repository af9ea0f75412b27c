package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// file is the path of what is made of one binary, but for its ending.
func (r release) file(t target, v variant) string {
	return filepath.Join(r.out, fmt.Sprintf("%s_%s_%s_%s", v.name, r.version, t.os, t.arch))
}

// writeSBOM writes what the binary is made of, as CycloneDX has it.
func (r release) writeSBOM(t target, v variant, l licences) error {
	content, err := os.ReadFile(r.binary(t, v))
	if err != nil {
		return err
	}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return err
	}
	file, err := os.Create(r.file(t, v) + ".cdx.json")
	if err != nil {
		return err
	}
	defer file.Close()
	bom := r.bom(info, sha256.Sum256(content), v, l)
	if err := encode(file, bom); err != nil {
		return err
	}
	return file.Close()
}

// encode writes the list in the version of CycloneDX's form that scanners know by now.
func encode(w io.Writer, bom *cdx.BOM) error {
	return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
}

// bom lists the modules that Go has noted in the binary with the sum.
func (r release) bom(info *buildinfo.BuildInfo, sum [sha256.Size]byte, v variant, l licences) *cdx.BOM {
	main := cdx.Component{
		Type: cdx.ComponentTypeApplication, Name: v.name, Version: r.version.String(), BOMRef: purl(info.Main.Path, "v"+r.version.String()),
		PackageURL: purl(info.Main.Path, "v"+r.version.String()),
		Licenses:   licenses([]string{"Apache-2.0"}),
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
	}
	components := []cdx.Component{module(goModule, strings.TrimPrefix(info.GoVersion, "go"), "", l)}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		components = append(components, module(m.Path, m.Version, m.Sum, l))
	}
	var refs []string
	for _, c := range components {
		refs = append(refs, c.BOMRef)
	}
	bom := cdx.NewBOM()
	bom.SerialNumber = serial(sum)
	bom.Metadata = &cdx.Metadata{Timestamp: r.date.Format(time.RFC3339), Component: &main}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	return bom
}

// module is what is told of a module, with the sum by which go.sum knows it.
func module(path, version, sum string, l licences) cdx.Component {
	c := cdx.Component{
		Type: cdx.ComponentTypeLibrary, Name: path, Version: version, BOMRef: purl(path, version), PackageURL: purl(path, version),
		Scope: cdx.ScopeRequired, Licenses: licenses(l.ids[path]),
	}
	if encoded, ok := strings.CutPrefix(sum, "h1:"); ok {
		if raw, err := base64.StdEncoding.DecodeString(encoded); err == nil { // Go has checked it
			c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(raw)}}
		}
	}
	return c
}

func licenses(ids []string) *cdx.Licenses {
	var all cdx.Licenses
	for _, id := range ids {
		all = append(all, cdx.LicenseChoice{License: &cdx.License{ID: id}})
	}
	return &all
}

// purl is a module's package URL.
func purl(path, version string) string {
	return "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B") + "?type=module"
}

// serial is a UUID of the binary's own: of version 8, whose bits are the maker's choice (RFC 9562, 5.8).
func serial(sum [sha256.Size]byte) string {
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
