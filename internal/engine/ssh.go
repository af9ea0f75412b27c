package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/user"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/client"
	"golang.org/x/crypto/ssh"
)

const (
	// sshTimeout bounds how long a host may take until a connection by SSH is there, and then one to the engine's socket.
	sshTimeout = 10 * time.Second
	// The host is asked for a sign of life three times in silentFor. Who gives none for so long is away.
	silentFor = 15 * time.Second
	// Servers lock out who fails to log in too often, for minutes.
	refusedRetry = 30 * time.Second
	// Servers log each who leaves without a login.
	strangerRetry = 3 * time.Second
)

// unwelcome is an error after which it is of no use to try again at once.
type unwelcome struct {
	error
	retry time.Duration
}

func (u unwelcome) Unwrap() error { return u.error }

// tunnel is a connection by SSH to an engine's host, made when it is first needed. Each connection to the engine is a
// channel of it, to the engine's unix socket there: servers don't count these as sessions, and no program is run.
type tunnel struct {
	endpoint Endpoint
	user     string
	host     string
	port     string
	socket   string
	patience time.Duration // sshTimeout, in tests less
	silence  time.Duration // silentFor, in tests less

	ctx     context.Context // done when there is no connection any more, and why
	fail    context.CancelCauseFunc
	connect func() (*ssh.Client, error) // the same for each caller
	ended   chan struct{}               // closed when all goroutines of a connection have ended
}

// userCurrent returns who we are, who has no name in some containers. Tests are somebody else.
var userCurrent = user.Current

// newTunnel returns a tunnel that the caller must close.
func newTunnel(e Endpoint) (*tunnel, error) {
	u, err := url.Parse(e.Host)
	if err != nil {
		return nil, err
	}
	t := &tunnel{
		endpoint: e, user: u.User.Username(), host: u.Hostname(), port: cmp.Or(u.Port(), SSHPort),
		socket: cmp.Or(strings.TrimRight(u.Path, "/"), SSHSocket), patience: sshTimeout, silence: silentFor, ended: make(chan struct{}),
	}
	if t.user == "" {
		me, err := userCurrent()
		if err != nil {
			return nil, fmt.Errorf("%s says no user, and the one that this runs as has no name here (%w): write ssh://USER@%s", e.Host, err, u.Host)
		}
		t.user = me.Username
	}
	t.ctx, t.fail = context.WithCancelCause(context.Background())
	t.connect = sync.OnceValues(t.open)
	return t, nil
}

// CheckSSH says what is wrong with the files that an endpoint by SSH names, and with its user, nil if nothing is. Who
// can't be reached for other reasons may be reached later.
func CheckSSH(e Endpoint) error {
	t, err := newTunnel(e)
	if err != nil {
		return err
	}
	defer t.close()
	if _, err := writtenKeys(e.SSHKeys); err != nil {
		return err
	}
	if e.KnownHosts != "" {
		_, err = knownHosts(e.KnownHosts, t.host, t.port)
	}
	return err
}

// through has the client make its connections through the tunnel.
func (t *tunnel) through(transport *http.Transport) client.Opt {
	return func(c *client.Client) error {
		err := client.WithHost("http://" + client.DummyHost)(c)
		transport.Proxy, transport.DialContext = nil, t.dial
		return err
	}
}

// String returns how the host is called in messages.
func (t *tunnel) String() string {
	return t.user + "@" + net.JoinHostPort(t.host, t.port)
}

// close ends all connections.
func (t *tunnel) close() {
	t.fail(net.ErrClosed)
	if _, err := t.connect(); err == nil {
		<-t.ended
	}
}

// dial returns a new connection to the engine.
func (t *tunnel) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c, err := t.connect()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	conn, err := c.DialContext(ctx, "unix", t.socket)
	if err != nil {
		return nil, t.notForwarded(err)
	}
	return t.forward(conn, c.RemoteAddr()), nil
}

// notForwarded explains why there is no connection to the engine's socket. OpenSSH says of all reasons the same.
func (t *tunnel) notForwarded(err error) error {
	var refused *ssh.OpenChannelError
	switch cause := context.Cause(t.ctx); {
	case cause != nil:
		return cause
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s has given no connection to %s there for %s: %w", t, t.socket, t.patience, err)
	case !errors.As(err, &refused):
		return err
	}
	return fmt.Errorf("%s gets no connection to %s there: no engine has this socket (another one is written as ssh://USER@HOST/PATH), or the user may not write to it (add it to the socket's group), or the SSH server does not forward to sockets (AllowStreamLocalForwarding and AllowTcpForwarding must be yes or local, DisableForwarding no, PermitOpen and permitopen not set, and 'restrict' in authorized_keys needs 'port-forwarding' beside it): %w", t, t.socket, err)
}

