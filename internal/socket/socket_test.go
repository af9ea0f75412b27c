package socket

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Who has a port is told with the process, at the address itself and where another one would take it too.
func TestHolders(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skipf("%s does not tell who has a port", runtime.GOOS)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	self := Holder{Process: strings.TrimSpace(string(comm)), ID: os.Getpid()}
	for network, at := range map[string]net.Addr{"tcp": tcp.Addr(), "udp": udp.LocalAddr()} {
		self.Addr = netip.MustParseAddrPort(at.String())
		_, port, _ := net.SplitHostPort(at.String())
		for addr, want := range map[string]bool{ // others may have the port at other addresses
			at.String():         true,
			":" + port:          true,
			"0.0.0.0:" + port:   true,
			"127.0.0.2:" + port: false,
			"[::1]:" + port:     false,
			"nowhere:" + port:   false,
		} {
			if got := Holders(network, addr); slices.Contains(got, self) != want {
				t.Errorf("%s %s: %v, want %v there: %v", network, addr, got, self, want)
			}
		}
	}
	if got := Known([]Holder{{}, self}).String(); !strings.Contains(got, " (process ") {
		t.Errorf("the process is called %q", got)
	}
	if got := Known([]Holder{{}}).String(); got != "" {
		t.Errorf("a process that can't be seen is called %q", got)
	}
}

// Other processes are found by their program's name, which the kernel cuts.
func TestProcesses(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skipf("%s does not tell what runs", runtime.GOOS)
	}
	comm, err := os.ReadFile(filepath.Join("/proc", "self", "comm"))
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSpace(string(comm))
	if ids := Processes(name); slices.Contains(ids, os.Getpid()) {
		t.Errorf("finds itself: %v", ids)
	}
	parent, err := os.ReadFile(filepath.Join("/proc", "1", "comm"))
	if err != nil {
		t.Fatal(err)
	}
	if ids := Processes(strings.TrimSpace(string(parent))); !slices.Contains(ids, 1) {
		t.Errorf("process 1, %s, is not found: %v", parent, ids)
	}
}
