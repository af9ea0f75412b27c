package socket

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Holder returns which process has a socket ("tcp" listens, "udp" is bound) that keeps others from the address. It is
// "" if that can't be seen: only root sees other users' sockets.
func Holder(network, addr string) string {
	want, err := netip.ParseAddrPort(addr)
	if strings.HasPrefix(addr, ":") {
		want, err = netip.ParseAddrPort("[::]" + addr)
	}
	if err != nil {
		return ""
	}
	var sockets []string // as /proc/PID/fd has them
	for _, family := range []string{"", "6"} {
		table, err := os.ReadFile("/proc/net/" + network + family)
		if err != nil {
			continue // no IPv6 here
		}
		for line := range strings.Lines(string(table)) {
			if inode, ok := bound(network, line, want); ok {
				sockets = append(sockets, "socket:["+inode+"]")
			}
		}
	}
	if len(sockets) == 0 {
		return ""
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is right
	for _, file := range files {
		// It may have ended meanwhile, or be another user's.
		if target, err := os.Readlink(file); err == nil && slices.Contains(sockets, target) {
			process := filepath.Dir(filepath.Dir(file))
			name, err := os.ReadFile(filepath.Join(process, "comm"))
			if err == nil {
				return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), filepath.Base(process))
			}
		}
	}
	return ""
}

// bound returns the inode of the socket in a line of /proc/net/tcp or one of its like, proc(5), if it keeps others
// from the address.
func bound(network, line string, want netip.AddrPort) (inode string, ok bool) {
	const listens, fields = "0A", 10 // TCP_LISTEN; up to the inode
	f := strings.Fields(line)
	if len(f) < fields || network == "tcp" && f[3] != listens {
		return "", false
	}
	ip, port, _ := strings.Cut(f[1], ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil || uint16(n) != want.Port() {
		return "", false
	}
	b, err := hex.DecodeString(ip)
	if err != nil || len(b)%4 != 0 {
		return "", false
	}
	for i := 0; i < len(b); i += 4 { // words of the machine's order
		binary.BigEndian.PutUint32(b[i:], binary.NativeEndian.Uint32(b[i:]))
	}
	has, ok := netip.AddrFromSlice(b)
	return f[9], ok && overlap(has.Unmap(), want.Addr().Unmap().WithZone(""))
}

// overlap reports whether two sockets can't have these addresses at one port. :: is all of IPv4 too.
func overlap(a, b netip.Addr) bool {
	all := func(a, b netip.Addr) bool { return a.IsUnspecified() && (a.Is6() || b.Is4()) }
	return a == b || all(a, b) || all(b, a)
}
