package status

import (
	"net"
	"time"

	"golang.org/x/time/rate"
)

// What comes in on all connections is taken up one by one: a page's few requests at once, and what a crowd asks so far apart.
// Go runs whatever is ready in turn, so a hundred requests that come in at one moment would have DNS wait for all of them.
const (
	apart = time.Millisecond
	few   = 8
)

// spread is a listener whose connections are taken up, and read from, one by one.
type spread struct {
	net.Listener
	limit *rate.Limiter
}

func spreading(l net.Listener) spread {
	return spread{l, rate.NewLimiter(rate.Every(apart), few)}
}

// Accept implements net.Listener.
func (s spread) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s.wait()
	return spreadConn{c, s}, nil
}

// wait waits for the caller's turn. A connection waits for one turn at a time, so for maxConns times apart at most.
func (s spread) wait() { time.Sleep(s.limit.Reserve().Delay()) }

type spreadConn struct {
	net.Conn
	spread spread
}

// Read implements io.Reader.
func (c spreadConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.spread.wait()
	}
	return n, err
}
