package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// 30 reloads under load: no query is lost or answered wrongly, and nothing is left of
// the instances before. Not parallel: it counts goroutines.
func TestReload(t *testing.T) {
	s := serve(t, config{Body: reloadBody(5)})
	name := "web-" + suffix()
	addr := machine.addr(t, machine.run(t, "--name", name))
	s.soon(name+".docker.", dns.TypeA, addr)
	before := s.resources()

	load := startLoad(s, []question{
		{name + ".docker.", dns.TypeA, addr},
		{reverse(t, addr), dns.TypePTR, name + ".docker."},
		{name + ".docker.", dns.TypeAAAA, nodata},
		{"nope-" + name + ".docker.", dns.TypeA, nxdomain},
	})
	text, err := os.ReadFile(s.Corefile)
	if err != nil {
		t.Fatal(err)
	}
	ttl := uint32(5)
	for i := range 30 {
		// The answers' TTL tells which instance serves. The reload plugin looks every 2
		// seconds, so most reloads are by signal.
		byPlugin := i >= 25
		ttl++
		next := strings.Replace(string(text), reloadBody(5), reloadBody(ttl), 1)
		if byPlugin {
			next = strings.Replace(next, "errors", "errors\nreload 2s 1s", 1)
		}
		replace := s.Reload
		if i > 25 { // the first of the plugin's is what brings the plugin
			replace = s.Write
		}
		if err := replace(next); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error { return s.servesTTL(name+".docker.", ttl) })
	}
	sent, wrong := load.stop()
	t.Logf("%d queries over 30 reloads", sent)
	if len(wrong) > 0 {
		t.Errorf("%d of %d queries lost or answered wrongly: %s", len(wrong), sent, strings.Join(wrong[:min(len(wrong), 10)], "; "))
	}

	eventually(t, func() error {
		if after := s.resources(); after.goroutines > before.goroutines+3 || after.sockets > before.sockets+2 {
			return fmt.Errorf("goroutines %v and sockets %v, before the reloads %v and %v",
				after.goroutines, after.sockets, before.goroutines, before.sockets)
		}
		return nil
	})
}

func reloadBody(ttl uint32) string { return fmt.Sprintf("docker %s {\nttl %d\n}", zones, ttl) }

func (s *server) servesTTL(name string, ttl uint32) error {
	m := s.ask(name, dns.TypeA)
	if len(m.Answer) != 1 || m.Answer[0].Header().Ttl != ttl {
		return fmt.Errorf("the instance with ttl %d does not serve: %v", ttl, m.Answer)
	}
	return nil
}

type resources struct {
	goroutines float64
	sockets    int // connections to the engine are among them
}

func (s *server) resources() (r resources) {
	s.t.Helper()
	eventually(s.t, func() (err error) { // for a moment of a reload there is no metrics endpoint
		r.goroutines, err = s.Metric("go_goroutines")
		return err
	})
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.Pid()))
	for _, fd := range fds {
		if target, _ := os.Readlink(fd); strings.HasPrefix(target, "socket:") {
			r.sockets++
		}
	}
	return r
}

type question struct {
	name  string
	qtype uint16
	want  string
}

// load asks a server questions from several clients until it is stopped, or the test ends.
type load struct {
	end     func()
	clients sync.WaitGroup

	mu    sync.Mutex // guards what follows
	sent  int
	wrong []string
}

func startLoad(s *server, questions []question) *load {
	done := make(chan struct{})
	l := &load{end: sync.OnceFunc(func() { close(done) })}
	s.t.Cleanup(l.end)
	for range 4 {
		l.clients.Go(func() {
			pace := time.NewTicker(time.Millisecond)
			defer pace.Stop()
			client := &rig.Asker{Server: s.Addr}
			defer client.Close()
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				case <-pace.C:
					l.ask(client, questions[i%len(questions)])
				}
			}
		})
	}
	return l
}

func (l *load) ask(client *rig.Asker, q question) {
	m, err := client.Ask(q.name, q.qtype)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if err != nil {
		l.wrong = append(l.wrong, fmt.Sprintf("%s: %v", q.name, err))
	} else if got := outcome(m); got != q.want {
		l.wrong = append(l.wrong, fmt.Sprintf("%s: got %s, want %s", q.name, got, q.want))
	}
}

func (l *load) stop() (sent int, wrong []string) {
	l.end()
	l.clients.Wait()
	return l.sent, l.wrong
}
