package share

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	coretls "github.com/coredns/coredns/plugin/pkg/tls"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

const (
	// An etcd that takes longer for a call has lost its leader, or hangs. Another member may do better.
	callTimeout = 3 * time.Second
	// One try a second costs nothing.
	firstRetry = 50 * time.Millisecond
	maxRetry   = time.Second
	jitter     = 0.3
	// maxPassword bounds the file that has the password, in octets.
	maxPassword = 4 << 10
)

// dial makes a client. It reads the files anew: certificates and passwords are changed while we run. The options are gRPC's.
func (cfg *Config) dial(options ...grpc.DialOption) (*clientv3.Client, error) {
	c := clientv3.Config{
		Endpoints: strings.Fields(cfg.URLs), DialTimeout: callTimeout, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: callTimeout,
		Username: cfg.User, Logger: zap.NewNop(), // what it has to say comes back as errors too
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
	b := make([]byte, maxPassword+1)
	n, _ := f.Read(b)
	password, _, _ := strings.Cut(string(b[:n]), "\n")
	password = strings.TrimSuffix(password, "\r")
	if password == "" || n > maxPassword {
		return "", fmt.Errorf("%s has no password in its first line, or more than %d octets", file, maxPassword)
	}
	return password, nil
}

// bounded returns a context for one call. A member that has no leader refuses it.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(clientv3.WithRequireLeader(ctx), callTimeout)
}

// noSpace reports whether etcd takes nothing new: its quota is used up.
func noSpace(err error) bool { return errors.Is(err, rpctypes.ErrNoSpace) }

// Cure says what to do about an error, "" if that is not known or the error says it.
func Cure(err error) string {
	switch {
	case err == nil:
		return ""
	case noSpace(err):
		return "etcd's quota is used up: compact and defragment it, then 'etcdctl alarm disarm', or give it a greater one (--quota-backend-bytes). What is new on this host is not told meanwhile"
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return "give the user's role what it needs: 'etcdctl role grant-permission ROLE --prefix=true readwrite PATH/HOST/' and '... read PATH/': docs/share.md"
	case errors.Is(err, rpctypes.ErrUserEmpty):
		return "etcd wants to know who asks: write credentials USER FILE"
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return "etcd does not take the user or the password: see to credentials USER FILE"
	case errors.Is(err, context.DeadlineExceeded):
		return "etcd does not answer: it is off, a firewall is between, most of its members are away, or it speaks TLS and the URL does not"
	}
	return ""
}
