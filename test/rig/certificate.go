package rig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// ServerName is whom the certificates of tests are for.
const ServerName = "dns.test"

// NewCertificate makes a certificate, which is its own CA's, and its key, and returns the files.
func NewCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	a := newAuthority(t, &x509.Certificate{DNSNames: []string{ServerName}})
	return WriteCertificate(t, &tls.Certificate{Certificate: [][]byte{a.Cert.Raw}, PrivateKey: a.key})
}

// Authority is a test's own CA.
type Authority struct {
	Cert *x509.Certificate
	File string // has Cert
	key  *ecdsa.PrivateKey
}

// NewAuthority makes a CA.
func NewAuthority(t *testing.T) *Authority {
	t.Helper()
	return newAuthority(t, &x509.Certificate{})
}

func newAuthority(t *testing.T, template *x509.Certificate) *Authority {
	t.Helper()
	template.IsCA, template.BasicConstraintsValid = true, true
	a := &Authority{Cert: template}
	own := a.Issue(t, template)
	a.Cert, a.key = own.Leaf, own.PrivateKey.(*ecdsa.PrivateKey)
	a.File, _ = WriteCertificate(t, own)
	return a
}

// Issue makes a certificate and its key, which are good for a day if the template does not say for how long.
func (a *Authority) Issue(t *testing.T, template *x509.Certificate) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	by := a.key
	if by == nil { // for the CA itself
		by = key
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(24 * time.Hour)
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.Cert, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}
}

// WriteCertificate writes a certificate and its key into files.
func WriteCertificate(t *testing.T, c *tls.Certificate) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	ReplaceCertificate(t, c, cert, key)
	return cert, key
}

// ReplaceCertificate writes a certificate and its key into these files.
func ReplaceCertificate(t *testing.T, c *tls.Certificate, cert, key string) {
	t.Helper()
	secret, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
