package dockerdiscovery

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/coredns/coredns/coremain"
	"github.com/coredns/coredns/plugin/pkg/reuseport"

	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/socket"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

const (
	defaultStatusMode = 0o600
	statusForm        = "status [ADDRESS [NAME...]], with ADDRESS an IP or localhost and a port, as in localhost:9180, or unix:///PATH [MODE [GROUP]], as in unix:///run/coredns.sock 0660 docker"
)

// statusLine is what the Corefile says of where people are told what there is.
type statusLine struct {
	network, addr string   // tcp, or unix with a path
	names         []string // by which it may be asked
	mode          fs.FileMode
	group         int    // the socket's, -1 for that of the process
	at            string // file and line
}

func (s *statusLine) equal(o *statusLine) bool {
	return s.network == o.network && s.addr == o.addr && slices.Equal(s.names, o.names) && s.mode == o.mode && s.group == o.group
}

func (cfg *config) setStatus(args []string) (err error) {
	s := &statusLine{network: "tcp", addr: status.DefaultAddress, at: cfg.at}
	cfg.status = s
	switch {
	case len(args) == 0:
		return nil
	case strings.HasPrefix(args[0], "unix:"):
		return s.setSocket(args)
	}
	if s.addr, err = statusAddr(args[0]); err != nil {
		return err
	}
	for _, name := range args[1:] {
		if naming.Invalid(strings.ToLower(strings.TrimSuffix(name, "."))) != "" {
			return fmt.Errorf("'%s' is not a NAME by which a browser may ask", name)
		}
	}
	s.names, err = addOnce(s.names, args[1:])
	return err
}

// statusAddr completes the address at which the listener is.
func statusAddr(arg string) (string, error) {
	host, port, err := net.SplitHostPort(arg)
	if err != nil {
		host = arg
		if strings.HasPrefix(arg, "[") && strings.HasSuffix(arg, "]") {
			host = arg[1 : len(arg)-1]
		}
		_, port, _ = net.SplitHostPort(status.DefaultAddress)
	}
	_, notIP := netip.ParseAddr(host)
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host != "" && host != "localhost" && notIP != nil {
		return "", fmt.Errorf("'%s' is not an address to listen at", arg)
	}
	return net.JoinHostPort(host, port), nil
}

// setSocket reads a socket's path, mode and group.
func (s *statusLine) setSocket(args []string) (err error) {
	path, ok := strings.CutPrefix(args[0], "unix://")
	if s.network, s.addr = "unix", filepath.Clean(path); !ok || !filepath.IsAbs(path) {
		return fmt.Errorf("'%s' is not a socket's address", args[0])
	}
	if s.mode, s.group = defaultStatusMode, -1; len(args) > 1 {
		mode, err := strconv.ParseUint(args[1], 8, 32)
		if s.mode = fs.FileMode(mode); err != nil || s.mode&^fs.ModePerm != 0 {
			return fmt.Errorf("'%s' is not a socket's mode", args[1])
		}
	}
	if len(args) > 2 {
		if s.group, err = groupID(args[2]); err != nil {
			return err
		}
	}
	if len(args) > 3 {
		return fmt.Errorf("'%s' stands after the socket's group", args[3])
	}
	return nil
}

// groupID returns the number of the group, which may be called by its number too.
func groupID(name string) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("'%s' is not a group of this machine: %w", name, err)
	}
	return strconv.Atoi(g.Gid)
}

// statusListener is one that listens. It lives over reloads that leave its address alone: these lose no request.
type statusListener struct {
	lines []*statusLine // of the instances that have it, the newest last; once it is closed the last one
	renew func()        // tells it that another instance's blocks count
	stop  func()
}

var (
	statusMu        sync.Mutex                        // guards the following
	statusListeners = map[[2]string]*statusListener{} // by network and address
)

// listen has people ask at the line's address, until its close.
func (s *statusLine) listen() error {
	statusMu.Lock()
	defer statusMu.Unlock()
	key := [2]string{s.network, s.addr}
	l := statusListeners[key]
	var err error
	switch {
	case l == nil:
		l = &statusListener{}
		if err = s.serve(l); err == nil {
			statusListeners[key] = l
		}
	case s.network == "unix":
		err = s.permit(s.addr)
	}
	if err != nil {
		return fmt.Errorf("%s: status: %w", s.at, err)
	}
	l.lines = append(l.lines, s)
	return nil
}

