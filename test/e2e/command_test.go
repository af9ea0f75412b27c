package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// told is what the binary's sub-command docker has printed, and its exit code.
type told struct {
	out, errs string
	code      int
}

// tell runs the binary's sub-command docker, with more in its environment.
func tell(t *testing.T, env []string, args ...string) (is told) {
	t.Helper()
	return tellIn(t, nil, env, args...)
}

// tellIn is tell after what leads to another place, such as a network namespace.
func tellIn(t *testing.T, enter, env []string, args ...string) (is told) {
	t.Helper()
	words := slices.Concat(enter, []string{binary, "docker"}, args)
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &errs, append(os.Environ(), env...)
	var ended *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return told{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// differs says how what was printed differs: in its exit code, or by lacking a text.
func (is told) differs(code int, texts ...string) error {
	if is.code != code {
		return fmt.Errorf("exit code %d, want %d; printed\n%s%s", is.code, code, is.out, is.errs)
	}
	for _, text := range texts {
		if !strings.Contains(is.out+is.errs, text) {
			return fmt.Errorf("no %q in\n%s%s", text, is.out, is.errs)
		}
	}
	return nil
}

// The server tells in a terminal what it knows: with an exit code for scripts.
func TestCommand(t *testing.T) {
	t.Parallel()
	address := loopback(freePort(t, "127.0.0.1"))
	s := serve(t, config{Body: "docker docker. {\nstatus " + address + "\n}"})
	name := "web-" + suffix()
	id := machine.run(t, "--name", name)
	v4, _ := machine.inspect(t, id).addrs()
	ip := v4[0]
	s.soon(name+".docker.", dns.TypeA, ip)

	for _, c := range []struct {
		args  string
		code  int
		texts []string
	}{
		{"explain " + name + ".docker", 0, []string{name, ip}},
		{"explain " + ip, 0, []string{name + ".docker.", "address"}},
		{"explain " + name + "x.docker", 1, []string{name + ".docker"}},
		{"explain " + name + ".docker --from nobody", 2, []string{"nobody"}},
		{"explain " + name + ".docker --type NONSENSE", 2, []string{"'NONSENSE' is no type"}},
		{"names --search " + name, 0, []string{name + ".docker.", ip}},
		{"containers " + name, 0, []string{id, ip}},
		{"containers " + name + "x", 1, []string{"No container"}},
		{"hosts", 0, []string{"current"}},
	} {
		if err := tell(t, nil, append(strings.Fields(c.args), "--status", address)...).differs(c.code, c.texts...); err != nil {
			t.Errorf("%s: %v", c.args, err)
		}
		is := tell(t, nil, append(strings.Fields(c.args), "--json", "--status", address)...)
		if valid := json.Valid([]byte(is.out)); is.code != c.code || is.errs == "" && !valid {
			t.Errorf("%s --json: code %d, want %d; printed %s%s", c.args, is.code, c.code, is.out, is.errs)
		}
	}
}

// Without the property status, and by a socket that is not there or for others, the command says what to do.
func TestCommandWithoutStatus(t *testing.T) {
	t.Parallel()
	serve(t, config{Body: "docker docker."})
	closed := loopback(freePort(t, "127.0.0.1"))
	if err := tell(t, nil, "explain", "web.docker", "--status", closed).differs(3, "connection refused", "    docker docker. {\n        status\n    }\n", "'coredns docker doctor'"); err != nil {
		t.Error(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	serve(t, config{Body: "docker docker. {\nstatus unix://" + socket + "\n}"})
	if err := tell(t, nil, "hosts", "--status", "unix://"+socket).differs(0, "current"); err != nil {
		t.Error(err)
	}
}

// doctor finds what is broken.
func TestDoctor(t *testing.T) {
	t.Parallel()
	closed := loopback(freePort(t, "127.0.0.1"))
	t.Run("no status", func(t *testing.T) {
		serve(t, config{Body: "docker docker."})
		if err := tell(t, nil, "doctor", "--status", closed).differs(1, "problem  status ", "; coredns runs as process ", "ok       engine "); err != nil {
			t.Error(err)
		}
	})
	t.Run("no socket", func(t *testing.T) {
		if err := tell(t, []string{"DOCKER_HOST=unix:///nowhere/docker.sock"}, "doctor", "--status", closed).differs(1,
			"problem  engine      the engine at unix:///nowhere/docker.sock can't be asked by this user: ", "there is no such socket: start or install Docker"); err != nil {
			t.Error(err)
		}
	})
	t.Run("forbidden socket", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("not root: can't run as another user")
		}
		path := filepath.Join(folder, "forbidden-"+suffix())
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), binary, "docker", "doctor", "--status", closed)
		cmd.SysProcAttr, cmd.Env = nobody(), append(os.Environ(), "DOCKER_HOST=unix://"+path, "HOME=/")
		out, _ := cmd.CombinedOutput() // problems are found, and so it fails
		if !strings.Contains(string(out), "add the user to the socket's group, docker") {
			t.Errorf("no cure in\n%s", out)
		}
	})
	t.Run("port 53 is taken", func(t *testing.T) {
		ip := fmt.Sprintf("127.54.%d.%d", os.Getpid()>>8&0xff, os.Getpid()&0xff)
		l, err := net.ListenPacket("udp", net.JoinHostPort(ip, "53"))
		if err != nil {
			t.Skipf("port 53 can't be had: %v", err)
		}
		defer l.Close()
		if err := tell(t, nil, "doctor", "--status", closed).differs(1, fmt.Sprintf("problem  port53      e2e.test (process %d) has %s:53\n", os.Getpid(), ip)); err != nil {
			t.Error(err)
		}
	})
	t.Run("split DNS is not set up", func(t *testing.T) {
		address := loopback(freePort(t, "127.0.0.1"))
		s := serve(t, config{Body: "docker docker. {\nstatus " + address + "\n}"})
		name := "a-" + suffix()
		machine.run(t, "--name", name)
		eventually(t, func() error { return s.wantMetric("coredns_docker_connected", 1) })
		eventually(t, func() error {
			return tell(t, nil, "doctor", "--status", address).differs(1, "ok       status      the server answers at "+address,
				"ok       engine      host ", "ok       dns         answers at "+s.Addr, "problem  resolver ", ".docker. is ", "→ ", "containers  ")
		})
	})
	t.Run("the server is the resolver", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("not root: can't have another resolv.conf")
		}
		address, ip := loopback(freePort(t, "127.0.0.1")), fmt.Sprintf("127.55.%d.%d", os.Getpid()>>8&0xff, os.Getpid()&0xff)
		serve(t, config{IP: ip, Port: 53, Body: "docker docker. {\nstatus " + address + "\n}"})
		machine.run(t, "--name", "a-"+suffix())
		conf := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(conf, []byte("nameserver "+ip+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`,
				conf, binary, "docker", "doctor", "--status", address)
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil {
				t.Fatal(err)
			}
			is := told{out: string(out), code: cmd.ProcessState.ExitCode()}
			return is.differs(0, "ok       dns         answers at "+ip+":53", "ok       port53      the server has "+ip+":53",
				" for the server and for this machine's programs", "resolvconf  /etc/resolv.conf names "+ip)
		})
	})
}
