package status

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// ready is a listener at which a connection waits at any time, on which something was said already.
type ready struct {
	net.Listener
	t *testing.T
}

func (r ready) Accept() (net.Conn, error) {
	ours, theirs := net.Pipe()
	r.t.Cleanup(func() { ours.Close() })
	go theirs.Write([]byte("GET"))
	return ours, nil
}

// A page's few connections are taken up at once, and so is what they say. A crowd's are taken up one by one.
func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spreading(ready{t: t})
		began := time.Now()
		takeUp := func(n int) {
			for range n {
				c, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				if n, err := c.Read(make([]byte, 8)); n != 3 || err != nil {
					t.Fatalf("%d bytes, %v", n, err)
				}
			}
		}
		takeUp(few / 2)
		if took := time.Since(began); took > 0 {
			t.Errorf("few connections wait for %v", took)
		}
		takeUp(50)
		if took, want := time.Since(began), 2*50*apart; took < want-apart || took > want+apart {
			t.Errorf("a crowd of 50 is taken up within %v, want about %v", took, want)
		}
	})
}
