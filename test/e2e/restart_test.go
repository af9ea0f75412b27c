package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// life is one time that a container runs.
type life struct {
	addr           string
	started, ended time.Time // ended is zero while it goes on
}

// during reports whether the container ran all the time between two moments.
func (l life) during(from, to time.Time) bool {
	return !l.started.After(from) && (l.ended.IsZero() || !l.ended.Before(to))
}

// reply is what was answered for a container's name.
type reply struct {
	container   int
	sent, heard time.Time
	outcome     string
}

// An engine that ends its containers with itself and then starts them anew, with addresses that may have been another's:
// a name answers with its own address, or exists without one.
func TestEngineRestartWithContainers(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	e.start()
	network := e.populate()
	s := serve(t, config{Body: "docker docker. 198.18.0.0/15 {\nendpoint " + e.host + "\nhold 2m\n}"})
	ids, lives := make([]string, 5), make([][]life, 5)
	for i := range ids {
		ids[i] = e.run(t, "--network", network, "--name", fmt.Sprint("c", i), "--restart", "always")
	}
	// note waits until all run and DNS says so, and remembers what the engine says.
	note := func() {
		t.Helper()
		for i, id := range ids {
			within(t, 2*patience, func() error {
				c := e.inspect(t, id)
				if len(addrs4(c)) != 1 {
					return fmt.Errorf("%s does not run", c.name())
				}
				if err := s.agrees(c); err != nil {
					return err
				}
				if n := len(lives[i]); n > 0 {
					lives[i][n-1].ended = c.State.FinishedAt
				}
				lives[i] = append(lives[i], life{addr: addrs4(c)[0], started: c.State.StartedAt})
				return nil
			})
		}
	}
	note()

	total := map[string]int{}
	moved := 0
	var took []string
	for range *restarts {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var replies []reply
		var asking sync.WaitGroup
		asking.Go(func() { replies = askAll(ctx, t, s, len(ids)) })

		e.End(syscall.SIGTERM)
		e.start()
		begin := time.Now()
		note()
		took = append(took, time.Since(begin).Round(time.Millisecond).String())
		stop()
		asking.Wait()
		for i := range lives {
			if n := len(lives[i]); lives[i][n-1].addr != lives[i][n-2].addr {
				moved++
			}
		}
		for _, r := range replies {
			kind, err := judge(r, lives)
			if err != nil {
				t.Error(err)
			}
			total[kind]++
		}
	}
	t.Logf("%d restarts, right again after the engine's first answer within %s; %d times a container came back with another address; answers: %v",
		*restarts, strings.Join(took, ", "), moved, total)
}

// askAll asks for the containers' names by turns.
func askAll(ctx context.Context, t *testing.T, s *server, n int) (replies []reply) {
	client := &rig.Asker{Server: s.Addr}
	defer client.Close()
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for i := 0; ; i++ {
		select {
		case <-pace.C:
		case <-ctx.Done():
			return replies
		}
		r := reply{container: i % n, sent: time.Now()}
		m, err := client.Ask(fmt.Sprintf("c%d.docker.", r.container), dns.TypeA)
		if err != nil {
			t.Errorf("c%d: %v", r.container, err)
			continue
		}
		r.heard, r.outcome = time.Now(), outcome(m)
		replies = append(replies, r)
	}
}

// judge tells what a reply was, and what is wrong with it.
func judge(r reply, lives [][]life) (kind string, err error) {
	if r.outcome == nodata {
		return "no address", nil
	}
	for i, all := range lives {
		for _, l := range all {
			if i != r.container && l.addr == r.outcome && l.during(r.sent, r.heard) {
				return "another's address", fmt.Errorf("c%d at %v: %s, which was c%d's", r.container, r.sent, r.outcome, i)
			}
		}
	}
	n := len(lives[r.container])
	switch before, after := lives[r.container][n-2], lives[r.container][n-1]; r.outcome {
	case after.addr:
		return "the address", nil
	case before.addr:
		return "the address before", nil
	default:
		return r.outcome, fmt.Errorf("c%d at %v: %s, want %s, %s or none", r.container, r.sent, r.outcome, before.addr, after.addr)
	}
}
