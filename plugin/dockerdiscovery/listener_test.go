package dockerdiscovery

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

func TestParseStatus(t *testing.T) {
	for args, want := range map[string]statusLine{
		"":                              {network: "tcp", addr: "localhost:9180"},
		"localhost":                     {network: "tcp", addr: "localhost:9180"},
		":9181":                         {network: "tcp", addr: ":9181"},
		"127.0.0.1:80":                  {network: "tcp", addr: "127.0.0.1:80"},
		"::1":                           {network: "tcp", addr: "[::1]:9180"},
		"[::1]":                         {network: "tcp", addr: "[::1]:9180"},
		"[2001:db8::1]:80 box.lan Box.": {network: "tcp", addr: "[2001:db8::1]:80", names: []string{"box.lan", "Box."}},
		"unix:///run/x/status.sock":     {network: "unix", addr: "/run/x/status.sock", mode: 0o600, group: -1},
		"unix:///run/./s 0660":          {network: "unix", addr: "/run/s", mode: 0o660, group: -1},
		"unix:///run/s 660 root":        {network: "unix", addr: "/run/s", mode: 0o660, group: 0},
		"unix:///run/s 0666 4711":       {network: "unix", addr: "/run/s", mode: 0o666, group: 4711},
	} {
		cfg, err := parseText("docker docker. {\n status " + args + "\n}")
		want.at = "Testfile:2"
		if err != nil || !cfg.status.equal(&want) || cfg.status.at != want.at {
			t.Errorf("status %s: %+v, %v; want %+v", args, cfg.status, err, want)
		}
	}
	for args, want := range map[string]string{
		"localhost:":                       "'localhost:' is not an address to listen at; want 'status [ADDRESS [NAME...]], with ADDRESS an IP or localhost and a port",
		"box.lan:9180":                     "'box.lan:9180' is not an address",
		"localhost:0":                      "'localhost:0' is not an address",
		"localhost:70000":                  "'localhost:70000' is not an address",
		"localhost:http":                   "'localhost:http' is not an address",
		"[::1":                             "'[::1' is not an address",
		"localhost http://box.lan":         "'http://box.lan' is not a NAME by which a browser may ask",
		"localhost a b a":                  "'a' stands there twice",
		"unix://run/s":                     "'unix://run/s' is not a socket's address",
		"unix:/run/s":                      "'unix:/run/s' is not a socket's address",
		"unix:///run/s rw":                 "'rw' is not a socket's mode",
		"unix:///run/s 1777":               "'1777' is not a socket's mode",
		"unix:///run/s 0660 no-such-group": "'no-such-group' is not a group of this machine",
		"unix:///run/s 0660 root x":        "'x' stands after the socket's group",
		"\n status":                        "status stands in line 2 already",
	} {
		parseFails(t, "docker docker. {\n status "+args+"\n}", []string{want})
	}
}

// statusAt asks the status listener for the path. The address is a socket's path or HOST:PORT.
func statusAt(addr, path string) (string, error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			network := "tcp"
			if filepath.IsAbs(addr) {
				network = "unix"
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}}
	r, err := client.Get("http://localhost" + path)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", r.Status, b)
	}
	return string(b), err
}

// overview asks the status listener what there is.
func overview(t *testing.T, addr string) (o status.Overview) {
	t.Helper()
	text, err := statusAt(addr, "/?format=json")
	if err == nil {
		err = json.Unmarshal([]byte(text), &o)
	}
	if err != nil {
		t.Error(err)
	}
	return o
}

// nobodyAt checks that nobody listens at the address.
func nobodyAt(t *testing.T, addr string) {
	t.Helper()
	if text, err := statusAt(addr, "/"); err == nil {
		t.Errorf("somebody answers at %s: %s", addr, text)
	}
}

