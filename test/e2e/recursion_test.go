package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// ownLoopback is a loopback address that no other test uses, so that its port 53 is free.
func ownLoopback() string {
	return fmt.Sprintf("127.%d.%d.%d", 40+rand.IntN(200), rand.IntN(256), 1+rand.IntN(254))
}

// Our answers offer recursion where the server block does. Plugins that change answers change ours.
func TestRecursionAvailable(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	forward := "\nforward . " + up.addr
	name := "web-" + suffix()
	id := machine.run(t, "--name", name)
	for _, c := range []struct {
		name, body string
		ra         bool
	}{
		{"forward", forward, true},
		{"forward and cache", forward + "\ncache", true},
		{"header clears", forward + "\nheader {\nresponse clear ra\n}", false},
		{"alone", "", false},
		{"header sets", "\nheader {\nresponse set ra\n}", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, config{Body: "docker " + zones + c.body})
			s.soon(name+".docker.", dns.TypeA, machine.addr(t, id))
			for _, q := range []question{
				{name: name + ".docker.", qtype: dns.TypeA}, {name: name + ".docker.", qtype: dns.TypeMX}, {name: "nobody.docker.", qtype: dns.TypeA},
				{name: reverse(t, machine.addr(t, id)), qtype: dns.TypePTR}, {name: "docker.", qtype: dns.TypeSOA},
			} {
				if m := s.ask(q.name, q.qtype); m.RecursionAvailable != c.ra || !m.Authoritative {
					t.Errorf("%s %s: want RA %v, and AA:\n%s", q.name, dns.TypeToString[q.qtype], c.ra, m)
				}
			}
		})
	}
}

// minimal takes what was not asked for from our answers too.
func TestMinimal(t *testing.T) {
	t.Parallel()
	for body, extra := range map[string]int{"": 1, "\nminimal": 0} {
		s := serve(t, config{Body: "docker " + zones + body})
		if m := s.ask("docker.", dns.TypeNS); len(m.Answer) != 1 || len(m.Extra) != extra {
			t.Errorf("with %q: want %d additional records:\n%s", body, extra, m)
		}
	}
}

// nslookup and host stay with our server where a second one denies all that it is asked.
func TestSecondNameserver(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: can't give a program a resolv.conf of its own")
	}
	up := startUpstream(t)
	denier := ownLoopback()
	rig.ServeDNS(t, "udp", denier+":53", func(w dns.ResponseWriter, req *dns.Msg) {
		m := new(dns.Msg).SetRcode(req, dns.RcodeNameError)
		m.RecursionAvailable = true
		w.WriteMsg(m)
	})
	s := serve(t, config{IP: ownLoopback(), Port: 53, Body: "docker " + zones + "\nforward . " + up.addr + "\ncache"})
	name := "web-" + suffix()
	addr := machine.addr(t, machine.run(t, "--name", name))
	s.soon(name+".docker.", dns.TypeA, addr)

	resolvConf := filepath.Join(t.TempDir(), "resolv.conf")
	us, _, _ := strings.Cut(s.Addr, ":")
	if err := os.WriteFile(resolvConf, fmt.Appendf(nil, "nameserver %s\nnameserver %s\n", us, denier), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"nslookup", "host"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Logf("not asked by %s: %v", program, err)
			continue
		}
		for question, want := range map[string]string{name + ".docker": addr, addr: name + ".docker", "example.org": exampleOrg} {
			out, err := exec.Command("unshare", "-m", "sh", "-c", `mount --bind "$1" /etc/resolv.conf && exec "$2" "$3"`, "sh", resolvConf, path, question).CombinedOutput()
			if err != nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "recursion not available") {
				t.Errorf("%s %s: %v: no %s in\n%s", program, question, err, want, out)
			}
		}
	}
}
