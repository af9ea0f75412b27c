package hosts

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// authority is the CA of all engines and of who may reach them.
type authority struct {
	*rig.Authority
	client string // the line tls of the Corefile
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{Authority: rig.NewAuthority(t)}
	cert, key := rig.WriteCertificate(t, a.Issue(t, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}))
	a.client = fmt.Sprintf("tls %s %s %s", cert, key, a.File)
	return a
}

// tlsFront passes on to the host's engine who comes with a certificate of the authority's. Unlike the engine's own, its
// certificate can be changed while the engine runs.
type tlsFront struct {
	ca    *authority
	addrs []netip.Addr

	mu    sync.Mutex // guards what follows
	cert  *tls.Certificate
	conns map[net.Conn]bool
}

const tlsPort = 2376

func (a *authority) newFront(t *testing.T, h *host) *tlsFront {
	t.Helper()
	f := &tlsFront{ca: a, addrs: h.addrs, conns: map[net.Conn]bool{}}
	f.renew(t, time.Now().Add(24*time.Hour))
	clients := x509.NewCertPool()
	clients.AddCert(a.Cert)
	config := &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.cert, nil
	}}
	var l net.Listener
	err := rig.Within(rig.NetnsPath(h.netns), func() (err error) {
		l, err = net.Listen("tcp", fmt.Sprint(":", tlsPort))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go f.pass(tls.Server(conn, config), h.socket)
		}
	}()
	return f
}

// pass passes a connection on.
func (f *tlsFront) pass(near net.Conn, socket string) {
	defer near.Close()
	far, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer far.Close()
	f.mu.Lock()
	f.conns[near] = true
	f.mu.Unlock()
	go func() {
		io.Copy(far, near)
		far.Close()
	}()
	io.Copy(near, far)
	f.mu.Lock()
	delete(f.conns, near)
	f.mu.Unlock()
}

// renew has the front show a new certificate, which ends at the time, to all who come from then on, and ends all connections.
func (f *tlsFront) renew(t *testing.T, ends time.Time) {
	t.Helper()
	template := &x509.Certificate{
		NotBefore: time.Now().Add(-time.Hour), NotAfter: ends,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, addr := range f.addrs {
		template.IPAddresses = append(template.IPAddresses, addr.AsSlice())
	}
	cert := f.ca.Issue(t, template)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cert = cert
	for conn := range f.conns {
		conn.(*tls.Conn).NetConn().Close()
	}
}

// endpoint is the front in a Corefile. Others reach the host at all its addresses.
func (f *tlsFront) endpoint(h *host) string {
	at := h.addrs[len(h.addrs)-1] // which is IPv6, and so reached from each host
	return fmt.Sprintf("endpoint tcp://%v %s %s {\n%s\n}\n", netip.AddrPortFrom(at, tlsPort), h.name, h.addrList(), f.ca.client)
}
