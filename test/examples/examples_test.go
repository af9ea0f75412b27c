package examples

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// examples has a test for each folder of examples/. They run one after the other: several
// serve the same address.
var examples = map[string]func(*testing.T){
	"first-steps":    func(t *testing.T) { open(t, "first-steps", docker0(t)).run() },
	"two-projects":   func(t *testing.T) { open(t, "two-projects", docker0(t), "blue", "green").run() },
	"secondary":      func(t *testing.T) { open(t, "secondary", bindings{}).run() },
	"lan":            testLAN,
	"split-dns":      testSplitDNS,
	"two-hosts":      testTwoHosts,
	"swarm":          testSwarm,
	"fleet":          testFleet,
	"rabbitmq":       testRabbitMQ,
	"in-a-container": testInAContainer,
}

func TestExamples(t *testing.T) {
	folders, err := os.ReadDir(filepath.Join(root, "examples"))
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) != len(examples) {
		t.Errorf("%d folders and %d tests", len(folders), len(examples))
	}
	for _, folder := range folders {
		test, ok := examples[folder.Name()]
		if !ok {
			t.Errorf("examples/%s has no test", folder.Name())
			continue
		}
		t.Run(folder.Name(), test)
	}
}

// docker0 is the host's address on the default bridge, by the one that the examples give.
func docker0(t *testing.T) bindings {
	t.Helper()
	addr, err := rig.Docker0()
	if err != nil {
		t.Fatal(err)
	}
	return bindings{"172.17.0.1": addr.String()}
}
