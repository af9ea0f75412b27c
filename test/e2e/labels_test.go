package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// recordCases are lines of the label .records, and what is answered then. Of NAME, the container's
// name, and ADDR, its address.
var recordCases = []struct {
	line  string // "" if others' lines are what is asked for
	name  string // relative to the container's name, "" for that
	qtype uint16
	want  []string
}{
	{`@ A 192.0.2.1`, "", dns.TypeA, []string{"192.0.2.1", "ADDR"}},
	{`@ TXT "hello world" second`, "", dns.TypeTXT, []string{`"hello world" "second"`}},
	{`@ MX 10 mail`, "", dns.TypeMX, []string{"10 mail.NAME.docker."}},
	{`mail A 192.0.2.25`, "mail", dns.TypeA, []string{"192.0.2.25"}},
	{`mail AAAA 2001:db8::25`, "mail", dns.TypeAAAA, []string{"2001:db8::25"}},
	{`_sip._tcp SRV 0 0 5060 @`, "_sip._tcp", dns.TypeSRV, []string{"0 0 5060 NAME.docker."}},
	{`www CNAME @`, "www", dns.TypeCNAME, []string{"NAME.docker."}},
	{``, "www", dns.TypeA, []string{"NAME.docker.", "192.0.2.1", "ADDR"}},
	{``, "www", dns.TypeTXT, []string{"NAME.docker.", `"hello world" "second"`}},
	{`@ CAA 0 issue "ca.example"`, "", dns.TypeCAA, []string{`0 issue "ca.example"`}},
	{`@ HTTPS 1 . alpn=h2,h3`, "", dns.TypeHTTPS, []string{`1 . alpn="h2,h3"`}},
	{`_dns SVCB 1 @ alpn=dot port=853`, "_dns", dns.TypeSVCB, []string{`1 NAME.docker. alpn="dot" port="853"`}},
	{`@ NAPTR 100 10 "S" "SIP+D2U" "" _sip._tcp`, "", dns.TypeNAPTR, []string{`100 10 "S" "SIP+D2U" "" _sip._tcp.NAME.docker.`}},
	{`@ SSHFP 4 2 ` + sshfp, "", dns.TypeSSHFP, []string{"4 2 " + sshfp}},
	{`*.wild TXT any`, "one.wild", dns.TypeTXT, []string{`"any"`}},
	{``, "a.b.c.wild", dns.TypeTXT, []string{`"any"`}},
	{``, "a.b.c.wild", dns.TypeA, []string{nodata}},
	{``, "wild", dns.TypeTXT, []string{nodata}}, // an empty non-terminal
	{``, "_tcp", dns.TypeA, []string{nodata}},   // another
	{``, "", dns.TypeURI, []string{nodata}},
	{``, "none", dns.TypeA, []string{nxdomain}},
	{``, "_udp", dns.TypeA, []string{nxdomain}},
}

const sshfp = "B1D4A6E5C3F20918273645546372819010F0E0D0C0B0A09080706050403020A1"

// allRecords is the label .records with all lines of recordCases.
func allRecords() string {
	text := &strings.Builder{}
	for _, c := range recordCases {
		if c.line != "" {
			fmt.Fprintln(text, c.line)
		}
	}
	return text.String()
}

// inZone is a name below a container's in zone docker.
func inZone(name, container string) string {
	return strings.TrimPrefix(name+"."+container+".docker.", ".")
}

func forContainer(want []string, container, addr string) (data []string) {
	replacer := strings.NewReplacer("NAME", container, "ADDR", addr)
	for _, w := range want {
		data = append(data, replacer.Replace(w))
	}
	return data
}

// labelled is a Compose project of one service that has labels.
type labelled struct {
	*project
	path      string // of the Compose file
	container string // name
	networks  []string
}

