package command

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/socket"
)

// dnsPort is the one that resolv.conf and docker run --dns mean: neither can name another.
const dnsPort = 53

// What to do about a known program that has port 53, by its name as the kernel cuts it.
const (
	besideIt   = "name the addresses at which the server is to be asked, as in bind 127.0.0.1 172.17.0.1"
	behindIt   = "it is a resolver: let it keep the port, serve the zone at another one, as in docker:1053, and have it ask there"
	publishes  = "a container publishes the port: 'docker ps --filter publish=53' shows it. End it, or publish the port at another address"
	anotherOne = "end it, or serve at other addresses with bind, or at another port, as with .:1053 before the server block"
)

var portCures = map[string]string{
	"systemd-resolve": "systemd-resolved has it at 127.0.0.53 and 127.0.0.54 alone: " + besideIt,
	"dnsmasq":         "with an address of its own, as libvirt's: " + besideIt + ". As the host's resolver: let it keep the port, serve the zone at another one, as in docker:1053, and write server=/docker/127.0.0.1#1053 for it",
	"aardvark-dns":    "it is Podman's, at its networks' gateways: " + besideIt + ", without those",
	"named":           behindIt,
	"unbound":         behindIt,
	"pihole-FTL":      behindIt,
	"AdGuardHome":     behindIt,
	"docker-proxy":    publishes,
	"com.docker.back": publishes, // Docker Desktop
	"rootlessport":    publishes, // Podman
}

// port53 says who has the port of DNS.
func (d *doctor) port53(context.Context) (all []finding) {
	if d.system != "linux" {
		return []finding{found(note, "", "who has port 53 can't be seen here: 'sudo lsof -nP -i :53' tells")}
	}
	var ours []netip.AddrPort
	for _, a := range d.listening() {
		if a.Port() == dnsPort {
			ours = append(ours, a)
		}
	}
	for _, h := range d.onPort53() {
		switch {
		case h.Process == d.program, slices.ContainsFunc(ours, func(a netip.AddrPort) bool { return same(a, h.Addr) }):
			continue
		}
		who, cure := h.String(), portCures[h.Process]
		if who == "" {
			who, cure = "another user's process", "'ss -lntup sport = :53' as root tells which. "+anotherOne
		}
		r := problem
		if d.blocks != nil { // the server runs, and need not have it
			r = note
		}
		if cure == "" {
			cure = anotherOne
		}
		all = append(all, found(r, cure, "%s has %s", who, h.Addr))
	}
	switch {
	case len(ours) > 0:
		all = append(all, found(well, "", "the server has %s", strings.Trim(fmt.Sprint(ours), "[]")))
	case len(all) == 0:
		all = append(all, found(well, "", "nobody has it"))
	}
	return all
}

// onPort53 returns who has port 53, at whatever address, each process once for each address.
func (d *doctor) onPort53() (all []socket.Holder) {
	for _, network := range []string{"udp", "tcp"} {
		for _, h := range d.holders(network, fmt.Sprintf(":%d", dnsPort)) {
			if !slices.Contains(all, h) {
				all = append(all, h)
			}
		}
	}
	return all
}

// same reports whether both are one address, or both are all.
func same(a, b netip.AddrPort) bool {
	return a == b || a.Port() == b.Port() && a.Addr().IsUnspecified() && b.Addr().IsUnspecified()
}
