package zone

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
)

// text returns the addresses or the target that the name resolves to, in order.
func text(s *Snapshot, name string) string {
	qtype := dns.TypeA
	if IsReverse(name) {
		qtype = dns.TypePTR
	}
	var out []string
	for _, rr := range ask(s, test.Case{Qname: name, Qtype: qtype}).Answer {
		out = append(out, dns.Field(rr, 1))
	}
	return strings.Join(out, " ")
}

func newStore() *Store {
	return NewStore(Config{Zones: []string{"docker.", "17.172.in-addr.arpa."}, TTL: 30, NegativeTTL: 7})
}

func TestClaims(t *testing.T) {
	db := entry("db", 0, "n=172.17.0.2", "db.docker./name")
	for _, c := range []struct {
		name    string
		entries []*Entry
		want    map[string]string
		lost    string
		count   int
	}{
		{"shared", []*Entry{
			entry("a", 0, "n=172.17.0.3", "a.docker./name", "x.docker."), entry("b", 1, "n=172.17.0.2", "b.docker./name", "x.docker."),
		}, map[string]string{"x.docker.": "172.17.0.3 172.17.0.2"}, "", 0},
		{"equal addresses once", []*Entry{
			entry("a", 0, "n=172.17.0.3", "x.docker."), entry("b", 1, "n=172.17.0.3", "x.docker."),
		}, map[string]string{"x.docker.": "172.17.0.3"}, "", 0},
		{"exclusive", []*Entry{entry("thief", 0, "n=172.17.0.9", "thief.docker./name", "db.docker."), db},
			map[string]string{"db.docker.": "172.17.0.2"}, "db.docker.: thief < db", 1},
		{"older", []*Entry{entry("B", 1, "n=172.17.0.9", "b.docker./name"), entry("b", 0, "n=172.17.0.2", "b.docker./name")},
			map[string]string{"b.docker.": "172.17.0.2"}, "b.docker.: B < b", 1},
		{"name before ID", []*Entry{entry("a", 0, "n=172.17.0.3", "x.docker./id"), entry("b", 1, "n=172.17.0.2", "x.docker./name")},
			map[string]string{"x.docker.": "172.17.0.2"}, "x.docker.: a < b", 1},
		{"ID before twin", []*Entry{entry("a", 0, "n=172.17.0.3", "x.docker./twin"), entry("b", 1, "n=172.17.0.2", "x.docker./id")},
			map[string]string{"x.docker.": "172.17.0.2"}, "x.docker.: a < b", 1},
		{"PTR: the oldest owner", []*Entry{entry("b", 1, "n=172.17.0.2", "b.docker./name"), entry("a", 0, "n=172.17.0.2", "a.docker./name")},
			map[string]string{"2.0.17.172.in-addr.arpa.": "a.docker."}, "", 0},
		{"PTR: a name that it holds", []*Entry{entry("b", 1, "n=172.17.0.3", "x.docker./name", "b.docker./id"), entry("a", 0, "n=172.17.0.2", "x.docker./name")},
			map[string]string{"3.0.17.172.in-addr.arpa.": "b.docker.", "2.0.17.172.in-addr.arpa.": "x.docker."}, "x.docker.: b < a", 1},
	} {
		s := newStore()
		var lost []string
		for _, l := range s.Apply(add(c.entries...)) {
			lost = append(lost, fmt.Sprintf("%s: %s < %s", l.Name, l.Loser.ID, l.Winner.ID))
		}
		if got := strings.Join(lost, ", "); got != c.lost {
			t.Errorf("%s: lost %q, want %q", c.name, got, c.lost)
		}
		if got := lostOf(s.Snapshot()); got != c.count {
			t.Errorf("%s: %d lost claims, want %d", c.name, got, c.count)
		}
		for name, want := range c.want {
			if got := text(s.Snapshot(), name); got != want {
				t.Errorf("%s: %s is %q, want %q", c.name, name, got, want)
			}
		}
		// The same again changes nothing and loses nothing anew.
		if again := s.Apply(add(c.entries...)); len(again) > 0 {
			t.Errorf("%s: lost again: %v", c.name, again)
		}
	}
}

