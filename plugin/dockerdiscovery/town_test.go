package dockerdiscovery

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// askers are who may be harmed by a container that claims others' names: none is on the network b alone, or on c with it.
var askers = map[string]string{
	"the host": fromHost, "the LAN": fromLAN, "a member of project shop": "10.1.0.20", "a member of project gitea": "10.1.0.11",
	"a neighbour": "10.1.0.200", "a member of network traefik": "10.4.0.3", "a stranger": "10.3.0.9",
}

// labelled gives the container labels KEY=VALUE: Compose's project and service, and ours.
func labelled(c *container.Container, labels ...string) *container.Container {
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	for _, l := range labels {
		key, value, _ := strings.Cut(l, "=")
		switch key {
		case "project", "service":
			c.Labels["com.docker.compose."+key] = value
		default:
			c.Labels["coredns.dockerdiscovery."+key] = value
		}
	}
	return c
}

// aliased gives the container aliases on its first network.
func aliased(c *container.Container, aliases ...string) *container.Container {
	c.Endpoints[0].Aliases = append(c.Endpoints[0].Aliases, aliases...)
	return c
}

// serving has the container publish the port.
func serving(c *container.Container, port uint16) *container.Container {
	at := netip.AddrPortFrom(netip.IPv4Unspecified(), port+8000)
	c.Ports = append(c.Ports, container.Port{Number: port, Proto: "tcp", Published: []netip.AddrPort{at}})
	return c
}

func named(c *container.Container, name string) *container.Container { c.Name = name; return c }

func hostnamed(c *container.Container, hostname string) *container.Container {
	c.Hostname = hostname
	return c
}

// residents are containers that mean no harm, the oldest first: with names of all kinds, and names below them.
func residents() []*container.Container {
	side := facts("side", "")
	side.NetworkMode = "container:" + facts("web", "").ID
	all := []*container.Container{
		serving(labelled(facts("web", "a=10.1.0.2"), "host=www, *.web", "records=@ TXT web\nmail A 192.0.2.25"), 80),
		serving(side, 90),
		serving(facts("rabbit_1", "a=10.1.0.3"), 5672),
		facts("gitea", "a=10.1.0.10"),
		serving(aliased(labelled(facts("gitea-db-1", "a=10.1.0.11"), "project=gitea", "service=db"), "db"), 5432),
		facts("traefik", "traefik=10.4.0.2"),
		aliased(facts("who", "traefik=10.4.0.3"), "whoami"),
		serving(hostnamed(aliased(labelled(facts("shop-web-1", "a=10.1.0.20"), "project=shop", "service=web"), "web"), "shopweb"), 80),
		hostnamed(aliased(labelled(facts("shop-db-1", "b=10.2.0.21"), "project=shop", "service=db"), "db"), "db"),
	}
	for i, c := range all {
		c.Created = time.Unix(int64(100+i), 0)
	}
	return all
}

// mortals are the residents that end, and run again.
func mortals() []*container.Container {
	return slices.DeleteFunc(residents(), func(c *container.Container) bool {
		return !slices.Contains([]string{"web", "gitea-db-1", "rabbit_1", "shop-web-1", "who"}, c.Name)
	})
}

// town is a plugin that knows the networks a, b and c, and one that is called like a container on it. Its host is called nas.
type town struct{ *Docker }

// remove has the containers end.
func (w town) remove(cs ...*container.Container) {
	for _, c := range cs {
		w.Docker.remove(c)
	}
}

func newTown(change func(*config)) town {
	d := emptyDocker(func(c *config) {
		c.publish, c.hold, c.endpoints[0].name = true, time.Hour, "nas"
		c.zone.Zones = []string{"docker.", "sub.docker.", "10.in-addr.arpa."}
		if change != nil {
			change(c)
		}
	})
	d.Next = plugin.HandlerFunc(next)
	host := containertest.Host()
	subnet := netip.MustParsePrefix("10.4.0.0/16")
	host.Networks = append(host.Networks, container.Network{
		ID: "traefik", Name: "traefik", Driver: "bridge", Subnets: []netip.Prefix{subnet}, Gateways: []netip.Addr{subnet.Addr().Next()},
	})
	d.sink(d.hosts[0]).Host(host)
	return town{d}
}

