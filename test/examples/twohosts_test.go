package examples

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// testTwoHosts has two engines in network namespaces of their own as the hosts, and a third namespace as the laptop.
func testTwoHosts(t *testing.T) {
	e := openOnHosts(t, "two-hosts", "desk", "nas")
	e.serveSSH("nas")
	e.run()
}

// testSwarm is testTwoHosts, and the two are nodes of a Swarm.
func testSwarm(t *testing.T) { openOnHosts(t, "swarm", "desk", "nas").run() }

// testFleet has three hosts, and a member of etcd on each. That one of these ends is not noticed.
func testFleet(t *testing.T) {
	e := openOnHosts(t, "fleet", "desk", "nas", "pi")
	e.places["pi, without etcd's member"], e.places["pi, without its server"] = e.places["pi"], e.places["pi"]
	e.before = map[string]func(){
		"pi, without etcd's member": func() { e.end("member pi") },
		"pi, without its server": func() {
			for _, host := range []string{"desk", "nas", "pi"} {
				// On a busy machine etcd may be silent for so long that it counts as away, also when it has a new leader.
				s := e.servers[e.find("HOST="+host)]
				if err := s.Await(patience, func() error {
					if log := s.Log.String(); strings.LastIndex(log, "[ERROR]") > strings.LastIndex(log, " again") {
						return fmt.Errorf("the server of %s has lost etcd:\n%s", host, log)
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
			e.end("HOST=pi")
		},
	}
	e.run()
}

// openOnHosts opens an example for hosts, on the first of which all runs that is not said to run elsewhere, and a laptop.
func openOnHosts(t *testing.T, name string, hosts ...string) *example {
	t.Helper()
	lan := theRun.NewSegment(t, "192.168.1.100/24")
	places := map[string][]string{}
	for i, host := range hosts {
		addr := fmt.Sprintf("192.168.1.%d/24", 10*(i+1))
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
	for _, host := range hosts {
		e.places[serving+" "+host] = places[host]
	}
	e.places[""], e.places[serving] = places[hosts[0]], places[hosts[0]]
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
