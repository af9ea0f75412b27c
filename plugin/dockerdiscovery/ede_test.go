package dockerdiscovery

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

// byEDNS is a query by EDNS, as dig's.
func byEDNS(name string, qtype, size uint16) *dns.Msg {
	return new(dns.Msg).SetQuestion(name, qtype).SetEdns0(size, false)
}

// served returns what the server sends to the address as an answer to the query, nil if it sends none by the plugin.
func served(t *testing.T, d *Docker, from string, m *dns.Msg) *dns.Msg {
	t.Helper()
	rec := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: from})
	if _, err := d.ServeDNS(t.Context(), request.NewScrubWriter(m, rec), m); err != nil {
		t.Fatalf("%s asks for %s: %v", from, m.Question[0].String(), err)
	}
	return rec.Msg
}

// errorsOf returns the extended errors of the answer, as "14 3 0 (text)".
func errorsOf(m *dns.Msg) string {
	var told []string
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if ede, ok := o.(*dns.EDNS0_EDE); ok {
				text := strconv.Itoa(int(ede.InfoCode))
				if ede.ExtraText != "" {
					text += " (" + ede.ExtraText + ")"
				}
				told = append(told, text)
			}
		}
	}
	return strings.Join(told, " ")
}

// told asks and returns the answer's response code and extended errors.
func told(t *testing.T, d *Docker, from string, m *dns.Msg) string {
	t.Helper()
	answer := served(t, d, from, m)
	if answer == nil {
		return "left to the server"
	}
	return strings.TrimSpace(dns.RcodeToString[answer.Rcode] + " " + errorsOf(answer))
}

// TestExtendedErrors asks by EDNS, and without, in each state of the only host.
func TestExtendedErrors(t *testing.T) {
	const stranger = "10.3.0.9"
	states := map[string]func() *Docker{
		"starting": func() *Docker { return unreconciledDocker(nil) },
		"current":  func() *Docker { return emptyDocker(nil) },
		"away": func() *Docker {
			d := emptyDocker(nil)
			d.sink(d.hosts[0]).Current(false, time.Now())
			return d
		},
	}
	for _, c := range []struct {
		state, from, name string
		qtype             uint16
		want              string
	}{
		{"starting", fromHost, "web.docker.", dns.TypeA, "NOERROR"},
		{"starting", stranger, "web.docker.", dns.TypeA, "SERVFAIL 14"},
		{"starting", fromHost, "nobody.docker.", dns.TypeA, "SERVFAIL 14"},
		{"starting", fromLAN, "noBody.docker.", dns.TypeTXT, "SERVFAIL 14"},
		{"starting", fromLAN, "nobody.docker.", dns.TypeANY, "left to the server"},
		{"starting", fromHost, "docker.", dns.TypeSOA, "NOERROR"},
		{"current", fromHost, "web.docker.", dns.TypeA, "NOERROR"},
		{"current", fromHost, "web.docker.", dns.TypeAAAA, "NOERROR"},
		{"current", fromHost, "web.docker.", dns.TypeTXT, "NOERROR"},
		{"current", fromLAN, "nobody.docker.", dns.TypeA, "NXDOMAIN"},
		{"current", stranger, "nobody.docker.", dns.TypeA, "NXDOMAIN"},
		{"away", fromHost, "web.docker.", dns.TypeA, "NOERROR 3 23"},
		{"away", fromLAN, "web.docker.", dns.TypeA, "NOERROR 3 23"},
		{"away", stranger, "web.docker.", dns.TypeAAAA, "NOERROR 3 23"},
		{"away", fromLAN, "nobody.docker.", dns.TypeA, "NXDOMAIN 19 23"},
		{"away", stranger, "nobody.docker.", dns.TypeMX, "NXDOMAIN 19 23"},
		{"away", fromLAN, "9.0.1.10.in-addr.arpa.", dns.TypePTR, "NXDOMAIN 19 23"},
		{"away", fromLAN, "web.docker.", dns.TypeANY, "NOERROR"},
		{"away", fromLAN, "nobody.docker.", dns.TypeANY, "NXDOMAIN"},
		{"away", fromHost, "docker.", dns.TypeSOA, "NOERROR"},
		{"away", fromHost, "ns.dns.docker.", dns.TypeA, "NOERROR"},
	} {
		d := states[c.state]()
		d.set(facts("web", "a=10.1.0.2"))
		if got := told(t, d, c.from, byEDNS(c.name, c.qtype, 1232)); got != c.want {
			t.Errorf("%s: %s asks for %s %s: %s, want %s", c.state, c.from, c.name, dns.TypeToString[c.qtype], got, c.want)
		}
		want, _, _ := strings.Cut(c.want, " ")
		if want == "SERVFAIL" {
			want = "left to the server"
		}
		if got := told(t, d, c.from, new(dns.Msg).SetQuestion(c.name, c.qtype)); !strings.HasPrefix(c.want, "left") && got != want {
			t.Errorf("%s: %s asks for %s %s without EDNS: %s, want %s", c.state, c.from, c.name, dns.TypeToString[c.qtype], got, want)
		}
	}
}

