// Package inprocess runs CoreDNS in the process of the tests: so that they see what the plugin holds, and the race
// detector what it does. The tests import the plugins that their Corefiles have.
package inprocess

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
)

func init() { dnsserver.Quiet = true }

// Use has Corefiles know the directives, which stand directly above cache in this order.
func Use(directives ...string) {
	dnsserver.Directives = slices.Insert(slices.Clone(dnsserver.Directives), slices.Index(dnsserver.Directives, "cache"), directives...)
}

// mu has one server start or stop at a time: Caddy is not made for more.
var mu sync.Mutex

// Server is a CoreDNS in this process.
type Server struct {
	instance *caddy.Instance // nil after the stop; guarded by mu
}

// Start starts a CoreDNS with the Corefile. When it returns the server listens.
func Start(corefile string) (*Server, error) {
	mu.Lock()
	defer mu.Unlock()
	i, err := caddy.Start(input(corefile))
	if err != nil {
		return nil, err
	}
	return &Server{i}, nil
}

// Serve is Start for a test, at whose end the server stops.
func Serve(t testing.TB, corefile string) *Server {
	t.Helper()
	s, err := Start(corefile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Reload has the server serve another Corefile. After an error it serves the one of before.
func (s *Server) Reload(corefile string) error {
	mu.Lock()
	defer mu.Unlock()
	next, err := s.instance.Restart(input(corefile))
	if err == nil {
		s.instance = next
	}
	return err
}

// Stop stops the server, unless that was done before.
func (s *Server) Stop() error {
	mu.Lock()
	defer mu.Unlock()
	if s.instance == nil {
		return nil
	}
	i := s.instance
	s.instance = nil
	return errors.Join(append(i.ShutdownCallbacks(), i.Stop())...)
}

// Addrs are where a server of one block listens: what port 0 stands for differs between UDP and TCP.
func (s *Server) Addrs() (udp, tcp net.Addr, err error) {
	mu.Lock()
	defer mu.Unlock()
	listeners := s.instance.Servers()
	if len(listeners) != 1 {
		return nil, nil, fmt.Errorf("%d listeners, want one", len(listeners))
	}
	return listeners[0].LocalAddr(), listeners[0].Addr(), nil
}

func input(corefile string) caddy.Input {
	return caddy.CaddyfileInput{Contents: []byte(corefile), Filepath: "Corefile", ServerTypeName: "dns"}
}
