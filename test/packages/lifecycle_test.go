package packages

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

const (
	hostServer      = "127.0.0.1:1053" // of the Corefile as it comes
	containerServer = "172.17.0.1:53"  // of its block for containers
	corefile        = "/etc/dockerdiscovery/Corefile"
	unit            = "dockerdiscovery.service"
)

// What a user does with the package, in the order in which he does it.
func TestLifeCycle(t *testing.T) {
	for _, release := range releases {
		t.Run(release, func(t *testing.T) { lifeCycle(t, newSystem(t, release), dpkg) })
	}
	t.Run("rpm", func(t *testing.T) { lifeCycle(t, newSystem(t, "bookworm"), rpm) })
}

func lifeCycle(t *testing.T, s *system, m manager) {
	s.boot()
	t.Logf("%s, %s, in systemd-nspawn", s.do("sh", "-c", ". /etc/os-release; echo $PRETTY_NAME"), strings.SplitN(s.do("systemctl", "--version"), "\n", 2)[0])
	before := s.files()

	m.install(s, m.packages[0])
	s.startsWithoutEngine()
	s.isLockedDown()

	s.startEngine()
	web := s.runContainer("web")
	s.answers(hostServer, "web.docker.", web)
	s.do("dockerdiscovery", "docker", "resolver", "install")
	s.resolves("web.docker", web)

	s.servesContainers()
	s.tellsBySocket()
	s.reloads("web.docker.", web)
	s.bootsBeforeEngine("web.docker.")

	web = s.address("web")
	for _, next := range m.packages[1:] {
		s.upgrade(m, next, "web.docker", web)
	}

	m.remove(s)
	s.isGone()
	if out, err := s.run("getent", "ahostsv4", "web.docker"); err == nil {
		t.Errorf("after removal this machine's resolver still knows web.docker: %s", out)
	}
	if m.purge != nil {
		if _, err := s.run("test", "-e", corefile); err != nil {
			t.Errorf("removal takes the edited Corefile away: %v", err)
		}
		m.purge(s)
	}
	compareFiles(t, before, s.files(), m.leaves)
}

// startsWithoutEngine checks that the unit runs, and stays.
func (s *system) startsWithoutEngine() {
	s.t.Helper()
	for _, is := range [][]string{{"is-enabled", "enabled"}, {"is-active", "active"}} {
		if out, err := s.run("systemctl", is[0], unit); out != is[1] {
			s.t.Fatalf("%s after installation: %s %v", is[0], out, err)
		}
	}
	s.eventually(func() error { return s.ask(hostServer, "docker.", dns.TypeSOA, nil) })
	s.sameProcess(s.mainPID())
}

func (s *system) property(name string) string {
	s.t.Helper()
	return s.do("systemctl", "show", "--value", "--property", name, unit)
}

func (s *system) mainPID() string { s.t.Helper(); return s.property("MainPID") }

// sameProcess checks that the server runs, and was not started anew.
func (s *system) sameProcess(pid string) {
	s.t.Helper()
	if is := s.mainPID(); is != pid || pid == "0" {
		s.t.Errorf("the server's process was %s and is %s, after %s restarts", pid, is, s.property("NRestarts"))
	}
}

// isLockedDown checks what the server may do, by the kernel and by systemd's own figure. It has a folder to write in.
func (s *system) isLockedDown() {
	s.t.Helper()
	if out := s.do("stat", "-c", "%a %U", "/var/lib/dockerdiscovery", "/var/lib/dockerdiscovery/state"); out != "755 root\n755 dockerdiscovery" {
		s.t.Errorf("the server's state is in folders of %q", out)
	}
	status := s.do("cat", "/proc/"+s.mainPID()+"/status")
	for _, want := range []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n", "CapPrm:\t0000000000000400\n", "CapEff:\t0000000000000400\n", "CapBnd:\t0000000000000400\n"} {
		if !strings.Contains(status, want) {
			s.t.Errorf("the server's process has not %q:\n%s", want, status)
		}
	}
	if out, err := s.run("systemd-analyze", "security", "--no-pager", "--threshold=20", unit); err != nil {
		s.t.Errorf("its exposure is above 2.0: %v\n%s", err, out)
	} else {
		s.t.Log(out[strings.LastIndex(out, "Overall"):])
	}
}

