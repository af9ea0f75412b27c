package zone

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// TestItself checks that a container gets its own address by its own names, whatever keeps that from others: it reaches itself.
func TestItself(t *testing.T) {
	sick := func(e *Entry) *Entry { e.Sick, e.RequireWell = true, true; return e }
	entries := []*Entry{
		service(bare(sick(entry("web", 0, "a=172.17.0.2", "web.docker./name", "web.shop.docker./project", "w.docker./shared/a"))), "_http._tcp.web.docker.", "web.docker.", 80),
		bare(entry("apart", 1, "icc=172.21.0.2 icc=fd21::2", "apart.docker./name", "db.docker./shared/icc", "db.apart.docker./project/icc")),
		bare(entry("other", 2, "icc=172.21.0.3", "other.docker./name", "db.docker./shared/icc")),
		bare(entry("far", 3, "b=172.17.1.2", "far.docker./name", "db.docker./shared/b", "w.docker./shared/b")),
	}
	entries[0].Addresses[0].Reach = 0
	self := func(e *Entry, v View) View { v.Self = e.Addresses; return v }
	for _, isolate := range []bool{false, true} {
		s := NewStore(Config{Zones: []string{"docker.", "21.172.in-addr.arpa."}, TTL: 30, NegativeTTL: 7, Isolate: isolate})
		s.Apply(add(entries...))
		nobody := "none"
		if isolate {
			nobody = "nxdomain"
		}
		for _, c := range []struct {
			who, name string
			qtype     uint16
			want      string
		}{
			{"web", "web.docker.", dns.TypeA, "172.17.0.2"}, {"web", "web.shop.docker.", dns.TypeA, "172.17.0.2"}, {"web", "w.docker.", dns.TypeA, "172.17.0.2"},
			{"web", "_http._tcp.web.docker.", dns.TypeSRV, "0"}, // and so on
			{"neighbour", "web.docker.", dns.TypeA, "none"}, {"neighbour", "w.docker.", dns.TypeA, "none"},
			{"neighbour", "_http._tcp.web.docker.", dns.TypeSRV, "none"},
			{"apart", "apart.docker.", dns.TypeA, "172.21.0.2"}, {"apart", "apart.docker.", dns.TypeAAAA, "fd21::2"},
			{"apart", "db.docker.", dns.TypeA, "172.21.0.2"}, {"apart", "db.apart.docker.", dns.TypeA, "172.21.0.2"},
			{"apart", "2.0.21.172.in-addr.arpa.", dns.TypePTR, "apart.docker."},
			{"apart", "other.docker.", dns.TypeA, nobody},
			{"other", "apart.docker.", dns.TypeA, nobody}, {"other", "db.docker.", dns.TypeA, "172.21.0.3"},
		} {
			v := map[string]View{
				"web": self(entries[0], inside("a")), "neighbour": inside("a"),
				"apart": self(entries[1], inside()), "other": self(entries[2], inside()),
			}[c.who]
			v.Isolate = isolate
			if got := viewed(s.Snapshot(), v, c.name, c.qtype); got != c.want {
				t.Errorf("isolate %v: %s asks for %s: %q, want %q", isolate, c.who, c.name, got, c.want)
			}
		}
	}

	// What nobody is given, neither is who has it; and a neighbour's right is not less than before.
	s := newStore()
	over := entry("over", 0, "ov=10.0.1.2 gw:ov=172.18.0.2", "over.docker./name", "pair.docker./shared/ov")
	over.Addresses = append(over.Addresses, Address{IP: ips("10.0.0.2")[0], Network: on("ingress"), Reach: container.OffHost | container.Unshared})
	peer := entry("peer", 1, "ov=10.0.1.3", "peer.docker./name", "pair.docker./shared/ov")
	s.Apply(add(over, peer))
	v := self(over, inside("ov"))
	v.Self = append(v.Self[:1:1], v.Self[2]) // docker_gwbridge gives none of its own
	for name, want := range map[string]string{"over.docker.": "10.0.1.2", "pair.docker.": "10.0.1.2 10.0.1.3"} {
		if got := viewed(s.Snapshot(), v, name, dns.TypeA); got != want {
			t.Errorf("on an overlay: %s is %q, want %q", name, got, want)
		}
	}
}