// TestNotReadyMessage looks at the SERVFAIL that the server would else write itself.
func TestNotReadyMessage(t *testing.T) {
	d := unreconciledDocker(nil)
	before := counts(t, extendedErrors)["14"]
	m := byEDNS("noBody.docker.", dns.TypeA, 1400).SetEdns0(1400, true)
	answer := served(t, d, fromLAN, m)
	opt := answer.IsEdns0()
	if answer.Id != m.Id || !answer.Response || answer.Authoritative || !answer.RecursionDesired || len(answer.Question) != 1 || answer.Question[0] != m.Question[0] ||
		len(answer.Answer)+len(answer.Ns) > 0 || len(answer.Extra) != 1 || opt == nil || opt.UDPSize() != 1400 || !opt.Do() {
		t.Errorf("the answer is\n%s", answer)
	}
	if got := counts(t, extendedErrors)["14"] - before; got != 1 {
		t.Errorf("counted %d times", got)
	}
}

// TestExtendedErrorsApart asks for several names with one message, as autopath does: each answer has its own errors.
func TestExtendedErrorsApart(t *testing.T) {
	d := emptyDocker(nil)
	d.set(facts("web", "a=10.1.0.2"))
	d.sink(d.hosts[0]).Current(false, time.Now())
	m := byEDNS("nobody.docker.", dns.TypeA, 1232)
	first := served(t, d, fromLAN, m)
	m.Question[0].Name = "web.docker."
	second := served(t, d, fromLAN, m)
	if got := errorsOf(first) + ", " + errorsOf(second) + ", " + errorsOf(m); got != "19 23, 3 23, " {
		t.Errorf("the answers have, and then the message: %s", got)
	}
}

// TestStaleOfOneHost asks for names of two hosts, one of which is away.
func TestStaleOfOneHost(t *testing.T) {
	d := emptyDocker(func(c *config) {
		c.endpoints = append(c.endpoints, endpoint{name: "far", addrs: []netip.Addr{netip.MustParseAddr("203.0.113.5")}})
		c.publish = true
	})
	d.set(facts("web", "a=10.1.0.2"))
	d.hosts[1].id = "far"
	far := d.sink(d.hosts[1])
	far.askers.EngineAt([]netip.Addr{netip.MustParseAddr("203.0.113.5")})
	there := facts("there", "x=10.9.0.2")
	there.Ports = published("0.0.0.0:80")
	far.Apply([]container.Change{{ID: there.ID, Container: there}})
	far.Synced()
	ask := func(want ...string) {
		t.Helper()
		for i, name := range []string{"web.docker.", "there.docker.", "nobody.docker."} {
			if got := told(t, d, fromLAN, byEDNS(name, dns.TypeA, 1232)); got != want[i] {
				t.Errorf("%s: %s, want %s", name, got, want[i])
			}
		}
	}
	ask("NOERROR", "NOERROR", "NXDOMAIN")
	far.Current(false, time.Now())
	ask("NOERROR", "NOERROR 3 23", "NXDOMAIN 19 23")
	far.Current(true, time.Now())
	ask("NOERROR", "NOERROR", "NXDOMAIN")
}

