// Package alerts checks what dist has for Prometheus and Grafana: by promtool, against the metrics that the binary exports, and
// with a Prometheus that fires.
package alerts

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

const (
	dist     = "../../dist"
	rules    = dist + "/prometheus/alerts.yaml"
	rulesOfs = dist + "/prometheus/alerts_test.yaml" // promtool's tests of the rules
	runbook  = "../../docs/operations.md"
)

var folder string // of the tests

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if folder, err = os.MkdirTemp("", "alerts"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	return m.Run()
}

// binary is coredns as build.sh makes it.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(folder, "coredns")
	return path, rig.Build("../..", path)
})
