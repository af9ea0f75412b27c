package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// One engine named in many ways, by server blocks and by reloads that change each property: the metrics are there all the
// time, each series once.
func TestOneEngineOfManyNames(t *testing.T) {
	t.Parallel()
	socket := machineSocket(t)
	real, err := filepath.EvalSymlinks(socket)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.sock")
	if err := os.Symlink(socket, link); err != nil {
		t.Fatal(err)
	}
	block := func(properties string) string { return "docker docker. {\n" + properties + "\n}" }
	body := block("")
	for i, path := range []string{socket, real, link, real + "/", "/" + strings.ReplaceAll(real, "/", "//"), "/x/.." + real} {
		body += fmt.Sprintf("\n}\nzone%d {\nbind 127.0.0.1\n%s", i, block(fmt.Sprintf("endpoint unix://%s\nresync %ds", path, i+2)))
	}
	s := serve(t, config{Body: body, Env: []string{"DOCKER_HOST=unix://" + link}})
	name := "web-" + suffix()
	addr := machine.addr(t, machine.run(t, "--name", name))
	s.soon(name+".docker.", dns.TypeA, addr)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	once := func() error {
		t.Helper()
		b, err := rig.Get(s.Metrics)
		if err != nil {
			if strings.Contains(err.Error(), ": 500 ") {
				t.Fatal(err)
			}
			return err // in a reload nobody listens for a moment
		}
		for _, metric := range []string{"connected", "containers", "last_reconcile_timestamp_seconds"} {
			series := fmt.Sprintf("coredns_docker_%s{host=%q}", metric, host)
			if n, all := strings.Count(string(b), series), strings.Count(string(b), "coredns_docker_"+metric+"{"); n != 1 || all != 1 {
				t.Errorf("%d of %s, and %d of any endpoint, want one", n, series, all)
			}
		}
		return nil
	}
	eventually(t, once)
	text, err := os.ReadFile(s.Corefile)
	if err != nil {
		t.Fatal(err)
	}
	for i, properties := range []string{
		"resync 1s", "resync 5s", "endpoint unix://" + real, "endpoint unix://" + link, "endpoint unix://" + socket + "\nresync 3s", "ttl 7", "hold 1s",
		"health ignore", "names container", "network bridge", "isolate", "publish", "opt_in", "label_prefix x", "template {{.Name}}", "fallthrough",
	} {
		if err := s.Reload(strings.Replace(string(text), body, strings.Replace(body, block(""), block(properties), 1), 1)); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			err := once()
			if n := len(s.Log.Lines("Reloading complete")); n != i+1 {
				return fmt.Errorf("%d reloads are complete, want %d", n, i+1)
			}
			return err
		})
	}
	if lines := s.Log.Lines("Watching Docker Engine"); len(lines) != 1 {
		t.Errorf("the engine's watch began more than once: %q", lines)
	}
}
