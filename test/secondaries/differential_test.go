package secondaries

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

var (
	changes = flag.Int("secondaries.changes", 300, "changes on the engine")
	points  = flag.Int("secondaries.points", 10, "how often all is compared meanwhile")
	seed    = flag.Uint64("secondaries.seed", 1, "of the changes")
)

var zones = []string{"docker.", "10.in-addr.arpa."}

// engine is one on which something happens.
type engine struct {
	*enginetest.Engine
	*rand.Rand
	containers []*member
	made       int
}

// member is a container.
type member struct {
	id              string
	running, paused bool
}

func newEngine(t *testing.T) *engine {
	e := &engine{Engine: enginetest.New(t), Rand: rand.New(rand.NewPCG(*seed, 0))}
	for i := range 3 {
		e.AddNetwork(fmt.Sprint("net-", i), fmt.Sprintf("10.%d.0.0/16", i+1))
	}
	for range 100 {
		e.start()
	}
	return e
}

func (e *engine) one(all ...string) string { return all[e.IntN(len(all))] }

// start runs a container, whose names others may have too.
func (e *engine) start() {
	e.made++
	s := enginetest.Spec{
		Name:     fmt.Sprintf("c%d_x", e.made),
		Hostname: e.one("", "www", "db"),
		Networks: []enginetest.Attachment{{Network: fmt.Sprint("net-", e.IntN(3)), Aliases: []string{e.one("api", "db", "cache")}}},
		Labels:   map[string]string{},
		Health:   e.one("", "healthy", "unhealthy"),
	}
	if e.IntN(2) == 0 {
		s.Labels["com.docker.compose.project"], s.Labels["com.docker.compose.service"] = e.one("shop", "blog"), e.one("web", "db")
	}
	if e.IntN(4) == 0 {
		s.Labels["coredns.dockerdiscovery.host"] = e.one("www", "*.apps", fmt.Sprintf("l%d", e.made))
	}
	if e.IntN(4) == 0 {
		s.Labels["coredns.dockerdiscovery.records"] = e.one("@ TXT one", "@ MX 10 mail\nmail A 192.0.2.7", "alias CNAME @")
	}
	if e.IntN(3) == 0 {
		s.ExposedPorts, s.Publish = []string{"80/tcp"}, []string{fmt.Sprintf("%d:80/tcp", 10000+e.made)}
	}
	e.containers = append(e.containers, &member{id: e.Run(s), running: true})
}

// change has something happen to a container.
func (e *engine) change() {
	if len(e.containers) < 50 || len(e.containers) < 200 && e.IntN(3) == 0 {
		e.start()
		return
	}
	i := e.IntN(len(e.containers))
	switch c := e.containers[i]; {
	case e.IntN(3) == 0:
		e.Remove(c.id)
		e.containers = append(e.containers[:i], e.containers[i+1:]...)
	case !c.running:
		e.Start(c.id)
		c.running = true
	case c.paused:
		e.Unpause(c.id)
		c.paused = false
	default:
		switch e.IntN(5) {
		case 0:
			e.Stop(c.id)
			c.running = false
		case 1:
			e.Pause(c.id)
			c.paused = true
		case 2:
			e.made++
			e.Rename(c.id, fmt.Sprintf("renamed%d", e.made))
		case 3:
			e.Restart(c.id)
		default:
			e.SetHealth(c.id, e.one("healthy", "unhealthy"))
		}
	}
}

