package engine

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin/test"
)

// TestTLS checks the ways to reach an engine by TLS: with and without a certificate of the client's, and with the
// engine's CA or the system's.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir, err := test.WritePEMFiles(t)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, ca := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "engine.pem")
	for _, c := range []struct {
		name     string
		auth     tls.ClientAuthType
		endpoint Endpoint
		want     string // of the error
	}{
		{"the engine's CA", tls.NoClientCert, Endpoint{TLS: true, CACert: ca}, ""},
		{"the engine's CA and a certificate", tls.RequireAnyClientCert, Endpoint{TLS: true, Cert: cert, Key: key, CACert: ca}, ""},
		{"no certificate, which the engine wants", tls.RequireAnyClientCert, Endpoint{TLS: true, CACert: ca}, "certificate required"},
		{"the system's CAs", tls.NoClientCert, Endpoint{TLS: true}, "unknown authority"},
		{"the system's CAs and a certificate", tls.RequireAnyClientCert, Endpoint{TLS: true, Cert: cert, Key: key}, "unknown authority"},
		{"no TLS", tls.NoClientCert, Endpoint{}, "HTTP request to an HTTPS server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Write([]byte(`{"ServerVersion": "1", "SystemTime": "2026-01-01T00:00:00Z"}`))
			}))
			s.TLS = &tls.Config{ClientAuth: c.auth}
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.StartTLS()
			defer s.Close()
			if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
				t.Fatal(err)
			}
			c.endpoint.Host = "tcp://" + s.Listener.Addr().String()
			d, err := dial(c.endpoint, "", newRecorder())
			if err != nil {
				t.Fatal(err)
			}
			defer d.close()
			if _, err = d.info(t.Context()); err == nil && c.want != "" || err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
