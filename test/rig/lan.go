package rig

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// LAN is a link from the Docker host to another host, which is a network namespace.
type LAN struct {
	Netns string
	Link  string     // the Docker host's end
	Host  netip.Addr // its address
}

// NewLAN makes a link that lasts until the test's end. The test is skipped for who is not root.
func (r Run) NewLAN(t *testing.T) LAN {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: can't make a network namespace to be a host on the LAN")
	}
	// Addresses for benchmarks, RFC 2544, of which two runs rarely choose the same.
	subnet := fmt.Sprintf("198.19.%d.", rand.IntN(256))
	l := LAN{Netns: r.Netns("lan-" + Suffix()), Link: "dd" + Suffix(), Host: netip.MustParseAddr(subnet + "1")}
	t.Cleanup(func() { RemoveNetns(l.Netns) }) // and with it the link
	for _, command := range []string{
		"ip netns add " + l.Netns,
		"ip link add " + l.Link + " type veth peer name eth0 netns " + l.Netns,
		"ip addr add " + subnet + "1/24 dev " + l.Link,
		"ip link set " + l.Link + " up",
		"ip -n " + l.Netns + " addr add " + subnet + "2/24 dev eth0",
		"ip -n " + l.Netns + " link set lo up",
		"ip -n " + l.Netns + " link set eth0 up",
		"ip -n " + l.Netns + " route add default via " + subnet + "1",
	} {
		f := strings.Fields(command)
		if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	return l
}

// RemoveNetns deletes a network namespace, if there is one of that name.
func RemoveNetns(name string) { exec.Command("ip", "netns", "delete", name).Run() }