// open makes the connection by SSH.
func (t *tunnel) open() (*ssh.Client, error) {
	slow := time.AfterFunc(t.patience, func() {
		t.fail(fmt.Errorf("%s has not answered by SSH for %s", t, t.patience))
	})
	defer slow.Stop()
	c, err := t.handshake()
	if errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) { // that is all what who was cut off knows
		err = cmp.Or(context.Cause(t.ctx), err)
	}
	if err != nil {
		return nil, err
	}
	go t.keepAlive(c)
	return c, nil
}

func (t *tunnel) handshake() (*ssh.Client, error) {
	known, err := knownHosts(t.endpoint.KnownHosts, t.host, t.port)
	if err != nil {
		return nil, err
	}
	keys, err := loadKeys(t.endpoint.SSHKeys)
	if err != nil {
		return nil, err
	}
	defer keys.close()
	addr := net.JoinHostPort(t.host, t.port)
	conn, err := new(net.Dialer).DialContext(t.ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(t.ctx, func() { conn.Close() })
	var stranger error // what is wrong with the host's key
	met := false
	config := &ssh.ClientConfig{
		User: t.user,
		Auth: []ssh.AuthMethod{ssh.PublicKeys(keys.signers...)},
		HostKeyCallback: func(addr string, remote net.Addr, key ssh.PublicKey) error {
			met = true
			stranger = known.check(addr, remote, key)
			return stranger
		},
		HostKeyAlgorithms: known.algorithms(),
	}
	c, channels, requests, err := ssh.NewClientConn(&severed{conn, t}, addr, config)
	var network net.Error
	switch {
	case stranger != nil:
		return nil, unwelcome{stranger, strangerRetry}
	case err != nil && met && !errors.As(err, &network) && !errors.Is(err, io.EOF):
		return nil, unwelcome{fmt.Errorf("the SSH server does not let %s in with %s: add the public key to authorized_keys there, or write another with ssh_key: %w", t, keys, err), refusedRetry}
	case errors.Is(err, io.EOF):
		return nil, unwelcome{fmt.Errorf("the SSH server closes the connection of %s before it is there: it has too many who log in (MaxStartups), has locked this machine out for a while (PerSourcePenalties, fail2ban), or is none: %w", t, err), strangerRetry}
	case err != nil:
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	return ssh.NewClient(c, channels, requests), nil
}

// keepAlive sees to it that a connection that leads nowhere any more ends.
func (t *tunnel) keepAlive(c *ssh.Client) {
	defer close(t.ended)
	defer c.Wait()
	ticks := time.NewTicker(t.silence / 3)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
		case <-t.ctx.Done():
			return
		}
		silent := time.AfterFunc(t.silence, func() {
			t.fail(fmt.Errorf("%s has given no sign of life by SSH for %s", t, t.silence))
		})
		_, _, err := c.SendRequest("keepalive@openssh.com", true, nil) // the answer is no, which will do
		silent.Stop()
		if err != nil {
			t.fail(err)
			return
		}
	}
}

// severed is the connection under SSH. It tells why it has ended before anything that goes through it ends.
type severed struct {
	net.Conn
	t *tunnel
}

func (s *severed) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err != nil {
		s.t.fail(fmt.Errorf("the SSH connection to %s has ended: %v", s.t, err))
	}
	return n, err
}

// forwarded is a connection to the engine. Its peer is the host, not what the host forwards it to.
type forwarded struct {
	net.Conn
	peer net.Addr
	in   *io.PipeReader
}

// forward returns the connection in the way that others are: its end ends a read, whatever the host answers to that.
func (t *tunnel) forward(conn net.Conn, peer net.Addr) *forwarded {
	in, out := io.Pipe()
	go func() {
		_, err := io.Copy(out, conn)
		out.CloseWithError(cmp.Or(context.Cause(t.ctx), err, io.EOF)) // the end of the whole is told from that of this one
	}()
	return &forwarded{conn, peer, in}
}

func (f *forwarded) RemoteAddr() net.Addr { return f.peer }

func (f *forwarded) Read(p []byte) (int, error) { return f.in.Read(p) }

func (f *forwarded) Close() error {
	f.in.CloseWithError(net.ErrClosed)
	return f.Conn.Close()
}