// TestClaimAfterWinnerLeaves checks that a name passes on, and the PTR of the new
// holder with it.
func TestClaimAfterWinnerLeaves(t *testing.T) {
	s := newStore()
	s.Apply(add(
		entry("a", 0, "n=172.17.0.2", "x.docker./name", "a.docker./id"),
		entry("b", 1, "n=172.17.0.3", "x.docker./name", "b.docker./id")))
	if got := text(s.Snapshot(), "3.0.17.172.in-addr.arpa."); got != "b.docker." {
		t.Errorf("b resolves to %q while a holds x", got)
	}
	before := s.Snapshot().serials["17.172.in-addr.arpa."]
	s.Apply([]Change{gone("a")})
	if got := text(s.Snapshot(), "x.docker."); got != "172.17.0.3" {
		t.Errorf("x.docker. is %q after a has left", got)
	}
	if got := text(s.Snapshot(), "3.0.17.172.in-addr.arpa."); got != "x.docker." {
		t.Errorf("b resolves to %q after a has left", got)
	}
	if after := s.Snapshot().serials["17.172.in-addr.arpa."]; !newer(after, before) {
		t.Errorf("serial %d after %d", after, before)
	}
}

// newer is RFC 1982's comparison.
func newer(a, b uint32) bool { return int32(a-b) > 0 }

func TestSerial(t *testing.T) {
	s := newStore()
	serial := func() uint32 { return s.Snapshot().serials["docker."] }
	step := func(what string, grows bool, changes ...Change) {
		t.Helper()
		before := serial()
		s.Apply(changes)
		if after := serial(); newer(after, before) != grows || !grows && after != before {
			t.Errorf("%s: serial from %d to %d, grows should be %v", what, before, after, grows)
		}
	}
	web := entry("web", 0, "n=172.17.0.2", "web.docker./name")
	step("new", true, add(web)...)
	step("the same", false, add(entry("web", 0, "n=172.17.0.2", "web.docker./name"))...)
	step("ill but alone", false, add(sick(entry("web", 0, "n=172.17.0.2", "web.docker./name")))...)
	step("other address", true, add(entry("web", 0, "n=172.17.0.3", "web.docker./name"))...)
	step("renamed", true, add(entry("web", 0, "n=172.17.0.3", "www.docker./name"))...)
	step("gone", true, gone("web"))
	step("gone already", false, gone("web"))
	for range 500 { // faster than the clock that it counts
		step("new", true, add(web)...)
		step("gone", true, gone("web"))
	}
}

// TestSerialAfterRestart checks that a process that begins anew a while later, with
// nothing but the clock, continues above the serials of the one before.
func TestSerialAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in the year 2000, far below what is issued
		defer func(before map[string]uint64) { issued.last = before }(issued.last)
		issued.last = map[string]uint64{}
		s := newStore()
		for i := range 1000 {
			s.Apply(add(entry("web", 0, fmt.Sprintf("n=172.17.%d.%d", i/250, i%250+1), "web.docker./name")))
		}
		last := s.Snapshot().serials["docker."]
		time.Sleep(11 * time.Second) // fake time: 1,000 changes last 10 s at a hundred a second
		issued.last = map[string]uint64{}
		if first := newStore().Snapshot().serials["docker."]; !newer(first, last) {
			t.Errorf("serial %d after a restart, %d before", first, last)
		}
	})
}

// model says what the store must hold, in the simplest way.
type model map[string]*Entry

// claims returns those to the name that have the best right.
func (m model) claims(name string) (best []claimant) {
	lords := map[*Entry]bool{}
	if labels := dns.SplitDomainName(name); len(labels) > 2 {
		for _, c := range m.claims(dns.Fqdn(strings.Join(labels[len(labels)-2:], "."))) {
			if c.claim.Rank <= ByTwin {
				lords[c.entry] = true
			}
		}
	}
	var all []claimant
	for _, e := range m {
		for i := range e.Claims {
			if c := &e.Claims[i]; c.Name == name && (c.Rank != Shared || len(lords) == 0 || lords[e]) {
				all = append(all, claimant{e, c})
			}
		}
	}
	slices.SortFunc(all, func(a, b claimant) int {
		return cmp.Or(int(a.claim.Rank)-int(b.claim.Rank), a.entry.compare(b.entry))
	})
	for _, c := range all {
		first := all[0]
		together := first.claim.Rank >= ByTwin && (!first.claim.Rank.ofService() || c.entry.SameService(first.entry))
		if c.claim.Rank == first.claim.Rank && (c.entry == first.entry || together) {
			best = append(best, c)
		}
	}
	return best
}

func (m model) addresses(name string) string {
	var ips []string
	for _, c := range m.claims(name) {
		for _, a := range c.entry.Addresses {
			if ip := a.IP.String(); c.claim.addresses() && c.claim.gives(a) && !slices.Contains(ips, ip) {
				ips = append(ips, ip)
			}
		}
	}
	return strings.Join(ips, " ")
}

