package dockerdiscovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	golog "log"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coredns/caddy/caddyfile"
	"github.com/miekg/dns"
)

// notify starts a notification whose secondary does as send says, and returns what is logged meanwhile.
func notify(t *testing.T, s *secondary, zones ...string) (all []*notification, logged *strings.Builder) {
	t.Helper()
	logged = &strings.Builder{}
	golog.SetOutput(logged)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		golog.SetOutput(io.Discard)
	})
	for _, z := range zones {
		n := newNotification(z, s)
		all = append(all, n)
		go n.run(ctx)
	}
	return all, logged
}

// A NOTIFY is repeated with a back-off, and at once for a newer serial, until it is acknowledged.
func TestNotifyRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards the following
		begin, down := time.Now(), false
		var sent []int
		s := newSecondary("192.0.2.1:53", nil)
		s.send = func(context.Context, *dns.Msg) error {
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, int(time.Since(begin).Seconds()))
			if down {
				return errors.New("i/o timeout")
			}
			return nil
		}
		all, logged := notify(t, s, "docker.")
		for _, step := range []struct {
			serial uint32
			down   bool
			after  time.Duration
			want   []int
		}{
			{1, false, time.Minute, []int{0}},
			{1, false, time.Minute, []int{}}, // is known
			{2, true, 40 * time.Second, []int{0, 1, 3, 7, 15, 25, 35}},
			{3, true, 2 * time.Second, []int{0, 1}},
			{3, false, time.Minute, []int{1}}, // back: told within the interval, and no more
		} {
			mu.Lock()
			begin, sent, down = time.Now(), nil, step.down
			mu.Unlock()
			all[0].mark(step.serial)
			time.Sleep(step.after)
			synctest.Wait()
			if !slices.Equal(sent, step.want) {
				t.Errorf("serial %d, down %v: NOTIFY after %v s, want %v", step.serial, step.down, sent, step.want)
			}
		}
		if lines := strings.Count(logged.String(), "\n"); lines != 2 || !strings.Contains(logged.String(), "192.0.2.1:53") {
			t.Errorf("logged, want one line for the failure and one for its end:\n%s", logged)
		}
	})
}

// However late a secondary acknowledges, it gets no two NOTIFYs for changes within the interval.
func TestNotifyInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var sent []time.Duration
		s := newSecondary("192.0.2.1:53", nil)
		s.send = func(context.Context, *dns.Msg) error {
			sent = append(sent, time.Since(begin))
			if len(sent)%2 == 1 {
				time.Sleep(notifyInterval + notifyInterval/2)
			}
			return nil
		}
		all, _ := notify(t, s, "docker.")
		for serial := range uint32(10) {
			all[0].mark(serial + 1)
			time.Sleep(notifyInterval)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for i := 1; i < len(sent); i++ {
			if apart := sent[i] - sent[i-1]; apart < notifyInterval {
				t.Errorf("a NOTIFY after %v and %v", sent[i-1], sent[i])
			}
		}
		if len(sent) < 5 {
			t.Errorf("%d NOTIFYs of 10 changes", len(sent))
		}
	})
}

// A failure is logged once for a secondary, whatever changes meanwhile, and a single one not at all.
func TestNotifyLog(t *testing.T) {
	var zones []string
	for n := range 16 {
		zones = append(zones, fmt.Sprint(n, ".172.in-addr.arpa."))
	}
	errs := []error{errors.New("i/o timeout"), errors.New("no route to host")}
	for _, c := range []struct {
		name string
		send func(n int, zone string) error
		want int
	}{
		{"well", func(int, string) error { return nil }, 0},
		{"dead", func(int, string) error { return errs[0] }, 1},
		{"dead in two ways", func(n int, _ string) error { return errs[n%2] }, 2},
		{"every tenth is lost", func(n int, _ string) error {
			if n%10 == 0 {
				return errs[0]
			}
			return nil
		}, 0},
		{"one zone is refused", func(_ int, zone string) error {
			if zone == zones[0] {
				return errs[0]
			}
			return nil
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSecondary("192.0.2.1:53", nil)
				sent := map[string]int{}
				s.send = func(_ context.Context, m *dns.Msg) error {
					s.mu.Lock()
					defer s.mu.Unlock()
					zone := m.Question[0].Name
					sent[zone]++
					return c.send(sent[zone], zone)
				}
				all, logged := notify(t, s, zones...)
				for serial := range uint32(100) {
					for _, one := range all {
						one.mark(serial + 1)
					}
					time.Sleep(notifyInterval)
				}
				synctest.Wait()
				if lines := strings.Count(logged.String(), "\n"); lines != c.want {
					t.Errorf("%d lines in 100 s with a change each second, want %d:\n%s", lines, c.want, logged)
				}
			})
		})
	}
}

// Whom the transfer plugin's blocks name is told.
func TestNotifications(t *testing.T) {
	keys := []string{"dns://docker.:53", "dns://16.172.in-addr.arpa.:53", "dns://.:53"}
	zones := []string{"docker.", "16.172.in-addr.arpa.", "."}
	for transfer, want := range map[string][]string{
		"":                      nil,
		"transfer {\n to *\n }": nil,
		"transfer {\n to * 192.0.2.1 [2001:db8::1]:5353\n }": {
			"docker. 192.0.2.1:53", "docker. [2001:db8::1]:5353", "16.172.in-addr.arpa. 192.0.2.1:53", "16.172.in-addr.arpa. [2001:db8::1]:5353"},
		"transfer Docker {\n source 192.0.2.7\n to 192.0.2.1\n to 192.0.2.2\n }":                  {"docker. 192.0.2.1:53", "docker. 192.0.2.2:53"},
		"transfer example.org {\n to 192.0.2.1\n }":                                               nil,
		"transfer 172.16.0.0/12 {\n to 192.0.2.1\n }":                                             {"16.172.in-addr.arpa. 192.0.2.1:53"},
		"transfer {\n to 192.0.2.1\n }\ntransfer . {\n to 192.0.2.2\n }":                          {"docker. 192.0.2.1:53", "16.172.in-addr.arpa. 192.0.2.1:53"},
		"transfer . {\n to 192.0.2.2\n }\ntransfer docker. {\n new property\n to 192.0.2.1\n }\n": {"docker. 192.0.2.1:53", "16.172.in-addr.arpa. 192.0.2.2:53"},
	} {
		blocks, err := parseTransfers(caddyfile.NewDispenser("Corefile", strings.NewReader(transfer)), keys)
		if err != nil {
			t.Errorf("%s: %v", transfer, err)
			continue
		}
		var got []string
		for _, n := range notifications(zones, blocks) {
			got = append(got, n.zone+" "+n.secondary.addr)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s\ngot  %q\nwant %q", transfer, got, want)
		}
	}
}
