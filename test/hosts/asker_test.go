package hosts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// asker is who asks, and connects.
type asker struct {
	name  string
	host  *host        // nil on the LAN
	kind  string       // what the matrix calls it
	netns string       // file
	own   []netip.Addr // where its own host's server is asked
	other []netip.Addr // where others' are

	tried sync.Map // what dial found, by netip.AddrPort
}

// findServers tells the askers where the servers of other hosts are, as far as they reach them.
func (l *lab) findServers() {
	for _, a := range append(l.askers(), l.lan) {
		for _, h := range l.hosts {
			for _, addr := range h.addrs {
				if h != a.host && a.reachesLAN(addr.Is4()) {
					a.other = append(a.other, addr)
				}
			}
		}
	}
}

// reachesLAN reports whether the asker reaches addresses of the family on the LAN.
func (a *asker) reachesLAN(v4 bool) bool {
	has := func(list []netip.Addr) bool {
		return slices.ContainsFunc(list, func(addr netip.Addr) bool { return addr.Is4() == v4 })
	}
	return a.host == nil || has(a.host.addrs) && has(a.own)
}

// askers are all of the hosts' and their containers.
func (l *lab) askers() (all []*asker) {
	for _, h := range l.hosts {
		all = append(all, h.askers...)
	}
	return all
}

// ask asks a server one question, and returns the answer section's data.
func (a *asker) ask(server netip.Addr, name string, qtype uint16) ([]dns.RR, error) {
	m, err := a.exchange(server, name, qtype)
	if err != nil {
		return nil, fmt.Errorf("%s asks %v for %s %s: %w", a.name, server, name, dns.TypeToString[qtype], err)
	}
	return m.Answer, nil
}

func (a *asker) exchange(server netip.Addr, name string, qtype uint16) (m *dns.Msg, err error) {
	within := rig.Within(a.netns, func() error {
		m, err = rig.Ask("udp", netip.AddrPortFrom(server, 53).String(), name, qtype)
		return err
	})
	if err == nil {
		err = within
	}
	if err == nil && m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		err = errors.New(dns.RcodeToString[m.Rcode])
	}
	return m, err
}

// addrs asks for a name's addresses of both families.
func (a *asker) addrs(server netip.Addr, name string) (found []netip.Addr, err error) {
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		rrs, err := a.ask(server, name, qtype)
		if err != nil {
			return nil, err
		}
		for _, rr := range rrs {
			switch rr := rr.(type) {
			case *dns.A:
				addr, _ := netip.AddrFromSlice(rr.A.To4())
				found = append(found, addr)
			case *dns.AAAA:
				addr, _ := netip.AddrFromSlice(rr.AAAA)
				found = append(found, addr)
			}
		}
	}
	return found, nil
}

// connection is what a try to connect has come to.
type connection struct {
	text string // what the target said
	err  error
}

// dial connects, once for each address, and returns what the target said of itself.
func (a *asker) dial(to netip.AddrPort) connection {
	found, _ := a.tried.LoadOrStore(to, sync.OnceValue(func() connection { return a.connect(to) }))
	return found.(func() connection)()
}

// connect is dial for who tries again: on a busy machine the first packet may be lost, or the answer late.
func (a *asker) connect(to netip.AddrPort) connection {
	var c net.Conn
	err := rig.Within(a.netns, func() (err error) {
		c, err = net.DialTimeout("tcp", to.String(), 2*time.Second)
		return err
	})
	if err != nil {
		return connection{err: err}
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	text, err := io.ReadAll(c)
	return connection{string(text), err}
}

// get reads a page of the host's own.
func (h *host) get(url string) (page string, err error) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (c net.Conn, err error) {
			err = rig.Within(rig.NetnsPath(h.netns), func() (err error) {
				c, err = new(net.Dialer).DialContext(ctx, network, addr)
				return err
			})
			return c, err
		}}}
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, body)
	}
	return string(body), err
}

// addrList is how the host's addresses stand in a Corefile.
func (h *host) addrList() string {
	var list []string
	for _, addr := range h.addrs {
		list = append(list, addr.String())
	}
	return strings.Join(list, " ")
}
