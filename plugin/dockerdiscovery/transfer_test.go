package dockerdiscovery

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/transfer"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// receive returns the owners and types of a transfer in order.
func receive(t *testing.T, d *Docker, apex string, serial uint32) (out []string) {
	t.Helper()
	ch, err := d.Transfer(apex, serial)
	if err != nil {
		t.Fatal(err)
	}
	for rrs := range ch {
		for _, rr := range rrs {
			out = append(out, rr.Header().Name+" "+dns.TypeToString[rr.Header().Rrtype])
		}
	}
	return out
}

func TestTransfer(t *testing.T) {
	d := emptyDocker(nil)
	d.set(facts("web", "a=10.1.0.2"), facts("db", "b=10.2.0.2"))
	serial := d.store.Snapshot().Serials()["docker."]
	for _, c := range []struct {
		serial uint32
		whole  bool
	}{{0, true}, {serial, false}, {serial - 1, true}, {serial + 1, false}} {
		got := receive(t, d, "Docker.", c.serial)
		if !c.whole {
			if !slices.Equal(got, []string{"docker. SOA"}) {
				t.Errorf("serial %d of %d: %v, want the SOA alone", c.serial, serial, got)
			}
			continue
		}
		if got[0] != "docker. SOA" || got[len(got)-1] != "docker. SOA" || !slices.Contains(got, "web.docker. A") ||
			!slices.Contains(got, "docker. NS") || !slices.Contains(got, "ns.dns.docker. A") {
			t.Errorf("serial %d of %d: %v", c.serial, serial, got)
		}
	}
	if got := receive(t, d, "10.in-addr.arpa.", 0); !slices.Contains(got, "2.0.1.10.in-addr.arpa. PTR") {
		t.Errorf("reverse: %v", got)
	}
	for _, apex := range []string{"example.org.", "web.docker.", "."} {
		if _, err := d.Transfer(apex, 0); !errors.Is(err, transfer.ErrNotAuthoritative) {
			t.Errorf("%s: %v", apex, err)
		}
	}
	if _, err := newDocker(d.config, &instance{}).Transfer("docker.", 0); !errors.Is(err, errNotSynced) {
		t.Errorf("before the first reconciliation: %v", err)
	}
}

// TestServerAddrs checks the name server's addresses in a transfer.
func TestServerAddrs(t *testing.T) {
	d := emptyDocker(nil)
	for addrs, want := range map[string]string{
		"10.1.0.1/16 192.0.2.1/24 fe80::1/64 2001:db8::1/64": "[192.0.2.1 2001:db8::1]", "10.1.0.1/16": "[127.0.0.1]",
	} {
		machine("eth0 " + addrs).at(&d.own)
		if got := fmt.Sprint(d.serverAddrs()); got != want {
			t.Errorf("of %s: %s, want %s", addrs, got, want)
		}
	}
}

// TestNotify is a secondary beside one that never answers: it is told of the zone at the start, and
// once of a burst of changes, and gets the zone by AXFR.
func TestNotify(t *testing.T) {
	e := enginetest.New(t)
	dead, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close()
	const source = "127.0.0.2"
	port, secondary := freePort(t), "127.0.0.1:"+freePort(t)
	told := make(chan string, 1000)
	rig.ServeDNS(t, "udp", secondary, func(w dns.ResponseWriter, r *dns.Msg) {
		if r.Opcode == dns.OpcodeNotify {
			if host, _, _ := net.SplitHostPort(w.RemoteAddr().String()); host != source {
				t.Errorf("told from %s, want %s", host, source)
			}
			told <- r.Question[0].Name
		}
		if err := w.WriteMsg(new(dns.Msg).SetReply(r)); err != nil {
			t.Error(err)
		}
	})
	corefile := fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n }\n transfer {\n to %s %s\n source %s\n }\n}", port, e.Host(), dead.LocalAddr(), secondary, source)
	s := inprocess.Serve(t, corefile)
	wait := func(what string) {
		t.Helper()
		select {
		case name := <-told:
			if name != "docker." {
				t.Errorf("%s: told of %s", what, name)
			}
		case <-time.After(4 * time.Second): // less than the dead one would take
			t.Fatalf("%s: not told", what)
		}
	}
	wait("start")
	for n := range 50 {
		e.Run(enginetest.Spec{Name: fmt.Sprint("c", n)})
	}
	owners := func() (owners []string) {
		m := new(dns.Msg).SetAxfr("docker.")
		ch, err := new(dns.Transfer).In(m, "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		for env := range ch {
			if env.Error != nil {
				t.Fatal(env.Error)
			}
			for _, rr := range env.RR {
				owners = append(owners, rr.Header().Name)
			}
		}
		return owners
	}
	wait("changes")
	// The last is there when we were told the last time.
	for !slices.Contains(owners(), "c49.docker.") {
		wait("the rest of the changes")
	}
	if n := len(told); n > 5 {
		t.Errorf("told %d times more for changes that took a second or two", n)
	}
	for len(told) > 0 {
		<-told
	}
	if err := s.Reload(corefile); err != nil {
		t.Fatal(err)
	}
	wait("reload")
	e.Run(enginetest.Spec{Name: "later"})
	wait("a change after a reload")
}

// TestRefusedTransfers asks for transfers that the plugin transfer does not give. Those of our zones are asked
// of nobody else; those of others are. So is what a NOTIFY tells.
func TestRefusedTransfers(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "web"})
	others := "127.0.0.1:" + freePort(t)
	for _, network := range []string{"tcp", "udp"} {
		rig.ServeDNS(t, network, others, func(w dns.ResponseWriter, r *dns.Msg) {
			w.WriteMsg(new(dns.Msg).SetRcode(r, dns.RcodeNotAuth))
		})
	}
	for _, c := range []struct {
		transfer string
		given    bool // of docker.
	}{{"", false}, {"transfer example.net {\n to *\n }", false}, {"transfer {\n to 192.0.2.1\n }", false}, {"transfer {\n to *\n }", true}} {
		port := freePort(t)
		s := inprocess.Serve(t, fmt.Sprintf(".:%s {\n docker docker. 172.17.0.0/16 {\n endpoint %s\n }\n %s\n forward . %s\n}", port, e.Host(), strings.Replace(c.transfer, "transfer {", "transfer docker {", 1), others))
		for name, want := range map[string]int{
			"docker.": dns.RcodeRefused, "DOCKER.": dns.RcodeRefused, "web.docker.": dns.RcodeRefused, "17.172.in-addr.arpa.": dns.RcodeRefused, "example.org.": dns.RcodeNotAuth,
		} {
			if c.given && strings.EqualFold(name, "docker.") {
				want = dns.RcodeSuccess
			}
			m := new(dns.Msg).SetAxfr(name)
			r, _, err := (&dns.Client{Net: "tcp", Timeout: 5 * time.Second}).Exchange(m, "127.0.0.1:"+port)
			if err != nil || r.Rcode != want {
				t.Errorf("%q: AXFR of %s: %v, want %s:\n%v", c.transfer, name, err, dns.RcodeToString[want], r)
			}
		}
		for name, want := range map[string]int{"docker.": dns.RcodeNotImplemented, "example.org.": dns.RcodeNotAuth} {
			r, err := dns.Exchange(new(dns.Msg).SetNotify(name), "127.0.0.1:"+port)
			if err != nil || r.Rcode != want {
				t.Errorf("%q: NOTIFY of %s: %v, want %s:\n%v", c.transfer, name, err, dns.RcodeToString[want], r)
			}
		}
		stop(t, s)
	}
}
