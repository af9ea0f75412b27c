package resolver

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// machineWith is a machine in a folder of its own with the files, by path; a path that ends in / is a folder.
func machineWith(t *testing.T, goos string, files map[string]string) *Machine {
	t.Helper()
	m := &Machine{GOOS: goos, Root: t.TempDir(),
		Run:    func(context.Context, string, ...string) (string, error) { return "", errors.New("no such program") },
		Holder: func(netip.AddrPort) string { return "" },
	}
	for p, text := range files {
		folder, name := path.Split(p)
		if err := os.MkdirAll(m.path(folder), 0o755); err != nil {
			t.Fatal(err)
		}
		if name != "" {
			put(t, m, p, text)
		}
	}
	return m
}

func put(t *testing.T, m *Machine, file, text string) {
	t.Helper()
	if err := os.WriteFile(m.path(file), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree lists all files and folders with their texts.
func tree(t *testing.T, m *Machine) (all []string) {
	t.Helper()
	err := fs.WalkDir(m.Files(), ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		line := p + " " + e.Type().String()
		if e.Type().IsRegular() {
			b, err := fs.ReadFile(m.Files(), p)
			if err != nil {
				return err
			}
			line += " " + string(b)
		}
		all = append(all, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// change plans and does what leads the machine's resolver to the target, or undoes it where there is none, and returns what it did.
func change(t *testing.T, m *Machine, target *Target) (did []string) {
	t.Helper()
	var s *System
	var err error
	if target == nil {
		target = &Target{}
	} else if s, err = m.Find(t.Context()); err != nil {
		t.Fatal(err)
	}
	steps, err := m.Plan(s, *target)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if err := m.Do(s); err != nil {
			t.Fatal(err)
		}
		did = append(did, string(s.Action)+" "+s.Path)
	}
	return did
}

var docker = Target{Zones: []string{"docker."}, Server: netip.MustParseAddrPort("127.0.0.1:1053")}

const (
	resolvedFile = "etc/systemd/resolved.conf.d/dockerdiscovery.conf"
	delegateFile = "etc/systemd/dns-delegate.d/dockerdiscovery.dns-delegate"
	macFile      = "etc/resolver/docker"
)

// kinds are machines of all kinds of resolvers that files lead, with what is to be written for the zones docker and nas.internal.
var kinds = []struct {
	kind, goos, version string
	files               map[string]string
	path, want, want6   string
	reload              string
}{
	{"systemd-resolved", "linux", "systemd 257 (257.9-1~deb13u1)\n+PAM", map[string]string{resolvConf: "nameserver 127.0.0.53\n", "etc/systemd/": ""},
		resolvedFile, "[Resolve]\nDNS=127.0.0.1:1053\nDomains=~docker ~nas.internal\n", "[Resolve]\nDNS=[::1]:53\nDomains=~docker\n", "systemctl try-restart systemd-resolved.service"},
	{"systemd-resolved with delegate files", "linux", "systemd 258 (258.1-1)\n+PAM", map[string]string{resolvConf: "nameserver 127.0.0.53\n", "etc/systemd/": ""},
		delegateFile, "[Delegate]\nDNS=127.0.0.1:1053\nDomains=~docker ~nas.internal\n", "[Delegate]\nDNS=[::1]:53\nDomains=~docker\n", "systemctl try-restart systemd-resolved.service"},
	{"NetworkManager with dnsmasq", "linux", "", map[string]string{resolvConf: "nameserver 127.0.0.1\n", "etc/dnsmasq.d/": "", "etc/dnsmasq.conf": "",
		"etc/NetworkManager/NetworkManager.conf": "[main]\nplugins=keyfile\n", "etc/NetworkManager/conf.d/dns.conf": "# its own\n[main]\ndns = dnsmasq\n[device]\ndns=none\n"},
		managerFile, "server=/docker/nas.internal/127.0.0.1#1053\nrebind-domain-ok=/docker/nas.internal/\n", "server=/docker/::1#53\nrebind-domain-ok=/docker/\n", "nmcli general reload dns-full"},
	{"dnsmasq", "linux", "", map[string]string{resolvConf: "search lan\nnameserver 127.0.0.1\n", "etc/dnsmasq.conf": "", "etc/dnsmasq.d/README": "by the package"},
		dnsmasqFile, "server=/docker/nas.internal/127.0.0.1#1053\nrebind-domain-ok=/docker/nas.internal/\n", "server=/docker/::1#53\nrebind-domain-ok=/docker/\n", "systemctl try-restart dnsmasq.service"},
	{"macOS", "darwin", "", map[string]string{"etc/hosts": ""}, macFile, "nameserver 127.0.0.1\nport 1053\n", "nameserver ::1\nport 53\n", ""},
}

// What the example has, which is tried with the resolvers themselves, is what is written.
func TestExample(t *testing.T) {
	for file, files := range map[string]map[string]string{"resolved.conf": dropIn(docker), "dnsmasq.conf": dnsmasqIn(dnsmasqFile)(docker)} {
		b, err := os.ReadFile(filepath.Join("..", "..", "examples", "split-dns", file))
		if err != nil {
			t.Fatal(err)
		}
		want := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(b), "")
		for _, text := range files {
			if text != want {
				t.Errorf("%q, %s has %q", text, file, want)
			}
		}
	}
}

// Each kind of resolver is known, gets its file, once, and another one for another target; afterwards all is as it was.
func TestInstall(t *testing.T) {
	for _, c := range kinds {
		t.Run(c.kind, func(t *testing.T) {
			m := machineWith(t, c.goos, c.files)
			m.Run = func(_ context.Context, program string, args ...string) (string, error) {
				if program != "systemctl" || !slices.Equal(args, []string{"--version"}) {
					t.Errorf("runs %s %q", program, args)
				}
				return c.version, nil
			}
			before := tree(t, m)
			s, err := m.Find(t.Context())
			if err != nil || s.Name != c.kind {
				t.Fatalf("the resolver is %v, %v", s, err)
			}
			if s.Command() != c.reload {
				t.Errorf("reloads by %q, want %q", s.Command(), c.reload)
			}
			two := Target{Zones: []string{"docker.", "nas.internal."}, Server: docker.Server}
			paths := []string{c.path}
			if c.kind == "macOS" {
				paths = append(paths, "etc/resolver/nas.internal")
			}
			for _, do := range []string{"write ", "keep "} {
				did := change(t, m, &two)
				for i, p := range paths {
					if len(did) != len(paths) || did[i] != do+p {
						t.Fatalf("does %q, want %s%s", did, do, p)
					}
				}
			}
			want(t, m, c.path, c.want)
			did := change(t, m, &Target{Zones: []string{"docker."}, Server: netip.MustParseAddrPort("[::1]:53")})
			if did[0] != "write "+c.path || len(did) != len(paths) {
				t.Errorf("does %q for another target", did)
			}
			want(t, m, c.path, c.want6)
			if did := change(t, m, nil); !slices.Equal(did, []string{"remove " + c.path}) {
				t.Errorf("does %q to undo it", did)
			}
			if did := change(t, m, nil); did != nil {
				t.Errorf("does %q to undo it again", did)
			}
			if after := tree(t, m); !slices.Equal(after, before) {
				t.Errorf("before\n%s\nafter\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
			}
		})
	}
}

// want fails the test unless the file has the text below its head.
func want(t *testing.T, m *Machine, file, text string) {
	t.Helper()
	b, err := os.ReadFile(m.path(file))
	if _, body, _ := strings.Cut(string(b), "\n"); err != nil || body != text || !strings.HasPrefix(string(b), "# Written by ") {
		t.Errorf("/%s is %q, %v; want %q", file, b, err, text)
	}
	info, err := os.Stat(m.path(file))
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("/%s: %v, %v", file, info, err)
	}
}

// What somebody else wrote, or has edited since we wrote it, is left as it is.
func TestLeft(t *testing.T) {
	for _, c := range kinds {
		for _, file := range []struct {
			name           string
			text           func(ours string) string
			onInstall, off []string
		}{
			{"another's", func(string) string { return "# mine\n" }, []string{"taken " + c.path}, nil},
			{"empty", func(string) string { return "" }, []string{"taken " + c.path}, nil},
			{"edited", func(ours string) string { return ours + "# and mine\n" }, []string{"edited " + c.path}, []string{"edited " + c.path}},
			{"edited head", func(ours string) string { return strings.Replace(ours, "removes it", "removes it, and its folder", 1) },
				[]string{"edited " + c.path}, []string{"edited " + c.path}},
		} {
			t.Run(c.kind+"/"+file.name, func(t *testing.T) {
				m := machineWith(t, c.goos, c.files)
				m.Run = func(context.Context, string, ...string) (string, error) { return c.version, nil }
				if err := os.MkdirAll(filepath.Dir(m.path(c.path)), 0o755); err != nil {
					t.Fatal(err)
				}
				change(t, m, &docker)
				ours, err := os.ReadFile(m.path(c.path))
				if err != nil {
					t.Fatal(err)
				}
				put(t, m, c.path, file.text(string(ours)))
				before := tree(t, m)
				if did := change(t, m, &Target{Zones: docker.Zones, Server: netip.MustParseAddrPort("127.0.0.1:2053")}); !slices.Equal(did, file.onInstall) {
					t.Errorf("does %q, want %q", did, file.onInstall)
				}
				if did := change(t, m, nil); !slices.Equal(did, file.off) {
					t.Errorf("does %q to undo it, want %q", did, file.off)
				}
				if after := tree(t, m); !slices.Equal(after, before) {
					t.Errorf("before\n%s\nafter\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
				}
			})
		}
	}
}

// A link in the file's place is another's, and what it leads to too.
func TestLink(t *testing.T) {
	m := machineWith(t, "darwin", map[string]string{"etc/resolver/": ""})
	put(t, m, "elsewhere", withHead("nameserver 127.0.0.1\n", false))
	if err := os.Symlink(m.path("elsewhere"), m.path(macFile)); err != nil {
		t.Fatal(err)
	}
	before := tree(t, m)
	if did := change(t, m, &docker); !slices.Equal(did, []string{"taken " + macFile}) {
		t.Errorf("does %q", did)
	}
	if did := change(t, m, nil); did != nil {
		t.Errorf("does %q to undo it", did)
	}
	if after := tree(t, m); !slices.Equal(after, before) {
		t.Errorf("before %q, after %q", before, after)
	}
}

// Another resolver, or another version of it, takes over, and the earlier file goes.
func TestAnotherResolver(t *testing.T) {
	m := machineWith(t, "linux", map[string]string{resolvConf: "nameserver 127.0.0.53\n", "etc/systemd/": "", "etc/dnsmasq.d/": "", "etc/dnsmasq.conf": ""})
	version := "systemd 252 (252.39-1~deb12u1)"
	m.Run = func(context.Context, string, ...string) (string, error) { return version, nil }
	before := tree(t, m)
	for _, c := range []struct {
		now  func()
		want []string
	}{
		{func() {}, []string{"write " + resolvedFile}},
		{func() { version = "systemd 260 (260)" }, []string{"write " + delegateFile, "remove " + resolvedFile}},
		{func() { put(t, m, resolvConf, "nameserver 127.0.0.1\n") }, []string{"remove " + delegateFile, "write " + dnsmasqFile}},
	} {
		c.now()
		if did := change(t, m, &docker); !slices.Equal(did, c.want) {
			t.Errorf("does %q, want %q", did, c.want)
		}
	}
	change(t, m, nil)
	put(t, m, resolvConf, "nameserver 127.0.0.53\n")
	if after := tree(t, m); !slices.Equal(after, before) {
		t.Errorf("before %q, after %q", before, after)
	}
}

// A folder that was made for our file stays for others' files.
func TestFolder(t *testing.T) {
	m := machineWith(t, "darwin", map[string]string{"etc/hosts": ""})
	change(t, m, &docker)
	put(t, m, "etc/resolver/lan", "nameserver 192.0.2.1\n")
	change(t, m, &Target{Zones: []string{"docker.", "test."}, Server: docker.Server})
	change(t, m, nil)
	if got, want := tree(t, m), []string{". d---------", "etc d---------", "etc/hosts ---------- ", "etc/resolver d---------", "etc/resolver/lan ---------- nameserver 192.0.2.1\n"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Where no file of ours leads to the server, it is said what does.
func TestByHand(t *testing.T) {
	for _, c := range []struct {
		name, goos string
		files      map[string]string
		holder     string
		server     string
		want       []string
	}{
		{"a router", "linux", map[string]string{resolvConf: "nameserver 192.0.2.1\n", "etc/dnsmasq.d/": "", "etc/dnsmasq.conf": ""}, "", "127.0.0.1:1053",
			[]string{"for docker alone", "ask 127.0.0.1:1053 for it", "nameserver in /etc/resolv.conf"}},
		{"unbound", "linux", map[string]string{resolvConf: "nameserver 127.0.0.1\n", "etc/dnsmasq.d/": "", "etc/dnsmasq.conf": ""}, "unbound", "127.0.0.1:1053", []string{"for docker alone"}},
		{"NetworkManager without dnsmasq", "linux", map[string]string{resolvConf: "nameserver 127.0.0.1\n", "etc/NetworkManager/NetworkManager.conf": "[main]\ndns=default\n",
			"usr/lib/NetworkManager/conf.d/a.conf": "[main]\ndns=dnsmasq\n", "etc/NetworkManager/conf.d/a.conf": ""}, "", "127.0.0.1:1053", []string{"for docker alone"}},
		{"none", "linux", nil, "", "127.0.0.1:1053", []string{"for docker alone"}},
		{"Windows", "windows", nil, "", "127.0.0.1:53", []string{`Add-DnsClientNrptRule -Namespace ".docker" -NameServers "127.0.0.1" -Comment dockerdiscovery` + "\n", "\n" + policyUndo}},
		{"Windows at another port", "windows", nil, "", "127.0.0.1:1053", []string{"Windows asks at port 53 alone", "in place of 127.0.0.1:1053"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := machineWith(t, c.goos, c.files)
			m.Holder = func(netip.AddrPort) string { return c.holder }
			s, err := m.Find(t.Context())
			if err != nil || s.ByHand == nil {
				t.Fatalf("the resolver is %v, %v", s, err)
			}
			says := s.ByHand(Target{Zones: docker.Zones, Server: netip.MustParseAddrPort(c.server)})
			for _, w := range c.want {
				if !strings.Contains(says, w) {
					t.Errorf("no %q in\n%s", w, says)
				}
			}
		})
	}
	if s, err := machineWith(t, "plan9", nil).Find(t.Context()); err == nil {
		t.Errorf("plan9's resolver is %s", s.Name)
	}
}

// What could say something else in a resolver's file, or lead nowhere, is refused.
func TestCheck(t *testing.T) {
	if err := docker.Check(); err != nil {
		t.Error(err)
	}
	for _, zone := range []string{".", "docker", "a..b.", "x/1.2.3.4#53/.", "a\nserver=8.8.8.8.", "a b.", "~docker.", "Ä.", strings.Repeat("a", 64) + ".", "*.docker.", ""} {
		if err := (Target{Zones: []string{zone}, Server: docker.Server}).Check(); err == nil {
			t.Errorf("zone %q is taken", zone)
		}
	}
	for _, server := range []string{"0.0.0.0:53", "[::]:53", "[fe80::1%eth0]:53", "224.0.0.251:5353", "127.0.0.1:0"} {
		if err := (Target{Zones: docker.Zones, Server: netip.MustParseAddrPort(server)}).Check(); err == nil {
			t.Errorf("server %s is taken", server)
		}
	}
}

// A program has its time, and says why it failed.
func TestRun(t *testing.T) {
	if out, err := Run(t.Context(), "sh", "-c", "echo well"); err != nil || out != "well\n" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := Run(t.Context(), "sh", "-c", "echo why >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "exit status 3 why") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, "sleep", "60"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
