package share

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

var (
	seedsFlag = flag.Int("share.seeds", 2, "how many schedules of faults TestConverges runs")
	seedFlag  = flag.Uint64("share.seed", 0, "the first schedule")
)

// quota is so little that a test uses it up soon, and more than its hosts need.
const quota = 8 << 20 // octets

// TestConverges has three hosts and three members of etcd meet faults at random. Meanwhile nobody knows for longer than it may what is
// over. After each schedule everybody knows what is so, and etcd has that alone.
func TestConverges(t *testing.T) {
	e := theRun.NewEtcdApart(t, 3, "--quota-backend-bytes", fmt.Sprint(quota), "--auto-compaction-mode", "periodic", "--auto-compaction-retention", "2s")
	c := client(t, e)
	p := startPulse(t, c)
	var slowest, oldest, elected time.Duration
	for seed := *seedFlag; seed < *seedFlag+uint64(*seedsFlag); seed++ {
		s := &schedule{t: t, Rand: rand.New(rand.NewPCG(seed, 0)), etcd: e, client: c, pulse: p, hung: map[*rig.EtcdMember]bool{}, cut: map[*rig.EtcdMember]bool{}}
		t.Cleanup(func() {
			if t.Failed() && !s.done {
				t.Logf("seed %d: %s", seed, strings.Join(s.log, ", "))
				for _, m := range s.machines {
					t.Logf("%s: %s", m.name, strings.Join(m.history, "; "))
				}
			}
		})
		for _, name := range []string{"a", "b", "c"} {
			s.machines = append(s.machines, newMachine(t, e, name).start())
		}
		for range 12 {
			s.step()
		}
		s.heal()
		healed := time.Now()
		began := s.await(recovery, s.settled)
		right := time.Since(began)
		slowest, oldest, elected = max(slowest, right), max(oldest, s.oldest), max(elected, began.Sub(healed))
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
		s.await(longest, func() error { // at the latest with the leases
			if left := has(t, c); len(left) > 0 {
				return fmt.Errorf("%v is left behind", left)
			}
			return nil
		})
		if t.Failed() {
			return
		}
		s.done = true
		t.Logf("seed %d: etcd committed after %v, all was right %v later", seed, began.Sub(healed).Round(time.Millisecond), right.Round(time.Millisecond))
	}
	t.Logf("%d schedules; after the last fault's end etcd committed after %v at most, and all was right %v later at most; what was over was known for %v at most",
		*seedsFlag, elected.Round(time.Millisecond), slowest.Round(time.Millisecond), oldest.Round(time.Millisecond))
}

// schedule is one of faults.
type schedule struct {
	*rand.Rand
	t        *testing.T
	etcd     *rig.Etcd
	client   *clientv3.Client
	pulse    *etcdPulse
	machines []*machine
	log      []string
	done     bool

	hung, cut map[*rig.EtcdMember]bool
	filled    bool
	commits   bool      // etcd did when it was looked at last
	term      uint64    // of its leader's
	disturbed time.Time // when any of this has changed last
	elected   time.Time // when etcd's leader has
	oldest    time.Duration
}

