package dockerdiscovery

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	golog "log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/sshtest"
)

// causes is an observer that hands out why an engine can't be watched.
type causes struct {
	*observer
	errs chan error
}

func (c causes) Disconnected(_ engine.Source, err error) {
	select {
	case c.errs <- err:
	default: // the first one counts
	}
}

// cause returns why the engine can't be watched.
func cause(t *testing.T, e engine.Endpoint) error {
	t.Helper()
	c := causes{newObserver(), make(chan error, 1)}
	w := engine.Watch(e, c)
	defer w.Release()
	select {
	case err := <-c.errs:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the engine is watched")
		return nil
	}
}

// issued is a certificate with its key, and the files in which they are.
type issued struct {
	*x509.Certificate
	key           *ecdsa.PrivateKey
	cert, keyFile string
	forServer     tls.Certificate
}

// issue makes a certificate that the CA has signed, or that is one itself if that is nil.
func issue(t *testing.T, name string, ca *issued, change func(*x509.Certificate)) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: ca == nil,
	}
	change(template)
	i := &issued{Certificate: template, key: key}
	if ca == nil {
		ca = i
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Certificate, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	if i.Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	i.cert, i.keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})
	for file, text := range map[string][]byte{i.cert: public, i.keyFile: private} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if i.forServer, err = tls.X509KeyPair(public, private); err != nil {
		t.Fatal(err)
	}
	return i
}

// serveTLS serves by TLS with the certificate, to clients with one of the CA's if that is given, and returns the endpoint.
func serveTLS(t *testing.T, c, clients *issued) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{c.forServer}}
	if clients != nil {
		s.TLS.ClientAuth, s.TLS.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		s.TLS.ClientCAs.AddCert(clients.Certificate)
	}
	s.Config.ErrorLog = golog.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return "tcp://" + s.Listener.Addr().String()
}

// Each cause for which an engine can't be watched is told with its cure. The causes are real servers'.
func TestCures(t *testing.T) {
	dir := t.TempDir()
	silent := filepath.Join(dir, "silent")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: silent, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	forbids := enginetest.New(t)
	forbids.FailCalls("info", 1000, http.StatusForbidden)
	forbidsByTCP := enginetest.New(t, enginetest.WithTCP())
	forbidsByTCP.FailCalls("networks", 1000, http.StatusForbidden)
	plain := enginetest.New(t, enginetest.WithTCP())
	asIs := func(*x509.Certificate) {}
	ca, otherCA := issue(t, "ca", nil, asIs), issue(t, "other ca", nil, asIs)
	good := issue(t, "engine", ca, asIs)
	old := issue(t, "old engine", ca, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(1e9, 0).UTC(), time.Unix(11e8, 0).UTC() })
	coming := issue(t, "engine", ca, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })
	elsewhere := issue(t, "engine", ca, func(c *x509.Certificate) {
		c.IPAddresses, c.DNSNames = []net.IP{net.IPv4(192, 0, 2, 1)}, []string{"nas.test"}
	})
	client := issue(t, "client", ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	oldClient := issue(t, "client", ca, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		c.NotAfter = time.Now().Add(-time.Minute)
	})
	secure := func(host string, client *issued, ca *issued) engine.Endpoint {
		e := engine.Endpoint{Host: host, TLS: true, CACert: ca.cert}
		if client != nil {
			e.Cert, e.Key = client.cert, client.keyFile
		}
		return e
	}
	sshd := sshtest.New(t)
	bySSH := engine.Endpoint{Host: sshd.URL("/nowhere"), SSHKeys: sshd.Key, KnownHosts: sshd.KnownHosts}
	withoutSSH := bySSH
	withoutSSH.Host = "ssh://me@127.0.0.1:" + freePort(t)
	unreadable := secure("tcp://127.0.0.1:1", nil, ca)
	unreadable.CACert = filepath.Join(dir, "none.pem")
	const refused = "does not take our certificate"
	for _, c := range []struct {
		name     string
		endpoint engine.Endpoint
		want     []string // of the error and its cure
	}{
		{"no socket", engine.Endpoint{Host: "unix://" + filepath.Join(dir, "none")}, []string{"no such file", "there is no such socket"}},
		{"a silent socket", engine.Endpoint{Host: "unix://" + silent}, []string{"connection refused", "nobody listens at the socket"}},
		{"forbidden", engine.Endpoint{Host: forbids.Host()}, []string{"GET /info is forbidden", "allow GET and HEAD of /_ping, "}},
		{"forbidden by TCP", engine.Endpoint{Host: forbidsByTCP.Host()}, []string{"GET /networks is forbidden", "allow GET and HEAD of /_ping, "}},
		{"nobody", engine.Endpoint{Host: "tcp://127.0.0.1:" + freePort(t)}, []string{"connection refused", "dockerd --host"}},
		{"no TLS there", secure(plain.Host(), nil, ca), []string{"the engine speaks no TLS at this port"}},
		{"no TLS here", engine.Endpoint{Host: serveTLS(t, good, nil)}, []string{"the engine speaks TLS at this port: write tls"}},
		{"expired", secure(serveTLS(t, old, nil), nil, ca), []string{"expired", "the certificate of 'CN=old engine' is good from 2001-09-09 01:46:40 to 2004-11-09 11:33:20: renew it"}},
		{"not yet", secure(serveTLS(t, coming, nil), nil, ca), []string{"not yet valid", "set this machine's clock"}},
		{"another CA", secure(serveTLS(t, good, nil), nil, otherCA), []string{"unknown authority", "is not signed by a CA that counts here"}},
		{"another name", secure(serveTLS(t, elsewhere, nil), nil, ca), []string{"the certificate is for 'nas.test, 192.0.2.1'", "made for 127.0.0.1 too"}},
		{"no certificate", secure(serveTLS(t, good, ca), nil, ca), []string{refused}},
		{"a certificate of another CA", secure(serveTLS(t, good, otherCA), client, ca), []string{refused}},
		{"an old certificate", secure(serveTLS(t, good, ca), oldClient, ca), []string{refused}},
		{"no such file", unreadable, []string{"none.pem: no such file"}},
		{"no engine by SSH", bySSH, []string{"gets no connection to "}},
		{"nobody by SSH", withoutSSH, []string{"connection refused", "start the SSH server"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := cause(t, c.endpoint)
			said := err.Error() + engineHint(c.endpoint.Host, err)
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("%s\nwant %q", said, want)
				}
			}
			t.Log(said)
		})
	}
	// What this machine can't be made to meet at once, and what needs nothing.
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, c := range []struct {
		host string
		err  error
		want string
	}{
		{"unix:///run/docker.sock", dial(os.NewSyscallError("connect", syscall.EACCES)), "group, docker, or use a socket proxy"},
		{"tcp://nas:2376", dial(&net.DNSError{Name: "nas", IsNotFound: true}), "resolver does not know the name"},
		{"ssh://nas", dial(os.ErrDeadlineExceeded), "the host does not answer"},
		{"tcp://nas:2376", dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), "the host does not answer"},
		{"tcp://nas:2376", dial(os.NewSyscallError("connect", syscall.ENETUNREACH)), "the host does not answer"},
		{"tcp://nas:2376", io.ErrUnexpectedEOF, ""},
		{"unix:///run/docker.sock", io.ErrUnexpectedEOF, ""},
	} {
		if got := engineHint(c.host, c.err); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s, %v: %q, want %q", c.host, c.err, got, c.want)
		}
	}
}