func newLabelled(t *testing.T, networks ...string) *labelled {
	t.Helper()
	p := &labelled{project: newProject(t), container: "web-" + suffix(), networks: networks}
	p.path = p.command[len(p.command)-1]
	t.Cleanup(func() { p.do("down", "--timeout", "1") })
	return p
}

// up makes the container have these labels, anew if it had others.
func (p *labelled) up(labels map[string]string) (addrs map[string]string) {
	p.t.Helper()
	file := &strings.Builder{}
	fmt.Fprintf(file, "services:\n  web:\n    image: %s\n    container_name: %s\n    networks: [%s]\n",
		image, p.container, strings.Join(p.networks, ", "))
	if len(labels) > 0 {
		fmt.Fprintln(file, "    labels:")
	}
	for name, value := range labels {
		fmt.Fprintf(file, "      coredns.dockerdiscovery.%s: %s\n", name, strings.ReplaceAll(fmt.Sprintf("%q", value), "$", "$$"))
	}
	fmt.Fprintln(file, "networks:")
	for _, n := range p.networks {
		fmt.Fprintf(file, "  %s:\n    external: true\n    name: %s\n", n, n)
	}
	if err := os.WriteFile(p.path, []byte(file.String()), 0o644); err != nil {
		p.t.Fatal(err)
	}
	up := []string{"up", "-d", "--timeout", "1"}
	if out, err := p.try(up...); err != nil {
		if !strings.Contains(out, "'ContainerConfig'") {
			p.t.Fatalf("compose up: %v\n%s", err, out)
		}
		// Compose 1 looks for what engines 26.1 and 28.5 do not tell any more, when it makes a container anew.
		p.do("rm", "-s", "-f")
		p.do(up...)
	}
	addrs = map[string]string{}
	for name, n := range machine.inspect(p.t, p.container).NetworkSettings.Networks {
		addrs[name] = n.IPAddress
	}
	return addrs
}

// Each label does what it is for, and what it did ends when the container is made anew
// without it.
func TestLabels(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	s := serve(t, config{Body: "docker " + zones + "\nforward . " + up.addr})
	front, back := machine.network(t), machine.network(t)
	p := newLabelled(t, front, back)
	web, tenant, shop := p.container, "tenant-"+suffix(), "shop-"+suffix()

	addrs := p.up(map[string]string{
		"host":    fmt.Sprintf("%s, *.%s,%s.eu.docker.", shop, tenant, shop),
		"records": allRecords() + "out CNAME example.org.\nbrief 7 TXT short\n",
		"ttl":     "42",
		"network": back,
	})
	addr := addrs[back]
	s.soon(web+".docker.", dns.TypeA, addr, "192.0.2.1")
	for _, c := range recordCases {
		s.check(inZone(c.name, web), c.qtype, forContainer(c.want, web, addr)...)
	}
	for _, name := range []string{shop, shop + ".eu", "x." + tenant, "a.b.c." + tenant} {
		s.check(name+".docker.", dns.TypeA, addr)
	}
	s.check(tenant+".docker.", dns.TypeA, nodata)
	s.check("out."+web+".docker.", dns.TypeA, "example.org.", exampleOrg)
	s.check(reverse(t, addr), dns.TypePTR, web+".docker.")
	s.checkTTL(web+".docker.", dns.TypeA, 42)
	s.checkTTL(web+".docker.", dns.TypeTXT, 42)
	s.checkTTL(shop+".docker.", dns.TypeA, 42)
	s.checkTTL("brief."+web+".docker.", dns.TypeTXT, 7)

	m := s.ask("_sip._tcp."+web+".docker.", dns.TypeSRV)
	if got := data(m.Extra, web+".docker.", dns.TypeA); strings.Join(got, " ") != outcome(s.ask(web+".docker.", dns.TypeA)) {
		t.Errorf("the additional section of SRV has the target's addresses %q", got)
	}

	// Other labels.
	addrs = p.up(map[string]string{
		"host":    shop + "-2",
		"records": "@ TXT other",
		"network": front,
	})
	s.soon(web+".docker.", dns.TypeA, addrs[front])
	s.check(web+".docker.", dns.TypeTXT, `"other"`)
	s.check(shop+"-2.docker.", dns.TypeA, addrs[front])
	for _, name := range []string{shop, shop + ".eu", "x." + tenant, "www." + web, "_sip._tcp." + web, "a.b.c.wild." + web} {
		s.none(name+".docker.", dns.TypeA)
	}

	// None.
	addrs = p.up(nil)
	s.soon(web+".docker.", dns.TypeA, addrs[front], addrs[back])
	s.check(web+".docker.", dns.TypeTXT, nodata)
	s.none(shop+"-2.docker.", dns.TypeA)

	// Left out.
	id := machine.inspect(t, p.container).shortID()
	s.check(id+".docker.", dns.TypeA, addrs[front], addrs[back])
	p.up(map[string]string{"enable": "false", "host": shop})
	s.none(web+".docker.", dns.TypeA)
	s.none(shop+".docker.", dns.TypeA)
	s.check(machine.inspect(t, p.container).shortID()+".docker.", dns.TypeA, nxdomain)
}

