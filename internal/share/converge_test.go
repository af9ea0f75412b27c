package share

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

var (
	seedsFlag = flag.Int("share.seeds", 3, "how many schedules of faults TestConverges runs")
	seedFlag  = flag.Uint64("share.seed", 0, "the first schedule")
)

// TestConverges has three hosts and three members of etcd meet faults at random. After each schedule everybody knows what is so, and etcd
// has that alone.
func TestConverges(t *testing.T) {
	e := rig.NewEtcd(t, 3)
	c := client(t, e)
	var slowest time.Duration
	for seed := *seedFlag; seed < *seedFlag+uint64(*seedsFlag); seed++ {
		s := &schedule{t: t, Rand: rand.New(rand.NewPCG(seed, 0)), etcd: e}
		t.Cleanup(func() {
			if t.Failed() && !s.done {
				t.Logf("seed %d: %s", seed, strings.Join(s.log, ", "))
			}
		})
		for _, name := range []string{"a", "b", "c"} {
			s.machines = append(s.machines, newMachine(t, e, name).start())
		}
		for range 12 {
			s.step()
		}
		s.heal()
		began := time.Now()
		for _, m := range s.machines {
			m.await(s.truth(m))
		}
		slowest = max(slowest, time.Since(began))
		await(t, patience, func() error {
			if got, want := strings.Join(s.keys(has(t, c)), " "), strings.Join(s.wanted(), " "); got != want {
				return fmt.Errorf("etcd has %s, want %s", got, want)
			}
			return nil
		})
		for _, m := range s.machines {
			m.member.Leave()
			m.member = nil
		}
		if left := has(t, c); len(left) > 0 {
			t.Errorf("%v is left behind", left)
		}
		if t.Failed() {
			return
		}
		s.done = true
	}
	t.Logf("%d schedules; right %v after the last fault's end at most", *seedsFlag, slowest.Round(time.Millisecond))
}

// schedule is one of faults.
type schedule struct {
	*rand.Rand
	t        *testing.T
	etcd     *rig.Etcd
	machines []*machine
	log      []string
	done     bool
}

func (s *schedule) note(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

// step does something, and leaves it for a while.
func (s *schedule) step() {
	m := s.machines[s.IntN(len(s.machines))]
	member := s.etcd.Members[s.IntN(len(s.etcd.Members))]
	switch s.IntN(8) {
	case 0:
		s.note("%s is cut off", m.name)
		m.cut(true)
	case 1:
		s.note("%s is back", m.name)
		m.cut(false)
	case 2:
		s.note("%s's server crashes", m.name)
		m.crash()
		m.start()
	case 3:
		s.note("member %s is killed", member.URL)
		member.End()
	case 4:
		s.note("member %s hangs", member.URL)
		if member.Process != nil {
			if err := member.Hang(true); err != nil {
				s.t.Fatal(err)
			}
		}
	case 5:
		s.mendEtcd()
	default:
	}
	for range s.IntN(6) {
		m := s.machines[s.IntN(len(s.machines))]
		name := fmt.Sprint("c", s.IntN(8))
		if s.IntN(3) == 0 {
			m.end(name)
		} else {
			m.run(name, fmt.Sprint("10.1.0.", 2+s.IntN(200)))
		}
	}
	time.Sleep(time.Duration(s.IntN(400)) * time.Millisecond) // is the schedule's, and waits for nothing
}

func (s *schedule) mendEtcd() {
	s.note("etcd is whole")
	for _, member := range s.etcd.Members {
		if member.Process != nil {
			if err := member.Hang(false); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	s.etcd.Start(s.t)
}

func (s *schedule) heal() {
	for _, m := range s.machines {
		m.cut(false)
	}
	s.mendEtcd()
}

// truth is what the machine's server is to know of others.
func (s *schedule) truth(of *machine) string {
	var all []string
	for _, m := range s.machines {
		if m == of {
			continue
		}
		all = append(all, fmt.Sprintf("%s %s: %s", m.name, m.config().Addresses, strings.Join(m.names(), " ")))
	}
	return strings.Join(all, "; ")
}

func (m *machine) names() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.containers {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

// wanted are the keys that etcd is to have.
func (s *schedule) wanted() (keys []string) {
	for _, m := range s.machines {
		keys = append(keys, m.name+"/host", m.name+"/owner")
		for _, name := range m.names() {
			keys = append(keys, key(m.name, name))
		}
	}
	slices.Sort(keys)
	return keys
}

func (s *schedule) keys(has map[string]int64) (keys []string) {
	for key := range has {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
