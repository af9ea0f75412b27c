package command

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// status asks the server what it serves.
func (d *doctor) status(ctx context.Context) []finding {
	var is status.Overview
	if err := d.read(ctx, "/", nil, &is); err != nil {
		runs := "no process called " + d.program + " runs"
		if ids := d.processes(d.program); len(ids) > 0 {
			runs = fmt.Sprintf("%s runs as process %s", d.program, strings.Trim(fmt.Sprint(ids), "[]"))
		}
		if d.system != "linux" { // only there can it be seen
			runs = "it may not run"
		}
		return []finding{found(problem, unasked(err), "the server can't be asked at %s: %v; %s", d.server.address, err, runs)}
	}
	d.blocks = is.Blocks
	return []finding{found(well, "", "the server answers at %s for %s", d.server.address, strings.Join(d.zones(), " "))}
}

// zones returns the server's zones, but for reverse zones where there are others.
func (d *doctor) zones() []string {
	var all []string
	for _, b := range d.blocks {
		all = append(all, b.Zones...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if forward := slices.DeleteFunc(slices.Clone(all), zone.IsReverse); len(forward) > 0 {
		return forward
	}
	return all
}

// pingTimeout is how long an engine may take for an answer. Podman's takes a second on an idle machine.
const pingTimeout = 10 * time.Second

// engines says whether the engines are there: the server's, as it sees them, or the one that it would watch by default.
func (d *doctor) engines(ctx context.Context) (all []finding) {
	if d.blocks == nil {
		return d.defaultEngine(ctx)
	}
	var hosts status.HostPage
	if err := d.read(ctx, "/hosts", nil, &hosts); err != nil {
		return []finding{found(problem, "", "the server does not tell its hosts: %v", err)}
	}
	seen := map[string]bool{}
	for _, h := range hosts.Rows {
		if seen[h.Endpoint] { // another block's
			continue
		}
		seen[h.Endpoint] = true
		where := fmt.Sprintf("host %s at %s", h.ID, h.Endpoint)
		if h.State == "current" {
			all = append(all, found(well, "", "%s: %s, %d containers", where, h.Engine, h.Containers))
			continue
		}
		all = append(all, found(problem, h.Cure, "%s is %s since %s: %s", where, h.State, h.Since.Format(time.DateTime), h.LastError))
	}
	return all
}

func (d *doctor) defaultEngine(ctx context.Context) (all []finding) {
	e, err := d.endpoint(func(err error) { all = append(all, found(note, "", "%v", err)) })
	if err != nil {
		return append(all, found(problem, "mend it, or write the engine's address with the property endpoint", "%v", err))
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	version, err := d.ping(ctx, e)
	if err != nil {
		return append(all, found(problem, engine.Cure(e.Host, err), "the engine at %s can't be asked by this user: %v", e.Host, err))
	}
	return append(all, found(well, "", "%s at %s answers this user", version, e.Host))
}

// corefile says what the server warns of.
func (d *doctor) corefile(context.Context) (all []finding) {
	for _, b := range d.blocks {
		for _, w := range b.Warnings {
			all = append(all, found(problem, "", "server block %s: %s", b.Key, w))
		}
	}
	if d.blocks != nil && all == nil {
		all = append(all, found(well, "", "no warnings, as of a cache above docker"))
	}
	return all
}

// listening is where the server is asked by DNS.
func (d *doctor) listening() (addrs []netip.AddrPort) {
	for _, b := range d.blocks {
		addrs = append(addrs, addrsOf(&b)...)
	}
	slices.SortFunc(addrs, netip.AddrPort.Compare)
	return slices.Compact(addrs)
}

// addrsOf returns where a server block is asked by DNS itself, over UDP and TCP.
func addrsOf(b *status.Info) (addrs []netip.AddrPort) {
	for _, l := range b.Listen {
		at, ok := strings.CutPrefix(l, "dns://")
		host, port, err := net.SplitHostPort(at)
		if !ok || err != nil {
			continue
		}
		if a, err := netip.ParseAddrPort(net.JoinHostPort(cmp.Or(host, "::"), port)); err == nil {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// reachable returns an address at which this machine reaches a server that listens there.
func reachable(a netip.AddrPort) string {
	if a.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port()).String()
	}
	return a.String()
}

// dns says whether the server answers where it listens.
func (d *doctor) dns(ctx context.Context) (all []finding) {
	for _, b := range d.blocks {
		for _, a := range addrsOf(&b) {
			at := reachable(a)
			if _, err := d.exchange(ctx, at, b.Zones[0], dns.TypeSOA); err != nil {
				cure := "a rule of the firewall is between, or another process has the address too: 'ss -lntup sport = :" + fmt.Sprint(a.Port()) + "' as root tells"
				all = append(all, found(problem, cure, "no answer at %s: %v", at, err))
			} else {
				all = append(all, found(well, "", "answers at %s", at))
			}
		}
	}
	return all
}
