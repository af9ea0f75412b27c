// Package resolver has this machine's resolver ask a DNS server for some zones, and undoes that.
package resolver

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Machine is where the resolver is looked for and set up.
type Machine struct {
	GOOS string
	Root string // the folder in which etc stands
	// Run runs a program and returns what it prints.
	Run func(ctx context.Context, program string, args ...string) (string, error)
	// Holder is the name of the program that has an address, "" where that can't be seen.
	Holder func(netip.AddrPort) string
}

// runTimeout bounds a program. A resolver's restart takes a moment.
const runTimeout = 30 * time.Second

// maxSaid bounds what is told of a program's output.
const maxSaid = 4 << 10

// Run runs a program of this machine.
func Run(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Second // for those to whom it has given its output
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w %s", cmp.Or(ctx.Err(), err), out[:min(len(out), maxSaid)])
	}
	return string(out), err
}

// Target is which server is to be asked, and for which zones: absolute names in lower case.
type Target struct {
	Zones  []string
	Server netip.AddrPort
}

// labels returns the zones without their last dots.
func (t Target) labels() (all []string) {
	for _, z := range t.Zones {
		all = append(all, strings.TrimSuffix(z, "."))
	}
	return all
}

// Check says what is wrong with a target. What it lets through can stand in each resolver's files.
func (t Target) Check() error {
	if a := t.Server.Addr(); !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" || t.Server.Port() == 0 {
		return fmt.Errorf("%s is no address at which a server can be asked: want one as 127.0.0.1:1053", t.Server)
	}
	for _, z := range t.Zones {
		_, ok := dns.IsDomainName(z)
		if !ok || z == "." || !dns.IsFqdn(z) || strings.ContainsFunc(z, func(r rune) bool {
			return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
		}) {
			return fmt.Errorf("'%s' is no zone that a resolver can be led to: want a name as docker or nas.internal", z)
		}
	}
	return nil
}

// System is a kind of resolver.
type System struct {
	Name string
	// found reports whether it is the machine's.
	found func(*Machine, context.Context) bool
	// files returns the text by path of the files that lead it to the target.
	files func(Target) map[string]string
	// pattern matches the paths of all files that it can be given.
	pattern string
	// reload has it read its files anew, where a path exists that shows that the command can do so. None: it does so by itself.
	reload []string
	where  string
	// ByHand says what is to be done where no file does, and Undo how that is undone.
	ByHand func(Target) string
	Undo   string
}

// systems are the kinds of resolvers by GOOS. The first that is found is the machine's.
var systems = map[string][]*System{
	"linux": {
		{Name: "systemd-resolved with delegate files", found: (*Machine).delegates, files: delegate, pattern: "etc/systemd/dns-delegate.d/dockerdiscovery.dns-delegate",
			reload: restart("systemd-resolved"), where: systemdRuns},
		{Name: "systemd-resolved", found: (*Machine).resolved, files: dropIn, pattern: "etc/systemd/resolved.conf.d/dockerdiscovery.conf",
			reload: restart("systemd-resolved"), where: systemdRuns},
		{Name: "NetworkManager with dnsmasq", found: (*Machine).networkManager, files: dnsmasqIn(managerFile), pattern: managerFile,
			reload: []string{"nmcli", "general", "reload", "dns-full"}, where: "run/NetworkManager"},
		{Name: "dnsmasq", found: (*Machine).dnsmasq, files: dnsmasqIn(dnsmasqFile), pattern: dnsmasqFile,
			reload: restart("dnsmasq"), where: systemdRuns},
		{Name: "resolv.conf alone", found: always, ByHand: noSplit},
	},
	"darwin": {
		{Name: "macOS", found: always, files: perZone, pattern: "etc/resolver/*"},
	},
	"windows": {
		{Name: "Windows", found: always, ByHand: policyTable, Undo: policyUndo},
	},
}

// Find returns the machine's resolver.
func (m *Machine) Find(ctx context.Context) (*System, error) {
	for _, s := range systems[m.GOOS] {
		if s.found(m, ctx) {
			return s, nil
		}
	}
	return nil, fmt.Errorf("no way is known to split DNS on %s", m.GOOS)
}