func (s *schedule) note(format string, args ...any) {
	s.log = append(s.log, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// step does something, and leaves it for a while.
func (s *schedule) step() {
	m := s.machines[s.IntN(len(s.machines))]
	i := s.IntN(len(s.etcd.Members))
	member := s.etcd.Members[i]
	switch s.IntN(16) {
	case 0:
		s.note("%s is refused by etcd", m.name)
		m.link(refuses)
	case 1:
		s.note("%s is cut off from etcd", m.name)
		m.link(silent)
	case 2:
		s.note("%s is cut off but from m%d", m.name, i)
		m.link(silent, i)
	case 3, 4:
		s.note("%s is back", m.name)
		m.link(carries)
		s.run(m)
	case 5:
		s.note("%s's server crashes and is started anew", m.name)
		s.crash(m)
		s.run(m)
	case 6:
		s.note("%s dies", m.name)
		m.die()
	case 7:
		s.note("m%d is killed", i)
		member.End()
		delete(s.hung, member)
		s.disturb()
	case 8:
		s.note("m%d hangs", i)
		s.hang(member, true)
	case 9, 10:
		s.note("m%d is cut off", i)
		s.cutOff(member, true)
	case 11:
		s.note("etcd is whole")
		s.mendEtcd()
	case 12:
		s.note("all of etcd is killed")
		for _, member := range s.etcd.Members {
			member.End()
			delete(s.hung, member)
		}
		s.disturb()
	case 13:
		s.note("etcd's quota is used up (%v)", s.fill())
		s.disturb()
	case 14:
		s.note("etcd is compacted (%v)", s.compact())
	default:
	}
	for range s.IntN(6) {
		m := s.machines[s.IntN(len(s.machines))]
		name := fmt.Sprint("c", s.IntN(8))
		if s.IntN(3) == 0 || m.member == nil {
			m.end(name)
		} else {
			m.run(name, fmt.Sprint("10.1.0.", 2+s.IntN(200)))
		}
	}
	pause := time.Duration(s.IntN(400)) * time.Millisecond
	if s.IntN(5) == 0 {
		s.note("for long")
		pause = longest + time.Second
	}
	for end := time.Now().Add(pause); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		s.check()
	}
}

func (s *schedule) disturb() { s.disturbed = time.Now() }

func (s *schedule) run(m *machine) {
	if m.member == nil {
		m.start()
	}
}

func (s *schedule) crash(m *machine) {
	if m.member != nil {
		m.crash()
	}
}

func (s *schedule) hang(member *rig.EtcdMember, hang bool) {
	if member.Process == nil || s.hung[member] == hang {
		return
	}
	if err := member.Hang(hang); err != nil {
		s.t.Fatal(err)
	}
	s.hung[member] = hang
	s.disturb()
}

func (s *schedule) cutOff(member *rig.EtcdMember, cut bool) {
	s.etcd.Cut(s.t, member, cut)
	s.cut[member] = cut
	s.disturb()
}

// fill uses etcd's quota up, if etcd takes anything.
func (s *schedule) fill() error {
	s.filled = true
	for i := range quota / (100 << 10) {
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		_, err := s.client.Put(ctx, fmt.Sprint("/fill/", i), strings.Repeat("x", 100<<10))
		cancel()
		if err != nil {
			return err
		}
	}
	return errors.New("it is not")
}

// makeRoom ends fill. All members run.
func (s *schedule) makeRoom() {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	try := func(what string, do func() error) {
		await(s.t, patience, func() error { // a leader may have to be chosen first
			if err := do(); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			return nil
		})
	}
	var revision int64
	try("delete", func() error {
		r, err := s.client.Delete(ctx, "/fill/", clientv3.WithPrefix())
		if err == nil {
			revision = r.Header.Revision
		}
		return err
	})
	try("compact", s.compact)
	for _, endpoint := range s.client.Endpoints() {
		// A member that was cut off has yet to take what has filled the others, and would have no space again right after.
		try("catch up", func() error {
			r, err := s.client.Status(ctx, endpoint)
			if err == nil && r.Header.Revision < revision {
				err = fmt.Errorf("%s is at revision %d of %d", endpoint, r.Header.Revision, revision)
			}
			return err
		})
		try("defragment", func() error {
			_, err := s.client.Defragment(ctx, endpoint)
			return err
		})
	}
	try("disarm", func() error {
		_, err := s.client.AlarmDisarm(ctx, &clientv3.AlarmMember{})
		return err
	})
	s.filled = false
}

// compact has etcd forget what was, if it does anything.
func (s *schedule) compact() error {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
	defer cancel()
	r, err := s.client.Get(ctx, "/p")
	if err != nil {
		return err
	}
	if _, err = s.client.Compact(ctx, r.Header.Revision, clientv3.WithCompactPhysical()); err != nil && strings.Contains(err.Error(), "has been compacted") {
		return nil // by itself
	}
	return err
}

func (s *schedule) mendEtcd() {
	for _, member := range s.etcd.Members {
		s.hang(member, false)
		if s.cut[member] {
			s.cutOff(member, false)
		}
	}
	s.etcd.Start(s.t)
	if s.filled {
		s.makeRoom()
	}
	s.disturb()
}

func (s *schedule) heal() {
	s.note("all is mended")
	s.mendEtcd()
	for _, m := range s.machines {
		m.link(carries)
		s.run(m)
	}
}

// check checks that no server knows for longer than it may what is over: not as certain, and where it reaches an etcd that commits not
// at all; and that it does know all that others tell who reach etcd too. The time counts from the last change of what is in the way: a new leader gives leases their time anew.
func (s *schedule) check() {
	now := time.Now()
	if s.etcdChanged(now) {
		s.disturbed = now
	}
	for _, m := range s.machines {
		if m.member == nil {
			continue
		}
		m.remember("all", m.member.State().Err)
		for _, of := range s.machines {
			if of != m && s.commits && !s.filled && of.member != nil && s.reaches(of) && s.reaches(m) {
				s.checkKnown(m, of, now)
			}
		}
		for _, k := range m.knows() {
			of := s.machine(k.host)
			since, over := of.over(k.Container)
			if !over || !k.current && !(s.commits && s.reaches(m)) {
				continue
			}
			age := now.Sub(latest(since, s.disturbed, m.disturbed, of.disturbed))
			s.oldest = max(s.oldest, age)
			if age > longest && now.Sub(s.elected) > 2*lease { // a new leader gives leases their time anew, and a second more
				s.t.Fatalf("%s knows %s of %s (current: %v), which has been over for %v since the last change of what is in the way, want %v at most",
					m.name, addressed(k.Container), k.host, k.current, age, longest)
			}
		}
	}
}

// await waits until the check has nothing against it. The time counts from when etcd committed last after it did not, or its leader changed,
// which it returns: etcd's own recovery is not ours, and a new leader gives leases their time anew.
func (s *schedule) await(limit time.Duration, check func() error) (began time.Time) {
	s.t.Helper()
	began = time.Now()
	await(s.t, patience, func() error {
		if s.etcdChanged(time.Now()) || !s.commits {
			began = time.Now()
		}
		err := check()
		if since := time.Since(began); err != nil && since > limit {
			s.t.Fatalf("etcd has committed for %v, and %v; it has %q", since, err, s.keys(has(s.t, s.client)))
		}
		return err
	})
	return began
}

// etcdChanged reports whether etcd has begun or ceased to commit since this was called last, or has another leader.
func (s *schedule) etcdChanged(now time.Time) bool {
	commits, term := s.pulse.look(now)
	changed := commits != s.commits || term != s.term
	if term != s.term {
		s.elected = now
	}
	s.commits, s.term = commits, term
	return changed
}

// checkKnown checks that the machine's server knows what is so at the other one, unless something has changed lately.
func (s *schedule) checkKnown(m, of *machine, now time.Time) {
	of.mu.Lock()
	changed := of.changed
	of.mu.Unlock()
	since := latest(changed, s.disturbed, m.disturbed, of.disturbed)
	if now.Sub(since) <= recovery {
		return
	}
	var names []string
	for _, k := range m.knows() {
		if k.host == of.name && k.current {
			names = append(names, k.Name)
		}
	}
	slices.Sort(names)
	if got, want := strings.Join(names, " "), strings.Join(of.names(), " "); got != want {
		s.t.Fatalf("%v after the last change %s knows of %s's containers %q as certain, want %q", now.Sub(since), m.name, of.name, got, want)
	}
}

// reaches reports whether the machine reaches a member that has the others' consent.
func (s *schedule) reaches(m *machine) bool {
	for i, member := range s.etcd.Members {
		l := m.links[i]
		l.mu.Lock()
		carried := l.state == carries
		l.mu.Unlock()
		if carried && member.Process != nil && !s.hung[member] && !s.cut[member] {
			return true
		}
	}
	return false
}

func (s *schedule) machine(name string) *machine {
	return s.machines[slices.IndexFunc(s.machines, func(m *machine) bool { return m.name == name })]
}

func latest(times ...time.Time) (last time.Time) {
	for _, at := range times {
		last = later(last, at)
	}
	return last
}

// knowledge is what a server knows of a container.
type knowledge struct {
	*container.Container
	host    string
	current bool // it counts as certain
}

// knows returns all that the machine's server knows of others' containers.
func (m *machine) knows() (all []knowledge) {
	m.member.turn.Lock()
	defer m.member.turn.Unlock()
	for id, h := range m.seen.hosts {
		for _, c := range h.containers {
			all = append(all, knowledge{c, string(id), h.current})
		}
	}
	return all
}

// etcdPulse tells whether etcd commits, by asking each member over and over.
type etcdPulse struct {
	mu   sync.Mutex // guards the following
	last time.Time  // when a member answered with the others' consent
	term uint64     // its leader's
}

func startPulse(t *testing.T, c *clientv3.Client) *etcdPulse {
	p := &etcdPulse{}
	ctx, cancel := context.WithCancel(context.Background())
	var asking sync.WaitGroup
	for _, endpoint := range c.Endpoints() {
		one, err := (&Config{URLs: endpoint}).dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		asking.Go(func() {
			defer one.Close()
			for pause(ctx, 50*time.Millisecond) {
				p.ask(ctx, one)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		asking.Wait()
	})
	return p
}

func (p *etcdPulse) ask(ctx context.Context, c *clientv3.Client) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	r, err := c.Get(ctx, "/pulse") // a majority says that the answer is the newest
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.term = time.Now(), max(p.term, r.Header.RaftTerm)
}

// look reports whether etcd commits, and the term of its leader.
func (p *etcdPulse) look(now time.Time) (commits bool, term uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Sub(p.last) < time.Second, p.term
}

// settled returns an error unless all know what is so.
func (s *schedule) settled() error {
	for _, m := range s.machines {
		m.remember("all", m.member.State().Err)
	}
	for _, m := range s.machines {
		if got, want := m.sees(), s.truth(m); got != want {
			return fmt.Errorf("%s sees %q, want %q (etcd: %v)", m.name, got, want, m.member.State().Err)
		}
		for _, k := range m.knows() {
			if _, over := s.machine(k.host).over(k.Container); over {
				return fmt.Errorf("%s knows %s of %s, which is over", m.name, addressed(k.Container), k.host)
			}
		}
	}
	return nil
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
