package dockerdiscovery

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

// withPort80 is a container of network a that publishes port 80 on all of the host's addresses.
func withPort80(name, ip string) *container.Container {
	c := facts(name, "a="+ip)
	c.Ports = published("0.0.0.0:80")
	return c
}

// transferred returns the addresses that a transfer has, by owner name without the zone.
func transferred(t *testing.T, d *Docker) map[string]string {
	t.Helper()
	ch, err := d.Transfer("docker.", 0)
	if err != nil {
		t.Fatal(err)
	}
	addrs := map[string]string{}
	for rrs := range ch {
		for _, rr := range rrs {
			if a, ok := rr.(*dns.A); ok {
				addrs[strings.TrimSuffix(a.Hdr.Name, ".docker.")] = a.A.String()
			}
		}
	}
	return addrs
}

// TestTransferView checks which addresses secondaries get: those that the Docker host or the LAN gets.
func TestTransferView(t *testing.T) {
	host := map[string]string{"web": "10.1.0.2", "pub": "10.1.0.3", "ns.dns": "192.0.2.1"}
	lan := map[string]string{"web": "", "pub": "", "ns.dns": "192.0.2.1"}
	withPorts := map[string]string{"web": "", "pub": "192.0.2.1", "ns.dns": "192.0.2.1"}
	named := map[string]string{"web": "", "pub": "203.0.113.9", "ns.dns": "192.0.2.1"}
	publish := func(c *config) { c.publish = true }
	for _, c := range []struct {
		what   string
		change func(*config)
		want   map[string]string
	}{
		{"one local engine", nil, host},
		{"transfer_view host", func(c *config) { c.transferAsker = transferHost }, host},
		{"transfer_view lan", func(c *config) { c.transferAsker = transferLAN }, lan},
		{"publish", publish, withPorts},
		{"publish ADDRESS", func(c *config) { publish(c); c.publishAddrs = []netip.Addr{netip.MustParseAddr("203.0.113.9")} }, named},
		{"publish and transfer_view host", func(c *config) { publish(c); c.transferAsker = transferHost }, host},
		{"publish and transfer_view lan", func(c *config) { publish(c); c.transferAsker = transferLAN }, withPorts},
	} {
		d := emptyDocker(c.change)
		d.set(facts("web", "a=10.1.0.2"), withPort80("pub", "10.1.0.3"))
		got := transferred(t, d)
		for name, want := range c.want {
			if got[name] != want {
				t.Errorf("%s: %s has %q, want %q", c.what, name, got[name], want)
			}
		}
		for _, listens := range []string{"dns://127.0.0.1:53", "dns://192.0.2.1:53"} { // where a secondary asks changes nothing
			d.listens = []string{listens}
			if again := transferred(t, d); fmt.Sprint(again) != fmt.Sprint(got) {
				t.Errorf("%s: at %s %v, want %v", c.what, listens, again, got)
			}
		}
	}
}

// serial is that of a SOA query.
func (d *Docker) serial(t *testing.T) uint32 {
	t.Helper()
	rec := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: fromHost})
	if _, err := d.ServeDNS(t.Context(), rec, new(dns.Msg).SetQuestion("docker.", dns.TypeSOA)); err != nil || len(rec.Msg.Answer) != 1 {
		t.Fatalf("SOA: %v\n%v", err, rec.Msg)
	}
	return rec.Msg.Answer[0].(*dns.SOA).Serial
}

