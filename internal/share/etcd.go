package share

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	coretls "github.com/coredns/coredns/plugin/pkg/tls"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
)

const (
	// An etcd that takes longer for a call has lost its leader, or hangs. Another member may do better.
	callTimeout = 3 * time.Second
	// A call that reads is tried so often: a connection may have been lost, or a token be too old. Then another member may do better.
	maxTries = 3
	// Two tries a second cost nothing.
	firstRetry = 50 * time.Millisecond
	maxRetry   = 500 * time.Millisecond
	jitter     = 0.3
	// maxPassword bounds the file that has the password, in octets.
	maxPassword = 4 << 10
)

// dial makes a client, which lasts as long as the context. It reads the files anew: certificates and passwords are changed while we run. The
// options are gRPC's.
func (cfg *Config) dial(ctx context.Context, options ...grpc.DialOption) (*clientv3.Client, error) {
	c := clientv3.Config{
		Context: ctx, Endpoints: strings.Fields(cfg.URLs), DialTimeout: callTimeout, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: callTimeout,
		MaxUnaryRetries: maxTries, Username: cfg.User, Logger: zap.NewNop(), // what it has to say comes back as errors too
		DialOptions: options,
	}
	var err error
	if cfg.TLS.On {
		if c.TLS, err = cfg.TLS.config(); err != nil {
			return nil, err
		}
	}
	if cfg.Password != "" {
		if c.Password, err = ReadPassword(cfg.Password); err != nil {
			return nil, err
		}
	}
	return clientv3.New(c)
}

// attempts has why the last attempt to reach a member failed. Calls are tried again until their time is over, and then say no more than that.
type attempts struct {
	mu   sync.Mutex // guards last
	last error      // nil after a member was reached
}

// note is a gRPC interceptor.
func (a *attempts) note(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	err := invoke(ctx, method, request, reply, conn, options...)
	a.mu.Lock()
	defer a.mu.Unlock()
	_, why, found := strings.Cut(status.Convert(err).Message(), "latest balancer error: ")
	switch {
	case found:
		if m := described.FindStringSubmatch(why); m != nil {
			why = m[1]
		}
		a.last = errors.New(strings.ReplaceAll(why, `\"`, `"`))
	case status.Code(err) != codes.DeadlineExceeded:
		a.last = nil
	}
	return err
}

// described finds what is wrong in what gRPC says of a connection.
var described = regexp.MustCompile(`(?:connection error: )?desc = "(?:transport: )?(.*)"$`)

// explain adds to an error that says only that time is over what it was spent on.
func (a *attempts) explain(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last != nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", err, a.last)
	}
	return err
}

func (t *TLS) config() (*tls.Config, error) {
	var args []string
	if t.Cert != "" {
		args = append(args, t.Cert, t.Key)
	}
	if t.CACert != "" {
		args = append(args, t.CACert)
	}
	return coretls.NewTLSConfigFromArgs(args...)
}

// ReadPassword reads a file that has a password in its first line.
func ReadPassword(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPassword+1))
	if err != nil {
		return "", err
	}
	password, _, _ := strings.Cut(string(b), "\n")
	password = strings.TrimSuffix(password, "\r")
	if password == "" || len(b) > maxPassword {
		return "", fmt.Errorf("%s has no password in its first line, or more than %d octets", file, maxPassword)
	}
	return password, nil
}

// bounded returns a context for one call. A member that has no leader refuses it.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(clientv3.WithRequireLeader(ctx), callTimeout)
}

// errCut ends a session whose connection is lost. Another member most likely does as well.
var errCut = errors.New("the connection to etcd was lost")

// untilCut waits until the client's connection to etcd is lost, or the context ends. Without that a call may wait for a member that has ended
// until the call's time is over.
func untilCut(ctx context.Context, client *clientv3.Client) error {
	if client.ActiveConnection().WaitForStateChange(ctx, connectivity.Ready) {
		return errCut
	}
	return context.Cause(ctx)
}

// noSpace reports whether etcd takes nothing new: its quota is used up.
func noSpace(err error) bool { return errors.Is(err, rpctypes.ErrNoSpace) }

// forbids reports whether etcd knows who asks, or does not, and refuses.
func forbids(err error) bool {
	var e rpctypes.EtcdError
	if !errors.As(err, &e) {
		return false
	}
	return e.Code() == codes.PermissionDenied || e.Code() == codes.Unauthenticated || errors.Is(err, rpctypes.ErrUserEmpty) || errors.Is(err, rpctypes.ErrAuthFailed)
}

// unanswered reports whether a member has not answered.
func unanswered(err error) bool {
	code := status.Code(err)
	if e := (rpctypes.EtcdError{}); errors.As(err, &e) {
		code = e.Code()
	}
	return code == codes.Unavailable || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errCut)
}

// Cure says what to do about an error, "" if that is not known or the error says it.
func Cure(err error) string {
	switch {
	case err == nil:
		return ""
	case noSpace(err):
		return "etcd's quota is used up: compact and defragment it, then 'etcdctl alarm disarm', or give it a greater one (--quota-backend-bytes). What is new on this host is not told meanwhile"
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return "see to it that etcd has the user, and that its role has what it needs: 'etcdctl role grant-permission ROLE --prefix=true readwrite PATH/HOST/' and '... read PATH/': docs/share.md"
	case errors.Is(err, rpctypes.ErrUserEmpty):
		return "etcd wants to know who asks: write credentials USER FILE"
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return "etcd does not take the user or the password: see to credentials USER FILE"
	case errors.Is(err, errRefused):
		return "give one of the two another NAME"
	}
	for _, c := range connectionCures {
		if strings.Contains(err.Error(), c.says) {
			return c.cure
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errStale) {
		return "etcd does not answer: it is off, a firewall is between, or most of its members are away"
	}
	return ""
}

// connectionCures are for connections that fail, by what gRPC says of them: it has but texts.
var connectionCures = []struct{ says, cure string }{
	{"x509: certificate signed by unknown authority", "etcd's certificate is not signed by a CA that counts here: write etcd's, as in tls CACERT or tls CERT KEY CACERT"},
	{"x509: certificate has expired", "renew the certificate of etcd's member, or set this machine's clock"},
	{"x509: ", "give etcd's member a certificate for the address or the name by which its URL has it"},
	{"remote error: tls: ", "etcd does not take our certificate: write tls CERT KEY CACERT, with a certificate for clients that has not expired and is signed by the CA that etcd has (--trusted-ca-file)"},
	{"does not look like a TLS handshake", "etcd speaks no TLS at this port: write http://"},
	{"handshake failed: EOF", "something else is at this port, or etcd speaks no TLS there: then write http://"},
	{"server preface", "something else is at this port, or etcd speaks TLS there: then write https://"},
	{"connection refused", "etcd is off, or at another port"},
}
