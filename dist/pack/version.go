package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// version is a version by semantic versioning.
type version struct{ *semver.Version }

func parseVersion(text string) (version, error) {
	v, err := semver.StrictNewVersion(text)
	if err != nil {
		return version{}, fmt.Errorf("the version '%s' is none by semantic versioning, as 1.2.3 and 1.2.3-rc.1 are: %w; VERSION sets one", text, err)
	}
	return version{v}, nil
}

// core is the version's number.
func (v version) core() string { return fmt.Sprintf("%d.%d.%d", v.Major(), v.Minor(), v.Patch()) }

// tilde is the version as dpkg and rpm order it: what comes after a tilde is before the version without it. A hyphen would
// begin their own revision.
func (v version) tilde() string {
	text := v.core()
	if p := v.Prerelease(); p != "" {
		text += "~" + strings.ReplaceAll(p, "-", ".")
	}
	if m := v.Metadata(); m != "" {
		text += "+" + strings.ReplaceAll(m, "-", ".")
	}
	return text
}

var (
	ofTag    = regexp.MustCompile(`^(alpha|beta|pre|rc)\.?([0-9]*)$`)
	ofCommit = regexp.MustCompile(`^([0-9]{14})-[0-9a-f]{12}$`)
)

// apk is the version as apk orders it, which knows some words alone. Of what dist/version makes of an untagged commit it
// takes the date, and it has nothing for what comes after a plus sign.
func (v version) apk() (string, error) {
	p := v.Prerelease()
	if p == "" {
		return v.core(), nil
	}
	if m := ofTag.FindStringSubmatch(p); m != nil {
		return v.core() + "_" + m[1] + m[2], nil
	}
	if m := ofCommit.FindStringSubmatch(p); m != nil {
		return v.core() + "_git" + m[1], nil
	}
	return "", fmt.Errorf("apk has nothing for the version %s: want alpha, beta, pre or rc after the hyphen, and a number, as in 1.2.3-rc.1", v)
}
