package rig

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Config says what a CoreDNS serves, and how it runs.
type Config struct {
	Binary string
	Dir    string // for its Corefile

	Keys string // the server block's zones, "." by default
	IP   string // where it listens, 127.0.0.1 by default
	Also string // where else
	Port int    // a free one by default
	Body string // the server block's content, beside the plugins errors, ready and prometheus
	Bare bool   // without these plugins
	Text string // the whole Corefile, if it is not to be made of the above

	As  *syscall.SysProcAttr // who runs it: nil for the user who runs the tests
	Env []string             // beside the tests' own environment
	Via []string             // the command that runs it, if it is not to be run directly
}

// Server is a CoreDNS that runs beside the tests. Where the tests use another name server in its place, it has an
// address alone.
type Server struct {
	*Process
	Addr     string // of DNS
	Corefile string // path
	Ready    string // URL of the plugin ready, if there is one
	Metrics  string // URL of the plugin prometheus, if there is one
}

// Serve starts a CoreDNS. AwaitReady waits until it answers.
func Serve(c Config) (*Server, error) {
	c.Keys, c.IP = cmp.Or(c.Keys, "."), cmp.Or(c.IP, "127.0.0.1")
	ports := [3]int{c.Port}
	for i, ip := range []string{c.IP, "127.0.0.1", "127.0.0.1"} {
		var err error
		if ports[i] == 0 {
			ports[i], err = FreePort(ip)
		}
		if err != nil {
			return nil, err
		}
	}
	s := &Server{Addr: net.JoinHostPort(c.IP, strconv.Itoa(ports[0])), Corefile: filepath.Join(c.Dir, fmt.Sprint("Corefile.", ports[0]))}
	if c.Text == "" {
		c.Text = fmt.Sprintf("%s {\nbind %s %s\n%s\n%s\n}\n", c.Keys, c.IP, c.Also, s.plugins(c, ports[1], ports[2]), c.Body)
	}
	if err := s.Write(c.Text); err != nil {
		return nil, err
	}
	command := append(slices.Clone(c.Via), c.Binary, "-conf", s.Corefile, "-dns.port", strconv.Itoa(ports[0]))
	cmd := exec.Command(command[0], command[1:]...)
	cmd.SysProcAttr, cmd.Env = c.As, append(os.Environ(), c.Env...)
	var err error
	s.Process, err = Start(cmd)
	return s, err
}

// plugins are the lines of the plugins that servers have for the tests.
func (s *Server) plugins(c Config, ready, metrics int) string {
	if c.Bare {
		return ""
	}
	s.Ready, s.Metrics = fmt.Sprintf("http://127.0.0.1:%d/ready", ready), fmt.Sprintf("http://127.0.0.1:%d/metrics", metrics)
	return fmt.Sprintf("errors\nready 127.0.0.1:%d\nprometheus 127.0.0.1:%d", ready, metrics)
}

// Write replaces the Corefile at once, as an editor does: a reload never sees half of it.
func (s *Server) Write(corefile string) error {
	if err := os.WriteFile(s.Corefile+".new", []byte(corefile), 0o644); err != nil {
		return err
	}
	return os.Rename(s.Corefile+".new", s.Corefile)
}

// Reload replaces the Corefile and has the server read it.
func (s *Server) Reload(corefile string) error {
	if err := s.Write(corefile); err != nil {
		return err
	}
	return s.Signal(syscall.SIGUSR1)
}

// AwaitReady waits until the server listens, and all its plugins are ready if it has the plugin that tells.
func (s *Server) AwaitReady(patience time.Duration) error {
	return s.Await(patience, func() error {
		if s.Ready != "" {
			if err := s.IsReady(); err != nil {
				return err
			}
		}
		return s.Listens()
	})
}

// IsReady returns an error unless the plugin ready says that all plugins are.
func (s *Server) IsReady() error {
	_, err := Get(s.Ready)
	return err
}

// Listens returns an error until CoreDNS says that it listens, which is a moment after it is ready.
func (p *Process) Listens() error {
	if len(p.Log.Lines("CoreDNS-")) == 0 {
		return errors.New("it does not listen yet")
	}
	return nil
}

// Metric reads one of the server's metrics, as the function of this name does.
func (s *Server) Metric(name string) (float64, error) { return Metric(s.Metrics, name) }

// freePorts are those that FreePort gives, in blocks that are this process's alone. They lie below those from which sockets get
// theirs when they ask for none.
var freePorts = struct {
	sync.Mutex
	blocks  []int          // that are not tried yet
	claimed []net.Listener // for as long as this process runs
	ports   []int          // of the blocks that are ours
	given   int
}{blocks: rand.Perm(12000 / portBlock)}

// portBlock is how many ports a process takes at a time.
const portBlock = 100

// FreePort finds a port of the address that is free for UDP and TCP. No other process is given it, and this one again only after
// all others, so that nobody else takes it before the caller listens there.
func FreePort(ip string) (int, error) {
	for range 1000 {
		port, err := nextPort()
		if err != nil {
			return 0, err
		}
		if free, err := isFree(port); err != nil || free {
			return port, err
		}
	}
	return 0, fmt.Errorf("no free port of %s", ip)
}

// nextPort returns the port that is given next. A block is ours while we listen at a socket that has its name.
func nextPort() (int, error) {
	p := &freePorts
	p.Lock()
	defer p.Unlock()
	for p.given == len(p.ports) && len(p.blocks) > 0 {
		first := 20000 + p.blocks[0]*portBlock
		p.blocks = p.blocks[1:]
		claim, err := net.Listen("unix", fmt.Sprint("@dockerdiscovery-ports-", first))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, err
		}
		p.claimed = append(p.claimed, claim)
		for i := range portBlock {
			p.ports = append(p.ports, first+i)
		}
	}
	if len(p.ports) == 0 {
		return 0, errors.New("other processes have all ports")
	}
	port := p.ports[p.given%len(p.ports)]
	p.given = p.given%len(p.ports) + 1
	return port, nil
}

// isFree reports whether no socket of the machine has the port. To find out by listening would not do: a process that is being started has all of
// this one's sockets for a moment, on a busy machine still when the caller listens.
func isFree(port int) (bool, error) {
	for _, sockets := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, err := os.ReadFile("/proc/net/" + sockets)
		if errors.Is(err, fs.ErrNotExist) { // no IPv6
			continue
		}
		if err != nil {
			return false, err
		}
		if strings.Contains(string(b), fmt.Sprintf(":%04X ", port)) {
			return false, nil
		}
	}
	return true, nil
}

// Get reads what is at the URL. Another status than 200 is an error, which has the body.
func Get(url string) ([]byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, b)
	}
	return b, err
}

// Metrics reads a server's metrics: by name, the sum of the samples over all labels.
func Metrics(url string) (map[string]float64, error) {
	b, err := Get(url)
	if err != nil {
		return nil, err
	}
	sums := map[string]float64{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		end := strings.IndexAny(line, "{ ")
		if end < 0 || line[0] == '#' {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", line[:end], err)
		}
		sums[line[:end]] += value
	}
	return sums, nil
}

// Metric reads one metric of a server's: the sum of its samples over all labels.
func Metric(url, name string) (float64, error) {
	all, err := Metrics(url)
	if err != nil {
		return 0, err
	}
	sum, found := all[name]
	if !found {
		return 0, fmt.Errorf("no metric %s", name)
	}
	return sum, nil
}
