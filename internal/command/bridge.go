package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/resolver"
)

// docker0 is the bridge of Docker's default network.
const docker0 = "docker0"

// containers says whether containers can have the server as their resolver: at the gateway of Docker's default network.
func (d *doctor) containers(ctx context.Context) []finding {
	if d.blocks == nil {
		return nil
	}
	all, err := d.interfaces()
	if err != nil {
		return []finding{found(problem, "", "this machine's addresses can't be read: %v", err)}
	}
	i := slices.IndexFunc(all[docker0], netip.Addr.Is4)
	if i < 0 {
		return []finding{found(note, "", "no interface %s with an IPv4 address is here: the engine is on another or a virtual machine, or has its default network switched off. Whether containers reach the server can't be told", docker0)}
	}
	gateway := all[docker0][i]
	at := netip.AddrPortFrom(gateway, dnsPort)
	if !slices.ContainsFunc(d.listening(), func(a netip.AddrPort) bool {
		return a.Port() == dnsPort && (a.Addr() == gateway || a.Addr().IsUnspecified())
	}) {
		return []finding{found(note, fmt.Sprintf("to have containers ask it, have it serve port 53 of that address, as a server block of that port does with bind 127.0.0.1 %s", gateway),
			"the server does not listen at %s: docker run --dns can't lead to it", at)}
	}
	if _, err := d.exchange(ctx, at.String(), d.blocks[0].Zones[0], dns.TypeSOA); err != nil {
		return []finding{found(problem, "see what the firewall has against it", "no answer at %s, where docker run --dns %s leads to: %v", at, gateway, err)}
	}
	return []finding{found(well, "", "docker run --dns %s leads to the server, unless a firewall keeps containers from this machine, which can't be seen from here", gateway)}
}

// Files of the machine's, from its root.
const (
	resolvConf   = "etc/resolv.conf"
	resolvedConf = "run/systemd/resolve/resolv.conf"
	daemonConf   = "etc/docker/daemon.json"
	maxFile      = 1 << 20
)

// resolvConf says whether Docker's own resolver asks from containers' addresses. It takes its servers from the machine's
// resolv.conf, and asks those at loopback addresses from the machine itself.
func (d *doctor) resolvConf(context.Context) []finding {
	file := resolvConf
	servers, err := resolver.Nameservers(d.files, file)
	if err == nil && len(servers) == 1 && servers[0] == resolver.Stub { // Docker knows what stands behind it
		file = resolvedConf
		servers, err = resolver.Nameservers(d.files, file)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return []finding{found(problem, "", "/%s can't be read: %v", file, err)}
	}
	i := slices.IndexFunc(servers, netip.Addr.IsLoopback)
	if i < 0 {
		return []finding{found(well, "", "/%s names no loopback address", file)}
	}
	given, err := d.daemonDNS()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return []finding{found(note, "", "/%s names %s, and /%s may be read by root alone: without a dns there, containers look like the host", file, servers[i], daemonConf)}
	case err != nil:
		return []finding{found(problem, "", "/%s can't be read: %v", daemonConf, err)}
	case len(given) > 0:
		return []finding{found(well, "", "/%s names %s, but /%s gives containers %s", file, servers[i], daemonConf, strings.Join(given, ", "))}
	}
	return []finding{found(note, "give containers the address of a bridge at which the server listens: {\"dns\": [\"172.17.0.1\"]} in /"+daemonConf,
		"/%s names %s: Docker's own resolver asks it from this machine, and containers look like the host", file, servers[i])}
}

// daemonDNS returns the resolvers that Docker's configuration gives to containers.
func (d *doctor) daemonDNS() ([]string, error) {
	f, err := d.files.Open(daemonConf)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var conf struct {
		DNS []string `json:"dns"`
	}
	err = json.NewDecoder(io.LimitReader(f, maxFile)).Decode(&conf)
	if errors.Is(err, io.EOF) { // empty, which the engine takes
		err = nil
	}
	return conf.DNS, err
}