// TestExtendedErrorsFit compares answers of all lengths with what they are without extended errors: no record gives way to these.
func TestExtendedErrorsFit(t *testing.T) {
	d := emptyDocker(nil)
	sink := d.sink(d.hosts[0])
	whole, none := 0, 0
	for i := range 40 {
		d.set(labelled(facts(fmt.Sprint("c", i), fmt.Sprint("a=10.1.0.", i+2)), "host=all"))
		m := byEDNS("all.docker.", dns.TypeA, dns.MinMsgSize)
		sink.Current(true, time.Now())
		want := served(t, d, fromHost, m.Copy())
		sink.Current(false, time.Now())
		got := served(t, d, fromHost, m.Copy())
		if len(got.Answer) != len(want.Answer) || got.Truncated != want.Truncated || !got.Truncated && got.Len() > dns.MinMsgSize {
			t.Errorf("%d containers: %d records, truncated %v, %d octets; without errors %d records, truncated %v", i+1, len(got.Answer), got.Truncated, got.Len(), len(want.Answer), want.Truncated)
		}
		switch errorsOf(got) {
		case "3 23":
			whole++
		case "":
			none++
		}
		m.IsEdns0().SetDo()
		toSign := served(t, d, fromHost, m)
		toSign.Compress = true
		if errorsOf(toSign) != "" && toSign.Len() > dns.MinMsgSize/2 {
			t.Errorf("%d containers: %d octets leave no room for signatures", i+1, toSign.Len())
		}
	}
	if whole == 0 || none == 0 {
		t.Errorf("%d answers with all errors, %d without any, want some of both", whole, none)
	}
}

// TestCause asks by EDNS why there is no address: the Docker host is told, and nobody else, and nobody where another one may pass
// for it.
func TestCause(t *testing.T) {
	const off = "coredns.dockerdiscovery.enable"
	make := func(change func(*config)) *Docker {
		d := emptyDocker(func(c *config) {
			c.labelPrefix = naming.DefaultLabelPrefix
			if change != nil {
				change(c)
			}
		})
		d.explaining = newAllowance(time.Hour, time.Hour) // none is left out
		unwell := labelled(facts("unwell", "a=10.1.0.4"), "health=require")
		unwell.Health = container.Unhealthy
		d.set(facts("web", "a=10.1.0.2"), labelled(facts("off", "a=10.1.0.3"), "enable=false"), unwell,
			labelled(facts("thief", "b=10.2.0.66"), "host=api.web"), labelled(facts("shop-db-1", "a=10.1.0.5"), "project=shop", "service=db"))
		return d
	}
	plain := make(nil)
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"off.docker.", dns.TypeA, "NXDOMAIN 0 (container off is left out by its label " + off + ")"},
		{"OFF.docker.", dns.TypeMX, "NXDOMAIN 0 (container off is left out by its label " + off + ")"},
		{"unwell.docker.", dns.TypeA, "NOERROR 0 (container unwell is unhealthy, and has to be well to answer)"},
		{"unwell.docker.", dns.TypeAAAA, "NOERROR 0 (container unwell is unhealthy, and has to be well to answer)"},
		{"api.web.docker.", dns.TypeA, "NXDOMAIN 0 (the name is container web's, by its container name; container thief does not get it)"},
		{"wep.docker.", dns.TypeA, "NXDOMAIN 0 (no container has the name; did you mean web.docker.)"},
		{"shop.docker.", dns.TypeA, "NOERROR 0 (nobody has the name itself, only names below it, as db.shop.docker.)"},
		// What needs no saying.
		{"nothing-like-this.docker.", dns.TypeA, "NXDOMAIN"},
		{"web.docker.", dns.TypeA, "NOERROR"},
		{"web.docker.", dns.TypeAAAA, "NOERROR"},
		{"web.docker.", dns.TypeTXT, "NOERROR"},
		{"unwell.docker.", dns.TypeTXT, "NOERROR"},
		{"docker.", dns.TypeA, "NOERROR"},
		{"off.docker.", dns.TypeANY, "NXDOMAIN"},
	} {
		for from, host := range map[string]bool{fromHost: true, "192.0.2.1": true, fromLAN: false, "10.1.0.2": false, "10.3.0.9": false} {
			got, want := told(t, plain, from, byEDNS(c.name, c.qtype, 1232)), c.want
			if !host {
				want, _, _ = strings.Cut(want, " ")
			}
			if got != want {
				t.Errorf("%s asks for %s %s: %s, want %s", from, c.name, dns.TypeToString[c.qtype], got, want)
			}
		}
	}
	for what, d := range map[string]*Docker{
		"isolate":    make(func(c *config) { c.zone.Isolate = true }),
		"forwarders": make(func(c *config) { c.forwarders = []netip.Prefix{netip.MustParsePrefix("192.0.2.53/32")} }),
	} {
		if got := told(t, d, fromHost, byEDNS("off.docker.", dns.TypeA, 1232)); got != "NXDOMAIN" {
			t.Errorf("with %s: %s", what, got)
		}
	}
	inside := make(nil)
	machine("eth0 10.1.0.9/16").at(&inside.own)
	inside.set(facts("us", "a=10.1.0.9"))
	if got := told(t, inside, "10.1.0.1", byEDNS("off.docker.", dns.TypeA, 1232)); got != "NXDOMAIN" {
		t.Errorf("at the gateway of the server's container: %s", got)
	}
}

