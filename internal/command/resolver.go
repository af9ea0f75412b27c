package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

// resolver compares the server's answer for a container with that of the system's resolver.
func (d *doctor) resolver(ctx context.Context) []finding {
	for _, b := range d.blocks {
		name, err := d.sample(ctx, &b)
		if err != nil {
			return []finding{found(problem, "", "the server does not tell its names: %v", err)}
		}
		addrs := addrsOf(&b)
		if name == "" || len(addrs) == 0 {
			continue
		}
		server := reachable(addrs[0])
		m, err := d.exchange(ctx, server, name, dns.TypeA)
		if err != nil {
			continue // told by the check dns
		}
		return []finding{d.compare(ctx, name, server, addressesIn(m))}
	}
	if d.blocks == nil {
		return nil
	}
	return []finding{found(note, "docker run -d --name web nginx", "no container has an address now by which the system's resolver could be tried")}
}

// sample returns a name with an IPv4 address that the block answers to this machine, "" if there is none: a container's own name
// if its page of the names has one.
func (d *doctor) sample(ctx context.Context, b *status.Info) (string, error) {
	for after := ""; ; {
		var page status.NamePage
		if err := d.read(ctx, "/names", query("block", b.Key, "after", after), &page); err != nil {
			return "", err
		}
		rows := slices.DeleteFunc(page.Rows, func(n status.NameRow) bool {
			return strings.ContainsAny(n.Name.Name, "*_") || !slices.ContainsFunc(n.Records, isA)
		})
		if i := slices.IndexFunc(rows, hasOwn); i >= 0 {
			return rows[i].Name.Name, nil
		}
		if len(rows) > 0 {
			return rows[0].Name.Name, nil
		}
		if after = page.Next; after == "" {
			return "", nil
		}
	}
}

// hasOwn reports whether a container that has the name is called so.
func hasOwn(n status.NameRow) bool {
	return slices.ContainsFunc(n.Owners, func(owner string) bool { return strings.HasPrefix(n.Name.Name, owner+".") })
}

// isA reports whether a record, without its name, is an IPv4 address.
func isA(record string) bool {
	rr, err := dns.NewRR(". " + record)
	return err == nil && rr != nil && rr.Header().Rrtype == dns.TypeA
}

func addressesIn(m *dns.Msg) (ips []netip.Addr) {
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			if ip, ok := netip.AddrFromSlice(a.A); ok {
				ips = append(ips, ip.Unmap())
			}
		}
	}
	return ips
}

// compare asks the system's resolver for the name, for which the server has given the addresses.
func (d *doctor) compare(ctx context.Context, name, server string, want []netip.Addr) finding {
	const browser = "a browser with DNS over HTTPS asks neither"
	got, err := d.resolve(ctx, name)
	for i := range got {
		got[i] = got[i].Unmap()
	}
	var no *net.DNSError
	switch {
	case slices.ContainsFunc(got, func(ip netip.Addr) bool { return slices.Contains(want, ip) }):
		return found(well, "", "%s is %s for the server and for this machine's programs; %s", name, list(want), browser)
	case len(got) > 0:
		return found(problem, "the system's resolver asks somebody else for the name, or keeps what was once right: "+d.splitDNS(name, server),
			"%s is %s for the server, but %s for this machine's programs", name, list(want), list(got))
	case errors.As(err, &no) && no.IsNotFound:
		return found(problem, d.splitDNS(name, server), "%s is %s for the server, and unknown to this machine's programs: their resolver does not ask the server", name, list(want))
	default:
		return found(problem, d.splitDNS(name, server), "%s is %s for the server, and this machine's resolver fails: %v", name, list(want), err)
	}
}

func list(ips []netip.Addr) string { return strings.Trim(fmt.Sprint(ips), "[]") }

// splitDNS says how this machine's resolver is told to ask the server for the name's zone.
func (d *doctor) splitDNS(name, server string) string {
	zone := strings.TrimSuffix(d.zoneOf(name), ".")
	if zone == "" {
		return "have it ask the server, as the README's section \"Who uses it as resolver\" shows"
	}
	return fmt.Sprintf("'%s docker resolver install --zone %s --server %s' has it ask the server, or says why it can't", d.program, zone, server)
}

// zoneOf returns the zone of the server's in which the name lies, "" if there is none.
func (d *doctor) zoneOf(name string) (in string) {
	for _, b := range d.blocks {
		for _, z := range b.Zones {
			if dns.IsSubDomain(z, name) && len(z) > len(in) {
				in = z
			}
		}
	}
	return in
}