// exists tells whether the name or one below it is somebody's.
func (m model) exists(name string) bool {
	for _, e := range m {
		for _, c := range e.Claims {
			if dns.IsSubDomain(name, c.Name) && len(m.claims(c.Name)) > 0 {
				return true
			}
		}
	}
	return false
}

// TestStoreAgainstModel does random changes, of containers and of tasks of a Swarm's, and compares the store with the model.
func TestStoreAgainstModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	s, m := newStore(), model{}
	names := []string{"a.docker.", "b.docker.", "a.b.docker.", "c.a.b.docker.", "d.docker.", "x.d.docker."}
	ranks := []string{"name", "id", "twin", "service", "task", "project", "shared"}
	for i := range 3000 {
		var changes []Change
		for range 1 + rnd.IntN(3) {
			id := fmt.Sprint("c", rnd.IntN(12))
			if rnd.IntN(3) == 0 {
				delete(m, id)
				changes = append(changes, gone(id))
				continue
			}
			var claims []string
			for _, n := range rnd.Perm(len(names))[:rnd.IntN(4)] {
				claims = append(claims, names[n]+"/"+ranks[rnd.IntN(len(ranks))])
			}
			addrs := fmt.Sprintf("n=172.17.0.%d", 1+rnd.IntN(20))
			m[id] = entry(id, rnd.IntN(5), addrs, claims...)
			if rnd.IntN(3) == 0 { // a task of one of two services
				m[id].Swarm = &Member{By: "s", Service: fmt.Sprint(rnd.IntN(2)), Task: true}
				for i := range m[id].Claims {
					m[id].Claims[i].Part = Part(rnd.IntN(3))
				}
			}
			changes = append(changes, Change{m[id].Key, m[id]})
		}
		s.Apply(changes)
		snap := s.Snapshot()
		for _, name := range names {
			if got, want := text(snap, name), m.addresses(name); got != want {
				t.Fatalf("step %d: %s is %q, want %q", i, name, got, want)
			}
			r := ask(snap, test.Case{Qname: name, Qtype: dns.TypeA})
			if got, want := r.Outcome != NameError, m.exists(name); got != want {
				t.Fatalf("step %d: %s exists: %v, want %v", i, name, got, want)
			}
		}
		for n := range 20 {
			name := fmt.Sprintf("%d.0.17.172.in-addr.arpa.", 1+n)
			if target := text(snap, name); target != "" && !strings.Contains(" "+text(snap, target)+" ", fmt.Sprintf(" 172.17.0.%d ", 1+n)) {
				t.Fatalf("step %d: %s resolves to %s, which is %q", i, name, target, text(snap, target))
			}
		}
	}
	for id := range m {
		s.Apply([]Change{gone(id)})
	}
	if snap, empty := s.Snapshot(), newStore().Snapshot(); snap.Names != 0 || snap.Records != 0 || lostOf(snap) != 0 || count(snap.names) != count(empty.names) {
		t.Errorf("an emptied store has %d names, %d records, %d lost claims, %d nodes; a new one has %d nodes",
			snap.Names, snap.Records, lostOf(snap), count(snap.names), count(empty.names))
	}
}

func count(t trie) (nodes int) {
	t.walk(func(*node) { nodes++ })
	return nodes
}

// TestNamesAppearTogether reads without a pause while a container's names come, move
// and go. In one snapshot all of them answer alike.
func TestNamesAppearTogether(t *testing.T) {
	s := newStore()
	names := []string{"web.docker.", "0123456789ab.docker.", "web.shop.docker.", "a.b.c.docker."}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				snap := s.Snapshot()
				want := text(snap, names[0])
				for _, name := range names[1:] {
					if got := text(snap, name); got != want {
						t.Errorf("%s is %q while %s is %q", name, got, names[0], want)
						return
					}
				}
			}
		})
	}
	for i := range 2000 {
		if i%3 == 2 {
			s.Apply([]Change{gone("web")})
			continue
		}
		claims := []string{names[0] + "/name", names[1] + "/id", names[2], names[3]}
		s.Apply(add(entry("web", 0, fmt.Sprintf("n=172.17.0.%d", i%250+1), claims...)))
	}
	close(done)
	readers.Wait()
}

// TestReaderDoesNotWaitForWriter reads while a writer holds the store's only lock.
func TestReaderDoesNotWaitForWriter(t *testing.T) {
	s := newStore()
	s.Apply(add(entry("web", 0, "n=172.17.0.2", "web.docker./name")))
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := text(s.Snapshot(), "web.docker."); got != "172.17.0.2" {
		t.Errorf("got %q", got)
	}
}
