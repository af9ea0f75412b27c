package secondaries

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

func query(zone string) *dns.Msg { return new(dns.Msg).SetAxfr(zone) }

// TestCatalog adds a zone to the Corefile, and takes it out again. BIND, Knot and CoreDNS, which know of nothing but the catalog zone, have it and
// lose it.
func TestCatalog(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "web"})
	port := freePort(t)
	var all []*secondary
	to := ""
	ports := map[string]int{"CoreDNS": freePort(t)}
	for _, m := range makes {
		ports[m.name] = freePort(t)
	}
	for _, p := range ports {
		to += " " + loopback(p)
	}
	block := fmt.Sprintf("\n\tbind 127.0.0.1\n\terrors\n\tdocker {\n\t\tendpoint %s\n\t\tCATALOG\n\t}\n\ttransfer {\n\t\tto%s\n\t}\n}\n", e.Host(), to)
	before := "docker. 172.16.0.0/12 catalog.invalid {" + strings.Replace(block, "CATALOG", "catalog_zone catalog.invalid", 1)
	with := before + "lab. sub.docker. {" + strings.Replace(block, "CATALOG", "", 1)
	primary := serve(t, rig.Config{Port: port, Text: before})
	for _, m := range makes {
		if s := m.start(t, ports[m.name], port); s != nil {
			all = append(all, s)
		}
	}
	coredns := strings.NewReplacer("192.0.2.1", loopback(port), "{\n    secondary", "{\n    bind 127.0.0.1\n    errors\n    secondary", "catalog docker", "catalog lab docker").Replace(
		shown(t, "CoreDNS, from 1.14.7 on; the server block holds the names that members may have:"))
	c := serve(t, rig.Config{Port: ports["CoreDNS"], Text: "lab " + coredns})
	all = append(all, &secondary{c.Process, kind{name: "CoreDNS"}, c.Addr})

	has := func(zone string, want bool) func() error {
		return func() error {
			for _, s := range all {
				if err := s.Alive(); err != nil {
					t.Fatal(err)
				}
				if _, err := serial(s.addr, zone); (err == nil) != want {
					return fmt.Errorf("%s has %s: %v\n%s", s.name, zone, err == nil, s.Log)
				}
			}
			return nil
		}
	}
	for _, zone := range []string{"docker.", "17.172.in-addr.arpa.", "31.172.in-addr.arpa."} {
		eventually(t, "the start", has(zone, true))
	}
	for _, step := range []struct {
		corefile string
		has      bool
	}{{with, true}, {before, false}, {with, true}} {
		if err := primary.Reload(step.corefile); err != nil {
			t.Fatal(err)
		}
		took := max(eventually(t, "the reload", has("lab.", step.has)), eventually(t, "the reload", func() error {
			if !step.has {
				return nil
			}
			return has("sub.docker.", true)()
		}))
		t.Logf("lab. is there %v: %v after the reload", step.has, took.Round(10*time.Millisecond))
	}
	checkZone(t, primary.Addr, "catalog.invalid.")
}
