package command

import (
	"context"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/resolver"
	"github.com/dockerdiscovery/dockerdiscovery/internal/socket"
)

// machine is what doctor looks at, besides the server.
type machine struct {
	system     string // as GOOS has it
	files      fs.FS  // from the root
	endpoint   func(warn func(error)) (engine.Endpoint, error)
	ping       func(context.Context, engine.Endpoint) (string, error)
	holders    func(network, addr string) []socket.Holder
	processes  func(program string) []int
	interfaces func() (map[string][]netip.Addr, error)
	// exchange asks a DNS server one question.
	exchange func(ctx context.Context, server string, name string, qtype uint16) (*dns.Msg, error)
	// resolve asks the system's resolver, as programs do.
	resolve func(ctx context.Context, name string) ([]netip.Addr, error)
	local   *resolver.Machine
}

// thisMachine is the one on which we run.
func thisMachine() *machine {
	return &machine{
		system: runtime.GOOS, files: os.DirFS("/"), endpoint: engine.Default, ping: engine.Ping, holders: socket.Holders,
		processes: socket.Processes, interfaces: interfaces, exchange: exchange,
		resolve: func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		},
		local: &resolver.Machine{GOOS: runtime.GOOS, Root: "/", Run: resolver.Run, Holder: func(at netip.AddrPort) string {
			return socket.Known(socket.Holders("udp", at.String())).Process
		}},
	}
}

// interfaces returns the addresses of the interfaces by name.
func interfaces() (map[string][]netip.Addr, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	addrs := map[string][]netip.Addr{}
	for _, i := range all {
		has, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range has {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				addrs[i.Name] = append(addrs[i.Name], p.Addr())
			}
		}
	}
	return addrs, nil
}

// dnsTimeout is how long a server on this machine may take for an answer. It may wait a moment for a container that is starting.
const dnsTimeout = 2 * time.Second

func exchange(ctx context.Context, server, name string, qtype uint16) (*dns.Msg, error) {
	m, _, err := (&dns.Client{Timeout: dnsTimeout}).ExchangeContext(ctx, new(dns.Msg).SetQuestion(name, qtype), server)
	return m, err
}
