package command

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/resolver"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

// leading is a machine on which dnsmasq is the resolver, and the server of a set-up.
type leading struct {
	*setUp
	t    *testing.T
	root string
	runs []string // programs
	fail error    // of each
}

// leads returns the machine, with files by path from its root.
func leads(t *testing.T, files map[string]string) *leading {
	t.Helper()
	l := &leading{setUp: wellSetUp(), t: t, root: t.TempDir()}
	for file, text := range files {
		path := filepath.Join(l.root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l.machine.local = &resolver.Machine{GOOS: "linux", Root: l.root, Holder: func(netip.AddrPort) string { return "dnsmasq" },
		Run: func(_ context.Context, program string, args ...string) (string, error) {
			l.runs = append(l.runs, program+" "+strings.Join(args, " "))
			return "", l.fail
		}}
	return l
}

const dnsmasqConf = "etc/dnsmasq.d/dockerdiscovery.conf"

var withDnsmasq = map[string]string{"etc/resolv.conf": "nameserver 127.0.0.1\n", "etc/dnsmasq.d/README": "", "run/systemd/system/x": ""}

// does runs resolver install, status or remove, and fails the test if the exit code is another or a text is missing.
func (l *leading) does(args string, code int, texts ...string) (printed string) {
	l.t.Helper()
	server := map[string]any{"/": l.overview}
	after := ""
	for _, page := range l.names {
		server[strings.TrimSpace("/names "+after)], after = page, page.Next
	}
	at := serveJSON(l.t, server)
	if l.off {
		at = nobodyAt(l.t)
	}
	var out, errs strings.Builder
	c := &call{program: "dns", out: &out, err: &errs}
	if err := c.parse(append([]string{"resolver", "--status", at}, strings.Fields(args)...)); err != nil {
		l.t.Fatal(err)
	}
	s, err := newClient(at)
	if err != nil {
		l.t.Fatal(err)
	}
	var got int
	switch c.name {
	case "resolver install":
		got = c.install(l.t.Context(), s, &l.machine)
	case "resolver status":
		got = c.led(l.t.Context(), s, &l.machine)
	case "resolver remove":
		got = c.remove(l.t.Context(), &l.machine)
	}
	printed = out.String() + errs.String()
	if got != code {
		l.t.Errorf("%s: code %d, want %d; prints\n%s", args, got, code, printed)
	}
	for _, text := range texts {
		if !strings.Contains(printed, text) {
			l.t.Errorf("%s: no %q in\n%s", args, text, printed)
		}
	}
	return printed
}

// nobodyAt returns an address at which nobody listens.
func nobodyAt(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

// has reports whether the file is there.
func (l *leading) has(file string) bool {
	_, err := os.Stat(filepath.Join(l.root, file))
	return err == nil
}

// The resolver is led to where the server says that it is asked, is told so, and it is undone.
func TestResolver(t *testing.T) {
	l := leads(t, withDnsmasq)
	const lines = "server=/docker/127.0.0.1#53\n                     rebind-domain-ok=/docker/\n"
	l.does("install --dry-run", exitWell, "ok       write       would be done: /"+dnsmasqConf, lines, "ok       reload      would be done: systemctl try-restart dnsmasq.service")
	l.does("remove --dry-run", exitWell, "ok       remove      no file of install's is there\n")
	if l.has(dnsmasqConf) || l.runs != nil {
		t.Fatalf("a dry run writes or runs %q", l.runs)
	}
	l.does("status", exitWell, "ok       resolver    dnsmasq\n", "note     file        install has written none\n")
	l.does("install", exitWell, "ok       resolver    dnsmasq\n", "ok       write       /"+dnsmasqConf+"\n", lines, "ok       reload      systemctl try-restart dnsmasq.service\n")
	l.does("install", exitWell, "ok       keep        /"+dnsmasqConf+" is as it should be\n", "ok       reload ")
	l.does("status", exitWell, "ok       file        /"+dnsmasqConf+"\n", lines, "ok       leads       web.docker. is 172.17.0.2 for the server and for this machine's programs")
	l.system = nil
	l.does("status", exitFound, "problem  leads       web.docker. is 172.17.0.2 for the server, and unknown to this machine's programs")
	l.off = true
	l.does("status", exitWell, "note     leads       whether names come from the server can't be told", "connection refused")
	l.does("remove --dry-run", exitWell, "ok       remove      would be done: /"+dnsmasqConf+"\n")
	if !l.has(dnsmasqConf) {
		t.Fatal("a dry run removes")
	}
	l.does("remove", exitWell, "ok       remove      /"+dnsmasqConf+"\n", "ok       reload ")
	if l.has(dnsmasqConf) || len(l.runs) != 3 {
		t.Errorf("the file is there, or not just three reloads: %q", l.runs)
	}
}

// Flags say which server and zones, and are all that is needed; without them the server is asked.
func TestResolverTarget(t *testing.T) {
	blocks := func(listen string, zones ...string) func(*leading) {
		return func(l *leading) {
			l.overview.Blocks = []status.Info{{Key: "x", Zones: zones, Listen: []string{listen}}, {Key: "y", Zones: []string{"lan."}, Listen: []string{"tls://:853"}}}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*leading)
		args   string
		code   int
		want   string
	}{
		{"flags alone", func(l *leading) { l.off = true }, "--server 127.0.0.1:1053", exitWell, "server=/docker/127.0.0.1#1053\n"},
		{"zones", func(l *leading) { l.off = true }, "--server ::1 --zone test --zone NAS.internal. --zone test", exitWell, "server=/nas.internal/test/::1#53\n"},
		{"no server to ask", func(l *leading) { l.off = true }, "", exitNoServer, "--server ADDRESS:PORT says where it is asked by DNS"},
		{"all addresses", blocks("dns://:1053", "docker.", "17.172.in-addr.arpa.", "test."), "", exitWell, "server=/docker/test/127.0.0.1#1053\n"},
		{"below a zone of the server's", blocks("dns://127.0.0.1:1053", "."), "--zone docker", exitWell, "server=/docker/127.0.0.1#1053\n"},
		{"all names", blocks("dns://127.0.0.1:1053", "."), "", exitFound, "the server does not serve a zone other than the root by DNS: name one with --zone; it serves . lan."},
		{"another zone", blocks("dns://127.0.0.1:1053", "docker."), "--zone test", exitFound, "the server does not serve test. by DNS in one server block; it serves docker. lan."},
		{"over TLS alone", blocks("dns://127.0.0.1:1053", "docker."), "--zone lan", exitFound, "the server does not serve lan. by DNS"},
		{"no address", func(*leading) {}, "--server nas:53", exitUsage, "--server 'nas:53' is no address: want ADDRESS or ADDRESS:PORT"},
		{"all addresses as one", func(*leading) {}, "--server 0.0.0.0", exitUsage, "0.0.0.0:53 is no address at which a server can be asked"},
		{"no zone", func(*leading) {}, "--server 127.0.0.1 --zone a/b", exitUsage, "'a/b.' is no zone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := leads(t, withDnsmasq)
			c.change(l)
			l.does("install "+c.args, c.code, c.want)
			if l.has(dnsmasqConf) != (c.code == exitWell) {
				t.Errorf("the file is there: %v", l.has(dnsmasqConf))
			}
		})
	}
}

// What keeps the resolver from being led, or from knowing it, is told.
func TestResolverFails(t *testing.T) {
	t.Run("another's file", func(t *testing.T) {
		l := leads(t, withDnsmasq)
		if err := os.WriteFile(filepath.Join(l.root, dnsmasqConf), []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
		l.does("install", exitFound, "problem  taken       /"+dnsmasqConf+" is not as install writes it, and is left; nothing is changed")
		l.does("remove", exitWell, "no file of install's is there")
	})
	t.Run("edited", func(t *testing.T) {
		l := leads(t, withDnsmasq)
		l.does("install", exitWell)
		f, err := os.OpenFile(filepath.Join(l.root, dnsmasqConf), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("cache-size=0\n")
		f.Close()
		l.does("install", exitFound, "problem  edited      /"+dnsmasqConf+" is not as install writes it")
		l.does("status", exitWell, "note     file        /"+dnsmasqConf+" is no longer as install wrote it")
		l.does("remove", exitFound, "problem  edited      /"+dnsmasqConf+" is no longer as install wrote it, and is left")
		if !l.has(dnsmasqConf) || len(l.runs) != 1 {
			t.Errorf("the file is gone, or there were more reloads than the first: %q", l.runs)
		}
	})
	t.Run("the reload fails", func(t *testing.T) {
		l := leads(t, withDnsmasq)
		l.fail = errors.New("exit status 1 Access denied")
		l.does("install", exitFound, "problem  reload      systemctl try-restart dnsmasq.service: exit status 1 Access denied")
	})
	t.Run("no systemd", func(t *testing.T) {
		l := leads(t, map[string]string{"etc/resolv.conf": "nameserver 127.0.0.1\n", "etc/dnsmasq.d/README": ""})
		l.does("install", exitWell, "note     reload      'systemctl try-restart dnsmasq.service' does not work here", "→ restart dnsmasq as it was started")
		if l.runs != nil {
			t.Errorf("runs %q", l.runs)
		}
	})
	t.Run("not to be split", func(t *testing.T) {
		l := leads(t, map[string]string{"etc/resolv.conf": "nameserver 192.0.2.1\n"})
		l.does("install", exitFound, "problem  resolver    resolv.conf alone: nothing is changed\n", "→ resolv.conf names servers for all names")
	})
	t.Run("Windows", func(t *testing.T) {
		l := leads(t, nil)
		l.machine.local.GOOS = "windows"
		l.does("install", exitFound, "Windows: nothing is changed", `Add-DnsClientNrptRule -Namespace ".docker"`)
		l.does("remove", exitWell, "note     resolver    Windows: nothing is changed", "Remove-DnsClientNrptRule")
	})
	t.Run("another system", func(t *testing.T) {
		l := leads(t, nil)
		l.machine.local.GOOS = "plan9"
		for _, args := range []string{"install", "status"} {
			l.does(args, exitFound, "no way is known to split DNS on plan9")
		}
	})
	t.Run("no folder", func(t *testing.T) {
		l := leads(t, map[string]string{"etc/resolv.conf": "nameserver 127.0.0.53\n", "run/systemd/system/x": ""})
		l.does("install", exitFound, "problem  write       ", "no such file or directory")
		if len(l.runs) != 1 { // for the version
			t.Errorf("runs %q", l.runs)
		}
	})
}

// Programs are told the same.
func TestResolverJSON(t *testing.T) {
	l := leads(t, withDnsmasq)
	var got []finding
	if err := json.Unmarshal([]byte(l.does("install --json", exitWell)), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[1].Check != "write" || !strings.Contains(got[1].Text, "server=/docker/") {
		t.Errorf("%+v", got)
	}
}

// answering is where a DNS server answers until the test's end, or is silent with a code below zero.
func answering(t *testing.T, rcode int) (at string) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	s := &dns.Server{PacketConn: pc, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		if rcode < 0 {
			return
		}
		if err := w.WriteMsg(new(dns.Msg).SetRcode(r, rcode)); err != nil {
			t.Error(err)
		}
	})}
	go s.ActivateAndServe()
	<-started
	t.Cleanup(func() { s.Shutdown() })
	return pc.LocalAddr().String()
}

// Any answer is a sign of life, at the address of --dns, or where the server says that it is asked.
func TestHealth(t *testing.T) {
	overview := func(at string) string {
		return serveJSON(t, map[string]any{"/": status.Overview{Blocks: []status.Info{
			{Key: "tls://.", Zones: []string{"."}, Listen: []string{"tls://:853"}}, {Key: "docker", Zones: []string{"docker."}, Listen: []string{"dns://" + at}}}}})
	}
	hung, err := net.Listen("tcp", "127.0.0.1:0") // the kernel connects
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hung.Close() })
	well, refuses, silent, nobody := answering(t, dns.RcodeSuccess), answering(t, dns.RcodeRefused), answering(t, -1), nobodyAt(t)
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"well", []string{"--dns", well, "--status", nobody}, exitWell, "ok       health      answers at " + well + " in "},
		{"refused", []string{"--dns", refuses, "--zone", "test", "--status", nobody}, exitWell, "answers at " + refuses},
		{"silent", []string{"--dns", silent, "--status", nobody}, exitFound, "problem  health      no answer at " + silent + " for docker. SOA: "},
		{"silent, another zone", []string{"--dns", silent, "--zone", "Test", "--status", nobody}, exitFound, "for test. SOA: "},
		{"nobody", []string{"--dns", nobody}, exitFound, "no answer at " + nobody},
		{"status tells", []string{"--status", overview(well)}, exitWell, "answers at " + well},
		{"status tells a silent one", []string{"--status", overview(silent)}, exitFound, "no answer at " + silent},
		{"status hangs", []string{"--status", hung.Addr().String()}, exitFound, "deadline exceeded"},
		{"no address", []string{"--dns", "localhost:53"}, exitUsage, "--dns 'localhost:53' is no address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, errs, code := run(append([]string{"health"}, c.args...)...)
			if code != c.code || !strings.Contains(out+errs, c.want) || strings.Count(out+errs, "\n") != 1 {
				t.Errorf("code %d, prints %q; want %d and one line with %q", code, out+errs, c.code, c.want)
			}
		})
	}
}
