package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// health is what a container's health check calls. It needs no status, and does not hang with the server.
func TestHealthCommand(t *testing.T) {
	t.Parallel()
	for name, withStatus := range map[string]bool{"with status": true, "without status": false} {
		t.Run(name, func(t *testing.T) {
			body, status := "docker docker.", ""
			if withStatus {
				status = loopback(freePort(t, "127.0.0.1"))
				body = "docker docker. {\nstatus " + status + "\n}"
			}
			s := serve(t, config{Body: body})
			args := []string{"health", "--dns", s.Addr}
			if withStatus {
				args = []string{"health", "--status", status}
			}
			if err := tell(t, nil, args...).differs(0, "ok       health      answers at "+s.Addr+" in "); err != nil {
				t.Error(err)
			}
			process := s.Cmd.Process
			if err := process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			is := tell(t, nil, args...)
			if err := process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			if err := is.differs(1, "problem  health      no answer at "); err != nil {
				t.Error(err)
			}
			eventually(t, func() error { return tell(t, nil, args...).differs(0, "answers at "+s.Addr) })
			if err := s.Stop(patience); err != nil {
				t.Error(err)
			}
			// Where no status tells another address port 53 is asked, which on this machine another test's server may have.
			if err := tellIn(t, []string{"unshare", "--net"}, nil, args...).differs(1, "problem  health      no answer at "); err != nil {
				t.Error(err)
			}
		})
	}
}

// A real dnsmasq, with the file that resolver install has written, asks us for the zone, and nobody for it after resolver remove.
func TestResolverDnsmasq(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: can't have another /etc")
	}
	if err := rig.Need("dnsmasq"); err != nil {
		t.Skip(err)
	}
	s := serve(t, config{Body: "docker docker."})
	name := "web-" + suffix()
	v4, _ := machine.inspect(t, machine.run(t, "--name", name)).addrs()
	s.soon(name+".docker.", dns.TypeA, v4[0])

	etc := t.TempDir()
	ip := fmt.Sprintf("127.56.%d.%d", os.Getpid()>>8&0xff, os.Getpid()&0xff)
	folder := filepath.Join(etc, "dnsmasq.d")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"resolv.conf": "nameserver " + ip + "\n", "dnsmasq.conf": "conf-dir=" + folder + "\nno-resolv\nstop-dns-rebind\nlisten-address=" + ip + "\nbind-interfaces\nport=53\nuser=root\n"} {
		if err := os.WriteFile(filepath.Join(etc, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// there is a /etc of the test's own, and a /run without systemd
	resolver := func(args ...string) (is told) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"--mount", "sh", "-c", `mount --bind "$0" /etc && mount -t tmpfs tmpfs /run && exec "$@"`, etc,
			binary, "docker", "resolver"}, args...)...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return told{out: string(out), code: cmd.ProcessState.ExitCode()}
	}
	ask := func(want func(*dns.Msg) error) {
		t.Helper()
		at := net.JoinHostPort(ip, "53")
		d := spawn(t, at, "dnsmasq", "--keep-in-foreground", "--conf-file="+filepath.Join(etc, "dnsmasq.conf"), "--pid-file")
		eventually(t, func() error {
			m, err := dns.Exchange(new(dns.Msg).SetQuestion(name+".docker.", dns.TypeA), at)
			if err != nil {
				return err
			}
			return want(m)
		})
		if err := d.Stop(patience); err != nil {
			t.Error(err)
		}
	}

	if err := resolver("install", "--server", s.Addr).differs(0, "ok       resolver    dnsmasq\n", "ok       write       /etc/dnsmasq.d/dockerdiscovery.conf\n", "note     reload      "); err != nil {
		t.Fatal(err)
	}
	ask(func(m *dns.Msg) error {
		if len(m.Answer) != 1 || !strings.HasSuffix(m.Answer[0].String(), "\t"+v4[0]) {
			return fmt.Errorf("dnsmasq answers\n%v", m)
		}
		return nil
	})
	if err := resolver("remove").differs(0, "ok       remove      /etc/dnsmasq.d/dockerdiscovery.conf\n"); err != nil {
		t.Fatal(err)
	}
	ask(func(m *dns.Msg) error {
		if m.Rcode != dns.RcodeRefused {
			return fmt.Errorf("dnsmasq answers\n%v", m)
		}
		return nil
	})
	if files, err := os.ReadDir(folder); err != nil || len(files) > 0 {
		t.Errorf("%v are left, %v", files, err)
	}
}
