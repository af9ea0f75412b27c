package dockerdiscovery

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	pkgparse "github.com/coredns/coredns/plugin/pkg/parse"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/spelling"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// questioner is who asks what is to be explained. It stands in for the transport of the query.
type questioner struct {
	dns.ResponseWriter            // nil: nothing is written
	at                 netip.Addr // our address that it asks; the zero Addr if the socket is bound to all
	ip                 netip.Addr // the zero Addr for who is elsewhere, wherever that is
	is                 string     // as a sentence has it
}

// RemoteAddr implements dns.ResponseWriter.
func (q questioner) RemoteAddr() net.Addr {
	if !q.ip.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(q.ip, 0))
}

// LocalAddr implements dns.ResponseWriter.
func (q questioner) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(netip.AddrPortFrom(q.at, 0)) }

// boundTo returns the only address at which the server block is asked, the zero Addr if there are more.
func (d *Docker) boundTo() (at netip.Addr) {
	for _, listens := range d.listens {
		_, addr := pkgparse.Transport(listens)
		here, err := netip.ParseAddrPort(addr)
		if err != nil || at.IsValid() && at != here.Addr() {
			return netip.Addr{}
		}
		at = here.Addr()
	}
	return at
}

// questioner finds who asks, as status.Question.From has it.
func (d *Docker) questioner(from string) (questioner, error) {
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	switch from {
	case "", "host":
		return questioner{ip: loopback, is: "the Docker host (127.0.0.1)"}, nil
	case "lan":
		return questioner{is: "somebody elsewhere, as on the LAN"}, nil
	}
	if ip, err := netip.ParseAddr(from); err == nil {
		return questioner{ip: ip.Unmap().WithZone(""), is: d.describe(ip.Unmap().WithZone(""))}, nil
	}
	for _, h := range d.hosts {
		if from == string(h.id) || h.name != "" && strings.EqualFold(from, h.name) {
			q := d.asHost(h.id)
			q.is = "host " + from + q.is
			return q, nil
		}
	}
	return d.containerAsking(from)
}

// describe says who asks from the address.
func (d *Docker) describe(ip netip.Addr) string {
	if d.askers.Forwards(ip) {
		return fmt.Sprintf("the resolver %s", ip)
	}
	switch who := d.askers.Who(ip); {
	case who.Client != nil && who.Client.Name != "":
		return fmt.Sprintf("container %s (%s)", status.Quoted(who.Client.Name), ip)
	case who.Kind == zone.Container:
		return fmt.Sprintf("a container that is not known (%s)", ip)
	case who.Kind == zone.Host:
		return fmt.Sprintf("the Docker host (%s)", ip)
	default:
		return fmt.Sprintf("%s, which is elsewhere", ip)
	}
}

// asHost returns the host as one who asks, with what a sentence has to add to its name.
func (d *Docker) asHost(id container.HostID) questioner {
	v := d.askers.Vantage(id)
	if !v.Elsewhere {
		return questioner{ip: netip.AddrFrom4([4]byte{127, 0, 0, 1}), is: " (127.0.0.1)"}
	}
	addrs := v.Remote
	if h := d.host(id); h != nil && len(h.addrs) > 0 {
		addrs = h.addrs
	}
	if len(addrs) == 0 {
		return questioner{is: ", whose address is not known"}
	}
	return questioner{ip: addrs[0], is: fmt.Sprintf(" (%s)", addrs[0])}
}

// containerAsking finds the container that runs and has the name, the ID or the short ID, and maybe its host's name after a dot.
func (d *Docker) containerAsking(ref string) (questioner, error) {
	var found []catalog.Explanation
	for _, h := range d.hosts {
		found = append(found, d.catalog.Explain(h.id, ref)...)
		for _, of := range []string{string(h.id), h.name} {
			if name, ok := strings.CutSuffix(ref, "."+of); ok && of != "" && len(found) == 0 {
				found = append(found, d.catalog.Explain(h.id, name)...)
			}
		}
	}
	runs := slices.DeleteFunc(slices.Clone(found), func(c catalog.Explanation) bool { return c.Facts == nil })
	switch {
	case len(runs) == 1:
		return d.asContainer(&runs[0]), nil
	case len(runs) > 1:
		var choices []string
		for _, c := range runs {
			choices = append(choices, status.Quoted(c.Name+"."+cmp.Or(d.hostName(c.Host), string(c.Host))))
		}
		return questioner{}, fmt.Errorf("%d containers are called %q; want one of %s", len(runs), ref, strings.Join(choices, ", "))
	case len(found) > 0:
		return questioner{}, fmt.Errorf("container %q does not run, so that it can't ask", ref)
	}
	err := fmt.Errorf("nobody is called %q who could ask; want an address, a running container's name or ID, a host's NAME, host or lan", ref)
	if like := d.called(ref); like != "" {
		err = fmt.Errorf("%w; did you mean %s", err, status.Quoted(like))
	}
	return questioner{}, err
}

// called returns the name of a running container that looks like the text, "" if none does.
func (d *Docker) called(text string) (best string) {
	least := spelling.Limit(text) + 1
	for c := range d.catalog.All() {
		if c.Facts == nil {
			continue
		}
		if n := spelling.Distance(strings.ToLower(text), strings.ToLower(c.Name), least); n < least {
			best, least = c.Name, n
		}
	}
	return best
}

// asContainer returns the container as one who asks: from the first of its addresses from which it is known, else as its host.
func (d *Docker) asContainer(c *catalog.Explanation) questioner {
	facts := c.Facts
	if facts.Joined() != "" && c.Entry != nil {
		for _, a := range c.Entry.Addresses {
			if d.asksFrom(a.IP, c.Host) {
				return questioner{ip: a.IP, is: fmt.Sprintf("container %s (%s, in another container's network)", status.Quoted(c.Name), a.IP)}
			}
		}
	}
	for _, ep := range facts.Connections() {
		for _, ip := range ep.Addrs {
			if d.asksFrom(ip, c.Host) {
				return questioner{ip: ip, is: fmt.Sprintf("container %s (%s on %s)", status.Quoted(c.Name), ip, status.Quoted(ep.Network))}
			}
		}
	}
	q := d.asHost(c.Host)
	q.is = fmt.Sprintf("container %s, through its host%s", status.Quoted(c.Name), q.is)
	return q
}

// asksFrom reports whether the host's container asks from the address that it has. Through another machine's host it comes from
// that one's, and the address may be another container's here.
func (d *Docker) asksFrom(ip netip.Addr, host container.HostID) bool {
	who := d.askers.Who(ip)
	return !d.askers.Vantage(host).Elsewhere || who.Client != nil && (who.Hosts == nil || slices.Contains(who.Hosts, host))
}
