package examples

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// testLAN has a network namespace as the laptop, whose resolver is this host.
func testLAN(t *testing.T) {
	lan := theRun.NewLAN(t)
	e := open(t, "lan", bindings{"192.168.1.10": lan.Host.String()})
	e.places["laptop"] = inNamespace(lan, e.resolvConf(lan.Host))
	e.run()
}

// The example's host is a network namespace, in which port 53 and the configuration of
// resolvers are free. Its other names come from this host.
func testSplitDNS(t *testing.T) {
	lan := theRun.NewLAN(t)
	e := open(t, "split-dns", bindings{})
	e.places[""] = inNamespace(lan, e.resolvConf(lan.Host))
	e.places[serving] = e.places[""]
	standForHost(t, lan)
	serveExampleOrg(t, lan.Host)
	e.serveResolved(lan)
	e.run()

	other := step{command: "dig +short @127.0.0.1 -p 1054 example.org", shown: []string{exampleOrg}}
	e.known[exampleOrg] = exampleOrg
	e.do(other)
	if log := e.logOf("coredns"); strings.Contains(log, "example.org") || !strings.Contains(log, "web.split-dns.docker") {
		t.Errorf("dnsmasq sends more to coredns than the zone, or not that:\n%s", log)
	}
	other.command = "dig +short @127.0.0.53 example.org"
	e.do(other)
}

// standForHost gives the network namespace the host's address on the default bridge, and that a container: where no
// bridge in use has an address of its own, the server takes the engine's host for another machine.
func standForHost(t *testing.T, lan rig.LAN) {
	t.Helper()
	anchor, err := rig.Output(exec.Command("docker", "run", "-d", "--init", "--label", theRun.Label(), busybox, "sleep", "infinity"))
	if err != nil {
		t.Fatalf("docker run: %v: %s", err, anchor)
	}
	t.Cleanup(func() { rig.Output(exec.Command("docker", "rm", "-f", anchor)) })
	gateway, err := rig.Output(exec.Command("docker", "inspect", "-f", "{{.NetworkSettings.Gateway}}", anchor))
	if err != nil {
		t.Fatalf("docker inspect: %v: %s", err, gateway)
	}
	if out, err := exec.Command("ip", "-n", lan.Netns, "addr", "add", gateway+"/32", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("ip addr add %s: %v: %s", gateway, err, out)
	}
}

// inNamespace is the command that runs another in a network namespace, whose
// /etc/resolv.conf is the file.
func inNamespace(lan rig.LAN, resolvConf string) []string {
	return []string{"ip", "netns", "exec", lan.Netns, "unshare", "--mount", "--propagation", "private",
		"sh", "-c", fmt.Sprintf(`mount --bind %q /etc/resolv.conf && exec "$@"`, resolvConf), "sh"}
}

func (e *example) resolvConf(server netip.Addr) (path string) {
	e.t.Helper()
	return e.file("resolv.conf", fmt.Sprintf("nameserver %v\n", server))
}

// file adds a file to the example's copy and returns its path.
func (e *example) file(name, content string) (path string) {
	e.t.Helper()
	path = filepath.Join(e.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		e.t.Fatal(err)
	}
	return path
}

// startResolved starts systemd-resolved where the example runs, in a /run of its own: with
// the example's resolved.conf, with what systemd-networkd would tell it of the link, and
// with the user that its package makes.
const startResolved = `
set -e
interface=$(ip -oneline link show eth0 | cut -d : -f 1)
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/resolve /run/systemd/resolved.conf.d /run/systemd/netif/links
cp resolved.conf /run/systemd/resolved.conf.d/docker.conf
printf 'ADMIN_STATE=configured\nOPER_STATE=routable\nDNS=%s\n' "$2" >"/run/systemd/netif/links/$interface"
if ! getent passwd systemd-resolve >/dev/null; then
	for file in passwd group; do cp /etc/$file /run/$file; done
	echo systemd-resolve:x:998:998::/:/usr/sbin/nologin >>/run/passwd
	echo systemd-resolve:x:998: >>/run/group
	for file in passwd group; do mount --bind /run/$file /etc/$file; done
fi
chown systemd-resolve: /run/systemd/resolve
exec "$1"
`

// serveResolved starts systemd-resolved for the example.
func (e *example) serveResolved(lan rig.LAN) {
	e.t.Helper()
	program, err := rig.Output(exec.Command(filepath.Join("..", "systemd-resolved"), filepath.Join(theRun.Folder, "systemd-resolved")))
	if err != nil {
		e.t.Fatalf("no systemd-resolved: %v: %s", err, program)
	}
	e.serve(serving, fmt.Sprintf("sh %q %q %v", e.file("resolved.sh", startResolved), program, lan.Host))
}

const exampleOrg = "198.51.100.80"

// serveExampleOrg answers for example.org, and for no other name, until the test's end. It
// must not be asked for names in docker.
func serveExampleOrg(t *testing.T, host netip.Addr) {
	t.Helper()
	rig.ServeDNS(t, "udp", netip.AddrPortFrom(host, 53).String(), func(w dns.ResponseWriter, req *dns.Msg) {
		m := new(dns.Msg).SetReply(req)
		q := req.Question[0]
		if dns.IsSubDomain("docker.", q.Name) {
			t.Errorf("another server is asked for %s", q.Name)
		}
		if q.Name != "example.org." {
			m.Rcode = dns.RcodeNameError
		} else if q.Qtype == dns.TypeA {
			rr, _ := dns.NewRR("example.org. 300 IN A " + exampleOrg)
			m.Answer = []dns.RR{rr}
		}
		w.WriteMsg(m)
	})
}