// names are those by which the listener may be asked.
func (l *statusListener) names() []string {
	statusMu.Lock()
	defer statusMu.Unlock()
	return l.lines[len(l.lines)-1].names
}

// close ends what listen began, if it did. An older instance's line that has the same address counts again.
func (s *statusLine) close() error {
	statusMu.Lock()
	key := [2]string{s.network, s.addr}
	l := statusListeners[key]
	switch {
	case l == nil || !slices.Contains(l.lines, s):
	case len(l.lines) == 1:
		delete(statusListeners, key)
		statusMu.Unlock()
		l.stop() // answers that are on their way may ask for the names
		return nil
	default:
		l.lines = slices.DeleteFunc(slices.Clone(l.lines), func(o *statusLine) bool { return o == s })
		l.renew()
		if s.network == "unix" {
			defer statusMu.Unlock()
			return l.lines[len(l.lines)-1].permit(s.addr)
		}
	}
	statusMu.Unlock()
	return nil
}

// serve begins to listen and to answer.
func (s *statusLine) serve(of *statusListener) (err error) {
	server := status.New(statusBlocks, of.names)
	of.renew = server.Renew
	server.Version = strings.TrimSpace("CoreDNS " + coremain.CoreVersion + " " + coremain.GitCommit)
	if s.network == "unix" {
		of.stop, err = s.serveSocket(server)
		return err
	}
	l, err := reuseport.Listen(s.network, s.addr)
	var op *net.OpError
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && errors.As(err, &op):
		who := cmp.Or(socket.Known(socket.Holders(s.network, op.Addr.String())).String(), "another user's process")
		return fmt.Errorf("%w: %s has the port; end it, or write another one, as in 'status localhost:9181'", err, who)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w: no interface has this address", err)
	case err != nil:
		return err
	}
	if at, ok := l.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() {
		log.Warningf("%s: status listens at %s: whoever reaches it there can read which containers run, their names and addresses. Listen at localhost, or have a firewall keep others out", s.at, s.addr)
	}
	of.stop = server.Start(l, log.Warningf)
	return nil
}

// serveSocket listens at a socket in the file system, until the returned function is called.
func (s *statusLine) serveSocket(server *status.Server) (stop func(), err error) {
	l, err := s.bind()
	if err != nil {
		return nil, err
	}
	made, err := os.Lstat(s.addr)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	end := server.Start(l, log.Warningf)
	return func() {
		end()
		if there, err := os.Lstat(s.addr); err == nil && os.SameFile(there, made) {
			if err := os.Remove(s.addr); err != nil {
				log.Warningf("Removing the status listener's socket: %v", err)
			}
		}
	}, nil
}

// bind makes the socket in place of one that nobody listens at any more. It is made in a directory that nobody else can enter,
// since for a moment it has the mode that the process gives all files.
func (s *statusLine) bind() (net.Listener, error) {
	if err := vacant(s.addr); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(s.addr), ".status")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "s")
	l, err := net.Listen("unix", made)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // it has another name then
	err = s.permit(made)
	if err == nil {
		err = os.Rename(made, s.addr)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// permit gives the socket its group and mode.
func (s *statusLine) permit(path string) error {
	if s.group >= 0 {
		if err := os.Chown(path, -1, s.group); err != nil {
			return fmt.Errorf("%w: only root can give files to a group that is not the process's", err)
		}
	}
	return os.Chmod(path, s.mode)
}

// vacant says why the socket can't be made, nil if there is nothing, or one that nobody listens at.
func vacant(path string) error {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s is there, and is no socket", path)
	}
	conn, err := net.Dial("unix", path)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil
	case err != nil:
		return err
	}
	return errors.Join(fmt.Errorf("another process listens at %s; end it, or write another path", path), conn.Close())
}

// statusBlocks are the docker blocks of the Corefile that counts.
func statusBlocks() (blocks []status.Block) {
	for _, d := range running() {
		blocks = append(blocks, d)
	}
	return blocks
}