// TestTransferIncrements has a secondary follow by what changes. Of what its view does not see it gets nothing, nor a serial.
func TestTransferIncrements(t *testing.T) {
	d := emptyDocker(func(c *config) { c.publish = true })
	d.transfers = true
	d.set(withPort80("one", "10.1.0.2"), withPort80("two", "10.1.0.3"), withPort80("three", "10.1.0.4"))
	last := d.serial(t)
	for _, step := range []struct {
		what    string
		change  func()
		records []string
	}{
		{"nothing", func() {}, nil},
		{"a container that the LAN does not reach", func() { d.set(facts("hidden", "a=10.1.0.5")) }, nil},
		{"one that it reaches", func() { d.set(withPort80("four", "10.1.0.6")) }, []string{"SOA", "SOA", "SOA", "_http._tcp.four SRV", "four A", "four.a A", "four00000000 A", "SOA"}},
		{"its host's address", func() { machine("eth0 192.0.2.2/24", "br-a 10.1.0.1/16").at(&d.own) }, nil},
	} {
		step.change()
		now := d.serial(t)
		if step.what == "its host's address" { // each record: the whole zone is smaller
			if got := receive(t, d, "docker.", last); !newer(now, last) || len(got) != len(receive(t, d, "docker.", 0)) {
				t.Errorf("%s: serial %d after %d, %v", step.what, now, last, got)
			}
			last = now
			continue
		}
		if newer(now, last) != (step.records != nil) {
			t.Errorf("%s: serial %d after %d", step.what, now, last)
		}
		var got []string
		for _, r := range receive(t, d, "docker.", last) {
			owner, rrtype, _ := strings.Cut(r, " ")
			got = append(got, strings.TrimSpace(strings.TrimSuffix(strings.TrimSuffix(owner, "docker."), ".")+" "+rrtype))
		}
		want := step.records
		if want == nil {
			want = []string{"SOA"}
		}
		if len(got) > 4 {
			slices.Sort(got[3 : len(got)-1]) // what is added
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", step.what, got, want)
		}
		last = now
	}
}

// TestNotifyOfTheView checks that secondaries are told of what their view sees, and of nothing else: not of a container that
// the LAN does not reach, but of a new address of this machine, of which no engine tells.
func TestNotifyOfTheView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := emptyDocker(func(c *config) { c.publish = true })
		var told atomic.Int32
		s := newSecondary("192.0.2.53:53", nil)
		s.send = func(context.Context, *dns.Msg) error { told.Add(1); return nil }
		d.notifier.start(d.catalog, d.publish, []*notification{newNotification("docker.", s)})
		defer d.notifier.stop()
		for _, step := range []struct {
			what   string
			change func()
			want   int32
		}{
			{"start", func() {}, 1},
			{"the first that the LAN reaches", func() { d.set(withPort80("one", "10.1.0.2")) }, 1},
			{"a container that the LAN does not reach", func() { d.set(facts("hidden", "a=10.1.0.5")) }, 0},
			{"another that it reaches", func() { d.set(withPort80("two", "10.1.0.3")) }, 1},
			{"an address of the machine", func() { machine("eth0 192.0.2.2/24", "br-a 10.1.0.1/16").at(&d.own) }, 1},
		} {
			step.change()
			time.Sleep(2 * surroundingsInterval)
			synctest.Wait()
			if got := told.Swap(0); got != step.want {
				t.Errorf("%s: told %d times, want %d", step.what, got, step.want)
			}
		}
	})
}

// TestDelegation has zones inside of another, in its server block and in others. Who takes the outer one over must be led to those that
// the same server has.
func TestDelegation(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "web", Labels: map[string]string{"coredns.dockerdiscovery.host": "web.sub.docker, web.own.docker"}})
	port, elsewhere := freePort(t), freePort(t)
	block := "docker {\n endpoint " + e.Host() + "\n }\n transfer {\n to *\n }\n}\n"
	inprocess.Serve(t, fmt.Sprintf("docker.:%s own.docker.:%[1]s {\n%s sub.docker.:%[1]s {\n%[2]s far.docker.:%[3]s {\n%[2]s", port, block, elsewhere))
	for apex, want := range map[string]string{
		"docker.":     "docker. NS, ns.dns.docker. A, ns.dns.own.docker. A, ns.dns.sub.docker. A, own.docker. NS, sub.docker. NS, web.bridge.docker. A, web.docker. A",
		"sub.docker.": "ns.dns.sub.docker. A, sub.docker. NS, web.bridge.sub.docker. A, web.own.docker.sub.docker. A, web.sub.docker. A",
	} {
		ch, err := new(dns.Transfer).In(new(dns.Msg).SetAxfr(apex), "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for env := range ch {
			if env.Error != nil {
				t.Fatal(env.Error)
			}
			for _, rr := range env.RR {
				h := rr.Header()
				if h.Rrtype == dns.TypeNS || h.Rrtype == dns.TypeA && (strings.HasPrefix(h.Name, "ns.") || strings.HasPrefix(h.Name, "web.")) {
					got = append(got, h.Name+" "+dns.TypeToString[h.Rrtype])
				}
			}
		}
		slices.Sort(got)
		if got := strings.Join(slices.Compact(got), ", "); got != want {
			t.Errorf("%s: %s, want %s", apex, got, want)
		}
	}
}
