package socket

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Holders returns who has sockets ("tcp" listens, "udp" is bound) that keep others from the address.
func Holders(network, addr string) (holders []Holder) {
	want, err := netip.ParseAddrPort(addr)
	if strings.HasPrefix(addr, ":") {
		want, err = netip.ParseAddrPort("[::]" + addr)
	}
	if err != nil {
		return nil
	}
	var sockets []string // of the holders, as /proc/PID/fd has them
	for _, family := range []string{"", "6"} {
		table, err := os.ReadFile("/proc/net/" + network + family)
		if err != nil {
			continue // no IPv6 here
		}
		for line := range strings.Lines(string(table)) {
			if at, inode, ok := bound(network, line, want); ok {
				holders = append(holders, Holder{Addr: at})
				sockets = append(sockets, "socket:["+inode+"]")
			}
		}
	}
	if len(sockets) == 0 {
		return nil
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is right
	for _, file := range files {
		target, err := os.Readlink(file)
		i := slices.Index(sockets, target)
		if err != nil || i < 0 { // it has ended meanwhile, is another user's, or has nothing to do with us
			continue
		}
		id, name, err := process(filepath.Dir(filepath.Dir(file)))
		if err == nil {
			holders[i].Process, holders[i].ID = name, id
		}
	}
	return holders
}

// Processes returns the IDs of the other processes that run a program of this name, of all users.
func Processes(name string) (ids []int) {
	const maxComm = 15                       // TASK_COMM_LEN
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is right
	for _, dir := range dirs {
		if id, comm, err := process(dir); err == nil && id != os.Getpid() && comm == name[:min(len(name), maxComm)] {
			ids = append(ids, id)
		}
	}
	return ids
}

// process returns the ID of the process that has this folder in /proc, and its program's name, which the kernel cuts.
func process(dir string) (id int, name string, err error) {
	comm, err := os.ReadFile(filepath.Join(dir, "comm"))
	if err != nil {
		return 0, "", err
	}
	id, err = strconv.Atoi(filepath.Base(dir))
	return id, strings.TrimSpace(string(comm)), err
}

// bound returns the address and the inode of the socket in a line of /proc/net/tcp or one of its like, proc(5), if it keeps
// others from the wanted address.
func bound(network, line string, want netip.AddrPort) (at netip.AddrPort, inode string, ok bool) {
	const listens, fields = "0A", 10 // TCP_LISTEN; up to the inode
	f := strings.Fields(line)
	if len(f) < fields || network == "tcp" && f[3] != listens {
		return at, "", false
	}
	ip, port, _ := strings.Cut(f[1], ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil || uint16(n) != want.Port() {
		return at, "", false
	}
	b, err := hex.DecodeString(ip)
	if err != nil || len(b)%4 != 0 {
		return at, "", false
	}
	for i := 0; i < len(b); i += 4 { // words of the machine's order
		binary.BigEndian.PutUint32(b[i:], binary.NativeEndian.Uint32(b[i:]))
	}
	has, ok := netip.AddrFromSlice(b)
	has = has.Unmap()
	return netip.AddrPortFrom(has, want.Port()), f[9], ok && overlap(has, want.Addr().Unmap().WithZone(""))
}

// overlap reports whether two sockets can't have these addresses at one port. :: is all of IPv4 too.
func overlap(a, b netip.Addr) bool {
	all := func(a, b netip.Addr) bool { return a.IsUnspecified() && (a.Is6() || b.Is4()) }
	return a == b || all(a, b) || all(b, a)
}
