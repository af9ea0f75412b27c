package rig

import (
	"fmt"
	"testing"
)

// Segment is an Ethernet segment that joins network namespaces. It is a bridge in a namespace of its own, which is
// a computer on the segment too.
type Segment struct {
	Netns string
	ports int
}

// bridge is the segment's link in its namespace, and link that of all who join it.
const (
	bridge = "lan"
	link   = "eth0"
)

// NewSegment makes a segment that lasts until the test's end. The addresses, with the length of their prefix, are those that
// its own computer has.
func (r Run) NewSegment(t *testing.T, addrs ...string) *Segment {
	t.Helper()
	s := &Segment{Netns: r.Netns("segment-" + Suffix())}
	t.Cleanup(func() { RemoveNetns(s.Netns) }) // and with it all links
	commands(t,
		"ip netns add "+s.Netns,
		"ip -n "+s.Netns+" link set lo up",
		"ip -n "+s.Netns+" link add "+bridge+" type bridge",
		"ip -n "+s.Netns+" link set "+bridge+" up",
	)
	give(t, s.Netns, bridge, addrs)
	return s
}

// Join gives a namespace a link eth0 with the addresses, and returns the segment's end of it.
func (s *Segment) Join(t *testing.T, netns string, addrs ...string) (port string) {
	t.Helper()
	s.ports++
	port = fmt.Sprint("port", s.ports)
	commands(t,
		"ip -n "+s.Netns+" link add "+port+" type veth peer name "+link+" netns "+netns,
		"ip -n "+s.Netns+" link set "+port+" master "+bridge+" up",
		"ip -n "+netns+" link set lo up",
		"ip -n "+netns+" link set "+link+" up",
	)
	give(t, netns, link, addrs)
	return port
}

// Cut takes a port's link away, or gives it back.
func (s *Segment) Cut(t *testing.T, port string, cut bool) {
	t.Helper()
	state := "up"
	if cut {
		state = "down"
	}
	commands(t, "ip -n "+s.Netns+" link set "+port+" "+state)
}

// give gives a link addresses, which can be used at once.
func give(t *testing.T, netns, link string, addrs []string) {
	t.Helper()
	for _, addr := range addrs {
		commands(t, "ip -n "+netns+" addr add "+addr+" dev "+link+" nodad")
	}
}

func commands(t *testing.T, list ...string) {
	t.Helper()
	for _, command := range list {
		if err := runCommand(command); err != nil {
			t.Fatal(err)
		}
	}
}
