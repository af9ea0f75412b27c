package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// restartSec is how long systemd waits before it starts the unit again.
func restartSec(t *testing.T) time.Duration {
	t.Helper()
	unit, err := os.ReadFile("../../dist/systemd/dockerdiscovery.service")
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`\nRestartSec=(\d+)\n`).FindSubmatch(unit)
	if match == nil {
		t.Fatal("the unit has no RestartSec")
	}
	seconds, err := strconv.Atoi(string(match[1]))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(seconds) * time.Second
}

// A server that binds an address which is not there yet ends, and started again as the unit has it,
// it serves soon after the address has come.
func TestBindBeforeAddress(t *testing.T) {
	t.Parallel()
	slow := patience // for the start itself, which most often takes less than a second
	wait := restartSec(t)
	lan := theRun.NewLAN(t)
	later := lan.Host.Next().Next()
	port := freePort(t, "127.0.0.1")
	c := config{Binary: binary, Dir: t.TempDir(), Text: fmt.Sprintf("docker.:%d {\nbind 127.0.0.1 %s\ndocker\n}\n", port, later)}

	ctx, cancel := context.WithCancel(t.Context())
	ended, done := make(chan string, 100), make(chan struct{})
	go func() { // as systemd
		defer close(done)
		for ctx.Err() == nil {
			s, err := rig.Serve(c)
			if err != nil {
				ended <- err.Error()
				return
			}
			select {
			case <-s.Exited:
			case <-ctx.Done():
				s.Kill()
			}
			ended <- s.Alive().Error()
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
	}()
	defer func() {
		cancel()
		<-done
	}()

	if said := <-ended; !strings.Contains(said, "exit status 1") || !strings.Contains(said, "cannot assign requested address") {
		t.Fatalf("without the address: %s", said)
	}
	if out, err := rig.Output(exec.Command("ip", "addr", "add", later.String()+"/24", "dev", lan.Link)); err != nil {
		t.Fatalf("ip addr add: %v: %s", err, out)
	}
	took := within(t, wait+slow, func() error {
		_, err := rig.Ask("udp", net.JoinHostPort(later.String(), strconv.Itoa(port)), "docker.", dns.TypeSOA)
		return err
	})
	t.Logf("answers %v after the address has come", took.Round(time.Millisecond))
}