// Records of several containers at one shared name add up, for as long as the one with the least TTL wants.
func TestSharedRecords(t *testing.T) {
	t.Parallel()
	s := serve(t, config{Body: "docker " + zones})
	pool := "pool-" + suffix()
	var names, addrs, targets []string
	ttls := map[string]string{"one": "3600", "two": "60"} // and the zone's is 5
	for _, text := range []string{"one", "two"} {
		name := text + "-" + suffix()
		id := machine.run(t, "--name", name, "--expose", "80", "--label", "coredns.dockerdiscovery.ttl="+ttls[text], "--label", "coredns.dockerdiscovery.host="+pool,
			"--label", fmt.Sprintf("coredns.dockerdiscovery.records=%s.docker. TXT %s\n_x._tcp.%s.docker. SRV 0 0 80 @", pool, text, pool))
		names, addrs, targets = append(names, `"`+text+`"`), append(addrs, machine.addr(t, id)), append(targets, "0 0 80 "+name+".docker.")
	}
	s.soon(pool+".docker.", dns.TypeA, addrs...)
	s.check(pool+".docker.", dns.TypeTXT, names...)
	s.check("_x._tcp."+pool+".docker.", dns.TypeSRV, targets...)
	if m := s.ask("_x._tcp."+pool+".docker.", dns.TypeSRV); len(m.Extra) != 2 {
		t.Errorf("the additional section of SRV: got %v, want two addresses", m.Extra)
	}
	served := map[string]uint16{pool: dns.TypeA, "_x._tcp." + pool: dns.TypeSRV, "_http._tcp." + pool: dns.TypeSRV}
	for name, qtype := range served {
		s.checkTTL(name+".docker.", qtype, 60)
	}
	id := machine.run(t, "--expose", "80", "--label", "coredns.dockerdiscovery.host="+pool,
		"--label", fmt.Sprintf("coredns.dockerdiscovery.records=_x._tcp.%s.docker. SRV 0 0 80 @", pool))
	s.soon(pool+".docker.", dns.TypeA, append(addrs, machine.addr(t, id))...)
	for name, qtype := range served {
		s.checkTTL(name+".docker.", qtype, 5)
	}
}

// none waits until a name has no data of a type: for a while after a container's end its
// names exist.
func (s *server) none(name string, qtype uint16) {
	s.t.Helper()
	eventually(s.t, func() error { return s.wantsNone(name, qtype) })
}

func (s *server) checkTTL(name string, qtype uint16, want uint32) {
	s.t.Helper()
	for _, rr := range s.ask(name, qtype).Answer {
		if ttl := rr.Header().Ttl; ttl != want {
			s.t.Errorf("%s %s: TTL %d, want %d", name, dns.TypeToString[qtype], ttl, want)
		}
	}
}
