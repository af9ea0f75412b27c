package dockerdiscovery

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/coredns/coredns/core/dnsserver"

	"github.com/dockerdiscovery/dockerdiscovery/internal/asker"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/socket"
)

// listenHint says what to do about an address where the server can't listen, "" if that is not known.
func listenHint(network, addr string, err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		const elsewhere = "; end it, or listen elsewhere: at other addresses with bind, or at another port, as with .:1053 before the server block"
		if who := socket.Known(socket.Holders(network, addr)).String(); who != "" {
			return who + " has the port" + elsewhere
		}
		_, port, _ := net.SplitHostPort(addr)
		return fmt.Sprintf("another user's process has the port, which 'ss -lntup sport = :%s' tells root", port) + elsewhere
	case errors.Is(err, syscall.EACCES):
		return "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE: README, \"Without root\""
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "no interface has this address, which bind names; those of Docker's networks come when Docker starts"
	}
	return ""
}

// engineHint is [engine.Cure] in brackets, "" if there is none.
func engineHint(host string, err error) string {
	cure := engine.Cure(host, err)
	if cure == "" {
		return ""
	}
	return " (" + cure + ")"
}

// suggest says what to try where no container runs, to who has just installed the server.
func (d *Docker) suggest(cfg *dnsserver.Config) {
	if d.catalog.Complete() && d.containers() == 0 && !d.config.optIn && slices.Contains(d.config.sources, naming.Container) {
		log.Info(firstContainer(d.config.forward()[0], cfg.ListenHosts[0], cfg.Port))
	}
}

// containers is the number of running containers on all hosts.
func (d *Docker) containers() (n int) {
	for _, h := range d.hosts {
		n += h.watcher.Containers()
	}
	return n
}

func firstContainer(zone, listen, port string) string {
	if ip := net.ParseIP(listen); ip == nil || ip.IsUnspecified() {
		listen = "127.0.0.1"
	}
	dig := "dig @" + listen
	if port != "53" {
		dig += " -p " + port
	}
	return fmt.Sprintf("No container runs. To try: docker run -d --name web nginx; %s %s", dig, strings.TrimSuffix("web."+zone, "."))
}

// warnOfContainer warns if we run in a container of which the host has addresses on the networks: who asks by way of the host
// comes from these, and the engine hides who it is.
func (d *Docker) warnOfContainer(v *asker.Vantage) {
	c := v.Inside
	if len(v.Gateways) == 0 || v.Remote != nil { // a container on another machine may have an address of ours by chance
		return
	}
	d.hidden.Do(func() {
		publishes, isolate, who := "", "", "the Docker host"
		if !slices.ContainsFunc(v.Gateways, func(ip netip.Addr) bool { return !d.askers.Forwards(ip) }) {
			who = "elsewhere"
		}
		if slices.ContainsFunc(c.Ports, func(p container.Port) bool {
			return strconv.Itoa(int(p.Number)) == d.port && len(p.Published) > 0
		}) {
			publishes = ", and publishes its port " + d.port
			if d.config.zone.Isolate {
				isolate = ", so that isolate does not hold for them"
			}
		}
		d.warnf("The server runs in container %s without the host's network%s: it can tell who asks on the container's own networks alone; all others come from a gateway of these, and count as %s%s. docs/container.md has what to do", c.Name, publishes, who, isolate)
	})
}
