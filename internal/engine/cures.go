package engine

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"
)

// Cure says what to do about an engine that can't be watched, "" if that is not known or the error says it.
func Cure(host string, err error) string {
	scheme, _, _ := strings.Cut(host, "://")
	return cmp.Or(certificateCure(err), connectionCure(scheme, err))
}

// connectionCure is for connections that don't come about.
func connectionCure(scheme string, err error) string {
	var lookup *net.DNSError
	var network net.Error
	switch {
	case scheme == "unix" && errors.Is(err, fs.ErrPermission):
		return "add the user to the socket's group, docker, or use a socket proxy: README, \"Without root\""
	case scheme == "unix" && errors.Is(err, fs.ErrNotExist):
		return "there is no such socket: start or install Docker, mount its socket if this runs in a container, or write with the property endpoint where it is"
	case scheme == "unix" && errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens at the socket: start Docker, as with systemctl start docker"
	case scheme == "tcp" && errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens there: start the engine, and have it listen at this address and port (dockerd --host)"
	case scheme == "ssh" && errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens there: start the SSH server, or write its port, as in ssh://USER@HOST:PORT"
	case errors.As(err, &lookup):
		return "this machine's resolver does not know the name: mend the name, or write the address; where this server is that resolver, only an address can do"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.As(err, &network) && network.Timeout():
		return "the host does not answer: it is off, a firewall is between, or the address is wrong"
	}
	return ""
}

// certificateCure is for TLS.
func certificateCure(err error) string {
	var invalid x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var header tls.RecordHeaderError
	var remote *net.OpError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		c := invalid.Cert
		return fmt.Sprintf("the certificate of '%s' is good from %s to %s: renew it, or set this machine's clock", c.Subject, c.NotBefore.Format(time.DateTime), c.NotAfter.Format(time.DateTime))
	case errors.As(err, &authority):
		return "the engine's certificate is not signed by a CA that counts here: write the engine's, as in tls CACERT or tls CERT KEY CACERT"
	case errors.As(err, &name):
		names := name.Certificate.DNSNames
		for _, ip := range name.Certificate.IPAddresses {
			names = append(names, ip.String())
		}
		return fmt.Sprintf("the certificate is for '%s': write one of these in the endpoint, or have the engine's certificate made for %s too", strings.Join(names, ", "), name.Host)
	case errors.As(err, &header):
		return "the engine speaks no TLS at this port: leave tls out, or write the port at which it does, by custom 2376"
	case errors.As(err, &remote) && remote.Op == "remote error":
		return "the engine does not take our certificate: write tls CERT KEY CACERT, with a certificate for clients that has not expired and is signed by the CA that the engine has (dockerd --tlscacert)"
	case err != nil && strings.Contains(err.Error(), "HTTP request to an HTTPS server"):
		return "the engine speaks TLS at this port: write tls"
	}
	return ""
}