// eventually waits until the check is content.
func eventually(t *testing.T, what string, check func() error) time.Duration {
	t.Helper()
	begin := time.Now()
	for {
		err := check()
		if err == nil {
			return time.Since(begin)
		}
		if time.Since(begin) > patience {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestDifferential has BIND, Knot and maps follow by IXFR what happens on an engine. At each quiet point all have what AXFR gives: a map that
// follows at each, one that misses some, and Knot, whose NOTIFYs are lost now and then. Half-way we restart.
func TestDifferential(t *testing.T) {
	e := newEngine(t)
	port := freePort(t)
	var all []*secondary
	to := "127.0.0.1"
	ports := map[string]int{}
	var lossy *link
	for _, m := range makes {
		ports[m.name] = freePort(t)
		if m.name == "Knot" {
			lossy = newLink(t, ports[m.name])
			to += " " + lossy.addr
		} else {
			to += " " + loopback(ports[m.name])
		}
	}
	config := rig.Config{Port: port, Text: fmt.Sprintf(`docker. 10.0.0.0/8 catalog.invalid {
	bind 127.0.0.1
	errors
	docker {
		endpoint %s
		hold 1s
		catalog_zone catalog.invalid
	}
	transfer {
		to %s
	}
}
`, e.Host(), to)}
	primary := serve(t, config)
	for _, m := range makes {
		if s := m.start(t, ports[m.name], port); s != nil {
			all = append(all, s)
		}
	}
	followers := map[string][]replica{} // the first at each point, the second at each third
	increments, wholes := 0, 0
	for point := range *points {
		if point == *points/2 {
			if err := primary.Stop(patience); err != nil {
				t.Fatal(err)
			}
			primary = serve(t, config)
		}
		lost := point%5 == 3
		lossy.down.Store(lost)
		for range *changes / *points {
			e.change()
		}
		for _, zone := range zones {
			var right replica
			eventually(t, fmt.Sprintf("point %d, %s", point, zone), func() (err error) {
				if right, err = axfr(primary.Addr, zone); err != nil {
					return err
				}
				for _, s := range all {
					if s.name == "Knot" && lost {
						continue
					}
					if err := s.Alive(); err != nil {
						t.Fatal(err)
					}
					got, err := axfr(s.addr, zone)
					if err != nil {
						return fmt.Errorf("%s: %w", s.name, err)
					}
					if wrong := got.differs(&right); wrong != "" {
						return fmt.Errorf("%s differs:\n%s", s.name, wrong)
					}
				}
				return nil
			})
			if followers[zone] == nil {
				followers[zone] = []replica{{}, {}}
			}
			for i := range followers[zone] {
				if i == 1 && point%3 != 0 {
					continue
				}
				f := &followers[zone][i]
				eventually(t, fmt.Sprintf("point %d, %s, map %d", point, zone, i), func() (err error) {
					if f.serial == 0 {
						if *f, err = axfr(primary.Addr, zone); err != nil {
							return err
						}
					}
					inc, err := f.follow(primary.Addr, zone)
					if op := (*net.OpError)(nil); errors.As(err, &op) { // it may be late
						return err
					}
					if err != nil {
						t.Fatalf("point %d, %s, map %d: %v", point, zone, i, err)
					}
					if inc {
						increments++
					} else {
						wholes++
					}
					if right, err = axfr(primary.Addr, zone); err != nil {
						return err
					}
					if wrong := f.differs(&right); wrong != "" && f.serial == right.serial {
						t.Fatalf("point %d, %s, map %d:\n%s", point, zone, i, wrong)
					} else if wrong != "" {
						return fmt.Errorf("serial %d, want %d", f.serial, right.serial)
					}
					return nil
				})
			}
		}
	}
	t.Logf("%d changes, %d points: maps followed %d times by what has changed; %d times they got the whole zone, or there was nothing new", *changes, *points, increments, wholes)
	if increments < *points {
		t.Errorf("maps followed %d times alone by what has changed", increments)
	}
	for _, s := range all {
		n := len(s.Log.Lines(map[string]string{"Knot": "IXFR, incoming", "BIND": "got incremental response"}[s.name]))
		t.Logf("%s: %d incremental transfers", s.name, n)
		if n < *points/2 {
			t.Errorf("%s followed by %d incremental transfers alone:\n%s", s.name, n, s.Log)
		}
	}
	for _, zone := range zones {
		checkZone(t, primary.Addr, zone)
	}
}

// checkZone has other makes' checkers look at a zone as a transfer gives it.
func checkZone(t *testing.T, addr, zone string) {
	t.Helper()
	rrs, err := receive(addr, query(zone))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, rr := range rrs[:len(rrs)-1] {
		fmt.Fprintln(&text, rr)
	}
	path := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, checker := range [][]string{{"named-checkzone", "-i", "local", zone, path}, {"kzonecheck", "-o", zone, path}} {
		program, err := exec.LookPath(checker[0])
		if err != nil {
			t.Logf("%s is not installed (test/with-engine installs it for root on Debian or Ubuntu)", checker[0])
			continue
		}
		if out, err := exec.Command(program, checker[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s\nof\n%s", checker[0], err, out, text.String())
		}
	}
}
