package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// resolvers in between, and names that go through them.
var resolverReports = map[string]situation{
	// A container asks at the host's address on the LAN, at which the resolver of the host listens: the answer has to come from there.
	"asked-at-the-lan-address": {
		networks: []string{"app%"},
		run:      []string{"web --network app%"},
		then: func(t *testing.T, l *reported) {
			l.start(t, "job")
			_, port, _ := net.SplitHostPort(l.Addr)
			for who, want := range map[string]string{"web": l.means(t, "web"), "job": nodata} {
				at := net.JoinHostPort(l.lan.Host.String(), port)
				enter := []string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", machine.inspect(t, l.ids[who]).State.Pid)}
				eventually(t, func() error {
					if got := askIn(t, enter, at, l.text("web%.docker."), dns.TypeA); got != want {
						return fmt.Errorf("%s asks at %s: %s, want %s", who, at, got, want)
					}
					return nil
				})
			}
		},
		docker: true,
	},
	// A resolver asks for what lies below reverse names, and for the reverse zones themselves.
	"below-reverse-names": {
		networks: []string{"app%"},
		beside:   "forward . UPSTREAM",
		run:      []string{"web --network app%"},
		then: func(t *testing.T, l *reported) {
			name := reverse(t, l.means(t, "web"))
			_, above, _ := strings.Cut(name, ".")
			l.told(t, "host "+name+" PTR web%.docker.")
			for _, question := range []string{
				"lb._dns-sd._udp.0." + above + " PTR NXDOMAIN", "b._dns-sd._udp." + name + " PTR NXDOMAIN", above + " SOA NODATA", above + " NS NODATA",
				"254.255.31.172.in-addr.arpa. PTR NXDOMAIN",
			} {
				l.told(t, "host "+question)
				if asked, _, _ := strings.Cut(question, " "); l.up.count(asked) != 0 {
					t.Errorf("upstream was asked for %s", asked)
				}
			}
		},
	},
	// A label's CNAME leads to the Internet's name: all types, in any order, each time.
	"cname-and-its-other-types": {
		beside: "forward . UPSTREAM",
		run:    []string{"web --label coredns.dockerdiscovery.records=ext%.docker.~CNAME~example.org."},
		asks: []string{
			"host ext%.docker. AAAA example.org.", "host ext%.docker. A example.org. " + exampleOrg, "host ext%.docker. A example.org. " + exampleOrg,
			"host ext%.docker. HTTPS example.org.", "host ext%.docker. CNAME example.org.",
		},
	},
	// In zone "." a container is called as a domain of the Internet.
	"container-called-as-a-top-level-domain": {
		keys:   ".",
		beside: "forward . UPSTREAM",
		run:    []string{"tld --name org"},
		asks: []string{
			"host org. A tld", "host example.org. A " + exampleOrg, "lan example.org. A " + exampleOrg, "host www.example.org. A NXDOMAIN",
			"host org. NS NODATA", "host org. DS NODATA", "host nobody.org. A NXDOMAIN",
		},
		then: func(t *testing.T, l *reported) {
			for _, name := range []string{"example.org.", "www.example.org.", "nobody.org."} {
				if l.up.count(name) == 0 {
					t.Errorf("upstream was not asked for %s", name)
				}
			}
		},
	},
	// Reverse names go to a resolver that asks us again for them.
	"reverse-names-in-a-loop": {
		networks: []string{"app%"},
		beside:   "forward . UPSTREAM",
		then: func(t *testing.T, l *reported) {
			for _, name := range []string{"77.77.17.172.in-addr.arpa.", "1.2.3.10.in-addr.arpa."} {
				l.told(t, "host "+name+" PTR NXDOMAIN")
				if n := l.up.count(name); n != 0 {
					t.Errorf("upstream was asked %d times for %s", n, name)
				}
			}
		},
	},
	// A host name with its domain apart.
	"host-name-and-domain": {
		docker: true, // Podman has no --domainname
		keys:   "lan%.",
		run:    []string{"pihole --hostname pi-hole --domainname home.lan%"},
		asks:   []string{"host pi-hole.home.lan%. A pihole", "host pi-hole.lan%. A pihole", "host home.lan%. A NODATA", "host pihole%.lan%. A pihole"},
	},
}

// Another server has the port at an address of its own, as systemd-resolved has 127.0.0.53.
func TestReportPortTaken(t *testing.T) {
	t.Parallel()
	taken := ownLoopback()
	port := freePort(t, taken)
	for _, network := range []string{"udp", "tcp"} {
		rig.ServeDNS(t, network, net.JoinHostPort(taken, fmt.Sprint(port)), func(w dns.ResponseWriter, req *dns.Msg) { w.WriteMsg(new(dns.Msg).SetReply(req)) })
	}
	said, _ := refused(t, config{Text: fmt.Sprintf("docker.:%d {\ndocker\n}\n", port)})
	if !strings.Contains(said, "address already in use") {
		t.Errorf("at all addresses: no word of the port in %s", said)
	}
	s := serve(t, config{IP: "127.0.0.1", Port: port, Keys: "docker.", Body: "docker"})
	name := "web-" + suffix()
	s.soon(name+".docker.", dns.TypeA, nxdomain)
	s.soon(name+".docker.", dns.TypeA, machine.addr(t, machine.run(t, "--name", name)))
}

