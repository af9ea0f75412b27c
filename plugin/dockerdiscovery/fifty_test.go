package dockerdiscovery

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

// silent is an engine that accepts connections and says nothing.
func silent(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return "tcp://" + l.Addr().String() // the kernel accepts
}

// blackhole is an engine to which no connection comes about, and that nothing refuses.
func blackhole(t *testing.T) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(t, unix.Listen(fd, 0))
	name, err := unix.Getsockname(fd)
	must(t, err)
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	for range 10 { // until the backlog is full
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			return "tcp://" + addr
		}
		must(t, err)
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the backlog is never full")
	return ""
}

// TestFiftyHosts has one of fifty engines be dead at the start, in two ways: names that the others have are answered at once, others
// get SERVFAIL for the time of startup at most.
func TestFiftyHosts(t *testing.T) {
	const alive = 49
	var endpoints strings.Builder
	for i := range alive {
		e := enginetest.New(t)
		e.Run(reachable("web"))
		e.Run(reachable(fmt.Sprint("only-", i)))
		fmt.Fprintf(&endpoints, "endpoint %s host%d 192.0.2.%d\n", e.Host(), i, i+1)
	}
	for how, dead := range map[string]string{"it accepts and says nothing": silent(t), "it is out of reach": blackhole(t)} {
		t.Run(how, func(t *testing.T) {
			began := time.Now()
			inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s dead 192.0.2.250\n %s publish\n startup 10s\n }\n}", freePort(t), dead, endpoints.String()))
			if took := time.Since(began); took > startupTimeout {
				t.Errorf("the start took %s", took)
			}
			h := &threeHosts{Docker: running()[0]}
			unknown := func() string {
				got, _ := h.lan("nobodys")
				return got
			}
			synced := make(map[string]bool) // the names that were answered once
			for denied := unknown(); ; denied = unknown() {
				for i := range alive {
					for _, name := range []string{fmt.Sprint("only-", i), fmt.Sprintf("web.host%d", i)} {
						got, _ := h.lan(name)
						for !synced[name] && got == "SERVFAIL, <nil>" && time.Since(began) < 9*time.Second { // a busy machine
							got, _ = h.lan(name)
						}
						if got != fmt.Sprint("192.0.2.", i+1) {
							t.Fatalf("after %s %s is %q", time.Since(began), name, got)
						}
						synced[name] = true
					}
				}
				if got, _ := h.lan("web"); strings.Count(got, "192.0.2.") != alive {
					t.Errorf("web is %s, want %d addresses", got, alive)
				}
				waited := time.Since(began)
				if got := "no address, NXDOMAIN"; denied == got {
					if waited < 10*time.Second {
						t.Errorf("denied after %s, while the dead host may have the name", waited)
					}
					break
				}
				if denied != "SERVFAIL, <nil>" || waited > 20*time.Second {
					t.Fatalf("after %s a name of nobody's gets %q", waited, denied)
				}
			}
			if !h.Ready() {
				t.Error("not ready when the time of startup is over")
			}
		})
	}
}

// TestChangeCosts compares what the change of a container costs, with the query after it, where one host has all containers and
// where fifty have them.
func TestChangeCosts(t *testing.T) {
	const containers, changes = 1000, 400
	cost := func(hosts int) (allocations, bytes float64) {
		d := emptyDocker(func(c *config) { c.publish = true })
		sinks := []sink{d.sink(d.hosts[0])}
		for len(sinks) < hosts {
			s := d.sink(&watchedHost{id: container.HostID(fmt.Sprint("host", len(sinks)))})
			s.askers.EngineAt([]netip.Addr{anotherAt})
			s.Host(containertest.Host())
			s.Synced()
			sinks = append(sinks, s)
		}
		web := func(i int) *container.Container {
			return facts(fmt.Sprint("web", i), fmt.Sprintf("a=10.1.%d.%d", i/250, 2+i%250))
		}
		for i := range containers {
			c := web(i)
			sinks[i%hosts].Apply([]container.Change{{ID: c.ID, Container: c}})
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range changes {
			c := web(i)
			s := sinks[i%hosts]
			s.Apply([]container.Change{{ID: c.ID}})
			dig(t, d, fromHost, "nobodys.docker.", dns.TypeA)
			s.Apply([]container.Change{{ID: c.ID, Container: c}})
			dig(t, d, fromHost, "nobodys.docker.", dns.TypeA)
		}
		runtime.ReadMemStats(&after)
		return float64(after.Mallocs-before.Mallocs) / (2 * changes), float64(after.TotalAlloc-before.TotalAlloc) / (2 * changes)
	}
	oneAllocations, oneBytes := cost(1)
	allocations, bytes := cost(50)
	t.Logf("one host: %.0f allocations of %.0f bytes; fifty hosts: %.0f of %.0f", oneAllocations, oneBytes, allocations, bytes)
	if allocations > 1.1*oneAllocations || bytes > 1.1*oneBytes {
		t.Error("with fifty hosts a change costs more")
	}
}
