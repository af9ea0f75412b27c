package engine

import (
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/sshtest"
)

// bySSH returns the endpoint of the engine that is reached by the server.
func bySSH(s *sshtest.Server, e *enginetest.Engine) Endpoint {
	return Endpoint{Host: s.URL(e.Host()), SSHKeys: s.Key, KnownHosts: s.KnownHosts}
}

// watchSSH watches the endpoint.
func watchSSH(t *testing.T, e Endpoint) *recorder {
	t.Helper()
	r := newRecorder()
	w := Watch(e, r)
	t.Cleanup(w.Release)
	w.Subscribe(r, time.Hour)
	return r
}

// TestSSH checks that an engine by SSH is watched as any other, over one connection, and that its peer is the host.
func TestSSH(t *testing.T) {
	s := sshtest.New(t)
	e := enginetest.New(t)
	for range 64 {
		e.Run(enginetest.Spec{})
	}
	e.Run(enginetest.Spec{Name: "web"})
	r := watchSSH(t, bySSH(s, e))
	synced(t, r)
	r.note(func() {
		if len(r.containers) != 65 || r.host.Peer.String() != "127.0.0.1" {
			t.Errorf("%d containers, peer %s", len(r.containers), r.host.Peer)
		}
	})
	if n := s.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
	e.Run(enginetest.Spec{Name: "later"})
	r.wait(t, "a container that starts", func() bool { return len(r.containers) == 66 })
}
