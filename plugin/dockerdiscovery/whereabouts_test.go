package dockerdiscovery

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
)

// resolver answers look-ups with what it is set to; "" is a failure.
type resolver struct {
	mu    sync.Mutex // guards the following
	addrs string
	asked []string // names
}

func (r *resolver) set(addrs string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addrs = addrs
}

func (r *resolver) find(_ context.Context, network, name string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, name)
	if network != "ip" || r.addrs == "" {
		return nil, errors.New("lookup " + name + ": no such host")
	}
	var addrs []netip.Addr
	for _, a := range strings.Fields(r.addrs) {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	return addrs, nil
}

// use has the plugin ask the resolver until the test ends.
func (r *resolver) use(t *testing.T) {
	before := findAddrs
	findAddrs = r.find
	t.Cleanup(func() { findAddrs = before })
}

// TestWhereabouts follows a host whose name comes to stand for other addresses.
func TestWhereabouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &resolver{}
		r.use(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		web := facts("web", "a=10.1.0.2")
		web.Ports = published("0.0.0.0:8080", "[::]:8080")
		d := emptyDocker(func(c *config) {
			c.publish = true
			c.endpoints[0].Host = "ssh://me@nas.lan"
		})
		defer d.catalog.Close()
		h := d.hosts[0]
		h.moved = h.watchAddrs(ctx, d.askers.Feed(h.id).EngineAt)
		d.set(web)
		expect := func(what, want string) {
			t.Helper()
			synctest.Wait()
			got := strings.Fields(dig(t, d, fromLAN, "web.docker.", dns.TypeA) + " " + dig(t, d, fromLAN, "web.docker.", dns.TypeAAAA))
			got = slices.DeleteFunc(got, func(s string) bool { return s == "none" })
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		expect("not looked up yet", "")
		r.set("203.0.113.5")
		time.Sleep(lookUpSoon)
		expect("the first look-up failed", "203.0.113.5")
		r.set("2001:db8::6 203.0.113.6 fe80::6 203.0.113.6 ::ffff:203.0.113.7")
		expect("it has moved a moment ago", "203.0.113.5")
		time.Sleep(lookUpEvery)
		expect("it has moved", "203.0.113.6 203.0.113.7 2001:db8::6")
		r.set("")
		lines := logged(func() {
			time.Sleep(10 * lookUpEvery)
			expect("the resolver is away", "203.0.113.6 203.0.113.7 2001:db8::6")
		})
		if len(lines) != 1 || !strings.Contains(lines[0], "lookup nas.lan: no such host") {
			t.Errorf("the log says %q, want one line", lines)
		}
		r.set("203.0.113.8")
		d.sink(h).Current(false, time.Now())
		expect("it has moved while the resolver was away", "203.0.113.6 203.0.113.7 2001:db8::6")
		d.sink(h).Current(true, time.Now())
		expect("the engine is connected to again", "203.0.113.8")
		if slices.ContainsFunc(r.asked, func(name string) bool { return name != "nas.lan" }) {
			t.Errorf("looked up: %q", r.asked)
		}
	})
}

// TestLiteralWhereabouts checks that nothing is looked up where a URL has an address, or none is needed.
func TestLiteralWhereabouts(t *testing.T) {
	for host, want := range map[string]string{
		"unix:///var/run/docker.sock": "never", "tcp://127.0.0.1:2375": "[127.0.0.1]", "tcp://203.0.113.5:2375": "[203.0.113.5]",
		"tcp://[2001:db8::5]:2376": "[2001:db8::5]", "tcp://[::ffff:203.0.113.5]:2376": "[203.0.113.5]", "ssh://me@203.0.113.5/run/podman.sock": "[203.0.113.5]",
		"tcp://[fe80::1%25eth0]:2376": "[]",
	} {
		r := &resolver{}
		r.use(t)
		got := "never"
		e := endpoint{Endpoint: engine.Endpoint{Host: host}}
		e.watchAddrs(t.Context(), func(addrs []netip.Addr) { got = fmt.Sprint(addrs) })()
		if got != want || len(r.asked) > 0 {
			t.Errorf("%s: %s after look-ups of %q, want %s", host, got, r.asked, want)
		}
	}
}