// answer is the whole of what the asker gets, but for the zones' serials.
func (w town) answer(t *testing.T, from, name string, qtype uint16) string {
	t.Helper()
	rec := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: from})
	m := new(dns.Msg).SetQuestion(name, qtype)
	m.Id = 1
	rcode, err := w.ServeDNS(t.Context(), rec, m)
	switch {
	case errors.Is(err, errNext):
		return "goes on"
	case err != nil:
		t.Fatalf("%s %s: %v", name, dns.TypeToString[qtype], err)
	case rec.Msg == nil:
		return dns.RcodeToString[rcode]
	}
	for _, rrs := range [][]dns.RR{rec.Msg.Answer, rec.Msg.Ns} {
		for _, rr := range rrs {
			if soa, ok := rr.(*dns.SOA); ok {
				soa.Serial = 1
			}
		}
	}
	wire, err := rec.Msg.Pack()
	if err != nil {
		t.Fatalf("%s %s: %v", name, dns.TypeToString[qtype], err)
	}
	return string(wire)
}

// question is who asks what.
type question struct {
	who, name string
	qtype     uint16
}

func (q question) String() string {
	return fmt.Sprintf("%s asks for %s %s", q.who, q.name, dns.TypeToString[q.qtype])
}

// show is an answer for people.
func show(answer string) string {
	m := new(dns.Msg)
	if m.Unpack([]byte(answer)) != nil {
		return answer
	}
	return m.String()
}

// peace is a town of residents alone, and what they are answered there.
type peace struct {
	town
	answers map[question]string
}

func newPeace(change func(*config)) peace {
	w := peace{newTown(change), map[question]string{}}
	w.set(residents()...)
	return w
}

// same checks that everybody gets the same answers to the names in the other town.
func (w peace) same(t *testing.T, what string, other town, names []string) {
	t.Helper()
	for who, from := range askers {
		for _, name := range names {
			qtypes := []uint16{dns.TypeA, dns.TypeANY}
			switch {
			case zone.IsReverse(name):
				qtypes = []uint16{dns.TypePTR}
			case strings.HasPrefix(name, "_"):
				qtypes = []uint16{dns.TypeSRV}
			}
			for _, qtype := range qtypes {
				q := question{who, name, qtype}
				want, ok := w.answers[q]
				if !ok {
					want = w.answer(t, from, name, qtype)
					w.answers[q] = want
				}
				if got := other.answer(t, from, name, qtype); got != want {
					t.Errorf("%s: %v:\n%s\nwithout the claim:\n%s", what, q, show(got), show(want))
				}
			}
		}
	}
}

// sameTransfer checks that who transfers the zone gets the same of the names in the other town.
func (w peace) sameTransfer(t *testing.T, other town, names []string) {
	t.Helper()
	about := func(w town) (lines []string) {
		text, _ := dump(t, w.Docker, "docker.")
		for line := range strings.Lines(text) {
			if owner, _, _ := strings.Cut(line, "\t"); slices.Contains(names, owner) && !strings.Contains(line, "\tSOA\t") {
				lines = append(lines, line)
			}
		}
		slices.Sort(lines)
		return lines
	}
	if got, want := about(other), about(w.town); !slices.Equal(got, want) || len(want) == 0 {
		t.Errorf("transferred:\n%s\nwithout the claim:\n%s", strings.Join(got, ""), strings.Join(want, ""))
	}
}

// residentNames are the names that the residents have or may have, with such as nobody has below each.
func residentNames() (names []string) {
	for _, name := range strings.Fields(`web side rabbit_1 rabbit-1 gitea gitea-db-1 traefik who shop-web-1 shop-db-1 www mail.web x.web api.web
		db.gitea whoami.traefik web.shop db.shop web.a db.a db.b db shopweb web0000000 rabbit_10000 _http._tcp.web _90._tcp.side _amqp._tcp.rabbit-1
		nas web.nas side.nas rabbit_1.nas rabbit-1.nas gitea-db-1.nas x.nas x.web.nas _http._tcp.web.nas
		_postgresql._tcp.db.gitea _http._tcp.web.shop _http._tcp.shopweb nope x.rabbit-1 x.rabbit_1 x.gitea x.traefik x.db.gitea x.web.shop`) {
		names = append(names, name+".docker.")
	}
	names = append(names, "docker.", "sub.docker.", "ns.dns.docker.", "web.sub.docker.", "nas.sub.docker.", "web.nas.sub.docker.", "rabbit-1.sub.docker.", "db.gitea.sub.docker.")
	for _, c := range residents() {
		for _, ep := range c.Endpoints {
			name, _ := dns.ReverseAddr(ep.Addrs[0].String())
			names = append(names, name)
		}
	}
	return names
}