// startEngine starts the engine. Its socket has the group that the package has made.
func (s *system) startEngine() {
	s.t.Helper()
	if s.engine.Dockerd == nil {
		group := strings.Split(s.do("getent", "group", "docker"), ":")
		s.engine.Flags = append(s.engine.Flags, "--group", group[2])
	}
	s.engine.Start(patience)
}

func (s *system) docker(args ...string) string {
	s.t.Helper()
	out, err := s.engine.Docker(args...)
	if err != nil {
		s.t.Fatalf("docker %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// runContainer runs a container, which starts with the engine too, and returns its address.
func (s *system) runContainer(name string) string {
	s.t.Helper()
	s.docker(theRun.ImportImage(image, "web")...)
	s.docker("run", "-d", "--name", name, "--restart", "always", "--stop-timeout", "1", "web")
	return s.address(name)
}

func (s *system) address(name string) string {
	s.t.Helper()
	return s.docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", name)
}

// ask asks a server on the system's network, and returns an error if the answer is another.
func (s *system) ask(server, name string, qtype uint16, want []string) error {
	return s.within(func() error {
		m, err := rig.Ask("udp", server, name, qtype)
		if err != nil {
			return err
		}
		if got := rig.Data(m.Answer); m.Rcode != dns.RcodeSuccess || len(got) == 0 || want != nil && strings.Join(got, " ") != strings.Join(want, " ") {
			return fmt.Errorf("%s answers %s %v, want %v", server, dns.RcodeToString[m.Rcode], got, want)
		}
		return nil
	})
}

func (s *system) answers(server, name, addr string) {
	s.t.Helper()
	s.eventually(func() error { return s.ask(server, name, dns.TypeA, []string{addr}) })
}

// resolves checks what the system's programs get for a name.
func (s *system) resolves(name, addr string) {
	s.t.Helper()
	s.eventually(func() error {
		out, err := s.run("getent", "ahostsv4", name)
		if err == nil && !strings.HasPrefix(out, addr+" ") {
			err = errors.New("they get another answer")
		}
		if err != nil {
			return fmt.Errorf("this machine's programs don't get %s for %s: %w: %s", addr, name, err, out)
		}
		return nil
	})
}

// servesContainers does what the Corefile's comment says that serves containers.
func (s *system) servesContainers() {
	s.t.Helper()
	pid := s.mainPID()
	s.do("sed", "-i", "/^# .:53 {/,$ s/^# \\?//", corefile)
	s.do("systemctl", "reload", unit)
	s.eventually(func() error { return s.ask(containerServer, "docker.", dns.TypeSOA, nil) })
	s.sameProcess(pid)
}

// tellsBySocket has the server tell what it knows at a unix socket, where the unit lets it make one.
func (s *system) tellsBySocket() {
	s.t.Helper()
	const socket = "/run/dockerdiscovery/status.sock"
	s.do("sed", "-i", `s|^\t\tstatus$|& unix://`+socket+" 0660 docker|", corefile)
	s.do("systemctl", "reload", unit)
	s.eventually(func() error {
		if out, err := s.run("stat", "-c", "%a %U %G", socket); out != "660 dockerdiscovery docker" {
			return fmt.Errorf("the socket of status is none: %s %v", out, err)
		}
		return nil
	})
	s.do("sed", "-i", `s|^\(\t\tstatus\) unix.*|\1|`, corefile)
	s.do("systemctl", "reload", unit)
	s.eventually(func() error { _, err := s.run("dockerdiscovery", "docker", "names"); return err })
}

// reloads has the unit reloaded many times while queries come: none is lost.
func (s *system) reloads(name, addr string) {
	s.t.Helper()
	const reloads, clients = 20, 4
	pid := s.mainPID()
	done := make(chan struct{})
	end := sync.OnceFunc(func() { close(done) })
	var all sync.WaitGroup
	defer all.Wait()
	defer end()
	var mu sync.Mutex // guards what follows
	sent, lost := 0, []error(nil)
	for i := range clients {
		all.Go(func() {
			err := s.within(func() error {
				client := &rig.Asker{Server: []string{hostServer, containerServer}[i%2]}
				defer client.Close()
				pace := time.NewTicker(2 * time.Millisecond)
				defer pace.Stop()
				for {
					select {
					case <-done:
						return nil
					case <-pace.C:
					}
					m, err := client.Ask(name, dns.TypeA)
					if err == nil && strings.Join(rig.Data(m.Answer), " ") != addr {
						err = fmt.Errorf("answered %s %v", dns.RcodeToString[m.Rcode], rig.Data(m.Answer))
					}
					mu.Lock()
					sent++
					if err != nil {
						lost = append(lost, err)
					}
					mu.Unlock()
				}
			})
			if err != nil {
				s.t.Error(err)
			}
		})
	}
	complete := func() int {
		return strings.Count(s.do("journalctl", "--no-pager", "-q", "_PID="+pid), "Reloading complete")
	}
	for range reloads {
		had := complete()
		s.do("systemctl", "reload", unit)
		s.eventually(func() error {
			if complete() == had {
				return errors.New("the reload is not complete")
			}
			return nil
		})
	}
	end()
	all.Wait()
	s.t.Logf("%d reloads, %d queries, %d lost or answered wrongly", reloads, sent, len(lost))
	if len(lost) > 0 || sent < reloads {
		s.t.Errorf("%d of %d queries are lost or answered wrongly over %d reloads: %v", len(lost), sent, reloads, errors.Join(lost...))
	}
	s.sameProcess(pid)
}

// bootsBeforeEngine boots the system before the engine has made the bridge to which the server binds.
func (s *system) bootsBeforeEngine(name string) {
	s.t.Helper()
	const tries = 3
	limit := rig.Limit(2*time.Second, 10*time.Second)
	var took []time.Duration
	for range tries {
		s.halt()
		s.engine.End(syscall.SIGTERM)
		if out, err := rig.Output(exec.Command("ip", "-n", s.engine.Netns, "link", "delete", "docker0")); err != nil {
			s.t.Fatalf("ip link delete docker0: %v: %s", err, out)
		}
		s.boot()
		s.eventually(func() error {
			if n, err := strconv.Atoi(s.property("NRestarts")); err != nil || n == 0 {
				return fmt.Errorf("the server was not started again without docker0: %d %v", n, err)
			}
			return nil
		})
		s.startEngine()
		begin := time.Now()
		s.eventually(func() error { return s.ask(containerServer, name, dns.TypeA, nil) })
		took = append(took, time.Since(begin).Round(time.Millisecond))
		s.t.Logf("systemd has the server started before the engine and docker0: %s after %s restarts is answered %v after the engine's API is there",
			name, s.property("NRestarts"), took[len(took)-1])
		if took[len(took)-1] <= limit {
			return
		}
	}
	s.t.Errorf("the server does not serve within %v of the engine's start, %d times: %v", limit, tries, took)
}

// upgrade installs another version of the package, or its other variant, and checks what was kept.
func (s *system) upgrade(m manager, file, name, addr string) {
	s.t.Helper()
	pid, edited := s.mainPID(), s.do("cat", corefile)
	m.install(s, file)
	if is := s.mainPID(); is == pid || is == "0" {
		s.t.Errorf("%s does not restart the server: process %s", filepath.Base(file), is)
	}
	if is := s.do("cat", corefile); is != edited {
		s.t.Errorf("%s does not keep the Corefile:\n%s", filepath.Base(file), is)
	}
	s.answers(hostServer, name+".", addr)
	s.answers(containerServer, name+".", addr)
	s.resolves(name, addr)
}

// isGone checks that no server runs, nor is to.
func (s *system) isGone() {
	s.t.Helper()
	if is := s.property("LoadState") + " " + s.property("ActiveState"); is != "not-found inactive" {
		s.t.Errorf("after removal the unit is %s", is)
	}
	programs := s.do("sh", "-c", "readlink /proc/[0-9]*/exe || true") // those of the kernel are none
	if !strings.Contains(programs, "/systemd\n") || strings.Contains(programs, "dockerdiscovery") {
		s.t.Errorf("after removal these run: %s", programs)
	}
}