// The server is led to itself by resolv.conf: with the plugin loop it says so and ends, in place of asking itself without end.
func TestReportForwardsToItself(t *testing.T) {
	t.Parallel()
	port := freePort(t, "127.0.0.1")
	said, _ := refused(t, config{Text: fmt.Sprintf(".:%d {\nbind 127.0.0.1\nloop\ndocker docker.\nforward . %s\n}\n", port, loopback(port))})
	if !strings.Contains(said, "plugin/loop: Loop") {
		t.Errorf("no word of the loop in %s", said)
	}
}

// Resolvers that drop private addresses of names that are not known to have such, and those that ask the types of a name one after
// the other, and keep them: a real unbound and a real dnsmasq.
func TestReportRebinding(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	s := serve(t, config{Body: "docker " + zones + " {\nttl 30\n}\nforward . " + up.addr})
	name, dir := "web-"+suffix()+".docker.", t.TempDir()
	addr := machine.addr(t, machine.run(t, "--name", strings.TrimSuffix(name, ".docker."), "--label", "coredns.dockerdiscovery.records=ext CNAME example.org."))
	s.soon(name, dns.TypeA, addr)
	ip, port, _ := net.SplitHostPort(s.Addr)
	resolver := func(t *testing.T, program string, lines ...string) *server {
		t.Helper()
		if err := rig.Need(program); err != nil {
			t.Skip(err)
		}
		at := freePort(t, "127.0.0.1")
		file := filepath.Join(dir, fmt.Sprint(program, at))
		text := strings.NewReplacer("PORT", fmt.Sprint(at), "FOLDER", dir).Replace(strings.Join(lines, "\n") + "\n")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args := map[string][]string{"unbound": {"-d", "-c", file}, "dnsmasq": {"--keep-in-foreground", "--conf-file=" + file, "--pid-file"}}[program]
		r := spawn(t, loopback(at), program, args...)
		eventually(t, func() error { _, err := rig.Ask("udp", r.Addr, "example.org.", dns.TypeA); return err })
		return r
	}
	unbound := []string{
		"server:", "port: PORT", "interface: 127.0.0.1", "chroot: \"\"", "username: \"\"", "pidfile: \"\"", "directory: FOLDER", "do-daemonize: no", "use-syslog: no",
		"do-not-query-localhost: no", "private-address: 172.16.0.0/12", "private-address: 192.168.0.0/16", "private-address: 10.0.0.0/8",
	}
	forward := []string{"forward-zone:", "name: \".\"", "forward-addr: " + ip + "@" + port}
	told := []string{"domain-insecure: \"docker\"", "private-domain: \"docker\"", "forward-zone:", "name: \"docker\"", "forward-addr: " + ip + "@" + port} // as docs/resolver.md has it
	for what, c := range map[string]struct {
		program string
		lines   []string
		want    string
	}{
		"unbound":                   {"unbound", slices.Concat(unbound, forward), nodata},
		"unbound, told of the zone": {"unbound", slices.Concat(unbound, told, forward), addr},
		"dnsmasq":                   {"dnsmasq", []string{"port=PORT", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv", "user=root", "stop-dns-rebind", "server=" + ip + "#" + port}, nodata},
		"dnsmasq, told of the zone": {"dnsmasq", []string{"port=PORT", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv", "user=root", "stop-dns-rebind", "rebind-domain-ok=/docker/", "server=" + ip + "#" + port}, addr},
	} {
		t.Run(what, func(t *testing.T) {
			r := resolver(t, c.program, c.lines...)
			for range 2 { // the second one from its cache
				m, err := rig.Ask("udp", r.Addr, name, dns.TypeA)
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(rig.Data(m.Answer), " "); got != strings.TrimPrefix(c.want, nodata) {
					t.Errorf("%s: %s %s, want %s", name, dns.RcodeToString[m.Rcode], got, c.want)
				}
				if c.want != addr {
					continue
				}
				for _, q := range []struct {
					qtype uint16
					want  string
				}{{dns.TypeAAAA, "example.org."}, {dns.TypeA, exampleOrg + " example.org."}, {dns.TypeHTTPS, "example.org."}, {dns.TypeA, exampleOrg + " example.org."}} {
					m, err := rig.Ask("udp", r.Addr, "ext."+name, q.qtype)
					if err != nil {
						t.Fatal(err)
					}
					if got := strings.Join(rig.Data(m.Answer), " "); got != q.want {
						t.Errorf("ext.%s %s: %s %s, want %s", name, dns.TypeToString[q.qtype], dns.RcodeToString[m.Rcode], got, q.want)
					}
				}
			}
		})
	}
}
