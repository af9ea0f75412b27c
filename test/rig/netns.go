package rig

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// NetnsPath is the file of a network namespace that ip(8) has made.
func NetnsPath(name string) string { return "/run/netns/" + name }

// Within runs f in a network namespace, which is a file such as /proc/PID/ns/net. The sockets that f makes belong to it
// for as long as they live. What f has other goroutines do, and the processes that it starts, are not in it.
func Within(netns string, f func() error) error {
	there, err := os.Open(netns)
	if err != nil {
		return err
	}
	defer there.Close()
	runtime.LockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err == nil {
		defer here.Close()
		err = unix.Setns(int(there.Fd()), unix.CLONE_NEWNET)
	}
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() {
		if unix.Setns(int(here.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		} // else the thread ends with its goroutine
	}()
	return f()
}

// Docker0 is the host's IPv4 address on the engine's default bridge.
func Docker0() (netip.Addr, error) {
	bridge, err := Docker("network", "inspect", "-f", `{{index .Options "com.docker.network.bridge.name"}}`, "bridge")
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the default bridge: %w: %s", err, bridge)
	}
	link, err := net.InterfaceByName(bridge)
	if err != nil {
		return netip.Addr{}, err
	}
	addrs, err := link.Addrs()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, addr := range addrs {
		if prefix, err := netip.ParsePrefix(addr.String()); err == nil && prefix.Addr().Is4() {
			return prefix.Addr(), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%s has no IPv4 address", bridge)
}
