// Command pack makes what is given out of the source: for each target the lean and the full binary, an archive, a list of
// what is in the binary, and for Linux packages for dpkg, rpm and apk.
//
//	pack [-targets OS/ARCH,…] [-full=false] OUT
//
// It builds by build.sh, and takes the manual pages from OUT/man. The same source, version, SOURCE_DATE_EPOCH and Go make the same bytes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// program is what the packages call the binary, and themselves.
const program = "dockerdiscovery"

// release is what everything of one call has in common.
type release struct {
	out     string // folder
	version version
	date    time.Time
}

func main() {
	if err := run(os.Args[1:], os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// run makes what the arguments say. Its working directory is this command's folder.
func run(args []string, epoch string) error {
	flags := flag.NewFlagSet("pack", flag.ContinueOnError)
	chosen := flags.String("targets", "", "the `targets` to make, as linux/amd64,linux/arm64; else all")
	full := flags.Bool("full", true, "make what holds the full binary too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("want the folder for what is made")
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH is '%s': want the date of all files, in seconds since 1970", epoch)
	}
	targets, err := parseTargets(*chosen)
	if err != nil {
		return err
	}
	if err := os.Chdir("../.."); err != nil { // the repository's root
		return err
	}
	out, err := exec.Command("dist/version").Output()
	if err != nil {
		return fmt.Errorf("dist/version: %w", err)
	}
	v, err := parseVersion(strings.TrimSpace(string(out)))
	if err != nil {
		return err
	}
	r := release{filepath.Clean(flags.Arg(0)), v, time.Unix(seconds, 0).UTC()}
	variants := []variant{lean, fullVariant}
	if !*full {
		variants = variants[:1]
	}
	return r.make(targets, variants)
}

// make makes everything for the targets.
func (r release) make(targets []target, variants []variant) error {
	if err := r.prepare(); err != nil {
		return err
	}
	for _, v := range variants {
		licences := map[string]licences{} // by operating system
		for _, t := range targets {
			if _, ok := licences[t.os]; !ok {
				found, err := findLicences(t.os, v)
				if err != nil {
					return fmt.Errorf("licences of what is in %s for %s: %w", v.name, t.os, err)
				}
				if err := r.writeLicences(v, t.os, found); err != nil {
					return err
				}
				licences[t.os] = found
			}
			if err := r.makeTarget(t, v, licences[t.os]); err != nil {
				return fmt.Errorf("%s for %s: %w", v.name, t, err)
			}
		}
	}
	return nil
}

// makeTarget makes what there is of one binary.
func (r release) makeTarget(t target, v variant, l licences) error {
	steps := []func() error{
		func() error { return r.build(t, v) },
		func() error { return r.writeSBOM(t, v, l) },
		func() error { return r.archive(t, v) },
	}
	if t.os == "linux" {
		steps = append(steps, func() error { return r.packages(t, v, l) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
