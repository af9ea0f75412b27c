package examples

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// testTwoHosts has two engines in network namespaces of their own as the hosts, and a third namespace as the laptop.
func testTwoHosts(t *testing.T) {
	e := openOnHosts(t, "two-hosts")
	e.serveSSH("nas")
	e.run()
}

// testSwarm is testTwoHosts, and the two are nodes of a Swarm.
func testSwarm(t *testing.T) { openOnHosts(t, "swarm").run() }

// openOnHosts opens an example for desk, where all runs that is not said to run elsewhere, nas and a laptop.
func openOnHosts(t *testing.T, name string) *example {
	t.Helper()
	lan := theRun.NewSegment(t, "192.168.1.30/24")
	places := map[string][]string{}
	for host, addr := range map[string]string{"desk": "192.168.1.10/24", "nas": "192.168.1.20/24"} {
		engine := theRun.NewEngine(t, host)
		engine.Start(patience)
		lan.Join(t, engine.Netns, addr)
		if out, err := engine.Docker(importCommand()...); err != nil {
			t.Fatalf("docker import: %v: %s", err, out)
		}
		places[host] = onHost(engine)
	}
	e := open(t, name, bindings{})
	e.places = places
	e.places[""], e.places[serving] = places["desk"], places["desk"]
	e.places["laptop"] = inNamespace(rig.LAN{Netns: lan.Netns}, e.resolvConf(netip.MustParseAddr("192.168.1.10")))
	return e
}

// onHost is the command that runs another where the engine is the machine's.
func onHost(engine *rig.Engine) []string {
	return []string{"env", "DOCKER_HOST=" + engine.Host(), "ip", "netns", "exec", engine.Netns, "unshare", "--mount", "--propagation", "private",
		"sh", "-c", fmt.Sprintf(`mount --bind %q /run/docker.sock && exec "$@"`, engine.Socket()), "sh"}
}

// serveSSH starts OpenSSH's server on a host, which lets the example's key in as root.
func (e *example) serveSSH(host string) {
	e.t.Helper()
	key := e.file("host_key", "")
	rig.NewSSHKey(e.t, key)
	config := e.file("sshd_config", "HostKey "+key+"\nAuthorizedKeysFile "+e.dir+"/ssh_key.pub\nStrictModes no\nUsePAM no\nPidFile none\n")
	p := theRun.StartSSH(e.t, config, e.places[host]...)
	e.t.Cleanup(p.Kill)
	e.servers = append(e.servers, server{p, "sshd"})
}