const (
	managerFile = "etc/NetworkManager/dnsmasq.d/dockerdiscovery.conf"
	dnsmasqFile = "etc/dnsmasq.d/dockerdiscovery.conf"
	// systemdRuns is there where systemd is the first process (sd_booted(3)).
	systemdRuns = "run/systemd/system"
	resolvConf  = "etc/resolv.conf"
	maxFile     = 1 << 20
)

// restart restarts a unit of systemd's if it runs. Not each resolver reads all of its files anew at less.
func restart(unit string) []string { return []string{"systemctl", "try-restart", unit + ".service"} }

func always(*Machine, context.Context) bool { return true }

// delegateSince is the systemd that reads delegate files first.
const delegateSince = 258

// delegates reports whether systemd-resolved reads delegate files.
func (m *Machine) delegates(ctx context.Context) bool {
	if !m.resolved(ctx) {
		return false
	}
	out, err := m.Run(ctx, "systemctl", "--version") // as "systemd 258 (258.1-1)"
	var version int
	if err != nil {
		return false // all versions read drop-ins
	}
	_, err = fmt.Sscanf(out, "systemd %d", &version)
	return err == nil && version >= delegateSince
}

// resolved reports whether programs ask systemd-resolved.
func (m *Machine) resolved(context.Context) bool {
	return slices.ContainsFunc(m.servers(), func(ip netip.Addr) bool { return ip == Stub || ip == Stub.Next() })
}

// networkManager reports whether programs ask the dnsmasq that NetworkManager starts.
func (m *Machine) networkManager(context.Context) bool {
	return slices.ContainsFunc(m.servers(), netip.Addr.IsLoopback) && m.managerDNS() == "dnsmasq"
}

// managerDNS is the value of dns in NetworkManager's files. Of files with one name the first folder's counts, of values the last.
func (m *Machine) managerDNS() (value string) {
	byName := map[string]string{}
	for _, folder := range []string{"usr/lib", "run", "etc"} {
		files, _ := fs.Glob(m.Files(), folder+"/NetworkManager/conf.d/*.conf") // the pattern is well formed
		for _, f := range files {
			byName[path.Base(f)] = f
		}
	}
	files := []string{"etc/NetworkManager/NetworkManager.conf"}
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		files = append(files, byName[name])
	}
	for _, file := range files {
		b, err := m.read(file)
		if err != nil { // it is not there, or not for us
			continue
		}
		section := ""
		for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
			line := strings.TrimSpace(lines.Text())
			if strings.HasPrefix(line, "[") {
				section = line
			}
			if key, v, ok := strings.Cut(line, "="); ok && section == "[main]" && strings.TrimSpace(key) == "dns" {
				value = strings.TrimSpace(v)
			}
		}
	}
	return value
}

// dnsmasq reports whether programs ask a dnsmasq that reads the folder for our file.
func (m *Machine) dnsmasq(context.Context) bool {
	return m.exists(path.Dir(dnsmasqFile)) && slices.ContainsFunc(m.servers(), func(ip netip.Addr) bool {
		if !ip.IsLoopback() {
			return false
		}
		holder := m.Holder(netip.AddrPortFrom(ip, 53))
		return holder == "dnsmasq" || holder == "" && m.exists("etc/dnsmasq.conf")
	})
}

// Files are the machine's, to be read.
func (m *Machine) Files() fs.FS { return os.DirFS(m.Root) }

func (m *Machine) exists(file string) bool {
	_, err := fs.Stat(m.Files(), file)
	return err == nil
}

// read reads a file, up to a bound.
func (m *Machine) read(file string) ([]byte, error) {
	f, err := m.Files().Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// servers are whom programs ask, none where that can't be read.
func (m *Machine) servers() []netip.Addr {
	servers, _ := Nameservers(m.Files(), resolvConf)
	return servers
}

// Stub is where systemd-resolved is asked, the next address too.
var Stub = netip.AddrFrom4([4]byte{127, 0, 0, 53})

// Nameservers returns the servers in a file of the form of resolv.conf.
func Nameservers(files fs.FS, file string) ([]netip.Addr, error) {
	f, err := files.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	conf, err := dns.ClientConfigFromReader(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, err
	}
	var ips []netip.Addr
	for _, s := range conf.Servers {
		if ip, err := netip.ParseAddr(s); err == nil {
			ips = append(ips, ip)
		}
	}
	return ips, nil
}