// TestStatusOverReloads asks the status listener all the time while the server is reloaded: no request fails while the address
// stays, nor when a reload fails.
func TestStatusOverReloads(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "web"})
	port, addr, other := freePort(t), "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	socket := filepath.Join(t.TempDir(), "status.sock")
	corefile := func(zones string, statuses ...string) string {
		var text strings.Builder
		for i, z := range strings.Fields(zones) {
			line := ""
			if i < len(statuses) {
				line = statuses[i]
			}
			fmt.Fprintf(&text, "%s:%s {\n docker {\n endpoint %s\n %s\n }\n}\n", z, port, e.Host(), line)
		}
		return text.String()
	}
	s := inprocess.Serve(t, corefile("docker", "status "+addr))
	reload := func(corefile, fails string) {
		t.Helper()
		err := s.Reload(corefile)
		if fails == "" && err != nil || fails != "" && (err == nil || !strings.Contains(err.Error(), fails)) {
			t.Errorf("the reload: %v, want %q", err, fails)
		}
	}
	zones := func(addr string) (all []string) {
		for _, b := range overview(t, addr).Blocks {
			all = append(all, b.Zones...)
		}
		return all
	}

	ends := make(chan struct{})
	var asking sync.WaitGroup
	var asked, counted atomic.Int32
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-ends:
					return
				default:
				}
				if text, err := statusAt(addr, "/"); err != nil || !strings.Contains(text, "docker.") {
					t.Errorf("while reloads are under way: %q, %v", text, err)
				}
				asked.Add(1)
			}
		})
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	reload(corefile("docker lan", "status "+addr), "")
	if got := zones(addr); !slices.Equal(got, []string{"docker.", "lan."}) {
		t.Errorf("the blocks are %q, want both", got)
	}
	reload(corefile("docker lan", "status "+addr, "status "+addr), "")
	reload(corefile("docker lan", "", "status "+addr), "")
	reload(corefile("docker lan", "status "+addr, "status "+other), "Corefile:10: another status stands at Corefile:4; want it in one server block")
	reload(corefile("docker lab", "status "+addr)+"x.:1 {\n nonsense\n}", "nonsense")
	reload(corefile("docker lab", "status "+addr)+fmt.Sprintf("x.:%d {\n bind 127.0.0.1\n whoami\n}", taken.Addr().(*net.TCPAddr).Port), "address already in use")
	reload(corefile("docker lab", "status "+taken.Addr().String()), "has the port; end it, or write another one")
	if got := zones(addr); !slices.Equal(got, []string{"docker.", "lan."}) {
		t.Errorf("after failed reloads the blocks are %q, want those of before", got)
	}
	reload(corefile("docker", "status "+addr), "")
	for counted.Store(asked.Load()); asked.Load() < counted.Load()+10; {
	}
	close(ends)
	asking.Wait()

	// The address changes, and the property goes.
	reload(corefile("docker", "status "+other), "")
	nobodyAt(t, addr)
	zones(other)
	reload(corefile("docker", "status unix://"+socket), "")
	nobodyAt(t, other)
	zones(socket)
	reload(corefile("docker"), "")
	nobodyAt(t, socket)
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
	reload(corefile("docker", "status "+addr), "")
	zones(addr)
	stop(t, s)
	nobodyAt(t, addr)
	if len(statusListeners) > 0 {
		t.Errorf("listeners are left: %v", statusListeners)
	}
}

// TestStatusEventsOverReloads checks that a page which is live asks anew after a reload: what it watched is no more.
func TestStatusEventsOverReloads(t *testing.T) {
	e := enginetest.New(t)
	addr := "127.0.0.1:" + freePort(t)
	corefile := fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n status %s\n }\n}", freePort(t), e.Host(), addr)
	s := inprocess.Serve(t, corefile)
	events := func() *http.Response {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		t.Cleanup(cancel)
		r, err := http.NewRequestWithContext(ctx, "GET", "http://"+addr+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%+v, %v", answer, err)
		}
		return answer
	}
	live := events()
	defer live.Body.Close()
	if err := s.Reload(corefile); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(live.Body); err != nil {
		t.Errorf("the events of before go on: %v", err)
	}
	live = events()
	defer live.Body.Close()
	e.Run(enginetest.Spec{Name: "new"})
	for lines := bufio.NewScanner(live.Body); ; {
		if !lines.Scan() {
			t.Fatalf("no event tells of the container: %v", lines.Err())
		}
		if strings.Contains(lines.Text(), "new") {
			break
		}
	}
}

// TestStatusNames checks that a reload changes the names by which the listener may be asked.
func TestStatusNames(t *testing.T) {
	e := enginetest.New(t)
	port, addr := freePort(t), "127.0.0.1:"+freePort(t)
	corefile := func(names string) string {
		return fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n status %s %s\n }\n}", port, e.Host(), addr, names)
	}
	s := inprocess.Serve(t, corefile("one.lan"))
	for _, names := range []string{"one.lan", "two.lan", ""} {
		if err := s.Reload(corefile(names)); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"one.lan", "two.lan"} {
			r, err := http.NewRequest("GET", "http://"+addr+"/hosts", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = name
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			want := http.StatusMisdirectedRequest
			if name == names {
				want = http.StatusOK
			}
			if answer.StatusCode != want {
				t.Errorf("status %s, asked as %s: %d, want %d", names, name, answer.StatusCode, want)
			}
		}
	}
}