// TestCauseBounded floods the server with queries of which the cause is to be told: it is told for as long as there is time left.
func TestCauseBounded(t *testing.T) {
	d := emptyDocker(nil)
	d.set(labelled(facts("off", "a=10.1.0.3"), "enable=false"))
	d.explaining = newAllowance(5*time.Millisecond, 0)
	tells := func() bool {
		return strings.Contains(told(t, d, fromHost, byEDNS("off.docker.", dns.TypeA, 1232)), " 0 (")
	}
	d.explaining.busy.Lock()
	if tells() {
		t.Error("it is told while another answer is being explained")
	}
	d.explaining.busy.Unlock()
	begin, spent := time.Now(), 0
	for ; tells(); spent++ {
		if time.Since(begin) > time.Minute {
			t.Fatal("there is no end to the time")
		}
	}
	if spent == 0 || tells() {
		t.Errorf("it is told %d times, and once more", spent)
	}
}

// BenchmarkExtendedErrors asks for names that nobody has, by EDNS and without, in a flood; and has one explained: 10,000
// containers.
func BenchmarkExtendedErrors(b *testing.B) {
	d := emptyDocker(nil)
	for i := range 10000 {
		d.set(facts(fmt.Sprintf("c%05d", i), fmt.Sprintf("net%d=10.%d.%d.%d", i%20, i%20+20, i/20/200, i/20%200+2)))
	}
	for _, v := range []struct {
		name, from string
		size       uint16
	}{{"from=host/edns=no", fromHost, 0}, {"from=host/edns=yes", fromHost, 1232}, {"from=lan/edns=yes", fromLAN, 1232}} {
		b.Run(v.name, func(b *testing.B) {
			w := &test.ResponseWriter{RemoteIP: v.from}
			m := new(dns.Msg).SetQuestion("x7q-93.docker.", dns.TypeA)
			if v.size > 0 {
				m.SetEdns0(v.size, false)
			}
			b.ReportAllocs()
			for b.Loop() {
				if rcode, err := d.ServeDNS(b.Context(), w, m); err != nil || rcode != dns.RcodeSuccess {
					b.Fatal(rcode, err)
				}
			}
		})
	}
	b.Run("explained", func(b *testing.B) {
		for b.Loop() {
			if _, err := d.Explain(status.Question{Name: "x7q-93.docker.", Type: dns.TypeA}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
