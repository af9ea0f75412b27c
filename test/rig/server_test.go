package rig

import (
	"net"
	"os/exec"
	"sync"
	"testing"
)

// Who was given a port can listen there at once, whatever processes are started meanwhile.
func TestFreePort(t *testing.T) {
	var starts sync.WaitGroup
	defer starts.Wait()
	done := make(chan struct{})
	defer close(done)
	for range 8 {
		starts.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := exec.Command("true").Run(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	given := map[int]bool{}
	for range 1000 {
		port, err := FreePort("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		if given[port] {
			t.Fatalf("port %d was given twice", port)
		}
		given[port] = true
		addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
		tcp, err := net.ListenTCP("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		tcp.Close()
		udp, err := net.ListenPacket("udp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		udp.Close()
	}
}
