package clusters

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// pause is the time between two looks of a client.
const pause = 20 * time.Millisecond

// grace is how long a dead node's address may still be given. The engine tells of a death within milliseconds. What it was at most is logged.
var grace = rig.Limit(time.Second, 5*time.Second)

// client looks for a cluster all the time, as one who is not part of it: it asks its resolver for the name and connects to who is given. The
// answer must have somebody, nobody dead, and somebody who lets it in.
type client struct {
	netns, resolver, name string
	port                  int
	stop, stopped         chan struct{}

	mu     sync.Mutex // guards the following
	dead   map[netip.Addr]time.Time
	looks  int
	faults []string
	lag    time.Duration // the longest that a dead node's address was given
}

// watch starts a client in the network namespace.
func watch(netns, resolver, name string, port int) *client {
	c := &client{
		netns: netns, resolver: resolver, name: name, port: port,
		stop: make(chan struct{}), stopped: make(chan struct{}), dead: map[netip.Addr]time.Time{},
	}
	go func() {
		defer close(c.stopped)
		err := rig.Within(netns, func() error {
			ticker := time.NewTicker(pause)
			defer ticker.Stop()
			for {
				select {
				case <-c.stop:
					return nil
				case <-ticker.C:
					c.look()
				}
			}
		})
		if err != nil {
			c.fault(err)
		}
	}()
	return c
}

// died tells that nobody has the address any more.
func (c *client) died(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead[addr] = time.Now()
}

func (c *client) fault(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, time.Now().Format("15:04:05.000 ")+err.Error())
}

func (c *client) look() {
	asked := time.Now()
	m, err := rig.Ask("udp", c.resolver, c.name, dns.TypeA)
	if err == nil && m.Rcode != dns.RcodeSuccess {
		err = errors.New(dns.RcodeToString[m.Rcode])
	}
	if err == nil {
		err = c.try(asked, rig.Data(m.Answer))
	}
	if err != nil {
		c.fault(fmt.Errorf("%s: %w", c.name, err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks++
}

// try looks at what was answered, and connects as clients do, to one after the other.
func (c *client) try(asked time.Time, addrs []string) error {
	tried := errors.New("nobody is there")
	for _, s := range addrs {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return err
		}
		c.mu.Lock()
		died, dead := c.dead[addr]
		if dead {
			c.lag = max(c.lag, asked.Sub(died))
		}
		c.mu.Unlock()
		if dead && asked.Sub(died) > grace {
			return fmt.Errorf("answered with %v, %v of them %v after its end", addrs, addr, asked.Sub(died))
		}
	}
	for _, addr := range addrs {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(addr, strconv.Itoa(c.port)), 2*time.Second)
		if err == nil {
			return conn.Close()
		}
		tried = err
	}
	return fmt.Errorf("answered with %v, none of which lets in: %w", addrs, tried)
}

// end ends the client and says what it has seen.
func (c *client) end(t *testing.T) string {
	t.Helper()
	close(c.stop)
	<-c.stopped
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, fault := range c.faults[:min(len(c.faults), 10)] {
		t.Errorf("a client: %s", fault)
	}
	return fmt.Sprintf("%d looks, %d faults, a dead node's address for %v at most", c.looks, len(c.faults), c.lag.Round(time.Millisecond))
}

// A client sees what it is there for.
func TestClient(t *testing.T) {
	port, err := rig.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	lives, closed := listener.Addr().(*net.TCPAddr).Port, port
	for _, c := range []struct {
		name   string
		answer string // addresses, or a response code
		port   int
		dead   string // who has been for an hour
		want   string // the only fault's end, none if empty
	}{
		{"somebody", "127.0.0.1", lives, "", ""},
		{"one of two", "127.0.0.2 127.0.0.1", lives, "", ""},
		{"somebody dead among others", "127.0.0.1 127.0.0.2", lives, "127.0.0.2", "after its end"},
		{"another one dead", "127.0.0.1", lives, "127.0.0.2", ""},
		{"nobody", "", lives, "", "none of which lets in: nobody is there"},
		{"no such name", "NXDOMAIN", lives, "", "x.docker: NXDOMAIN"},
		{"nobody who lets in", "127.0.0.1", closed, "", "connection refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, err := rig.FreePort("127.0.0.1")
			if err != nil {
				t.Fatal(err)
			}
			server := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(at)).String()
			rig.ServeDNS(t, "udp", server, func(w dns.ResponseWriter, r *dns.Msg) {
				m := new(dns.Msg).SetReply(r)
				if code, ok := dns.StringToRcode[c.answer]; ok {
					m.Rcode = code
				} else {
					for _, addr := range strings.Fields(c.answer) {
						m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(addr)})
					}
				}
				w.WriteMsg(m)
			})
			watching := &client{resolver: server, name: "x.docker", port: c.port, dead: map[netip.Addr]time.Time{}}
			if c.dead != "" {
				watching.dead[netip.MustParseAddr(c.dead)] = time.Now().Add(-time.Hour)
			}
			watching.look()
			switch {
			case c.want == "" && len(watching.faults) > 0:
				t.Errorf("faults: %q", watching.faults)
			case c.want != "" && (len(watching.faults) != 1 || !strings.Contains(watching.faults[0], c.want)):
				t.Errorf("faults: %q, want one with %q", watching.faults, c.want)
			}
		})
	}
}
