package rig

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// LAN is a link from the Docker host to another host, which is a network namespace.
type LAN struct {
	Netns string
	Link  string     // the Docker host's end
	Host  netip.Addr // its address
}

// lans are the third octets of LANs' subnets, in an order of this process's own.
var lans = struct {
	order []int
	given atomic.Int32
}{order: rand.Perm(256)}

// NewLAN makes a link that lasts until the test's end. The test is skipped for who is not root.
func (r Run) NewLAN(t *testing.T) LAN {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: can't make a network namespace to be a host on the LAN")
	}
	// Addresses for benchmarks, RFC 2544. No two LANs of a run have the same subnet, and two runs' rarely.
	subnet := fmt.Sprintf("198.19.%d.", lans.order[int(lans.given.Add(1))%len(lans.order)])
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
		if err := runCommand(command); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// LinkLocal is the Docker host's link-local address on a link with IPv6.
const LinkLocal = "fe80::dd"

// AddIPv6 gives both ends of the link IPv6 addresses, and returns the Docker host's. The test is skipped
// where there is no IPv6.
func (l LAN) AddIPv6(t *testing.T) netip.Addr {
	t.Helper()
	subnet := fmt.Sprintf("fd77:%x:%x::", rand.IntN(1<<16), rand.IntN(1<<16))
	for _, command := range []string{
		"ip addr add " + subnet + "1/64 dev " + l.Link + " nodad",
		"ip addr add " + LinkLocal + "/64 dev " + l.Link + " nodad",
		"ip -n " + l.Netns + " addr add " + subnet + "2/64 dev eth0 nodad",
		"ip -n " + l.Netns + " addr add fe80::de/64 dev eth0 nodad",
	} {
		if err := runCommand(command); err != nil {
			t.Skipf("no IPv6: %v", err)
		}
	}
	return netip.MustParseAddr(subnet + "1")
}

func runCommand(command string) error {
	f := strings.Fields(command)
	if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", command, err, out)
	}
	return nil
}

// RemoveNetns deletes a network namespace, if there is one of that name.
func RemoveNetns(name string) { exec.Command("ip", "netns", "delete", name).Run() }
