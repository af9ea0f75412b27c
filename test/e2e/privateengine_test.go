package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// privateEngine is an engine of a test's own.
type privateEngine struct {
	docker
	*rig.Engine
	t *testing.T
}

const liveRestore = "--live-restore" // containers outlive the engine

var engines atomic.Int32 // how many the run has had

// newEngine lays out an engine that is not running yet. It has no default bridge, and sets no firewall rules. The
// flags are dockerd's.
func newEngine(t *testing.T, flags ...string) *privateEngine {
	t.Helper()
	number := engines.Add(1)
	pool := fmt.Sprintf("base=198.18.%d.0/20,size=24", number%16*16) // no other engine's of the run
	e := theRun.NewEngine(t, fmt.Sprint(number),
		append(flags, "--bridge", "none", "--iptables=false", "--ip6tables=false", "--default-address-pool", pool)...)
	return &privateEngine{docker{e.Host()}, e, t}
}

// start starts the engine and waits until it answers.
func (e *privateEngine) start() {
	e.t.Helper()
	e.Start(6 * patience) // with the containers that it restarts
}

// populate gives the engine our image and a network, whose name it returns. The machine gets the host's address on the
// network, as if the engine were not in a network namespace of its own: that is how an engine is known to be on this machine. Its scope keeps
// it to that: MASQUERADE, which the machine's engine sets for its networks, would give it to others' queries by the loopback interface, whose
// answers were lost when it goes.
func (e *privateEngine) populate() (network string) {
	e.t.Helper()
	network = e.populateElsewhere()
	gateway := e.gateway(e.t, network).String() + "/32"
	if out, err := exec.Command("ip", "addr", "add", gateway, "dev", "lo", "scope", "host").CombinedOutput(); err != nil {
		e.t.Fatalf("ip addr add %s: %v: %s", gateway, err, out)
	}
	e.t.Cleanup(func() { exec.Command("ip", "addr", "del", gateway, "dev", "lo").Run() })
	return network
}

// populateElsewhere is populate for an engine whose networks are not this machine's.
func (e *privateEngine) populateElsewhere() (network string) {
	e.t.Helper()
	if err := e.importImage(filepath.Join(folder, "image.tar")); err != nil {
		e.t.Fatal(err)
	}
	return e.network(e.t)
}