// TestStatusSocket checks the socket's mode and group, that one which is left over is replaced, and nothing else.
func TestStatusSocket(t *testing.T) {
	e := enginetest.New(t)
	dir := t.TempDir()
	socket, port := filepath.Join(dir, "status.sock"), freePort(t)
	corefile := func(more string) string {
		return fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n status unix://%s %s\n }\n}", port, e.Host(), socket, more)
	}
	fails := func(want string) {
		t.Helper()
		s, err := inprocess.Start(corefile(""))
		if err == nil {
			stop(t, s)
		}
		if err == nil || !strings.Contains(err.Error(), "Corefile:4: status: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("the start: %v, want %q", err, want)
		}
		if n := len(active) + len(statusListeners); n > 0 {
			t.Errorf("%d plugins and listeners are left by a failed start", n)
		}
	}
	permissions := func() string {
		t.Helper()
		info, err := os.Lstat(socket)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%v %d", info.Mode(), info.Sys().(*syscall.Stat_t).Gid)
	}

	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fails("is there, and is no socket")
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	fails("another process listens at " + socket)
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as who is killed
	l.Close()

	s := inprocess.Serve(t, corefile(""))
	if got, want := permissions(), fmt.Sprintf("%v %d", fs.ModeSocket|0o600, os.Getgid()); got != want {
		t.Errorf("the socket is %s, want %s", got, want)
	}
	if got := overview(t, socket).Blocks; len(got) != 1 {
		t.Errorf("there is %v", got)
	}
	group := os.Getgid()
	if os.Getuid() == 0 {
		group = 4711
	}
	if err := s.Reload(corefile(fmt.Sprintf("0660 %d", group))); err != nil {
		t.Fatal(err)
	}
	if got, want := permissions(), fmt.Sprintf("%v %d", fs.ModeSocket|0o660, group); got != want {
		t.Errorf("after a reload the socket is %s, want %s", got, want)
	}
	if err := s.Reload(corefile("0666") + "\nx.:1 {\n nonsense\n}"); err == nil {
		t.Error("a reload with nonsense succeeds")
	}
	if got, want := permissions(), fmt.Sprintf("%v %d", fs.ModeSocket|0o660, group); got != want {
		t.Errorf("after a failed reload the socket is %s, want %s", got, want)
	}
	stop(t, s)
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left are %v (%v)", left, err)
	}
}

// TestStatusWarnings checks that the start warns of a listener that others reach, and that the status tells the warnings about
// the Corefile.
func TestStatusWarnings(t *testing.T) {
	e := enginetest.New(t)
	port := freePort(t)
	for addr, want := range map[string]bool{":": true, "127.0.0.1:": false, "localhost:": false} {
		lines := logged(func() {
			s := inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n status %s%s\n }\n}", freePort(t), e.Host(), addr, port))
			d := running()[0]
			d.warnf("%s is odd", addr)
			if got := overview(t, "127.0.0.1:"+port).Blocks; len(got) != 1 || !slices.Equal(got[0].Warnings, []string{addr + " is odd"}) {
				t.Errorf("status %s: the warnings are in %+v", addr, got)
			}
			stop(t, s)
		})
		if got := strings.Contains(strings.Join(lines, ""), "[WARNING] plugin/docker: Corefile:4: status listens at "+addr+port+": whoever reaches it"); got != want {
			t.Errorf("status %s: warned %t, want %t:\n%s", addr, got, want, lines)
		}
	}
}

// TestStatusOfHosts checks what is told of engines that are there, away, and there again.
func TestStatusOfHosts(t *testing.T) {
	e, dead := enginetest.New(t), enginetest.New(t)
	e.Run(enginetest.Spec{Name: "web"})
	if err := dead.Down(); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	inprocess.Serve(t, fmt.Sprintf("docker:%s lan:%s {\n bind 127.0.0.1\n docker {\n endpoint %s nas\n endpoint %s pi\n }\n}", port, port, e.Host(), dead.Host()))
	d := running()[0]
	if i := d.Info(); i.Key != "docker.:"+port || !slices.Equal(i.Zones, []string{"docker.", "lan."}) || !slices.Equal(i.Listen, []string{"dns://127.0.0.1:" + port}) || len(i.Warnings) > 0 {
		t.Errorf("the block is %+v", i)
	}
	until := func(what string, n int, ok func(*status.Host) bool) *status.Host {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; {
			h := d.Hosts()[n]
			if ok(&h) {
				return &h
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %+v", what, h)
			}
		}
	}
	nas := until("its engine is there", 0, func(h *status.Host) bool { return h.State == "current" && h.Connected && h.Synced && h.Engine != "" })
	if nas.ID != "nas" || !nas.Named || nas.Containers != 1 || nas.Reconciled.IsZero() || nas.Since.IsZero() || nas.LastError != "" || !strings.Contains(nas.Engine, "API") {
		t.Errorf("%+v", nas)
	}
	e.Run(enginetest.Spec{Name: "more"})
	until("a container is started", 0, func(h *status.Host) bool { return h.Containers == 2 && h.Lag > 0 && h.Lag < 20 })
	pi := until("its engine is away", 1, func(h *status.Host) bool { return h.LastError != "" })
	if pi.State != "unsynced" || pi.Connected || pi.Synced || pi.ErrorAt.IsZero() || !strings.Contains(pi.Cure, "start") {
		t.Errorf("%+v", pi)
	}
	if err := e.Down(); err != nil {
		t.Fatal(err)
	}
	if h := until("its engine has gone", 0, func(h *status.Host) bool { return h.State == "away" }); h.Synced != true || h.Since.Before(nas.Since) {
		t.Errorf("%+v", h)
	}
	if err := dead.Up(); err != nil {
		t.Fatal(err)
	}
	if h := until("its engine has come", 1, func(h *status.Host) bool { return h.State == "current" && h.Connected }); h.LastError == "" || h.Cure != "" {
		t.Errorf("%+v", h)
	}
}
